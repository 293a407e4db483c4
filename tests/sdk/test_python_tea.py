"""`alibabacloud_mpaas20201028`: header signature ACS3, API version 2020-10-28, typed answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_mpaas20201028 import models
from alibabacloud_tea_openapi import utils_models
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils import Utils

from tests.sdk.cases import BIND, FULL, REPORT, SIMPLE, STATE, TITLE, UNBIND, check_full
from tests.sdk.python import tea_client, tea_request, tea_send
from tests.support.devices import Device
from tests.support.server import ServerProcess
from tests.support.tenants import OTHER_APP_ID, Key, Tenants

pytestmark = pytest.mark.real_process

Ask = Callable[..., Any]


@pytest.fixture
def ask(server: ServerProcess, tenants: Tenants) -> Ask:
    """Calls an action with parameters by wire name; the typed body of the answer."""

    def ask(action: str, parameters: dict[str, Any], key: Key = tenants.push, **config: Any) -> Any:
        return tea_send(tea_client(server.api, key, **config), action, parameters)

    return ask


Refused = Callable[..., tuple[str, int]]


@pytest.fixture
def refused(ask: Ask) -> Refused:
    """Calls an action that fails: code and HTTP status, as the SDK reports them."""

    def refused(action: str, parameters: dict[str, Any], *key: Key, **config: Any) -> tuple[str, int]:
        with pytest.raises(ClientException) as caught:
            ask(action, parameters, *key, **config)
        assert caught.value.request_id
        return caught.value.code, caught.value.status_code

    return refused


async def test_push_with_every_parameter(ask: Ask, device: Device) -> None:
    parameters = {**FULL, "TargetMsgkey": json.dumps({device.token: "every"})}
    request = tea_request("PushSimple", parameters)
    assert [name for name, value in vars(request).items() if value is None] == []
    body = await asyncio.to_thread(ask, "PushSimple", parameters)
    assert (body.result_code, body.result_message) == ("OK", "success")
    assert body.request_id.isupper()
    assert (body.push_result.success, body.push_result.result_msg) == (True, "success")
    check_full(await device.push("every"), newer=True)


async def test_asynchronous_client(server: ServerProcess, tenants: Tenants, device: Device) -> None:
    request = tea_request("PushSimple", {**SIMPLE, "TargetMsgkey": json.dumps({device.token: "async"})})
    client = tea_client(server.api, tenants.push)
    assert (await client.push_simple_async(request)).body.result_code == "OK"
    assert (await device.push("async")).title == TITLE


async def test_older_signature(ask: Ask, device: Device) -> None:
    parameters = {**SIMPLE, "TargetMsgkey": json.dumps({device.token: "v2"})}
    body = await asyncio.to_thread(ask, "PushSimple", parameters, signature_algorithm="v2")
    assert body.result_code == "OK"
    assert (await device.push("v2")).title == TITLE


async def test_repeated_push_is_answered_alike_and_delivered_once(ask: Ask, device: Device) -> None:
    parameters = {**SIMPLE, "TargetMsgkey": json.dumps({device.token: "again"})}
    first, second = [(await asyncio.to_thread(ask, "PushSimple", parameters)).to_map() for _ in range(2)]
    last = {**SIMPLE, "TargetMsgkey": json.dumps({device.token: "last"})}
    await asyncio.to_thread(ask, "PushSimple", last)
    await device.has({"again", "last"})
    assert (device.received["again"], device.received["last"]) == (1, 1)
    assert {**first, "RequestId": ""} == {**second, "RequestId": ""}


async def test_bind_report_state_unbind(ask: Ask, device: Device) -> None:
    user, token = f"用户 {device.token}", {"DeliveryToken": device.token}
    details = dict.fromkeys(("AppVersion", "Channel", "ConnectType", "Imei", "Imsi", "Model", "PushVersion"), "x")
    report = {**REPORT, **token, **details, "ThirdChannel": 2, "ThirdChannelDeviceToken": "apns-1"}

    def life() -> list[Any]:
        return [
            ask("PushBind", {**BIND, **token, "UserId": user, "PhoneNumber": "13800000000"}),
            ask("PushReport", report),
            ask("PushUnBind", {**UNBIND, **token, "UserId": user}),
            ask("PushBind", {**BIND, **token, "UserId": user}),
            ask("PushQueryDeviceState", {**STATE, "Target": device.token}),
            ask("PushQueryDeviceState", {**STATE, "Target": "nobody", "TargetType": 2}),
        ]

    *changes, known, unknown = await asyncio.to_thread(life)
    for body in changes:
        assert (body.result_code, body.result_message, body.push_result.success) == ("OK", "success", True)
        assert body.push_result.result_msg == "success"
        assert body.request_id
    assert (known.code, known.message, known.success) == ("100", "SUCCESS", True)
    assert known.request_id
    data = known.data
    assert (data.user_id, data.device_id, data.delivery_token) == (user, device.token, device.token)
    assert (data.third_token, data.platform, data.manufacturer) == ("apns-1", "android", "ios")
    assert data.statue == "ONLINE"
    assert (unknown.data.manufacturer, unknown.data.statue) == ("unknown", "UNKNOW")


def test_unknown_key(refused: Refused) -> None:
    assert refused("PushSimple", SIMPLE, Key("nobody", "secret")) == ("InvalidAccessKeyId.NotFound", 404)


def test_disabled_key(refused: Refused, tenants: Tenants) -> None:
    assert refused("PushSimple", SIMPLE, tenants.disabled) == ("InvalidAccessKeyId.Inactive", 403)


@pytest.mark.parametrize("config", [{}, {"signature_algorithm": "v2"}], ids=["acs3", "v2"])
def test_wrong_secret(refused: Refused, tenants: Tenants, config: dict[str, str]) -> None:
    wrong = Key(tenants.push.key_id, "wrong")
    assert refused("PushSimple", SIMPLE, wrong, **config) == ("SignatureDoesNotMatch", 400)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_clock_off(refused: Refused, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60 * minutes))
    monkeypatch.setattr(Utils, "get_timestamp", lambda: then)
    assert refused("PushSimple", SIMPLE) == ("InvalidTimeStamp.Expired", 400)


def test_nonce_reused(ask: Ask, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Utils, "get_nonce", lambda: f"once-{id(monkeypatch)}")
    ask("PushSimple", SIMPLE)
    assert refused("PushSimple", SIMPLE) == ("SignatureNonceUsed", 400)


def test_action_that_is_not_served(server: ServerProcess, tenants: Tenants) -> None:
    with pytest.raises(ClientException) as caught:
        tea_client(server.api, tenants.push).query_mcube_vhost(
            models.QueryMcubeVhostRequest(app_id="a", workspace_id="w")
        )
    assert (caught.value.code, caught.value.status_code) == ("InvalidAction.NotFound", 404)


def test_unknown_version(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    params = utils_models.Params.__init__

    def older(self: Any, *args: Any, **values: Any) -> None:
        params(self, *args, **{**values, "version": "2018-01-01"})

    monkeypatch.setattr(utils_models.Params, "__init__", older)
    assert refused("PushSimple", SIMPLE) == ("InvalidVersion", 400)


@pytest.mark.parametrize("name", ["AppId", "WorkspaceId", "Title", "Content", "ExpiredSeconds", "TargetMsgkey"])
def test_missing_parameter(refused: Refused, name: str) -> None:
    parameters = {other: value for other, value in SIMPLE.items() if other != name}
    assert refused("PushSimple", parameters) == (f"Missing{name}", 400)


@pytest.mark.parametrize(("name", "value"), [("DeliveryType", "user"), ("PushStyle", 1 << 31)])
def test_wrong_type(refused: Refused, name: str, value: object) -> None:
    assert refused("PushSimple", {**SIMPLE, name: value}) == (f"Invalid{name}", 400)


def test_read_key_may_not_push(ask: Ask, refused: Refused, tenants: Tenants) -> None:
    for action, parameters in (("PushSimple", SIMPLE), ("PushBind", BIND), ("PushUnBind", UNBIND)):
        assert refused(action, parameters, tenants.read) == ("Forbidden.RAM", 403)
    assert ask("PushQueryDeviceState", STATE, tenants.read).code == "100"


def test_key_of_another_app(ask: Ask, refused: Refused, tenants: Tenants) -> None:
    assert refused("PushSimple", SIMPLE, tenants.other) == ("Forbidden.RAM", 403)
    assert ask("PushSimple", {**SIMPLE, "AppId": OTHER_APP_ID}, tenants.other).result_code == "OK"


def test_temporary_credentials_are_refused_clearly(refused: Refused) -> None:
    code = ("InvalidSecurityToken.MismatchWithAccessKey", 400)
    assert refused("PushSimple", SIMPLE, security_token="token==", type="sts") == code


def test_bearer_token_is_refused_clearly(refused: Refused) -> None:
    config = {"access_key_id": None, "access_key_secret": None, "bearer_token": "token"}
    assert refused("PushSimple", SIMPLE, **config) == ("InvalidBearerToken", 400)
