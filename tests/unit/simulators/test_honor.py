"""Honor's simulator refuses what Honor refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.channels.multicast.harness import Gate, known
from tests.unit.simulators.requests import GONE, changed

N = "android.notification."
PUSH: dict[str, Any] = {
    "android": {
        "ttl": "86400s",
        "notification": {"title": "Parcel", "body": "It waits", "clickAction": {"type": 3}},
    },
    "token": ["t1"],
}

CASES: list[tuple[str, Any, int]] = [
    ("extra", 1, 80100003),
    ("token", GONE, 80300010),
    ("token", [], 10300),
    ("token", [""], 10300),
    ("token", ["t1", "t1"], 80300006),
    ("token", [f"t{number}" for number in range(1000)], 200),
    ("token", [f"t{number}" for number in range(1001)], 80300010),
    ("token", ["t1", 7], 80100003),
    ("token", ["t 1"], 80300007),
    ("data", {"a": 1}, 80100003),
    ("data", "x" * 4096, 80300008),
    ("message", {}, 80100003),
    ("android", GONE, 80100003),
    ("android.notification", GONE, 80100003),
    ("android.data", "x", 200),
    ("android.ttl", "1296000s", 200),
    ("android.ttl", "1296001s", 400),
    ("android.ttl", "0s", 400),
    ("android.ttl", 86400, 80100003),
    ("android.bi_tag", "x", 80100003),
    ("android.targetUserType", 1, 200),
    ("android.targetUserType", 2, 80100003),
    ("notification", {"title": "T", "body": "B"}, 200),
    (N + "title", GONE, 80100003),
    (N + "body", "", 80100003),
    (N + "clickAction", GONE, 80100003),
    (N + "clickAction", {"type": 4}, 80100003),
    (N + "clickAction", {"type": 1}, 80100003),
    (N + "clickAction", {"type": 1, "intent": "intent://x"}, 200),
    (N + "clickAction", {"type": 2}, 80100003),
    (N + "clickAction", {"type": 2, "url": "http://e.com"}, 80100003),
    (N + "clickAction", {"type": 2, "url": "https://e.com"}, 200),
    (N + "style", 1, 80100003),
    (N + "style", 2, 80100003),
    (N + "importance", "HIGH", 80100003),
    (N + "image", "http://e/p.png", 80100003),
    (N + "badge", {"addNum": 1}, 80100003),
    (N + "badge", {"badgeClass": "a.B"}, 80100003),
    (N + "badge", {"badgeClass": "a.B", "setNum": 100}, 80100003),
    (N + "badge", {"badgeClass": "a.B", "setNum": 0}, 200),
    (N + "buttons", [{"name": "b" * 41, "actionType": 0}], 80100003),
    (N + "buttons", [{"name": "b", "actionType": 0}] * 3, 200),
]


def code(reply_body: bytes) -> int:
    answer = msgspec.json.decode(reply_body)
    assert set(answer) == {"code", "message", "data"}
    assert type(answer["code"]) is int
    return int(answer["code"])


@pytest.mark.parametrize(
    ("path", "value", "expected"), CASES, ids=[f"{path}={value}"[:60] for path, value, _ in CASES]
)
async def test_message(path: str, value: Any, expected: int) -> None:
    reply = await Gate("honor").post(msgspec.json.encode(changed(PUSH, path, value)))
    assert code(reply.body) == expected
    assert reply.outcome == ("accepted" if expected == 200 else str(expected))


async def test_the_lowest_level_has_no_picture() -> None:
    gate = Gate("honor")
    low = changed(PUSH, N + "importance", "LOW")
    assert code((await gate.post(msgspec.json.encode(low))).body) == 200
    for path in (N + "image", "notification.image"):
        body = msgspec.json.encode(changed(low, path, "https://e/p.png"))
        assert code((await gate.post(body)).body) == 80200050


@pytest.mark.parametrize(
    ("headers", "expected", "status"),
    [
        ({"authorization": None}, 401, 401),
        ({"authorization": "Bearer wrong"}, 401, 401),
        ({"timestamp": None}, 10001, 200),
        ({"timestamp": "now"}, 10207, 200),
        ({"timestamp": "1795000000"}, 10207, 200),
        ({"timestamp": "1794999399999"}, 10207, 200),
        ({"timestamp": "1794999400000"}, 200, 200),
        ({"timestamp": "1795000600001"}, 10207, 200),
        ({"content_type": "text/plain"}, 80100003, 200),
    ],
)
async def test_headers(headers: dict[str, Any], expected: int, status: int) -> None:
    reply = await Gate("honor").post(msgspec.json.encode(PUSH), **headers)
    assert (code(reply.body), reply.status) == (expected, status)


async def test_addresses() -> None:
    gate = Gate("honor")
    body = msgspec.json.encode(PUSH)
    assert code((await gate.post(body, "/api/v1/1/sendMessage")).body) == 10205
    reply = await gate.post(body, f"/v1/{known('honor')['appId']}/messages:send")
    assert (code(reply.body), reply.status) == (404, 404)


async def test_an_access_token_ends() -> None:
    gate = Gate("honor")
    body = msgspec.json.encode(PUSH)
    assert code((await gate.post(body)).body) == 200
    gate.clock.advance(3600)
    assert code((await gate.post(body)).body) == 401


async def test_tokens_that_are_refused_are_named() -> None:
    gate = Gate("honor")
    simulator: Any = gate.simulator
    simulator.configure({"expiredTokens": ["t3"], "invalidTokens": ["t4"]})
    gate.fault("code", token="t2", code="failTokens")
    reply = await gate.post(msgspec.json.encode(changed(PUSH, "token", ["t1", "t2", "t3", "t4"])))
    assert code(reply.body) == 80100000
    data = msgspec.json.decode(reply.body)["data"]
    assert (data["sendResult"], data["failTokens"], data["expireTokens"]) == (True, ["t2", "t4"], ["t3"])


async def test_test_messages_of_a_day() -> None:
    gate = Gate("honor")
    test = changed(PUSH, "android.targetUserType", 1)
    body = msgspec.json.encode(changed(test, "token", [f"t{number}" for number in range(1000)]))
    assert code((await gate.post(body)).body) == 200
    assert code((await gate.post(msgspec.json.encode(test))).body) == 80200047
    gate.clock.advance(86_400)
    gate.access = ""
    assert code((await gate.post(msgspec.json.encode(test))).body) == 200


async def test_receipt_ids() -> None:
    gate = Gate("honor")
    simulator: Any = gate.simulator
    simulator.configure({"receiptIds": ["R1"]})
    for name, expected in (("R1", 200), ("R2", 80200020)):
        body = msgspec.json.encode(changed(PUSH, "android.receiptId", name))
        assert code((await gate.post(body)).body) == expected
