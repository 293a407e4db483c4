from __future__ import annotations

import pytest

from clarion.analytics.model import (
    CHANNEL_WORDS,
    MAX_PAGE_NUMBER,
    MAX_PAGE_SIZE,
    CoreIndex,
    Days,
    Page,
    Selection,
    Sums,
    TaskDetail,
    task_id,
)
from clarion.channels.registry import Channel, Platform
from clarion.delivery.series import PushKind
from clarion.results import Refusal, ResultCode
from clarion.tenants.calendar import time_zone

SHANGHAI, BERLIN = time_zone("Asia/Shanghai"), time_zone("Europe/Berlin")
HOUR, DAY = 3_600_000, 86_400_000
MIDNIGHT = 1_640_966_400_000
"""2022-01-01 00:00 in Shanghai."""
EVERY = Selection()


@pytest.mark.parametrize(
    ("words", "selection"),
    [
        ((None, None, None), EVERY),
        (("", " ", ""), EVERY),
        (("ios", "Ios", "simple"), Selection(Platform.IOS, Channel.APNS, PushKind.SIMPLE)),
        (("ANDROID", "ANDROID", "TEMPLATE"), Selection(Platform.ANDROID, Channel.LINK, PushKind.TEMPLATE)),
        (("HarmonyOS", "HARMONYOS", "MULTIPLE"), Selection(Platform.HARMONY, Channel.HARMONY, PushKind.MULTIPLE)),
        ((" harmony ", "honor", "BroadCast"), Selection(Platform.HARMONY, Channel.HONOR, PushKind.BROADCAST)),
    ],
)
def test_words(words: tuple[str | None, ...], selection: Selection) -> None:
    assert Selection.of(*words) == selection


def test_every_channel_has_a_word() -> None:
    assert set(CHANNEL_WORDS.values()) == set(Channel)
    for word in ("IOS", "FCM", "HMS", "MIUI", "OPPO", "VIVO", "ANDROID", "HONOR", "HARMONYOS"):
        assert word in CHANNEL_WORDS


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("WINDOWS", None, None), "Platform must be one of ANDROID, IOS, HARMONYOS"),
        ((None, "SMS", None), "Channel must be one of ANDROID, IOS, MIUI"),
        ((None, None, "0"), "Type must be one of SIMPLE, TEMPLATE, MULTIPLE, BROADCAST"),
    ],
)
def test_an_unknown_word_is_refused_with_those_that_there_are(words: tuple[str | None, ...], told: str) -> None:
    with pytest.raises(Refusal, match=told) as refused:
        Selection.of(*words)
    assert refused.value.result is ResultCode.INVALID_PARAM


def test_rates_are_percentages() -> None:
    index = CoreIndex(Sums(10, 8, 6, 2, 1), 6)
    assert (index.arrival_rate, index.open_rate, index.ignore_rate) == (75.0, 33.33, 16.67)
    whole = CoreIndex(Sums(1, 1, 1, 1, 1), 1)
    assert (whole.arrival_rate, whole.open_rate, whole.ignore_rate) == (100.0, 100.0, 100.0)


def test_rates_of_nothing_are_nothing() -> None:
    for index in (CoreIndex(Sums(), 0), CoreIndex(Sums(10), 0)):
        assert (index.arrival_rate, index.open_rate, index.ignore_rate) == (0.0, 0.0, 0.0)


def test_the_open_rate_is_of_what_was_seen() -> None:
    assert CoreIndex(Sums(10, 8, 0, 2, 0), 8).open_rate == 25.0


def test_no_rate_is_over_a_hundred() -> None:
    index = CoreIndex(Sums(10, 1, 2, 3, 3), 2)
    assert (index.arrival_rate, index.open_rate, index.ignore_rate) == (100.0, 100.0, 100.0)


def test_days_are_those_of_the_zone() -> None:
    first = MIDNIGHT // DAY + 1
    assert Days.between(MIDNIGHT, MIDNIGHT, SHANGHAI) == (first, first)
    assert Days.between(MIDNIGHT - 1, MIDNIGHT + DAY - 1, SHANGHAI) == (first - 1, first)
    assert Days.between(MIDNIGHT + 7 * HOUR - 1, MIDNIGHT + 7 * HOUR, BERLIN) == (first - 1, first)


def test_ninety_days_are_the_most() -> None:
    assert Days.between(MIDNIGHT, MIDNIGHT + 90 * DAY, SHANGHAI).last - MIDNIGHT // DAY - 1 == 90
    assert Days.between(MIDNIGHT + DAY - 1, MIDNIGHT + 90 * DAY, SHANGHAI)
    for end in (MIDNIGHT + 91 * DAY, MIDNIGHT - 1, -1):
        with pytest.raises(Refusal) as refused:
            Days.between(MIDNIGHT, end, SHANGHAI)
        assert refused.value.result is ResultCode.INVALID_PARAM


def test_a_change_of_clocks_costs_no_day() -> None:
    march = 1_711_753_200_000  # 2024-03-30 00:00 in Berlin; clocks go forward the next night
    assert (
        Days.between(march, march + 90 * DAY - HOUR, BERLIN).last - Days.between(march, march, BERLIN).first == 90
    )


@pytest.mark.parametrize("at", [-1, 1 << 53, (1 << 63) - 1])
def test_times_that_are_none(at: int) -> None:
    with pytest.raises(Refusal, match="StartTime must be milliseconds"):
        Days.between(at, at, SHANGHAI)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (96_000, "00 hour 01 minute 36 seconds"),
        (999, "00 hour 00 minute 00 seconds"),
        (HOUR + 2 * 60_000 + 3_000, "01 hour 02 minute 03 seconds"),
        (100 * HOUR, "100 hour 00 minute 00 seconds"),
    ],
)
def test_duration(milliseconds: int, text: str) -> None:
    start = 1_630_052_735_000
    assert TaskDetail(1, Sums(), start, start + milliseconds).duration == text


def test_pages() -> None:
    assert (Page().offset, Page().size) == (0, 500)
    assert Page(3, 20).offset == 40
    for number, size in ((0, 1), (MAX_PAGE_NUMBER + 1, 1), (1, 0), (1, MAX_PAGE_SIZE + 1)):
        with pytest.raises(Refusal) as refused:
            Page(number, size)
        assert refused.value.result is ResultCode.INVALID_PARAM


def test_task_ids_are_numbers() -> None:
    assert task_id(" 20842863 ") == 20842863
    for text in ("", "x", "1.0", "-1", "٣", "1" * 19):
        with pytest.raises(Refusal) as refused:
            task_id(text)
        assert refused.value.result is ResultCode.INVALID_PARAM
