"""How fast a line may go: its rate, its pauses, and its breaker. Pure, with time handed in (monotonic seconds)."""

from __future__ import annotations

from enum import Enum

_NEVER = float("-inf")


class Pace:
    """A token bucket over targets, and pauses that a vendor asks for.

    Args:
        rate: targets a second; 0 for no limit.
        burst: most targets at once after a silence.
    """

    def __init__(self, rate: float = 0.0, burst: float = 1000.0) -> None:
        self._rate = rate
        self._burst = max(burst, 1.0)
        self._full_at = _NEVER  # when the bucket will be full
        self._resume_at = _NEVER

    def pause_until(self, moment: float) -> None:
        """Send nothing before `moment`; an earlier pause is not shortened."""
        self._resume_at = max(self._resume_at, moment)

    def wait(self, now: float) -> float:
        """Seconds until something may be sent; 0 for now."""
        paused = self._resume_at - now
        if not self._rate:
            return max(0.0, paused)
        missing = 1.0 - self._level(now)
        return max(0.0, paused, missing / self._rate)

    def allowance(self, now: float) -> int:
        """How many targets may be sent now."""
        if self._resume_at > now:
            return 0
        return int(self._level(now)) if self._rate else 1 << 30

    def spend(self, count: int, now: float) -> None:
        """Note that `count` targets were sent."""
        if self._rate:
            self._full_at = max(self._full_at, now) + count / self._rate

    def _level(self, now: float) -> float:
        return min(self._burst, self._burst - (self._full_at - now) * self._rate)


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
