"""Sending the SMS that are owed: a line for each app, filled from the database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from sqlalchemy import bindparam, select

from clarion.channels.base import SendOutcome
from clarion.clock import Clock, heard
from clarion.delivery.sms.claims import STEP_ROWS, Claims, ClaimSms
from clarion.delivery.sms.recorder import SmsBatch, SmsRecorder
from clarion.delivery.sms.rules import SMS
from clarion.delivery.vendors.lanes import Lane
from clarion.delivery.vendors.line import Line, LineLimits
from clarion.delivery.vendors.lines import ChannelSource, LineName
from clarion.delivery.vendors.pacing import DayLimit
from clarion.delivery.vendors.quota import vendor_day
from clarion.delivery.vendors.waiting import Waiting
from clarion.delivery.vendors.watch import Watch
from clarion.store.database import Database, Row, Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.store.schema_vendors import supplements

POLL_SECONDS = 0.5
_CLOSE_SECONDS = 30.0
_LIMITS = LineLimits(waiting=2 * STEP_ROWS, margin=45.0)
"""A question and a call take 15 s each at the most; they shall end before the lease does."""

_DUE_APPS = Query(select(supplements.c.app).where(supplements.c.due_at <= bindparam("now")).distinct())


class _Open(NamedTuple):
    revision: int
    line: Line


class Supplements:
    """Sends SMS.

    Args:
        database: tells what is due.
        source: the channels that apps have set up.
        writer: leases and records.
        claims: what is leased.
        recorder: what is recorded.
        clock: leases and pauses.
        owner: name of this process, which no other has.
    """

    def __init__(
        self,
        database: Database,
        source: ChannelSource,
        writer: GroupWriter,
        claims: Claims,
        recorder: SmsRecorder,
        clock: Clock,
        owner: str,
    ) -> None:
        self._database = database
        self._source = source
        self._writer = writer
        self._claims = claims
        self._recorder = recorder
        self._clock = clock
        self._owner = owner
        self._watch = Watch(writer, clock)
        self._lines: dict[int, _Open] = {}
        self._closing: set[asyncio.Task[object]] = set()
        self._news = asyncio.Event()
        self._closed = False

    @property
    def opened(self) -> Mapping[LineName, Line]:
        """The lines that are open."""
        return {LineName(app, SMS): held.line for app, held in self._lines.items()}

    def wake(self) -> None:
        """An SMS was committed that may be due at once."""
        self._news.set()

    async def turn(self) -> bool:
        """Wait for an SMS, for `POLL_SECONDS` at most; then send what is due. Whether there may be more at once."""
        await heard(self._news, POLL_SECONDS)
        self._news.clear()
        if more := await self.send_due():
            self._news.set()
        return more

    async def send_due(self) -> bool:
        """Lease what is due and begin to send it; whether there may be more at once."""
        self._retire([app for app, held in self._lines.items() if self._revision(app) != held.revision])
        now = self._clock.now_ms()

        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(_DUE_APPS, now=now)

        more = False
        for (app,) in await self._database.read(work):
            line = await self._line(app)
            if line is not None and line.rests:
                continue  # it waits in the database, where it can still be cancelled
            room = STEP_ROWS if line is None else min(STEP_ROWS, line.room(Lane.SINGLE))
            if room <= 0:
                continue
            asked = ClaimSms(app, room, self._owner, self._clock.now_ms(), line is not None)
            claimed = await self._writer.submit(self._claims.claim, asked)
            if line is not None:
                line.offer(Lane.SINGLE, claimed.waiting)
            more = more or claimed.rows == room
        return more

    async def close(self, seconds: float) -> None:
        """Send no more; wait for what is under way."""
        self._closed = True
        lines, self._lines = self._lines, {}
        await asyncio.gather(*self._closing, *(held.line.close(seconds) for held in lines.values()))

    def _revision(self, app: int) -> int | None:
        return self._source.revision_of(LineName(app, SMS))

    async def _line(self, app: int) -> Line | None:
        if (held := self._lines.get(app)) is not None:
            return held.line
        name, revision = LineName(app, SMS), self._revision(app)
        if revision is None or (vendor := await self._source.open(name)) is None:
            return None
        terms, known = await self._source.terms(name), await self._watch.remembered(name, revision)
        line = Line(
            f"{app}/{SMS}",
            vendor,
            partial(self._record, app),
            self._clock,
            replace(_LIMITS, rate=terms.rate),
            DayLimit(terms.daily_limit, vendor_day(self._clock.now_ms()), known.targets),
            partial(self._watch.paused, name, revision),
        )
        if known.pause is not None:
            line.hold(known.pause)
        self._lines[app] = _Open(revision, line)
        return line

    def _retire(self, apps: Sequence[int]) -> None:
        """Close lines whose settings have changed; what they hold comes back when its lease ends."""
        for app in apps:
            closing = asyncio.get_running_loop().create_task(self._lines.pop(app).line.close(_CLOSE_SECONDS))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _record(self, app: int, batch: Sequence[Waiting], outcomes: Sequence[SendOutcome]) -> None:
        """Record, and insist while the database is away: what was sent must not be sent again for want of a row."""
        said = SmsBatch(app, self._owner, self._clock.now_ms(), list(zip(batch, outcomes, strict=True)))
        await self._writer.insist(self._recorder.record, said, lambda: self._closed)
