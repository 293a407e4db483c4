"""OPPO's simulator is as strict as OPPO."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest

from clarion.clock import ManualClock
from clarion.simulators.base import Received, Reply, Surroundings
from clarion.simulators.faults import Fault, FaultBook, FaultKind
from clarion.simulators.oppo import AUTH_PATH, BATCH_PATH, SINGLE_PATH, OppoSimulator

REGID = "OPPO_CN_" + "ab" * 16
NOTIFICATION: dict[str, Any] = {"title": "T", "content": "C"}
FORM = "application/x-www-form-urlencoded"


class Caller:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.faults = FaultBook()
        known = {"appKey": "key", "masterSecret": "s3cret"}
        self.simulator = OppoSimulator(Surroundings(self.clock, self.faults, known))

    def call(self, path: str, fields: dict[str, str] | bytes, method: str = "POST", kind: str = FORM) -> Reply:
        body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        return self.simulator.handle(Received(method, path, "", {"content-type": kind, "auth_token": "x"}, body))

    def authenticate(self, off_ms: int = 0, **changes: str) -> Reply:
        timestamp = str(self.clock.now_ms() + off_ms)
        sign = sha256(f"key{timestamp}s3cret".encode()).hexdigest()
        return self.call(AUTH_PATH, {"app_key": "key", "timestamp": timestamp, "sign": sign, **changes})

    def token(self) -> str:
        return str(json.loads(self.authenticate().body)["data"]["auth_token"])

    def send(
        self, notification: dict[str, Any] | None = None, *, token: str | None = None, **changes: Any
    ) -> Reply:
        message = {
            "target_type": 2,
            "target_value": REGID,
            "notification": {**NOTIFICATION, **(notification or {})},
            **changes,
        }
        return self.call(SINGLE_PATH, {"auth_token": token or self.token(), "message": json.dumps(message)})

    def batch(self, *targets: str, **notification: Any) -> Reply:
        messages = [
            {"target_type": 2, "target_value": target, "notification": {**NOTIFICATION, **notification}}
            for target in targets
        ]
        return self.call(BATCH_PATH, {"auth_token": self.token(), "messages": json.dumps(messages)})


@pytest.fixture
def caller() -> Caller:
    return Caller()


def test_a_good_message(caller: Caller) -> None:
    reply = caller.send()
    assert (reply.status, reply.tokens, reply.outcome) == (200, [REGID], "accepted")
    answer = json.loads(reply.body)
    assert (answer["code"], list(answer["data"])) == (0, ["messageId"])


def test_the_answer_to_a_batch_has_its_own_order(caller: Caller) -> None:
    targets = [f"OPPO_CN_{number:032x}" for number in range(3)]
    data = json.loads(caller.batch(*targets).body)["data"]
    assert [element["registrationId"] for element in data] == targets[::-1]


def test_a_good_authentication(caller: Caller) -> None:
    reply = caller.authenticate()
    assert reply.secret
    assert json.loads(reply.body)["data"]["create_time"] == str(caller.clock.now_ms())


@pytest.mark.parametrize(
    ("changes", "off_ms", "code"),
    [
        ({"app_key": ""}, 0, "15"),
        ({"app_key": "other"}, 0, "14"),
        ({"timestamp": ""}, 0, "18"),
        ({"timestamp": "1795000000"}, 0, "19"),
        ({"timestamp": "now"}, 0, "19"),
        ({"sign": ""}, 0, "17"),
        ({"sign": "0" * 64}, 0, "16"),
        ({"extra": "1"}, 0, "41"),
        ({}, 600_001, "19"),
        ({}, -600_001, "19"),
        ({}, 599_000, "accepted"),
    ],
)
def test_authentication(changes: dict[str, str], off_ms: int, code: str, caller: Caller) -> None:
    reply = caller.authenticate(off_ms, **changes)
    assert reply.outcome == code
    assert reply.secret


def test_the_signature_is_in_lower_case(caller: Caller) -> None:
    timestamp = str(caller.clock.now_ms())
    sign = sha256(f"key{timestamp}s3cret".encode()).hexdigest().upper()
    assert caller.authenticate(sign=sign).outcome == "16"


def test_access_tokens_end(caller: Caller) -> None:
    token = caller.token()
    caller.clock.advance(86_399)
    assert caller.send(token=token).outcome == "accepted"
    caller.clock.advance(1)
    assert caller.send(token=token).outcome == "11"
    assert caller.send(token="other").outcome == "11"
    assert caller.call(SINGLE_PATH, {"message": "{}"}).outcome == "29"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"title": ""}, "41"),
        ({"title": "t" * 51}, "41"),
        ({"content": "c" * 51}, "41"),
        ({"style": 2, "content": "c" * 129}, "41"),
        ({"style": 2, "content": "c" * 128}, "accepted"),
        ({"style": 3}, "30"),
        ({"big_picture_id": "x"}, "30"),
        ({"small_picture_id": "x"}, "30"),
        ({"click_action_type": 3}, "41"),
        ({"click_action_type": 2}, "40"),
        ({"click_action_type": 4}, "40"),
        ({"click_action_url": "u" * 2001}, "41"),
        ({"click_action_activity": "a" * 501}, "41"),
        ({"action_parameters": {"a": 1}}, "41"),
        ({"action_parameters": "x"}, "41"),
        ({"action_parameters": '{"a":"' + "x" * 3992 + '"}'}, "accepted"),
        ({"action_parameters": '{"a":"' + "x" * 3993 + '"}'}, "41"),
        ({"off_line_ttl": 3599}, "41"),
        ({"off_line_ttl": 864_001}, "41"),
        ({"off_line": "true"}, "41"),
        ({"notify_id": "7"}, "41"),
        ({"category": "SPAM"}, "67"),
        ({"notify_level": 2}, "67"),
        ({"category": "IM", "notify_level": 3}, "67"),
        ({"category": "IM", "notify_level": 16}, "accepted"),
        ({"call_back_url": "https://" + "x" * 200}, "41"),
        ({"call_back_parameter": "x" * 51}, "41"),
        ({"unknown": 1}, "41"),
    ],
)
def test_notification(changes: dict[str, Any], code: str, caller: Caller) -> None:
    assert caller.send(changes).outcome == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"target_type": 5}, "41"),
        ({"target_value": "x"}, "10000"),
        ({"target_value": REGID + ";" + REGID}, "10000"),
        ({"target_value": "ab" * 16}, "accepted"),
        ({"target_value": "CN_" + "AB" * 16}, "accepted"),
        ({"verify": True}, "41"),
    ],
)
def test_target(changes: dict[str, Any], code: str, caller: Caller) -> None:
    assert caller.send(**changes).outcome == code


def test_messages_are_json_in_a_form(caller: Caller) -> None:
    token = caller.token()
    message = {"target_type": 2, "target_value": REGID, "notification": NOTIFICATION}
    body = json.dumps({"auth_token": token, "message": message}).encode()
    assert caller.call(SINGLE_PATH, body, kind="application/json").outcome == "41"
    assert caller.call(SINGLE_PATH, {"auth_token": token, "messages": json.dumps([message])}).outcome == "40"
    more = {"auth_token": token, "message": json.dumps(message), "x": "1"}
    assert caller.call(SINGLE_PATH, more).outcome == "41"
    assert caller.call(SINGLE_PATH, b"", method="GET").outcome == "12"
    assert caller.call("/server/v1/x", {}).status == 404


def test_a_batch_tells_its_messages_apart(caller: Caller) -> None:
    reply = caller.batch(REGID, "bad", app_message_id="m")
    answer = json.loads(reply.body)
    assert answer["code"] == 0
    told = {element["registrationId"]: element for element in answer["data"]}
    assert "errorCode" not in told[REGID]
    assert told["bad"]["errorCode"] == 10000
    assert "messageId" not in told["bad"]
    assert reply.outcome == "accepted, but 10000"


def test_sizes_of_batches(caller: Caller) -> None:
    assert caller.batch().outcome == "41"
    targets = [f"{number:032x}" for number in range(1001)]
    assert caller.batch(*targets).outcome == "41"
    assert caller.batch(*targets[1:]).outcome == "accepted"


def test_the_same_message_goes_to_a_device_once(caller: Caller) -> None:
    assert caller.send({"app_message_id": "m"}).outcome == "accepted"
    assert caller.send({"app_message_id": "m"}).outcome == "32"
    assert caller.send({"app_message_id": "m"}, target_value="ab" * 16).outcome == "accepted"


def test_a_limit_is_of_the_whole_batch_and_nothing_was_sent(caller: Caller) -> None:
    caller.faults.set([Fault(channel="oppo", kind=FaultKind.CODE, code="13", token=REGID, count=1)])
    assert caller.batch("ab" * 16, REGID, app_message_id="m").outcome == "13"
    assert caller.batch("ab" * 16, REGID, app_message_id="m").outcome == "accepted"


def test_settings(caller: Caller) -> None:
    caller.simulator.configure({"anyRegistrationId": True, "categories": ["NEWS"], "contentLimits": {"1": 200}})
    assert caller.send(target_value="x").outcome == "accepted"
    assert caller.send({"category": "IM"}).outcome == "67"
    assert caller.send({"content": "c" * 200}).outcome == "accepted"
    with pytest.raises(ValueError, match="unknown"):
        caller.simulator.configure({"x": 1})
