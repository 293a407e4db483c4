"""SIGKILL while schedules are due: each is carried out once at each of its times, as if nothing had happened."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from clarion.foundation import Foundation
from clarion.link.registration import RegistrationAnswer
from clarion.schedules.model import FireState
from clarion.store.database import Row
from tests.faults.load import connected
from tests.store.system import rows
from tests.support.client import Connection, form, push_parameters, sign
from tests.support.devices import Device, register_many
from tests.support.server import ServerProcess
from tests.support.tenants import Tenants, in_foundation, make_tenants

pytestmark = [pytest.mark.real_process, pytest.mark.slow]

SCHEDULES, AHEAD_SECONDS = 90, 5
KILLED_AFTER = 8, 30, 60
"""How many pushes devices have when the server is killed."""
_OF_FIRES = (
    "SELECT fires.unique_id, fires.state, count(messages.message) "
    "FROM fires LEFT JOIN messages ON messages.task = fires.task GROUP BY 1, 2"
)


async def _schedule(
    server: ServerProcess, tenants: Tenants, devices: Sequence[RegistrationAnswer], at: int
) -> list[str]:
    """Make schedules that are due within the same second, one for each message key."""
    keys = [f"key-{number}" for number in range(SCHEDULES)]
    timing = {"StrategyType": 1, "StrategyContent": json.dumps({"fixedTime": at * 1000})}
    async with Connection(server.api) as connection:
        for number, key in enumerate(keys):
            token = devices[number % len(devices)].delivery_token
            parameters = push_parameters(token, key, **timing)
            answer = await connection.post(form(sign(tenants.push, "PushSimple", parameters)))
            assert answer.code == "OK", answer.body
            assert len(answer.json()["PushResult"]["Data"]) == 32
    return keys


async def _survive(server: ServerProcess, tenants: Tenants, data_dir: Path, database: str | None = None) -> None:
    moments = random.Random(7)
    identities = await register_many(server.api, tenants.app_secret, 5)
    left = []
    async with connected(server, identities) as devices:
        at = int(time.time()) + AHEAD_SECONDS
        keys = await _schedule(server, tenants, identities, at)
        assert time.time() < at, "making the schedules took too long"
        for goal in KILLED_AFTER:
            await _came(devices, goal)
            await asyncio.sleep(moments.random() * 0.005)  # anywhere among the transactions of that second
            server.kill()
            left.append(_fires(data_dir, database)[int(FireState.WAITING), 0])
            await asyncio.to_thread(server.start)
        await _all_came(devices, keys)
    assert await asyncio.to_thread(server.terminate) == 0
    assert any(0 < waiting < SCHEDULES for waiting in left), f"no kill came in between: {left}"
    assert _fires(data_dir, database) == {(int(FireState.EXECUTED), 1): SCHEDULES}


def _fires(data_dir: Path, database: str | None) -> Counter[tuple[int, int]]:
    """How many fires there are of each state and number of messages."""

    async def work(foundation: Foundation) -> Sequence[Row]:
        return await rows(foundation.database, _OF_FIRES)

    return Counter((state, messages) for _, state, messages in in_foundation(work, data_dir, database))


async def _came(devices: Sequence[Device], count: int) -> None:
    async with asyncio.timeout(30):
        while sum(len(device.received) for device in devices) < count:  # noqa: ASYNC110 - of several devices
            await asyncio.sleep(0.001)


async def _all_came(devices: Sequence[Device], keys: Sequence[str]) -> None:
    for number, device in enumerate(devices):
        own = set(keys[number :: len(devices)])
        await device.has(own)
        assert device.received.keys() == own
        assert len({push.id for push in device.pushes.values()}) == len(own)


async def test_sigkill_loses_and_repeats_no_schedule(data_dir: Path) -> None:
    tenants = make_tenants(data_dir)
    with ServerProcess(data_dir) as server:
        await _survive(server, tenants, data_dir)


async def test_sigkill_loses_and_repeats_no_schedule_on_postgresql(data_dir: Path, postgresql_url: str) -> None:
    tenants = make_tenants(data_dir, postgresql_url)
    with ServerProcess(data_dir, database=postgresql_url) as server:
        await _survive(server, tenants, data_dir, postgresql_url)


async def test_a_server_that_was_down_catches_up(data_dir: Path) -> None:
    tenants = make_tenants(data_dir)
    with ServerProcess(data_dir) as server:
        identities = await register_many(server.api, tenants.app_secret, 5)
        at = int(time.time()) + AHEAD_SECONDS
        keys = await _schedule(server, tenants, identities, at)
        server.kill()
        assert time.time() < at, "making the schedules took too long"
        await asyncio.sleep(at + 0.1 - time.time())
        await asyncio.to_thread(server.start)
        async with connected(server, identities) as devices:
            await _all_came(devices, keys)
