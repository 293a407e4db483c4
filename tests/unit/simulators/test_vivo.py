"""vivo's simulator is as strict as vivo."""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import md5
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from clarion.clock import ManualClock
from clarion.simulators.base import Received, Reply, Surroundings
from clarion.simulators.faults import FaultBook
from clarion.simulators.vivo import AUTH_PATH, LIST_PATH, RECALL_PATH, SAVE_PATH, SINGLE_PATH, VivoSimulator

MESSAGE: dict[str, Any] = {"title": "T", "content": "C", "notifyType": 4, "skipType": 1, "appId": 10004}


class Caller:
    def __init__(self) -> None:
        self.clock = ManualClock()
        known = {"appId": "10004", "appKey": "key", "appSecret": "s3cret"}
        self.simulator = VivoSimulator(Surroundings(self.clock, FaultBook(), known))
        self.authtoken = str(json.loads(self.authenticate().body)["authToken"])
        self.number = 0

    def call(self, path: str, value: Any, method: str = "POST", **headers: str) -> Reply:
        given = {"content-type": "application/json;charset=utf-8", **headers}
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.simulator.handle(Received(method, path, "", given, body))

    def authenticate(self, off_ms: int = 0, **changes: Any) -> Reply:
        timestamp = self.clock.now_ms() + off_ms
        sign = md5(f"10004key{timestamp}s3cret".encode()).hexdigest()
        value = {"appId": 10004, "appKey": "key", "timestamp": timestamp, "sign": sign, **changes}
        return self.call(AUTH_PATH, value)

    def send(self, path: str = SINGLE_PATH, **changes: Any) -> Reply:
        self.number += 1
        value = {**MESSAGE, "regId": "r1", "requestId": str(self.number), **changes}
        return self.call(path, {k: v for k, v in value.items() if v is not None}, authtoken=self.authtoken)

    def listed(self, tokens: list[str], **changes: Any) -> Reply:
        task = json.loads(self.send(SAVE_PATH, regId=None).body)["taskId"]
        value = {"appId": 10004, "taskId": task, "regIds": tokens, "requestId": f"l{self.number}", **changes}
        return self.call(LIST_PATH, value, authtoken=self.authtoken)


@pytest.fixture
def caller() -> Caller:
    return Caller()


def test_a_good_message(caller: Caller) -> None:
    reply = caller.send()
    assert (reply.status, reply.tokens, reply.outcome) == (200, ["r1"], "accepted")
    answer = json.loads(reply.body)
    assert (answer["result"], "invalidUser" in answer) == (0, False)


@pytest.mark.parametrize(
    ("changes", "off_ms", "code"),
    [
        ({"appId": 1}, 0, "10203"),
        ({"appKey": "other"}, 0, "10203"),
        ({"sign": "0" * 32}, 0, "10205"),
        ({"timestamp": "1795000000000"}, 0, "10200"),
        ({"timestamp": 1_795_000_000}, 0, "10200"),
        ({"x": 1}, 0, "10200"),
        ({}, 600_001, "10207"),
        ({}, -600_001, "10207"),
        ({"appId": "10004"}, 0, "accepted"),
    ],
)
def test_authentication(changes: dict[str, Any], off_ms: int, code: str, caller: Caller) -> None:
    reply = caller.authenticate(off_ms, **changes)
    assert reply.outcome == code
    assert reply.secret


def test_authentication_has_a_pace(caller: Caller) -> None:
    assert [caller.authenticate().outcome for _ in range(10)] == ["accepted"] * 9 + ["10093"]
    caller.clock.advance(1)
    assert caller.authenticate().outcome == "accepted"


def test_access_tokens_end(caller: Caller) -> None:
    caller.clock.advance(86_399)
    assert caller.send().outcome == "accepted"
    other = caller.authenticate()
    assert other.outcome == "accepted"
    assert caller.send().outcome == "accepted"
    caller.clock.advance(1)
    assert caller.send().outcome == "10000"
    assert caller.call(SINGLE_PATH, MESSAGE).outcome == "10000"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"title": " "}, "10055"),
        ({"title": "包" * 20 + "t"}, "10056"),
        ({"title": "包" * 20}, "accepted"),
        ({"content": ""}, "10057"),
        ({"content": "c" * 101}, "10058"),
        ({"notifyType": 5}, "10050"),
        ({"notifyType": None}, "10050"),
        ({"skipType": 3}, "10060"),
        ({"skipType": 2}, "10065"),
        ({"skipType": 2, "skipContent": "u" * 2049}, "10050"),
        ({"timeToLive": 59}, "10050"),
        ({"timeToLive": 604_801}, "10059"),
        ({"networkType": 0}, "10067"),
        ({"classification": 2}, "10050"),
        ({"category": "SPAM"}, "10096"),
        ({"category": "NEWS", "classification": 1}, "10097"),
        ({"category": "IM"}, "10097"),
        ({"category": "IM", "classification": 1}, "accepted"),
        ({"clientCustomMap": {"a": "x" * 1024}}, "10050"),
        ({"clientCustomMap": {"a": 1}}, "10050"),
        ({"extra": {"callback": "x" * 129}}, "10050"),
        ({"extra": {"callback": "x", "callback.param": "x" * 65}}, "10050"),
        ({"requestId": None}, "10304"),
        ({"requestId": "x" * 65}, "10304"),
        ({"regId": None}, "10050"),
        ({"appId": 1}, "10094"),
        ({"unknown": 1}, "10050"),
        ({"pushMode": 1}, "10302"),
    ],
)
def test_message(changes: dict[str, Any], code: str, caller: Caller) -> None:
    assert caller.send(**changes).outcome == code


def test_lists(caller: Caller) -> None:
    caller.simulator.configure({"invalidUsers": {"r2": 2}})
    reply = caller.listed(["r1", "r2"])
    assert json.loads(reply.body)["invalidUsers"] == [{"status": 2, "userid": "r2"}]
    assert caller.listed(["r1"]).outcome == "10306"
    assert caller.listed([f"r{number}" for number in range(1001)]).outcome == "10306"
    assert caller.listed(["r1", "r3"], taskId="other").outcome == "10352"
    assert caller.listed(["r1", "r3"], requestId="").outcome == "10304"
    assert caller.send(SAVE_PATH, regId=None, timeToLive=899).outcome == "10059"
    assert caller.send(SAVE_PATH).outcome == "10050"


def test_a_request_is_carried_out_once(caller: Caller) -> None:
    extra = {"callback": "https://x/r"}
    assert len(caller.send(requestId="same", extra=extra).receipts) == 1
    again = caller.send(requestId="same", extra=extra)
    assert (again.outcome, again.receipts) == ("accepted", [])
    assert again.detail


def test_json_only(caller: Caller) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert caller.call(SINGLE_PATH, MESSAGE, authtoken=caller.authtoken, **form).outcome == "10050"
    assert caller.call(SINGLE_PATH, b"{", authtoken=caller.authtoken).outcome == "10050"
    assert caller.call(SINGLE_PATH, MESSAGE, method="GET").status == 404
    assert caller.call(RECALL_PATH, {}).status == 404


def test_hours(caller: Caller) -> None:
    caller.simulator.configure({"hours": True})
    taken = set()
    for _ in range(24):
        caller.clock.advance(3600)
        caller.authtoken = str(json.loads(caller.authenticate().body)["authToken"])
        hour = datetime.fromtimestamp(caller.clock.now_ms() / 1000, ZoneInfo("Asia/Shanghai")).hour
        outcome = caller.send(classification=0).outcome
        assert outcome in ("accepted", "10071")
        taken |= {hour} if outcome == "accepted" else set()
        assert caller.send(classification=1).outcome == "accepted"
    assert taken == set(range(7, 23))
