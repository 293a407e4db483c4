"""Background jobs of a server, each at its own interval; one that fails is logged and tried again."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from clarion.analytics.service import AnalyticsService
from clarion.callbacks.sender import Sender
from clarion.clock import Clock
from clarion.delivery.broadcasts.broadcaster import Broadcasts
from clarion.delivery.maintenance import STEP_ROWS, Maintenance
from clarion.delivery.recalls import Recalls
from clarion.delivery.sms.supplements import Supplements
from clarion.delivery.vendors.broadcast_recalls import BroadcastRecalls
from clarion.delivery.vendors.feeder import Feeder
from clarion.delivery.vendors.lines import Lines
from clarion.devices.activities import ActivityService
from clarion.failures import StoreUnavailable
from clarion.link.hub import Hub
from clarion.observability.metrics import Metrics
from clarion.schedules.scheduler import Scheduler
from clarion.schedules.service import ScheduleService
from clarion.store.database import Database
from clarion.store.leases import Lease, acquire, release
from clarion.store.nonces import NonceJournal, forget_nonces
from clarion.tenants.directory import Directory

log = structlog.get_logger(__name__)

_LEASE = "maintenance"
_LEASE_SECONDS = 15.0
_REFUSALS_OF_A_RIVAL = 5
_KEEP_NONCES_MS = 2 * 3600 * 1000
_CONNECTED_SLICE = 500
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do again and again.

    Attributes:
        name: for the log.
        seconds: pause between two runs.
        run: does it once; True asks for the next run soon, because there is more.
        end: what is to be done when the server stops.
    """

    name: str
    seconds: float
    run: Callable[[], Awaitable[bool]]
    end: Callable[[], Awaitable[None]] | None = None


class Jobs:
    """Runs jobs until it is stopped."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._ends: list[Callable[[], Awaitable[None]]] = []

    def start(self, jobs: Sequence[Job]) -> None:
        """Run `jobs` from now on."""
        self._tasks += [asyncio.create_task(_repeat(job), name=job.name) for job in jobs]
        self._ends += [job.end for job in jobs if job.end is not None]

    async def stop(self) -> None:
        """End all jobs at their next pause, and let each put its things in order."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for end in self._ends:
            with suppress(StoreUnavailable):
                await end()


_SOON_SECONDS = 0.05


async def _repeat(job: Job) -> None:
    while True:
        more = False
        try:
            more = await job.run()
        except StoreUnavailable as error:
            log.warning("job_waits_for_database", job=job.name, error=str(error))
        except Exception:
            log.exception("job_failed", job=job.name)
        await asyncio.sleep(_SOON_SECONDS if more else job.seconds)


def process_name() -> str:
    """A name that no other process has, nor this one after a restart; for the leases that it takes."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


class _Leader:
    """Whether this process does the work that one process at a time does."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._owner = process_name()
        self._lease: Lease | None = None
        self._refusals = 0

    def __call__(self) -> bool:
        return self._lease is not None and self._lease.expires_at > self._clock.now_ms()

    async def renew(self) -> bool:
        self._lease = await acquire(self._database, _LEASE, self._owner, _LEASE_SECONDS, self._clock)
        self._refusals = 0 if self._lease else self._refusals + 1
        # A server that was killed leaves a lease behind for a while; one that goes on renewing it is alive.
        if self._refusals == _REFUSALS_OF_A_RIVAL:
            log.warning(
                "another_server_uses_this_database",
                hint="run one server a database: devices of one do not get the other's pushes at once",
            )
        return False

    async def resign(self) -> None:
        if self._lease is not None:
            await release(self._database, self._lease)


def background_jobs(
    maintenance: Maintenance,
    recalls: Recalls,
    analytics: AnalyticsService,
    directory: Directory,
    journal: NonceJournal,
    hub: Hub,
    database: Database,
    clock: Clock,
    metrics: Metrics,
    callbacks: Sender,
) -> list[Job]:
    """The jobs of a server, with their intervals in seconds."""
    leads = _Leader(database, clock)

    async def refresh() -> bool:
        await directory.refresh()
        return False

    async def flush() -> bool:
        await journal.flush()
        return False

    async def recover() -> bool:
        await recalls.refresh()
        for connected in hub.slices(_CONNECTED_SLICE):
            found = await maintenance.recover(connected) + await recalls.recover(connected)
            metrics.devices_recovered.inc(found)
            await asyncio.sleep(0)
        return False

    async def expire() -> bool:
        expired = await maintenance.expire() if leads() else 0
        metrics.messages_expired.inc(expired)
        return expired >= STEP_ROWS

    async def forget_recalls() -> bool:
        recalls.forget()
        return leads() and await recalls.expire() > 0

    async def sweep() -> bool:
        return leads() and await maintenance.sweep() > 0

    async def retain() -> bool:
        return leads() and await maintenance.retain() > 0

    async def forget_counts() -> bool:
        return leads() and await analytics.forget() > 0

    async def forget() -> bool:
        if leads():
            await forget_nonces(database, clock.now_ms() - _KEEP_NONCES_MS)
        return False

    return [
        Job("lease", _LEASE_SECONDS / 3, leads.renew, leads.resign),
        Job("directory", 0.5, refresh),
        Job("nonces", 1.0, flush, journal.flush),
        Job("expiry", 1.0, expire),
        Job("recovery", 15.0, recover),
        Job("sweep", 5.0, sweep),
        Job("retention", 30.0, retain),
        Job("recalls", 30.0, forget_recalls),
        Job("forget-counts", 3600.0, forget_counts),
        Job("forget-nonces", 300.0, forget),
        *_callback_jobs(callbacks, leads),
    ]


def _callback_jobs(callbacks: Sender, leads: Callable[[], bool]) -> list[Job]:
    async def tell() -> bool:
        if leads():
            await callbacks.poll()
        else:
            await callbacks.rest()
        return False

    async def give_up() -> bool:
        return leads() and await callbacks.give_up()

    async def measure() -> bool:
        if leads():
            await callbacks.measure()
        return False

    return [
        Job("callbacks", 0.5, tell, callbacks.stop),
        Job("callback-age", 10.0, give_up),
        Job("callback-gauges", 30.0, measure),
    ]


def broadcast_jobs(broadcasts: Broadcasts, *, works: bool) -> list[Job]:
    """The jobs of broadcasts; any number of processes may do them. `works`: whether this one writes pages."""

    async def retain() -> bool:
        return await broadcasts.retain() > 0

    jobs = [Job("broadcast-log", 0.0, broadcasts.tend)]  # which waits by itself, as does the next one
    if works:
        jobs += [Job("broadcasts", 0.0, broadcasts.work), Job("broadcast-retention", 30.0, retain)]
    return jobs


def vendor_jobs(lines: Lines, feeder: Feeder, recalls: BroadcastRecalls) -> list[Job]:
    """Fetch what is due for vendors; what was just pushed to single people comes to them straight from memory."""
    return [
        Job("vendors", 1.0, lines.refill),
        Job("broadcasts-to-vendors", 0.0, feeder.work),
        Job("broadcasts-from-vendors", 1.0, recalls.work),
    ]


def sms_job(supplements: Supplements) -> Job:
    """Sends the SMS that supplement pushes."""
    return Job("sms", 0.0, supplements.turn)  # which waits by itself


def activity_job(activities: ActivityService) -> Job:
    """Forgets live activities that must have ended."""

    async def sweep() -> bool:
        return await activities.sweep() > 0

    return Job("live-activities", 60.0, sweep)


def schedule_jobs(scheduler: Scheduler, schedules: ScheduleService, retention_days: int) -> list[Job]:
    """The jobs of a process that carries schedules out; any number of processes may."""

    async def retain() -> bool:
        return await schedules.retain(retention_days * _DAY_MS) > 0

    return [
        Job("schedules", 0.0, scheduler.turn),  # which waits by itself for what is due next
        Job("schedule-retention", 30.0, retain),
    ]
