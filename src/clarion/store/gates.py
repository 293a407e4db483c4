"""Gates: the order of two transactions that must see each other's rows.

A push to a user looks for the user's devices; a bind looks for the user's waiting messages. If both run at once
on PostgreSQL, each may miss the other's uncommitted row and the message would wait for nothing. So pushes pass
the user's gate together, a bind passes it alone. SQLite has one writer and needs no gate.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from sqlalchemy import text

from clarion.store.database import Transaction
from clarion.store.queries import Backend, Query

_SHARED = Query(
    text("SELECT pg_advisory_xact_lock_shared(gate) FROM unnest(CAST(:gates AS bigint[])) AS gates(gate)")
)
_ALONE = Query(text("SELECT pg_advisory_xact_lock(:gate)"))


def _gate(app: int, name: str) -> int:
    digest = blake2b(f"{app}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


async def pass_together(transaction: Transaction, names: Iterable[tuple[int, str]]) -> None:
    """Hold the gates of many `(app, user)` until the end of the transaction, along with other such holders."""
    if transaction.backend is Backend.POSTGRESQL:
        # Sorted, so that two transactions never wait for each other in a circle.
        await transaction.fetch(_SHARED, gates=sorted({_gate(app, name) for app, name in names}))


async def pass_alone(transaction: Transaction, app: int, name: str) -> None:
    """Hold the gate of one `(app, user)` until the end of the transaction, alone."""
    if transaction.backend is Backend.POSTGRESQL:
        await transaction.fetch(_ALONE, gate=_gate(app, name))
