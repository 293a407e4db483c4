"""A message as Honor wants it. Pure.

Source: "Server API", `sendMessage`, of Honor Push.
"""

from __future__ import annotations

from typing import Any

import msgspec

from clarion.channels.honor.settings import HonorSettings
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
from clarion.channels.text import notify_id, param_text

NAMES = Names("Honor", ("honor",), ("honorUrl", "defaultUrl"))

TEST_USER = 1
_BIG_TEXT = 1


def render(settings: HonorSettings, content: PushContent, stamp: Stamp) -> Rendered:
    """A request but for its tokens.

    Raises:
        Unsendable: Honor would not take it.
    """
    if content.silent == 1:
        notes = data_notes(content, NAMES)
        if content.data_urgency:
            notes.append("TransparentMessageUrgency: Honor has no place for it")
        message: dict[str, Any] = {"data": data_text(content, stamp), "android": {}}
    else:
        digested = digest(content, NAMES, settings.trampoline)
        notes = digested.notes
        message = {"android": {"notification": _notification(content, stamp, digested)}}
        if digested.extras:
            message["data"] = param_text(digested.extras)
    android: dict[str, Any] = message["android"]
    android |= {"ttl": f"{ttl_of(stamp, notes)}s", "biTag": str(stamp.task)}
    if settings.receipt_id:
        android["receiptId"] = settings.receipt_id
    if settings.test_messages:
        android["targetUserType"] = TEST_USER
    return measured(Rendered(msgspec.json.encode(message)[:-1] + b',"token":', b"}", tuple(notes)), NAMES.vendor)


def _notification(content: PushContent, stamp: Stamp, digested: Digest) -> dict[str, Any]:
    notes = digested.notes
    importance = digested.level or ("LOW" if digested.category == MARKETING else "NORMAL")
    if digested.picture and importance == "LOW":
        digested.picture = ""
        notes.append("picture: Honor takes none with the lowest level of reminder")
    for name, value in (("sound", content.params.get("sound")), ("ChannelId", content.channel_id)):
        if value:
            notes.append(f"{name}: Honor has no place for it")
    notification: dict[str, Any] = {
        "title": content.title,
        "body": content.content,
        "clickAction": _click(digested),
        "importance": importance,
    }
    if digested.big:
        notification |= {"style": _BIG_TEXT, "bigTitle": content.title, "bigBody": content.content}
    optional = {
        "notifyId": notify_id(stamp.msg_key) if stamp.msg_key else None,
        "image": digested.picture,
        "badge": _badge(digested),
    }
    return notification | {name: value for name, value in optional.items() if value}


def _click(digested: Digest) -> dict[str, Any]:
    match digested.tap:
        case Tap.WEB:
            return {"type": 2, "url": digested.link}
        case Tap.PAGE:
            return {"type": 1, "intent" if is_intent(digested.link) else "action": digested.link}
        case Tap.HOME:
            return {"type": 3}


def _badge(digested: Digest) -> dict[str, Any] | None:
    numbers = {"addNum": digested.badge_add, "setNum": digested.badge}
    badge: dict[str, Any] = {name: number for name, number in numbers.items() if number is not None}
    if not badge:
        return None
    if not digested.badge_class:
        digested.notes.append("badge: Honor needs badge_class with it")
        return None
    return badge | {"badgeClass": digested.badge_class}
