"""The way of a broadcast from its commit to its last page."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from clarion.channels.message import PushContent
from clarion.clock import Clock, heard
from clarion.delivery.accept import Accepted, NewTask
from clarion.delivery.broadcasts.courier import Courier
from clarion.delivery.broadcasts.inbox import BroadcastInbox
from clarion.delivery.broadcasts.joins import Joins
from clarion.delivery.broadcasts.log import OpenLog, Progress, entry_of
from clarion.delivery.broadcasts.notes import Notes
from clarion.delivery.broadcasts.parts import PartsDue
from clarion.delivery.broadcasts.planner import Planner
from clarion.delivery.broadcasts.receipts import BroadcastReceipts
from clarion.delivery.broadcasts.retention import BroadcastRetention
from clarion.delivery.broadcasts.revoke import Revocation, Revoked, revoke_broadcasts
from clarion.delivery.broadcasts.seen import SeenCursors
from clarion.delivery.connections import Connections
from clarion.delivery.ledger import Ledger
from clarion.delivery.routing import Routes
from clarion.ids import IdGenerator
from clarion.store.database import Database
from clarion.store.group import GroupWriter

POLL_SECONDS = 2.0
"""How long a broadcast that another process accepted, or that a crash left, may go unnoticed."""

_LONGEST_PAUSE = 0.05
_STEP_JOINS = 200
_AT_ONCE = 50
"""Most broadcasts that take turns."""


class Broadcasts:
    """All that there is to broadcasts once they are accepted.

    Args:
        database: to read from.
        writer: shares its transactions with the pushes, so that a page never holds one up for long.
        connections: the connected devices.
        ledger: counts.
        ids: numbers of recalls, and of parts.
        clock: validity and times.
        routes: the vendor channels that apps have set up.
        due: told of parts that are vendors' to bring.
        retention_days: how long broadcasts are kept.

    Attributes:
        inbox: what devices are owed.
        receipts: what devices tell.
        joins: gives devices that come late their place.
    """

    def __init__(
        self,
        database: Database,
        writer: GroupWriter,
        connections: Connections,
        ledger: Ledger,
        ids: IdGenerator,
        clock: Clock,
        routes: Routes,
        due: PartsDue,
        retention_days: int = 30,
    ) -> None:
        notes = Notes()
        self._writer = writer
        self._ids = ids
        self._due = due
        self._clock = clock
        self._log = OpenLog(database, clock)
        self._planner = Planner(database, writer, ledger, clock, routes, ids)
        self._courier = Courier(database, self._log, connections, notes)
        self._seen = SeenCursors(writer, clock, notes)
        self._retention = BroadcastRetention(writer, clock, retention_days)
        self._news = asyncio.Event()
        self._recalls = asyncio.Event()
        self.receipts = BroadcastReceipts(self._log, ledger, notes)
        self.inbox = BroadcastInbox(self._log, self.receipts, notes)
        self.joins = Joins(self._log, routes, connections, ledger, ids, clock)

    async def open(self) -> None:
        """Read what is open; to be done before the first device connects."""
        self._courier.begin(await self._log.refresh())
        self._news.set()

    def announce(self, order: NewTask, content: PushContent, accepted: Accepted) -> None:
        """Begin with a broadcast that was just committed."""
        if not accepted.repeated:
            self._log.put([entry_of(order, content)])
            self._news.set()

    async def revoke(self, app: int, task: int) -> Revoked | None:
        """Stop a broadcast and recall it from the devices that have it; None when the app has no such broadcast.

        It is on disk when this returns: nobody gets the broadcast any more. Connected devices are told at once,
        others when they connect, for a week. A repeat changes nothing.

        Raises:
            StoreUnavailable: it could not be committed.
        """
        asked = Revocation(app, task, self._ids.next(), self._clock.now_ms())
        result = await self._writer.submit(revoke_broadcasts, asked)
        if result is not None:
            self._stop(await self._log.refresh())
            self._recalls.set()
        return result

    async def tend(self) -> bool:
        """Wait for a recall, for `POLL_SECONDS` at most; then keep up."""
        await heard(self._recalls, POLL_SECONDS)
        self._recalls.clear()
        await self.keep_up()
        return False

    async def work(self) -> bool:
        """Wait for a broadcast, for `POLL_SECONDS` at most; then write its pages."""
        await heard(self._news, POLL_SECONDS)
        self._news.clear()
        await self.write_pages()
        return False

    async def keep_up(self) -> None:
        """Bring to connected devices what other processes did; wake those that wait; move their cursors."""
        found = await self._log.refresh()
        self._stop(found)
        await self._courier.catch_up(found)
        late = self.joins.covered(self._courier.is_covered)
        for start in range(0, len(late), _STEP_JOINS):
            step = late[start : start + _STEP_JOINS]
            await asyncio.gather(
                *(self._writer.submit(self.joins.readmit, device) for device in {d for _, d in step})
            )
            self.joins.settled(step)
        while await self._seen.flush():
            pass

    def _stop(self, found: Iterable[Progress]) -> None:
        """Have vendors sent no more of what was revoked."""
        self._due.stop([one.task for one in found if one.revocation is not None])

    async def write_pages(self) -> None:
        """Write a page of each unfinished broadcast in turn, until all are finished.

        One at which another process is faster is left to that process, until it is looked for again. A pause after
        each page is as long as the work for it took: half of the time is for pushes to single people, on any
        machine. Waiting for the commit is no work.
        """
        turns = deque(await self._planner.unfinished(_AT_ONCE))
        while turns:
            task, began = turns.popleft(), self._clock.monotonic()
            step = await self._planner.next_step(task)
            worked = self._clock.monotonic() - began
            if step is not None and await self._planner.write(step):
                self._due.add(step.app, step.vendors)
                began = self._clock.monotonic()
                await self._courier.hand_over(step)
                worked += self._clock.monotonic() - began
                if not step.ends:
                    turns.append(task)
            await asyncio.sleep(min(worked, _LONGEST_PAUSE))
            if self._news.is_set():
                self._news.clear()
                turns.extend(task for task in await self._planner.unfinished(_AT_ONCE) if task not in turns)

    async def retain(self) -> int:
        """Delete a little of what is past retention; how many rows."""
        return await self._retention.retain()
