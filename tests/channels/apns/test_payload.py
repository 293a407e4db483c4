"""Each field of a push, and what Apple gets of it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.channels.apns.payload import (
    MAX_COLLAPSE_ID,
    NAMESPACE,
    RESERVED,
    Kind,
    Payload,
    collapse_header,
    expiration_header,
    id_header,
    notification_id,
    prepare,
)
from clarion.channels.base import PayloadError
from clarion.channels.message import Activity, PushContent
from clarion.http2.headers import literal
from clarion.ids import id_time_ms
from tests.channels.host import envelope

NOW = 1_795_000_000_000
IDS = {"k": "order-1", "taskId": "247462019071745"}
ALERT = {"alert": {"title": "T", "body": "C"}, "sound": "default"}


def prepared(**content: Any) -> Payload:
    made = prepare(PushContent(**{"title": "T", "content": "C", **content}))
    assert isinstance(made, Payload)
    return made


def sent(**content: Any) -> dict[str, Any]:
    body = prepared(**content).body(envelope("aa", NOW))
    value: dict[str, Any] = json.loads(body)
    return value


@pytest.mark.parametrize(
    ("content", "aps"),
    [
        ({}, {}),
        ({"params": {"badge": 3}}, {"badge": 3}),
        ({"params": {"badge": "0"}}, {"badge": 0}),
        ({"params": {"badge": -1}}, {}),
        ({"params": {"badge": True}}, {}),
        ({"params": {"badge": 99999999999}}, {}),
        ({"params": {"sound": "ring.caf"}}, {"sound": "ring.caf"}),
        ({"params": {"sound": {"critical": 1, "name": "a"}}}, {"sound": {"critical": 1, "name": "a"}}),
        ({"params": {"sound": ""}}, {}),
        ({"params": {"mutable-content": 1}}, {"mutable-content": 1}),
        ({"params": {"mutable-content": "1"}}, {"mutable-content": 1}),
        ({"params": {"mutable-content": 0}}, {}),
        ({"images": {"defaultUrl": "https://e.com/i.png"}}, {"mutable-content": 1}),
        ({"category": {"apns": "ORDER"}}, {"category": "ORDER"}),
        ({"category": {"hms": "9"}}, {}),
        ({"notify_level": {"apns": "time-sensitive"}}, {"interruption-level": "time-sensitive"}),
        ({"notify_level": {"apns": "loud"}}, {}),
        ({"style": 1}, {}),
    ],
)
def test_what_apple_reads(content: dict[str, Any], aps: dict[str, Any]) -> None:
    assert prepared(**content).kind is Kind.ALERT
    assert sent(**content)["aps"] == {**ALERT, **aps}


@pytest.mark.parametrize(
    ("content", "custom"),
    [
        ({}, {}),
        ({"uri": "https://e.com"}, {"uri": "https://e.com"}),
        ({"images": {"defaultUrl": "https://d", "iosUrl": "https://i"}}, {"image": "https://i"}),
        ({"images": {"miuiUrl": "https://m"}}, {}),
        ({"icons": {"defaultUrl": "https://d"}}, {"icon": "https://d"}),
        ({"params": {"a": "b", "n": 1, "deep": {"x": [1, None]}}}, {"a": "b", "n": 1, "deep": {"x": [1, None]}}),
        ({"params": {"badge": 1, "sound": "s", "mutable-content": 1}}, {}),
        ({"params": {"badge_add_num": 1, "badge_class": "c", "big_text": 1}}, {}),
        ({"data_payload": {"x": 1}}, {"payload": {"x": 1}}),
        ({"channel_id": "c", "mi_channel_id": "m", "classification": "0"}, {}),
        ({"params": {"title": "mine"}}, {"_title": "mine"}),
    ],
)
def test_what_the_app_reads(content: dict[str, Any], custom: dict[str, Any]) -> None:
    value = sent(**content)
    del value["aps"]
    assert value == {**custom, **IDS}


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_parameter_with_a_name_of_the_service_is_renamed_and_noted(name: str) -> None:
    made = prepared(params={name: "mine"})
    assert sent(params={name: "mine"})[f"_{name}"] == "mine"
    assert made.notes == (f"{name} is sent as _{name}",)


def test_what_apple_has_no_place_for_is_noted() -> None:
    params = {"badge_add_num": 1, "badge_class": "c", "big_text": 1, "badge": "many"}
    assert prepared(params=params).notes == (
        "badge_add_num is for other vendors",
        "badge_class is for other vendors",
        "big_text is for other vendors",
        "badge is no number from 0 on, and was left out",
    )
    assert prepared().notes == ()


def test_a_silent_push_shows_nothing_and_loses_nothing() -> None:
    content = {"silent": 1, "params": {"a": 1, "badge": 2, "sound": "s"}, "images": {"iosUrl": "https://i"}}
    assert prepared(**content).kind is Kind.BACKGROUND
    assert sent(**content) == {
        "aps": {"content-available": 1}, "title": "T", "content": "C", "a": 1, "image": "https://i", **IDS,
    }  # fmt: skip


STATE = {"score": 3, "who": {"a": None}}


class TestActivities:
    def test_an_update(self) -> None:
        content = {"activity": Activity("update", STATE, 1_900_000_000)}
        assert prepared(**content).kind is Kind.ACTIVITY
        seconds = id_time_ms(envelope("aa", NOW).message) // 1000
        assert sent(**content)["aps"] == {
            "timestamp": seconds, "event": "update", "content-state": STATE, "alert": ALERT["alert"],
        }  # fmt: skip

    def test_an_end(self) -> None:
        aps = sent(activity=Activity("end", STATE, 1_900_000_000))["aps"]
        assert (aps["event"], aps["dismissal-date"]) == ("end", 1_900_000_000)
        assert "dismissal-date" not in sent(activity=Activity("end", STATE))["aps"]
        assert "content-state" not in sent(activity=Activity("end"))["aps"]

    def test_a_silent_one_lights_no_screen_and_spends_no_budget(self) -> None:
        content = {"activity": Activity("update", STATE), "silent": 1}
        assert prepared(**content).kind is Kind.QUIET_ACTIVITY
        assert "alert" not in sent(**content)["aps"]

    @pytest.mark.parametrize(("silent", "kind"), [(0, Kind.ACTIVITY), (1, Kind.QUIET_ACTIVITY)])
    def test_a_start(self, silent: int, kind: Kind) -> None:
        started = Activity("start", STATE, 1_900_000_000, "Match", {"home": "a"})
        assert prepared(activity=started, silent=silent).kind is kind
        aps = sent(activity=started, silent=silent)["aps"]
        assert aps.pop("timestamp") > 1_700_000_000
        assert aps == {
            "event": "start", "content-state": STATE, "attributes-type": "Match", "attributes": {"home": "a"},
            "input-push-token": 1, "alert": ALERT["alert"],
        }  # fmt: skip

    def test_a_repeat_has_the_time_of_the_message(self) -> None:
        made = prepared(activity=Activity("update", {"timestamp": 0}))
        first, again = (made.body(envelope("aa", NOW, attempt=attempt)) for attempt in (1, 2))
        assert first == again
        assert json.loads(first)["aps"]["content-state"] == {"timestamp": 0}
        newer = json.loads(made.body(envelope("aa", NOW, message=envelope("aa", NOW).message + (5000 << 12))))
        assert newer["aps"]["timestamp"] == json.loads(first)["aps"]["timestamp"] + 5

    @pytest.mark.parametrize(
        ("activity", "word"),
        [
            (Activity("start", {}), "attributes"),
            (Activity("start", {}, attributes={}), "attributes"),
            (Activity("start", {}, attributes_type="Match", attributes=[]), "attributes"),
            (Activity("start", attributes_type="Match", attributes={}), "ActivityContentState"),
            (Activity("pause", {}), "start, update and end"),
            (Activity("update"), "ActivityContentState"),
        ],
    )
    def test_what_cannot_be_sent_says_why(self, activity: Activity, word: str) -> None:
        problem = prepare(PushContent("T", "C", activity=activity))
        assert isinstance(problem, PayloadError)
        assert word in problem.text


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
VALUES = st.none() | TEXT | st.integers(-9, 9) | st.lists(st.booleans(), max_size=3)


@given(title=TEXT, content=TEXT, msg_key=TEXT, params=st.dictionaries(TEXT.map("x{}".format), VALUES))
def test_any_text_arrives_as_it_is(title: str, content: str, msg_key: str, params: dict[str, Any]) -> None:
    body = prepared(title=title, content=content, params=params).body(envelope("aa", NOW, msg_key=msg_key))
    assert json.loads(body) == {
        "aps": {"alert": {"title": title, "body": content}, "sound": "default"}, **params, **IDS, "k": msg_key,
    }  # fmt: skip


def test_the_payload_is_compact_and_in_utf_8() -> None:
    body = prepared(title="你好", content="😀").body(envelope("aa", NOW))
    assert body.decode().startswith(
        '{"aps":{"alert":{"title":"你好","body":"😀"},"sound":"default"},"k":"order-1",'
    )


@given(st.integers(0, 2**53), st.integers(0, 2**40))
def test_the_id_is_a_uuid_of_message_and_device(message: int, device: int) -> None:
    assert notification_id(message, device) == str(uuid.uuid5(NAMESPACE, f"{message}:{device}"))


@given(TEXT)
def test_the_collapse_id_is_of_at_most_64_printable_bytes(msg_key: str) -> None:
    head = literal(b"apns-collapse-id", b"")[:-1]
    made = collapse_header(msg_key)
    value = made[len(head) + 1 :]
    assert made == literal(b"apns-collapse-id", value)
    assert len(value) <= MAX_COLLAPSE_ID
    assert all(0x20 <= byte < 0x7F for byte in value)
    assert value.strip() == value


@pytest.mark.parametrize(
    ("msg_key", "kept"), [("order-1", True), ("x" * 64, True), ("x" * 65, False), ("键", False), (" a", False)]
)
def test_a_plain_message_key_is_the_collapse_id(msg_key: str, kept: bool) -> None:
    assert collapse_header(msg_key).endswith(msg_key.encode()) is kept


def test_two_long_message_keys_do_not_collapse() -> None:
    assert collapse_header("x" * 65) != collapse_header("x" * 66)


@pytest.mark.parametrize(("expires_at", "seconds"), [(NOW + 999, NOW // 1000), (0, 1), (-5, 1), (1500, 1)])
def test_the_headers_of_one(expires_at: int, seconds: int) -> None:
    assert expiration_header(expires_at) == literal(b"apns-expiration", str(seconds).encode())
    assert id_header(notification_id(1, 2)) == literal(b"apns-id", notification_id(1, 2).encode())
    assert collapse_header("k") == literal(b"apns-collapse-id", b"k")
