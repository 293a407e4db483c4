"""The message as vivo takes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from clarion.channels.base import Envelope
from clarion.channels.files import OverLength
from clarion.channels.message import PushContent
from clarion.channels.text import EXPIRED, Unsendable, fitted, notify_id, param_texts, wide_characters, with_ids
from clarion.channels.vivo.settings import VivoSettings

MAX_TITLE = 40
MAX_CONTENT = 100
"""A Chinese character counts as two."""
MAX_SKIP_CONTENT = 2048
MAX_CUSTOM = 1024
"""Characters of all names and values together."""
MIN_TTL = 60
MIN_LIST_TTL = 900

SYSTEM = frozenset({"IM", "ACCOUNT", "TODO", "DEVICE_REMINDER", "ORDER", "SUBSCRIPTION"})
OPERATIONAL = frozenset({"NEWS", "CONTENT", "MARKETING", "SOCIAL"})
_CATEGORIES = {"0": OPERATIONAL, "1": SYSTEM}
_NOTIFY_TYPES = {str(number): number for number in range(1, 5)}

SILENT = "vivo has no silent messages; the device's own connection may carry it"

_SEMI_SYSTEM = frozenset({"sound", "badge", "big_text", "mutable-content", "badge_add_num", "badge_class"})

_UNPLACED = {
    "images": "image left out: vivo shows none",
    "icons": "icon left out: vivo shows none",
    "channel_id": "ChannelId left out: vivo has none",
    "activity": "live activity left out: iOS only",
}
_UNPLACED_PARAMS = {
    "sound": "sound left out: vivo only knows whether to ring (NotifyLevel)",
    "badge": "badge: vivo adds one to the number on the icon",
    "badge_add_num": "badge_add_num left out: vivo cannot",
    "big_text": "big_text left out: vivo shows plain text",
    "mutable-content": "mutable-content left out: iOS only",
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """What of a message depends on its content alone.

    Attributes:
        body: its fields.
        custom: what the app gets beside ids.
        notes: what was left out or cut.
        chosen: whether the caller named the category.
    """

    body: Mapping[str, Any]
    custom: Mapping[str, str]
    notes: tuple[str, ...]
    chosen: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is the same for all devices that get it.

    Attributes:
        body: its fields, without device and request.
        number: internal id.
        notes: what was left out or cut.
        chosen: whether the caller named the category.
    """

    body: Mapping[str, Any]
    number: int
    notes: tuple[str, ...]
    chosen: bool

    @property
    def classification(self) -> str:
        """By what vivo counts it: `0` operational, `1` system."""
        return str(self.body["classification"])

    def to(self, token: str) -> dict[str, Any]:
        """The body of a call for one device; the same request id whenever it is made."""
        return {**self.body, "regId": token, "requestId": request_id(self.number, token)}

    def listed(self) -> dict[str, Any]:
        """The body of a call that saves it for a list of devices."""
        ttl = max(self.body["timeToLive"], MIN_LIST_TTL)
        return {**self.body, "timeToLive": ttl, "requestId": request_id("save", self.number, ttl)}


def request_id(*parts: object) -> str:
    """A request id of 32 characters, the same for the same parts."""
    return sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


def render(content: PushContent, settings: VivoSettings) -> Rendered:
    """The part of a message that is the same for all its devices.

    Raises:
        Unsendable: vivo would not take it.
    """
    if content.silent:
        raise Unsendable(SILENT)
    notes = [note for name, note in _UNPLACED.items() if getattr(content, name)]
    notes += [note for name, note in _UNPLACED_PARAMS.items() if name in content.params]
    if content.style == 1:
        notes.append("big text left out: vivo shows plain text")
    if content.data_payload is not None:
        notes.append("TransparentMessagePayload left out: vivo has no data messages")
    if not content.title.strip() or not content.content.strip():
        raise Unsendable("vivo needs a title and a content that are not blank")
    over, measure = settings.over_length, wide_characters
    body = {
        "appId": settings.app_number,
        "title": fitted("title", content.title, MAX_TITLE, over, notes, measure),
        "content": fitted("content", content.content, MAX_CONTENT, over, notes, measure),
        "notifyType": _notify_type(content, settings),
        "networkType": -1,
        "classification": int(content.classification),
        "pushMode": settings.push_mode,
    }
    body |= _tap(content) | _category(content, settings)
    if content.params.get("badge") is not None:
        body["addBadge"] = True
    params = {name: value for name, value in content.params.items() if name not in _SEMI_SYSTEM}
    custom = _fit(param_texts(params), over, notes)
    return Rendered(body, custom, tuple(notes), bool(content.category.get("vivo")))


def _tap(content: PushContent) -> dict[str, Any]:
    if not content.uri:
        return {"skipType": 1}
    if len(content.uri) > MAX_SKIP_CONTENT:
        raise Unsendable(f"the uri has {len(content.uri)} characters, {MAX_SKIP_CONTENT} are allowed")
    return {"skipType": 4 if content.action == 1 else 2, "skipContent": content.uri}


def _notify_type(content: PushContent, settings: VivoSettings) -> int:
    level = content.notify_level.get("vivo")
    if level is None:
        return settings.notify_type
    if str(level) not in _NOTIFY_TYPES:
        raise Unsendable("no NotifyLevel of vivo: 1 nothing, 2 ring, 3 vibrate, 4 both")
    return _NOTIFY_TYPES[str(level)]


def _category(content: PushContent, settings: VivoSettings) -> dict[str, str]:
    category = content.category.get("vivo") or settings.categories.get(content.classification)
    if category is None:
        return {}
    fitting = _CATEGORIES[content.classification]
    if not isinstance(category, str) or category not in fitting:
        kinds = ", ".join(sorted(fitting))
        raise Unsendable(f"no category of Classification {content.classification}; there are {kinds}")
    return {"category": category}


def _fit(texts: Mapping[str, str], over: OverLength, notes: list[str]) -> dict[str, str]:
    """The parameters that are no longer together than vivo takes."""
    fitting: dict[str, str] = {}
    room = MAX_CUSTOM
    for name, value in texts.items():
        room -= len(name) + len(value)
        if room < 0:
            break
        fitting[name] = value
    if len(fitting) == len(texts):
        return fitting
    if over is OverLength.REFUSE:
        raise Unsendable(f"the extension parameters have over {MAX_CUSTOM} characters")
    notes.append(f"{len(texts) - len(fitting)} extension parameters left out: over {MAX_CUSTOM} characters")
    return fitting


class Renderer:
    """Makes the messages of one call of `send`; what envelopes share is made once.

    Args:
        settings: of the channel file.
        now_ms: time.
    """

    def __init__(self, settings: VivoSettings, now_ms: int) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._rendered: dict[int, Rendered] = {}

    def message(self, envelope: Envelope) -> Message:
        """The message of an envelope.

        Raises:
            Unsendable: vivo would not take it, or it has ended.
        """
        rendered = self._rendered.get(id(envelope.content))
        if rendered is None:
            rendered = self._rendered[id(envelope.content)] = render(envelope.content, self._settings)
        if envelope.expires_at <= self._now_ms:
            raise Unsendable(EXPIRED)
        seconds = (envelope.expires_at - self._now_ms) // 1000
        ttl = min(max(seconds, MIN_TTL), self._settings.longest_seconds)
        notes = rendered.notes if ttl == seconds else (*rendered.notes, f"kept by vivo for {ttl} s")
        custom = with_ids(rendered.custom, envelope.message, envelope.msg_key, envelope.task)
        if sum(len(name) + len(value) for name, value in custom.items()) > MAX_CUSTOM:
            custom, notes = dict(rendered.custom), (*notes, "ids of the message left out: too many parameters")
        body = {
            **rendered.body,
            "timeToLive": ttl,
            "notifyId": notify_id(envelope.msg_key),
            "clientCustomMap": custom,
        }
        if self._settings.callback_url:
            body["extra"] = {"callback": self._settings.callback_url, "callback.param": str(envelope.task)}
        return Message(body, envelope.message, notes, rendered.chosen)
