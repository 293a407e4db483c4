"""Each field of a push in Huawei's message; all that is rendered is taken by the strict simulator."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clarion.channels.hms.payload import render
from clarion.channels.message import Activity, PushContent
from clarion.channels.multicast import Stamp
from clarion.channels.text import Unsendable, notify_id
from tests.channels.multicast.harness import STAMP, Gate, decoded, found, push

A = "message.android."
N = "message.android.notification."
PAGE = "intent://com.example/page?id=1#Intent;scheme=x;end"

FIELDS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("title, content", {}, {N + "title": "Parcel", N + "body": "It waits for you"}, ""),
    ("validity", {}, {A + "ttl": "7200s"}, ""),
    ("task", {}, {A + "bi_tag": "247462019071745"}, ""),
    ("message key", {}, {N + "notify_id": notify_id("order-1")}, ""),
    ("no link", {}, {N + "click_action": {"type": 3}}, ""),
    ("web link", {"uri": "https://e.com/1"}, {N + "click_action": {"type": 2, "url": "https://e.com/1"}}, ""),
    ("intent", {"uri": PAGE, "action": 1}, {N + "click_action": {"type": 1, "intent": PAGE}}, ""),
    ("action", {"uri": "com.e.OPEN", "action": 1}, {N + "click_action": {"type": 1, "action": "com.e.OPEN"}}, ""),
    (
        "http link",
        {"uri": "http://e.com"},
        {N + "click_action": {"type": 3}, "message.data": '{"uri":"http://e.com"}'},
        "link: Huawei opens https addresses only",
    ),
    ("big text", {"style": 1}, {N + "style": 1, N + "big_title": "Parcel", N + "big_body": "It waits for you"}, ""),
    ("big_text", {"params": {"big_text": "1"}}, {N + "style": 1, "message.data": None}, ""),
    ("big text without title", {"style": 1, "title": ""}, {N + "style": None}, ""),
    (
        "image",
        {"style": 2, "images": {"hmsUrl": "https://e/h", "defaultUrl": "https://e/d"}},
        {N + "image": "https://e/h"},
        "",
    ),
    (
        "default image",
        {"images": {"defaultUrl": "https://e/d", "iosUrl": "https://e/i"}},
        {N + "image": "https://e/d"},
        "",
    ),
    (
        "icon",
        {"icons": {"hmsUrl": "https://e/i"}, "images": {"hmsUrl": "https://e/p"}},
        {N + "image": "https://e/i"},
        "picture: Huawei shows one",
    ),
    ("http image", {"images": {"hmsUrl": "http://e/h"}}, {N + "image": None}, "picture: Huawei takes https"),
    ("sound", {"params": {"sound": "/raw/bell"}}, {N + "sound": "/raw/bell", N + "default_sound": False}, ""),
    ("other sound", {"params": {"sound": "bell.caf"}}, {N + "sound": None}, "sound: Huawei takes"),
    ("badge", {"params": {"badge": 3}}, {N + "badge": None}, "badge: for Huawei use badge_add_num"),
    (
        "badge_add_num",
        {"params": {"badge_add_num": "2", "badge_class": "a.B"}},
        {N + "badge": {"add_num": 2, "class": "a.B"}, "message.data": None},
        "",
    ),
    (
        "badge_add_num alone",
        {"params": {"badge_add_num": 2}},
        {N + "badge": None},
        "badge_add_num: needs badge_class",
    ),
    (
        "badge_add_num 0",
        {"params": {"badge_add_num": 0, "badge_class": "a.B"}},
        {N + "badge": None},
        "no number from 1",
    ),
    ("parameters", {"params": {"a": 1, "b": {"c": "d"}}}, {"message.data": '{"a":1,"b":{"c":"d"}}'}, ""),
    ("mutable-content", {"params": {"mutable-content": 1}}, {"message.data": None}, "mutable-content: for iOS"),
    ("operational", {"classification": "0"}, {A + "category": "MARKETING", N + "importance": "LOW"}, ""),
    ("system", {"classification": "1"}, {A + "category": None, N + "importance": None}, ""),
    ("category", {"category": {"hms": "9"}}, {A + "category": "FINANCE"}, ""),
    ("category 14", {"category": {"hms": 14}}, {A + "category": "MARKETING", N + "importance": "LOW"}, ""),
    ("category by name", {"category": {"hms": "work", "vivo": "IM"}}, {A + "category": "WORK"}, ""),
    ("category of others", {"category": {"vivo": "IM"}}, {A + "category": None}, ""),
    ("category and class", {"category": {"hms": "1"}, "classification": "0"}, {A + "category": "IM"}, ""),
    ("level 1", {"notify_level": {"hms": "1"}}, {N + "importance": "LOW"}, ""),
    ("level 2", {"notify_level": {"hms": 2}, "classification": "0"}, {N + "importance": "NORMAL"}, ""),
    ("channel", {"channel_id": "orders"}, {N + "channel_id": "orders"}, ""),
    ("template", {"vendor_template": {"hms": {"id": 1}}}, {}, "VendorTemplate: Huawei has no place"),
    ("template of others", {"vendor_template": {"miui": {"id": 1}}}, {}, ""),
    ("live activity", {"activity": Activity("update")}, {}, "live activity: for iOS"),
    ("payload", {"data_payload": {"a": 1}}, {"message.data": None}, "TransparentMessagePayload: for silent"),
]


@pytest.mark.parametrize(("name", "fields", "expected", "note"), FIELDS, ids=[row[0] for row in FIELDS])
async def test_field(name: str, fields: dict[str, Any], expected: dict[str, Any], note: str) -> None:
    gate = Gate("hms")
    form = render(gate.settings, push(**fields), STAMP)
    message = decoded(form)
    assert {path: found(message, path) for path in expected} == expected
    assert any(it.startswith(note) or note in it for it in form.notes) if note else not form.notes
    if fields.get("title") != "":
        assert (await gate.send(form))["code"] == "80000000"


SILENT: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("payload as text", {"data_payload": "x=1"}, {"message.data": "x=1"}, ""),
    ("payload as JSON", {"data_payload": {"a": [1]}}, {"message.data": '{"a":[1]}'}, ""),
    (
        "payload and link",
        {"data_payload": "x", "uri": "https://e"},
        {"message.data": "x"},
        "TransparentMessagePayload alone",
    ),
    ("urgency", {"data_urgency": "high"}, {A + "urgency": "HIGH"}, ""),
    ("no urgency", {}, {A + "urgency": None, A + "notification": None, A + "ttl": "7200s"}, ""),
    ("other urgency", {"data_urgency": "soon"}, {A + "urgency": None}, "TransparentMessageUrgency: Huawei has"),
]


@pytest.mark.parametrize(("name", "fields", "expected", "note"), SILENT, ids=[row[0] for row in SILENT])
async def test_silent(name: str, fields: dict[str, Any], expected: dict[str, Any], note: str) -> None:
    gate = Gate("hms")
    form = render(gate.settings, push(silent=1, **fields), STAMP)
    message = decoded(form)
    assert {path: found(message, path) for path in expected} == expected
    assert "sent as a data message, which shows nothing by itself" in form.notes
    assert any(note in it for it in form.notes)
    assert len(form.notes) == (2 if note else 1)
    assert (await gate.send(form))["code"] == "80000000"


def test_a_silent_push_reaches_the_app_as_on_the_link() -> None:
    form = render(Gate("hms").settings, push(silent=1, uri="app://x", params={"k": "v"}), STAMP)
    assert msgspec.json.decode(found(decoded(form), "message.data")) == {
        "title": "Parcel",
        "content": "It waits for you",
        "uri": "app://x",
        "action": 0,
        "silent": 1,
        "style": 0,
        "params": {"k": "v"},
        "msgKey": "order-1",
        "taskId": "247462019071745",
    }


async def test_settings() -> None:
    gate = Gate(
        "hms",
        category="WORK",
        receiptId="RCP1",
        testMessages=True,
        trampoline="intent://open?u={uri}#Intent;end",
    )
    form = render(gate.settings, push(uri="http://e.com/a?b=c"), STAMP)
    message = decoded(form)
    assert found(message, A + "category") == "WORK"
    assert found(message, A + "receipt_id") == "RCP1"
    assert found(message, A + "target_user_type") == 1
    assert found(message, N + "click_action") == {
        "type": 1,
        "intent": "intent://open?u=http%3A%2F%2Fe.com%2Fa%3Fb%3Dc#Intent;end",
    }
    assert not form.notes
    assert (await gate.send(form))["code"] == "80000000"


def test_validity_is_bounded() -> None:
    form = render(Gate("hms").settings, push(), Stamp(1, "k", 2_000_000))
    assert found(decoded(form), A + "ttl") == "1296000s"
    assert form.notes == ("valid for 15 days, the longest that the vendor has",)


def test_no_key_no_number() -> None:
    assert found(decoded(render(Gate("hms").settings, push(), Stamp(1, "", 60))), N + "notify_id") is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (PushContent("t" * 41, "c"), "the title has a length of 41, 40 are allowed"),
        (PushContent("t", "字" * 1025), "the content has a length of 1025, 1024 are allowed"),
        (push(category={"hms": "15"}), "Huawei has no category 15"),
        (push(params={"k": "字" * 1400}), "bytes with all parameters; Huawei takes 4096"),
    ],
)
def test_what_huawei_would_not_take(content: PushContent, words: str) -> None:
    with pytest.raises(Unsendable, match=words):
        render(Gate("hms").settings, content, STAMP)


async def test_long_texts_are_cut_if_that_is_wanted() -> None:
    gate = Gate("hms", overLength="cut")
    form = render(gate.settings, PushContent("😀" * 41, "é" * 1025), STAMP)
    message = decoded(form)
    assert found(message, N + "title") == "😀" * 39 + "…"
    assert found(message, N + "body") == "é" * 1023 + "…"
    assert form.notes == ("title cut to a length of 40", "content cut to a length of 1024")
    assert (await gate.send(form))["code"] == "80000000"


async def test_the_longest_message_is_taken_and_one_byte_more_is_not() -> None:
    gate = Gate("hms")
    room = 4096 - render(gate.settings, push(params={"k": ""}), STAMP).size
    form = render(gate.settings, push(params={"k": "x" * room}), STAMP)
    assert form.size == 4096
    assert (await gate.send(form, *(f"token-{number}" for number in range(1000))))["code"] == "80000000"
    with pytest.raises(Unsendable):
        render(gate.settings, push(params={"k": "x" * (room + 1)}), STAMP)
    too_long = form.body(("t",)).replace(b"It waits", b"It  waits")
    assert msgspec.json.decode((await gate.post(too_long)).body)["code"] == "80300008"
