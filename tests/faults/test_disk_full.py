"""A disk without room: refusals while it lasts, service afterwards, and nothing lost in between.

The disk is full for the server alone: a limit on the size of its files, which any user may set.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

import pytest

from tests.faults.load import TEMPORARY, Load, all_arrived, connected
from tests.support.client import Connection, form, push_parameters, sign
from tests.support.devices import register_many, registration
from tests.support.server import ServerProcess, set_file_limit
from tests.support.tenants import make_tenants

pytestmark = [
    pytest.mark.real_process,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit and /dev/full of Linux"),
]

_LITTLE_ROOM, _NO_ROOM = 32 * 1024, 4096


async def test_full_disk_refuses_and_recovers(data_dir: Path) -> None:
    tenants = make_tenants(data_dir)
    with ServerProcess(data_dir, log_level="error") as server:
        identities = await register_many(server.api, tenants.app_secret, 8)
        async with connected(server, identities[:5]) as online, Connection(server.api) as other:
            load = Load(server, tenants, [one.delivery_token for one in identities])
            async with load.running() as account:
                await load.accepted(100)
                journal = data_dir / "clarion.db-wal"
                set_file_limit(server.process, journal.stat().st_size + _LITTLE_ROOM)
                await load.refused(50)
                set_file_limit(server.process, _NO_ROOM)  # before, a small write still found its place
                await load.refused(50)
                ready = await other.request("GET", "/readyz")
                alive = await other.request("GET", "/healthz")
                body = json.dumps(registration(tenants.app_secret)).encode()
                registered = await other.post(body, "/device/register", content_type="application/json")
                before = account.count
                set_file_limit(server.process, resource.RLIM_INFINITY)
                await load.accepted(200)
                assert (await other.request("GET", "/readyz")).status == 200
            server.kill()  # what is in memory alone does not count
            await asyncio.to_thread(server.start)
            async with connected(server, identities[5:]) as late:
                await all_arrived([*online, *late], account)
    assert ready.status == 503
    assert "writes" in ready.json()["faults"]
    assert alive.status == 200
    assert (registered.status, registered.json()["code"]) == (503, "ServiceUnavailable")
    assert {code for _, code in account.refused} <= TEMPORARY
    assert account.unanswered == 0
    assert before < account.count


async def test_log_without_room_stops_nothing(data_dir: Path) -> None:
    tenants = make_tenants(data_dir)
    with ServerProcess(data_dir, log_file=Path("/dev/full")) as server:
        identities = await register_many(server.api, tenants.app_secret, 1)
        async with connected(server, identities) as (device,), Connection(server.api) as connection:
            for number in range(3):
                push = push_parameters(device.token, f"k{number}")
                assert (await connection.post(form(sign(tenants.push, "PushSimple", push)))).code == "OK"
            await device.has({"k0", "k1", "k2"})
        assert await asyncio.to_thread(server.terminate) == 0
