"""What FCM asks of a message besides its schema.

Source: Firebase, "About FCM messages" (limits, reserved names), "Set the lifespan of a message" and
"projects.messages".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from clarion.simulators.fcm.errors import Rejected, Violation
from clarion.simulators.fcm.schema import REQUEST

MAX_PAYLOAD = 4_096
MAX_TOPIC_PAYLOAD = 2_048
MAX_TTL = 2_419_200

TARGETS = ("token", "fid", "topic", "condition")

_TOKEN = re.compile(r"[A-Za-z0-9_:.\-]{1,4096}")
_TOPIC = re.compile(r"(/topics/)?[A-Za-z0-9\-_.~%]{1,900}")
_LABEL = re.compile(r"[A-Za-z0-9\-_.~%]{1,50}")
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_RESERVED = ("from", "message_type")
_RESERVED_PREFIXES = ("google.", "gcm.")
_IMAGES: Sequence[tuple[str, ...]] = (("notification",), ("android", "notification"), ("apns", "fcm_options"))
_LABELLED: Sequence[tuple[str, ...]] = ((), ("android",), ("apns",), ("webpush",))


def read_request(content_type: str, body: bytes) -> dict[str, Any]:
    """The request that a body holds, with all names in snake_case.

    Raises:
        Rejected: FCM would refuse it.
    """
    if not content_type.startswith("application/json"):
        raise Rejected("INVALID_ARGUMENT", "A body of application/json is wanted.", fcm=False)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Rejected("INVALID_ARGUMENT", f"Invalid JSON payload received. {error}", fcm=False) from error
    found: list[Violation] = []
    request: dict[str, Any] = REQUEST(value, "", found)
    if found:
        raise Rejected("INVALID_ARGUMENT", "\n".join(it.description for it in found), found[:20], fcm=False)
    message = request.get("message")
    if not message:
        _refuse("message", "Message is not set.")
    _check_message(message)
    return request


def _check_message(message: Mapping[str, Any]) -> None:
    _check_target(message)
    _check_size(message)
    _check_data(message, "message.data")
    _check_data(message.get("android", {}), "message.android.data")
    _check_android(message.get("android", {}))
    for path in _IMAGES:
        image = _at(message, path).get("image")
        if image is not None and not image.startswith("https://"):
            _refuse(".".join(("message", *path, "image")), "Image URLs have to begin with https://.")
    for path in _LABELLED:
        label = _at(message, path).get("fcm_options", {}).get("analytics_label")
        if label is not None and not _LABEL.fullmatch(label):
            _refuse(".".join(("message", *path, "fcm_options.analytics_label")), "Invalid analytics label.")


def _check_target(message: Mapping[str, Any]) -> None:
    given = [name for name in TARGETS if name in message]
    if not given:
        _refuse("message", "Recipient of the message is not set.")
    if len(given) > 1:
        text = f"Invalid value at 'message' (oneof), oneof field 'target' is already set. Cannot set '{given[1]}'"
        raise Rejected("INVALID_ARGUMENT", text, [Violation("message", text)], fcm=False)
    target = given[0]
    if target in ("token", "fid") and not _TOKEN.fullmatch(message[target]):
        _refuse(f"message.{target}", "The registration token is not a valid FCM registration token")
    if target == "topic" and not _TOPIC.fullmatch(message["topic"]):
        _refuse("message.topic", "Invalid topic name.")
    if target == "condition" and not message["condition"]:
        _refuse("message.condition", "Invalid condition expression provided.")


def _check_size(message: Mapping[str, Any]) -> None:
    """Of the message's JSON without its target: at least as strict as FCM, which counts names and values."""
    limit = MAX_PAYLOAD if "token" in message or "fid" in message else MAX_TOPIC_PAYLOAD
    size = len(msgspec.json.encode({name: value for name, value in message.items() if name not in TARGETS}))
    if size > limit:
        _refuse("message", f"Message is too big: {size} bytes; at most {limit}.")


def _check_data(holder: Mapping[str, Any], path: str) -> None:
    for name in holder.get("data", {}):
        if not name or name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
            _refuse(path, f"Invalid data payload key: {name}")


def _check_android(android: Mapping[str, Any]) -> None:
    ttl = android.get("ttl", "0s").removesuffix("s")
    if not 0 <= float(ttl) <= MAX_TTL:
        _refuse("message.android.ttl", f"Invalid ttl: 0s to {MAX_TTL}s.")
    notification = android.get("notification", {})
    color = notification.get("color")
    if color is not None and not _COLOR.fullmatch(color):
        _refuse("message.android.notification.color", "Invalid color: #rrggbb.")
    if int(notification.get("notification_count", 0)) < 0:
        _refuse("message.android.notification.notification_count", "The count must not be negative.")


def _at(message: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    for name in path:
        message = message.get(name, {})
    return message


def _refuse(field: str, text: str) -> NoReturn:
    raise Rejected("INVALID_ARGUMENT", text, [Violation(field, text)])
