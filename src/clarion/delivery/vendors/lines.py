"""All lines of a process: opened when something is to be sent, refilled from the database, closed at the end."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol

import structlog

from clarion.channels.base import (
    Accepted,
    Envelope,
    NotRecallable,
    RateLimited,
    RecallOutcome,
    SendOutcome,
    VendorChannel,
    VendorCopy,
)
from clarion.channels.files import Terms
from clarion.clock import Clock
from clarion.delivery.accept import LEASE_MS
from clarion.delivery.broadcasts.parts import PartsDue
from clarion.delivery.connections import Connections
from clarion.delivery.series import PushKind
from clarion.delivery.vendors.claims import Abandon, Claim, Hasten, abandon, claim, hasten
from clarion.delivery.vendors.lanes import LANE_OF, Lane
from clarion.delivery.vendors.line import Line, LineLimits
from clarion.delivery.vendors.pacing import DayLimit
from clarion.delivery.vendors.part_recorder import PartBatch, PartRecorder
from clarion.delivery.vendors.quota import vendor_day
from clarion.delivery.vendors.recorder import Batch, Recorder
from clarion.delivery.vendors.release import release, releases
from clarion.delivery.vendors.verdicts import TAKEN, Case, Policy, verdict
from clarion.delivery.vendors.waiting import Unsent, Waiting
from clarion.delivery.vendors.watch import Watch
from clarion.delivery.vendors.wording import Judged
from clarion.failures import StoreUnavailable
from clarion.store.group import GroupWriter

log = structlog.get_logger(__name__)

_CLOSE_SECONDS = 30.0
REFILL = 500
"""Most deliveries that are leased for a line in one transaction."""
_LEAST_WAITING = 1_000


class LineName(NamedTuple):
    """An app's internal number and a channel's label."""

    app: int
    channel: str


class ChannelSource(Protocol):
    """The channels that apps have set up."""

    def apps(self) -> Iterable[int]:
        """Internal numbers of all apps."""
        ...

    def revision_of(self, name: LineName) -> int | None:
        """Grows when a channel is changed; None when it is not to be used (any more)."""
        ...

    def configured(self) -> Iterable[LineName]:
        """Every channel of every app that is to be used."""
        ...

    async def open(self, name: LineName) -> VendorChannel | None:
        """A way to the vendor with the current settings; None when they cannot be used (the log says why)."""
        ...

    async def terms(self, name: LineName) -> Terms:
        """How much the vendor may be sent; no limits when the settings cannot be used."""
        ...

    def has_link(self, name: LineName) -> bool:
        """Whether devices of the channel may have the own link as well."""
        ...


class Lines:
    """Opens lines and keeps them filled.

    Args:
        source: the channels that apps have set up.
        writer: leases and records.
        recorder: what is recorded of messages.
        parts: what is recorded of broadcasts.
        due: told when a line has room for parts of broadcasts.
        connections: woken when a message goes over to the own link.
        clock: leases and pauses.
        owner: name of this process, which no other has.
        limits: bounds of each line.
        policy: how patient delivery is.
        rng: spreads pauses.
    """

    def __init__(
        self,
        source: ChannelSource,
        writer: GroupWriter,
        recorder: Recorder,
        parts: PartRecorder,
        due: PartsDue,
        connections: Connections,
        clock: Clock,
        owner: str,
        limits: LineLimits | None = None,
        policy: Policy | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.owner = owner
        self._source = source
        self._writer = writer
        self._recorder = recorder
        self._parts = parts
        self._due = due
        self._connections = connections
        self._clock = clock
        self._limits = limits or LineLimits()
        self._policy = policy or Policy()
        self._random = rng or random.Random()  # noqa: S311 - spreads load, hides nothing
        self._lines: dict[LineName, Line] = {}
        self._opening: dict[LineName, asyncio.Task[Line | None]] = {}
        self._revisions: dict[LineName, int | None] = {}
        self._tallies: dict[LineName, Counter[type[SendOutcome]]] = {}
        self._watch = Watch(writer, clock)
        self._configured: frozenset[LineName] | None = None
        self._abandon_until = 0  # leases that were held when a channel went end by then, ms
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def opened(self) -> Mapping[LineName, Line]:
        """The lines that are open."""
        return self._lines

    def keeps_tokens(self, name: LineName) -> bool:
        """Whether refused tokens of a channel are kept now, because they are too many."""
        return self._watch.guards_tokens(name)

    def offer(self, app: int, channel: str, kind: PushKind, envelopes: Sequence[Envelope], until: int) -> None:
        """Take over deliveries that were just committed with a lease of this process until `until` (ms).

        Never blocks. What finds no room is left to the next refill, when the lease has ended.
        """
        if self._closed:
            return
        name, lane = LineName(app, channel), LANE_OF[kind]
        waiting = [Waiting(envelope, lane, until) for envelope in envelopes]
        line = self._lines.get(name)
        if line is not None:
            line.offer(lane, waiting)
            return
        opening = self._open_soon(name)
        opening.add_done_callback(lambda done: _offer_late(done, lane, waiting))

    async def refill(self) -> bool:
        """Fetch what is due and in nobody's hands; whether there may be more at once."""
        await self._renew()
        more = False
        for name in sorted(self._source.configured()):
            line = self._lines.get(name) or await self._open_soon(name)
            if line is None or line.rests:
                continue
            room = min(REFILL, *(line.room(lane) for lane in Lane))
            if room <= 0:
                continue
            found = await self._writer.submit(claim, Claim(name.app, name.channel, room, self.owner, self._now()))
            for lane in Lane:
                line.offer(lane, [each for each in found if each.lane is lane])
            more = more or len(found) == room
        return more

    async def line(self, name: LineName) -> Line | None:
        """The line of a channel; None when the app does not have it, or its settings cannot be used."""
        if self._closed:
            return None
        return self._lines.get(name) or await self._open_soon(name)

    def forget(self, task: int) -> None:
        """Send no more of a broadcast, which was revoked."""
        for line in self._lines.values():
            line.forget(task)

    async def recall(self, name: LineName, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Ask a vendor to take messages back."""
        line = await self.line(name)
        if line is None:
            return [NotRecallable(text="the app does not have the channel any more")] * len(copies)
        return await line.recall(copies)

    async def close(self, seconds: float) -> None:
        """Send no more; wait for what is under way."""
        self._closed = True
        for task in self._opening.values():
            task.cancel()
        lines, self._lines = self._lines, {}
        await asyncio.gather(*self._closing, *(self._close_line(line, seconds) for line in lines.values()))

    async def _close_line(self, line: Line, seconds: float) -> None:
        """Close a line, and let whoever comes next send at once what it did not."""
        await self.give_back(await line.close(seconds))

    async def give_back(self, unsent: Unsent) -> None:
        """Let others lease what was not sent."""
        try:
            await asyncio.gather(*(self._writer.submit(release, each) for each in releases(self.owner, unsent)))
        except StoreUnavailable as error:
            log.warning("leases_not_given_back", error=str(error))  # they end by themselves

    async def _renew(self) -> None:
        """Close lines whose settings have changed."""
        for name in [name for name in self._lines if self._source.revision_of(name) != self._revisions.get(name)]:
            closing = asyncio.get_running_loop().create_task(
                self._close_line(self._lines.pop(name), _CLOSE_SECONDS)
            )
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        configured = frozenset(self._source.configured())
        if configured != self._configured:
            self._configured = configured
            self._abandon_until = self._now() + 2 * LEASE_MS
        if self._now() <= self._abandon_until:
            await self._abandon(configured)

    async def _abandon(self, configured: frozenset[LineName]) -> None:
        """Let what waits for a channel that is gone go over to the own link, once nobody has it leased."""
        for app in self._source.apps():
            labels = sorted(name.channel for name in configured if name.app == app)
            for handler in (abandon, self._parts.abandon):
                while moved := await self._writer.submit(handler, Abandon(app, labels, self._now())):
                    for device in moved:
                        self._connections.wake(device)

    def _open_soon(self, name: LineName) -> asyncio.Task[Line | None]:
        task = self._opening.get(name)
        if task is None:
            task = self._opening[name] = asyncio.get_running_loop().create_task(self._open(name))
        return task

    async def _open(self, name: LineName) -> Line | None:
        try:
            revision = self._source.revision_of(name)
            limits, day, pause = await self._bounds(name, revision or 0)
            vendor = await self._source.open(name)
            if vendor is None:
                return None

            async def record(batch: Sequence[Waiting], outcomes: Sequence[SendOutcome]) -> None:
                keep_tokens = self._watch.keeps_tokens(name, revision or 0, outcomes)
                await self.record(name, batch, outcomes, keep_tokens=keep_tokens)

            remember = partial(self._watch.paused, name, revision or 0)
            asks = partial(self._due.add, name.app, (name.channel,))
            line = Line(f"{name.app}/{name.channel}", vendor, record, self._clock, limits, day, remember, asks)
            line.tally = self._tallies.setdefault(name, line.tally)
            if pause is not None:
                line.hold(pause)
            self._lines[name] = line
            self._revisions[name] = revision
            return line
        finally:
            self._opening.pop(name, None)

    async def _bounds(self, name: LineName, revision: int) -> tuple[LineLimits, DayLimit, RateLimited | None]:
        """How much a line may send, and the pause that it is in since before it was opened."""
        terms = await self._source.terms(name)
        known = await self._watch.remembered(name, revision)
        if known.lifted:
            while await self._writer.submit(hasten, Hasten(name.app, name.channel, self._now())):
                pass
        limits = self._limits
        if terms.rate:
            # More than a lease's worth would only wait until its lease has ended.
            waiting = max(_LEAST_WAITING, int(terms.rate * LEASE_MS / 2000))
            limits = replace(limits, rate=terms.rate, waiting=min(limits.waiting, waiting))
        return limits, DayLimit(terms.daily_limit, vendor_day(self._now()), known.targets), known.pause

    async def record(
        self,
        name: LineName,
        batch: Sequence[Waiting],
        outcomes: Sequence[SendOutcome],
        *,
        keep_tokens: bool = False,
    ) -> None:
        """Make outcomes of one lane durable, and do what follows from them."""
        now = self._now()
        has_link = self._source.has_link(name)
        chance = self._random.random()
        judged = []
        for each, outcome in zip(batch, outcomes, strict=True):
            if each.part is None:
                chance = self._random.random()
            if type(outcome) is Accepted:
                judged.append(Judged(each, outcome, TAKEN))
                continue
            case = Case(each.envelope, each.lane, has_link, now, chance, keep_tokens, each.repeats)
            judged.append(Judged(each, outcome, verdict(outcome, case, self._policy)))
        for device in await self._submit(name, judged, now):
            self._connections.wake(device)

    async def _submit(self, name: LineName, judged: Sequence[Judged], now: int) -> frozenset[int]:
        """Record, and insist while the database is away: what was sent must not be sent again for want of a row.

        Returns:
            Devices that are owed a message on the own link now.
        """
        # All of one lane, so either each is of a broadcast or none is.
        if judged and judged[0].waiting.part is not None:
            parts = PartBatch(name.app, name.channel, self.owner, now, judged)
            return await self._writer.insist(self._parts.record, parts, lambda: self._closed)
        batch = Batch(name.app, name.channel, self.owner, now, judged)
        return await self._writer.insist(self._recorder.record, batch, lambda: self._closed)

    def _now(self) -> int:
        return self._clock.now_ms()


def _offer_late(opening: asyncio.Task[Line | None], lane: Lane, waiting: Sequence[Waiting]) -> None:
    if not opening.cancelled() and opening.exception() is None and (line := opening.result()) is not None:
        line.offer(lane, waiting)


class VendorRecaller:
    """Recalls through the lines of one channel; a `channels.base.Recaller`."""

    def __init__(self, lines: Lines, channel: str) -> None:
        self._lines = lines
        self._channel = channel

    async def recall(self, app: int, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Take back what the vendor took for devices of an app."""
        return await self._lines.recall(LineName(app, self._channel), copies)
