"""Making, listing and cancelling schedules."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Column, bindparam, delete, exists, func, or_, select, text, update

from clarion.clock import Clock
from clarion.delivery.series import PushKind
from clarion.ids import schedule_id
from clarion.pushes.model import PushReceipt, Strategy
from clarion.pushes.plan import Plan
from clarion.results import Refusal, ResultCode
from clarion.schedules.listing import Entry, Wanted, read_page
from clarion.schedules.model import FireState, Timing
from clarion.store.database import Database, Transaction
from clarion.store.gates import pass_alone
from clarion.store.group import GroupWriter
from clarion.store.queries import Insert, Query
from clarion.store.schema_campaigns import WAITING_FIRES, fires, schedules

MAX_WAITING = 100
"""Most schedules of an app that have a fire to come."""
REPEAT_MS = 7 * 24 * 3600 * 1000
"""How long the same request means the same schedule."""
RETAIN_STEP = 5
"""Most schedules that one step of retention deletes; each has up to 181 fires."""
LISTED = (FireState.WAITING, FireState.EXECUTED, FireState.MISSED)
"""States of the fires that the API lists."""

_GATE = "schedules"
_AT_A_TIME = 4  # as many share a transaction, so that it stays below 1,000 rows
_ID = re.compile(r"[0-9a-f]{32}")
_ALL_OVER = {
    Strategy.TIMED: "fixedTime is in the past",
    Strategy.CYCLIC: "no day of the period fits, or its time is over",
}

_REPEATED = Query(
    select(schedules.c.schedule)
    .where(
        schedules.c.app == bindparam("app"),
        schedules.c.digest == bindparam("digest"),
        schedules.c.created_at > bindparam("since"),
        or_(
            schedules.c.waiting > 0,
            ~exists().where(fires.c.schedule == schedules.c.schedule, fires.c.state == int(FireState.CANCELLED)),
        ),
    )
    .limit(1)
)
_COUNT_WAITING = Query(
    select(func.count()).select_from(schedules).where(schedules.c.app == bindparam("app"), text("waiting > 0"))
)
_INSERT_SCHEDULES = Insert(
    schedules,
    (
        "schedule",
        "app",
        "kind",
        "strategy",
        "target_type",
        "title",
        "content",
        "push",
        "digest",
        "request_id",
        "waiting",
        "created_at",
        "ends_at",
    ),
)
_INSERT_FIRES = Insert(fires, ("unique_id", "app", "schedule", "fire_at", "state"))
_CANCEL = tuple(
    Query(
        update(fires)
        .values(state=int(FireState.CANCELLED), done_at=bindparam("now"))
        .where(column == bindparam("name"), fires.c.app == bindparam("of_app"), text(WAITING_FIRES))
        .returning(fires.c.schedule)
    )
    for column in (fires.c.schedule, fires.c.unique_id)
)
"""All that waits of a schedule; one fire."""
FEWER = Query(
    update(schedules)
    .values(waiting=schedules.c.waiting - bindparam("by"))
    .where(schedules.c.schedule == bindparam("of_schedule"))
)
"""`by` fires of a schedule wait no longer."""
_ENDED = Query(
    select(schedules.c.schedule)
    .where(schedules.c.ends_at < bindparam("before"), schedules.c.waiting == 0)
    .order_by(schedules.c.ends_at)
    .limit(bindparam("limit"))
)


def _forget(column: Column[Any]) -> Query:
    return Query(lambda terms: delete(column.table).where(terms.any_of(column, "old")), lists=("old",))


_FORGET = tuple(_forget(table.c.schedule) for table in (fires, schedules))


class _New(NamedTuple):
    """A schedule to be written, unless there is one of its digest."""

    schedule: str
    app: int
    plan: Plan
    timing: Timing
    digest: bytes
    request_id: str
    now: int


class _Cancellation(NamedTuple):
    """What is to be cancelled: a schedule, or one fire."""

    app: int
    name: str
    children: bool
    now: int


class ScheduleService:
    """The schedules of apps.

    Args:
        database: for reading.
        writer: for writing.
        clock: time of creation.
        created: called after a schedule was made, so that the scheduler need not look for it.
        most: how many schedules of an app may have fires to come.
    """

    def __init__(
        self,
        database: Database,
        writer: GroupWriter,
        clock: Clock,
        created: Callable[[], None] = lambda: None,
        most: int = MAX_WAITING,
    ) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock
        self._created = created
        self._most = most
        self._turns = asyncio.Semaphore(_AT_A_TIME)

    async def create(self, app: int, plan: Plan, timing: Timing, request_id: str) -> PushReceipt:
        """Keep a plan for the times at which it is wanted; Data is the id of the schedule.

        If it comes again within seven days, for the same times, it is the same schedule, unless that was cancelled.

        Raises:
            Refusal: 3028: no time is still to come, or the app has too many schedules.
            StoreUnavailable: it could not be committed; there is no schedule.
        """
        digest = blake2b(msgspec.json.encode((plan, timing.rule), order="deterministic"), digest_size=16).digest()
        new = _New(schedule_id(), app, plan, timing, digest, request_id, self._clock.now_ms())
        async with self._turns:
            schedule: str = await self._writer.submit(self._create, new)
        self._created()
        return PushReceipt(schedule)

    async def page(
        self,
        app: int,
        start: int | None = None,
        end: int | None = None,
        kind: PushKind | None = None,
        unique_id: str | None = None,
        number: int = 1,
        size: int = 500,
        states: Collection[FireState] = LISTED,
    ) -> tuple[list[Entry], int]:
        """A page of an app's fires in the order in which they are due, and how many there are in all.

        Args:
            app: internal number of the app.
            start: due at this time (ms) or later.
            end: due at this time (ms) or earlier.
            kind: pushes of this kind only.
            unique_id: of a schedule: all its fires; of a fire: just that one.
            number: of the page, from 1.
            size: fires on a page.
            states: fires in one of these.
        """
        if unique_id is not None and not _ID.fullmatch(unique_id):
            return [], 0
        kinds = PushKind if kind is None else (kind,)
        wanted = Wanted(app, start, end, sorted(map(int, states)), sorted(map(int, kinds)), unique_id)

        async def work(transaction: Transaction) -> tuple[list[Entry], int]:
            return await read_page(transaction, wanted, size, (number - 1) * size)

        return await self._database.read(work)

    async def cancel(self, app: int, names: Collection[str], *, children: bool = False) -> dict[str, bool]:
        """Cancel what is still to come; for each id, in order, whether anything was cancelled.

        Args:
            app: internal number of the app.
            names: ids of schedules, or of fires.
            children: whether they are ids of fires.

        Raises:
            StoreUnavailable: not all could be committed; those before are cancelled.
        """
        done = {}
        for name in dict.fromkeys(names):
            done[name] = bool(_ID.fullmatch(name)) and await self._cancel_one(app, name, children)
        return done

    async def retain(self, retention_ms: int) -> int:
        """Delete a few schedules whose last fire is longer ago than `retention_ms`; how many."""
        before = self._clock.now_ms() - max(retention_ms, REPEAT_MS)
        return await self._writer.submit(_retain, before)

    async def _cancel_one(self, app: int, name: str, children: bool) -> bool:
        async with self._turns:
            count: int = await self._writer.submit(
                _cancel, _Cancellation(app, name, children, self._clock.now_ms())
            )
        return count > 0

    async def _create(self, transaction: Transaction, batch: Sequence[_New]) -> list[str | Refusal]:
        # Alone, so that two equal requests, or two that pass the limit together, see each other.
        await pass_alone(transaction, {(new.app, _GATE) for new in batch})
        return [await self._create_one(transaction, new) for new in batch]

    async def _create_one(self, transaction: Transaction, new: _New) -> str | Refusal:
        first = await transaction.fetch_one(_REPEATED, app=new.app, digest=new.digest, since=new.now - REPEAT_MS)
        if first is not None:
            return str(first[0])
        if not new.timing.moments:
            return Refusal(ResultCode.INVALID_PARAM, _ALL_OVER[new.timing.strategy])
        waiting = await transaction.fetch_one(_COUNT_WAITING, app=new.app)
        if waiting is not None and waiting[0] >= self._most:
            return Refusal(
                ResultCode.INVALID_PARAM,
                f"the app has {waiting[0]} timed or cyclic pushes to come, {self._most} are allowed; cancel some",
            )
        await transaction.insert(_INSERT_SCHEDULES, [_schedule_row(new)])
        await transaction.insert(_INSERT_FIRES, _fire_rows(new))
        return new.schedule


def _schedule_row(new: _New) -> tuple[object, ...]:
    plan, timing = new.plan, new.timing
    return (
        new.schedule,
        new.app,
        int(plan.kind),
        int(timing.strategy),
        int(plan.target_type),
        plan.contents[0].title,
        plan.contents[0].content,
        msgspec.json.encode(plan),
        new.digest,
        new.request_id,
        len(timing.moments),
        new.now,
        timing.moments[-1],
    )


def _fire_rows(new: _New) -> list[tuple[object, ...]]:
    own = new.timing.strategy is Strategy.CYCLIC
    return [
        (schedule_id() if own else new.schedule, new.app, new.schedule, at, int(FireState.WAITING))
        for at in new.timing.moments
    ]


async def _cancel(transaction: Transaction, batch: Sequence[_Cancellation]) -> list[int]:
    return [await _cancel_one(transaction, each) for each in batch]


async def _cancel_one(transaction: Transaction, each: _Cancellation) -> int:
    rows = await transaction.fetch(_CANCEL[each.children], name=each.name, of_app=each.app, now=each.now)
    if rows:
        await transaction.execute(FEWER, of_schedule=rows[0][0], by=len(rows))
    return len(rows)


async def _retain(transaction: Transaction, batch: Sequence[int]) -> list[int]:
    return [await _retain_since(transaction, before) for before in batch]


async def _retain_since(transaction: Transaction, before: int) -> int:
    old = [row[0] for row in await transaction.fetch(_ENDED, before=before, limit=RETAIN_STEP)]
    if old:
        for forget in _FORGET:
            await transaction.execute(forget, old=old)
    return len(old)
