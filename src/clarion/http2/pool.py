"""Connections to one origin, and the requests that they carry.

A request that the peer surely did not process is sent again on another connection, with the same bytes; one whose
fate is not known is never sent again here: who asked is told, and decides.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from clarion.http2.connection import Connection, connect
from clarion.http2.exchange import Answer, Completed, Fate
from clarion.http2.headers import HeaderSet
from clarion.http2.origin import CannotConnect, Origin

_SHARE = 16
"""Requests that a connection gets at a time, at the least."""


class Request(NamedTuple):
    """A request to be sent.

    Attributes:
        headers: what it shares with others.
        path: `:path`.
        body: its body.
        own: further headers of its own, as `headers.literal` makes them.
    """

    headers: HeaderSet
    path: bytes
    body: bytes
    own: bytes = b""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds of a pool. Times are seconds.

    Attributes:
        connections: most connections at once, besides those that drain.
        streams: most requests under way on one connection, whatever the peer allows.
        attempts: how often a request may be sent in vain; a peer that leaves after it has answered others does not
            count, as the oldest requests are always the first that the next connection gets.
        connect_timeout: for a connection to come about.
        request_timeout: from asking to the answer, with all waiting.
        ping_after: silence after which an unused connection is asked for a sign of life.
        doubt_after: the same while answers are awaited: what a dead connection was sent is known the sooner.
        ping_timeout: for that sign to come.
        idle_timeout: unused connections are closed after this time.
        backoff: largest pause after connections that did not come about.
    """

    connections: int = 4
    streams: int = 1000
    attempts: int = 5
    connect_timeout: float = 10.0
    request_timeout: float = 30.0
    ping_after: float = 30.0
    doubt_after: float = 5.0
    ping_timeout: float = 10.0
    idle_timeout: float = 600.0
    backoff: float = 30.0


class _Batch:
    """Requests that were asked for together."""

    __slots__ = ("answers", "done", "left")

    def __init__(self, count: int, done: asyncio.Future[None]) -> None:
        self.answers: list[Answer | None] = [None] * count
        self.left = count
        self.done = done


class _Job:
    """A request on its way."""

    __slots__ = ("attempts", "batch", "connection", "deadline", "index", "request")

    def __init__(self, request: Request, batch: _Batch, index: int, deadline: float) -> None:
        self.request = request
        self.batch = batch
        self.index = index
        self.deadline = deadline
        self.attempts = 0
        self.connection: Connection | None = None

    @property
    def age(self) -> tuple[float, int]:
        """Orders requests as they were asked for."""
        return self.deadline, self.index

    def failed(self) -> None:
        """It was not processed."""
        connection = self.connection
        if connection is None or not (connection.core.draining and connection.productive):
            self.attempts += 1


class Pool:
    """Sends requests to one origin.

    Args:
        origin: where to.
        limits: bounds.
        rng: spreads the pauses between attempts to connect.

    Attributes:
        waiting: requests that no connection has taken yet.
        opened: connections that came about so far.
        resent: requests that were sent again because they had not been processed.
        fault: why the last attempt to connect failed; None while all is well.
    """

    def __init__(self, origin: Origin, limits: PoolLimits | None = None, rng: random.Random | None = None) -> None:
        self._origin = origin
        self._limits = limits or PoolLimits()
        self._random = rng or random.Random()  # noqa: S311 - spreads load, hides nothing
        self.waiting: deque[_Job] = deque()
        self.opened = 0
        self.resent = 0
        self.fault: str | None = None
        self._connections: list[Connection] = []
        self._opening: asyncio.Task[None] | None = None
        self._failures = 0
        self._pumping = False
        self._care: asyncio.Task[None] | None = None
        self._closed = False
        self._quiet = asyncio.Event()  # set when the pool is closed and nothing is under way

    @property
    def connections(self) -> int:
        """Open connections, those that drain included."""
        return len(self._connections)

    @property
    def active(self) -> int:
        """Requests that were sent and have not ended."""
        return sum(connection.core.active for connection in self._connections)

    async def send(self, request: Request) -> Answer:
        """Send one request; its end."""
        return (await self.send_all([request]))[0]

    async def send_all(self, requests: Sequence[Request]) -> list[Answer]:
        """Send many requests, over all connections at once; their ends, in order.

        Nothing is raised for what happens to a request: its `Answer` tells it. Cancelling gives up those that have
        not been sent.
        """
        if not requests:
            return []
        if self._closed:
            return [Answer(Fate.UNPROCESSED, detail="the pool is closed")] * len(requests)
        loop = asyncio.get_running_loop()
        batch = _Batch(len(requests), loop.create_future())
        deadline = loop.time() + self._limits.request_timeout
        self.waiting.extend(_Job(request, batch, index, deadline) for index, request in enumerate(requests))
        self._pump()
        if self._care is None:
            self._care = loop.create_task(self._take_care(), name="http2-care")
        try:
            await batch.done
        finally:
            if batch.left:
                self.waiting = deque(job for job in self.waiting if job.batch is not batch)
        return [answer for answer in batch.answers if answer is not None]

    async def close(self, seconds: float = 5.0) -> None:
        """Take no more requests, wait for those under way, and close all connections."""
        self._closed = True
        self._give_up_waiting("the pool is closed")
        self._notice_quiet()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        tasks = [task for task in (self._opening, self._care) if task is not None]
        for task in tasks:
            task.cancel()
        leaving = tuple(self._connections)
        for connection in leaving:
            connection.leave()
        await asyncio.gather(*tasks, *(connection.gone for connection in leaving), return_exceptions=True)

    # Requests to connections.

    def _pump(self) -> None:
        """Hand waiting requests to connections that have room; ask for another connection if some are left."""
        waiting, most = self.waiting, self._limits.streams
        while waiting:
            connection = max(self._connections, key=_free, default=None)
            room = 0 if connection is None else min(connection.room, most - connection.core.active)
            if connection is None or room <= 0:
                self._want_connection()
                return
            # A share, so that connections fill evenly.
            for _ in range(min(len(waiting), room, max(_SHARE, room // 4))):
                job = waiting.popleft()
                job.connection = connection
                headers, path, body, own = job.request
                connection.request(headers, path, body, job, own)
                if connection.core.draining:
                    break

    def _on_completed(self, completed: list[Completed]) -> None:
        again: list[_Job] = []
        for job, answer in completed:
            batch: _Batch = job.batch
            if answer.fate is Fate.UNPROCESSED and not batch.done.done():
                job.failed()
                if job.attempts < self._limits.attempts and not self._closed:
                    again.append(job)
                    continue
            batch.answers[job.index] = answer
            batch.left -= 1
            if not batch.left and not batch.done.done():
                batch.done.set_result(None)
        if again:
            self.resent += len(again)
            self._wait_again(again)

    def _wait_again(self, jobs: list[_Job]) -> None:
        jobs.sort(key=_age)
        if self.waiting and self.waiting[0].age < jobs[-1].age:
            self.waiting = deque(sorted((*jobs, *self.waiting), key=_age))
        else:
            self.waiting.extendleft(reversed(jobs))

    def _on_change(self, connection: Connection) -> None:
        if connection.closed is not None and connection in self._connections:
            self._connections.remove(connection)
        elif connection.core.draining and not connection.core.active and connection.closed is None:
            asyncio.get_running_loop().call_soon(connection.leave)
        self._notice_quiet()
        if self.waiting and not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump_once)

    def _notice_quiet(self) -> None:
        if self._closed and not self.active:
            self._quiet.set()

    def _pump_once(self) -> None:
        self._pumping = False
        self._pump()

    # Connections.

    def _want_connection(self) -> None:
        usable = sum(not connection.core.draining for connection in self._connections)
        if self._opening is None and usable < self._limits.connections and not self._closed:
            self._opening = asyncio.get_running_loop().create_task(self._open(), name="http2-connect")

    async def _open(self) -> None:
        try:
            if self._failures:
                longest = min(self._limits.backoff, 0.1 * 2**self._failures)
                await asyncio.sleep(longest * self._random.uniform(0.5, 1.0))
            connection = await connect(
                self._origin, self._on_completed, self._on_change, self._limits.connect_timeout
            )
        except CannotConnect as error:
            self._failures += 1
            self.fault = str(error)
        else:
            self._failures = 0
            self.fault = None
            self.opened += 1
            if connection.closed is None:
                self._connections.append(connection)
        finally:
            self._opening = None
        self._pump()

    async def _take_care(self) -> None:
        """Every second: end what is late, ask the silent for a sign of life, close what is not used."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            await asyncio.sleep(min(1.0, self._limits.request_timeout / 4))
            now = loop.time()
            while self.waiting and self.waiting[0].deadline <= now:
                reason = f"no connection in time: {self.fault or 'all are busy'}"
                self._on_completed([(self._spent(self.waiting.popleft()), Answer(Fate.UNPROCESSED, detail=reason))])
            for connection in tuple(self._connections):
                self._look_after(connection, now)

    def _look_after(self, connection: Connection, now: float) -> None:
        core, limits = connection.core, self._limits
        late: list[Completed] = []
        while (oldest := core.oldest()) is not None and oldest[1].deadline <= now:
            ended = core.cancel(oldest[0])
            if ended is not None:
                late.append(ended)
        if late:
            connection.flush_soon()
            self._on_completed(late)
        silent = now - connection.heard_at
        if not core.active and silent > limits.idle_timeout:
            connection.leave()
        elif core.unanswered_pings:
            if now - max(connection.pinged_at, connection.heard_at) > limits.ping_timeout:
                connection.abort("the peer gives no sign of life")
        elif silent > (limits.doubt_after if core.active else limits.ping_after):
            connection.pinged_at = now
            core.ping()
            connection.flush_soon()

    def _give_up_waiting(self, reason: str) -> None:
        given_up = [(self._spent(job), Answer(Fate.UNPROCESSED, detail=reason)) for job in self.waiting]
        self.waiting.clear()
        self._on_completed(list(given_up))

    def _spent(self, job: _Job) -> _Job:
        job.attempts = self._limits.attempts
        return job


_age = attrgetter("age")


def _free(connection: Connection) -> int:
    return connection.room - connection.core.active
