"""Xiaomi's simulator is as strict as Xiaomi."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from clarion.clock import ManualClock
from clarion.simulators.base import Received, Reply, Surroundings
from clarion.simulators.faults import Fault, FaultBook, FaultKind
from clarion.simulators.miui import MULTI_PATH, QUOTA_PATH, REVOKE_PATH, MiuiSimulator

LIST = "/v3/message/regid"
GOOD = {
    "registration_id": "r1",
    "restricted_package_name": "com.example.app",
    "pass_through": "0",
    "title": "T",
    "description": "D",
    "notify_type": "-1",
    "time_to_live": "60000",
    "notify_id": "7",
}
FORM = "application/x-www-form-urlencoded; charset=UTF-8"


@pytest.fixture
def faults() -> FaultBook:
    return FaultBook()


@pytest.fixture
def simulator(faults: FaultBook) -> MiuiSimulator:
    known = {"packageName": "com.example.app", "appSecret": "s3cret"}
    return MiuiSimulator(Surroundings(ManualClock(), faults, known))


def call(
    simulator: MiuiSimulator,
    fields: dict[str, str] | bytes,
    *,
    path: str = LIST,
    method: str = "POST",
    **headers: str,
) -> Reply:
    body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    given = {"authorization": "key=s3cret", "content-type": FORM, **headers}
    return simulator.handle(Received(method, path, "", given, body))


def answer(reply: Reply) -> Any:
    return json.loads(reply.body)


@pytest.mark.parametrize("path", ["/v2/message/regid", "/v3/message/regid", "/v4/message/regid"])
def test_a_good_message(path: str, simulator: MiuiSimulator) -> None:
    reply = call(simulator, GOOD, path=path)
    assert (reply.status, reply.tokens, reply.outcome) == (200, ["r1"], "accepted")
    told = answer(reply)
    assert (told["result"], told["code"], told["description"]) == ("ok", 0, "成功")
    assert told["data"]["id"]


@pytest.mark.parametrize("authorization", ["", "s3cret", "Key=s3cret", "key=other", "key=s3cret ", "Bearer s3cret"])
def test_authentication(authorization: str, simulator: MiuiSimulator) -> None:
    reply = call(simulator, GOOD, authorization=authorization)
    assert reply.status == 401
    assert answer(reply)["result"] == "error"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"registration_id": ""}, "10017"),
        ({"registration_id": "a,,b"}, "10017"),
        ({"registration_id": ",".join(["r"] * 1001)}, "10017"),
        ({"restricted_package_name": "com.example.other"}, "22022"),
        ({"restricted_package_name": ""}, "10017"),
        ({"title": "t" * 50}, "10017"),
        ({"description": "d" * 128}, "10017"),
        ({"title": " "}, "10016"),
        ({"description": ""}, "10016"),
        ({"pass_through": "1"}, "10016"),
        ({"pass_through": "2"}, "10017"),
        ({"payload": "x" * 4096}, "10017"),
        ({"notify_type": "8"}, "10017"),
        ({"time_to_live": "0"}, "10017"),
        ({"time_to_live": "864000001"}, "10017"),
        ({"time_to_live": "1.5"}, "10017"),
        ({"notify_id": "2147483648"}, "10017"),
        ({"unknown": "1"}, "10017"),
        ({"extra.notify_effect": "2"}, "10017"),
        ({"extra.notify_effect": "3"}, "10017"),
        ({"extra.notify_effect": "4"}, "10017"),
        ({"extra.notification_style_type": "2"}, "10017"),
        ({"extra.notification_bigPic_uri": "https://example.com/a.png"}, "10017"),
        ({"extra.sound_uri": "ring"}, "10017"),
        ({"extra.jobkey": "_x"}, "10017"),
        ({"extra.jobkey": "x" * 21}, "10017"),
        ({"extra.callback": "https://" + "x" * 128}, "10017"),
        ({"extra.callback.param": "x" * 65}, "10017"),
        ({"extra.callback.type": "4"}, "10017"),
        ({"extra.template_param": '{"a":""}'}, "10017"),
        ({"extra.template_param": '{"a":"😀"}'}, "10017"),
        ({"extra.template_param": "x"}, "10017"),
        ({f"extra.k{number}": "v" for number in range(11)}, "10017"),
        ({"extra.k": "v" * 1024}, "10017"),
    ],
)
def test_refusal(changes: dict[str, str], code: str, simulator: MiuiSimulator) -> None:
    reply = call(simulator, {**GOOD, **changes})
    assert (reply.status, reply.outcome) == (200, code)
    assert answer(reply)["code"] == int(code)
    assert reply.detail


@pytest.mark.parametrize(
    ("body", "method", "kind"),
    [
        (b'{"title":"T"}', "POST", "application/json"),
        (b"a=1&a=2", "POST", FORM),
        (b"title=\xff", "POST", FORM),
        (urlencode(GOOD).encode(), "GET", FORM),
    ],
)
def test_forms_only(body: bytes, method: str, kind: str, simulator: MiuiSimulator) -> None:
    assert call(simulator, body, method=method, **{"content-type": kind}).outcome == "10008"


def test_channels(simulator: MiuiSimulator) -> None:
    simulator.configure({"channels": ["orders"], "channelRequired": True})
    assert call(simulator, GOOD).outcome == "27001"
    assert call(simulator, {**GOOD, "extra.channel_id": "news"}).outcome == "27001"
    assert call(simulator, {**GOOD, "extra.channel_id": "orders"}).outcome == "accepted"


@pytest.mark.parametrize("settings", [{"channel": []}, {"dayQuota": -1}, {"channelRequired": 1}])
def test_settings_that_there_are_not(settings: dict[str, Any], simulator: MiuiSimulator) -> None:
    with pytest.raises(ValueError, match=r"Expected|unknown"):
        simulator.configure(settings)


@pytest.mark.parametrize(
    "messages",
    [
        "",
        "x",
        "[]",
        "{}",
        '[{"target":"r1"}]',
        '[{"target":"r1,r2","message":{"restricted_package_name":"com.example.app","title":"T","description":"D"}}]',
        '[{"target":"r1","message":{"restricted_package_name":"com.example.app","title":"T","description":"D","x":1}}]',
        '[{"target":"r1","message":{"restricted_package_name":"com.example.app","title":"%s","description":"D"}}]'
        % ("t" * 50),
    ],
)
def test_several_messages_are_held_to_the_same(messages: str, simulator: MiuiSimulator) -> None:
    assert call(simulator, {"messages": messages}, path=MULTI_PATH).outcome == "10017"


def test_too_many_messages(simulator: MiuiSimulator) -> None:
    message = {"restricted_package_name": "com.example.app", "title": "T", "description": "D"}
    elements = [{"target": f"r{number}", "message": message} for number in range(1001)]
    assert call(simulator, {"messages": json.dumps(elements)}, path=MULTI_PATH).outcome == "10017"
    assert call(simulator, {"messages": json.dumps(elements[1:])}, path=MULTI_PATH).outcome == "accepted"


def test_other_calls(simulator: MiuiSimulator) -> None:
    assert call(simulator, b"", path=QUOTA_PATH, method="GET").outcome == "accepted"
    recall = {"registration_ids": "r1", "restricted_package_name": "com.example.app", "notify_id": "1"}
    assert call(simulator, recall, path=REVOKE_PATH).outcome == "accepted"
    assert call(simulator, {**recall, "notify_id": ""}, path=REVOKE_PATH).outcome == "10017"
    assert call(simulator, recall, path="/v9/x").status == 404


def test_a_fault_of_one_device_is_told_only_when_it_is_alone(simulator: MiuiSimulator, faults: FaultBook) -> None:
    faults.set([Fault(channel="miui", kind=FaultKind.CODE, token="r2", code="20301")])
    assert call(simulator, {**GOOD, "registration_id": "r1,r2"}).outcome == "accepted"
    alone = call(simulator, {**GOOD, "registration_id": "r2"})
    assert answer(alone)["reason"] == "invalid registration id"


def test_callbacks_are_those_that_are_wanted(simulator: MiuiSimulator) -> None:
    simulator.configure({"invalidTokens": ["r2"], "mutedTokens": ["r3"]})
    wanted = {**GOOD, "registration_id": "r1,r2,r3", "extra.callback": "https://x/r"}
    assert len(call(simulator, {**wanted, "extra.callback.type": "16"}).receipts) == 1
    assert len(call(simulator, {**wanted, "extra.callback.type": "49"}).receipts) == 3
    assert list(call(simulator, GOOD).receipts) == []
