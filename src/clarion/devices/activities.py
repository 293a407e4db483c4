"""The live activities of devices (iOS): which push token an activity id means, as long as it lives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select

from clarion.clock import Clock
from clarion.delivery.activities import reachable, withdraw
from clarion.delivery.binding import Binder
from clarion.ids import IdGenerator
from clarion.results import Refusal, ResultCode
from clarion.store.database import Transaction
from clarion.store.gates import pass_alone
from clarion.store.group import GroupWriter
from clarion.store.queries import Insert, Query
from clarion.store.schema_vendors import activities

LIFE_MS = 13 * 3600 * 1000
"""How long a push token is kept after its last report; iOS ends an activity after 12 hours."""
MAX_DEVICES = 10
"""Most devices that have an activity of the same id."""
MAX_ACTIVITIES = 100
"""Most activities of one device."""
STEP_ROWS = 100
"""Most activities that one step of sweeping ends."""


class _Report(NamedTuple):
    """A push token of a device's activity; `number` and `hop` are new, `at` is ms."""

    number: int
    app: int
    device: int
    activity_id: str
    push_token: str
    hop: int
    at: int


class _End(NamedTuple):
    """A device's activity that has ended; `hop` is new, `at` is ms."""

    app: int
    device: int
    activity_id: str
    hop: int
    at: int


class _Sweep(NamedTuple):
    """The time (ms) before which reports are too old, a new number for hops, and now (ms)."""

    before: int
    hop: int
    at: int


_COUNT_DEVICES = Query(
    select(func.count()).where(
        activities.c.app == bindparam("app"),
        activities.c.activity_id == bindparam("activity_id"),
        activities.c.device != bindparam("device"),
    )
)
_COUNT_ACTIVITIES = Query(
    select(func.count()).where(
        activities.c.device == bindparam("device"), activities.c.activity_id != bindparam("activity_id")
    )
)
_KEEP = Insert(
    activities,
    ("activity", "app", "activity_id", "device", "push_token", "reported_at"),
    on_conflict="(app, activity_id, device) DO UPDATE SET push_token = excluded.push_token, "
    "reported_at = excluded.reported_at",
    returning=("activity",),
)
_END = Query(
    delete(activities)
    .where(
        activities.c.app == bindparam("app"),
        activities.c.activity_id == bindparam("activity_id"),
        activities.c.device == bindparam("device"),
    )
    .returning(activities.c.activity)
)
_OLD = Query(
    select(activities.c.activity, activities.c.app, activities.c.activity_id)
    .where(activities.c.reported_at < bindparam("before"))
    .order_by(activities.c.reported_at)
    .limit(STEP_ROWS)
)
_SWEEP = Query(
    lambda terms: (
        delete(activities)
        .where(terms.any_of(activities.c.activity, "old"), activities.c.reported_at < bindparam("before"))
        .returning(activities.c.activity)
    ),
    lists=("old",),
)


class ActivityService:
    """Keeps the push tokens of live activities.

    Args:
        writer: to write with; what it wrote is durable when its futures are done.
        ids: numbers of activities and hops.
        clock: times of reports.
        binder: finds the messages that wait for an activity.
    """

    def __init__(self, writer: GroupWriter, ids: IdGenerator, clock: Clock, binder: Binder) -> None:
        self._writer = writer
        self._ids = ids
        self._clock = clock
        self._binder = binder

    async def report(self, app: int, device: int, activity_id: str, push_token: str) -> int:
        """Keep the push token of a device's activity in place of its last one; what waits for it goes out.

        Returns:
            When (ms) it is forgotten unless it is reported again.

        Raises:
            Refusal: 3028, more than `MAX_DEVICES` or `MAX_ACTIVITIES`.
            StoreUnavailable: it could not be committed.
        """
        now = self._clock.now_ms()
        report = _Report(self._ids.next(), app, device, activity_id, push_token, self._ids.next(), now)
        await self._writer.submit(self._report, report)
        return now + LIFE_MS

    async def end(self, app: int, device: int, activity_id: str) -> None:
        """Forget a device's activity; nothing happens if there is none.

        Raises:
            StoreUnavailable: it could not be committed.
        """
        await self._writer.submit(_end, _End(app, device, activity_id, self._ids.next(), self._clock.now_ms()))

    async def sweep(self) -> int:
        """Forget up to `STEP_ROWS` activities that must have ended; how many."""
        now = self._clock.now_ms()
        return await self._writer.submit(_sweep, _Sweep(now - LIFE_MS, self._ids.next(), now))

    async def _report(self, transaction: Transaction, batch: Sequence[_Report]) -> Sequence[Refusal | None]:
        await pass_alone(transaction, [(report.app, report.activity_id) for report in batch])
        return [await self._report_one(transaction, report) for report in batch]

    async def _report_one(self, transaction: Transaction, report: _Report) -> Refusal | None:
        number, app, device, activity_id, push_token, hop, now = report
        for query, most, what in (
            (_COUNT_DEVICES, MAX_DEVICES, "devices have reported an activity of this id"),
            (
                _COUNT_ACTIVITIES,
                MAX_ACTIVITIES,
                "activities of this device are known; report those that have ended",
            ),
        ):
            values = {"device": device, "activity_id": activity_id, "app": app}
            found = await transaction.fetch_one(query, **values)
            if found is not None and found[0] >= most:
                return Refusal(ResultCode.INVALID_PARAM, f"{most} {what}")
        rows = await transaction.insert(_KEEP, [(number, app, activity_id, device, push_token, now)])
        activity = reachable(rows[0][0], push_token)
        await self._binder.attach_activity(transaction, app, activity_id, activity, hop, now)
        return None


async def _end(transaction: Transaction, batch: Sequence[_End]) -> list[None]:
    await pass_alone(transaction, [(end.app, end.activity_id) for end in batch])
    for end in batch:
        values = {"app": end.app, "activity_id": end.activity_id, "device": end.device}
        ended = [activity for (activity,) in await transaction.fetch(_END, **values)]
        if ended:
            await withdraw(transaction, ended, end.hop, end.at)
    return [None] * len(batch)


async def _sweep(transaction: Transaction, batch: Sequence[_Sweep]) -> list[int]:
    swept = []
    for step in batch:
        rows = await transaction.fetch(_OLD, before=step.before)
        await pass_alone(transaction, [(app, activity_id) for _, app, activity_id in rows])
        old = [activity for activity, _, _ in rows]
        ended = [activity for (activity,) in await transaction.fetch(_SWEEP, old=old, before=step.before)]
        await withdraw(transaction, ended, step.hop, step.at)
        swept.append(len(ended))
    return swept
