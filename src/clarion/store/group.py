"""Group commit: many small writes share one transaction.

A write is a command for a handler. While one transaction is being committed, the commands that arrive are
gathered; then all of them are carried out in the next one, each handler taking its commands as one batch.
What was promised stays true for each command alone: its future is resolved only after the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import structlog

from clarion.failures import StoreUnavailable
from clarion.results import Refusal
from clarion.store.database import Database, Transaction

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0

C = TypeVar("C")
R = TypeVar("R")

Handler = Callable[[Transaction, Sequence[C]], Awaitable[Sequence[R | Refusal]]]
"""Carries out a batch of commands; gives one result for each, in order (a `Refusal` is raised to its caller)."""

Rider = Callable[[Transaction], Awaitable[Callable[[], None]]]
"""Work that goes along with whatever is committed; it gives what is to be done after the commit."""

_Pending = tuple[Handler[Any, Any], Any, "asyncio.Future[Any]"]

log = structlog.get_logger(__name__)


class GroupWriter:
    """The way for small, frequent writes.

    Args:
        database: where to write.
        limit: most commands in one transaction.
        backlog: most commands waiting; beyond that callers get `StoreUnavailable` at once.
        linger: how long commands that are not urgent wait for company, s.

    Attributes:
        fault: why the last transaction could not be committed; None while all is well.
        groups: transactions committed.
        commands: commands that they carried out.
    """

    def __init__(
        self, database: Database, *, limit: int = 512, backlog: int = 20_000, linger: float = 0.02
    ) -> None:
        self._database = database
        self._linger = linger
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._urgent = False
        self._limit = limit
        self._backlog = backlog
        self._pending: list[_Pending] = []
        self._riders: list[Rider] = []
        self._leading: set[Handler[Any, Any]] = set()
        self._after_commit: list[Callable[[], None]] = []
        self._running: asyncio.Task[None] | None = None
        self.fault: str | None = None
        self.groups = 0
        self.commands = 0

    @property
    def waiting(self) -> int:
        """Commands that no transaction has taken yet."""
        return len(self._pending)

    def ride(self, rider: Rider) -> None:
        """Let `rider` run first in every transaction from now on."""
        self._riders.append(rider)

    def lead(self, handler: Handler[Any, Any]) -> None:
        """Let `handler` go before others in a transaction: what it writes, they see."""
        self._leading.add(handler)

    def submit(self, handler: Handler[C, R], command: C, *, urgent: bool = True) -> asyncio.Future[R]:
        """Have `handler` carry out `command` in the next transaction.

        The future is resolved after the commit. It fails with `StoreUnavailable` when nothing was committed,
        with the handler's `Refusal`, or with the error of this command alone.

        Args:
            handler: carries out a batch of such commands.
            command: what it needs to know.
            urgent: False for what nobody waits for: it goes along with the next urgent command, or after
                `linger` seconds.
        """
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = self._loop.create_future()
        if len(self._pending) >= self._backlog:
            future.set_exception(StoreUnavailable(f"{len(self._pending)} writes are waiting"))
            return future
        self._pending.append((handler, command, future))
        if urgent:
            self._urgent = True
            self._start()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._linger, self._start)
        return future

    async def insist(self, handler: Handler[C, R], command: C, gives_up: Callable[[], bool]) -> R:
        """As `submit`, again while the database is away: for what must not be done twice for want of a row.

        Args:
            handler: as of `submit`.
            command: as of `submit`.
            gives_up: whether to try only for a moment still.

        Raises:
            StoreUnavailable: it was given up.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self.submit(handler, command)
            except StoreUnavailable:
                if gives_up() and pause > 1:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def drain(self) -> None:
        """Wait until everything that was submitted is committed or has failed."""
        while self._pending or self._running is not None:
            self._urgent = True
            await asyncio.wait([self._start()])

    def _start(self) -> asyncio.Task[None]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="group-writer")
        return self._running

    async def _run(self) -> None:
        try:
            while self._pending:
                group, self._pending = self._pending[: self._limit], self._pending[self._limit :]
                self._urgent = bool(self._pending)
                await self._commit(group)
                if not self._urgent:
                    break
        finally:
            self._running = None
            if self._pending and self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._linger, self._start)

    async def _commit(self, group: list[_Pending]) -> None:
        try:
            results = await self._database.write(lambda transaction: self._carry_out(transaction, group))
        except StoreUnavailable as error:
            self.fault = str(error)
            _fail(group, error)
        except Exception as error:
            if len(group) == 1:
                # The error's text may quote the data, which has no place in a log.
                log.error("write_failed", handler=group[0][0].__qualname__, error=type(error).__name__)  # noqa: TRY400
                _fail(group, error)
                return
            # One poisoned command must not fail its neighbours.
            for single in group:
                await self._commit([single])
        else:
            self._tell_riders()
            self.fault = None
            self.groups += 1
            self.commands += len(group)
            for (_, _, future), result in zip(group, results, strict=True):
                if not future.done():
                    if isinstance(result, Refusal):
                        future.set_exception(result)
                    else:
                        future.set_result(result)

    def _tell_riders(self) -> None:
        for done in self._after_commit:
            try:
                done()
            except Exception:
                # The commit stands; those who wait for it must hear of it.
                log.exception("after_commit_failed")

    async def _carry_out(self, transaction: Transaction, group: list[_Pending]) -> list[Any]:
        self._after_commit = [await rider(transaction) for rider in self._riders]
        batches: dict[Handler[Any, Any], list[int]] = {}
        for index, (handler, _, _) in enumerate(group):
            batches.setdefault(handler, []).append(index)
        results: list[Any] = [None] * len(group)
        for handler, indices in sorted(batches.items(), key=lambda batch: batch[0] not in self._leading):
            answers = await handler(transaction, [group[index][1] for index in indices])
            for index, answer in zip(indices, answers, strict=True):
                results[index] = answer
        return results


def _fail(group: list[_Pending], error: BaseException) -> None:
    for _, _, future in group:
        if not future.done():
            future.set_exception(error)
