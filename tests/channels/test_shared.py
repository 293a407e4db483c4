"""What channels share: lengths of texts, parts of batches, times of day, limits that are kept."""

from __future__ import annotations

import asyncio
from datetime import datetime, time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.channels.base import Accepted, InvalidToken, PayloadError, RateLimited, SendOutcome
from clarion.channels.batching import bounded, packed, told_apart
from clarion.channels.outcomes import VENDOR_ZONE, next_time, scrub
from clarion.channels.pauses import Pauses
from clarion.channels.text import characters, cut, graphemes, notify_id, wide_characters
from clarion.clock import ManualClock

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("👨‍👩‍👧🇨🇳👍🏽é\u0301包"), max_size=40)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("ab", ["a", "b"]),
        ("e\u0301a", ["e\u0301", "a"]),
        ("👨‍👩‍👧x", ["👨‍👩‍👧", "x"]),
        ("👍🏽👍", ["👍🏽", "👍"]),
        ("🇨🇳🇩🇪🇫", ["🇨🇳", "🇩🇪", "🇫"]),
        ("☎️包", ["☎️", "包"]),
    ],
)
def test_graphemes(text: str, parts: list[str]) -> None:
    assert list(graphemes(text)) == parts


@given(text=TEXTS, limit=st.integers(2, 50), wide=st.booleans())
def test_what_is_cut_fits_and_is_a_beginning(text: str, limit: int, wide: bool) -> None:
    measure = wide_characters if wide else characters
    shorter = cut(text, limit, measure)
    assert measure(shorter) <= limit
    assert "".join(graphemes(text)) == text
    if measure(text) <= limit:
        assert shorter == text
    else:
        assert shorter.endswith("…")
        assert text.startswith(shorter[:-1])


@given(text=TEXTS)
def test_notify_id(text: str) -> None:
    assert 0 < notify_id(text) < 1 << 31


@given(sizes=st.lists(st.integers(0, 20), max_size=40), most=st.integers(1, 5))
def test_packed(sizes: list[int], most: int) -> None:
    parts = packed(sizes, most, lambda size: size, 15)
    assert [size for part in parts for size in part] == sizes
    assert all(0 < len(part) <= most for part in parts)
    assert all(sum(part) <= 15 or len(part) == 1 for part in parts)
    # No part could have had the next one's first, too.
    for one, other in pairwise(parts):
        assert len(one) == most or sum(one) + other[0] > 15


async def test_bounded() -> None:
    running = most = 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await bounded([work] * 20, 3)
    assert (most, running) == (3, 0)
    await bounded([], 3)


@given(bad=st.sets(st.integers(0, 30)), count=st.integers(1, 30))
async def test_tokens_that_are_refused_are_found(bad: set[int], count: int) -> None:
    async def deliver(items: list[int]) -> SendOutcome:
        return InvalidToken() if bad & set(items) else Accepted("")

    outcomes = await told_apart(list(range(count)), deliver)  # type: ignore[arg-type]
    assert [isinstance(outcome, InvalidToken) for outcome in outcomes] == [item in bad for item in range(count)]


@pytest.mark.parametrize(
    ("now", "of_day", "expected"),
    [
        ((2026, 11, 24, 23, 59), time(0), (2026, 11, 25, 0, 0)),
        ((2026, 11, 24, 0, 0), time(0), (2026, 11, 25, 0, 0)),
        ((2026, 11, 24, 6, 59), time(7), (2026, 11, 24, 7, 0)),
        ((2026, 12, 31, 23, 0), time(7), (2027, 1, 1, 7, 0)),
    ],
)
def test_next_time(now: tuple[int, ...], of_day: time, expected: tuple[int, ...]) -> None:
    def at(parts: tuple[int, ...]) -> int:
        year, month, day, hour, minute = parts
        return int(datetime(year, month, day, hour, minute, tzinfo=VENDOR_ZONE).timestamp() * 1000)

    assert next_time(at(now), of_day) == at(expected)


def test_limits_are_kept_by_kind_until_they_end() -> None:
    clock = ManualClock()
    pauses = Pauses(clock, frozenset({"1"}))
    other = RateLimited(clock.now_ms() + 3_600_000, "429")
    assert pauses.noted("a", other) is other
    assert pauses.noted("a", PayloadError("1")) == PayloadError("1")
    assert pauses.limit("a") is None
    noted = pauses.noted("a", RateLimited(clock.now_ms() + 3_600_000, "1"))
    assert noted == RateLimited(clock.now_ms() + 3_600_000, "1", whole=False)
    assert pauses.limit("a") == noted
    assert pauses.limit("b") is None
    clock.advance(3600)
    assert pauses.limit("a") is None


def test_limits_are_bounded() -> None:
    clock = ManualClock()
    pauses = Pauses(clock, frozenset({"1"}))
    for number in range(5000):
        pauses.noted(str(number), RateLimited(clock.now_ms() + 3_600_000, "1"))
    assert len(pauses._limits) <= 1000
    assert pauses.limit("4999") is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("token abc is bad", "token … is bad"),
        (None, ""),
        (7, ""),
        ("x" * 9000, ""),
        ("x" * 400, "x" * 300),
        ("a\nb\x00", "a b "),
    ],
)
def test_scrub(text: object, expected: str) -> None:
    assert scrub(text, ("abc", "")) == expected
