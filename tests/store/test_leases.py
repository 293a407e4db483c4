"""Leases: one holder at a time, and none that writes after it lost its lease."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from clarion.clock import ManualClock
from clarion.store.database import Database, Transaction
from clarion.store.leases import Lease, LeaseLost, acquire, release
from clarion.store.opening import open_database
from clarion.store.queries import Query
from tests.store.system import rows

_WRITE = Query(text("UPDATE catalog SET revision = revision + 1"))


async def _take(database: Database, owner: str, clock: ManualClock) -> Lease | None:
    return await acquire(database, "job", owner, 10, clock)


async def _write_under(database: Database, lease: Lease) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.execute(_WRITE)
        await lease.fence(transaction)

    await database.write(work)


async def test_one_owner_at_a_time(database: Database, clock: ManualClock) -> None:
    first = await _take(database, "a", clock)
    assert first == Lease("job", "a", 1, clock.now_ms() + 10_000)
    assert await _take(database, "b", clock) is None
    assert await acquire(database, "another job", "b", 10, clock) is not None


async def test_a_renewal_keeps_the_epoch(database: Database, clock: ManualClock) -> None:
    await _take(database, "a", clock)
    clock.advance(5)
    assert await _take(database, "a", clock) == Lease("job", "a", 1, clock.now_ms() + 10_000)
    clock.advance(9)
    assert await _take(database, "b", clock) is None


async def test_it_ends_with_its_time(database: Database, clock: ManualClock) -> None:
    await _take(database, "a", clock)
    clock.advance(10)
    assert await _take(database, "b", clock) is None  # the last millisecond is still the holder's
    clock.advance(0.001)
    second = await _take(database, "b", clock)
    assert second is not None
    assert second.epoch == 2
    assert await _take(database, "a", clock) is None


async def test_a_released_lease_is_free(database: Database, clock: ManualClock) -> None:
    first = await _take(database, "a", clock)
    assert first is not None
    await release(database, first)
    second = await _take(database, "b", clock)
    assert second is not None
    await release(database, first)  # of one that has moved on: nothing happens
    assert await _take(database, "c", clock) is None
    await _write_under(database, second)


async def test_a_fenced_writer_writes_nothing(database: Database, clock: ManualClock) -> None:
    first = await _take(database, "a", clock)
    assert first is not None
    await _write_under(database, first)
    clock.advance(11)
    await _write_under(database, first)  # expired, but nobody else took it
    await _take(database, "b", clock)
    with pytest.raises(LeaseLost):
        await _write_under(database, first)
    with pytest.raises(LeaseLost):
        await _write_under(database, Lease("no such job", "a", 1, 0))
    assert [tuple(row) for row in await rows(database, "SELECT revision FROM catalog")] == [(2,)]


async def test_many_want_it_at_once(database: Database, database_url: str, clock: ManualClock) -> None:
    other = await open_database(database_url)
    taken = await asyncio.gather(
        *(_take(base, f"{base is other}{n}", clock) for n in range(5) for base in (database, other))
    )
    assert sum(lease is not None for lease in taken) == 1
    await other.close()


async def test_a_lease_cannot_move_between_fence_and_commit(postgresql_url: str, clock: ManualClock) -> None:
    database, other = await open_database(postgresql_url), await open_database(postgresql_url)
    first = await _take(database, "a", clock)
    assert first is not None
    clock.advance(11)
    taking: list[asyncio.Task[Lease | None]] = []

    async def work(transaction: Transaction) -> bool:
        await first.fence(transaction)
        taking.append(asyncio.create_task(_take(other, "b", clock)))
        done, _ = await asyncio.wait(taking, timeout=0.2)
        await transaction.execute(_WRITE)
        return bool(done)

    assert await database.write(work) is False
    assert await taking[0] is not None
    await database.close()
    await other.close()
