"""From a message to the body of `messages:send`. Pure.

Source: Firebase, "projects.messages" of the FCM v1 REST reference and "About FCM messages"; the whole table is in
docs/channels/fcm.md.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from clarion.channels.base import Envelope
from clarion.channels.message import PushContent
from clarion.channels.text import param_text

MAX_PAYLOAD = 4_096
"""Bytes of a message as compact JSON in UTF-8 without its token."""
MAX_TTL = 2_419_200
"""Seconds: 28 days."""

NAMES = frozenset({"id", "msgKey", "taskId", "uri", "action", "title", "content", "icon", "payload"})
"""Data that the service sets; an extension parameter of such a name gets an underscore in front."""
_ELSEWHERE = frozenset({"badge_add_num", "badge_class", "big_text", "sound", "mutable-content"})
_RESERVED = frozenset({"from", "message_type"})
_RESERVED_PREFIXES = ("google", "gcm")
_ADDRESS = "fcmUrl"
_ACTION = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,254}")
_MAX_BADGE = 2**31 - 1
_AROUND = len(b'{"message":{"token":"",}}') - len(b"{}")
_encode = msgspec.json.Encoder().encode


class Template(NamedTuple):
    """What all bodies of a message have in common.

    Attributes:
        start: JSON from after the token up to the data that differ.
        android: JSON after those, up to `tag` and `ttl`.
        tagged: whether there is a notification, which has a tag.
        notes: what of the message has no place in it.
    """

    start: bytes
    android: bytes
    tagged: bool
    notes: tuple[str, ...]

    def body(self, envelope: Envelope, now_ms: int) -> bytes:
        """The request for one device."""
        ttl = min(max(0, envelope.expires_at - now_ms + 999) // 1000, MAX_TTL)
        key = _encode(envelope.msg_key)
        tag = b'"tag":%b},' % key if self.tagged else b""
        return b'{"message":{"token":%b,%b"id":"%d","msgKey":%b,"taskId":"%d"},%b%b"ttl":"%ds"}}}' % (
            _encode(envelope.token), self.start, envelope.message, key, envelope.task, self.android, tag, ttl,
        )  # fmt: skip


def size_of(body: bytes, token: str) -> int:
    """What of a body counts against `MAX_PAYLOAD`."""
    return len(body) - len(token) - _AROUND


def prepare(content: PushContent) -> Template:
    """What all bodies of a message have in common."""
    notes: list[str] = []
    if content.activity is not None:
        notes.append("live activities are for iOS")
    data = _params(content, notes) | _data(content)
    if content.silent:
        urgency = "HIGH" if content.data_urgency.upper() == "HIGH" else "NORMAL"
        start, android = b'"data":' + _opened(data), b'"android":{"priority":"%b",' % urgency.encode()
    else:
        notification = {"title": content.title, "body": content.content, **_image(content, notes)}
        start = b'"notification":%b,"data":%b' % (_encode(notification), _opened(data))
        shown = _opened(_android(content, notes))
        android = b'"android":{"priority":"HIGH","notification":%b' % shown
    return Template(start, android, not content.silent, tuple(notes))


def _opened(members: dict[str, Any]) -> bytes:
    """A JSON object to which members will be added."""
    return _encode(members)[:-1] + (b"," if members else b"")


def _params(content: PushContent, notes: list[str]) -> dict[str, str]:
    """The extension parameters as texts."""
    kept: dict[str, str] = {}
    for name, value in content.params.items():
        if name in _ELSEWHERE:
            notes.append(f"{name} is for other vendors")
        elif not name:
            notes.append("a parameter without a name was left out")
        elif name in NAMES or name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
            kept[f"_{name}"] = param_text(value)
            notes.append(f"{name} is sent as _{name}")
        else:
            kept[name] = param_text(value)
    return kept


def _data(content: PushContent) -> dict[str, str]:
    data = {
        "uri": content.uri,
        "action": str(content.action) if content.uri else "",
        "icon": _address(content.icons),
        "payload": "" if content.data_payload is None else param_text(content.data_payload),
    }
    if content.silent:
        data |= {"title": content.title, "content": content.content}
    return {name: text for name, text in data.items() if text}


def _android(content: PushContent, notes: list[str]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if content.channel_id:
        shown["channel_id"] = content.channel_id
    if content.action == 1 and _ACTION.fullmatch(content.uri):
        shown["click_action"] = content.uri
    if "badge" in content.params:
        text = param_text(content.params["badge"]).strip()
        if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MAX_BADGE:
            shown["notification_count"] = int(text)
        else:
            notes.append("badge is no number from 0 on, and is in the data alone")
    return shown


def _image(content: PushContent, notes: list[str]) -> dict[str, str]:
    address = _address(content.images)
    if address and not address.startswith("https://"):
        notes.append("the picture was left out: FCM takes https addresses only")
        return {}
    return {"image": address} if address else {}


def _address(addresses: dict[str, str]) -> str:
    return addresses.get(_ADDRESS) or addresses.get("defaultUrl", "")
