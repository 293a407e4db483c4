"""One server for the tests of its HTTP port, with short deadlines so that late clients are cut soon."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.client import Connection
from tests.support.server import ServerProcess
from tests.support.tenants import Tenants, make_tenants


@pytest.fixture(scope="session")
def server_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server") / "data"


@pytest.fixture(scope="session")
def tenants(server_data_dir: Path) -> Tenants:
    return make_tenants(server_data_dir)


@pytest.fixture(scope="session")
def server(server_data_dir: Path, tenants: Tenants) -> Iterator[ServerProcess]:
    with ServerProcess(server_data_dir, head_timeout=1, body_timeout=1, keep_alive=2) as running:
        yield running


@pytest.fixture
async def connection(server: ServerProcess) -> AsyncIterator[Connection]:
    async with Connection(server.api) as opened:
        yield opened
