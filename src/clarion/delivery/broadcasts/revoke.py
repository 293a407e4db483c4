"""Revoking a broadcast: one row changes, and nobody gets it any more; those who have it are owed a recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, func, select, update

from clarion.delivery.broadcasts.model import BroadcastState
from clarion.delivery.broadcasts.parts import drop_parts
from clarion.delivery.recalls import REVOCABLE_MS
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema_campaigns import broadcasts, task_counters

_FIND = Query(
    select(broadcasts.c.revocation)
    .where(broadcasts.c.task == bindparam("task"), broadcasts.c.app == bindparam("app"))
    .with_for_update()
)
_REVOKE = Query(
    update(broadcasts)
    .values(
        state=int(BroadcastState.REVOKED),
        revocation=bindparam("recall"),
        ended_at=bindparam("now"),
        expires_at=bindparam("until"),
    )
    .where(broadcasts.c.task == bindparam("id"))
)
_ASK_AGAIN = Query(update(broadcasts).values(recalled=0).where(broadcasts.c.task == bindparam("id")))
_COUNTED = Query(
    select(
        func.coalesce(func.sum(task_counters.c.total), 0), func.coalesce(func.sum(task_counters.c.success), 0)
    ).where(task_counters.c.task == bindparam("task"))
)


class Revoked(NamedTuple):
    """What a revocation came to; nothing, when the broadcast had been revoked before.

    Attributes:
        withdrawn: devices that were to get it and never will, as far as they had been looked up.
        recalled: devices that have it, and are told to remove it.
        unrecalled: devices on which it stays: none on the own link.
    """

    withdrawn: int = 0
    recalled: int = 0
    unrecalled: int = 0


class Revocation(NamedTuple):
    """What is asked for: app, task, the id of the recall, and when (ms)."""

    app: int
    task: int
    revocation: int
    at: int


async def revoke_broadcasts(transaction: Transaction, batch: Sequence[Revocation]) -> list[Revoked | None]:
    """Revoke broadcasts; None for one that the app does not have. A handler for `GroupWriter.submit`."""
    return [await _revoke_one(transaction, asked) for asked in batch]


async def _revoke_one(transaction: Transaction, asked: Revocation) -> Revoked | None:
    found = await transaction.fetch_one(_FIND, task=asked.task, app=asked.app)
    if found is None:
        return None
    if found[0] is not None:
        await transaction.execute(_ASK_AGAIN, id=asked.task)  # vendors that did not say
        return Revoked()
    await transaction.execute(
        _REVOKE, id=asked.task, recall=asked.revocation, now=asked.at, until=asked.at + REVOCABLE_MS
    )
    await drop_parts(transaction, asked.task)
    counted = await transaction.fetch_one(_COUNTED, task=asked.task)
    total, success = (int(counted[0]), int(counted[1])) if counted else (0, 0)
    return Revoked(total - success, success)
