"""Statistics of apps and tasks: reading the counts that `delivery.ledger` keeps, and forgetting old ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, Table, bindparam, case, delete, func, select, text, tuple_
from sqlalchemy.sql import ColumnElement

from clarion.analytics.model import (
    CoreIndex,
    Days,
    Page,
    Selection,
    Sums,
    TaskDetail,
    TaskEntry,
    check_time,
)
from clarion.channels.registry import Platform
from clarion.clock import Clock
from clarion.delivery.series import PushKind, pattern
from clarion.ids import first_id_at
from clarion.pushes.content import invalid
from clarion.store.database import Database, Row, Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.store.schema import BATCHES, tasks
from clarion.store.schema_campaigns import broadcasts, day_counters, task_counters
from clarion.tenants.calendar import day_of, time_zone
from clarion.tenants.model import App

KEEP_DAYS = 400
"""How long the counts of a day are kept; those of a task go with the task."""
STEP_ROWS = 500
"""Most rows that one step of forgetting deletes."""

_DAY_MS = 24 * 3600 * 1000

_IOS_MASK, _IOS_BITS = pattern(None, Platform.IOS, None)


def _sums(counters: Table, *more: ColumnElement[int]) -> Select[Any]:
    """The figures of the series of a pattern, and how many messages users can have seen."""
    figures = counters.c
    is_ios = figures.series.bitwise_and(_IOS_MASK) == _IOS_BITS
    seen = case((is_ios, figures.success), else_=figures.arrival)
    parts = [*(figures[name] for name in Sums._fields), seen]
    return select(*(func.coalesce(func.sum(part), 0) for part in parts), *more).where(
        figures.series.bitwise_and(bindparam("mask")) == bindparam("bits")
    )


_OF_DAYS = Query(
    _sums(day_counters).where(
        day_counters.c.app == bindparam("app"),
        day_counters.c.day >= bindparam("first"),
        day_counters.c.day <= bindparam("last"),
    )
)
_OF_TASK = Query(
    _sums(task_counters, func.coalesce(func.max(task_counters.c.changed_at), 0)).where(
        task_counters.c.task == bindparam("task")
    )
)
_TASK = Query(
    select(task_counters.c.series, *(task_counters.c[name] for name in Sums._fields), task_counters.c.changed_at)
    .where(task_counters.c.task == bindparam("task"))
    .order_by(task_counters.c.series)
)
_TASK = Query(
    select(tasks.c.app, tasks.c.kind, tasks.c.created_at, broadcasts.c.task, broadcasts.c.ended_at)
    .select_from(tasks.outerjoin(broadcasts, broadcasts.c.task == tasks.c.task))
    .where(tasks.c.task == bindparam("task"), text(f"tasks.{BATCHES}"))
)
_ENTRIES = (
    select(tasks.c.task, tasks.c.kind, tasks.c.name, tasks.c.template, tasks.c.template_name, tasks.c.created_at)
    .where(
        tasks.c.app == bindparam("app"),
        tasks.c.task >= bindparam("first"),
        tasks.c.task <= bindparam("last"),
        text(BATCHES),
    )
    .order_by(tasks.c.task.desc())
    .limit(bindparam("size"))
    .offset(bindparam("skipped"))
)
_PAGE = Query(_ENTRIES)
_PAGE_OF_NAME = Query(_ENTRIES.where(tasks.c.name == bindparam("name")))
_NEXT_APP = Query(select(func.min(day_counters.c.app)).where(day_counters.c.app > bindparam("after")))
_FIRST_DAY = Query(select(func.min(day_counters.c.day)).where(day_counters.c.app == bindparam("app")))
_KEY = (day_counters.c.app, day_counters.c.day, day_counters.c.series)
_FORGET_DAYS = Query(
    delete(day_counters).where(
        tuple_(*_KEY).in_(
            select(*_KEY)
            .where(day_counters.c.app == bindparam("app"), day_counters.c.day < bindparam("cutoff"))
            .order_by(*_KEY)
            .limit(bindparam("limit"))
        )
    )
)
_LAST_ID = (1 << 63) - 1


class _Task(NamedTuple):
    created_at: int
    broadcast: bool
    ended_at: int | None


class _Old(NamedTuple):
    app: int
    cutoff: int


class AnalyticsService:
    """Answers questions about what became of pushes.

    Args:
        database: to read from.
        writer: to delete with.
        clock: until when a task that goes on is reported; ages.
    """

    def __init__(self, database: Database, writer: GroupWriter, clock: Clock) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock

    async def core_index(
        self, app: App, start_ms: int, end_ms: int, selection: Selection, task: int | None = None
    ) -> CoreIndex:
        """The figures of the days from one moment to another, both days included.

        Args:
            app: the app; its zone has the days.
            start_ms: a moment of the first day.
            end_ms: a moment of the last day.
            selection: which messages count.
            task: only this multiple or broadcast push of the app; it counts if it was accepted on one of the days.

        Raises:
            Refusal: 3028 for a period that cannot be asked about.
        """
        zone = time_zone(app.time_zone)
        days = Days.between(start_ms, end_ms, zone)

        mask, bits = selection.pattern

        async def work(transaction: Transaction) -> Row | None:
            if task is None:
                return await transaction.fetch_one(
                    _OF_DAYS, app=app.key, first=days.first, last=days.last, mask=mask, bits=bits
                )
            found = await _find_task(transaction, app, task)
            if found is None or not days.first <= day_of(found.created_at, zone) <= days.last:
                return None
            return await transaction.fetch_one(_OF_TASK, task=task, mask=mask, bits=bits)

        figures = _figures(await self._database.read(work))
        return CoreIndex(Sums(*figures[:5]), figures[5])

    async def tasks(
        self, app: App, start_ms: int, page: Page, task: int | None = None, name: str | None = None
    ) -> list[TaskEntry]:
        """Multiple and broadcast pushes that were accepted since a moment, newest first.

        Args:
            app: the app.
            start_ms: the moment.
            page: which part of the list.
            task: only this one.
            name: only those of this name; blanks around it do not matter, an empty one is as good as none.

        Raises:
            Refusal: 3028 for a moment that is none.
        """
        first, last = first_id_at(check_time("StartTime", start_ms)), _LAST_ID
        if task is not None:
            first, last = max(first, task), task
        wanted = (name or "").strip()

        async def work(transaction: Transaction) -> Sequence[Row]:
            values = {"app": app.key, "first": first, "last": last, "size": page.size, "skipped": page.offset}
            if wanted:
                return await transaction.fetch(_PAGE_OF_NAME, **values, name=wanted)
            return await transaction.fetch(_PAGE, **values)

        return [TaskEntry(row[0], PushKind(row[1]), *row[2:]) for row in await self._database.read(work)]

    async def task_detail(self, app: App, task: int) -> TaskDetail:
        """What became of a multiple or broadcast push.

        Raises:
            Refusal: 3028 when the app has no such task.
        """

        async def work(transaction: Transaction) -> tuple[_Task, Row | None]:
            found = await _require_task(transaction, app, task)
            return found, await transaction.fetch_one(_OF_TASK, task=task, mask=0, bits=0)

        found, row = await self._database.read(work)
        figures = _figures(row)
        if found.broadcast and found.ended_at is None:
            ended_at = self._clock.now_ms()
        else:
            ended_at = max(figures[-1], found.ended_at or 0, found.created_at)
        return TaskDetail(task, Sums(*figures[:5]), found.created_at, ended_at)

    async def forget(self) -> int:
        """Delete counts of days that are over `KEEP_DAYS` old, a step for each app; how many rows."""
        cutoff = self._clock.now_ms() // _DAY_MS - KEEP_DAYS

        async def work(transaction: Transaction) -> list[_Old]:
            old, app = [], -1
            while (row := await transaction.fetch_one(_NEXT_APP, after=app)) and row[0] is not None:
                app = row[0]
                oldest = await transaction.fetch_one(_FIRST_DAY, app=app)
                if oldest and oldest[0] < cutoff:
                    old.append(_Old(app, cutoff))
            return old

        return sum([await self._writer.submit(_forget, old) for old in await self._database.read(work)])


async def _find_task(transaction: Transaction, app: App, task: int) -> _Task | None:
    row = await transaction.fetch_one(_TASK, task=task)
    if row is None or row[0] != app.key:
        return None
    return _Task(row[2], row[3] is not None, row[4])


async def _require_task(transaction: Transaction, app: App, task: int) -> _Task:
    found = await _find_task(transaction, app, task)
    if found is None:
        invalid("the app has no multiple or broadcast push of this TaskId")
    return found


def _figures(row: Row | None) -> list[int]:
    return [0] * (len(Sums._fields) + 1) if row is None else [int(figure) for figure in row]


async def _forget(transaction: Transaction, batch: Sequence[_Old]) -> Sequence[int]:
    return [
        await transaction.execute(_FORGET_DAYS, app=old.app, cutoff=old.cutoff, limit=STEP_ROWS) for old in batch
    ]
