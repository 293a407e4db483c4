"""Migrations: they reach the described schema, once, whoever runs them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sqlite3
from multiprocessing.synchronize import Barrier
from pathlib import Path

import asyncpg
import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from clarion.failures import ConfigurationError, StoreUnavailable
from clarion.store import migrate as migrations
from clarion.store.database import Database, Transaction
from clarion.store.migrate import HEAD, migrate
from clarion.store.opening import open_database
from clarion.store.queries import Query
from clarion.store.schema_vendors import metadata
from tests.store.servers import PostgresqlServer
from tests.store.system import rows


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


def _index_conditions(connection: Connection) -> dict[str, str]:
    """The condition of each partial index, without the brackets and spaces in which the databases differ."""
    found = {}
    for table in metadata.tables:
        for index in inspect(connection).get_indexes(table):
            options = index.get("dialect_options", {})
            condition = options.get("sqlite_where", options.get("postgresql_where"))
            if condition is not None:
                found[str(index["name"])] = str(condition).replace("(", "").replace(")", "")
    return found


async def _examined(url: str) -> tuple[list[object], dict[str, str]]:
    if url.startswith("sqlite"):
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            return _differences(connection), _index_conditions(connection)
    engine_ = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"), poolclass=NullPool)
    async with engine_.connect() as connection_:
        result = await connection_.run_sync(lambda c: (_differences(c), _index_conditions(c)))
    await engine_.dispose()
    return result


async def test_migrations_reach_the_described_schema(database: Database, database_url: str) -> None:
    differences, conditions = await _examined(database_url)
    assert differences == []
    assert set(conditions) == {
        "broadcasts_unfinished",
        "deliveries_due",
        "devices_by_vendor_token",
        "devices_by_user",
        "fires_waiting",
        "messages_open",
        "schedules_waiting",
        "tasks_in_batches",
    }
    assert conditions["devices_by_user"] == "user_id IS NOT NULL"
    assert conditions["messages_open"] in ("status IN 0, 1", "status = ANY ARRAY[0::bigint, 1::bigint]")


async def test_tables_are_built_for_their_use(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db")
    found = await rows(database, "SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    stored = {str(name): str(sql) for name, sql in found}
    await database.close()
    for table in metadata.tables.values():
        assert ("WITHOUT ROWID" in stored[table.name]) == (table.dialect_options["sqlite"]["with_rowid"] is False)


def test_head_is_the_newest_file() -> None:
    versions = Path(migrations.__file__).with_name("migrations") / "versions"
    assert max(file.name for file in versions.glob("[0-9]*.py")).startswith(HEAD)


async def test_a_second_run_changes_nothing(database: Database, database_url: str) -> None:
    async def insert(transaction: Transaction) -> None:
        await transaction.execute(Query(text("UPDATE catalog SET revision = 7")))

    await database.write(insert)
    await migrate(database_url)
    assert [tuple(row) for row in await rows(database, "SELECT revision FROM catalog")] == [(7,)]


async def _open_and_count(url: str) -> None:
    database = await open_database(url)

    async def count(transaction: Transaction) -> None:
        await transaction.execute(Query(text("UPDATE catalog SET revision = revision + 1")))

    await database.write(count)
    await database.close()


def _process(url: str, barrier: Barrier) -> None:
    barrier.wait()
    asyncio.run(_open_and_count(url))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_processes_that_start_together(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/a.db"
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        url = await server.create(migrated=False)
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    processes = [spawn.Process(target=_process, args=(url, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
    assert [process.exitcode for process in processes] == [0, 0]
    database = await open_database(url)
    assert [tuple(row) for row in await rows(database, "SELECT id, revision FROM catalog")] == [(1, 2)]
    await database.close()


async def test_an_interrupted_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/a.db"

    def fail(*_: object) -> None:
        raise OSError("power failure")

    monkeypatch.setattr(op, "execute", fail)
    with pytest.raises(StoreUnavailable):
        await migrate(url)
    monkeypatch.undo()
    with sqlite3.connect(f"{tmp_path}/a.db") as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    await (await open_database(url)).close()


async def test_a_newer_database_is_refused(database: Database, database_url: str) -> None:
    async def newer(transaction: Transaction) -> None:
        await transaction.execute(Query(text("UPDATE alembic_version SET version_num = '9999'")))

    await database.write(newer)
    with pytest.raises(ConfigurationError, match=r"schema 9999.*newer"):
        await open_database(database_url)


@pytest.mark.parametrize("name", ["plain", "a b", "a?b=c", "a#b", "a%20b", "数据", "a;b&c"])
async def test_a_directory_may_have_any_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    database = await open_database(f"sqlite:///{tmp_path / name / 'clarion.db'}")
    assert len(await rows(database, "SELECT * FROM catalog")) == 1
    await database.close()
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208


async def test_sqlite_keeps_its_promises(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db")

    async def pragmas(transaction: Transaction) -> tuple[object, object]:
        journal = await transaction.fetch_one(Query(text("PRAGMA journal_mode")))
        synchronous = await transaction.fetch_one(Query(text("PRAGMA synchronous")))
        assert journal is not None
        assert synchronous is not None
        return journal[0], synchronous[0]

    full = 2
    assert await database.write(pragmas) == ("wal", full)
    await database.close()


@pytest.mark.parametrize("url", ["mysql://host/name", "clarion.db", "", "sqlite:clarion.db"])
async def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="unknown database URL"):
        await open_database(url)


async def test_a_database_that_is_not_there(tmp_path: Path, postgresql: PostgresqlServer) -> None:
    for url in (
        f"sqlite:///{tmp_path}/missing/a.db",
        f"postgresql://postgres@/a?host={tmp_path}",
        "postgresql://postgres@127.0.0.1:1/a",
        postgresql.url_of("missing"),
    ):
        with pytest.raises(StoreUnavailable, match="cannot open the database"):
            await open_database(url)


async def test_libpq_options_in_the_url(postgresql_url: str) -> None:
    database = await open_database(f"{postgresql_url}&sslmode=prefer&application_name=clarion")
    assert tuple((await rows(database, "SELECT current_setting('application_name')"))[0]) == ("clarion",)
    await database.close()


async def test_opening_twice_is_one_database(database: Database, database_url: str) -> None:
    other = await open_database(database_url)

    async def rename(transaction: Transaction) -> int:
        return await transaction.execute(Query(text("UPDATE catalog SET revision = revision + 1")))

    assert await database.write(rename) == 1
    assert tuple((await rows(other, "SELECT revision FROM catalog"))[0]) == (1,)
    await other.close()


async def test_synchronous_commit_of_postgresql(postgresql_url: str) -> None:
    connection = await asyncpg.connect(postgresql_url)
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    await connection.close()
