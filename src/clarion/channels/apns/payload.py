"""From a message to a notification: payload, push type, and the headers of its own. Pure.

Source: Apple, "Generating a remote notification", "Sending notification requests to APNs", "Starting and updating
Live Activities with ActivityKit push notifications"; docs/channels/apns.md has the whole table.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from clarion.channels.base import Envelope, PayloadError
from clarion.channels.message import Activity, PushContent
from clarion.http2.headers import literal
from clarion.ids import id_time_ms

MAX_PAYLOAD = 4_096
"""Bytes of a payload as compact JSON in UTF-8."""
MAX_COLLAPSE_ID = 64
"""Bytes of `apns-collapse-id`."""
NAMESPACE = UUID("6b2b7c1e-7d0c-5d3a-9c55-0d6a4f4c1a52")
"""Of the `apns-id`s, which are UUIDs of version 5."""

RESERVED = frozenset({"aps", "k", "taskId", "uri", "title", "content", "image", "icon", "payload"})
"""Keys that the service sets; an extension parameter of such a name gets an underscore in front."""
_HANDLED = frozenset({"badge", "sound", "mutable-content"})
_ELSEWHERE = frozenset({"badge_add_num", "badge_class", "big_text"})
_CHANNEL, _ADDRESS = "apns", "iosUrl"
_LEVELS = ("passive", "active", "time-sensitive", "critical")
_MAX_BADGE = 2**31 - 1
_NO_TIME = b'"timestamp":0'
_ID = literal(b"apns-id", bytes(36))[:-36]
_EXPIRATION = literal(b"apns-expiration", bytes(10))[:-11]
_COLLAPSE = literal(b"apns-collapse-id", b"")[:-1]
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
_namespace = hashlib.sha1(NAMESPACE.bytes, usedforsecurity=False)
_encode = msgspec.json.Encoder().encode


class Kind(Enum):
    """What a notification is to Apple: `(apns-push-type, apns-priority, end of its topic)`."""

    ALERT = b"alert", b"10", ""
    BACKGROUND = b"background", b"5", ""
    ACTIVITY = b"liveactivity", b"10", ".push-type.liveactivity"
    QUIET_ACTIVITY = b"liveactivity", b"5", ".push-type.liveactivity"

    def __init__(self, push_type: bytes, priority: bytes, suffix: str) -> None:
        self.push_type = push_type
        self.priority = priority
        self.suffix = suffix


ACTIVITIES = frozenset({Kind.ACTIVITY, Kind.QUIET_ACTIVITY})


class Payload(NamedTuple):
    """What all notifications of a message have in common.

    Attributes:
        kind: what they are.
        timed: whether their JSON tells the time of the message.
        start: their JSON without the end, which differs.
        notes: what of the message has no place in them.
    """

    kind: Kind
    timed: bool
    start: bytes
    notes: tuple[str, ...]

    def body(self, envelope: Envelope) -> bytes:
        """The payload for one device."""
        start = self.start
        if self.timed:
            # The time of the message, not of sending: a late repeat must not overtake a newer state.
            seconds = id_time_ms(envelope.message) // 1000
            start = start.replace(_NO_TIME, b'"timestamp":%d' % seconds, 1)
        return b'%b,"k":%b,"taskId":"%d"}' % (start, _encode(envelope.msg_key), envelope.task)


def prepare(content: PushContent) -> Payload | PayloadError:
    """What all notifications of a message have in common; or why there can be none."""
    params, notes = _params(content)
    aps: dict[str, Any]
    if content.activity is not None:
        problem = _problem(content.activity)
        if problem:
            return PayloadError("", problem)
        kind = Kind.QUIET_ACTIVITY if content.silent else Kind.ACTIVITY
        aps = _activity(content, content.activity)
    elif content.silent:
        kind = Kind.BACKGROUND
        aps = {"content-available": 1}
        params = {"title": content.title, "content": content.content} | params
    else:
        kind = Kind.ALERT
        aps = _alert(content, notes)
    extras = {
        "uri": content.uri,
        "image": _address(content.images),
        "icon": _address(content.icons),
        "payload": content.data_payload,
    }
    shown = {name: value for name, value in extras.items() if value not in ("", None)}
    return Payload(kind, kind in ACTIVITIES, _encode({"aps": aps, **shown, **params})[:-1], tuple(notes))


def _params(content: PushContent) -> tuple[dict[str, Any], list[str]]:
    """The custom keys, and what became of those that cannot be as they are."""
    kept: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in content.params.items():
        if name in _ELSEWHERE:
            notes.append(f"{name} is for other vendors")
        elif name in RESERVED:
            kept[f"_{name}"] = value
            notes.append(f"{name} is sent as _{name}")
        elif name not in _HANDLED:
            kept[name] = value
    return kept, notes


def _alert(content: PushContent, notes: list[str]) -> dict[str, Any]:
    sound = content.params.get("sound")
    aps: dict[str, Any] = {
        "alert": {"title": content.title, "body": content.content},
        "sound": sound if isinstance(sound, dict) or (isinstance(sound, str) and sound) else "default",
    }
    badge = content.params.get("badge")
    if badge is not None:
        number = _number(badge)
        if number is None:
            notes.append("badge is no number from 0 on, and was left out")
        else:
            aps["badge"] = number
    if str(content.params.get("mutable-content")) == "1" or _address(content.images):
        aps["mutable-content"] = 1  # the app's extension downloads the picture
    category = content.category.get(_CHANNEL)
    if isinstance(category, str) and category:
        aps["category"] = category
    level = content.notify_level.get(_CHANNEL)
    if level in _LEVELS:
        aps["interruption-level"] = level
    return aps


def _problem(activity: Activity) -> str:
    if activity.event not in ("start", "update", "end"):
        return "ActivityEvent is none of start, update and end"
    if activity.event != "end" and activity.state is None:
        return f"ActivityEvent {activity.event} needs ActivityContentState"
    if activity.event == "start" and not (activity.attributes_type and isinstance(activity.attributes, dict)):
        return "ActivityEvent start needs the attributes of the live activity and the name of their type"
    return ""


def _activity(content: PushContent, activity: Activity) -> dict[str, Any]:
    aps: dict[str, Any] = {"timestamp": 0, "event": activity.event}  # the time comes with the envelope
    if activity.state is not None:
        aps["content-state"] = activity.state
    if activity.event == "end" and activity.dismissal is not None:
        aps["dismissal-date"] = activity.dismissal
    if activity.event == "start":
        aps |= {"attributes-type": activity.attributes_type, "attributes": activity.attributes}
        aps["input-push-token"] = 1  # or iOS 18 gives the app no token for updates
    if activity.event == "start" or not content.silent:
        aps["alert"] = {"title": content.title, "body": content.content}  # without which nothing starts
    return aps


def _address(addresses: dict[str, str]) -> str:
    return addresses.get(_ADDRESS) or addresses.get("defaultUrl", "")


def _number(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MAX_BADGE else None


def notification_id(message: int, device: int) -> str:
    """The `apns-id` of a message for a device: the same whenever it is sent, a UUID of version 5."""
    sum_of_both = _namespace.copy()
    sum_of_both.update(b"%d:%d" % (message, device))
    digits = sum_of_both.hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def id_header(name: str) -> bytes:
    """The header `apns-id`."""
    return _ID + name.encode()


def expiration_header(expires_at: int) -> bytes:
    """The header for the end of validity (ms); Apple takes seconds, of which 0 would mean "do not keep it"."""
    until = b"%d" % max(1, expires_at // 1000)
    return b"%b%c%b" % (_EXPIRATION, len(until), until)


def collapse_header(msg_key: str) -> bytes:
    """The header with which a notification takes the place of one with the same message key.

    A key that is longer than 64 bytes, or not made of printable ASCII, is replaced by its SHA-256.
    """
    value = msg_key
    if len(value) > MAX_COLLAPSE_ID or not (value.isascii() and value.isprintable()) or value != value.strip():
        value = hashlib.sha256(msg_key.encode()).hexdigest()
    return b"%b%c%b" % (_COLLAPSE, len(value), value.encode())
