"""Each field of a push in Honor's message; all that is rendered is taken by the strict simulator."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clarion.channels.honor.payload import render
from clarion.channels.message import Activity, PushContent
from clarion.channels.multicast import Stamp
from clarion.channels.text import Unsendable, notify_id
from tests.channels.multicast.harness import STAMP, Gate, decoded, found, push

N = "android.notification."
PAGE = "intent://com.example/page?id=1#Intent;scheme=x;end"
BADGE = {"badge_class": "a.B"}

FIELDS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("title, content", {}, {N + "title": "Parcel", N + "body": "It waits for you"}, ""),
    ("validity", {}, {"android.ttl": "7200s"}, ""),
    ("task", {}, {"android.biTag": "247462019071745"}, ""),
    ("message key", {}, {N + "notifyId": notify_id("order-1")}, ""),
    ("no link", {}, {N + "clickAction": {"type": 3}}, ""),
    ("web link", {"uri": "https://e.com/1"}, {N + "clickAction": {"type": 2, "url": "https://e.com/1"}}, ""),
    ("intent", {"uri": PAGE, "action": 1}, {N + "clickAction": {"type": 1, "intent": PAGE}}, ""),
    ("action", {"uri": "com.e.OPEN", "action": 1}, {N + "clickAction": {"type": 1, "action": "com.e.OPEN"}}, ""),
    (
        "http link",
        {"uri": "http://e.com", "params": {"a": 1}},
        {N + "clickAction": {"type": 3}, "data": '{"a":1,"uri":"http://e.com"}'},
        "link: Honor opens https addresses only",
    ),
    ("big text", {"style": 1}, {N + "style": 1, N + "bigTitle": "Parcel", N + "bigBody": "It waits for you"}, ""),
    ("big_text", {"params": {"big_text": 1}}, {N + "style": 1}, ""),
    (
        "image",
        {"style": 2, "images": {"honorUrl": "https://e/h", "defaultUrl": "https://e/d"}},
        {N + "image": "https://e/h"},
        "",
    ),
    ("http image", {"images": {"defaultUrl": "http://e/h"}}, {N + "image": None}, "picture: Honor takes https"),
    (
        "image and the lowest level",
        {"images": {"defaultUrl": "https://e/d"}, "classification": "0"},
        {N + "image": None, N + "importance": "LOW"},
        "picture: Honor takes none with the lowest level",
    ),
    ("sound", {"params": {"sound": "bell"}}, {"data": None}, "sound: Honor has no place"),
    ("badge", {"params": {"badge": 3, **BADGE}}, {N + "badge": {"setNum": 3, "badgeClass": "a.B"}}, ""),
    ("badge alone", {"params": {"badge": 3}}, {N + "badge": None}, "badge: Honor needs badge_class"),
    (
        "badge_add_num",
        {"params": {"badge_add_num": 2, **BADGE}},
        {N + "badge": {"addNum": 2, "badgeClass": "a.B"}},
        "",
    ),
    ("parameters", {"params": {"a": 1, "b": "c"}}, {"data": '{"a":1,"b":"c"}'}, ""),
    ("system", {"classification": "1"}, {N + "importance": "NORMAL"}, ""),
    ("category 14", {"category": {"honor": "14"}}, {N + "importance": "LOW"}, ""),
    ("category", {"category": {"honor": "IM"}, "classification": "0"}, {N + "importance": "NORMAL"}, ""),
    ("level", {"notify_level": {"honor": 1}}, {N + "importance": "LOW"}, ""),
    ("channel", {"channel_id": "orders"}, {}, "ChannelId: Honor has no place"),
    ("template", {"vendor_template": "x"}, {}, "VendorTemplate: Honor has no place"),
    ("mutable-content", {"params": {"mutable-content": 1}}, {}, "mutable-content: for iOS"),
    ("live activity", {"activity": Activity("end")}, {}, "live activity: for iOS"),
    ("payload", {"data_payload": "x"}, {"data": None}, "TransparentMessagePayload: for silent"),
]


@pytest.mark.parametrize(("name", "fields", "expected", "note"), FIELDS, ids=[row[0] for row in FIELDS])
async def test_field(name: str, fields: dict[str, Any], expected: dict[str, Any], note: str) -> None:
    gate = Gate("honor")
    form = render(gate.settings, push(**fields), STAMP)
    message = decoded(form)
    assert {path: found(message, path) for path in expected} == expected
    assert any(note in it for it in form.notes) if note else not form.notes
    assert (await gate.send(form))["code"] == 200


@pytest.mark.parametrize(
    ("fields", "data", "note"),
    [
        ({"data_payload": "x=1"}, "x=1", ""),
        ({"data_payload": {"a": 1}}, '{"a":1}', ""),
        ({"data_urgency": "HIGH", "data_payload": "x"}, "x", "TransparentMessageUrgency: Honor has no place"),
    ],
)
async def test_silent(fields: dict[str, Any], data: str, note: str) -> None:
    gate = Gate("honor")
    form = render(gate.settings, push(silent=1, **fields), STAMP)
    message = decoded(form)
    assert message["data"] == data
    assert "notification" not in message["android"]
    assert any(note in it for it in form.notes)
    assert (await gate.send(form))["code"] == 200


def test_a_silent_push_reaches_the_app_as_on_the_link() -> None:
    form = render(Gate("honor").settings, push(silent=1), STAMP)
    assert msgspec.json.decode(decoded(form)["data"])["taskId"] == "247462019071745"


async def test_settings() -> None:
    gate = Gate("honor", receiptId="RCP1", testMessages=True, trampoline="intent://open?u={uri}#Intent;end")
    form = render(gate.settings, push(uri="http://e.com"), STAMP)
    message = decoded(form)
    assert found(message, "android.receiptId") == "RCP1"
    assert found(message, "android.targetUserType") == 1
    assert found(message, N + "clickAction.intent") == "intent://open?u=http%3A%2F%2Fe.com#Intent;end"
    assert (await gate.send(form))["code"] == 200


def test_validity_is_bounded() -> None:
    form = render(Gate("honor").settings, push(), Stamp(1, "", 2_000_000))
    assert found(decoded(form), "android.ttl") == "1296000s"
    assert found(decoded(form), N + "notifyId") is None
    assert form.notes == ("valid for 15 days, the longest that the vendor has",)


def test_what_honor_would_not_take() -> None:
    settings = Gate("honor").settings
    with pytest.raises(Unsendable, match="bytes with all parameters; Honor takes 4096"):
        render(settings, PushContent("t", "字" * 1400), STAMP)
    with pytest.raises(Unsendable, match="Honor has no category 99"):
        render(settings, push(category={"honor": 99}), STAMP)
