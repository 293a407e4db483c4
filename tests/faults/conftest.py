"""Servers that are made to fail, each with a data directory of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.servers import PostgresqlServer


@pytest.fixture
def own_postgresql() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server that nobody else uses."""
    server = PostgresqlServer()
    yield server
    server.close()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory, not made yet."""
    return tmp_path / "data"
