"""Days and times of an app's time zone. Pure.

The service's own zone is UTC+8: every day that its documentation prints as a timestamp is a midnight there.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DEFAULT_TIME_ZONE = "Asia/Shanghai"
_EPOCH_DAY = date(1970, 1, 1).toordinal()


class UnknownTimeZone(ValueError):
    """There is no time zone of this name."""


@lru_cache(maxsize=64)
def time_zone(name: str) -> ZoneInfo:
    """The time zone with an IANA name such as `Asia/Shanghai`.

    Raises:
        UnknownTimeZone: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownTimeZone(f"{name!r} is not a time zone; use an IANA name such as Asia/Shanghai") from None


def day_of(at_ms: int, zone: ZoneInfo) -> int:
    """The day (days since 1970) of a moment."""
    return datetime.fromtimestamp(at_ms / 1000, zone).toordinal() - _EPOCH_DAY


def moment(day: int, of_day: time, zone: ZoneInfo) -> int:
    """The moment (ms) of a time of a day.

    Where clocks are put forward over it, the moment is as long after the change as the time is after the gap's
    beginning; where they are put back over it, it is the first of the two.
    """
    local = datetime.combine(date.fromordinal(day + _EPOCH_DAY), of_day, zone)
    since = local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1)


def calendar_day(day: int) -> date:
    """The date of a day (days since 1970)."""
    return date.fromordinal(day + _EPOCH_DAY)
