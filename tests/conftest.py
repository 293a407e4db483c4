"""Fixtures that tests of several areas share: databases of both kinds, and the capabilities on one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clarion.clock import ManualClock
from clarion.store.database import Database
from clarion.store.opening import open_database
from tests.store.servers import PostgresqlServer
from tests.store.system import System


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server, started by the first test that asks for it."""
    server = PostgresqlServer()
    yield server
    server.close()


@pytest.fixture
async def postgresql_url(postgresql: PostgresqlServer) -> AsyncIterator[str]:
    """An empty database with the current schema."""
    url = await postgresql.borrow()
    yield url
    await postgresql.give_back(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh database of either kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path / 'clarion.db'}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database of either kind."""
    opened = await open_database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def system(database: Database, clock: ManualClock) -> AsyncIterator[System]:
    """The capabilities on a fresh database, with one app."""
    opened = await System(database, clock).open()
    yield opened
    await opened.writer.drain()
