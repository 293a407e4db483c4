"""What a device gets of pushes with every parameter, and of the longest PushMultiple, with both Python SDKs."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest

from tests.sdk.cases import APP, BIND, EVERY, TOKEN, WINNER, WINNERS, Ask, Parameters, code_of, fill
from tests.sdk.python import tea_client, tea_send
from tests.support.devices import Device
from tests.support.server import ServerProcess
from tests.support.tenants import Tenants

pytestmark = pytest.mark.real_process

MOST_TARGETS = 400
SDKS = ("core", "tea")


@pytest.fixture(params=SDKS)
def push(request: pytest.FixtureRequest, server: ServerProcess, tenants: Tenants, ask: Ask) -> Ask:
    """Pushes with an SDK; the answer by wire names."""

    def tea(action: str, parameters: Parameters) -> dict[str, Any]:
        answer: dict[str, Any] = tea_send(tea_client(server.api, tenants.push), action, parameters).to_map()
        return answer

    return ask if request.param == "core" else tea


def for_device(action: str, device: Device, msg_key: str) -> Parameters:
    """The request of `EVERY`, for this device."""
    parameters = fill(EVERY[action], msg_key)
    addressed: Parameters = json.loads(json.dumps(parameters).replace(TOKEN, device.token))
    return addressed


@pytest.mark.parametrize("action", ["PushTemplate", "PushMultiple", "PushBroadcast"])
async def test_template_and_parameters_reach_the_device(push: Ask, ask: Ask, device: Device, action: str) -> None:
    """Text, address and pictures are the template's; the rest is the request's."""
    await asyncio.to_thread(ask, "PushBind", {**BIND, "DeliveryToken": device.token})
    msg_key = uuid.uuid4().hex
    answer = await asyncio.to_thread(push, action, for_device(action, device, msg_key))
    assert code_of(answer) == "OK"
    frame = await device.push(msg_key)
    assert (frame.title, frame.content, frame.uri) == ("Hi Bob", "恭喜 Bob: 200", "http://www.example.com/Bob")
    assert (frame.action, frame.silent, frame.style, frame.notify_type) == (1, 1, 2, "transparent")
    assert (frame.image, frame.icon) == ("https://example.com/image.png", "https://example.com/icon.png")
    own = {"own": "yes"} if action == "PushMultiple" else {}
    assert (frame.channel_id, frame.params) == ("orders", {"键": "值", "k": "v", **own})
    if action != "PushTemplate":
        assert frame.task_id == answer["PushResult"]["Data"]


async def test_the_longest_multiple_push(push: Ask, device: Device) -> None:
    """Entries are told apart by their numbers, of which 10 comes after 9."""
    name = uuid.uuid4().hex
    targets = [
        {
            "Target": device.token if number in (2, 10, MOST_TARGETS) else f"{name}{number}",
            "MsgKey": f"{name}-{number}",
            "TemplateKeyValue": json.dumps({"name": str(number), "money": "200"}),
        }
        for number in range(1, MOST_TARGETS + 1)
    ]
    request = {**APP, "TaskName": name, "TemplateName": WINNERS, "DeliveryType": 1, "ExpiredSeconds": 600}
    answer = await asyncio.to_thread(push, "PushMultiple", {**request, "TargetMsg": targets})
    assert code_of(answer) == "OK"
    for number in (2, 10, MOST_TARGETS):
        assert (await device.push(f"{name}-{number}")).title == f"Hi {number}"
    task = {**APP, "TaskId": answer["PushResult"]["Data"]}
    detail = await asyncio.to_thread(push, "QueryPushAnalysisTaskDetail", task)
    assert detail["ResultContent"]["Data"]["PushNum"] == MOST_TARGETS


async def test_values_as_a_map_of_python(push: Ask, device: Device) -> None:
    """The published sample gives a `dict`, which the SDK sends as Python writes it: `{'name': 'Bob'}`."""
    name = uuid.uuid4().hex
    values = json.loads(WINNER)
    target = {"Target": device.token, "MsgKey": name, "TemplateKeyValue": str(values)}
    request = {**APP, "TaskName": name, "TemplateName": WINNERS, "DeliveryType": 1, "ExpiredSeconds": 600}
    assert code_of(await asyncio.to_thread(push, "PushMultiple", {**request, "TargetMsg": [target]})) == "OK"
    assert (await device.push(name)).content == "恭喜 Bob: 200"
