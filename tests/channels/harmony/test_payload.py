"""Each field of a push in HarmonyOS's message; all that is rendered is taken by the strict simulator."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clarion.channels.harmony.payload import render
from clarion.channels.message import Activity, PushContent
from clarion.channels.multicast import Stamp
from clarion.channels.text import Unsendable, notify_id
from tests.channels.multicast.harness import STAMP, Gate, decoded, found, push

N = "payload.notification."
OPTIONS = "pushOptions."
KEY = notify_id("order-1")

FIELDS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("title, content", {}, {N + "title": "Parcel", N + "body": "It waits for you"}, ""),
    ("validity", {}, {OPTIONS + "ttl": 7200}, ""),
    ("task", {}, {OPTIONS + "biTag": "247462019071745"}, ""),
    ("message key", {}, {N + "notifyId": KEY, N + "appMessageId": f"247462019071745-{KEY}"}, ""),
    ("no link", {}, {N + "clickAction": {"actionType": 0}}, ""),
    (
        "web link",
        {"uri": "https://e.com/1"},
        {N + "clickAction": {"actionType": 0, "data": {"uri": "https://e.com/1"}}},
        "",
    ),
    ("page by uri", {"uri": "app://p", "action": 1}, {N + "clickAction": {"actionType": 1, "uri": "app://p"}}, ""),
    ("page by action", {"uri": "a.B", "action": 1}, {N + "clickAction": {"actionType": 1, "action": "a.B"}}, ""),
    (
        "http link",
        {"uri": "http://e.com"},
        {N + "clickAction": {"actionType": 0, "data": {"uri": "http://e.com"}}},
        "",
    ),
    ("big text", {"style": 1}, {N + "style": None}, ""),
    ("big_text", {"params": {"big_text": 1}}, {N + "style": None, N + "clickAction": {"actionType": 0}}, ""),
    (
        "image",
        {"style": 2, "images": {"harmonyosUrl": "https://e/h", "defaultUrl": "https://e/d"}},
        {N + "image": "https://e/h"},
        "",
    ),
    ("default icon", {"icons": {"defaultUrl": "https://e/d"}}, {N + "image": "https://e/d"}, ""),
    ("http image", {"images": {"defaultUrl": "http://e/h"}}, {N + "image": None}, "picture: HarmonyOS takes https"),
    ("sound", {"params": {"sound": "bell.mp3"}}, {N + "sound": "bell.mp3"}, ""),
    ("other sound", {"params": {"sound": "/raw/bell"}}, {N + "sound": None}, "sound: HarmonyOS takes"),
    ("badge", {"params": {"badge": "0"}}, {N + "badge": {"setNum": 0}}, ""),
    ("badge 100", {"params": {"badge": 100}}, {N + "badge": None}, "badge: no number from 0 to 99"),
    ("badge_add_num", {"params": {"badge_add_num": 2}}, {N + "badge": {"addNum": 2}}, ""),
    (
        "parameters",
        {"params": {"a": 1, "b": [2]}, "uri": "https://e"},
        {N + "clickAction": {"actionType": 0, "data": {"a": 1, "b": [2], "uri": "https://e"}}},
        "",
    ),
    ("operational", {"classification": "0", "category": {}}, {N + "category": "MARKETING"}, ""),
    ("category", {"category": {"harmonyos": "9"}}, {N + "category": "FINANCE"}, ""),
    ("category by name", {"category": {"harmony": "work"}}, {N + "category": "WORK"}, ""),
    ("category of others", {"category": {"hms": "1"}}, {N + "category": "IM"}, ""),
    ("level", {"notify_level": {"harmonyos": "1"}}, {}, "NotifyLevel: HarmonyOS goes by the category"),
    ("channel", {"channel_id": "orders"}, {}, "ChannelId: HarmonyOS has no place"),
    ("template", {"vendor_template": {"harmonyos": {"id": 1}}}, {}, "VendorTemplate: HarmonyOS has no place"),
    ("mutable-content", {"params": {"mutable-content": 1}}, {}, "mutable-content: for iOS"),
    ("live activity", {"activity": Activity("update")}, {}, "live activity: for iOS"),
    ("payload", {"data_payload": "x"}, {"payload.extraData": None}, "TransparentMessagePayload: for silent"),
]


@pytest.mark.parametrize(("name", "fields", "expected", "note"), FIELDS, ids=[row[0] for row in FIELDS])
async def test_field(name: str, fields: dict[str, Any], expected: dict[str, Any], note: str) -> None:
    # What is configured stands for messages without a category of their own, unless they are operational.
    gate = Gate("harmony", category="IM")
    form = render(gate.settings, push(**fields), STAMP)
    message = decoded(form)
    assert {path: found(message, path) for path in expected} == expected
    assert any(note in it for it in form.notes) if note else not form.notes
    assert form.headers == {"push-type": "0"}
    assert (await gate.send(form))["code"] == "80000000"


@pytest.mark.parametrize(
    ("fields", "data", "note"),
    [
        ({"data_payload": "x=1"}, "x=1", ""),
        ({"data_payload": {"a": 1}}, '{"a":1}', ""),
        ({"data_urgency": "HIGH", "data_payload": "x"}, "x", "TransparentMessageUrgency: HarmonyOS has no place"),
    ],
)
async def test_silent(fields: dict[str, Any], data: str, note: str) -> None:
    gate = Gate("harmony")
    form = render(gate.settings, push(silent=1, **fields), STAMP)
    assert decoded(form)["payload"] == {"extraData": data}
    assert form.headers == {"push-type": "6"}
    assert any(note in it for it in form.notes)
    assert (await gate.send(form))["code"] == "80000000"


def test_a_silent_push_reaches_the_app_as_on_the_link() -> None:
    form = render(Gate("harmony").settings, push(silent=1), STAMP)
    assert msgspec.json.decode(found(decoded(form), "payload.extraData"))["msgKey"] == "order-1"


async def test_settings() -> None:
    gate = Gate("harmony", receiptId="RCP1", testMessages=True)
    form = render(gate.settings, push(), STAMP)
    assert decoded(form)["pushOptions"] == {
        "ttl": 7200,
        "biTag": "247462019071745",
        "receiptId": "RCP1",
        "testMessage": True,
    }
    assert found(decoded(form), N + "category") == "MARKETING"
    assert (await gate.send(form))["code"] == "80000000"


def test_validity_is_bounded() -> None:
    form = render(Gate("harmony").settings, push(images={"defaultUrl": "https://e/d"}), Stamp(1, "k", 2_000_000))
    assert found(decoded(form), OPTIONS + "ttl") == 1_296_000
    assert form.notes == ("valid for 15 days, the longest that the vendor has",)


def test_a_picture_can_be_left_out() -> None:
    form = render(Gate("harmony").settings, push(images={"defaultUrl": "https://e/d"}), STAMP)
    (plain,) = form.instead.values()
    assert found(decoded(plain), N + "image") is None
    assert found(decoded(plain), N + "title") == "Parcel"
    assert plain.notes == ("picture: Huawei has not checked it, and does not show it",)
    assert not plain.instead


def test_what_is_too_long() -> None:
    with pytest.raises(Unsendable, match="bytes with all parameters; HarmonyOS takes 4096"):
        render(Gate("harmony").settings, PushContent("t", "字" * 1400), STAMP)
