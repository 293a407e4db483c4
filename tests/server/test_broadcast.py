"""A broadcast on a real server: who is there gets it, who comes gets it, who has it is told of its revocation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from clarion.link.client import LinkClient, LinkEvent
from clarion.link.protocol import Push, Revoke, Welcome
from clarion.link.registration import RegistrationAnswer
from tests.support.client import Connection, form, sign
from tests.support.devices import register_many
from tests.support.server import ServerProcess, run_clarion
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants

pytestmark = pytest.mark.real_process

SECONDS = 20.0
SCOPE = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
BROADCAST = {
    "TaskName": "autumn",
    "DeliveryType": 1,
    "ExpiredSeconds": 3600,
    "TemplateName": "autumn-sale",
    "TemplateKeyValue": '{"what":"tea"}',
    "PushStatus": 2,
    "UnBindPeriod": 4,
}


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


async def call(server: ServerProcess, tenants: Tenants, action: str, **parameters: object) -> dict[str, Any]:
    async with Connection(server.api) as connection:  # commands of the program between two calls take their time
        return (await connection.post(form(sign(tenants.push, action, {**SCOPE, **parameters})))).json()


async def traced(server: ServerProcess, identity: RegistrationAnswer, key: str, stage: str) -> list[str]:
    """The stages of a device's trace, as soon as `stage` is the last of them."""
    stages: list[str] = []
    for _ in range(40):
        shown = await asyncio.to_thread(
            run_clarion, server.data_dir, "trace", "--app-id", APP_ID, "--workspace-id", WORKSPACE_ID,
            "--target", identity.delivery_token, "--msg-key", key, "--json",
        )  # fmt: skip
        assert shown.returncode == 0, shown.stderr
        stages = [hop["stage"] for hop in json.loads(shown.stdout)["hops"]]
        if stages[-1] == stage:
            break
    return stages


async def test_the_life_of_a_broadcast(server: ServerProcess, tenants: Tenants) -> None:
    here, offline, late = await register_many(server.api, tenants.app_secret, 3)
    text = {"DescInfo": "the sale", "Title": "Sale", "Content": "#what# for less"}
    await call(server, tenants, "CreateTemplate", TemplateName="autumn-sale", **text)
    async with connected(server, here) as device:
        answer = await call(server, tenants, "PushBroadcast", Msgkey="sale-1", **BROADCAST)
        task = answer["PushResult"]["Data"]
        push = await heard(device)
        assert isinstance(push, Push)
        assert (push.id, push.task_id, push.msg_key) == (task, task, "sale-1")
        assert (push.title, push.content) == ("Sale", "tea for less")
        assert await traced(server, here, "sale-1", "acked") == ["accepted", "planned", "acked"]

        async with connected(server, offline) as other:
            push = await heard(other)
            assert isinstance(push, Push)
            assert push.msg_key == "sale-1"
        assert await traced(server, offline, "sale-1", "acked") == ["accepted", "planned", "acked"]

        again = await call(server, tenants, "PushBroadcast", Msgkey="sale-1", **BROADCAST)
        assert again["PushResult"]["Data"] == task

        revoked = await call(server, tenants, "RevokePushTask", TaskId=task)
        assert "recall sent to 2 devices" in revoked["PushResult"]["ResultMsg"]
        recall = await heard(device)
        assert isinstance(recall, Revoke)
        assert recall.msg_key == "sale-1"
        assert await traced(server, here, "sale-1", "recalled") == ["accepted", "planned", "acked", "recalled"]

    async with connected(server, offline) as other:
        recall = await heard(other)
        assert isinstance(recall, Revoke)
    async with connected(server, late) as third:
        answer = await call(server, tenants, "PushBroadcast", Msgkey="sale-2", **BROADCAST)
        push = await heard(third)
        assert isinstance(push, Push)
        assert push.msg_key == "sale-2", "the revoked one is for nobody any more"
    # The devices of other tests, on the same server, shall not get it.
    await call(server, tenants, "RevokePushTask", TaskId=answer["PushResult"]["Data"])
