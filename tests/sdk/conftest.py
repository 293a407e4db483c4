"""One server for all SDKs, and a connected device for those tests that look at what arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.sdk.cases import Ask
from tests.sdk.furniture import make_apps, make_templates
from tests.sdk.python import common, send
from tests.support.devices import Device, register_many
from tests.support.server import ServerProcess
from tests.support.tenants import Tenants, make_tenants

OPTION = "--foreign-sdks"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="run the SDKs of Node and Java too (make test-sdks)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption(OPTION, default=False):
        reason = pytest.mark.skip(reason=f"SDKs of other languages run with {OPTION} (make test-sdks)")
        for item in items:
            if item.get_closest_marker("foreign_sdk"):
                item.add_marker(reason)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "foreign_sdk: needs the tools of another language")


@pytest.fixture(scope="session")
def sdk_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sdk") / "data"


@pytest.fixture(scope="session")
def tenants(sdk_data_dir: Path) -> Tenants:
    return make_tenants(sdk_data_dir)


@pytest.fixture(scope="session")
def server(sdk_data_dir: Path, tenants: Tenants) -> Iterator[ServerProcess]:
    make_apps(sdk_data_dir)
    with ServerProcess(sdk_data_dir) as running:
        make_templates(_asking(running, tenants))
        yield running


@pytest.fixture(scope="session")
def ask(server: ServerProcess, tenants: Tenants) -> Ask:
    """Makes a request with `aliyun-python-sdk-core` and a key that may push."""
    return _asking(server, tenants)


def _asking(server: ServerProcess, tenants: Tenants) -> Ask:
    return lambda action, parameters: send(server.api, tenants.push, common(action, parameters))


@pytest.fixture
async def device(server: ServerProcess, tenants: Tenants) -> AsyncIterator[Device]:
    """A connected Android device."""
    (identity,) = await register_many(server.api, tenants.app_secret, 1)
    async with Device(server.link_url, identity) as connected:
        await connected.online()
        yield connected
