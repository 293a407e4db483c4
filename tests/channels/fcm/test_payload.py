"""Each field of a push, and what FCM gets of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.channels.fcm.payload import MAX_TTL, NAMES, Template, prepare, size_of
from clarion.channels.message import Activity, PushContent
from tests.channels.host import envelope

NOW = 1_795_000_000_000
IDS = {"id": "247462019072001", "msgKey": "order-1", "taskId": "247462019071745"}


def prepared(**content: Any) -> Template:
    return prepare(PushContent(**{"title": "T", "content": "C", **content}))


def sent(**content: Any) -> dict[str, Any]:
    body = prepared(**content).body(envelope("a-token", NOW, seconds=300), NOW)
    value: dict[str, Any] = json.loads(body)["message"]
    return value


def test_the_whole_of_a_plain_push() -> None:
    assert sent() == {
        "token": "a-token",
        "notification": {"title": "T", "body": "C"},
        "data": IDS,
        "android": {"priority": "HIGH", "notification": {"tag": "order-1"}, "ttl": "300s"},
    }


@pytest.mark.parametrize(
    ("content", "data"),
    [
        ({"uri": "https://e.com"}, {"uri": "https://e.com", "action": "0"}),
        ({"uri": "a.b.OPEN", "action": 1}, {"uri": "a.b.OPEN", "action": "1"}),
        ({"action": 1}, {}),
        ({"icons": {"defaultUrl": "https://d", "fcmUrl": "https://f"}}, {"icon": "https://f"}),
        ({"icons": {"hmsUrl": "https://d"}}, {}),
        ({"params": {"a": "b"}}, {"a": "b"}),
        ({"params": {"n": 1, "f": 1.5, "t": True, "z": None}}, {"n": "1", "f": "1.5", "t": "true", "z": "null"}),
        ({"params": {"deep": {"x": [1, "y"]}}}, {"deep": '{"x":[1,"y"]}'}),
        ({"params": {"badge": 2}}, {"badge": "2"}),
        ({"params": {"sound": "s", "mutable-content": 1, "big_text": 1}}, {}),
        ({"params": {"badge_add_num": 1, "badge_class": "c"}}, {}),
        ({"params": {"": "x"}}, {}),
        ({"data_payload": {"x": 1}}, {"payload": '{"x":1}'}),
        ({"data_payload": "text"}, {"payload": "text"}),
    ],
)
def test_what_the_app_reads(content: dict[str, Any], data: dict[str, str]) -> None:
    assert sent(**content)["data"] == {**data, **IDS}


@pytest.mark.parametrize("name", [*sorted(NAMES), "from", "message_type", "google.x", "gcm.y", "google", "gcm"])
def test_a_reserved_name_is_changed_and_noted(name: str) -> None:
    assert sent(params={name: "mine"})["data"] == {f"_{name}": "mine", **IDS}
    assert prepared(params={name: "mine"}).notes == (f"{name} is sent as _{name}",)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ({"channel_id": "orders"}, {"channel_id": "orders"}),
        ({"uri": "com.example.OPEN", "action": 1}, {"click_action": "com.example.OPEN"}),
        ({"uri": "intent:#Intent;end", "action": 1}, {}),
        ({"uri": "com.example.OPEN"}, {}),
        ({"params": {"badge": "3"}}, {"notification_count": 3}),
        ({"params": {"badge": -3}}, {}),
        ({"params": {"badge": 10**10}}, {}),
        ({"style": 1}, {}),
    ],
)
def test_what_android_shows(content: dict[str, Any], shown: dict[str, Any]) -> None:
    assert sent(**content)["android"]["notification"] == {**shown, "tag": "order-1"}


@pytest.mark.parametrize(
    ("images", "image"),
    [
        ({"fcmUrl": "https://f", "defaultUrl": "https://d"}, "https://f"),
        ({"defaultUrl": "https://d"}, "https://d"),
        ({"oppoUrl": "https://o"}, None),
        ({"defaultUrl": "http://d"}, None),
    ],
)
def test_pictures(images: dict[str, str], image: str | None) -> None:
    assert sent(images=images)["notification"].get("image") == image


def test_what_has_no_place_is_noted() -> None:
    made = prepared(
        params={"badge": "x", "sound": "s", "": 1}, images={"defaultUrl": "http://d"}, activity=Activity("end")
    )
    assert made.notes == (
        "live activities are for iOS",
        "sound is for other vendors",
        "a parameter without a name was left out",
        "the picture was left out: FCM takes https addresses only",
        "badge is no number from 0 on, and is in the data alone",
    )
    assert prepared().notes == ()


@pytest.mark.parametrize(("urgency", "priority"), [("", "NORMAL"), ("NORMAL", "NORMAL"), ("high", "HIGH")])
def test_a_silent_push_is_data_alone(urgency: str, priority: str) -> None:
    assert sent(silent=1, data_urgency=urgency, images={"fcmUrl": "https://f"}) == {
        "token": "a-token",
        "data": {"title": "T", "content": "C", **IDS},
        "android": {"priority": priority, "ttl": "300s"},
    }


@pytest.mark.parametrize(
    ("seconds", "ttl"),
    [(1, "1s"), (0.001, "1s"), (0, "0s"), (-5, "0s"), (MAX_TTL, "2419200s"), (10**8, "2419200s")],
)
def test_validity(seconds: float, ttl: str) -> None:
    body = prepared().body(envelope("t", NOW, seconds=seconds), NOW)
    assert json.loads(body)["message"]["android"]["ttl"] == ttl


def test_the_size_is_that_of_the_message_without_its_token() -> None:
    body = prepared(title="你好").body(envelope("a-token", NOW), NOW)
    message = json.loads(body)["message"]
    del message["token"]
    assert size_of(body, "a-token") == len(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode())


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


@given(title=TEXT, content=TEXT, key=TEXT, uri=TEXT, params=st.dictionaries(TEXT.map("x{}".format), TEXT))
def test_any_text_arrives_as_it_is(title: str, content: str, key: str, uri: str, params: dict[str, Any]) -> None:
    made = prepared(title=title, content=content, uri=uri, params=params, channel_id=uri)
    message = json.loads(made.body(envelope("t", NOW, msg_key=key), NOW))["message"]
    assert message["notification"] == {"title": title, "body": content}
    assert message["data"] == {
        **params, **({"uri": uri, "action": "0"} if uri else {}), **IDS, "msgKey": key,
    }  # fmt: skip
    assert message["android"]["notification"]["tag"] == key
