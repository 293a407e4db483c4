"""`aliyun-python-sdk-core` with `aliyun-python-sdk-mpaas`: signature version 1, API version 2019-08-21."""

from __future__ import annotations

import asyncio
import importlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.composer import rpc_signature_composer
from aliyunsdkcore.client import AcsClient

from tests.sdk.cases import BIND, FULL, REPORT, SIMPLE, STATE, TITLE, UNBIND, check_full
from tests.sdk.python import REGION, common, packaged, send, setters
from tests.support.devices import Device
from tests.support.server import ServerProcess
from tests.support.tenants import APP_ID, OTHER_APP_ID, Key, Tenants

pytestmark = pytest.mark.real_process

Ask = Callable[..., dict[str, Any]]


def typed(parameters: dict[str, Any]) -> Any:
    """The SDK's own request class, through its setters."""
    return packaged("PushSimple", parameters)


@pytest.fixture
def ask(server: ServerProcess, tenants: Tenants) -> Ask:
    """Sends a request with a key, by default the one that may push, and gives the answer."""

    def ask(request: Any, key: Key = tenants.push) -> dict[str, Any]:
        return send(server.api, key, request)

    return ask


@pytest.fixture
def refused(ask: Ask) -> Callable[..., tuple[str, int]]:
    """Sends a request that fails: code and HTTP status, as the SDK reports them."""

    def refused(request: Any, *key: Key) -> tuple[str, int]:
        with pytest.raises(ServerException) as caught:
            ask(request, *key)
        assert caught.value.get_request_id()
        return caught.value.get_error_code(), caught.value.get_http_status()

    return refused


Refused = Callable[..., tuple[str, int]]


async def test_push_with_every_parameter_of_the_package(ask: Ask, device: Device) -> None:
    parameters = {**FULL, "TargetMsgkey": json.dumps({device.token: "every"})}
    request = typed({name: parameters[name] for name in setters("PushSimple")})
    answer = await asyncio.to_thread(ask, request)
    assert answer.pop("RequestId").isupper()
    assert answer == {
        "ResultCode": "OK",
        "ResultMessage": "success",
        "PushResult": {"Success": True, "ResultMsg": "success"},
    }
    check_full(await device.push("every"), newer=False)


async def test_push_with_every_parameter_of_the_api(ask: Ask, device: Device) -> None:
    parameters = {**FULL, "TargetMsgkey": json.dumps({device.token: "all"})}
    assert (await asyncio.to_thread(ask, common("PushSimple", parameters)))["ResultCode"] == "OK"
    check_full(await device.push("all"), newer=True)


async def test_push_by_get(ask: Ask, device: Device) -> None:
    request = typed({**SIMPLE, "TargetMsgkey": json.dumps({device.token: "get"})})
    request.set_method("GET")
    assert (await asyncio.to_thread(ask, request))["ResultCode"] == "OK"
    assert (await device.push("get")).title == TITLE


async def test_repeated_push_is_answered_alike_and_delivered_once(ask: Ask, device: Device) -> None:
    parameters = {**SIMPLE, "TargetMsgkey": json.dumps({device.token: "again"})}
    first = await asyncio.to_thread(ask, typed(parameters))
    second = await asyncio.to_thread(ask, typed(parameters))
    await asyncio.to_thread(ask, typed({**SIMPLE, "TargetMsgkey": json.dumps({device.token: "last"})}))
    await device.has({"again", "last"})
    assert (device.received["again"], device.received["last"]) == (1, 1)
    assert first.pop("RequestId") != second.pop("RequestId")
    assert first == second


async def test_bind_report_state_unbind(ask: Ask, device: Device) -> None:
    user, token = f"用户 {device.token}", {"DeliveryToken": device.token}
    state = {**STATE, "Target": user, "TargetType": 2}

    def life() -> list[dict[str, Any]]:
        return [
            ask(common("PushBind", {**BIND, **token, "UserId": user, "PhoneNumber": "+8613800000000"})),
            ask(typed({**SIMPLE, "DeliveryType": 3, "TargetMsgkey": json.dumps({user: "to user"})})),
            ask(common("PushReport", {**REPORT, **token, "ThirdChannel": 5, "ThirdChannelDeviceToken": "hms-1"})),
            ask(common("PushQueryDeviceState", state)),
            ask(common("PushUnBind", {**UNBIND, **token, "UserId": user})),
            ask(common("PushQueryDeviceState", state)),
        ]

    bind, push, report, known, unbind, unknown = await asyncio.to_thread(life)
    assert [answer["ResultCode"] for answer in (bind, push, report, unbind)] == ["OK"] * 4
    assert (known["Code"], known["Message"], known["Success"]) == ("100", "SUCCESS", True)
    assert known["Data"] == {
        "UserId": user,
        "DeviceId": device.token,
        "DeliveryToken": device.token,
        "ThirdToken": "hms-1",
        "Platform": "android",
        "Manufacturer": "hms",
        "Statue": "ONLINE",
    }
    assert unknown["Data"] == {"UserId": user, "Manufacturer": "unknown", "Statue": "UNKNOW"}
    await device.has({"to user"})


def test_unknown_key(refused: Refused) -> None:
    assert refused(typed(SIMPLE), Key("nobody", "secret")) == ("InvalidAccessKeyId.NotFound", 404)


def test_disabled_key(refused: Refused, tenants: Tenants) -> None:
    assert refused(typed(SIMPLE), tenants.disabled) == ("InvalidAccessKeyId.Inactive", 403)


def test_wrong_secret_is_told_by_the_sdk(refused: Refused, tenants: Tenants) -> None:
    wrong = Key(tenants.push.key_id, "wrong")
    assert refused(typed(SIMPLE), wrong) == ("InvalidAccessKeySecret", 400)
    by_get = typed(SIMPLE)
    by_get.set_method("GET")
    assert refused(by_get, wrong) == ("InvalidAccessKeySecret", 400)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_clock_off(refused: Refused, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60 * minutes))
    monkeypatch.setattr(rpc_signature_composer.helper, "get_iso_8061_date", lambda: then)
    assert refused(typed(SIMPLE)) == ("InvalidTimeStamp.Expired", 400)


@pytest.mark.parametrize("minutes", [-14, 14])
def test_clock_a_little_off(ask: Ask, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60 * minutes))
    monkeypatch.setattr(rpc_signature_composer.helper, "get_iso_8061_date", lambda: then)
    assert ask(typed(SIMPLE))["ResultCode"] == "OK"


def test_nonce_reused(ask: Ask, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_signature_composer.helper, "get_uuid", lambda: f"once-{id(monkeypatch)}")
    ask(typed(SIMPLE))
    assert refused(typed(SIMPLE)) == ("SignatureNonceUsed", 400)


def test_unknown_action(refused: Refused) -> None:
    assert refused(common("PushNothing", SIMPLE)) == ("InvalidAction.NotFound", 404)


def test_unknown_version(refused: Refused) -> None:
    assert refused(common("PushSimple", SIMPLE, "2018-01-01")) == ("InvalidVersion", 400)


@pytest.mark.parametrize("name", ["AppId", "WorkspaceId", "Title", "Content", "DeliveryType", "TargetMsgkey"])
def test_missing_parameter(refused: Refused, name: str) -> None:
    parameters = {other: value for other, value in SIMPLE.items() if other != name}
    assert refused(typed(parameters)) == (f"Missing{name}", 400)


@pytest.mark.parametrize(("name", "value"), [("DeliveryType", "user"), ("Silent", "1.0"), ("PushAction", 1 << 63)])
def test_wrong_type(refused: Refused, name: str, value: object) -> None:
    assert refused(typed({**SIMPLE, name: value})) == (f"Invalid{name}", 400)


def test_read_key_may_not_push(ask: Ask, refused: Refused, tenants: Tenants) -> None:
    assert refused(typed(SIMPLE), tenants.read) == ("Forbidden.RAM", 403)
    assert ask(common("PushQueryDeviceState", STATE), tenants.read)["Code"] == "100"


def test_key_of_another_app(ask: Ask, refused: Refused, tenants: Tenants) -> None:
    assert SIMPLE["AppId"] == APP_ID
    assert refused(typed(SIMPLE), tenants.other) == ("Forbidden.RAM", 403)
    assert ask(typed({**SIMPLE, "AppId": OTHER_APP_ID}), tenants.other)["ResultCode"] == "OK"


def test_temporary_credentials_are_refused_clearly(server: ServerProcess, tenants: Tenants) -> None:
    credentials = importlib.import_module("aliyunsdkcore.auth.credentials")
    token = credentials.StsTokenCredential(tenants.push.key_id, tenants.push.secret, "token==")
    client = AcsClient(region_id=REGION, credential=token, auto_retry=False)
    request = typed(SIMPLE)
    request.set_endpoint(str(server.api))
    with pytest.raises(ServerException) as caught:
        client.do_action_with_exception(request)
    assert caught.value.get_error_code() == "InvalidSecurityToken.MismatchWithAccessKey"
    assert "STS" in caught.value.get_error_msg()
