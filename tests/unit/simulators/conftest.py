"""A host with APNs, and one with a vendor of HTTP/1.1."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest
from tests.unit.simulators.wire import provider_token

from clarion.simulators import registry
from clarion.simulators.hall import Hall


@pytest.fixture
async def hall() -> AsyncIterator[Hall]:
    async with Hall(labels=["apns"]) as opened:
        yield opened


@pytest.fixture
def headers(hall: Hall) -> Mapping[str, str]:
    """Of a good notification."""
    token = provider_token(hall.credentials("apns"), time.time())
    return {"authorization": f"bearer {token}", "apns-topic": "com.example.app", "apns-push-type": "alert"}


@pytest.fixture
async def echo(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hall]:
    monkeypatch.setitem(registry.SIMULATORS, "echo", registry.Entry("tests.unit.simulators.echo"))
    async with Hall(labels=["echo"]) as opened:
        yield opened


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
