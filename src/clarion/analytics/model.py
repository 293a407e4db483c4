"""Values and rules of the statistics. Pure; docs/statistics.md says what each figure means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from clarion.channels.registry import PLATFORMS, Channel, Platform
from clarion.delivery.series import PushKind, pattern
from clarion.pushes.content import invalid
from clarion.tenants.calendar import day_of

MAX_SPAN_DAYS = 90
"""Most days from the first to the last day of a question."""
MAX_PAGE_SIZE = 500
"""Most tasks on a page, and as many as a page has when the caller does not say."""
MAX_PAGE_NUMBER = 10_000
"""The last page that can be asked for."""

_LAST_MS = 32_503_680_000_000  # the year 3000: times from there on are no milliseconds

V = TypeVar("V")

PLATFORM_WORDS: Mapping[str, Platform] = {name.upper(): platform for name, platform in PLATFORMS.items()}
"""Platforms by the words that the caller may use, in capitals."""
CHANNEL_WORDS: Mapping[str, Channel] = {
    **{channel.manufacturer.upper(): channel for channel in Channel},
    **{channel.label.upper(): channel for channel in Channel},
}
"""Channels likewise: `ANDROID` is the own link, `IOS` Apple's; their names on the command line are taken too."""
KIND_WORDS: Mapping[str, PushKind] = {kind.name: kind for kind in PushKind}
"""Kinds of push likewise."""


class Sums(NamedTuple):
    """The five figures of a series, or of several.

    Attributes:
        total: messages that were pushed.
        success: those that were delivered: acknowledged on the own link, or taken by a vendor (status 2).
        arrival: those that a device has.
        opened: those that a user opened.
        ignored: those that a user swiped away.
    """

    total: int = 0
    success: int = 0
    arrival: int = 0
    opened: int = 0
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages count. None: all."""

    platform: Platform | None = None
    channel: Channel | None = None
    kind: PushKind | None = None

    @classmethod
    def of(cls, platform: str | None, channel: str | None, kind: str | None) -> Selection:
        """What the words of a request mean; their case does not matter, an empty one is as good as none.

        Raises:
            Refusal: 3028 for an unknown word, with those that there are.
        """
        return cls(
            _word("Platform", platform, PLATFORM_WORDS),
            _word("Channel", channel, CHANNEL_WORDS),
            _word("Type", kind, KIND_WORDS),
        )

    @property
    def pattern(self) -> tuple[int, int]:
        """The series that count, as `delivery.series.pattern` has them."""
        return pattern(self.kind, self.platform, self.channel)


@dataclass(frozen=True, slots=True)
class CoreIndex:
    """The figures of a selection, with its rates in percent (0 to 100, two decimals; 0 of nothing is 0).

    Attributes:
        sums: the figures.
        seen: the messages that a user can have seen, the base of the open rate: those that arrived and, as iOS apps
            report no arrivals, all of iOS that were delivered.
    """

    sums: Sums
    seen: int

    @property
    def arrival_rate(self) -> float:
        """Of what was delivered."""
        return _rate(self.sums.arrival, self.sums.success)

    @property
    def open_rate(self) -> float:
        """Of what users can have seen."""
        return _rate(self.sums.opened, self.seen)

    @property
    def ignore_rate(self) -> float:
        """Of what arrived."""
        return _rate(self.sums.ignored, self.sums.arrival)


def _rate(part: int, base: int) -> float:
    # A message may arrive though its delivery was given up; no rate is over 100 for that.
    return min(100.0, round(100 * part / base, 2)) if base > 0 else 0.0


class Days(NamedTuple):
    """A range of days (days since 1970 in the app's zone), both included."""

    first: int
    last: int

    @classmethod
    def between(cls, start_ms: int, end_ms: int, zone: ZoneInfo) -> Days:
        """The days of two moments.

        Raises:
            Refusal: 3028 when they are in the wrong order, too far apart, or no times in ms.
        """
        check_time("StartTime", start_ms)
        check_time("EndTime", end_ms)
        if end_ms < start_ms:
            invalid("EndTime is before StartTime")
        days = cls(day_of(start_ms, zone), day_of(end_ms, zone))
        if days.last - days.first > MAX_SPAN_DAYS:
            invalid(f"there are over {MAX_SPAN_DAYS} days between StartTime and EndTime")
        return days


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A multiple or broadcast push in a list; `created_at` in ms."""

    task: int
    kind: PushKind
    name: str
    template: int | None
    template_name: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class TaskDetail:
    """The figures of one task. `started_at`, `ended_at`: ms; a task that is not done ends now."""

    task: int
    sums: Sums
    started_at: int
    ended_at: int

    @property
    def duration(self) -> str:
        """How long it took: `00 hour 01 minute 36 seconds`."""
        minutes, seconds = divmod((self.ended_at - self.started_at) // 1000, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours:02} hour {minutes:02} minute {seconds:02} seconds"


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted: its number, from 1, and its size.

    Raises:
        Refusal: 3028 when there is no such page.
    """

    number: int = 1
    size: int = MAX_PAGE_SIZE

    def __post_init__(self) -> None:
        if not 1 <= self.number <= MAX_PAGE_NUMBER:
            invalid(f"PageNumber must be 1 to {MAX_PAGE_NUMBER}")
        if not 1 <= self.size <= MAX_PAGE_SIZE:
            invalid(f"PageSize must be 1 to {MAX_PAGE_SIZE}")

    @property
    def offset(self) -> int:
        """How many entries come before it."""
        return (self.number - 1) * self.size


def check_time(name: str, at_ms: int) -> int:
    """A moment that can be asked about. Raises `Refusal` 3028."""
    if not 0 <= at_ms < _LAST_MS:
        invalid(f"{name} must be milliseconds since 1970")
    return at_ms


def task_id(text: str) -> int:
    """The number of a task. Raises `Refusal` 3028."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        invalid("TaskId must be the number that a multiple or broadcast push was answered with")
    return int(digits)


def _word(name: str, text: str | None, words: Mapping[str, V]) -> V | None:
    wanted = (text or "").strip().upper()
    if not wanted:
        return None
    if wanted not in words:
        invalid(f"{name} must be one of {', '.join(words)}")
    return words[wanted]
