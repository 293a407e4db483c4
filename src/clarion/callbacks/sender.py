"""Tells app servers: one worker an app, so that a server that is slow or gone holds up no other.

A worker lives while its app has events. It holds one batch, sends it until it is taken or too old, deletes its
rows, and takes the next. Everything that matters is in the database: a worker may end at any point.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from clarion.callbacks.model import (
    Answer,
    BackOff,
    Batch,
    Caller,
    Destination,
    LastResult,
    make_batch,
    without_query,
)
from clarion.callbacks.outbox import STEP_ROWS, Outbox
from clarion.clock import Clock, heard
from clarion.failures import StoreUnavailable
from clarion.ids import first_id_at, id_time_ms
from clarion.observability.metrics import Metrics
from clarion.tenants.directory import Directory

log = structlog.get_logger(__name__)

_FAULT_SECONDS = 5.0
_STORE_SECONDS = 1.0


class _Worker:
    """Tells one app's server what waits for it."""

    def __init__(self, app: int, sender: Sender) -> None:
        self._app = app
        self._sender = sender
        self._hurry = asyncio.Event()
        self._ending = False
        self._failures = 0
        self.task = asyncio.create_task(self._run(), name=f"callbacks-{app}")

    def hurry(self) -> None:
        """Try again now: something about the app has changed."""
        self._hurry.set()

    def end(self) -> None:
        """Finish the call in hand, and begin no other."""
        self._ending = True
        self._hurry.set()

    async def _run(self) -> None:
        try:
            await self._tell_all()
        except StoreUnavailable as error:
            log.warning("callbacks_wait_for_database", app=self._app, error=str(error))
            await self._pause(_STORE_SECONDS)
        except Exception:
            log.exception("callbacks_failed", app=self._app)
            await self._pause(_FAULT_SECONDS)

    async def _tell_all(self) -> None:
        sender, batch = self._sender, None
        while not self._ending:
            destination = await sender.outbox.destination(self._app)
            if destination is None:
                return
            if batch is None or batch.entries[0] < sender.too_old:
                batch = await self._next(destination)
            if batch is None:
                return
            answer = await sender.caller.call(destination, batch)
            if not answer.taken:
                await self._pause(await self._note_failure(destination, answer, batch))
                continue
            await self._note_success(destination, batch)
            if not batch.full:
                return  # what comes now is gathered until the next poll
            batch = None

    async def _next(self, destination: Destination) -> Batch | None:
        """The next batch with events to tell; None if nothing waits."""
        sender = self._sender
        while True:
            page = await sender.outbox.page(self._app)
            while page and page[0].event < sender.too_old:
                await sender.give_up()
                page = await sender.outbox.page(self._app)
            if not page:
                return None
            batch = make_batch(destination.app_id, destination.workspace_id, page, sender.clock.now_ms())
            if batch.count:
                return batch
            await sender.outbox.settle(self._app, batch.entries)
            sender.metrics.callback_events.labels("dropped").inc(len(batch.entries))

    async def _note_success(self, destination: Destination, batch: Batch) -> None:
        sender = self._sender
        result = LastResult(sender.clock.now_ms(), taken=True)
        # What was taken is deleted before anything else is sent; until then it would be sent again and again.
        while True:
            try:
                await sender.outbox.settle(self._app, batch.entries, result)
                break
            except StoreUnavailable as error:
                log.warning("callbacks_wait_for_database", app=destination.app_id, error=str(error))
                if self._ending:
                    return
                await self._pause(_STORE_SECONDS)
        sender.metrics.callback_calls.labels("taken").inc()
        sender.metrics.callback_events.labels("sent").inc(batch.count)
        sender.metrics.callback_events.labels("dropped").inc(len(batch.entries) - batch.count)
        if self._failures:
            log.info("callbacks_resumed", app=destination.app_id, workspace=destination.workspace_id)
        self._failures = 0

    async def _note_failure(self, destination: Destination, answer: Answer, batch: Batch) -> float:
        """Count and log a failure; how long to wait, s."""
        sender = self._sender
        self._failures += 1
        sender.metrics.callback_calls.labels("failed").inc()
        seconds = sender.back_off.seconds(self._failures)
        log.warning(
            "callback_failed",
            app=destination.app_id,
            workspace=destination.workspace_id,
            url=without_query(destination.url),
            cause=answer.cause,
            batch=batch.name,
            failures=self._failures,
            next_in=round(seconds, 1),
        )
        result = LastResult(sender.clock.now_ms(), taken=False, cause=answer.cause, failures=self._failures)
        with suppress(StoreUnavailable):
            await sender.outbox.settle(self._app, (), result)
        return seconds

    async def _pause(self, seconds: float) -> None:
        if self._ending:
            return
        await heard(self._hurry, seconds)
        self._hurry.clear()


class Sender:
    """Keeps a worker for each app that has something to be told.

    Args:
        outbox: what there is to tell.
        caller: calls servers; closed by `stop`.
        directory: which apps want to be told.
        clock: age of events.
        metrics: counts.
        keep_seconds: events that are older are given up.
        drain_seconds: how long `stop` waits for calls in hand.
        back_off: waits after failures.
    """

    def __init__(
        self,
        outbox: Outbox,
        caller: Caller,
        directory: Directory,
        clock: Clock,
        metrics: Metrics,
        *,
        keep_seconds: float = 72 * 3600,
        drain_seconds: float = 10,
        back_off: BackOff | None = None,
    ) -> None:
        self.outbox = outbox
        self.caller = caller
        self.clock = clock
        self.metrics = metrics
        self.back_off = back_off or BackOff()
        self._directory = directory
        self._keep_ms = int(keep_seconds * 1000)
        self._drain_seconds = drain_seconds
        self._revision = -1
        self._workers: dict[int, _Worker] = {}

    @property
    def too_old(self) -> int:
        """Events with smaller numbers are given up."""
        return first_id_at(self.clock.now_ms() - self._keep_ms)

    @property
    def busy(self) -> int:
        """Apps that are being told, or waited for."""
        return len(self._workers)

    async def poll(self) -> None:
        """Start a worker for each app that has events and none yet."""
        self._notice_changes()
        idle = [
            app.key for app in self._directory.apps if app.callback_url is not None and app.key not in self._workers
        ]
        if not idle:
            return
        for app in await self.outbox.with_events(idle):
            if app not in self._workers:
                worker = self._workers[app] = _Worker(app, self)
                worker.task.add_done_callback(self._forgetting(app))

    async def give_up(self) -> bool:
        """Delete some events that are too old; whether there may be more."""
        given_up = await self.outbox.give_up(self.too_old)
        for app, count in given_up.items():
            known = self._directory.by_number(app)
            log.warning(
                "callback_events_given_up",
                app=known.app_id if known else app,
                workspace=known.workspace_id if known else None,
                events=count,
            )
        self.metrics.callback_events.labels("given_up").inc(given_up.total())
        return given_up.total() >= STEP_ROWS

    async def measure(self) -> None:
        """Bring the gauges of what waits up to date."""
        backlog = await self.outbox.backlog()
        age = 0.0 if backlog.oldest is None else (self.clock.now_ms() - id_time_ms(backlog.oldest)) / 1000
        self.metrics.callbacks_waiting.set(backlog.events)
        self.metrics.callbacks_oldest.set(max(0.0, age))

    async def rest(self) -> None:
        """End all workers: another process does the work now, or nobody."""
        workers = list(self._workers.values())
        if not workers:
            return
        for worker in workers:
            worker.end()
        tasks = [worker.task for worker in workers]
        _, late = await asyncio.wait(tasks, timeout=self._drain_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """End all workers and close all connections."""
        await self.rest()
        await self.caller.close()

    def _notice_changes(self) -> None:
        if self._revision != self._directory.revision:
            self._revision = self._directory.revision
            for worker in self._workers.values():
                worker.hurry()

    def _forgetting(self, app: int) -> Callable[[asyncio.Task[None]], None]:
        def forget(_: asyncio.Task[None]) -> None:
            self._workers.pop(app, None)

        return forget
