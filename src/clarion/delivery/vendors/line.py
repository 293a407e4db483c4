"""One app's way to one vendor: what waits for it, how fast it goes, when it stops."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeGuard

import structlog

from clarion.channels.base import (
    Accepted,
    ConfigError,
    RateLimited,
    RecallOutcome,
    Retry,
    SendOutcome,
    Unknown,
    VendorChannel,
    VendorCopy,
)
from clarion.channels.outcomes import VENDOR_ZONE
from clarion.clock import Clock, heard
from clarion.delivery.vendors.lanes import Lane, Lanes
from clarion.delivery.vendors.pacing import Breaker, DayLimit, Pace
from clarion.delivery.vendors.quota import taken, used_up, vendor_day
from clarion.delivery.vendors.waiting import Unsent, Waiting

log = structlog.get_logger(__name__)

_TROUBLES = (Retry, Unknown, ConfigError)
_RECHECK_SECONDS = 1.0
_LONGEST_RETRY_AFTER = 300.0
_RECORD_SECONDS = 5.0
LASTING = 60.0
"""A pause that is longer than this (s) is worth remembering over a restart."""


@dataclass(frozen=True, slots=True)
class LineLimits:
    """Bounds of a line.

    Attributes:
        window: most batches under way at once.
        reserved: how many of them a broadcast leaves to more urgent lanes.
        waiting: most envelopes of each lane that wait in memory.
        rate: targets a second; 0 for no limit.
        margin: an envelope whose lease ends within this time is left to whoever leases it next, s.
        patience: while a limit lasts longer than this, what waits is given back, s.
    """

    window: int = 8
    reserved: int = 2
    waiting: int = 10_000
    rate: float = 0.0
    margin: float = 45.0  # a call may take 30 s, and a token before it
    patience: float = 600.0


Record = Callable[[Sequence[Waiting], Sequence[SendOutcome]], Awaitable[None]]
"""Makes outcomes durable; one for each envelope."""

Remember = Callable[[RateLimited], None]
"""Is told of a pause that lasts. Must not block."""


class Line:
    """Sends what waits, in order of urgency.

    Args:
        name: for logs: app and channel.
        vendor: sends.
        record: makes outcomes durable.
        clock: for leases, pace and breaker.
        limits: bounds.
        day: the channel's own limit of a day; None for none.
        remember: is told of a pause that lasts.
        on_room: called when half of the room for broadcasts is free. Must not block.

    Attributes:
        breaker: whether it sends.
        pace: how fast.
        in_flight: envelopes that were handed to the vendor and have no recorded outcome.
        tally: how many outcomes of each type there were.
    """

    def __init__(
        self,
        name: str,
        vendor: VendorChannel,
        record: Record,
        clock: Clock,
        limits: LineLimits | None = None,
        day: DayLimit | None = None,
        remember: Remember | None = None,
        on_room: Callable[[], None] | None = None,
    ) -> None:
        self.breaker = Breaker()
        self._limits = limits or LineLimits()
        self.pace = Pace(self._limits.rate)
        self.in_flight = 0
        self.tally: Counter[type[SendOutcome]] = Counter()
        self._day = day or DayLimit()
        self._remember = remember
        self._on_room = on_room
        self._fed = False  # since it last asked for parts of broadcasts
        self._limit: RateLimited | None = None  # of the whole app, also one that has ended
        self._name = name
        self._vendor = vendor
        self._record = record
        self._clock = clock
        self._lanes: Lanes[Waiting] = Lanes(self._limits.waiting)
        self._news = asyncio.Event()
        self._sending: dict[asyncio.Task[bool], list[Waiting]] = {}
        self._doubtful: set[int] = set()
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """Envelopes that wait in memory."""
        return len(self._lanes)

    @property
    def rests(self) -> bool:
        """Whether nothing is to be fetched for it: it sends nothing for a while, or would send something twice."""
        now = self._clock.monotonic()
        pauses = not self._is_held() and max(self.pace.wait(now), self.breaker.wait(now)) > _RECHECK_SECONDS
        return pauses or self._is_overdue()

    @property
    def paused_until(self) -> int:
        """Until when (ms) a limit of the whole app lasts; a time that has passed if there is none."""
        return self._limit.until if self._limit else 0

    def room(self, lane: Lane) -> int:
        """How many envelopes a lane takes still."""
        return self._lanes.room(lane)

    @property
    def wants(self) -> bool:
        """Whether half of the room for broadcasts is free."""
        return 2 * self._lanes.room(Lane.BROADCAST) >= self._limits.waiting

    def offer(self, lane: Lane, envelopes: Iterable[Waiting]) -> int:
        """Put envelopes into a lane; how many it took (closed: none). The rest is found when its lease ends."""
        if self._closed:
            return 0
        taken = self._lanes.put(lane, envelopes)
        if taken:
            self._fed |= lane is Lane.BROADCAST
            self._news.set()
            if self._running is None:
                self._running = asyncio.get_running_loop().create_task(self._run(), name=f"line {self._name}")
        return taken

    def forget(self, task: int) -> None:
        """Send no more of a broadcast, which was revoked."""
        self._lanes.drop(Lane.BROADCAST, lambda each: each.part is not None and each.part.task == task)
        self._ask_for_more()

    def hold(self, limit: RateLimited) -> None:
        """Send nothing until a limit of the whole app ends."""
        if limit.until <= self.paused_until:
            return
        self._limit = limit
        now, seconds = self._clock.monotonic(), max(0.0, (limit.until - self._clock.now_ms()) / 1000)
        self.pace.limited(now, now + seconds)
        if seconds > LASTING and self._remember is not None:
            self._remember(limit)

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Ask the vendor to take messages back."""
        return await self._vendor.recall(copies)

    async def close(self, seconds: float) -> Unsent:
        """Send no more, and wait for what is under way; what it did not send."""
        self._closed = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None
        if self._sending:
            await asyncio.wait(self._sending, timeout=seconds)
        await self._vendor.close()
        if self._sending:
            # What the channel gave up has an outcome now: it may have been carried out.
            await asyncio.wait(self._sending, timeout=_RECORD_SECONDS)
        for batch in self._sending.values():
            self._doubtful.update(_parts_of(batch))
        return Unsent(self._still_due(self._lanes.clear()), frozenset(self._doubtful))

    async def _run(self) -> None:
        while True:
            self._news.clear()
            if not self._lanes or len(self._sending) >= self._window:
                await self._news.wait()
                continue
            now, day = self._clock.monotonic(), vendor_day(self._clock.now_ms())
            room = self._day.room(day)
            refusal = self._refusal(now, room)
            if refusal is not None:
                await self._give_back(refusal)
                continue
            wait = max(self.pace.wait(now, min(self._vendor.batch, self._lanes.ready)), self.breaker.wait(now))
            if wait > 0 or not room:
                await heard(self._news, min(wait or _RECHECK_SECONDS, _RECHECK_SECONDS))
                continue
            probe = self.breaker.begin()
            most = 1 if probe else min(self._vendor.batch, max(1, self.pace.allowance(now)), room)
            batch = self._still_due(self._lanes.take(most))
            self._ask_for_more()
            if not batch:
                if probe:
                    self.breaker.failed(now, self.breaker.reason)
                continue
            self.pace.spend(len(batch), now)
            self._day.spend(len(batch), day)
            self.in_flight += len(batch)
            task = asyncio.get_running_loop().create_task(self._send(batch, day))
            self._sending[task] = batch
            task.add_done_callback(self._sent)

    @property
    def _window(self) -> int:
        """How many batches may be under way: a broadcast leaves some to what is more urgent."""
        urgent = self._lanes.urgent is not Lane.BROADCAST
        return self._limits.window if urgent else max(1, self._limits.window - self._limits.reserved)

    def _sent(self, task: asyncio.Task[bool]) -> None:
        batch = self._sending.pop(task)
        if task.cancelled() or not task.result():
            self._doubtful.update(_parts_of(batch))
        self._news.set()

    def _ask_for_more(self) -> None:
        if self._on_room is not None and self._fed and self.wants:
            self._fed = False
            self._on_room()

    def _is_held(self) -> bool:
        return self.paused_until - self._clock.now_ms() > self._limits.patience * 1000

    def _is_overdue(self) -> bool:
        """Whether a batch has outlived its lease: the vendor or the database is slow, or the clock jumped."""
        now = self._clock.now_ms()
        return any(batch[0].leased_until <= now for batch in self._sending.values())

    def _refusal(self, now: float, room: int) -> ConfigError | RateLimited | None:
        """What is to be said at once of all that waits, because others may know a way; None if it is to wait."""
        if self.breaker.final and self.breaker.wait(now):
            # Nothing can be sent until the operator mends the credentials.
            return ConfigError(text=self.breaker.reason)
        if not room and not self.in_flight:
            self.hold(used_up(self._day.limit, self._clock.now_ms()))
        if self._limit is None or not self._is_held():
            return None
        moment = datetime.fromtimestamp(self._limit.until / 1000, VENDOR_ZONE)
        text = f"It was not sent, because this lasts until {moment:%Y-%m-%d %H:%M %z}: {self._limit.text}."
        return replace(self._limit, text=text)

    async def _give_back(self, outcome: ConfigError | RateLimited) -> None:
        batch = self._still_due(self._lanes.take(self._vendor.batch))
        self._ask_for_more()
        if not batch:
            return
        self.in_flight += len(batch)
        try:
            await self._record(batch, [outcome] * len(batch))
        except Exception:
            log.exception("outcomes_not_recorded", line=self._name, count=len(batch))
        finally:
            self.in_flight -= len(batch)

    def _still_due(self, batch: list[Waiting]) -> list[Waiting]:
        """What is leased for long enough to be sent, and not over."""
        now = self._clock.now_ms()
        until = now + int(self._limits.margin * 1000)
        return [each for each in batch if each.leased_until > until and each.envelope.expires_at > now]

    async def _send(self, batch: list[Waiting], day: int) -> bool:
        """Send a batch; whether what became of it is recorded."""
        try:
            outcomes: Sequence[SendOutcome]
            try:
                outcomes = await self._vendor.send([each.envelope for each in batch])
            except Exception:
                # A channel must not raise; whatever it was about to say, the messages may have been sent.
                log.exception("channel_failed", line=self._name)
                outcomes = [Unknown(text="the channel failed; the log says why")] * len(batch)
            except asyncio.CancelledError:
                if self._is_cancelled():
                    raise
                outcomes = [Unknown(text="the channel was closed before the vendor answered")] * len(batch)
            self._judge(outcomes)
            self._day.spend(taken(outcomes) - len(batch), day)
            await self._record(batch, outcomes)
        except Exception:
            # What was sent is not recorded: its leases end, and it is sent again.
            log.exception("outcomes_not_recorded", line=self._name, count=len(batch))
            return False
        else:
            return True
        finally:
            self.in_flight -= len(batch)

    @staticmethod
    def _is_cancelled() -> bool:
        """Whether this task itself is to end, and not one of the channel's own that it waited for."""
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    def _judge(self, outcomes: Sequence[SendOutcome]) -> None:
        kinds = Counter(map(type, outcomes))
        self.tally.update(kinds)
        if kinds[Accepted] == len(outcomes):
            self.breaker.succeeded()
            return
        now = self._clock.monotonic()
        limited = [each for each in outcomes if isinstance(each, RateLimited) and each.whole]
        if limited:
            self.hold(max(limited, key=lambda each: each.until))
        asked = [each.after for each in outcomes if isinstance(each, Retry) and each.after]
        if asked:
            self.pace.limited(now, now + min(max(asked), _LONGEST_RETRY_AFTER))
        troubles = [outcome for outcome in outcomes if _is_trouble(outcome)]
        if troubles and len(troubles) == len(outcomes):
            worst = next((each for each in troubles if isinstance(each, ConfigError)), troubles[0])
            final = all(isinstance(each, ConfigError) for each in troubles)
            self.breaker.failed(now, f"{worst.code} {worst.text}".strip(), final=final)
            if self.breaker.wait(now):
                log.warning("line_stopped", line=self._name, reason=self.breaker.reason)
        else:
            self.breaker.succeeded()


def _parts_of(batch: Iterable[Waiting]) -> set[int]:
    return {each.part.part for each in batch if each.part is not None}


def _is_trouble(outcome: SendOutcome) -> TypeGuard[Retry | Unknown | ConfigError]:
    return isinstance(outcome, _TROUBLES) and (not isinstance(outcome, ConfigError) or outcome.whole)
