"""Group commit: many commands in one transaction, and none that suffers for another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import text

from clarion.failures import StoreUnavailable
from clarion.results import Refusal, ResultCode
from clarion.store.database import Database, Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Insert, Query
from clarion.store.schema import nonces
from tests.store.system import rows

_PAGES = Insert(nonces, ("page", "at", "hashes"))


async def write(transaction: Transaction, batch: Sequence[int]) -> Sequence[int]:
    """Writes a page with the number of the command; a negative number violates a constraint."""
    await transaction.insert(_PAGES, [(n, 0, None if n < 0 else b"") for n in batch])
    return [n * 2 for n in batch]


async def refuse_odd(transaction: Transaction, batch: Sequence[int]) -> Sequence[int | Refusal]:
    even = [n for n in batch if n % 2 == 0]
    await transaction.insert(_PAGES, [(n, 0, b"") for n in even])
    return [n if n in even else Refusal(ResultCode.INVALID_PARAM, str(n)) for n in batch]


async def cannot(_: Transaction, batch: Sequence[int]) -> Sequence[int]:
    raise StoreUnavailable("the disk is full")


async def too_few(_: Transaction, batch: Sequence[int]) -> Sequence[int]:
    return []


async def pages(database: Database) -> list[int]:
    return [row[0] for row in await rows(database, "SELECT page FROM nonces ORDER BY page")]


class Held:
    """A database whose commits wait until they are let go."""

    def __init__(self, database: Database) -> None:
        self.backend = database.backend
        self.inner = database
        self.commits = 0
        self.go = asyncio.Event()

    async def read(self, work: Callable[[Transaction], Awaitable[Any]]) -> Any:
        return await self.inner.read(work)

    async def write(self, work: Callable[[Transaction], Awaitable[Any]]) -> Any:
        result = await self.inner.write(work)
        await self.go.wait()
        self.commits += 1
        return result

    async def close(self) -> None:
        await self.inner.close()


async def test_a_command_is_done_when_it_is_on_disk(database: Database) -> None:
    writer = GroupWriter(database)
    assert await writer.submit(write, 21) == 42
    assert await pages(database) == [21]


async def test_no_answer_before_the_commit(database: Database) -> None:
    held = Held(database)
    writer = GroupWriter(held)
    future = writer.submit(write, 1)
    while await pages(database) != [1]:
        assert not future.done()
    assert not future.done()
    held.go.set()
    await future


async def test_commands_share_transactions(database: Database) -> None:
    held = Held(database)
    writer = GroupWriter(held)
    first = writer.submit(write, 0)
    await asyncio.sleep(0)
    others = [writer.submit(write, n) for n in range(1, 401)]
    assert writer.waiting == 400
    held.go.set()
    assert await asyncio.gather(first, *others) == [n * 2 for n in range(401)]
    assert (held.commits, writer.groups, writer.commands, writer.waiting) == (2, 2, 401, 0)


async def test_a_transaction_has_a_limit(database: Database) -> None:
    writer = GroupWriter(database, limit=10)
    await asyncio.gather(*(writer.submit(write, n) for n in range(95)))
    assert (writer.groups, writer.commands) == (10, 95)


async def test_handlers_get_their_own_commands_in_order(database: Database) -> None:
    seen: list[tuple[str, list[int]]] = []

    def handler(name: str) -> Callable[[Transaction, Sequence[int]], Awaitable[Sequence[int]]]:
        async def handle(_: Transaction, batch: Sequence[int]) -> Sequence[int]:
            seen.append((name, list(batch)))
            return [-n for n in batch]

        return handle

    a, b = handler("a"), handler("b")
    writer = GroupWriter(database)
    results = await asyncio.gather(*(writer.submit((a, b)[n % 2], n) for n in range(6)))
    assert results == [0, -1, -2, -3, -4, -5]
    assert seen == [("a", [0, 2, 4]), ("b", [1, 3, 5])]


async def test_a_poisoned_command_fails_alone(database: Database) -> None:
    writer = GroupWriter(database)
    futures = [writer.submit(write, n) for n in (1, 2, -3, 4)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [results[n] for n in (0, 1, 3)] == [2, 4, 8]
    assert isinstance(results[2], Exception)
    assert not isinstance(results[2], StoreUnavailable)
    assert await pages(database) == [1, 2, 4]
    assert writer.fault is None


async def test_a_handler_that_answers_too_little_fails_its_command(database: Database) -> None:
    writer = GroupWriter(database)
    good, bad = writer.submit(write, 1), writer.submit(too_few, 2)
    assert await good == 2
    with pytest.raises(ValueError, match="shorter"):
        await bad


async def test_a_refusal_is_raised_to_its_caller_alone(database: Database) -> None:
    writer = GroupWriter(database)
    futures = [writer.submit(refuse_odd, n) for n in range(4)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [results[0], results[2]] == [0, 2]
    assert [str(results[1]), str(results[3])] == ["param is invalid: 1", "param is invalid: 3"]
    assert writer.groups == 1
    assert await pages(database) == [0, 2]


async def test_a_failing_database_fails_the_whole_group(database: Database) -> None:
    writer = GroupWriter(database)
    futures = [writer.submit(write, 1), writer.submit(cannot, 2)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable, StoreUnavailable]
    fault = writer.fault
    assert fault == "the disk is full"
    assert await pages(database) == []
    await writer.submit(write, 3)
    assert writer.fault is None
    assert await pages(database) == [3]


async def test_a_full_backlog_is_refused_at_once(database: Database) -> None:
    held = Held(database)
    writer = GroupWriter(held, backlog=3)
    accepted = [writer.submit(write, n) for n in range(3)]
    refused = writer.submit(write, 3)
    assert refused.done()
    with pytest.raises(StoreUnavailable, match="3 writes are waiting"):
        await refused
    held.go.set()
    await asyncio.gather(*accepted)
    assert await writer.submit(write, 4) == 8
    assert await pages(database) == [0, 1, 2, 4]


async def test_a_caller_that_gives_up_hurts_nobody(database: Database) -> None:
    held = Held(database)
    writer = GroupWriter(held)
    running = writer.submit(write, 0)
    await asyncio.sleep(0)
    waiting = [writer.submit(write, n) for n in range(1, 4)]
    running.cancel()
    waiting[1].cancel()
    held.go.set()
    assert await waiting[0] == 2
    assert await waiting[2] == 6
    await writer.drain()
    assert await pages(database) == [0, 1, 2, 3]
    assert writer.fault is None


async def test_drain_waits_for_everything(database: Database) -> None:
    writer = GroupWriter(database, limit=1)
    await writer.drain()
    futures = [writer.submit(write, n) for n in range(5)]
    await writer.drain()
    assert all(future.done() for future in futures)
    assert await pages(database) == [0, 1, 2, 3, 4]


async def test_a_rider_goes_along_with_each_transaction(database: Database) -> None:
    events: list[str] = []

    async def rider(transaction: Transaction) -> Callable[[], None]:
        number = len(events)
        await transaction.insert(_PAGES, [(1000 + number, 0, b"")])
        events.append("rode")
        return lambda: events.append("committed")

    writer = GroupWriter(database)
    writer.ride(rider)
    await writer.submit(write, 1)
    assert events == ["rode", "committed"]
    results = await asyncio.gather(writer.submit(write, 2), writer.submit(cannot, 3), return_exceptions=True)
    assert all(isinstance(result, StoreUnavailable) for result in results)
    assert events == ["rode", "committed", "rode"]
    assert await pages(database) == [1, 1000]


async def test_a_rider_that_fails_after_the_commit_fails_no_command(database: Database) -> None:
    async def rider(_: Transaction) -> Callable[[], None]:
        def broken() -> None:
            raise LookupError

        return broken

    writer = GroupWriter(database)
    writer.ride(rider)
    assert await asyncio.wait_for(writer.submit(write, 1), 5) == 2
    assert await asyncio.wait_for(writer.submit(write, 2), 5) == 4


async def test_the_rows_of_a_refused_neighbour_are_kept_together(database: Database) -> None:
    """What one handler of a group wrote, the next one sees."""

    async def counted(transaction: Transaction, batch: Sequence[int]) -> Sequence[int]:
        found = await transaction.fetch(Query(text("SELECT page FROM nonces")))
        return [len(found)] * len(batch)

    writer = GroupWriter(database)
    results = await asyncio.gather(writer.submit(write, 1), writer.submit(write, 2), writer.submit(counted, 0))
    assert results[2] == 2
