"""Sudden ends under load: what was answered OK is delivered, and little is sent twice."""

from __future__ import annotations

import asyncio
import logging
import random
from pathlib import Path

import pytest

from clarion.link.websocket import CloseCode
from tests.faults.load import TEMPORARY, Load, all_arrived, connected
from tests.store.servers import PostgresqlServer
from tests.support.client import Connection, form, push_parameters, sign
from tests.support.devices import register_many
from tests.support.server import ServerProcess
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants, make_tenants

pytestmark = [pytest.mark.real_process, pytest.mark.slow]

log = logging.getLogger(__name__)

BATCH = 512
"""Most writes that one group commit carries: what one crash may repeat."""
DEVICES, OFFLINE = 20, 5


async def _survive_kills(server: ServerProcess, tenants: Tenants, kills: int, pushes: int) -> int:
    """Kill the server `kills` times under load; how many frames came twice in all."""
    moments = random.Random(20261123)
    identities = await register_many(server.api, tenants.app_secret, DEVICES + OFFLINE)
    async with connected(server, identities[:DEVICES]) as online:
        load = Load(server, tenants, [one.delivery_token for one in identities])
        async with load.running() as account:
            for _ in range(kills):
                await load.accepted(pushes // (kills + 1) + moments.randrange(100))
                await asyncio.sleep(moments.random() * 0.05)  # anywhere between two answers
                server.kill()
                await asyncio.to_thread(server.start)
            await load.accepted(pushes // (kills + 1))
        async with connected(server, identities[DEVICES:]) as late:
            doubles = await all_arrived([*online, *late], account)
    log.info("%d kills, %d pushes answered OK, %d frames came twice", kills, account.count, doubles)
    assert account.count >= pushes
    assert account.unanswered > 0
    assert account.refused == []
    return doubles


async def test_sigkill_loses_nothing(data_dir: Path) -> None:
    tenants = make_tenants(data_dir)
    with ServerProcess(data_dir) as server:
        doubles = await _survive_kills(server, tenants, kills=3, pushes=1600)
    assert doubles <= 3 * BATCH


async def test_sigkill_loses_nothing_on_postgresql(data_dir: Path, postgresql_url: str) -> None:
    tenants = make_tenants(data_dir, postgresql_url)
    with ServerProcess(data_dir, database=postgresql_url) as server:
        doubles = await _survive_kills(server, tenants, kills=1, pushes=1000)
    assert doubles <= BATCH


async def test_service_resumes_when_postgresql_is_back(data_dir: Path, own_postgresql: PostgresqlServer) -> None:
    url = await own_postgresql.create()
    tenants = make_tenants(data_dir, url)
    with ServerProcess(data_dir, database=url) as server:
        identities = await register_many(server.api, tenants.app_secret, 10)
        async with connected(server, identities) as devices:
            load = Load(server, tenants, [one.delivery_token for one in identities])
            async with load.running() as account:
                await load.accepted(200)
                await asyncio.to_thread(own_postgresql.control, "stop", "-m", "immediate")
                await load.refused(20)
                async with Connection(server.api) as connection:
                    ready = await connection.request("GET", "/readyz")
                    assert (ready.status, list(ready.json()["faults"])) != (200, [])
                await asyncio.to_thread(own_postgresql.control, "start")
                await load.accepted(200)
            await all_arrived(devices, account)
        assert {code for _, code in account.refused} <= TEMPORARY
        assert account.unanswered == 0


async def test_captured_request_is_refused_after_a_kill(data_dir: Path) -> None:
    tenants = make_tenants(data_dir)
    with ServerProcess(data_dir) as server:
        (device,) = await register_many(server.api, tenants.app_secret, 1)
        bind = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID, "OsType": 1, "UserId": "u"}
        parameters = {**bind, "DeliveryToken": device.delivery_token}
        captured = form(sign(tenants.push, "PushBind", parameters))
        async with Connection(server.api) as connection:
            assert (await connection.post(captured)).code == "OK"
        server.kill()
        server.start()
        async with Connection(server.api) as connection:
            again = await connection.post(captured)
        assert (again.status, again.code) == (400, "SignatureNonceUsed")


async def test_sigterm_finishes_what_is_in_hand(data_dir: Path) -> None:
    tenants = make_tenants(data_dir)
    with ServerProcess(data_dir) as server:
        identities = await register_many(server.api, tenants.app_secret, 10)
        async with connected(server, identities) as devices:
            load = Load(server, tenants, [one.delivery_token for one in identities])
            async with load.running() as account:
                await load.accepted(300)
                code = await asyncio.to_thread(server.terminate)
                load.stop()
            assert code == 0
            assert [device.closes for device in devices] == [[CloseCode.GOING_AWAY]] * len(devices)
            await asyncio.to_thread(server.start)
            await all_arrived(devices, account)
        assert account.refused == []


async def test_sigterm_answers_a_request_whose_body_is_under_way(data_dir: Path) -> None:
    tenants = make_tenants(data_dir)
    with ServerProcess(data_dir) as server:
        (device,) = await register_many(server.api, tenants.app_secret, 1)
        body = form(sign(tenants.push, "PushSimple", push_parameters(device.delivery_token, "k")))
        async with Connection(server.api) as connection:
            head = f"POST / HTTP/1.1\r\nhost: {server.api}\r\ncontent-length: {len(body)}\r\n\r\n"
            await connection.send(head.encode() + body[:50])
            async with Connection(server.api) as other:
                await other.request("GET", "/healthz")  # by now the first head was read
            stopping = asyncio.create_task(asyncio.to_thread(server.terminate))
            await _refuses_connections(server)
            await connection.send(body[50:])
            assert (await connection.answer()).code == "OK"
        assert await stopping == 0


async def _refuses_connections(server: ServerProcess) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                async with Connection(server.api):
                    await asyncio.sleep(0.02)
            except ConnectionError:
                return
