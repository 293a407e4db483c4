"""Rates, pauses and breakers, with time handed in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.delivery.vendors.pacing import Breaker, BreakerState, Pace


class TestPace:
    def test_without_a_rate_everything_goes_at_once(self) -> None:
        pace = Pace()
        pace.spend(1_000_000, 0.0)
        assert pace.wait(0.0) == 0
        assert pace.allowance(0.0) > 1_000_000

    def test_a_burst_and_then_the_rate(self) -> None:
        pace = Pace(rate=100, burst=200)
        assert pace.allowance(0.0) == 200
        pace.spend(200, 0.0)
        assert pace.allowance(0.0) == 0
        assert pace.wait(0.0) == pytest.approx(0.01)
        assert pace.allowance(0.5) == 50
        assert pace.allowance(100.0) == 200

    @given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 500)), max_size=60))
    def test_never_more_than_the_burst_and_what_the_time_gives(self, steps: list[tuple[float, int]]) -> None:
        pace, now, spent = Pace(rate=50, burst=100), 0.0, 0
        for pause, wanted in steps:
            now += pause
            count = min(wanted, pace.allowance(now))
            pace.spend(count, now)
            spent += count
            assert spent <= 100 + 50 * now + 1

    def test_a_pause_is_kept_and_not_shortened(self) -> None:
        pace = Pace(rate=100)
        pace.pause_until(10.0)
        pace.pause_until(5.0)
        assert pace.wait(4.0) == 6.0
        assert pace.allowance(9.9) == 0
        assert pace.allowance(10.0) > 0


class TestBreaker:
    def test_it_opens_after_failures_in_a_row_only(self) -> None:
        breaker = Breaker(failures=3)
        for _ in range(2):
            breaker.failed(0.0, "down")
        breaker.succeeded()
        for _ in range(2):
            breaker.failed(0.0, "down")
        assert breaker.wait(0.0) == 0
        breaker.failed(0.0, "503 down")
        assert breaker.state is BreakerState.OPEN
        assert breaker.reason == "503 down"
        assert breaker.wait(0.0) == 1.0

    def test_wrong_credentials_open_it_at_once(self) -> None:
        breaker = Breaker()
        breaker.failed(0.0, "403", final=True)
        assert breaker.wait(0.0) == 1.0
        assert breaker.begin()
        breaker.failed(1.0, "403", final=True)
        assert breaker.wait(1.0) == 300.0

    def test_a_probe_at_a_time_and_pauses_that_double(self) -> None:
        breaker, now, pauses = Breaker(failures=1, longest=10), 0.0, []
        breaker.failed(now, "down")
        for _ in range(6):
            pauses.append(breaker.wait(now))
            now += breaker.wait(now)
            assert breaker.begin()
            assert breaker.wait(now) == float("inf")
            breaker.failed(now, "down")
        assert pauses == [1, 2, 4, 8, 10, 10]
        now += breaker.wait(now)
        assert breaker.begin()
        breaker.succeeded()
        assert breaker.state is BreakerState.CLOSED
        assert not breaker.begin()
        breaker.failed(now, "down")
        assert breaker.wait(now) == 1

    def test_batches_that_end_while_it_is_open_change_nothing(self) -> None:
        breaker = Breaker(failures=1)
        breaker.failed(0.0, "first")
        breaker.failed(0.5, "second")
        assert breaker.wait(0.0) == 1.0
        assert breaker.reason == "first"
        breaker.succeeded()
        assert breaker.state is BreakerState.OPEN
