"""Rates, pauses and breakers, with time handed in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.delivery.vendors.pacing import Breaker, BreakerState, DayLimit, Pace


class TestPace:
    def test_without_a_rate_everything_goes_at_once(self) -> None:
        pace = Pace()
        pace.spend(1_000_000, 0.0)
        assert pace.wait(0.0, 1000) == 0
        assert pace.allowance(0.0) > 1_000_000

    def test_a_second_s_worth_and_then_the_rate(self) -> None:
        pace = Pace(rate=100)
        assert pace.allowance(0.0) == 100
        pace.spend(100, 0.0)
        assert pace.allowance(0.0) == 0
        assert pace.wait(0.0) == pytest.approx(0.01)
        assert pace.allowance(0.5) == 50
        assert pace.allowance(100.0) == 100

    def test_a_batch_waits_until_it_can_go_as_a_whole(self) -> None:
        pace = Pace(rate=100)
        pace.spend(100, 0.0)
        assert pace.wait(0.0, 50) == pytest.approx(0.5)
        assert pace.wait(0.0, 1000) == pytest.approx(1.0)  # more than a second's worth never goes at once
        assert Pace(rate=0.5).wait(0.0, 1000) == 0

    @given(
        st.sampled_from([0.5, 50.0, 333.0]),
        st.lists(st.tuples(st.floats(0, 10), st.integers(1, 500), st.booleans()), max_size=60),
    )
    def test_never_more_than_a_second_s_worth_and_what_the_time_gives(
        self, rate: float, steps: list[tuple[float, int, bool]]
    ) -> None:
        pace, now, spent = Pace(rate), 0.0, 0
        for pause, wanted, limited in steps:
            now += pause
            if limited:
                pace.limited(now, now + 0.5)
            count = min(wanted, pace.allowance(now))
            pace.spend(count, now)
            spent += count
            assert spent <= max(rate, 1.0) + max(rate, 1.0) * now + 1
            assert 0 < pace.rate <= max(rate, 1.0)

    def test_a_pause_is_kept_and_not_shortened(self) -> None:
        pace = Pace(rate=100)
        pace.pause_until(10.0)
        pace.pause_until(5.0)
        assert pace.wait(4.0) == 6.0
        assert pace.allowance(9.9) == 0
        assert pace.allowance(10.0) > 0

    def test_too_much_halves_the_rate_and_it_grows_back_within_a_minute(self) -> None:
        pace = Pace(rate=1000)
        pace.spend(1000, 0.0)
        pace.limited(0.5, 2.5)
        assert pace.rate == 500
        assert pace.allowance(2.4) == 0
        assert pace.allowance(32.5) <= 1000
        assert 700 < pace.rate < 800
        pace.wait(61.0)
        assert pace.rate == 1000

    def test_half_of_what_was_sent_if_that_was_below_the_rate(self) -> None:
        pace = Pace(rate=1000)
        pace.spend(100, 0.0)
        pace.limited(0.5, 1.0)
        assert pace.rate == 50

    def test_the_same_excess_counts_once_and_the_next_one_again(self) -> None:
        pace = Pace(rate=1000)
        pace.spend(1000, 0.0)
        for answer in range(8):
            pace.limited(0.5 + answer / 10, 2.5)
        assert pace.rate == 500
        pace.spend(500, 4.0)
        pace.limited(4.0, 5.0)
        assert 240 <= pace.rate <= 300

    def test_a_line_without_a_rate_is_slowed_down_for_a_while(self) -> None:
        pace = Pace()
        pace.spend(400, 0.2)
        pace.spend(400, 0.8)
        pace.limited(1.0, 2.0)
        assert pace.rate == 400
        assert pace.allowance(2.0) <= 470
        assert pace.allowance(31.0) == 3400
        assert pace.allowance(60.9) == 6390
        pace.wait(62.0)
        assert pace.rate == 0
        assert pace.allowance(62.0) > 1_000_000

    def test_a_quota_is_a_pause_and_no_excess(self) -> None:
        pace = Pace(rate=1000)
        pace.spend(1000, 0.0)
        pace.limited(0.5, 7200.0)
        assert pace.rate == 1000
        assert pace.wait(0.5) == pytest.approx(7199.5)

    def test_an_answer_to_what_was_sent_long_ago_slows_nothing_down(self) -> None:
        pace = Pace()
        pace.spend(1, 0.0)
        pace.limited(30.0, 31.0)
        assert pace.rate == 0
        assert pace.wait(30.0) == 1.0


class TestDayLimit:
    def test_without_a_limit_there_is_always_room(self) -> None:
        day = DayLimit()
        day.spend(1_000_000, 5)
        assert day.room(5) > 1_000_000

    def test_what_was_taken_before_counts_and_the_next_day_is_new(self) -> None:
        day = DayLimit(100, 7, 60)
        day.spend(30, 7)
        assert (day.room(7), day.room(8)) == (10, 100)
        day.spend(-30, 7)
        assert day.room(7) == 40
        day.spend(5, 8)
        day.spend(-30, 7)  # what was not taken yesterday does not matter today
        assert day.room(8) == 95

    def test_more_than_the_limit_leaves_no_room(self) -> None:
        assert DayLimit(100, 7, 160).room(7) == 0


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
