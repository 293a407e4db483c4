"""Writing the pages of a broadcast, one a transaction; a cursor says where to go on, also after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select, text, update

from clarion.channels.message import LINK_ONLY, decode_content
from clarion.clock import Clock
from clarion.delivery.accept import TargetType
from clarion.delivery.broadcasts.audience import MEMBERS, STRIDE, span_parameters
from clarion.delivery.broadcasts.log import PLATFORM_OF, broadcast_series
from clarion.delivery.broadcasts.model import BroadcastState, decode_audience
from clarion.delivery.broadcasts.pages import PAGE_DEVICES, Page, pack_numbers
from clarion.delivery.broadcasts.parts import NewPart, Ways, insert_parts, ways_of
from clarion.delivery.ledger import Count, Figure, Ledger
from clarion.delivery.routing import LINK, Reachable, Routes
from clarion.ids import IdGenerator
from clarion.store.database import Database, Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Insert, Query
from clarion.store.schema import tasks
from clarion.store.schema_campaigns import UNFINISHED_BROADCASTS, broadcast_pages, broadcasts

LAST_DEVICE = (1 << 63) - 1
"""The cursor of a broadcast all of whose pages are written."""

_STANDS = Query(
    select(
        broadcasts.c.app,
        broadcasts.c.target_type,
        broadcasts.c.state,
        broadcasts.c.cursor,
        broadcasts.c.audience,
        broadcasts.c.created_at,
        broadcasts.c.expires_at,
        tasks.c.content,
    )
    .join(tasks, tasks.c.task == broadcasts.c.task)
    .where(broadcasts.c.task == bindparam("task"))
)
_UNFINISHED = Query(
    select(broadcasts.c.task)
    .where(text(UNFINISHED_BROADCASTS), broadcasts.c.task > 0)
    .order_by(broadcasts.c.task)
    .limit(bindparam("limit"))
)
_ADVANCE = Query(
    update(broadcasts)
    .values(cursor=bindparam("reached"), state=bindparam("now_state"), ended_at=bindparam("end"))
    .where(
        broadcasts.c.task == bindparam("id"),
        broadcasts.c.cursor == bindparam("before"),
        broadcasts.c.state == int(BroadcastState.RUNNING),
    )
)
_INSERT_PAGE = Insert(broadcast_pages, ("task", "first", "last", "at", "devices", "marks", "times", "routes"))


_NOBODY = Ways(b"", b"", {})


class Step(NamedTuple):
    """A step of a broadcast: the next page, or its end.

    Attributes:
        task: the broadcast.
        app: internal number of its app.
        platform: label of the platform that it goes to.
        before: its cursor before the step.
        cursor: its cursor after it.
        ends: whether it is the last step.
        devices: the devices of the page, ascending.
        ways: how they are reached.
    """

    task: int
    app: int
    platform: str
    before: int
    cursor: int
    ends: bool
    devices: Sequence[int] = ()
    ways: Ways = _NOBODY

    @property
    def on_link(self) -> Sequence[int]:
        """The devices that get it over the own link."""
        return self.ways.by_channel.get(LINK, ())

    @property
    def vendors(self) -> Sequence[str]:
        """Labels of the vendor channels that bring it to the others."""
        return [channel for channel in self.ways.by_channel if channel != LINK]


class Planner:
    """Writes pages.

    The devices of a page are looked up before its transaction, which only has to be short. A device that comes into
    the audience in between is not in the page; it is owed the broadcast as one that joined (`broadcasts.inbox`).

    Args:
        database: to read from.
        writer: shares its transactions with the pushes.
        ledger: counts the devices.
        clock: times of pages; tells whether the validity is over.
        routes: the vendor channels that apps have set up.
        ids: numbers of parts.
    """

    def __init__(
        self,
        database: Database,
        writer: GroupWriter,
        ledger: Ledger,
        clock: Clock,
        routes: Routes,
        ids: IdGenerator,
    ) -> None:
        self._database = database
        self._writer = writer
        self._ledger = ledger
        self._clock = clock
        self._routes = routes
        self._ids = ids

    async def unfinished(self, limit: int) -> Sequence[int]:
        """The first broadcasts that still have pages to go."""

        async def work(transaction: Transaction) -> Sequence[int]:
            return [task for (task,) in await transaction.fetch(_UNFINISHED, limit=limit)]

        return await self._database.read(work)

    async def take_step(self, task: int) -> Step | None:
        """Write the next page of a broadcast; None when there is none, or another process was faster."""
        step = await self.next_step(task)
        return step if step is not None and await self.write(step) else None

    async def next_step(self, task: int) -> Step | None:
        """Look the next step of a broadcast up; None when there is none."""
        return await self._database.read(lambda transaction: self._look_up(transaction, task))

    async def write(self, step: Step) -> bool:
        """Take a step; False when another process was faster, or the broadcast was revoked."""
        return await self._writer.submit(self._write, step)

    async def _look_up(self, transaction: Transaction, task: int) -> Step | None:
        row = await transaction.fetch_one(_STANDS, task=task)
        if row is None or row[2] != BroadcastState.RUNNING:
            return None
        app, target_type, _, cursor, audience, accepted_at, expires_at, content = row
        platform = PLATFORM_OF[TargetType(target_type)]
        if expires_at <= self._clock.now_ms():
            return Step(task, app, platform, cursor, cursor, ends=True)
        stride = await transaction.fetch_one(STRIDE, app=app, after=cursor)
        upto = LAST_DEVICE if stride is None else stride[0]
        spans = span_parameters(decode_audience(audience), accepted_at)
        rows = await transaction.fetch(
            MEMBERS, app=app, after=cursor, upto=upto, platform=platform, limit=PAGE_DEVICES, **spans
        )
        members = [Reachable(*row) for row in rows]
        devices = [member.device for member in members]
        link_only = decode_content(bytes(content)).notify_type == LINK_ONLY
        ways = ways_of(members, self._routes.channels(app), link_only=link_only)
        reached = devices[-1] if len(devices) == PAGE_DEVICES else upto
        return Step(task, app, platform, cursor, reached, reached == LAST_DEVICE, devices, ways)

    async def _write(self, transaction: Transaction, batch: Sequence[Step]) -> list[bool]:
        """Write steps; False for one that was taken already, or whose broadcast was revoked."""
        return [await self._write_step(transaction, step) for step in batch]

    async def _write_step(self, transaction: Transaction, step: Step) -> bool:
        now = self._clock.now_ms()
        state, end = (BroadcastState.DONE, now) if step.ends else (BroadcastState.RUNNING, None)
        if not await transaction.execute(
            _ADVANCE, id=step.task, before=step.before, reached=step.cursor, now_state=int(state), end=end
        ):
            return False
        if step.devices:
            await self._write_page(transaction, step, now)
        return True

    async def _write_page(self, transaction: Transaction, step: Step, now: int) -> None:
        devices, ways = step.devices, step.ways
        first = devices[0]
        page = (
            step.task,
            first,
            devices[-1],
            now,
            pack_numbers(devices),
            ways.marks,
            Page.no_times(len(devices)),
            ways.routes,
        )
        await transaction.insert(_INSERT_PAGE, [page])
        parts = [
            NewPart(step.task, first, step.app, channel, ways.by_channel[channel], now) for channel in step.vendors
        ]
        await insert_parts(transaction, parts, self._ids)
        counts = [
            Count(
                step.app,
                step.task,
                step.task,
                broadcast_series(step.platform, channel),
                Figure.TOTAL,
                len(numbers),
            )
            for channel, numbers in ways.by_channel.items()
        ]
        await self._ledger.count(transaction, counts, now)
