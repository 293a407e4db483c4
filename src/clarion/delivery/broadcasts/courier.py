"""Handing broadcasts and recalls to the devices that are connected here, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from sqlalchemy import bindparam, select

from clarion.delivery.broadcasts.log import OpenLog, Progress
from clarion.delivery.broadcasts.model import BroadcastState, Entry
from clarion.delivery.broadcasts.notes import Notes
from clarion.delivery.broadcasts.places import PAGE_COLUMNS, is_to_recall, page_of
from clarion.delivery.broadcasts.planner import LAST_DEVICE, Step
from clarion.delivery.connections import Connections
from clarion.delivery.series import Mark
from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Query
from clarion.store.schema_campaigns import broadcast_joins, broadcast_pages

_SLICE = 200
"""Devices that are written to before others get their turn: a few milliseconds."""

_PAGES = 20
_JOINS = 1000

_NEXT_PAGES = Query(
    select(*PAGE_COLUMNS)
    .where(broadcast_pages.c.task == bindparam("task"), broadcast_pages.c.first > bindparam("after"))
    .order_by(broadcast_pages.c.first)
    .limit(bindparam("limit"))
)
_NEXT_JOINS = Query(
    select(broadcast_joins.c.device, broadcast_joins.c.marks)
    .where(broadcast_joins.c.task == bindparam("task"), broadcast_joins.c.device > bindparam("after"))
    .order_by(broadcast_joins.c.device)
    .limit(bindparam("limit"))
)


class Courier:
    """Brings to connected devices what was committed, here or by another process.

    Args:
        database: to read pages of other processes from.
        log: frames.
        connections: the connected devices.
        notes: devices that shall ask again.
    """

    def __init__(self, database: Database, log: OpenLog, connections: Connections, notes: Notes) -> None:
        self._database = database
        self._log = log
        self._connections = connections
        self._notes = notes
        self._reached: dict[int, int] = {}  # by task: pages up to here were handed over
        self._recalled: set[int] = set()
        self._handing = asyncio.Lock()

    def begin(self, found: Iterable[Progress]) -> None:
        """Take what was there at the start as handed over: whoever connects from now on asks for it."""
        for one in found:
            self._reached[one.task] = one.cursor
            if one.revocation is not None:
                self._recalled.add(one.task)

    async def hand_over(self, step: Step) -> None:
        """Bring a page that was just committed here to its devices."""
        if self._log.get(step.task) is None:
            return  # another process accepted it; `catch_up` will know it
        async with self._handing:
            if self._reached.get(step.task, 0) == step.before:
                await self._offer(step.task, step.on_link)
                self._reached[step.task] = step.cursor
        await self._follow(step.task, LAST_DEVICE if step.ends else step.cursor)
        self.wake()

    async def catch_up(self, found: Iterable[Progress]) -> None:
        """Bring what other processes committed to its devices, and recalls to those that have their messages."""
        for one in found:
            if one.state is BroadcastState.REVOKED:
                entry = self._log.get(one.task)
                if entry is not None and entry.revocation is not None and one.task not in self._recalled:
                    self._recalled.add(one.task)
                    await self._recall(entry)
            else:
                await self._follow(one.task, LAST_DEVICE if one.state is BroadcastState.DONE else one.cursor)
        for task in [task for task in self._reached if self._log.get(task) is None]:
            del self._reached[task]
        self._recalled = {task for task in self._recalled if self._log.get(task) is not None}
        self.wake()

    def wake(self) -> None:
        """Let devices ask again whose page was written since they asked, or who are owed a recall."""
        for device in self._notes.ready(self.is_covered):
            self._connections.wake(device)

    def is_covered(self, task: int, device: int) -> bool:
        """Whether the pages of a task have passed a device, or it is over."""
        entry = self._log.get(task)
        return entry is None or entry.revocation is not None or self._reached.get(task, 0) >= device

    async def _follow(self, task: int, cursor: int) -> None:
        """Hand over the pages up to `cursor` that were not yet; whoever has acknowledged is passed over."""
        async with self._handing:
            reached = self._reached.get(task, 0)
            if reached >= cursor:
                return
            async for rows in self._pages(task, reached):
                for row in rows:
                    await self._offer(task, list(page_of(row).marked(Mark(0))))
                    reached = max(reached, row[1])
            self._reached[task] = max(cursor, reached)

    async def _recall(self, entry: Entry) -> None:
        async for rows in self._pages(entry.task, -1):
            for row in rows:
                await self._offer(entry.task, list(page_of(row).marked(Mark.ARRIVED)), recall=True)
        after = -1
        while joins := await self._read(_NEXT_JOINS, entry.task, after, _JOINS):
            await self._offer(entry.task, [device for device, marks in joins if is_to_recall(marks)], recall=True)
            after = joins[-1][0]

    async def _pages(self, task: int, after: int) -> AsyncIterator[Sequence[Row]]:
        while rows := await self._read(_NEXT_PAGES, task, after, _PAGES):
            yield rows
            after = rows[-1][0]

    async def _read(self, query: Query, task: int, after: int, limit: int) -> Sequence[Row]:
        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(query, task=task, after=after, limit=limit)

        return await self._database.read(work)

    async def _offer(self, task: int, devices: Sequence[int], *, recall: bool = False) -> None:
        for start in range(0, len(devices), _SLICE):
            entry = self._log.get(task)
            if entry is None or (entry.revocation is not None) != recall:
                return  # it was revoked a moment ago
            self._connections.broadcast(devices[start : start + _SLICE], entry.wire_id, entry.frame)
            await asyncio.sleep(0)
