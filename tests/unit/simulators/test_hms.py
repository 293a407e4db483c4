"""Huawei's simulator refuses what Huawei refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.channels.multicast.harness import Gate, known
from tests.unit.simulators.requests import GONE, changed

N = "message.android.notification."
A = "message.android."
PUSH: dict[str, Any] = {
    "message": {
        "android": {
            "ttl": "86400s",
            "notification": {"title": "Parcel", "body": "It waits", "click_action": {"type": 3}},
        },
        "token": ["t1"],
    }
}

CASES: list[tuple[str, Any, str]] = [
    ("validate_only", True, "80000000"),
    ("validate_only", "true", "80100003"),
    ("extra", 1, "80100003"),
    ("message", GONE, "80300010"),
    ("message.token", GONE, "80300010"),
    ("message.token", [], "80300010"),
    ("message.token", "t1", "80300010"),
    ("message.token", [7], "80100003"),
    ("message.token", [f"t{number}" for number in range(1001)], "80300010"),
    ("message.token", ["t 1"], "80300007"),
    ("message.tokens", ["t1"], "80100003"),
    ("message.android", GONE, "80100003"),
    ("message.notification", {"title": "T", "body": "B", "image": "https://e/p.png"}, "80000000"),
    ("message.notification", {"image": "http://e/p.png"}, "80100003"),
    (A + "notification", GONE, "80100003"),
    (A + "ttl", "1296000s", "80000000"),
    (A + "ttl", "1296001s", "80100001"),
    (A + "ttl", "0s", "80100004"),
    (A + "ttl", 86400, "80100003"),
    (A + "ttl", "86400", "80100003"),
    (A + "collapse_key", 100, "80000000"),
    (A + "collapse_key", 101, "80100013"),
    (A + "collapse_key", -2, "80100013"),
    (A + "collapse_key", "1", "80100003"),
    (A + "urgency", "high", "80100003"),
    (A + "category", "WORK", "80000000"),
    (A + "category", "9", "80100003"),
    (A + "category", "PLAY_VOICE", "80100003"),
    (A + "target_user_type", 2, "80100003"),
    (N + "title", "t" * 40, "80000000"),
    (N + "title", "t" * 41, "80100001"),
    (N + "title", "", "80100003"),
    (N + "body", "字" * 1025, "80100001"),
    (N + "body", GONE, "80100003"),
    (N + "subtitle", "x", "80100003"),
    (N + "image", "http://e/p.png", "80100003"),
    (N + "click_action", GONE, "80100003"),
    (N + "click_action", {"type": 5}, "80100003"),
    (N + "click_action", {"type": 1}, "80100003"),
    (N + "click_action", {"type": 1, "action": "a"}, "80000000"),
    (N + "click_action", {"type": 1, "intent": "intent://x"}, "80000000"),
    (N + "click_action", {"type": 2}, "80100003"),
    (N + "click_action", {"type": 2, "url": "http://e.com"}, "80100003"),
    (N + "click_action", {"type": 2, "url": "https://e.com"}, "80000000"),
    (N + "style", 1, "80100003"),
    (N + "style", 2, "80100003"),
    (N + "style", 3, "80100003"),
    (N + "inbox_content", ["1", "2", "3", "4", "5", "6"], "80100003"),
    (N + "badge", {"add_num": 1}, "80100003"),
    (N + "badge", {"class": "a.B"}, "80100003"),
    (N + "badge", {"class": "a.B", "add_num": 100}, "80100003"),
    (N + "badge", {"class": "a.B", "add_num": 99}, "80000000"),
    (N + "badge", {"class": "a.B", "set_num": 0}, "80000000"),
    (N + "importance", "HIGH", "80300011"),
    (N + "importance", "MAX", "80100003"),
    (N + "sound", "/raw/bell", "80000000"),
    (N + "sound", "bell", "80100003"),
    (N + "notify_id", 2**31 - 1, "80000000"),
    (N + "notify_id", 2**31, "80100003"),
    (N + "profile_id", "p" * 65, "80100003"),
    (N + "buttons", [{"name": "a", "action_type": 1}] * 4, "80100003"),
]


def code(reply_body: bytes) -> str:
    answer = msgspec.json.decode(reply_body)
    assert set(answer) == {"code", "msg", "requestId"}
    assert isinstance(answer["code"], str)
    return str(answer["code"])


@pytest.mark.parametrize(
    ("path", "value", "expected"), CASES, ids=[f"{path}={value}"[:60] for path, value, _ in CASES]
)
async def test_message(path: str, value: Any, expected: str) -> None:
    reply = await Gate("hms").post(msgspec.json.encode(changed(PUSH, path, value)))
    assert code(reply.body) == expected
    assert reply.outcome == ("accepted" if expected == "80000000" else expected)


async def test_everything_that_is_documented_is_taken() -> None:
    notification = {
        "title": "T", "body": "B", "icon": "/raw/i", "color": "#AACCDD", "sound": "/raw/s", "default_sound": False,
        "tag": "t", "channel_id": "c", "notify_summary": "s", "image": "https://e/i.png", "style": 1,
        "click_action": {"type": 3},
        "big_title": "T", "big_body": "B", "notify_id": 7, "group": "g", "badge": {"add_num": 1, "class": "a.B"},
        "ticker": "t", "auto_cancel": False, "when": "2014-10-02T15:01:23.045123456Z", "local_only": True,
        "importance": "NORMAL", "use_default_vibrate": True, "use_default_light": False, "visibility": "PUBLIC",
        "vibrate_config": ["1.5"], "light_settings": {"light_on_duration": "3.5"}, "foreground_show": True,
        "inbox_content": ["a"], "buttons": [{"name": "b", "action_type": 0}], "profile_id": "p",
        "title_loc_key": "k", "title_loc_args": ["a"], "body_loc_key": "k", "body_loc_args": ["a"],
    }  # fmt: skip
    android = {
        "collapse_key": -1, "urgency": "HIGH", "category": "IM", "ttl": "1448s", "bi_tag": "b", "receipt_id": "r",
        "fast_app_target": 1, "target_user_type": 1, "data": "d", "notification": notification,
    }  # fmt: skip
    message = {"data": "{}", "notification": {"title": "T", "body": "B"}, "android": android, "token": ["t1"]}
    reply = await Gate("hms").post(msgspec.json.encode({"validate_only": False, "message": message}))
    assert code(reply.body) == "80000000", reply.detail


async def test_a_data_message() -> None:
    gate = Gate("hms")
    reply = await gate.post(b'{"message":{"data":"x","token":["t1"]}}')
    assert code(reply.body) == "80000000"


async def test_the_size_is_measured_as_it_was_sent() -> None:
    gate = Gate("hms")
    escaped = changed(PUSH, "message.data", "")
    text = msgspec.json.encode(escaped).replace(b'"data":""', b'"data":"' + rb"\u5b57" * 700 + b'"')
    assert code((await gate.post(text)).body) == "80300008"
    assert code((await gate.post(text.replace(rb"\u5b57", "字".encode()))).body) == "80000000"


@pytest.mark.parametrize(("over", "expected"), [(0, "80000000"), (1, "80300008")])
async def test_a_request_may_have_4096_bytes_besides_its_tokens(over: int, expected: str) -> None:
    tokens = [f"t{number}" for number in range(1000)]
    empty = msgspec.json.encode(changed(changed(PUSH, "message.token", []), "message.data", ""))
    full = changed(changed(PUSH, "message.token", tokens), "message.data", "x" * (4096 - len(empty) + over))
    assert code((await Gate("hms").post(msgspec.json.encode(full))).body) == expected


@pytest.mark.parametrize(
    ("headers", "expected", "status"),
    [
        ({"authorization": None}, "80200001", 401),
        ({"authorization": "Bearer wrong"}, "80200001", 401),
        ({"authorization": "Basic x"}, "80200001", 401),
        ({"content_type": "text/plain"}, "80100003", 400),
        ({"content_type": None}, "80100003", 400),
    ],
)
async def test_headers(headers: dict[str, Any], expected: str, status: int) -> None:
    reply = await Gate("hms").post(msgspec.json.encode(PUSH), **headers)
    assert (code(reply.body), reply.status) == (expected, status)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
async def test_what_is_no_json_object(body: bytes) -> None:
    assert code((await Gate("hms").post(body)).body) == "80100003"


async def test_the_address_of_another_app() -> None:
    gate = Gate("hms")
    assert code((await gate.post(msgspec.json.encode(PUSH), "/v1/1/messages:send")).body) == "80200001"
    assert (await gate.post(b"", f"/v2/{known('hms')['appId']}/messages:send")).status == 404


async def test_an_access_token_ends() -> None:
    gate = Gate("hms")
    body = msgspec.json.encode(PUSH)
    assert code((await gate.post(body)).body) == "80000000"
    gate.clock.advance(3600)
    assert code((await gate.post(body)).body) == "80200003"
    gate.access = ""
    assert code((await gate.post(body)).body) == "80000000"


@pytest.mark.parametrize(
    ("form", "sub_error"),
    [
        ({"grant_type": "password"}, 20001),
        ({"client_id": "1"}, 20041),
        ({"client_secret": "wrong"}, 20042),
    ],
)
def test_no_access_token(form: dict[str, str], sub_error: int) -> None:
    reply = Gate("hms").login(**form)
    assert (reply.status, msgspec.json.decode(reply.body)["sub_error"]) == (400, sub_error)
    assert reply.secret


async def test_tokens_that_are_refused_are_named_in_a_text() -> None:
    gate = Gate("hms")
    gate.fault("code", token="t2", code="80300007")
    reply = await gate.post(msgspec.json.encode(changed(PUSH, "message.token", ["t1", "t2", "t3"])))
    assert code(reply.body) == "80100000"
    said = msgspec.json.decode(msgspec.json.decode(reply.body)["msg"])
    assert said == {"success": 2, "failure": 1, "illegal_tokens": ["t2"]}


async def test_a_right_can_be_given() -> None:
    gate = Gate("hms")
    simulator: Any = gate.simulator
    simulator.configure({"highImportance": True})
    reply = await gate.post(msgspec.json.encode(changed(PUSH, N + "importance", "HIGH")))
    assert code(reply.body) == "80000000"
    with pytest.raises(ValueError, match="unknown field"):
        simulator.configure({"colour": "red"})
