"""Carrying schedules out when they are due.

A fire is a row of its own; in one transaction it moves from waiting to executed and its push is accepted, so that
each is carried out once, whatever happens before or after. Late ones catch up while their messages are still valid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
import structlog
from sqlalchemy import bindparam, select, text, tuple_, update

from clarion.clock import Clock, heard
from clarion.delivery.accept import Accepted, NewTask
from clarion.failures import StoreUnavailable
from clarion.pushes.launch import Launcher
from clarion.pushes.plan import Plan
from clarion.schedules.model import FireState
from clarion.schedules.service import FEWER
from clarion.store.database import Database, Row, Transaction
from clarion.store.group import GroupWriter
from clarion.store.leases import Lease, LeaseLost, acquire, release
from clarion.store.queries import Query
from clarion.store.schema_campaigns import WAITING_FIRES, fires, schedules
from clarion.tenants.directory import Directory

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
"""Longest pause between two looks, so that a jump of the clock is noticed."""
MAX_ATTEMPTS = 5
"""How often a fire is tried that fails for reasons of its own."""

_LEASE = "scheduler"
_LEASE_SECONDS = 2.0
_RENEW_MS = 1_000
_LONGEST_BACK_OFF = 60.0
_PAGE = 100
_FIRST = -1, ""

_WAITING = Query(
    select(fires.c.unique_id, fires.c.app, fires.c.schedule, fires.c.fire_at)
    .where(
        text(WAITING_FIRES),
        fires.c.fire_at >= bindparam("fire_at"),
        tuple_(fires.c.fire_at, fires.c.unique_id) > tuple_(bindparam("fire_at"), bindparam("unique_id")),
    )
    .order_by(fires.c.fire_at, fires.c.unique_id)
    .limit(bindparam("limit"))
)
_PUSH = Query(select(schedules.c.push, schedules.c.request_id).where(schedules.c.schedule == bindparam("schedule")))
_MOVE = Query(
    update(fires)
    .values(state=bindparam("to"), task=bindparam("by_task"), done_at=bindparam("now"))
    .where(fires.c.unique_id == bindparam("fire"), text(WAITING_FIRES))
    .returning(fires.c.unique_id)
)
_decode = msgspec.json.Decoder(Plan).decode


class Fire(NamedTuple):
    """A time at which a schedule is due."""

    unique_id: str
    app: int
    schedule: str
    fire_at: int


class _End(NamedTuple):
    """How a fire ends: with the order that carries its push out, or, without one, missed."""

    fire: Fire
    order: NewTask | None
    lease: Lease
    now: int


class _Failure(NamedTuple):
    """How often a fire has failed, and when (monotonic) it is tried again."""

    attempts: int = 0
    again_at: float = 0.0

    def next(self, now: float) -> _Failure:
        return _Failure(self.attempts + 1, now + min(2.0**self.attempts, _LONGEST_BACK_OFF))


class Scheduler:
    """Carries out what is due, one fire after the other.

    Args:
        database: for reading.
        writer: for writing; its transactions stay small, because each carries one fire at most.
        launcher: carries pushes out.
        directory: finds the apps.
        clock: wall time; a jump ahead makes fires due, a jump back does not repeat any.
        owner: a name that no other process has.
        woken: set when there may be something new.
        observe: told of each fire that ended, `executed` or `missed`, and how many seconds late it was.
    """

    def __init__(
        self,
        database: Database,
        writer: GroupWriter,
        launcher: Launcher,
        directory: Directory,
        clock: Clock,
        owner: str,
        woken: asyncio.Event,
        observe: Callable[[str, float], None] = lambda _outcome, _late: None,
    ) -> None:
        self._database = database
        self._writer = writer
        self._launcher = launcher
        self._directory = directory
        self._clock = clock
        self._owner = owner
        self._woken = woken
        self._observe = observe
        self._lease: Lease | None = None
        self._failures: dict[str, _Failure] = {}
        self._pause = 0.0

    async def turn(self) -> bool:
        """Wait until something may be due, and carry it out; a background job.

        Raises:
            StoreUnavailable: the rest is carried out later.
        """
        await heard(self._woken, self._pause)
        self._woken.clear()
        self._pause = LOOK_SECONDS
        self._pause = await self.fire_due()
        return False

    async def fire_due(self) -> float:
        """Carry out all that is due; the seconds until the next look.

        Raises:
            StoreUnavailable: the rest is carried out later.
        """
        try:
            return await self._walk()
        except LeaseLost:
            self._lease = None
            return LOOK_SECONDS
        finally:
            await self._resign()

    async def _walk(self) -> float:
        after = _FIRST
        while True:
            waiting = await self._waiting(*after)
            for fire in waiting:
                ahead = fire.fire_at - self._clock.now_ms()
                if ahead > 0:
                    return min(LOOK_SECONDS, ahead / 1000)
                lease = await self._lead()
                if lease is None:
                    return LOOK_SECONDS
                await self._try(fire, lease)
                after = fire.fire_at, fire.unique_id
            if len(waiting) < _PAGE:
                return LOOK_SECONDS

    async def _waiting(self, fire_at: int, unique_id: str) -> list[Fire]:
        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(_WAITING, fire_at=fire_at, unique_id=unique_id, limit=_PAGE)

        return [Fire(*row) for row in await self._database.read(work)]

    async def _lead(self) -> Lease | None:
        """The lease of the one process that fires; taken when something is due, held until all is done."""
        if self._lease is None or self._lease.expires_at - self._clock.now_ms() < _RENEW_MS:
            self._lease = await acquire(self._database, _LEASE, self._owner, _LEASE_SECONDS, self._clock)
        return self._lease

    async def _resign(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            with suppress(StoreUnavailable):
                await release(self._database, lease)

    async def _try(self, fire: Fire, lease: Lease) -> None:
        """Carry a fire out; one that fails for its own reasons is tried again after 1, 2, 4 … s, then missed."""
        failure = self._failures.get(fire.unique_id, _Failure())
        if self._clock.monotonic() < failure.again_at:
            return
        try:
            if failure.attempts < MAX_ATTEMPTS:
                await self._carry_out(fire, lease)
            else:
                await self._miss(fire, lease, "it failed too often")
        except (StoreUnavailable, LeaseLost):
            raise
        except Exception as error:
            # The error's text may quote the message, which has no place in a log.
            log.error("schedule_failed", fire=fire.unique_id, error=type(error).__name__)  # noqa: TRY400
            self._note(fire, failure.next(self._clock.monotonic()))
        else:
            self._failures.pop(fire.unique_id, None)

    def _note(self, fire: Fire, failure: _Failure) -> None:
        # Those that have not been tried again for long were cancelled.
        cancelled = self._clock.monotonic() - _LONGEST_BACK_OFF
        self._failures = {name: one for name, one in self._failures.items() if one.again_at > cancelled}
        self._failures[fire.unique_id] = failure

    async def _carry_out(self, fire: Fire, lease: Lease) -> None:
        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(_PUSH, schedule=fire.schedule)

        stored = await self._database.read(work)
        if stored is None:
            return  # retention was faster
        plan, request_id = _decode(bytes(stored[0])), stored[1]
        obstacle = await self._obstacle(fire, plan)
        if obstacle is not None:
            await self._miss(fire, lease, obstacle)
            return
        order = self._launcher.order(fire.app, plan, request_id, fire.fire_at, scheduled=True)
        end = _End(fire, order, lease, self._clock.now_ms())
        accepted: Accepted | None = await self._writer.submit(self._end, end)
        if accepted is not None:
            self._observe(FireState.EXECUTED.label, (self._clock.now_ms() - fire.fire_at) / 1000)
            self._launcher.hand_over(order, plan, accepted)

    async def _obstacle(self, fire: Fire, plan: Plan) -> str | None:
        """Why the push cannot be carried out now nor later."""
        if self._clock.now_ms() >= fire.fire_at + plan.validity_seconds * 1000:
            return "its validity is over"
        app = self._directory.by_number(fire.app)
        if app is None:
            await self._directory.refresh()  # it may be newer than the last look
            app = self._directory.by_number(fire.app)
        if app is None:
            return "the app was deleted"
        return None if app.push_enabled else "the push API of the app is switched off"

    async def _miss(self, fire: Fire, lease: Lease, reason: str) -> None:
        now = self._clock.now_ms()
        if await self._writer.submit(self._end, _End(fire, None, lease, now)) is not None:
            late = (now - fire.fire_at) / 1000
            log.warning("schedule_missed", fire=fire.unique_id, schedule=fire.schedule, reason=reason, late=late)
            self._observe(FireState.MISSED.label, late)

    async def _end(self, transaction: Transaction, batch: Sequence[_End]) -> list[Accepted | None]:
        return [await self._end_one(transaction, end) for end in batch]

    async def _end_one(self, transaction: Transaction, end: _End) -> Accepted | None:
        """None when the fire waits no longer: it was cancelled, or another process was faster."""
        await end.lease.fence(transaction)
        state = FireState.MISSED if end.order is None else FireState.EXECUTED
        task = None if end.order is None else end.order.task
        fire = end.fire
        if not await transaction.fetch(_MOVE, fire=fire.unique_id, to=int(state), by_task=task, now=end.now):
            return None
        await transaction.execute(FEWER, of_schedule=fire.schedule, by=1)
        if end.order is None:
            return Accepted(None)
        (accepted,) = await self._launcher.write(transaction, [end.order])
        return accepted
