"""Tokens are kept while too many of them are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.channels.base import Accepted, ConfigError, InvalidToken, PayloadError, Retry, SendOutcome, Unknown
from clarion.delivery.vendors.guard import Guard, counted


def test_only_outcomes_that_speak_of_the_token_count() -> None:
    others: list[SendOutcome] = [Retry(), Unknown(), PayloadError(), ConfigError()]
    assert counted([Accepted("id"), InvalidToken(), InvalidToken(), *others]) == (2, 3)


def test_a_dead_token_here_and_there_is_forgotten() -> None:
    guard = Guard()
    assert all(guard.judge(second / 10, second % 10 == 0, 1) for second in range(2000))


@pytest.mark.parametrize(("invalid", "total", "may"), [(10, 50, True), (11, 50, False), (49, 49, True)])
def test_the_limit_of_a_batch(invalid: int, total: int, *, may: bool) -> None:
    guard = Guard()
    assert guard.judge(0.0, invalid, total) is may
    assert guard.closed is not may


def test_no_token_of_a_bad_batch_is_forgotten_however_good_the_others_were() -> None:
    guard = Guard()
    assert guard.judge(0.0, 0, 100_000)
    assert not guard.judge(1.0, 900, 1000)


def test_single_outcomes_add_up() -> None:
    guard = Guard()
    answers = [guard.judge(second / 100, 1, 1) for second in range(100)]
    assert answers == [True] * 49 + [False] * 51


def test_it_opens_a_minute_after_it_was_over_the_limit_last() -> None:
    guard = Guard()
    assert not guard.judge(0.0, 50, 50)
    assert not guard.judge(59.0, 1, 1)  # the window is still over the limit
    assert not guard.judge(118.0, 1, 1)
    assert guard.judge(119.5, 1, 1)
    assert not guard.closed


def test_it_stays_closed_as_long_as_the_mistake_lasts() -> None:
    guard = Guard()
    assert [guard.judge(second, 3, 4) for second in range(400)].count(True) == 12  # the first 48 of 50


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(0, 80), st.integers(0, 80)), max_size=80))
def test_what_it_counts_is_the_last_minute(batches: list[tuple[float, int, int]]) -> None:
    guard, now, seen = Guard(), 0.0, []
    for pause, invalid, valid in batches:
        now += pause
        seen.append((int(now), invalid, invalid + valid))
        may = guard.judge(now, invalid, invalid + valid)
        recent = [each for each in seen if each[0] > now - 60]
        assert (guard.invalid, guard.total) == (sum(each[1] for each in recent), sum(each[2] for each in recent))
        if guard.total >= 50 and guard.invalid > 0.2 * guard.total:
            assert not may
