"""How fast a line may go: rate, pauses, limit of a day, breaker. Pure, with time handed in (monotonic seconds)."""

from __future__ import annotations

from enum import Enum

_NEVER = float("-inf")


class Pace:
    """A rate that gives way: a bucket of one second's targets, pauses, and a slower start after them.

    A vendor that says "too much" is given a pause, and then half of what it was sent before; the rate grows back
    within a minute, by the same amount each second. What it says during a pause, and in the second after it, is
    about the same excess, and does not halve the rate again. A line without a rate is slowed down in the same way,
    until it is at eight times what was too much.

    Args:
        rate: most targets a second; 0 for no limit.

    Attributes:
        rate: targets a second as of the last look; 0 for no limit.
    """

    LONGEST_SLOWING = 60.0
    """A longer pause (s) is a matter of quotas, not of the rate, and leaves the rate alone."""
    _RECOVERY_SECONDS = 60.0
    _HEADROOM = 8.0
    _LEAST = 1.0

    def __init__(self, rate: float = 0.0) -> None:
        self.rate = rate
        self._nominal = rate
        self._growth = 0.0  # of the rate, a second
        self._goal = rate  # where growing ends
        self._level = max(rate, self._LEAST)
        self._at = _NEVER  # when the level was that
        self._resume_at = _NEVER
        self._meter = _Meter()

    def pause_until(self, moment: float) -> None:
        """Send nothing before `moment`; an earlier pause is not shortened."""
        self._resume_at = max(self._resume_at, moment)

    def limited(self, now: float, until: float) -> None:
        """The vendor says that it was too much, and wants a pause until then."""
        known = now < self._resume_at + 1.0
        self.pause_until(until)
        if known or until - now > self.LONGEST_SLOWING:
            return
        self._advance(now)
        measured = self._meter.best(now)
        excess = min(self.rate, measured) if self.rate and measured else self.rate or measured
        if not excess:
            return
        self.rate = max(excess / 2, self._LEAST)
        self._goal = self._nominal or excess * self._HEADROOM
        self._growth = max(0.0, self._goal - self.rate) / self._RECOVERY_SECONDS
        self._level, self._at = min(self._level, self.rate), now

    def wait(self, now: float, wanted: int = 1) -> float:
        """Seconds until `wanted` targets, or as many as ever go at once, may be sent; 0 for now."""
        self._advance(now)
        if not self.rate:
            return self.paused(now)
        missing = min(wanted, int(self._burst)) - self._level
        return max(self.paused(now), missing / self.rate if missing > _ROUNDING else 0.0)

    def paused(self, now: float) -> float:
        """Seconds that a pause lasts still."""
        return max(0.0, self._resume_at - now)

    def allowance(self, now: float) -> int:
        """How many targets may be sent now."""
        self._advance(now)
        if self._resume_at > now:
            return 0
        return int(self._level + _ROUNDING) if self.rate else 1 << 30

    def spend(self, count: int, now: float) -> None:
        """Note that `count` targets were sent."""
        self._advance(now)
        self._meter.add(count, now)
        if self.rate:
            self._level -= count

    @property
    def _burst(self) -> float:
        return max(self.rate, self._LEAST)

    def _advance(self, now: float) -> None:
        elapsed, self._at = now - self._at, max(now, self._at)
        if not self.rate or elapsed <= 0:
            return
        before = self.rate
        if self._growth:
            self.rate = min(self._goal, before + self._growth * elapsed)
        self._level = min(self._burst, self._level + (before + self.rate) / 2 * elapsed)
        if self._growth and self.rate >= self._goal:
            self._growth, self.rate = 0.0, self._nominal


_ROUNDING = 1e-6


class _Meter:
    """How much was sent in the best of the last seconds."""

    _SECONDS = 5

    def __init__(self) -> None:
        self._sent: dict[int, int] = {}

    def add(self, count: int, now: float) -> None:
        second = int(now)
        if second not in self._sent:
            self._forget(second)
        self._sent[second] = self._sent.get(second, 0) + count

    def best(self, now: float) -> float:
        self._forget(int(now))
        return float(max(self._sent.values(), default=0))

    def _forget(self, second: int) -> None:
        self._sent = {each: sent for each, sent in self._sent.items() if each > second - self._SECONDS}


class DayLimit:
    """An own limit of targets a day.

    Args:
        limit: targets a day; 0 for none.
        day: number of the day on which `used` was counted.
        used: how many targets vendors took on that day, or may have taken.
    """

    def __init__(self, limit: int = 0, day: int = 0, used: int = 0) -> None:
        self.limit = limit
        self._day = day
        self._used = used

    def room(self, day: int) -> int:
        """How many targets may be sent still on a day."""
        if not self.limit:
            return 1 << 30
        return max(0, self.limit - (self._used if day == self._day else 0))

    def spend(self, count: int, day: int) -> None:
        """Note that `count` targets are sent; what is not taken in the end is given back with a negative count."""
        if day > self._day:
            self._day, self._used = day, 0
        if day == self._day:
            self._used = max(0, self._used + count)


class BreakerState(Enum):
    """Whether a line sends."""

    CLOSED = "closed"
    """It sends."""
    OPEN = "open"
    """It does not: the vendor failed too often, or the credentials are wrong."""
    HALF_OPEN = "half open"
    """One batch is under way to see whether the vendor is well again."""


MOVES: dict[BreakerState, frozenset[BreakerState]] = {
    BreakerState.CLOSED: frozenset({BreakerState.OPEN}),
    BreakerState.OPEN: frozenset({BreakerState.HALF_OPEN}),
    BreakerState.HALF_OPEN: frozenset({BreakerState.CLOSED, BreakerState.OPEN}),
}
"""The allowed moves of a breaker."""


class Breaker:
    """Stops a line whose vendor does not work, and tries again after pauses that double.

    Args:
        failures: how many batches in a row have to fail.
        first: first pause, s.
        longest: longest pause, s.

    Attributes:
        state: where it stands.
        reason: why it opened last; empty if it never did.
        final: whether it opened for a reason that only the operator can mend.
    """

    def __init__(self, failures: int = 5, first: float = 1.0, longest: float = 300.0) -> None:
        self.state = BreakerState.CLOSED
        self.reason = ""
        self.final = False
        self._limit = failures
        self._first = first
        self._longest = longest
        self._failed = 0
        self._pauses = 0
        self._until = _NEVER

    def wait(self, now: float) -> float:
        """Seconds until a batch may be sent; 0 for now, infinity while a probe is under way."""
        if self.state is BreakerState.CLOSED:
            return 0.0
        if self.state is BreakerState.HALF_OPEN:
            return float("inf")
        return max(0.0, self._until - now)

    def begin(self) -> bool:
        """A batch is about to be sent; whether it is a probe, which should be small."""
        if self.state is BreakerState.OPEN:
            self._move(BreakerState.HALF_OPEN)
            return True
        return False

    def succeeded(self) -> None:
        """A batch reached a vendor that works, whatever it said of the targets."""
        self._failed = 0
        self._pauses = 0
        if self.state is BreakerState.HALF_OPEN:
            self._move(BreakerState.CLOSED)

    def failed(self, now: float, reason: str, *, final: bool = False) -> None:
        """A batch failed for reasons that have nothing to do with its targets.

        Args:
            now: monotonic time, s.
            reason: for people.
            final: whether trying more often is of no use (wrong credentials).
        """
        self._failed += 1
        if self.state is BreakerState.OPEN or not (
            final or self.state is BreakerState.HALF_OPEN or self._failed >= self._limit
        ):
            return
        self._move(BreakerState.OPEN)
        self.reason = reason
        self.final = final
        pause = self._longest if final and self._pauses else self._first * 2**self._pauses
        self._until = now + min(self._longest, pause)
        self._pauses = min(self._pauses + 1, 16)

    def _move(self, state: BreakerState) -> None:
        if state not in MOVES[self.state]:
            raise RuntimeError(f"a breaker cannot move from {self.state.value} to {state.value}")
        self.state = state
