"""The message as OPPO takes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from clarion.channels.base import Envelope
from clarion.channels.forms import quoted
from clarion.channels.message import PushContent
from clarion.channels.oppo.settings import OppoSettings
from clarion.channels.text import EXPIRED, Unsendable, fitted, notify_id, param_text, param_texts, with_ids

MAX_TITLE = 50
MAX_ACTIVITY = 500
MAX_URL = 2000
MAX_PARAMETERS = 4000
MIN_TTL, MAX_TTL = 3600, 864_000
TO_REGISTRATION_ID = 2

SERVICE = frozenset({"IM", "ACCOUNT", "DEVICE_REMINDER", "ORDER", "TODO", "SUBSCRIPTION"})
MARKETING = frozenset({"NEWS", "CONTENT", "MARKETING", "SOCIAL"})
_CATEGORIES = SERVICE | MARKETING
_LEVELS = {"1": 1, "2": 2, "16": 16}

SILENT = "OPPO has no silent messages; the device's own connection may carry it"

_SEMI_SYSTEM = frozenset({"sound", "badge", "big_text", "mutable-content", "badge_add_num", "badge_class"})

_UNPLACED = {
    "images": "image left out: OPPO shows none in messages to single devices",
    "icons": "icon left out: OPPO shows none in messages to single devices",
    "activity": "live activity left out: iOS only",
}
_UNPLACED_PARAMS = {
    "sound": "sound left out: on OPPO it is set by the notification channel",
    "big_text": "big_text left out: use PushStyle 1",
    "mutable-content": "mutable-content left out: iOS only",
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """What of a message depends on its content alone.

    Attributes:
        notification: its fields.
        params: what the app gets beside ids.
        quota: by what OPPO counts it.
        notes: what was left out or cut.
        chosen: whether the caller named the category or a template.
    """

    notification: Mapping[str, Any]
    params: Mapping[str, Any]
    quota: str
    notes: tuple[str, ...]
    chosen: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is the same for all devices that get it.

    Attributes:
        notification: its fields.
        quota: by what OPPO counts it.
        notes: what was left out or cut.
        encoded: the notification as JSON.
        chosen: whether the caller named the category or a template.
    """

    notification: Mapping[str, Any]
    quota: str
    notes: tuple[str, ...]
    encoded: bytes
    chosen: bool

    def quoted(self) -> tuple[bytes, bytes]:
        """What is before and after the token when the message for a device is a value of a form."""
        before, _, after = msgspec.json.encode(self.to("")).decode().partition('""')
        return quoted(before + '"'), quoted('"' + after)

    def to(self, token: str) -> dict[str, Any]:
        """The message for one device."""
        return {
            "target_type": TO_REGISTRATION_ID,
            "target_value": token,
            "verify_registration_id": True,
            "notification": msgspec.Raw(self.encoded),
        }


def render(content: PushContent, settings: OppoSettings) -> Rendered:
    """The part of a message that is the same for all its devices.

    Raises:
        Unsendable: OPPO would not take it.
    """
    if content.silent:
        raise Unsendable(SILENT)
    notes = [note for name, note in _UNPLACED.items() if getattr(content, name)]
    notes += [note for name, note in _UNPLACED_PARAMS.items() if name in content.params]
    if content.data_payload is not None:
        notes.append("TransparentMessagePayload left out: OPPO has no data messages")
    if not content.title.strip() or not content.content.strip():
        raise Unsendable("OPPO needs a title and a content that are not blank")
    long = content.style == 1
    limit = settings.max_long_content if long else settings.max_content
    notification: dict[str, Any] = {
        "style": 2 if long else 1,
        "title": fitted("title", content.title, MAX_TITLE, settings.over_length, notes),
        "content": fitted("content", content.content, limit, settings.over_length, notes),
        "off_line": True,
    }
    notification |= _tap(content) | _classified(content, settings, notes) | _badge(content) | _template(content)
    channel = content.channel_id or settings.channel_ids.get(content.classification)
    if channel:
        notification["channel_id"] = channel
    params = {name: value for name, value in content.params.items() if name not in _SEMI_SYSTEM}
    chosen = bool(content.category.get("oppo") or _template(content))
    return Rendered(notification, params, _quota(notification), tuple(notes), chosen)


def _tap(content: PushContent) -> dict[str, Any]:
    if not content.uri:
        return {"click_action_type": 0}
    if content.action == 1 and ":" not in content.uri:
        return _checked(4, "click_action_activity", content.uri, MAX_ACTIVITY)
    return _checked(5 if content.action == 1 else 2, "click_action_url", content.uri, MAX_URL)


def _checked(kind: int, name: str, uri: str, limit: int) -> dict[str, Any]:
    if len(uri) > limit:
        raise Unsendable(f"the uri has {len(uri)} characters, {limit} are allowed")
    return {"click_action_type": kind, name: uri}


def _classified(content: PushContent, settings: OppoSettings, notes: list[str]) -> dict[str, Any]:
    category = content.category.get("oppo") or settings.categories.get(content.classification)
    level = content.notify_level.get("oppo")
    if category is None:
        if level is not None:
            notes.append("NotifyLevel left out: it needs a category")
        return {}
    if not isinstance(category, str) or category not in _CATEGORIES:
        raise Unsendable(f"no category of OPPO; there are {', '.join(sorted(_CATEGORIES))}")
    if level is not None and str(level) not in _LEVELS:
        raise Unsendable("no reminder level of OPPO; there are 1, 2 and 16")
    chosen = settings.notify_level if level is None else _LEVELS[str(level)]
    return {"category": category} if chosen is None else {"category": category, "notify_level": chosen}


def _badge(content: PushContent) -> dict[str, Any]:
    for name, operation in (("badge_add_num", 1), ("badge", 0)):
        count = param_text(content.params.get(name, ""))
        if count.isascii() and count.isdigit() and len(count) < 6:
            return {"badge_operation_type": operation, "badge_message_count": int(count)}
    return {}


def _template(content: PushContent) -> dict[str, Any]:
    template = content.vendor_template.get("oppo") if isinstance(content.vendor_template, dict) else None
    if not isinstance(template, dict) or not template.get("id"):
        return {}
    return {
        "private_msg_template_id": param_text(template["id"]),
        "private_title_parameters": _texts(template.get("titleParams")),
        "private_content_parameters": _texts(template.get("contentParams")),
    }


def _texts(value: Any) -> dict[str, str]:
    return param_texts(value) if isinstance(value, dict) else {}


def _quota(notification: Mapping[str, Any]) -> str:
    category = notification.get("category")
    return "service" if category in SERVICE else "marketing"


class Renderer:
    """Makes the messages of one call of `send`; what envelopes share is made once.

    Args:
        settings: of the channel file.
        now_ms: time.
    """

    def __init__(self, settings: OppoSettings, now_ms: int) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._rendered: dict[int, Rendered] = {}

    def message(self, envelope: Envelope) -> Message:
        """The message of an envelope.

        Raises:
            Unsendable: OPPO would not take it, or it has ended.
        """
        rendered = self._rendered.get(id(envelope.content))
        if rendered is None:
            rendered = self._rendered[id(envelope.content)] = render(envelope.content, self._settings)
        seconds = (envelope.expires_at - self._now_ms) // 1000
        if envelope.expires_at <= self._now_ms:
            raise Unsendable(EXPIRED)
        ttl = min(max(seconds, MIN_TTL), MAX_TTL)
        notes = rendered.notes if ttl == seconds else (*rendered.notes, f"kept by OPPO for {ttl} s")
        params = with_ids(rendered.params, envelope.message, envelope.msg_key, envelope.task)
        parameters = msgspec.json.encode(params).decode()
        if len(parameters) > MAX_PARAMETERS:
            raise Unsendable(f"the parameters have {len(parameters)} characters, {MAX_PARAMETERS} are allowed")
        notification = {
            **rendered.notification,
            "app_message_id": str(envelope.message),
            "off_line_ttl": ttl,
            "notify_id": notify_id(envelope.msg_key),
            "action_parameters": parameters,
        }
        if self._settings.callback_url:
            notification["call_back_url"] = self._settings.callback_url
            notification["call_back_parameter"] = str(envelope.task)
        encoded = msgspec.json.encode(notification)
        return Message(notification, rendered.quota, notes, encoded, rendered.chosen)
