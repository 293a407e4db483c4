"""Templates and PushTemplate with both official Python SDKs."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest
from alibabacloud_mpaas20201028 import models
from alibabacloud_mpaas20201028.client import Client
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.client import AcsClient
from aliyunsdkmpaas.request.v20190821.PushTemplateRequest import PushTemplateRequest

from tests.sdk.cases import SIMPLE
from tests.support.devices import Device
from tests.support.server import ServerProcess
from tests.support.tenants import Tenants

pytestmark = pytest.mark.real_process

APP = {"AppId": SIMPLE["AppId"], "WorkspaceId": SIMPLE["WorkspaceId"]}


@pytest.fixture
def client(server: ServerProcess, tenants: Tenants) -> Client:
    key = tenants.push
    return Client(
        Config(access_key_id=key.key_id, access_key_secret=key.secret, endpoint=str(server.api), protocol="HTTP")
    )


def _create(client: Client, name: str, **changes: Any) -> Any:
    fields = {
        **APP,
        "TemplateName": name,
        "DescInfo": "for winners",
        "Title": "Hi #name#",
        "Content": "恭喜 #name#: #money#",
        "Uri": "http://www.example.com/#name#",
        "Variables": "name,money",
        "PushStyle": 2,
        "ShowStyle": 1,
        "JumpAction": 1,
        "ImageUrls": '{"defaultUrl":"https://e.com/a.png"}',
        "IconUrls": '{"defaultUrl":"https://e.com/b.png"}',
    } | changes
    return client.create_template(models.CreateTemplateRequest().from_map(fields)).body


async def test_a_template_from_birth_to_death(client: Client) -> None:
    name = f"t{uuid.uuid4().hex}"
    made = _create(client, name)
    assert (made.success, made.code, made.msg) == (True, "100", "SUCCESS")
    assert made.data.isdecimal()
    named = {**APP, "TemplateName": name}
    found = client.get_template(models.GetTemplateRequest().from_map(named)).body.data
    assert [field for field, value in vars(found).items() if value is None] == []
    assert (found.id, found.name, found.desc_info) == (made.data, name, "for winners")
    assert (found.title, found.content, found.uri) == (
        "Hi #name#",
        "恭喜 #name#: #money#",
        "http://www.example.com/#name#",
    )
    assert (found.push_style, found.show_style, found.action, found.variables) == ("2", "1", "1", "name,money")
    assert json.loads(found.image_urls) == {"defaultUrl": "https://e.com/a.png"}
    listed = client.list_template_page(models.ListTemplatePageRequest().from_map({**APP, "PageSize": 100})).body
    assert (listed.current_page, listed.page_size) == (1, 100)
    assert listed.total_size == len(listed.data)
    assert [template.name for template in listed.data if template.id == made.data] == [name]
    assert _create(client, name).code == "3036"
    gone = client.delete_template(models.DeleteTemplateRequest().from_map({**APP, "TemplateId": made.data})).body
    assert (gone.success, gone.code) == (True, "100")
    assert client.get_template(models.GetTemplateRequest().from_map(named)).body.code == "3022"


async def test_a_push_with_python_text_for_json(
    client: Client, server: ServerProcess, tenants: Tenants, device: Device
) -> None:
    name = f"t{uuid.uuid4().hex}"
    _create(client, name)

    def push() -> dict[str, Any]:
        request = PushTemplateRequest()
        request.set_endpoint(str(server.api))
        request.set_AppId(APP["AppId"])
        request.set_WorkspaceId(APP["WorkspaceId"])
        request.set_TaskName("template")
        request.set_TemplateName(f"{name} ")
        request.set_TemplateKeyValue({"name": "Bob", "money": "200"})
        request.set_DeliveryType(1)
        request.set_ExpiredSeconds(600)
        request.set_TargetMsgkey(json.dumps({device.token: name}))
        answer = AcsClient(tenants.push.key_id, tenants.push.secret, "cn-hongkong").do_action_with_exception(
            request
        )
        result: dict[str, Any] = json.loads(answer)
        return result

    assert (await asyncio.to_thread(push))["ResultCode"] == "OK"
    frame = await device.push(name)
    assert (frame.title, frame.content, frame.uri) == (
        "Hi Bob",
        "恭喜 Bob: 200",
        "http://www.example.com/Bob",
    )
    assert (frame.style, frame.silent, frame.action, frame.image) == (2, 1, 1, "https://e.com/a.png")
