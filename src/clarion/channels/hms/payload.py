"""A message as Huawei wants it. Pure.

Source: "Downlink messages" of the Push Kit REST API, version 1.
"""

from __future__ import annotations

from typing import Any

import msgspec

from clarion.channels.hms.settings import HmsSettings
from clarion.channels.huawei_family import (
    MARKETING,
    Digest,
    Names,
    Tap,
    data_notes,
    data_text,
    digest,
    is_intent,
    measured,
    ttl_of,
)
from clarion.channels.message import PushContent
from clarion.channels.multicast import Rendered, Stamp
from clarion.channels.text import fitted, notify_id, param_text

NAMES = Names("Huawei", ("hms",), ("hmsUrl", "defaultUrl"))

MAX_TITLE = 40
MAX_CONTENT = 1_024
"""Characters."""

TEST_USER = 1
_BIG_TEXT = 1
_URGENCIES = ("HIGH", "NORMAL")


def render(settings: HmsSettings, content: PushContent, stamp: Stamp, *, validate_only: bool = False) -> Rendered:
    """A request but for its tokens.

    Args:
        settings: of the channel.
        content: what to send.
        stamp: the rest of the message.
        validate_only: whether Huawei only looks at it.

    Raises:
        Unsendable: Huawei would not take it.
    """
    silent = content.silent == 1
    message, notes = (_data if silent else _notification)(settings, content, stamp)
    message["android"] |= _common(settings, stamp, notes)
    head = b'{"validate_only":%s,"message":%s,"token":' % (
        b"true" if validate_only else b"false",
        msgspec.json.encode(message)[:-1],
    )
    return measured(Rendered(head, b"}}", tuple(notes)), NAMES.vendor)


def _common(settings: HmsSettings, stamp: Stamp, notes: list[str]) -> dict[str, Any]:
    common: dict[str, Any] = {"ttl": f"{ttl_of(stamp, notes)}s", "bi_tag": str(stamp.task)}
    if settings.receipt_id:
        common["receipt_id"] = settings.receipt_id
    if settings.test_messages:
        common["target_user_type"] = TEST_USER
    return common


def _data(_: HmsSettings, content: PushContent, stamp: Stamp) -> tuple[dict[str, Any], list[str]]:
    notes = data_notes(content, NAMES)
    urgency = content.data_urgency.strip().upper()
    android: dict[str, Any] = {}
    if urgency in _URGENCIES:
        android["urgency"] = urgency
    elif urgency:
        notes.append("TransparentMessageUrgency: Huawei has HIGH and NORMAL")
    return {"data": data_text(content, stamp), "android": android}, notes


def _notification(settings: HmsSettings, content: PushContent, stamp: Stamp) -> tuple[dict[str, Any], list[str]]:
    digested = digest(content, NAMES, settings.trampoline)
    notes = digested.notes
    title = fitted("title", content.title, MAX_TITLE, settings.over_length, notes)
    body = fitted("content", content.content, MAX_CONTENT, settings.over_length, notes)
    notification: dict[str, Any] = {
        "title": title,
        "body": body,
        "click_action": _click(digested),
        **_optional(content, stamp, digested),
    }
    if digested.big:
        notification |= {"style": _BIG_TEXT, "big_title": title, "big_body": body}
    android: dict[str, Any] = {"notification": notification}
    if category := digested.category or settings.category:
        android["category"] = category
    message: dict[str, Any] = {"android": android}
    if digested.extras:
        message["data"] = param_text(digested.extras)
    return message, notes


def _optional(content: PushContent, stamp: Stamp, digested: Digest) -> dict[str, Any]:
    sound = content.params.get("sound")
    optional: dict[str, Any] = {
        "notify_id": notify_id(stamp.msg_key) if stamp.msg_key else None,
        "image": digested.picture,
        "channel_id": content.channel_id,
        "importance": digested.level or ("LOW" if digested.category == MARKETING else ""),
        "badge": _badge(digested),
    }
    if isinstance(sound, str) and sound.startswith("/raw/"):
        optional |= {"sound": sound, "default_sound": False}
    elif sound is not None:
        digested.notes.append("sound: Huawei takes a file of the app, as /raw/name")
    return {name: value for name, value in optional.items() if value not in (None, "")}


def _click(digested: Digest) -> dict[str, Any]:
    match digested.tap:
        case Tap.WEB:
            return {"type": 2, "url": digested.link}
        case Tap.PAGE:
            return {"type": 1, "intent" if is_intent(digested.link) else "action": digested.link}
        case Tap.HOME:
            return {"type": 3}


def _badge(digested: Digest) -> dict[str, Any] | None:
    if digested.badge is not None:
        digested.notes.append("badge: for Huawei use badge_add_num and badge_class")
    if digested.badge_add is None:
        return None
    if not digested.badge_class:
        digested.notes.append("badge_add_num: needs badge_class")
        return None
    return {"add_num": digested.badge_add, "class": digested.badge_class}
