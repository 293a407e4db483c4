"""The accounts: what happened to messages is counted, and told to app servers, in the transaction that records it.

So statistics are exact whenever the database is, and an app's server misses nothing that was committed.

Each node adds to rows of its own (`delivery.series.CODE_BITS`), so that two which count for one app never wait for
each other's commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, IntEnum
from typing import NamedTuple, Protocol, TypeVar

from clarion.delivery.series import CODE_BITS, PushKind, kind_of
from clarion.ids import IdGenerator, id_time_ms
from clarion.store.database import Transaction
from clarion.store.queries import Insert
from clarion.store.schema_campaigns import callbacks, day_counters, task_counters

K = TypeVar("K")


class Figure(IntEnum):
    """A figure of the statistics; the number is its column."""

    TOTAL = 0
    SUCCESS = 1
    ARRIVAL = 2
    OPENED = 3
    IGNORED = 4


class Count(NamedTuple):
    """Something to be counted.

    Attributes:
        app: internal number of the app.
        task: the task of the message.
        message: the message; its number tells on which day it counts.
        series: code of what it counts under (`delivery.series`).
        figure: which figure grows.
        by: by how much; less than 0 takes back.
    """

    app: int
    task: int
    message: int
    series: int
    figure: Figure
    by: int = 1


class EventKind(Enum):
    """What an app's server is told."""

    STATUS = "status"
    ARRIVE = "arrive"
    OPEN = "open"
    IGNORE = "ignore"
    ENDED = "ended"
    """Of a broadcast on one device: that it ended without having been taken."""


class Event(NamedTuple):
    """Something that an app's server wants to know.

    Attributes:
        app: internal number of the app.
        message: internal id of the message; of a broadcast, that of its task.
        device: internal number of the device, or None when it concerns no single one.
        kind: what is told.
        at: time, ms.
    """

    app: int
    message: int
    device: int | None
    kind: EventKind
    at: int


class AppFacts(Protocol):
    """What the accounts need to know of apps; `tenants.directory` knows it."""

    def day(self, app: int, at_ms: int) -> int:
        """The day (days since 1970) of a moment in the app's time zone."""
        ...

    def is_told(self, app: int) -> bool:
        """Whether the app's server wants to be told of events."""
        ...


_FIGURES = ("total", "success", "arrival", "opened", "ignored")
_FIGURE_COUNT = len(Figure)
_BATCHES = frozenset({int(PushKind.MULTIPLE), int(PushKind.BROADCAST)})
_OF_DELIVERY = (Figure.TOTAL, Figure.SUCCESS, Figure.ARRIVAL)


def _adding(table: str) -> str:
    return ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in _FIGURES)


_COUNT_DAYS = Insert(
    day_counters,
    ("app", "day", "series", *_FIGURES),
    on_conflict=f"(app, day, series) DO UPDATE SET {_adding('day_counters')}",
)
_COUNT_TASKS = Insert(
    task_counters,
    ("task", "series", *_FIGURES, "changed_at"),
    on_conflict=f"(task, series) DO UPDATE SET {_adding('task_counters')}, changed_at = "
    "CASE WHEN excluded.changed_at > task_counters.changed_at THEN excluded.changed_at "
    "ELSE task_counters.changed_at END",
)
_INSERT_EVENTS = Insert(callbacks, ("event", "app", "message", "device", "kind", "at"))


class Ledger:
    """Counts, and keeps what app servers are to be told.

    Args:
        apps: days and wishes of apps.
        ids: numbers of events.
    """

    def __init__(self, apps: AppFacts, ids: IdGenerator) -> None:
        self._apps = apps
        self._ids = ids
        self._own = ids.node << CODE_BITS

    async def count(self, transaction: Transaction, counts: Iterable[Count], now: int) -> None:
        """Add to the statistics; `now` in ms is how long tasks went on, except when users merely looked at them."""
        days: dict[tuple[int, int, int], list[int]] = {}
        tasks: dict[tuple[int, int], list[int]] = {}
        for app, task, message, series, figure, by in counts:
            day = self._apps.day(app, id_time_ms(message))
            _sums(days, (app, day, series | self._own))[figure] += by
            if kind_of(series) in _BATCHES:
                _sums(tasks, (task, series | self._own))[figure] += by
        if days:
            await transaction.insert(_COUNT_DAYS, [(*key, *sums) for key, sums in sorted(days.items())])
        if tasks:
            rows = [(*key, *sums, now if _delivered(sums) else 0) for key, sums in sorted(tasks.items())]
            await transaction.insert(_COUNT_TASKS, rows)

    def tells(self, app: int) -> bool:
        """Whether the app's server is told of anything; if not, events need not be made."""
        return self._apps.is_told(app)

    async def tell(self, transaction: Transaction, events: Sequence[Event]) -> None:
        """Keep what the servers of those apps that want it shall be told."""
        rows = [
            (self._ids.next(), event.app, event.message, event.device, event.kind.value, event.at)
            for event in events
            if self._apps.is_told(event.app)
        ]
        if rows:
            await transaction.insert(_INSERT_EVENTS, rows)


def _delivered(sums: Sequence[int]) -> bool:
    return any(sums[figure] for figure in _OF_DELIVERY)


def _sums(of: dict[K, list[int]], key: K) -> list[int]:
    sums = of.get(key)
    if sums is None:
        sums = of[key] = [0] * _FIGURE_COUNT
    return sums
