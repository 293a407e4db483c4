"""Each field of a push, and what OPPO gets of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

import msgspec
import pytest

from clarion.channels.message import Activity, PushContent
from clarion.channels.oppo.payload import Message, Renderer
from clarion.channels.oppo.settings import OppoSettings
from clarion.channels.text import Unsendable, notify_id
from tests.channels.host import envelope

NOW = 1_795_000_000_000


def made(settings: dict[str, Any] | None = None, *, seconds: float = 7200, **content: Any) -> Message:
    told = msgspec.convert({"appKey": "key", "masterSecret": "s3cret", **(settings or {})}, OppoSettings)
    content = {"title": "T", "content": "C", **content}
    return Renderer(told, NOW).message(envelope("r", NOW, content=PushContent(**content), seconds=seconds))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, {"title": "T", "content": "C", "style": 1, "click_action_type": 0}),
        ({}, {"off_line": True, "off_line_ttl": 7200, "app_message_id": "247462019072001"}),
        ({"style": 1}, {"style": 2}),
        ({"style": 2}, {"style": 1}),
        ({"uri": "http://x"}, {"click_action_type": 2, "click_action_url": "http://x"}),
        ({"uri": "myapp://x"}, {"click_action_type": 2, "click_action_url": "myapp://x"}),
        (
            {"uri": "com.example.Main", "action": 1},
            {"click_action_type": 4, "click_action_activity": "com.example.Main"},
        ),
        (
            {"uri": "intent:#Intent;end", "action": 1},
            {"click_action_type": 5, "click_action_url": "intent:#Intent;end"},
        ),
        ({"params": {"badge": "3"}}, {"badge_operation_type": 0, "badge_message_count": 3}),
        (
            {"params": {"badge_add_num": 2, "badge_class": "x"}},
            {"badge_operation_type": 1, "badge_message_count": 2},
        ),
        ({"channel_id": "orders"}, {"channel_id": "orders"}),
        ({"category": {"oppo": "ORDER"}, "notify_level": {"oppo": "2"}}, {"category": "ORDER", "notify_level": 2}),
        (
            {"vendor_template": {"oppo": {"id": "t1", "titleParams": {"a": "1"}, "contentParams": {"b": "2"}}}},
            {
                "private_msg_template_id": "t1",
                "private_title_parameters": {"a": "1"},
                "private_content_parameters": {"b": "2"},
            },
        ),
    ],
)
def test_field(content: dict[str, Any], expected: dict[str, Any]) -> None:
    notification = made(**content).notification
    assert {name: notification.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ({"style": 2, "images": {"oppoUrl": "https://example.com/a.png"}}, "image"),
        ({"icons": {"defaultUrl": "https://example.com/a.png"}}, "icon"),
        ({"activity": Activity("end")}, "live activity"),
        ({"params": {"sound": "ring"}}, "sound"),
        ({"params": {"big_text": "1"}}, "big_text"),
        ({"params": {"mutable-content": 1}}, "mutable-content"),
        ({"data_payload": "x"}, "TransparentMessagePayload"),
        ({"notify_level": {"oppo": 2}}, "NotifyLevel"),
    ],
)
def test_what_has_no_place_is_noted(content: dict[str, Any], note: str) -> None:
    message = made(**content)
    assert [text for text in message.notes if text.startswith(note)]
    assert "example.com/" not in str(message.notification)


def test_parameters_are_json_in_a_text_with_the_ids() -> None:
    params = msgspec.json.decode(
        made(params={"a": 1, "b": {"c": [2]}, "sound": "x"}).notification["action_parameters"]
    )
    ids = {"id": "247462019072001", "msgKey": "order-1", "taskId": "247462019071745"}
    assert params == {"a": 1, "b": {"c": [2]}, **ids}


def test_silent_is_not_made_visible() -> None:
    with pytest.raises(Unsendable, match="silent"):
        made(silent=1)


def test_classification() -> None:
    settings = {"categories": {"0": "MARKETING", "1": "ORDER"}, "channelIds": {"1": "c1"}, "notifyLevel": 1}
    system = made(settings)
    assert system.notification["category"] == "ORDER"
    assert system.notification["notify_level"] == 1
    assert system.notification["channel_id"] == "c1"
    assert system.quota == "service"
    operational = made(settings, classification="0")
    assert operational.notification["category"] == "MARKETING"
    assert operational.quota == made().quota == "marketing"
    assert "category" not in made().notification


@pytest.mark.parametrize(
    "content",
    [
        {"title": "t" * 51},
        {"content": "c" * 51},
        {"style": 1, "content": "c" * 129},
        {"title": " "},
        {"content": ""},
        {"uri": "https://" + "x" * 2000},
        {"uri": "c" * 501, "action": 1},
        {"category": {"oppo": "SPAM"}},
        {"category": {"oppo": ["IM"]}},
        {"category": {"oppo": "IM"}, "notify_level": {"oppo": 3}},
        {"params": {"a": "x" * 4000}},
    ],
)
def test_refusal(content: dict[str, Any]) -> None:
    with pytest.raises(Unsendable):
        made(**content)


def test_lengths() -> None:
    assert made(title="包" * 50, content="包" * 50).notes == ()
    assert made(style=1, content="包" * 128).notes == ()
    assert made({"maxContent": 200}, content="c" * 200).notes == ()
    cut = made({"overLength": "cut"}, title="t" * 51, content="c" * 49 + "e\u0301")
    assert cut.notification["title"] == "t" * 49 + "…"
    assert cut.notification["content"] == "c" * 49 + "…"
    assert len(cut.notes) == 2


def test_parameters_may_have_4000_characters() -> None:
    around = len(made(params={"a": ""}).notification["action_parameters"])
    longest = made(params={"a": "包" * (4000 - around)})
    assert len(longest.notification["action_parameters"]) == 4000
    with pytest.raises(Unsendable, match="4001"):
        made(params={"a": "包" * (4001 - around)})


@pytest.mark.parametrize(
    ("seconds", "ttl", "noted"),
    [(60, 3600, True), (3600, 3600, False), (864_000, 864_000, False), (1e6, 864_000, True)],
)
def test_validity(seconds: float, ttl: int, noted: bool) -> None:
    message = made(seconds=seconds)
    assert message.notification["off_line_ttl"] == ttl
    assert bool(message.notes) == noted


def test_validity_that_has_ended() -> None:
    with pytest.raises(Unsendable, match="validity"):
        made(seconds=0)


def test_ids_and_callback() -> None:
    notification = made({"callbackUrl": "https://push.example.com/r"}).notification
    assert notification["notify_id"] == notify_id("order-1")
    assert notification["call_back_url"] == "https://push.example.com/r"
    assert notification["call_back_parameter"] == "247462019071745"


def test_target() -> None:
    message = made().to("r1")
    assert (message["target_type"], message["target_value"], message["verify_registration_id"]) == (2, "r1", True)


def test_form_of_a_target() -> None:
    message = made(title='50 % "off" & more', content="包裹 %22")
    before, after = message.quoted()
    assert before + b"r1" + after == quote_plus(msgspec.json.encode(message.to("r1"))).encode()
