"""When a timed or cyclic push is due. Pure: time and zone are handed in.

Source: `StrategyType` and the fields of `StrategyContent` in the MPS server APIs. All times are ms since 1970; days
and times of day are those of the app's zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from enum import IntEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from clarion.pushes.content import invalid, map_of, one_of
from clarion.pushes.model import Strategy
from clarion.tenants.calendar import calendar_day, day_of, moment

MAX_CYCLE_DAYS = 180
"""How many days after today a cycle may end."""
MAX_AHEAD_DAYS = 366
"""How many days ahead a timed push may be; the documentation names no limit."""
_DAY_MS = 24 * 3600 * 1000
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class FireState(IntEnum):
    """Where one fire of a schedule stands: the moment at which its push is carried out, or not."""

    WAITING = 0
    EXECUTED = 1
    CANCELLED = 2
    MISSED = 3

    @property
    def label(self) -> str:
        """Its name in lower case."""
        return self.name.lower()


MOVES: dict[FireState, frozenset[FireState]] = {
    FireState.WAITING: frozenset({FireState.EXECUTED, FireState.CANCELLED, FireState.MISSED}),
    FireState.EXECUTED: frozenset(),
    FireState.CANCELLED: frozenset(),
    FireState.MISSED: frozenset(),
}
"""Allowed moves; docs/architecture.md has the diagram that is generated from it."""


class Circle(IntEnum):
    """What a cycle repeats in (`circleType`)."""

    DAILY = 1
    WEEKLY = 2
    MONTHLY = 3


_LAST_VALUE = {Circle.DAILY: 0, Circle.WEEKLY: 7, Circle.MONTHLY: 31}
_VALUE_OF: Mapping[Circle, Callable[[date], int]] = {
    Circle.WEEKLY: date.isoweekday,
    Circle.MONTHLY: lambda day: day.day,
}


class Timing(NamedTuple):
    """When a push is wanted.

    Attributes:
        strategy: timed or cyclic.
        rule: the times in one form, however they were written; the same for a repeated request.
        moments: those of them that are still to come, ascending; none when all are over.
    """

    strategy: Strategy
    rule: bytes
    moments: tuple[int, ...]


def timing_of(strategy: Strategy, text: str | None, now: int, zone: ZoneInfo) -> Timing:
    """What `StrategyContent` says; fields that the strategy does not use may be anything.

    Args:
        strategy: timed or cyclic.
        text: the JSON map.
        now: time, ms.
        zone: the app's.

    Raises:
        Refusal: 3028; the hint says which field, and what to change.
    """
    fields = map_of("StrategyContent", text)
    if not fields:
        example = _EXAMPLES[strategy]
        invalid(f"StrategyContent must be a JSON map when StrategyType is {int(strategy)}, such as {example}")
    return _READERS[strategy](fields, now, zone)


_EXAMPLES = {
    Strategy.TIMED: '{"fixedTime":1893456000000}',
    Strategy.CYCLIC: '{"startTime":1893427200000,"endTime":1894032000000,"circleType":2,"circleValue":[1,3],'
    '"time":"09:45:11"}',
}


def _timed(fields: Mapping[str, Any], now: int, _: ZoneInfo) -> Timing:
    at = _number(fields, "fixedTime", "ms since 1970") // 1000 * 1000
    if at > now + MAX_AHEAD_DAYS * _DAY_MS:
        invalid(f"fixedTime may be at most {MAX_AHEAD_DAYS} days ahead; is it in ms?")
    return Timing(Strategy.TIMED, _canonical(at), (at,) if at > now else ())


def _cyclic(fields: Mapping[str, Any], now: int, zone: ZoneInfo) -> Timing:
    first, last = _period(fields, now, zone)
    number = _number(fields, "circleType", "1 daily, 2 weekly or 3 monthly")
    circle = Circle(one_of("circleType", number, tuple(map(int, Circle)), 0))
    values = _circle_values(fields, circle)
    of_day = _time_of_day(fields)
    days = [day for day in range(first, last + 1) if _recurs(circle, values, day)]
    moments = sorted({at for day in days if (at := moment(day, of_day, zone)) > now})
    return Timing(Strategy.CYCLIC, _canonical((first, last, circle, values, of_day)), tuple(moments))


_READERS: Mapping[Strategy, Callable[[Mapping[str, Any], int, ZoneInfo], Timing]] = {
    Strategy.TIMED: _timed,
    Strategy.CYCLIC: _cyclic,
}


def _period(fields: Mapping[str, Any], now: int, zone: ZoneInfo) -> tuple[int, int]:
    """First and last day; moments within a day mean the day."""
    today = day_of(now, zone)

    def day(name: str) -> int:
        at = _number(fields, name, "ms since 1970")
        return day_of(min(max(at, 0), now + MAX_AHEAD_DAYS * _DAY_MS), zone)  # farther off is wrong all the same

    first, last = day("startTime"), day("endTime")
    if first < today:
        invalid("startTime may not be before today")
    if last < first:
        invalid("endTime may not be before startTime")
    if last > today + MAX_CYCLE_DAYS:
        invalid(f"endTime may be at most {MAX_CYCLE_DAYS} days after today")
    return first, last


def _circle_values(fields: Mapping[str, Any], circle: Circle) -> tuple[int, ...]:
    last = _LAST_VALUE[circle]
    if not last:
        return ()
    given = fields.get("circleValue")
    values = [_whole(value) for value in given] if isinstance(given, list) else []
    numbers = {value for value in values if value is not None and 1 <= value <= last}
    if not values or len(numbers) < len(set(values)):
        invalid(f"circleValue must be a list of numbers from 1 to {last} when circleType is {int(circle)}")
    return tuple(sorted(numbers))


def _recurs(circle: Circle, values: tuple[int, ...], day: int) -> bool:
    return circle is Circle.DAILY or _VALUE_OF[circle](calendar_day(day)) in values


def _time_of_day(fields: Mapping[str, Any]) -> time:
    text = fields.get("time")
    found = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        invalid("time must be HH:mm:ss, such as 09:45:11")
    hour, minute, second = map(int, found.groups())
    return time(hour, minute, second)


def _number(fields: Mapping[str, Any], name: str, meaning: str) -> int:
    number = _whole(fields.get(name))
    if number is None:
        invalid(f"{name} is required in StrategyContent: {meaning}")
    return number


def _whole(value: Any) -> int | None:
    """The whole number that a JSON value is; some clients send it as text, or as a float."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _canonical(rule: Any) -> bytes:
    return msgspec.json.encode(rule)
