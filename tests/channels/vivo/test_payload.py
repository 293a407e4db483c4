"""Each field of a push, and what vivo gets of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clarion.channels.message import Activity, PushContent
from clarion.channels.text import Unsendable, notify_id
from clarion.channels.vivo.payload import Message, Renderer
from clarion.channels.vivo.settings import VivoSettings
from tests.channels.host import envelope

NOW = 1_795_000_000_000
IDS = {"id": "247462019072001", "msgKey": "order-1", "taskId": "247462019071745"}


def made(settings: dict[str, Any] | None = None, *, seconds: float = 7200, **content: Any) -> Message:
    file = {"appId": 10004, "appKey": "key", "appSecret": "s3cret", **(settings or {})}
    content = {"title": "T", "content": "C", **content}
    renderer = Renderer(msgspec.convert(file, VivoSettings), NOW)
    return renderer.message(envelope("r", NOW, content=PushContent(**content), seconds=seconds))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, {"title": "T", "content": "C", "skipType": 1, "notifyType": 4, "networkType": -1}),
        ({}, {"appId": 10004, "classification": 1, "pushMode": 0, "timeToLive": 7200}),
        ({"classification": "0"}, {"classification": 0}),
        ({"uri": "http://x"}, {"skipType": 2, "skipContent": "http://x"}),
        ({"uri": "intent:#Intent;end", "action": 1}, {"skipType": 4, "skipContent": "intent:#Intent;end"}),
        ({"params": {"badge": 1}}, {"addBadge": True}),
        ({"category": {"vivo": "ORDER"}}, {"category": "ORDER"}),
        ({"category": {"vivo": "NEWS"}, "classification": "0"}, {"category": "NEWS"}),
        ({"notify_level": {"vivo": "2"}}, {"notifyType": 2}),
        (
            {"params": {"a": 1, "b": {"c": True}, "sound": "x"}},
            {"clientCustomMap": {"a": "1", "b": '{"c":true}', **IDS}},
        ),
    ],
)
def test_field(content: dict[str, Any], expected: dict[str, Any]) -> None:
    body = made(**content).body
    assert {name: body.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ({"images": {"defaultUrl": "https://example.com/a.png"}}, "image"),
        ({"icons": {"defaultUrl": "https://example.com/a.png"}}, "icon"),
        ({"channel_id": "c"}, "ChannelId"),
        ({"style": 1}, "big text"),
        ({"activity": Activity("end")}, "live activity"),
        ({"params": {"sound": "ring"}}, "sound"),
        ({"params": {"badge": 3}}, "badge"),
        ({"params": {"badge_add_num": 3, "badge_class": "x"}}, "badge_add_num"),
        ({"params": {"big_text": "1"}}, "big_text"),
        ({"params": {"mutable-content": 1}}, "mutable-content"),
        ({"data_payload": "x"}, "TransparentMessagePayload"),
    ],
)
def test_what_has_no_place_is_noted(content: dict[str, Any], note: str) -> None:
    message = made(**content)
    assert [text for text in message.notes if text.startswith(note)]
    assert "example.com/" not in str(message.body)


def test_silent_is_not_made_visible() -> None:
    with pytest.raises(Unsendable, match="silent"):
        made(silent=1)


@pytest.mark.parametrize(
    "content",
    [
        {"title": "包" * 20 + "t"},
        {"title": "t" * 41},
        {"content": "包" * 51},
        {"title": "\t"},
        {"content": " "},
        {"uri": "https://" + "x" * 2048},
        {"category": {"vivo": "NEWS"}},
        {"category": {"vivo": {"a": 1}}},
        {"category": {"vivo": "ORDER"}, "classification": "0"},
        {"notify_level": {"vivo": 5}},
        {"params": {"a": "x" * 1024}},
    ],
)
def test_refusal(content: dict[str, Any]) -> None:
    with pytest.raises(Unsendable):
        made(**content)


def test_lengths_with_chinese_characters_as_two() -> None:
    assert made(title="包" * 20, content="包" * 50).notes == ()
    cut = made({"overLength": "cut"}, title="包" * 21, content="c" * 98 + "👍🏽")
    assert cut.body["title"] == "包" * 19 + "…"
    assert cut.body["content"] == "c" * 98 + "…"
    assert [note.split(" cut")[0] for note in cut.notes] == ["title", "content"]


def test_parameters_that_are_too_long() -> None:
    cut = made({"overLength": "cut"}, params={"a": "1", "b": "x" * 1024, "c": "3"})
    assert cut.body["clientCustomMap"] == {"a": "1", **IDS}
    assert cut.notes == ("2 extension parameters left out: over 1024 characters",)
    full = made(params={"a": "x" * 1023})
    assert full.body["clientCustomMap"] == {"a": "x" * 1023}
    assert full.notes == ("ids of the message left out: too many parameters",)


@pytest.mark.parametrize(
    ("seconds", "single", "listed"),
    [(5, 60, 900), (600, 600, 900), (86_400, 86_400, 86_400), (1e6, 86_400, 86_400)],
)
def test_validity(seconds: float, single: int, listed: int) -> None:
    message = made(seconds=seconds)
    assert message.body["timeToLive"] == single
    assert message.listed()["timeToLive"] == listed
    assert bool(message.notes) == (single != seconds)


def test_validity_that_has_ended() -> None:
    with pytest.raises(Unsendable, match="validity"):
        made(seconds=0)


def test_request_ids_are_stable_and_different() -> None:
    bodies = [made().to("r1"), made().to("r1"), made().to("r2"), made().listed()]
    ids = [body["requestId"] for body in bodies]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(0 < len(one) <= 64 for one in ids)
    assert made().body["notifyId"] == notify_id("order-1")


def test_settings_by_classification() -> None:
    settings = {"categories": {"0": "MARKETING", "1": "IM"}, "notifyType": 1, "pushMode": 1, "appId": "x7"}
    body = made(settings).body
    assert (body["category"], body["notifyType"], body["pushMode"], body["appId"]) == ("IM", 1, 1, "x7")
    assert made(settings, classification="0").body["category"] == "MARKETING"


def test_callback() -> None:
    body = made({"callbackUrl": "https://push.example.com/r"}).body
    assert body["extra"] == {"callback": "https://push.example.com/r", "callback.param": "247462019071745"}
    assert "extra" not in made().body
