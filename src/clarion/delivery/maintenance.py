"""Work that nobody waits for: expiry, recovery of missed deliveries, retention.

Every step is small and commits by itself, so that it never holds up a push, and may be repeated or cut off at any
point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Column, bindparam, delete, select, text, tuple_, update

from clarion.channels.registry import Channel
from clarion.clock import Clock
from clarion.delivery.accept import IDEMPOTENCY_MS, UNBOUND, TargetType
from clarion.delivery.connections import Connections
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.ledger import Event, EventKind, Ledger
from clarion.delivery.series import PushKind
from clarion.delivery.states import MessageStatus, Stage
from clarion.ids import first_id_at
from clarion.store.database import Database, Row, Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.store.schema import OPEN_STATUSES, deliveries, hops, messages, reports, tasks
from clarion.store.schema_campaigns import task_counters

STEP_ROWS = 500
"""Most rows that one step of expiry or retention touches."""

_BATCHES_MS = 92 * 24 * 3600 * 1000
"""Multiple and broadcast tasks are kept as long as their figures may be asked for, though not their messages."""

_TASK_MARGIN_MS = 60_000
"""A task's number is a little smaller than those of its messages, which need it."""

_OVERDUE = Query(
    select(messages.c.message, messages.c.status, messages.c.status_at, messages.c.app, messages.c.target_type)
    .where(text(OPEN_STATUSES), messages.c.expires_at <= bindparam("now"))
    .order_by(messages.c.expires_at)
    .limit(bindparam("limit"))
)
_EXPIRE = Query(
    lambda terms: (
        update(messages)
        .values(status=int(MessageStatus.MSG_EXPIRED), status_at=messages.c.expires_at)
        .where(terms.any_of(messages.c.message, "overdue"), text(OPEN_STATUSES))
    ),
    lists=("overdue",),
)
_TRACED = Query(
    lambda terms: (
        select(hops.c.message)
        .where(terms.any_of(hops.c.message, "unbound"), hops.c.stage != Stage.SMS.value)
        .distinct()
    ),
    lists=("unbound",),
)
_WALK = Query(
    select(deliveries.c.device, deliveries.c.message, messages.c.expires_at)
    .join(messages, messages.c.message == deliveries.c.message, isouter=True)
    .where(tuple_(deliveries.c.device, deliveries.c.message) > tuple_(bindparam("device"), bindparam("message")))
    .order_by(deliveries.c.device, deliveries.c.message)
    .limit(bindparam("limit"))
)
_DROP = Query(
    lambda terms: delete(deliveries).where(terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs")),
    pairs=("pairs",),
)
_OWING = Query(
    lambda terms: (
        select(deliveries.c.device)
        .where(
            terms.any_of(deliveries.c.device, "devices"),
            deliveries.c.message < bindparam("before"),
            deliveries.c.channel == Channel.LINK.label,
        )
        .distinct()
    ),
    lists=("devices",),
)
_OLD_MESSAGES = Query(
    select(messages.c.message)
    .where(messages.c.message < bindparam("cutoff"), messages.c.expires_at <= bindparam("now"))
    .order_by(messages.c.message)
    .limit(bindparam("limit"))
)
_OLD_TASKS = Query(
    select(tasks.c.task, tasks.c.kind, tasks.c.expires_at)
    .where(tasks.c.task > bindparam("after"), tasks.c.task < bindparam("cutoff"))
    .order_by(tasks.c.task)
    .limit(bindparam("limit"))
)


def _forget(column: Column[int]) -> Query:
    return Query(lambda terms: delete(column.table).where(terms.any_of(column, "old")), lists=("old",))


_BATCHES = frozenset({int(PushKind.MULTIPLE), int(PushKind.BROADCAST)})
_FORGET = tuple(_forget(table.c.message) for table in (hops, reports, messages))
_FORGET_TASKS = tuple(_forget(table.c.task) for table in (task_counters, tasks))


class _Age(NamedTuple):
    """The number below which messages are old, and the time (ms) until which they must have expired."""

    cutoff: int
    now: int


class Maintenance:
    """The steps; a caller runs them at their intervals.

    Args:
        database: for reading.
        writer: shares its transactions with the pushes.
        connections: to wake devices that are owed something.
        clock: for expiry and age.
        ledger: tells app servers of what expired.
        retention_days: how long messages and traces are kept; never less than they are valid, nor than a
            repeated (target, msgKey) has to be recognised.
    """

    def __init__(
        self,
        database: Database,
        writer: GroupWriter,
        connections: Connections,
        clock: Clock,
        ledger: Ledger,
        retention_days: int = 30,
    ) -> None:
        self._database = database
        self._writer = writer
        self._connections = connections
        self._clock = clock
        self._ledger = ledger
        self._retention_ms = max(retention_days * 24 * 3600 * 1000, IDEMPOTENCY_MS)
        self._walked: tuple[int, int] = (-1, -1)
        self._tasks_walked = -1

    async def expire(self) -> int:
        """Give up to `STEP_ROWS` messages whose time is over their final state; how many."""
        return await self._writer.submit(self._expire, self._clock.now_ms())

    async def recover(self, connected: Sequence[int], grace_seconds: float = 10.0) -> int:
        """Wake those of the connected devices that are owed a message for longer than `grace_seconds`.

        This is what delivers when every other hint was lost: the database alone knows what is owed.
        """
        before = first_id_at(self._clock.now_ms() - int(grace_seconds * 1000))

        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(_OWING, devices=connected, before=before)

        owing = await self._database.read(work)
        for (device,) in owing:
            self._connections.wake(device)
        return len(owing)

    async def sweep(self) -> int:
        """Drop deliveries of expired messages, `STEP_ROWS` rows further each time; how many were dropped."""
        device, message = self._walked
        now = self._clock.now_ms()

        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(_WALK, device=device, message=message, limit=STEP_ROWS)

        rows = await self._database.read(work)
        self._walked = (rows[-1][0], rows[-1][1]) if len(rows) == STEP_ROWS else (-1, -1)
        stale = [(device, message) for device, message, expires_at in rows if (expires_at or 0) <= now]
        if stale:
            await self._writer.submit(_drop, stale)
        return len(stale)

    async def retain(self) -> int:
        """Delete up to `STEP_ROWS` messages that are past retention, with their traces, else tasks; how many."""
        now = self._clock.now_ms()
        oldest = now - self._retention_ms
        deleted: int = await self._writer.submit(_retain, _Age(first_id_at(oldest), now))
        return deleted or await self._retain_tasks(oldest - _TASK_MARGIN_MS, now)

    async def _retain_tasks(self, oldest: int, now: int) -> int:
        """Look at tasks older than `oldest` (ms), `STEP_ROWS` further each time; how many, unless none was over."""
        after, kept = self._tasks_walked, first_id_at(min(oldest, now - _BATCHES_MS))

        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(_OLD_TASKS, after=after, cutoff=first_id_at(oldest), limit=STEP_ROWS)

        rows = await self._database.read(work)
        self._tasks_walked = rows[-1][0] if len(rows) == STEP_ROWS else -1
        old = [
            task for task, kind, expires_at in rows if expires_at <= now and (kind not in _BATCHES or task < kept)
        ]
        if old:
            await self._writer.submit(_forget_tasks, old)
        return len(old) if len(rows) < STEP_ROWS else len(rows)

    async def _expire(self, transaction: Transaction, batch: Sequence[int]) -> Sequence[int]:
        return [await self._expire_until(transaction, now) for now in batch]

    async def _expire_until(self, transaction: Transaction, now: int) -> int:
        overdue = await transaction.fetch(_OVERDUE, now=now, limit=STEP_ROWS)
        if not overdue:
            return 0
        await _keep_unbound(transaction, overdue)
        await self._ledger.tell(
            transaction, [Event(app, message, None, EventKind.STATUS, now) for message, _, _, app, _ in overdue]
        )
        return await transaction.execute(_EXPIRE, overdue=[row[0] for row in overdue])


async def _keep_unbound(transaction: Transaction, overdue: Sequence[Row]) -> None:
    """Where the status is about to be lost, let the trace go on saying that there was no device."""
    unbound = {
        message: (since, UNBOUND[TargetType(kind)])
        for message, status, since, _, kind in overdue
        if status == MessageStatus.NO_BIND_INFO
    }
    if not unbound:
        return
    traced = {row[0] for row in await transaction.fetch(_TRACED, unbound=list(unbound))}
    await write_hops(
        transaction,
        [
            Hop(message, 0, since, None, Stage.PLANNED, outcome)
            for message, (since, outcome) in unbound.items()
            if message not in traced
        ],
    )


async def _drop(transaction: Transaction, batch: Sequence[Sequence[tuple[int, int]]]) -> Sequence[None]:
    for pairs in batch:
        await transaction.execute(_DROP, pairs=pairs)
    return [None] * len(batch)


async def _retain(transaction: Transaction, batch: Sequence[_Age]) -> Sequence[int]:
    return [await _retain_since(transaction, age) for age in batch]


async def _retain_since(transaction: Transaction, age: _Age) -> int:
    rows = await transaction.fetch(_OLD_MESSAGES, cutoff=age.cutoff, now=age.now, limit=STEP_ROWS)
    old = [message for (message,) in rows]
    if old:
        for forget in _FORGET:
            await transaction.execute(forget, old=old)
    return len(old)


async def _forget_tasks(transaction: Transaction, batch: Sequence[Sequence[int]]) -> Sequence[None]:
    for old in batch:
        for forget in _FORGET_TASKS:
            await transaction.execute(forget, old=old)
    return [None] * len(batch)
