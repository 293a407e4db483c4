"""What APNs checks of a notification's headers and payload.

Source: Apple, "Sending notification requests to APNs" and "Generating a remote notification".

A payload that the gateway would take and the phone then drop without a word is refused with `InvalidPushType`, so
that a test sees it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from clarion.simulators.apns.reasons import Rejected

MAX_PAYLOAD = 4_096
MAX_VOIP_PAYLOAD = 5_120
MAX_COLLAPSE_ID = 64
MAX_EXPIRATION = 4_102_444_800
"""2100-01-01: what lies beyond are ms taken for seconds."""

SUFFIXES = {
    "alert": "",
    "background": "",
    "mdm": "",
    "voip": ".voip",
    "complication": ".complication",
    "fileprovider": ".pushkit.fileprovider",
    "location": ".location-query",
    "pushtotalk": ".voip-ptt",
    "liveactivity": ".push-type.liveactivity",
    "widgets": ".push-type.widgets",
    "controls": ".push-type.controls",
}
"""What the topic of a push type has after the bundle id."""

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TOPIC = re.compile(r"[A-Za-z0-9.-]{1,255}")
_TOKEN = re.compile(r"([0-9A-Fa-f]{2}){32,100}")
_PRIORITIES = ("10", "5", "1")

_NUMBER = (int, float)
_APS_TYPES: Mapping[str, tuple[type, ...]] = {
    "alert": (str, dict),
    "badge": (int,),
    "sound": (str, dict),
    "thread-id": (str,),
    "category": (str,),
    "content-available": (int,),
    "mutable-content": (int,),
    "target-content-id": (str,),
    "interruption-level": (str,),
    "relevance-score": _NUMBER,
    "filter-criteria": (str,),
    "timestamp": (int,),
    "stale-date": (int,),
    "dismissal-date": (int,),
    "event": (str,),
    "content-state": (dict,),
    "attributes-type": (str,),
    "attributes": (dict,),
}
_LEVELS = ("passive", "active", "time-sensitive", "critical")
_VISIBLE = frozenset(("alert", "badge", "sound"))
_ACTIVITY_KEYS = {
    "start": ("timestamp", "content-state", "attributes-type", "attributes", "alert"),
    "update": ("timestamp", "content-state"),
    "end": ("timestamp",),
}
"""What a live activity's payload must have, by its event."""


class Notification(NamedTuple):
    """What the headers say.

    Attributes:
        push_type: one of `SUFFIXES`; empty if they do not say.
        topic: empty if they do not say.
        bundle_id: the topic without its suffix.
    """

    push_type: str
    topic: str
    bundle_id: str


def check_token(token: str) -> None:
    """A device token is 64 to 200 hexadecimal digits.

    Raises:
        Rejected: it is not.
    """
    if not token:
        raise Rejected("MissingDeviceToken")
    if not _TOKEN.fullmatch(token):
        raise Rejected("BadDeviceToken", "not 64 to 200 hexadecimal digits")


def is_message_id(text: str) -> bool:
    """Whether it is a canonical UUID."""
    return _UUID.fullmatch(text) is not None


def check_headers(headers: Mapping[str, str], default_topic: str | None) -> Notification:
    """Check all headers but `authorization`.

    Args:
        headers: by lower-case name.
        default_topic: that of the client certificate, or None.

    Raises:
        Rejected: one is wrong.
    """
    if not is_message_id(headers.get("apns-id", "00000000-0000-0000-0000-000000000000")):
        raise Rejected("BadMessageId", "no canonical UUID")
    push_type = headers.get("apns-push-type", "")
    suffix = SUFFIXES.get(push_type)
    if suffix is None and push_type:
        raise Rejected("InvalidPushType", f"no push type {push_type!r}")
    _check_expiration(headers.get("apns-expiration", "0"))
    priority = headers.get("apns-priority", "10")
    if priority not in _PRIORITIES:
        raise Rejected("BadPriority", "not 10, 5 or 1")
    if push_type == "background" and priority == "10":
        raise Rejected("BadPriority", "10, the default, is not for background notifications")
    collapse = headers.get("apns-collapse-id")
    if collapse is not None and not 0 < len(collapse.encode()) <= MAX_COLLAPSE_ID:
        raise Rejected("BadCollapseId", f"not 1 to {MAX_COLLAPSE_ID} bytes")
    topic = headers.get("apns-topic", default_topic)
    if not topic:
        raise Rejected("MissingTopic")
    return Notification(push_type, topic, _bundle_id(topic, suffix))


def _bundle_id(topic: str, suffix: str | None) -> str:
    if not _TOPIC.fullmatch(topic):
        raise Rejected("BadTopic", "no bundle id")
    found = next((known for known in SUFFIXES.values() if known and topic.endswith(known)), "")
    if suffix is not None and found != suffix:
        raise Rejected("BadTopic", f"the topic of this push type ends with {suffix!r}, this one with {found!r}")
    return topic.removesuffix(found)


def _check_expiration(text: str) -> None:
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > MAX_EXPIRATION:
        raise Rejected("BadExpirationDate", "no seconds since 1970")


def check_payload(body: bytes, push_type: str) -> None:
    """Check the payload for its push type.

    Raises:
        Rejected: APNs would refuse it, or the phone would drop it.
    """
    if not body:
        raise Rejected("PayloadEmpty")
    limit = MAX_VOIP_PAYLOAD if push_type == "voip" else MAX_PAYLOAD
    if len(body) > limit:
        raise Rejected("PayloadTooLarge", f"{len(body)} bytes; at most {limit}")
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Rejected("PayloadEmpty", f"no JSON in UTF-8: {error}") from error
    if not isinstance(payload, dict):
        raise Rejected("PayloadEmpty", "no JSON object")
    if push_type == "mdm":
        return
    aps = payload.get("aps")
    if not isinstance(aps, dict):
        raise Rejected("PayloadEmpty", "no object `aps`")
    _check_aps(aps)
    if push_type == "background":
        _check_background(aps)
    elif push_type == "liveactivity":
        _check_activity(aps)
    elif push_type == "alert" and not _VISIBLE & aps.keys():
        raise Rejected("InvalidPushType", "an alert without alert, badge and sound")


def _check_aps(aps: Mapping[str, Any]) -> None:
    for name, value in aps.items():
        types = _APS_TYPES.get(name)
        if types is not None and (not isinstance(value, types) or isinstance(value, bool)):
            raise Rejected("InvalidPushType", f"aps.{name} is of the wrong type")
    if aps.get("badge", 0) < 0:
        raise Rejected("InvalidPushType", "aps.badge is negative")
    if aps.get("interruption-level", "active") not in _LEVELS:
        raise Rejected("InvalidPushType", f"aps.interruption-level is none of {', '.join(_LEVELS)}")
    if any(aps.get(name, 1) not in (0, 1) for name in ("content-available", "mutable-content")):
        raise Rejected("InvalidPushType", "aps.content-available and aps.mutable-content are 1 or absent")


def _check_background(aps: Mapping[str, Any]) -> None:
    if aps.get("content-available") != 1:
        raise Rejected("InvalidPushType", "a background notification without content-available 1")
    if _VISIBLE & aps.keys():
        raise Rejected("InvalidPushType", "a background notification with alert, badge or sound")


def _check_activity(aps: Mapping[str, Any]) -> None:
    wanted = _ACTIVITY_KEYS.get(aps.get("event", ""))
    if wanted is None:
        raise Rejected("InvalidPushType", "a live activity whose aps.event is not start, update or end")
    missing = [name for name in wanted if name not in aps]
    if missing:
        raise Rejected("InvalidPushType", f"a live activity ({aps['event']}) without {', '.join(missing)}")
    for name in ("timestamp", "stale-date", "dismissal-date"):
        if not 0 <= aps.get(name, 0) <= MAX_EXPIRATION:
            raise Rejected("InvalidPushType", f"aps.{name} is no time in seconds since 1970")
