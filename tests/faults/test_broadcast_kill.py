"""Sudden ends in the middle of a broadcast: nobody is left out, what was recorded is not sent again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from clarion.channels.registry import Platform
from clarion.delivery.binding import Binder
from clarion.delivery.broadcasts.pages import unpack_numbers
from clarion.delivery.ledger import Ledger
from clarion.devices.service import DeviceService
from clarion.foundation import Foundation
from clarion.ids import IdGenerator
from clarion.link.hub import Hub
from clarion.link.registration import RegistrationAnswer
from clarion.store.database import Transaction
from clarion.store.group import GroupWriter
from clarion.store.opening import open_database
from clarion.store.queries import Insert
from clarion.store.schema import devices
from tests.faults.load import connected
from tests.store.system import rows
from tests.support.client import Connection, form, sign
from tests.support.devices import Device
from tests.support.server import ServerProcess
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants, in_foundation, make_tenants

pytestmark = [pytest.mark.real_process, pytest.mark.slow]

log = logging.getLogger(__name__)

STEP = 1000
SCOPE = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
_INSERT = Insert(devices, ("device", "app", "token", "platform", "created_at", "updated_at"))


def _register(data_dir: Path, database: str | None, silent: int, each: int) -> list[RegistrationAnswer]:
    """`silent` thousands of devices that never connect, with `each` others after every thousand."""

    async def work(foundation: Foundation) -> list[RegistrationAnswer]:
        directory, store, clock = foundation.directory, foundation.database, foundation.clock
        await directory.refresh()
        app = await directory.find_app(APP_ID, WORKSPACE_ID)
        assert app is not None
        ids, writer = IdGenerator(clock), GroupWriter(store)
        service = DeviceService(
            store, writer, foundation.vault, ids, clock, Hub(), Binder(Ledger(directory, ids), directory)
        )
        identities = []
        for part in range(silent):
            now = clock.now_ms()
            step = [(ids.next(), app.key, f"silent-{part}-{n}", "android", now, now) for n in range(STEP)]

            async def insert(transaction: Transaction, step: Sequence[Sequence[object]] = step) -> None:
                await transaction.insert(_INSERT, step)

            await store.write(insert)
            for _ in range(each):
                made = await service.register(app.key, Platform.ANDROID)
                identities.append(RegistrationAnswer(made.token, made.secret, ""))
        return identities

    return in_foundation(work, data_dir, database)


async def _call(server: ServerProcess, tenants: Tenants, action: str, **parameters: object) -> dict[str, object]:
    async with Connection(server.api) as connection:
        answer = await connection.post(form(sign(tenants.push, action, {**SCOPE, **parameters})))
    assert answer.code in ("OK", "100"), answer.body
    return answer.json()


async def _announce(server: ServerProcess, tenants: Tenants) -> str:
    await _call(server, tenants, "CreateTemplate", TemplateName="sale", DescInfo="d", Title="Sale", Content="Now")
    answer = await _call(
        server,
        tenants,
        "PushBroadcast",
        TaskName="sale",
        DeliveryType=1,
        ExpiredSeconds=3600,
        TemplateName="sale",
        Msgkey="sale-1",
        PushStatus=1,
        UnBindPeriod=4,
    )
    result = answer["PushResult"]
    assert isinstance(result, dict)
    return str(result["Data"])


async def _figures(server: ServerProcess, tenants: Tenants, task: str) -> tuple[int, int, int]:
    """Total, success and arrival of a task."""
    content = (await _call(server, tenants, "QueryPushAnalysisTaskDetail", TaskId=task))["ResultContent"]
    assert isinstance(content, Mapping)
    data = content["Data"]
    return int(data["PushNum"]), int(data["PushSuccessNum"]), int(data["PushArrivalNum"])


async def _settled(server: ServerProcess, tenants: Tenants, task: str, expected: tuple[int, int, int]) -> None:
    """Wait until the figures are `expected`."""
    found = None
    try:
        async with asyncio.timeout(90):
            while (found := await _figures(server, tenants, task)) != expected:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"the figures are {found}, not {expected}") from None


async def _recorded(url: str) -> tuple[int, set[str]]:
    """Pages that are on disk, and tokens of the devices whose acks are."""
    database = await open_database(url)
    try:
        pages = await rows(database, "SELECT devices, marks FROM broadcast_pages")
        numbers = {d for packed, marks in pages for d, m in zip(unpack_numbers(packed), marks, strict=True) if m}
        tokens = await rows(database, "SELECT device, token FROM devices WHERE secret IS NOT NULL")
        return len(pages), {token for number, token in tokens if number in numbers}
    finally:
        await database.close()


async def _some_have_it(online: list[Device], count: int) -> None:
    async with asyncio.timeout(90):
        while sum("sale-1" in device.received for device in online) < count:  # noqa: ASYNC110 - a fine grain
            await asyncio.sleep(0.001)


async def _survive(
    data_dir: Path, database: str | None, *, thousands: int, each: int, moments: tuple[float, ...]
) -> None:
    """Kill the server when the given shares of the devices have the broadcast."""
    tenants = make_tenants(data_dir, database)
    identities = await asyncio.to_thread(_register, data_dir, database, thousands, each)
    registered, late = thousands * (STEP + each), identities[::20]
    early = [identity for identity in identities if identity not in late]
    with ServerProcess(data_dir, database=database) as server:
        async with connected(server, early) as online:
            task = await _announce(server, tenants)
            for share in moments:
                await _some_have_it(online, int(len(early) * share))
                server.kill()
                pages, tokens = await _recorded(database or f"sqlite:///{data_dir / 'clarion.db'}")
                assert pages < registered / STEP, "it was over before the kill"
                counts = {device.token: device.received["sale-1"] for device in online}
                await asyncio.to_thread(server.start)
            for device in online:
                await device.has({"sale-1"})
            await _settled(server, tenants, task, (registered, len(early), len(early)))
            async with connected(server, late) as others:
                for device in others:
                    await device.has({"sale-1"})
            await _settled(server, tenants, task, (registered, len(identities), len(identities)))
            doubles = sum(device.received["sale-1"] - 1 for device in [*online, *others])
            log.info("%d pages and %d acks at the kill, %d frames came twice", pages, len(tokens), doubles)
            assert tokens, "no ack was on disk at the kill"
            assert doubles <= STEP
            for device in online:
                if device.token in tokens:
                    assert device.received["sale-1"] == counts[device.token]


async def test_sigkill_during_a_broadcast(data_dir: Path) -> None:
    await _survive(data_dir, None, thousands=1000, each=1, moments=(0.1, 0.3, 0.7))


async def test_sigkill_during_a_broadcast_on_postgresql(data_dir: Path, postgresql_url: str) -> None:
    await _survive(data_dir, postgresql_url, thousands=20, each=5, moments=(0.3,))
