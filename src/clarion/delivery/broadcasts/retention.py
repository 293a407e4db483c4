"""Forgetting broadcasts that are past retention, a small step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select

from clarion.clock import Clock
from clarion.delivery.accept import IDEMPOTENCY_MS
from clarion.delivery.broadcasts.parts import drop_parts
from clarion.delivery.broadcasts.sends import forget_sends
from clarion.ids import first_id_at
from clarion.store.database import Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.store.schema import reports
from clarion.store.schema_campaigns import broadcast_joins, broadcast_pages, broadcasts

_STEP_PAGES = 50  # half a megabyte
_STEP_ROWS = 500

_OLDEST = Query(
    select(broadcasts.c.task)
    .where(broadcasts.c.task < bindparam("cutoff"), broadcasts.c.expires_at <= bindparam("now"))
    .order_by(broadcasts.c.task)
    .limit(1)
)
_FORGET_PAGES = Query(
    delete(broadcast_pages).where(
        broadcast_pages.c.task == bindparam("task"),
        broadcast_pages.c.first.in_(
            select(broadcast_pages.c.first).where(broadcast_pages.c.task == bindparam("task")).limit(_STEP_PAGES)
        ),
    )
)
_FORGET_JOINS = Query(
    delete(broadcast_joins).where(
        broadcast_joins.c.task == bindparam("task"),
        broadcast_joins.c.device.in_(
            select(broadcast_joins.c.device).where(broadcast_joins.c.task == bindparam("task")).limit(_STEP_ROWS)
        ),
    )
)
_FORGET_REPORTS = Query(
    delete(reports).where(
        reports.c.message == bindparam("task"),
        reports.c.device.in_(
            select(reports.c.device).where(reports.c.message == bindparam("task")).limit(_STEP_ROWS)
        ),
    )
)
_FORGET = Query(delete(broadcasts).where(broadcasts.c.task == bindparam("task")))
_PARTS = (_FORGET_PAGES, _FORGET_JOINS, _FORGET_REPORTS)


class _Age(NamedTuple):
    cutoff: int
    now: int


class BroadcastRetention:
    """Deletes old broadcasts with all that is known of them.

    Args:
        writer: shares its transactions with the pushes.
        clock: for age.
        retention_days: how long they are kept; never less than they are valid, nor than a repeated message key has
            to be recognised.
    """

    def __init__(self, writer: GroupWriter, clock: Clock, retention_days: int) -> None:
        self._writer = writer
        self._clock = clock
        self._retention_ms = max(retention_days * 24 * 3600 * 1000, IDEMPOTENCY_MS)

    async def retain(self) -> int:
        """Take a step; how many rows it deleted, 0 when nothing is old."""
        now = self._clock.now_ms()
        return await self._writer.submit(_retain, _Age(first_id_at(now - self._retention_ms), now))


async def _retain(transaction: Transaction, batch: Sequence[_Age]) -> Sequence[int]:
    return [await _take_step(transaction, age) for age in batch]


async def _take_step(transaction: Transaction, age: _Age) -> int:
    row = await transaction.fetch_one(_OLDEST, cutoff=age.cutoff, now=age.now)
    if row is None:
        return 0
    for part in _PARTS:
        if deleted := await transaction.execute(part, task=row[0]):
            return deleted
    if deleted := await forget_sends(transaction, row[0]):
        return deleted
    await drop_parts(transaction, row[0])
    return await transaction.execute(_FORGET, task=row[0])
