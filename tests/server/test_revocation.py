"""Revoking on a real server: devices that have a message remove it, others never see it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from clarion.link.client import LinkClient, LinkEvent
from clarion.link.protocol import Push, Revoke, Welcome
from clarion.link.registration import RegistrationAnswer
from tests.support.client import Connection, form, push_parameters, sign
from tests.support.devices import register_many
from tests.support.server import ServerProcess, run_clarion
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants

pytestmark = pytest.mark.real_process
SECONDS = 20.0


@pytest.fixture
async def identity(server: ServerProcess, tenants: Tenants) -> RegistrationAnswer:
    """A registered device."""
    (registered,) = await register_many(server.api, tenants.app_secret, 1)
    return registered


@asynccontextmanager
async def connected(server: ServerProcess, identity: RegistrationAnswer) -> AsyncIterator[LinkClient]:
    """The device, connected and welcome."""
    client = LinkClient(server.link_url, APP_ID, WORKSPACE_ID, identity.delivery_token, identity.device_secret)
    async with client:
        assert isinstance(await heard(client), Welcome)
        yield client


async def heard(client: LinkClient) -> LinkEvent:
    """The next event; what is heard is acknowledged."""
    async with asyncio.timeout(SECONDS):
        async for event in client:
            return event
    raise AssertionError("the client has stopped")


class Caller:
    """Calls the API as a back end does."""

    def __init__(self, connection: Connection, tenants: Tenants) -> None:
        self._connection = connection
        self._key = tenants.push

    async def push(self, identity: RegistrationAnswer, msg_key: str) -> None:
        await self.call("PushSimple", push_parameters(identity.delivery_token, msg_key))

    async def revoke(self, identity: RegistrationAnswer, msg_key: str) -> str:
        """Revoke; what the answer says."""
        names = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
        values = {**names, "MessageId": msg_key, "TargetId": identity.delivery_token}
        answer = await self.call("RevokePushMessage", values)
        result = answer["PushResult"]
        assert (answer["ResultMessage"], result["Success"], "Data" in result) == ("success", True, False)
        return str(result["ResultMsg"])

    async def call(self, action: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        answer = (await self._connection.post(form(sign(self._key, action, parameters)))).json()
        assert answer["ResultCode"] == "OK", answer
        return answer


@pytest.fixture
def caller(connection: Connection, tenants: Tenants) -> Caller:
    return Caller(connection, tenants)


async def test_a_connected_device_removes_it_at_once(
    server: ServerProcess, identity: RegistrationAnswer, caller: Caller
) -> None:
    async with connected(server, identity) as device:
        await caller.push(identity, "revoked")
        push = await heard(device)
        assert isinstance(push, Push)
        await caller.push(identity, "next")
        assert isinstance(await heard(device), Push)
        assert "recall sent to 1 device," in await caller.revoke(identity, "revoked")
        revoke = await heard(device)
        assert isinstance(revoke, Revoke)
        assert (revoke.msg_key, int(revoke.id) > int(push.id)) == ("revoked", True)
        assert "sent to 0 devices" in await caller.revoke(identity, "revoked")


async def test_an_offline_device_hears_of_it_when_it_comes_back(
    server: ServerProcess, identity: RegistrationAnswer, caller: Caller
) -> None:
    async with connected(server, identity) as device:
        for key in ("had", "had too"):
            await caller.push(identity, key)
            assert isinstance(await heard(device), Push)
    await caller.push(identity, "never seen")
    assert "recall sent to 1 device," in await caller.revoke(identity, "had")
    assert "1 withdrawn before delivery, recall sent to 0 devices" in await caller.revoke(identity, "never seen")
    await caller.push(identity, "last")
    async with connected(server, identity) as device:
        keys: list[str] = []
        while "last" not in keys:
            event = await heard(device)
            assert isinstance(event, Push | Revoke)
            if isinstance(event, Revoke) or event.msg_key != "had too":  # whose ack may have been lost
                keys.append(f"revoke {event.msg_key}" if isinstance(event, Revoke) else event.msg_key)
    assert keys == ["revoke had", "last"]


async def test_from_the_command_line(
    server: ServerProcess, identity: RegistrationAnswer, caller: Caller, tenants: Tenants, tmp_path: Path
) -> None:
    app = ("--app-id", APP_ID, "--workspace-id", WORKSPACE_ID)
    key = ("--access-key-id", tenants.push.key_id, "--access-key-secret", tenants.push.secret)
    common = (*app, *key, "--server", server.url)

    def run(*arguments: str) -> tuple[int, str, str]:
        done = run_clarion(tmp_path, "revoke", *arguments, *common)
        return done.returncode, done.stdout, done.stderr

    await caller.push(identity, "k")
    message = ("message", "--target", identity.delivery_token, "--msg-key", "k")
    code, said, _ = await asyncio.to_thread(run, *message)
    assert (code, said.startswith("success: 1 withdrawn before delivery")) == (0, True)
    code, said, _ = await asyncio.to_thread(run, *message, "--json")
    assert (code, json.loads(said)["PushResult"]["Success"]) == (0, True)
    code, _, told = await asyncio.to_thread(run, "task", "--task-id", "12")
    assert (code, told.startswith("error: 3028: param is invalid: no multiple push or broadcast")) == (1, True)
