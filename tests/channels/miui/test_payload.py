"""Each field of a push, and what Xiaomi gets of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from clarion.channels.message import Activity, PushContent
from clarion.channels.miui.payload import Message, Renderer
from clarion.channels.miui.settings import MiuiSettings
from clarion.channels.text import Unsendable, notify_id
from tests.channels.host import envelope

NOW = 1_795_000_000_000


def made(settings: dict[str, Any] | None = None, *, seconds: float = 60, **content: Any) -> Message:
    told = msgspec.convert(
        {"packageName": "com.example.app", "appSecret": "s3cret", **(settings or {})}, MiuiSettings
    )
    content = {"title": "T", "content": "C", **content}
    return Renderer(told, NOW).message(envelope("r", NOW, content=PushContent(**content), seconds=seconds))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, {"title": "T", "description": "C", "pass_through": "0", "notify_type": "-1"}),
        ({}, {"restricted_package_name": "com.example.app", "extra.notify_effect": "1", "time_to_live": "60000"}),
        ({"uri": "myapp://x"}, {"extra.notify_effect": "3", "extra.web_uri": "myapp://x"}),
        (
            {"uri": "intent:#Intent;end", "action": 1},
            {"extra.notify_effect": "2", "extra.intent_uri": "intent:#Intent;end"},
        ),
        ({"style": 1}, {"extra.notification_style_type": "1"}),
        ({"params": {"big_text": "1"}}, {"extra.notification_style_type": "1"}),
        (
            {"style": 2, "images": {"miuiUrl": "http://f6.market.mi-img.com/a.png"}},
            {
                "extra.notification_style_type": "2",
                "extra.notification_bigPic_uri": "http://f6.market.mi-img.com/a.png",
            },
        ),
        (
            {"icons": {"defaultUrl": "http://mi-img.com/i.png"}},
            {"extra.notification_large_icon_uri": "http://mi-img.com/i.png"},
        ),
        ({"params": {"sound": "ring.mp3"}}, {"extra.sound_uri": "android.resource://com.example.app/raw/ring"}),
        ({"params": {"sound": "android.resource://a/raw/b"}}, {"extra.sound_uri": "android.resource://a/raw/b"}),
        ({"params": {"badge": 3}}, {"extra.badge": "3"}),
        ({"params": {"a": 1, "b": {"c": True}}}, {"extra.a": "1", "extra.b": '{"c":true}'}),
        ({"mi_channel_id": "m1", "category": {"miui": "c1"}}, {"extra.channel_id": "m1"}),
        ({"category": {"miui": "c1"}}, {"extra.channel_id": "c1"}),
        ({"notify_level": {"miui": 5}}, {"notify_type": "5"}),
        (
            {"vendor_template": {"miui": {"id": "P1", "params": {"who": "Ann"}}}},
            {"extra.template_id": "P1", "extra.template_param": '{"who":"Ann"}'},
        ),
    ],
)
def test_field(content: dict[str, Any], expected: dict[str, str]) -> None:
    form = made(**content).form()
    assert {name: form.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ({"channel_id": "c"}, "ChannelId"),
        ({"activity": Activity("end")}, "live activity"),
        ({"params": {"mutable-content": 1}}, "mutable-content"),
        ({"params": {"badge_add_num": 1, "badge_class": "x"}}, "badge_add_num"),
        ({"style": 2, "images": {"defaultUrl": "https://example.com/a.png"}}, "image"),
        ({"icons": {"miuiUrl": "https://example.com/mi-img.com"}}, "icon"),
        ({"icons": {"miuiUrl": "http://[bad"}}, "icon"),
        ({"data_payload": {"a": 1}}, "TransparentMessagePayload"),
        ({"notify_level": {"miui": "HIGH"}}, "NotifyLevel"),
    ],
)
def test_what_has_no_place_is_noted(content: dict[str, Any], note: str) -> None:
    message = made(**content)
    assert [text for text in message.notes if text.startswith(note)]
    assert "example.com/" not in str(message.form())


def test_nothing_to_note_of_an_ordinary_message() -> None:
    assert made(uri="https://example.com", style=1, params={"a": "1"}).notes == ()


def test_channel_by_classification() -> None:
    settings = {"channelIds": {"0": "news", "1": "orders"}}
    assert made(settings, classification="0").extras["channel_id"] == "news"
    assert made(settings).extras["channel_id"] == "orders"
    assert "channel_id" not in made().extras


def payload(message: Message) -> Any:
    return msgspec.json.decode(unquote(message.fields["payload"]))


def test_the_app_gets_the_ids() -> None:
    assert payload(made()) == {"id": "247462019072001", "msgKey": "order-1", "taskId": "247462019071745"}
    assert made().fields["payload"].startswith("%7B%22id%22%3A")  # encoded once more than the form is


@pytest.mark.parametrize(
    "params",
    [
        {f"k{number}": "v" for number in range(11)},
        {"long": "x" * 1021},
        {"channel_id": "mine"},
        {"notify_effect": "2"},
    ],
    ids=["eleven", "long", "reserved", "effect"],
)
def test_what_does_not_fit_into_extras_is_packed(params: dict[str, str]) -> None:
    message = made(params=params)
    assert payload(message)["params"] == params
    assert not params.keys() & message.extras.keys() - {"notify_effect"}
    assert message.extras["notify_effect"] == "1"


def test_ten_extras_and_1024_characters_fit() -> None:
    params = {f"k{number}": "v" * 100 for number in range(9)} | {"rest": "v" * (1024 - 9 * 102 - 4)}
    message = made(params=params)
    assert params.items() <= message.extras.items()
    assert "params" not in payload(message)


def test_silent_is_passed_through() -> None:
    message = made(silent=1, uri="u", params={"a": 1})
    assert message.fields["pass_through"] == "1"
    assert "title" not in message.fields
    assert "description" not in message.fields
    assert payload(message)["content"] == "C"
    assert payload(message)["params"] == {"a": 1}


def test_silent_with_a_payload_of_its_own() -> None:
    assert payload(made(silent=1, data_payload={"x": [1]})) == {"x": [1]}
    assert unquote(made(silent=1, data_payload="plain %").fields["payload"]) == "plain %"


def test_payload_without_further_encoding() -> None:
    assert made({"encodePayload": False}).fields["payload"].startswith('{"id"')


def test_the_payload_has_a_bound() -> None:
    assert made(silent=1, data_payload="é" * 2047).notes == ()
    with pytest.raises(Unsendable, match="4095"):
        made(silent=1, data_payload="é" * 2048)


@pytest.mark.parametrize(("title", "content"), [("t" * 50, "C"), ("T", "c" * 128), (" ", "C"), ("T", "\n")])
def test_length_is_refused(title: str, content: str) -> None:
    with pytest.raises(Unsendable):
        made(title=title, content=content)


def test_length_is_cut_between_characters() -> None:
    family = "👨‍👩‍👧"
    message = made({"overLength": "cut"}, title="包" * 60, content="c" * 124 + family)
    assert message.fields["title"] == "包" * 48 + "…"
    assert message.fields["description"] == "c" * 124 + "…"
    assert made(title="包" * 49, content="c" * 127).notes == ()
    assert [note.split(" cut")[0] for note in message.notes] == ["title", "content"]


def test_validity() -> None:
    assert made(seconds=600).fields["time_to_live"] == "600000"
    assert made(seconds=0.5).fields["time_to_live"] == "1000"
    assert made(seconds=700_000).fields["time_to_live"] == "86400000"
    assert made(seconds=700_000).notes == ("kept by Xiaomi for 86400 s only",)
    assert made({"longestSeconds": 864_000}, seconds=700_000).fields["time_to_live"] == "700000000"
    with pytest.raises(Unsendable, match="validity"):
        made(seconds=0)


def test_numbers_are_stable() -> None:
    assert made().fields["notify_id"] == str(notify_id("order-1")) == made().fields["notify_id"]
    assert notify_id("order-1") != notify_id("order-2")
    assert all(0 < notify_id(str(number)) < 1 << 31 for number in range(100))
    assert len(made().extras["jobkey"]) <= 12


def test_callback() -> None:
    extras = made({"callbackUrl": "https://push.example.com/receipts/x"}).extras
    assert extras["callback"] == "https://push.example.com/receipts/x"
    assert extras["callback.param"] == "247462019071745"
    assert extras["callback.type"] == "243"
    assert "callback" not in made().extras


def test_element_of_several_messages() -> None:
    element = made().element("regid")
    message = msgspec.json.decode(element["message"])
    assert element["target"] == "regid"
    assert message["notify_id"] == notify_id("order-1")
    assert message["extra"]["notify_effect"] == "1"
