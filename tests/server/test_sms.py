"""SMS in place of pushes and beside them: from a real SDK's request to the service's simulator and its reports."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from clarion.delivery.trace import TraceHop, trace
from clarion.foundation import Foundation, open_foundation
from clarion.settings import load_settings
from clarion.simulators.faults import Fault, FaultKind
from clarion.simulators.hall import Hall
from tests.sdk.python import tea_client, tea_send
from tests.support.server import ServerProcess, run_clarion
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants, make_tenants

pytestmark = pytest.mark.real_process

APP = ("--app-id", APP_ID, "--workspace-id", WORKSPACE_ID)
NAMES = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
SMS = {"SmsSignName": "Clarion", "SmsTemplateCode": "SMS_1", "SmsTemplateParam": '{"code":"1234"}'}
SECONDS = 20.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sms")


@pytest.fixture(scope="module")
def own_tenants(folder: Path) -> Tenants:
    return make_tenants(folder / "data")


@pytest.fixture(scope="module")
def sender(folder: Path, own_tenants: Tenants) -> Iterator[ServerProcess]:
    """A server that waits a second for a push to reach a device."""
    with ServerProcess(folder / "data", sms_supplement_seconds=1) as running:
        yield running


@pytest.fixture
async def hall(folder: Path) -> AsyncIterator[Hall]:
    async with Hall(labels=["sms"], folder=folder / "credentials") as opened:
        yield opened


class World:
    """A back end with the service's SDK, and a person with a phone who logs in and out."""

    def __init__(self, server: ServerProcess, tenants: Tenants, hall: Hall, foundation: Foundation) -> None:
        self._foundation = foundation
        self._client = tea_client(server.api, tenants.push)
        self._server = server
        self._hall = hall

    async def clarion(self, *arguments: str) -> str:
        done = await asyncio.to_thread(run_clarion, self._server.data_dir, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    async def set_up(self) -> None:
        """The channel, and where the service sends its reports."""
        app = await self._app()
        await self._foundation.channels.set(app, "sms", json.dumps(self._hall.credentials("sms")).encode())
        path = self._foundation.receipt_addresses.path(app, "sms")
        self._hall.configure("sms", {"reportUrl": self._server.url + path})
        await asyncio.sleep(1.0)  # a running server knows it within a second

    async def _app(self) -> int:
        app = await self._foundation.directory.find_app(APP_ID, WORKSPACE_ID)
        assert app is not None
        return app.key

    async def call(self, action: str, **parameters: Any) -> None:
        body = await asyncio.to_thread(tea_send, self._client, action, {**NAMES, **parameters})
        assert body.result_code == "OK", body

    async def person(self, user: str, number: str, *, logged_in: bool = True) -> None:
        token = f"device-of-{user}"
        await self.call("PushBind", DeliveryToken=token, UserId=user, OsType=1, PhoneNumber=number)
        if not logged_in:
            await self.call("PushUnBind", DeliveryToken=token, UserId=user)

    async def push(self, user: str, strategy: int, **more: Any) -> None:
        targets = json.dumps({user: "otp"})
        await self.call(
            "PushSimple",
            TaskName="login",
            Title="Your code",
            Content="1234",
            DeliveryType=3,
            ExpiredSeconds=300,
            TargetMsgkey=targets,
            SmsStrategy=strategy,
            **{**SMS, **more},
        )

    def sent(self) -> list[dict[str, str]]:
        """The SMS that the service was asked to send."""
        calls = [parse_qs(entry.body) for entry in self._hall.journal.entries("sms")]
        return [{name: values[0] for name, values in call.items()} for call in calls if "PhoneNumbers" in call]

    async def traced(self, user: str, *outcomes: str) -> list[TraceHop]:
        """The hops of SMS, once they have these outcomes."""
        app = await self._app()
        async with asyncio.timeout(SECONDS):
            while True:
                found = await trace(self._foundation.database, self._foundation.clock, app, user, "otp")
                assert found is not None
                hops = [hop for hop in found.hops if hop.stage == "sms"]
                if [hop.outcome for hop in hops] == list(outcomes):
                    return hops
                await asyncio.sleep(0.02)


@pytest.fixture
async def world(sender: ServerProcess, own_tenants: Tenants, hall: Hall) -> AsyncIterator[World]:
    foundation = await open_foundation(load_settings({"data_dir": str(sender.data_dir)}, environment={}))
    made = World(sender, own_tenants, hall, foundation)
    await made.set_up()
    yield made
    await foundation.database.close()


async def test_a_password_for_who_has_logged_out(world: World) -> None:
    await world.person("lin", "+86 13800138000", logged_in=False)
    began = time.monotonic()
    await world.push("lin", 1)
    while not world.sent():
        assert time.monotonic() - began < 1.0, "a one-time password should leave within a second"
        await asyncio.sleep(0.005)
    (call,) = world.sent()
    assert (call["PhoneNumbers"], call["TemplateCode"]) == ("13800138000", "SMS_1")
    assert json.loads(call["TemplateParam"]) == {"code": "1234"}
    taken, arrived = await world.traced("lin", "sms_taken", "sms_arrived")
    assert (taken.code or "").endswith("^0")
    assert arrived.code == "DELIVERED"
    shown = " ".join((await world.clarion("trace", *APP, "--target", "lin", "--msg-key", "otp")).split())
    for said in ("No device is bound to this user.", "took the SMS", "reached the phone"):
        assert said in shown
    assert "13800138000" not in shown


async def test_beside_the_push_and_once(world: World) -> None:
    await world.person("mei", "13800138001")
    for _ in range(3):
        await world.push("mei", 2)
    await world.traced("mei", "sms_taken", "sms_arrived")
    assert [call["PhoneNumbers"] for call in world.sent()] == ["13800138001"]


async def test_a_device_that_does_not_answer(world: World) -> None:
    await world.person("bo", "13800138002")
    await world.push("bo", 1)
    await world.traced("bo", "sms_taken", "sms_arrived")
    assert len(world.sent()) == 1


async def test_a_lost_answer_sends_one_sms(world: World, hall: Hall) -> None:
    await world.person("yu", "13800138003")
    hall.configure("sms", {"reportUrl": ""})
    hall.faults.set([Fault(channel="sms", kind=FaultKind.HALF, count=1)])
    await world.push("yu", 2)
    _, taken = await world.traced("yu", "sms_in_doubt", "sms_taken")
    assert "earlier try" in taken.cause
    assert len(world.sent()) == 1


async def test_no_number_says_what_to_do(world: World) -> None:
    await world.push("nobody", 1)
    (hop,) = await world.traced("nobody", "sms_no_number")
    assert "PushBind" in hop.next
