"""Writing the pages of a broadcast, one a transaction; a cursor says where to go on, also after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select, text, update

from clarion.clock import Clock
from clarion.delivery.accept import TargetType
from clarion.delivery.broadcasts.audience import MEMBERS, STRIDE, span_parameters
from clarion.delivery.broadcasts.log import PLATFORM_OF, broadcast_series
from clarion.delivery.broadcasts.model import BroadcastState, decode_audience
from clarion.delivery.broadcasts.pages import PAGE_DEVICES, Page, pack_numbers
from clarion.delivery.ledger import Count, Figure, Ledger
from clarion.store.database import Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema_campaigns import UNFINISHED_BROADCASTS, broadcast_pages, broadcasts

LAST_DEVICE = (1 << 63) - 1
"""The cursor of a broadcast all of whose pages are written."""

# Locked on PostgreSQL: of two processes at the same broadcast, each takes up where the other has got to.
_TAKE = Query(
    select(
        broadcasts.c.app,
        broadcasts.c.target_type,
        broadcasts.c.state,
        broadcasts.c.cursor,
        broadcasts.c.audience,
        broadcasts.c.created_at,
        broadcasts.c.expires_at,
    )
    .where(broadcasts.c.task == bindparam("task"))
    .with_for_update()
)
UNFINISHED = Query(
    select(broadcasts.c.task)
    .where(text(UNFINISHED_BROADCASTS), broadcasts.c.task > bindparam("after"))
    .order_by(broadcasts.c.task)
    .limit(bindparam("limit"))
)
"""Broadcasts that still have pages to go."""
_ADVANCE = Query(
    update(broadcasts)
    .values(cursor=bindparam("reached"), state=bindparam("now_state"), ended_at=bindparam("end"))
    .where(broadcasts.c.task == bindparam("id"))
)
_INSERT_PAGE = Insert(broadcast_pages, ("task", "first", "last", "at", "devices", "marks", "times"))


class Step(NamedTuple):
    """What one transaction did for a broadcast.

    Attributes:
        task: the broadcast.
        state: what it is in now; REVOKED also when there is no such broadcast any more.
        before: its cursor before the step.
        cursor: its cursor now.
        devices: the devices of the page that was written.
    """

    task: int
    state: BroadcastState
    before: int
    cursor: int
    devices: Sequence[int] = ()


class Planner:
    """Writes pages.

    Args:
        ledger: counts the devices.
        clock: times of pages; tells whether the validity is over.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def write_pages(self, transaction: Transaction, batch: Sequence[int]) -> list[Step]:
        """Write the next page of each of some broadcasts; a handler for `GroupWriter.submit`."""
        return [await self._write_page(transaction, task) for task in batch]

    async def _write_page(self, transaction: Transaction, task: int) -> Step:
        row = await transaction.fetch_one(_TAKE, task=task)
        if row is None:
            return Step(task, BroadcastState.REVOKED, 0, 0)
        app, target_type, state, cursor, audience, accepted_at, expires_at = row
        now = self._clock.now_ms()
        if state != BroadcastState.RUNNING:
            return Step(task, BroadcastState(state), cursor, cursor)
        if expires_at <= now:
            return await self._advance(transaction, Step(task, BroadcastState.DONE, cursor, cursor), now)
        platform = PLATFORM_OF[TargetType(target_type)]
        stride = await transaction.fetch_one(STRIDE, app=app, after=cursor)
        upto = LAST_DEVICE if stride is None else stride[0]
        spans = span_parameters(decode_audience(audience), accepted_at)
        rows = await transaction.fetch(
            MEMBERS, app=app, after=cursor, upto=upto, platform=platform, limit=PAGE_DEVICES, **spans
        )
        devices = [device for (device,) in rows]
        if devices:
            page = (task, devices[0], devices[-1], now, pack_numbers(devices), *Page.blank(len(devices)))
            await transaction.insert(_INSERT_PAGE, [page])
            count = Count(app, task, task, broadcast_series(platform), Figure.TOTAL, len(devices))
            await self._ledger.count(transaction, [count], now)
        reached = devices[-1] if len(devices) == PAGE_DEVICES else upto
        after = BroadcastState.DONE if reached == LAST_DEVICE else BroadcastState.RUNNING
        return await self._advance(transaction, Step(task, after, cursor, reached, devices), now)

    async def _advance(self, transaction: Transaction, step: Step, now: int) -> Step:
        end = None if step.state is BroadcastState.RUNNING else now
        await transaction.execute(_ADVANCE, id=step.task, reached=step.cursor, now_state=int(step.state), end=end)
        return step
