"""One app's way to one vendor: what waits for it, how fast it goes, when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from clarion.channels.base import (
    ConfigError,
    Envelope,
    RateLimited,
    RecallOutcome,
    Retry,
    SendOutcome,
    Unknown,
    VendorChannel,
    VendorCopy,
)
from clarion.clock import Clock
from clarion.delivery.vendors.lanes import Lane, Lanes
from clarion.delivery.vendors.pacing import Breaker, Pace

log = structlog.get_logger(__name__)

_TROUBLES = (Retry, Unknown, ConfigError)
_RECHECK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LineLimits:
    """Bounds of a line.

    Attributes:
        window: most batches under way at once.
        waiting: most envelopes of each lane that wait in memory.
        rate: targets a second; 0 for no limit.
        margin: an envelope whose lease ends within this time is left to whoever leases it next, s.
    """

    window: int = 8
    waiting: int = 10_000
    rate: float = 0.0
    margin: float = 20.0


class Waiting(NamedTuple):
    """An envelope in a line.

    Attributes:
        envelope: what is to be sent.
        lane: how urgent it is.
        leased_until: until when this process has its row, ms.
    """

    envelope: Envelope
    lane: Lane
    leased_until: int


Record = Callable[[Sequence[Waiting], Sequence[SendOutcome]], Awaitable[None]]
"""Makes outcomes durable; one for each envelope."""


class Line:
    """Sends what waits, in order of urgency.

    Args:
        name: for logs: app and channel.
        vendor: sends.
        record: makes outcomes durable.
        clock: for leases, pace and breaker.
        limits: bounds.

    Attributes:
        breaker: whether it sends.
        pace: how fast.
        in_flight: envelopes that were handed to the vendor and have no recorded outcome.
    """

    def __init__(
        self, name: str, vendor: VendorChannel, record: Record, clock: Clock, limits: LineLimits | None = None
    ) -> None:
        self.breaker = Breaker()
        self._limits = limits or LineLimits()
        self.pace = Pace(self._limits.rate)
        self.in_flight = 0
        self._name = name
        self._vendor = vendor
        self._record = record
        self._clock = clock
        self._lanes: Lanes[Waiting] = Lanes(self._limits.waiting)
        self._news = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Envelopes that wait in memory."""
        return len(self._lanes)

    @property
    def rests(self) -> bool:
        """Whether it sends nothing for a while, so that more need not be fetched for it."""
        now = self._clock.monotonic()
        return max(self.pace.wait(now), self.breaker.wait(now)) > _RECHECK_SECONDS

    def room(self, lane: Lane) -> int:
        """How many envelopes a lane takes still."""
        return self._lanes.room(lane)

    def offer(self, lane: Lane, envelopes: Iterable[Waiting]) -> int:
        """Put envelopes into a lane; how many it took. The rest is found in the database when its lease ends."""
        taken = self._lanes.put(lane, envelopes)
        if taken:
            self._news.set()
            if self._running is None:
                self._running = asyncio.get_running_loop().create_task(self._run(), name=f"line {self._name}")
        return taken

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        """Ask the vendor to take messages back."""
        return await self._vendor.recall(copies)

    async def close(self, seconds: float) -> None:
        """Send no more, and wait for what is under way."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None
        if self._sending:
            await asyncio.wait(self._sending, timeout=seconds)
        await self._vendor.close()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            if not self._lanes or len(self._sending) >= self._limits.window:
                await self._news.wait()
                continue
            now = self._clock.monotonic()
            wait = max(self.pace.wait(now), self.breaker.wait(now))
            if wait > 0:
                if self.breaker.final and self.breaker.wait(now):
                    await self._give_back()
                else:
                    await _heard(self._news, min(wait, _RECHECK_SECONDS))
                continue
            probe = self.breaker.begin()
            most = 1 if probe else min(self._vendor.batch, max(1, self.pace.allowance(now)))
            batch = self._still_leased(self._lanes.take(most))
            if not batch:
                if probe:
                    self.breaker.failed(now, self.breaker.reason)
                continue
            self.pace.spend(len(batch), now)
            self.in_flight += len(batch)
            task = asyncio.get_running_loop().create_task(self._send(batch))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._news.set()

    async def _give_back(self) -> None:
        """Nothing can be sent until the operator mends the credentials: say so at once, others may know a way."""
        batch = self._still_leased(self._lanes.take(self._vendor.batch))
        outcome = ConfigError(text=self.breaker.reason)
        try:
            await self._record(batch, [outcome] * len(batch))
        except Exception:
            log.exception("outcomes_not_recorded", line=self._name, count=len(batch))

    def _still_leased(self, batch: list[Waiting]) -> list[Waiting]:
        until = self._clock.now_ms() + int(self._limits.margin * 1000)
        return [each for each in batch if each.leased_until > until]

    async def _send(self, batch: list[Waiting]) -> None:
        try:
            outcomes: Sequence[SendOutcome]
            try:
                outcomes = await self._vendor.send([each.envelope for each in batch])
            except Exception:
                # A channel must not raise; whatever it was about to say, the messages may have been sent.
                log.exception("channel_failed", line=self._name)
                outcomes = [Unknown(text="the channel failed; the log says why")] * len(batch)
            self._judge(outcomes)
            await self._record(batch, outcomes)
        except Exception:
            # What was sent is not recorded: its leases end, and it is sent again.
            log.exception("outcomes_not_recorded", line=self._name, count=len(batch))
        finally:
            self.in_flight -= len(batch)

    def _judge(self, outcomes: Sequence[SendOutcome]) -> None:
        now = self._clock.monotonic()
        limited = [each.until for each in outcomes if isinstance(each, RateLimited) and each.whole]
        if limited:
            self.pace.pause_until(now + max(0.0, (max(limited) - self._clock.now_ms()) / 1000))
        troubles = [outcome for outcome in outcomes if isinstance(outcome, _TROUBLES)]
        if troubles and len(troubles) == len(outcomes):
            worst = next((each for each in troubles if isinstance(each, ConfigError)), troubles[0])
            final = all(isinstance(each, ConfigError) for each in troubles)
            self.breaker.failed(now, f"{worst.code} {worst.text}".strip(), final=final)
            if self.breaker.wait(now):
                log.warning("line_stopped", line=self._name, reason=self.breaker.reason)
        else:
            self.breaker.succeeded()


async def _heard(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
