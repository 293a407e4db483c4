"""What devices tell over HTTP of messages that they have: `POST /device/report`."""

from __future__ import annotations

import json
import secrets
from typing import Any

import msgspec
import pytest

from clarion.clock import SystemClock
from clarion.link.registration import RegistrationAnswer
from clarion.link.reporting import MAX_EVENTS, ReportedEvent, ReportedKind, ReportRequest, sign_report
from tests.support.client import Answer, Connection, form, push_parameters, sign
from tests.support.devices import Device, register
from tests.support.server import ServerProcess
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants

pytestmark = pytest.mark.real_process

Figures = dict[str, float]


async def _rpc(
    connection: Connection, tenants: Tenants, action: str, parameters: dict[str, object]
) -> dict[str, Any]:
    scope: dict[str, object] = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
    answer = await connection.post(form(sign(tenants.push, action, scope | parameters)))
    assert answer.code == "OK", answer.body
    return answer.json()


async def _push(connection: Connection, tenants: Tenants, token: str, key: str) -> None:
    await _rpc(connection, tenants, "PushSimple", push_parameters(token, key))


async def _figures(connection: Connection, tenants: Tenants) -> Figures:
    now = SystemClock().now_ms()
    answer = await _rpc(connection, tenants, "QueryPushAnalysisCoreIndex", {"StartTime": now, "EndTime": now})
    data = answer["ResultContent"]["Data"]
    return {name: value for name, value in data.items() if name.endswith("Num")}


def _body(secret: str, token: str, events: list[ReportedEvent], /, **changes: object) -> dict[str, Any]:
    """A signed report; `changes` are made after signing."""
    now, nonce = SystemClock().now_ms(), secrets.token_hex(16)
    signature = sign_report(secret.encode(), APP_ID, WORKSPACE_ID, token, events, timestamp=now, nonce=nonce)
    request = ReportRequest(APP_ID, WORKSPACE_ID, token, now, nonce, signature, events)
    return {**msgspec.to_builtins(request), **changes}


async def _send(connection: Connection, body: dict[str, Any] | bytes) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await connection.post(data, "/device/report", content_type="application/json")


def _event(kind: str = "open", key: str = "key") -> ReportedEvent:
    return ReportedEvent(ReportedKind(kind), msg_key=key)


@pytest.fixture
async def device(connection: Connection, tenants: Tenants) -> RegistrationAnswer:
    return await register(connection, tenants.app_secret)


async def test_a_registered_device(connection: Connection, tenants: Tenants, device: RegistrationAnswer) -> None:
    before = await _figures(connection, tenants)
    await _push(connection, tenants, device.delivery_token, "told")
    told = [_event("arrive", "told"), _event("open", "told"), _event("open", "never pushed")]
    for recorded in (2, 0):
        answer = await _send(connection, _body(device.device_secret, device.delivery_token, told))
        assert (answer.status, answer.json()) == (200, {"recorded": recorded})
    after = await _figures(connection, tenants)
    grown = {name: after[name] - before[name] for name in before}
    assert grown == {"PushTotalNum": 1, "PushNum": 1, "ArrivalNum": 1, "OpenNum": 1, "IgnoreNum": 0}


async def test_what_came_over_the_link(
    connection: Connection, server: ServerProcess, tenants: Tenants, device: RegistrationAnswer
) -> None:
    async with Device(server.link_url, device) as online:
        await online.online()
        await _push(connection, tenants, online.token, "by id")
        push = await online.push("by id")
    told = [ReportedEvent(ReportedKind.IGNORE, id=push.id, at=SystemClock().now_ms())]
    answer = await _send(connection, _body(device.device_secret, device.delivery_token, told))
    assert answer.json() == {"recorded": 1}


async def test_a_device_that_only_a_back_end_reported(connection: Connection, tenants: Tenants) -> None:
    token = secrets.token_hex(16)
    reported: dict[str, object] = {
        "DeliveryToken": token, "OsType": 1, "ThirdChannel": 5, "ThirdChannelDeviceToken": "vendor",
    }  # fmt: skip
    await _rpc(connection, tenants, "PushReport", reported)
    await _push(connection, tenants, token, "key")
    assert (await _send(connection, _body("another secret", token, [_event()]))).code == "SignatureDoesNotMatch"
    answer = await _send(connection, _body(tenants.app_secret, token, [_event()]))
    assert answer.json() == {"recorded": 1}


async def test_a_registered_device_does_not_sign_with_the_app_s_secret(
    connection: Connection, tenants: Tenants, device: RegistrationAnswer
) -> None:
    answer = await _send(connection, _body(tenants.app_secret, device.delivery_token, [_event()]))
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")


async def test_unknown_device(connection: Connection, tenants: Tenants) -> None:
    token = secrets.token_hex(20)
    answer = await _send(connection, _body(tenants.app_secret, token, [_event()]))
    assert (answer.status, answer.code) == (404, "UnknownDevice")
    guessed = await _send(connection, _body("a guess", token, [_event()]))
    assert (guessed.status, guessed.code) == (403, "SignatureDoesNotMatch")
    odd = await _send(connection, _body(tenants.app_secret, "\0", [_event()]))
    assert (odd.status, odd.code) == (404, "UnknownDevice")


async def test_a_replay_is_refused(connection: Connection, device: RegistrationAnswer) -> None:
    body = _body(device.device_secret, device.delivery_token, [_event()])
    assert (await _send(connection, body)).status == 200
    replay = await _send(connection, body)
    assert (replay.status, replay.code) == (403, "NonceUsed")


async def test_a_stale_report_is_refused(connection: Connection, device: RegistrationAnswer) -> None:
    then, nonce, token = SystemClock().now_ms() - 16 * 60 * 1000, "12345678", device.delivery_token
    secret = device.device_secret.encode()
    signature = sign_report(secret, APP_ID, WORKSPACE_ID, token, [_event()], timestamp=then, nonce=nonce)
    changes = {"timestamp": then, "nonce": nonce, "signature": signature}
    answer = await _send(connection, _body(device.device_secret, token, [_event()], **changes))
    assert (answer.status, answer.code) == (403, "TimestampExpired")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
        ({"signature": "é" * 64}, 403, "SignatureDoesNotMatch"),
        ({"events": [{"kind": "open", "msgKey": "other"}]}, 403, "SignatureDoesNotMatch"),
        ({"appId": "UNKNOWN"}, 404, "UnknownApp"),
        ({"events": []}, 400, "InvalidRequest"),
        ({"events": [{"kind": "open", "id": "1"}] * (MAX_EVENTS + 1)}, 400, "InvalidRequest"),
        ({"events": [{"kind": "open"}]}, 400, "InvalidRequest"),
        ({"events": [{"kind": "eat", "id": "1"}]}, 400, "InvalidRequest"),
        ({"token": ""}, 400, "InvalidRequest"),
        ({"nonce": "short"}, 400, "InvalidRequest"),
    ],
)
async def test_what_is_refused(
    connection: Connection, device: RegistrationAnswer, changes: dict[str, object], status: int, code: str
) -> None:
    answer = await _send(connection, _body(device.device_secret, device.delivery_token, [_event()], **changes))
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 400), (b"\xff", 400), (b"[" * 10_000, 400), (b" " * (64 * 1024 + 1), 413)],
    ids=["empty", "open", "array", "bytes", "deep", "large"],
)
async def test_what_is_no_report(connection: Connection, body: bytes, status: int) -> None:
    assert (await _send(connection, body)).status == status


async def test_as_many_events_as_allowed(connection: Connection, device: RegistrationAnswer) -> None:
    told = [_event(key=f"{number:0256}") for number in range(MAX_EVENTS)]
    answer = await _send(connection, _body(device.device_secret, device.delivery_token, told))
    assert (answer.status, answer.json()) == (200, {"recorded": 0})


async def test_another_method(connection: Connection) -> None:
    answer = await connection.request("GET", "/device/report")
    assert (answer.status, answer.code) == (405, "MethodNotAllowed")
