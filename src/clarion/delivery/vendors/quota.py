"""What a line remembers beyond a restart, and an operator wants to see: pauses, alarms, the targets of a day.

A pause belongs to the settings that the channel had (its revision): with other ones the vendor is asked anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import time
from enum import Enum
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select

from clarion.channels.base import Accepted, RateLimited, SendOutcome, Unknown
from clarion.channels.outcomes import next_time
from clarion.store.database import Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema import channels
from clarion.store.schema_vendors import channel_days, channel_notices

KEPT_DAYS = 92
"""How long the targets of a day are kept."""

_DAY_MS = 86_400_000
_ZONE_MS = 8 * 3_600_000  # Asia/Shanghai, which has no summer time

OWN_LIMIT = "dailyLimit"
"""The code of a pause that no vendor asked for."""


class NoticeKind(Enum):
    """What a line has to say."""

    PAUSED = "paused"
    TOKENS_KEPT = "tokens_kept"


class Notice(NamedTuple):
    """Something that is so with a line, until it is not so any more.

    Attributes:
        app: internal number of the app.
        channel: label of the channel.
        kind: what.
        revision: of the channel's settings.
        until: ms.
        code: a vendor's own code.
        reason: for people.
    """

    app: int
    channel: str
    kind: NoticeKind
    revision: int
    until: int
    code: str
    reason: str


class Asked(NamedTuple):
    """Who wants to know what is remembered: app, channel, revision of its settings; `now` in ms."""

    app: int
    channel: str
    revision: int
    now: int


class Remembered(NamedTuple):
    """What a line was told before.

    Attributes:
        pause: the pause that it is in.
        targets: how many targets the vendor took today, or may have taken.
        lifted: whether there was a pause of other settings, for which deliveries may still wait.
    """

    pause: RateLimited | None
    targets: int
    lifted: bool


class Standing(NamedTuple):
    """What can be said of an app's channel from the database alone.

    Attributes:
        notices: what is so now.
        targets: how many targets the vendor took today, or may have taken.
    """

    notices: Sequence[Notice]
    targets: int


_NOTE = Insert(
    channel_notices,
    ("app", "channel", "kind", "revision", "until", "code", "reason"),
    on_conflict="(app, channel, kind) DO UPDATE SET revision = excluded.revision, until = excluded.until, "
    "code = excluded.code, reason = excluded.reason WHERE excluded.revision >= channel_notices.revision",
)
_PAUSE = Query(
    select(channel_notices.c.until, channel_notices.c.code, channel_notices.c.reason).where(
        channel_notices.c.app == bindparam("app"),
        channel_notices.c.channel == bindparam("label"),
        channel_notices.c.kind == NoticeKind.PAUSED.value,
        channel_notices.c.until > bindparam("now"),
    )
)
_FORGET_OTHERS = Query(
    delete(channel_notices)
    .where(
        channel_notices.c.app == bindparam("number"),
        channel_notices.c.channel == bindparam("label"),
        channel_notices.c.revision != bindparam("current"),
    )
    .returning(channel_notices.c.kind)
)
_NOTICES = Query(
    select(channel_notices)
    .join(
        channels,
        (channels.c.app == channel_notices.c.app)
        & (channels.c.channel == channel_notices.c.channel)
        & (channels.c.revision == channel_notices.c.revision),
    )
    .where(channel_notices.c.app == bindparam("app"), channel_notices.c.until > bindparam("now"))
)
_COUNT = Insert(
    channel_days,
    ("app", "channel", "day", "targets"),
    on_conflict="(app, channel, day) DO UPDATE SET targets = channel_days.targets + excluded.targets",
)
_OF_CHANNEL = (channel_days.c.app == bindparam("number"), channel_days.c.channel == bindparam("label"))
_TARGETS = Query(select(channel_days.c.targets).where(*_OF_CHANNEL, channel_days.c.day == bindparam("today")))
_TARGETS_OF_APP = Query(
    select(channel_days.c.channel, channel_days.c.targets).where(
        channel_days.c.app == bindparam("app"), channel_days.c.day == bindparam("today")
    )
)
_FORGET_DAYS = Query(delete(channel_days).where(*_OF_CHANNEL, channel_days.c.day < bindparam("before")))


def vendor_day(now_ms: int) -> int:
    """The day (days since 1970) where the vendors are."""
    return (now_ms + _ZONE_MS) // _DAY_MS


def used_up(limit: int, now_ms: int) -> RateLimited:
    """The limit that a channel's own `dailyLimit` sets when it is reached."""
    return RateLimited(
        next_time(now_ms, time(0)), OWN_LIMIT, f"the channel's dailyLimit of {limit} targets is reached"
    )


def taken(outcomes: Iterable[SendOutcome]) -> int:
    """How many targets count for a day: those that the vendor took, or may have taken."""
    kinds = Counter(map(type, outcomes))
    return kinds[Accepted] + kinds[Unknown]


async def note(transaction: Transaction, batch: Sequence[Notice]) -> list[None]:
    """Keep notices; the newest of a kind counts, unless it is of older settings.

    A handler for `GroupWriter.submit`.
    """
    newest = {each[:3]: each for each in batch}
    await transaction.insert(_NOTE, [(*each[:2], each.kind.value, *each[3:]) for each in newest.values()])
    return [None] * len(batch)


async def remembered(transaction: Transaction, batch: Sequence[Asked]) -> list[Remembered]:
    """What is remembered of channels; a handler for `GroupWriter.submit`."""
    return [await _remembered(transaction, each) for each in batch]


async def _remembered(transaction: Transaction, asked: Asked) -> Remembered:
    app, label, revision, now = asked
    today = vendor_day(now)
    await transaction.execute(_FORGET_DAYS, number=app, label=label, before=today - KEPT_DAYS)
    others = await transaction.fetch(_FORGET_OTHERS, number=app, label=label, current=revision)
    lifted = any(kind == NoticeKind.PAUSED.value for (kind,) in others)
    pause = await transaction.fetch_one(_PAUSE, app=app, label=label, now=now)
    counted = await transaction.fetch_one(_TARGETS, number=app, label=label, today=today)
    return Remembered(RateLimited(*pause) if pause else None, counted[0] if counted else 0, lifted)


async def count_targets(transaction: Transaction, counts: Iterable[tuple[int, str, int]], now: int) -> None:
    """Count targets for the day of `now` (ms), in the transaction that records their outcomes.

    Args:
        transaction: that one.
        counts: app, label of the channel, targets; a channel may come more than once.
        now: time, ms.
    """
    sums: Counter[tuple[int, str]] = Counter()
    for app, channel, targets in counts:
        sums[app, channel] += targets
    today = vendor_day(now)
    await transaction.insert(_COUNT, [(*name, today, targets) for name, targets in sorted(sums.items()) if targets])


async def standing(transaction: Transaction, app: int, now: int) -> Mapping[str, Standing]:
    """What is known of the channels of an app, by label; of channels that were not used, nothing."""
    notices: dict[str, list[Notice]] = {}
    for number, channel, kind, *rest in await transaction.fetch(_NOTICES, app=app, now=now):
        notices.setdefault(channel, []).append(Notice(number, channel, NoticeKind(kind), *rest))
    rows = await transaction.fetch(_TARGETS_OF_APP, app=app, today=vendor_day(now))
    targets: dict[str, int] = dict(map(tuple, rows))
    return {
        channel: Standing(notices.get(channel, ()), targets.get(channel, 0)) for channel in {*notices, *targets}
    }
