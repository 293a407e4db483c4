"""Databases that fail: callers learn it at once, nothing half is kept, and work goes on when the cause is gone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from clarion.clock import ManualClock
from clarion.failures import StoreUnavailable
from clarion.store.database import Database, Transaction
from clarion.store.facts import answers
from clarion.store.group import GroupWriter
from clarion.store.opening import open_database
from clarion.store.queries import Insert, Query
from clarion.store.schema import nonces
from clarion.store.sqlite import SqliteDatabase
from tests.store.servers import PostgresqlServer
from tests.store.system import System, rows

_PAGES = Insert(nonces, ("page", "at", "hashes"))


def fault(writer: GroupWriter) -> str | None:
    return writer.fault


async def _write(transaction: Transaction, batch: Sequence[int]) -> Sequence[None]:
    await transaction.insert(_PAGES, [(n, 0, bytes(50_000)) for n in batch])
    return [None] * len(batch)


async def _limit(database: Database, pages: int) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.fetch(Query(text(f"PRAGMA max_page_count = {pages}")))

    await database.write(work)


@pytest.fixture
async def sqlite(tmp_path: Path) -> Database:
    return await open_database(f"sqlite:///{tmp_path}/a.db")


async def test_a_full_disk(sqlite: Database) -> None:
    writer = GroupWriter(sqlite)
    await writer.submit(_write, 0)
    size = (await rows(sqlite, "PRAGMA page_count"))[0][0]
    await _limit(sqlite, size + 20)
    await writer.submit(_write, 1)
    with pytest.raises(StoreUnavailable, match="full"):
        await writer.submit(_write, 2)
    assert fault(writer) is not None
    await answers(sqlite)  # reading goes on
    assert len(await rows(sqlite, "SELECT page FROM nonces")) == 2
    await _limit(sqlite, size + 1000)
    await writer.submit(_write, 3)
    assert fault(writer) is None
    assert len(await rows(sqlite, "SELECT page FROM nonces")) == 3
    await sqlite.close()


async def test_a_push_into_a_full_disk_is_not_accepted(sqlite: Database, clock: ManualClock) -> None:
    system = await System(sqlite, clock).open()
    size = (await rows(sqlite, "PRAGMA page_count"))[0][0]
    await _limit(sqlite, size)
    pushes = [
        await asyncio.gather(system.push("user", key=f"key{n}", title="x" * 1500), return_exceptions=True)
        for n in range(100)
    ]
    failures = [error for (error,) in pushes if isinstance(error, BaseException)]
    assert {type(error) for error in failures} == {StoreUnavailable}
    pushed = len(pushes) - len(failures)
    await _limit(sqlite, size + 1000)
    assert await system.count("messages") == await system.count("tasks") == pushed
    receipt = await system.push("user", key="key99", title="x" * 1500)
    assert (receipt.targets, receipt.repeated) == (1, 0)
    await sqlite.close()


async def test_another_process_holds_the_file(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await answers(sqlite)
    await sqlite.close()
    monkeypatch.setattr("clarion.store.sqlite._BUSY_SECONDS", 0.05)
    database = SqliteDatabase(tmp_path / "a.db")
    writer = GroupWriter(database)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await writer.submit(_write, 1)
    await answers(database)
    other.execute("ROLLBACK")
    other.close()
    await writer.submit(_write, 1)
    await database.close()


async def test_a_postgresql_server_that_stops_and_starts_again() -> None:
    server = PostgresqlServer()
    try:
        database = await open_database(await server.create())
        writer = GroupWriter(database)
        await writer.submit(_write, 1)
        await answers(database)
        server.control("stop", "-m", "immediate")
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await writer.submit(_write, 2)
            with pytest.raises(StoreUnavailable):
                await answers(database)
        assert fault(writer) is not None
        server.control("start")
        await writer.submit(_write, 3)
        await answers(database)
        assert fault(writer) is None
        assert sorted(row[0] for row in await rows(database, "SELECT page FROM nonces")) == [1, 3]
        await database.close()
    finally:
        server.close()


async def test_a_session_that_the_server_ends(postgresql_url: str, postgresql: PostgresqlServer) -> None:
    database, administrator = await open_database(postgresql_url), await open_database(postgresql_url)
    writer = GroupWriter(database)

    async def ended(transaction: Transaction, batch: Sequence[int]) -> Sequence[None]:
        own = await transaction.fetch_one(Query(text("SELECT pg_backend_pid()")))
        assert own is not None
        await _write(transaction, batch)
        await rows(administrator, "SELECT pg_terminate_backend(:pid)", pid=own[0])
        await _write(transaction, [n + 1 for n in batch])
        return [None] * len(batch)

    with pytest.raises(StoreUnavailable):
        await writer.submit(ended, 1)
    await writer.submit(_write, 1)
    assert [row[0] for row in await rows(database, "SELECT page FROM nonces")] == [1]
    await database.close()
    await administrator.close()


async def test_deadlocks_are_tried_again(postgresql_url: str) -> None:
    database, other = await open_database(postgresql_url), await open_database(postgresql_url)
    tries = []

    async def victim(transaction: Transaction) -> None:
        tries.append(transaction)
        await transaction.insert(_PAGES, [(1, 0, b"")])
        if len(tries) < 3:
            await transaction.fetch(
                Query(text("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"))
            )

    await database.write(victim)
    assert len(tries) == 3
    assert [row[0] for row in await rows(database, "SELECT page FROM nonces")] == [1]
    await database.close()
    await other.close()


async def test_a_connection_that_cannot_be_set_up_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database at all" * 100)
    database = SqliteDatabase(tmp_path / "a.db")

    async def work(_: Transaction) -> None:
        pytest.fail("there is nothing to work on")

    for attempt in (database.read, database.write):
        with pytest.raises(sqlite3.DatabaseError):
            await attempt(work)
    assert database._opened == []
    await database.close()
