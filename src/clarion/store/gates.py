"""Gates: the order of two transactions that must see each other's rows.

A push to a user looks for the user's devices; a bind looks for the user's waiting messages, an unbind for those
that the device must not show any more. If they run at once on PostgreSQL, each may miss the other's uncommitted
row, and the message would wait for nothing or reach the device's next user. So pushes pass the user's gate
together, what changes a binding passes it alone; likewise a push to a device token and the first report of that
token. SQLite has one writer and needs no gate.
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
_ALONE = Query(text("SELECT pg_advisory_xact_lock(gate) FROM unnest(CAST(:gates AS bigint[])) AS gates(gate)"))


_GATES = 256
"""Names share gates: a group may have 200,000 targets, but the server's lock table has a few thousand places."""
_FIRST_GATE = 0x636C6172 << 32  # apart from the locks of other programs


def _gate(app: int, name: str) -> int:
    digest = blake2b(f"{app}\0{name}".encode(), digest_size=2).digest()
    return _FIRST_GATE + int.from_bytes(digest, "big") % _GATES


async def pass_together(transaction: Transaction, names: Iterable[tuple[int, str]]) -> None:
    """Hold the gates of many `(app, target)` until the end of the transaction, along with other such holders."""
    await _pass(transaction, _SHARED, names)


async def pass_alone(transaction: Transaction, names: Iterable[tuple[int, str]]) -> None:
    """Hold the gates of `(app, target)` until the end of the transaction, alone."""
    await _pass(transaction, _ALONE, names)


async def _pass(transaction: Transaction, query: Query, names: Iterable[tuple[int, str]]) -> None:
    if transaction.backend is Backend.POSTGRESQL:
        # Sorted, so that two transactions seldom wait for each other in a circle.
        await transaction.fetch(query, gates=sorted({_gate(app, name) for app, name in names}))
