"""The message as Xiaomi takes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from clarion.channels.base import Envelope
from clarion.channels.message import PushContent
from clarion.channels.miui.settings import MiuiSettings
from clarion.channels.text import EXPIRED, Unsendable, fitted, notify_id, param_text, param_texts, with_ids

MAX_TITLE = 49
MAX_DESCRIPTION = 127
MAX_EXTRAS = 10
MAX_EXTRA_CHARACTERS = 1024
MAX_PAYLOAD = 4095
"""Bytes, before it is encoded."""

RESERVED = frozenset(
    {
        "badge",
        "callback",
        "callback.param",
        "callback.type",
        "channel_description",
        "channel_id",
        "channel_name",
        "flow_control",
        "intent_uri",
        "jobkey",
        "notification_bigPic_uri",
        "notification_large_icon_uri",
        "notification_style_type",
        "notify_effect",
        "notify_foreground",
        "only_send_once",
        "sound_uri",
        "template_id",
        "template_param",
        "web_uri",
    }
)
"""Extras that mean something to Xiaomi; a caller's parameter of such a name goes into the payload."""

_ALL = "-1"
_NOTIFY_TYPES = frozenset(str(number) for number in range(-1, 8))
_NUMBERS = ("pass_through", "notify_type", "time_to_live", "notify_id")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SEMI_SYSTEM = frozenset({"sound", "badge", "big_text", "mutable-content", "badge_add_num", "badge_class"})

_UNPLACED = {
    "channel_id": "ChannelId left out: Xiaomi's own is MiChannelId",
    "activity": "live activity left out: iOS only",
}
_UNPLACED_PARAMS = {
    "mutable-content": "mutable-content left out: iOS only",
    "badge_add_num": "badge_add_num left out: Xiaomi only sets a badge",
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """What of a message depends on its content alone.

    Attributes:
        fields: fields of the form, without `extra.`.
        extras: those with it.
        payload: what the app gets beside ids.
        verbatim: the payload as the caller gave it, instead of that; or None.
        notes: what was left out or cut.
        chosen: whether the caller named the channel or a template.
    """

    fields: Mapping[str, str]
    extras: Mapping[str, str]
    payload: Mapping[str, Any]
    verbatim: str | None
    notes: tuple[str, ...]
    chosen: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is the same for all devices that get it.

    Attributes:
        fields: fields of the form, without `extra.` and target.
        extras: those with it.
        notes: what was left out or cut.
        encoded: the whole of it as JSON.
        chosen: whether the caller named the channel or a template.
    """

    fields: Mapping[str, str]
    extras: Mapping[str, str]
    notes: tuple[str, ...]
    encoded: bytes
    chosen: bool

    def form(self) -> dict[str, str]:
        """The fields of a form for one message."""
        return {**self.fields, **{f"extra.{name}": value for name, value in self.extras.items()}}

    def element(self, token: str) -> dict[str, Any]:
        """An element of `messages`, for several different messages in a form."""
        return {"target": token, "message": msgspec.Raw(self.encoded)}


def render(content: PushContent, settings: MiuiSettings) -> Rendered:
    """The part of a message that is the same for all its devices.

    Raises:
        Unsendable: Xiaomi would not take it.
    """
    notes = [note for name, note in _UNPLACED.items() if getattr(content, name)]
    notes += [note for name, note in _UNPLACED_PARAMS.items() if name in content.params]
    fields = {"restricted_package_name": settings.package_name, "pass_through": str(content.silent)}
    if content.silent:
        return _silent(content, settings, fields, notes)
    if not content.title.strip() or not content.content.strip():
        raise Unsendable("Xiaomi needs a title and a content that are not blank")
    fields["title"] = fitted("title", content.title, MAX_TITLE, settings.over_length, notes)
    fields["description"] = fitted("content", content.content, MAX_DESCRIPTION, settings.over_length, notes)
    fields["notify_type"] = _notify_type(content, notes)
    if content.data_payload is not None:
        notes.append("TransparentMessagePayload left out: the message is not silent")
    extras = (
        _tap(content)
        | _style(content, settings, notes)
        | _semi_system(content, settings)
        | _channel(content, settings)
        | _template(content)
    )
    params = {name: value for name, value in content.params.items() if name not in _SEMI_SYSTEM}
    texts = param_texts(params)
    if _fit_as_extras(texts):
        return Rendered(fields, texts | extras, {}, None, tuple(notes), _chosen(content))
    return Rendered(fields, extras, {"params": params}, None, tuple(notes), _chosen(content))


def complete(rendered: Rendered, envelope: Envelope, settings: MiuiSettings, now_ms: int) -> Message:
    """The message for all devices whose envelope has the same message, key and end.

    Raises:
        Unsendable: it has ended, or the payload is too long.
    """
    if envelope.expires_at <= now_ms:
        raise Unsendable(EXPIRED)
    fields, extras, notes = dict(rendered.fields), dict(rendered.extras), rendered.notes
    seconds = max(1, (envelope.expires_at - now_ms) // 1000)
    if seconds > settings.longest_seconds:
        seconds = settings.longest_seconds
        notes = (*notes, f"kept by Xiaomi for {seconds} s only")
    payload = rendered.verbatim
    if payload is None:
        value = with_ids(rendered.payload, envelope.message, envelope.msg_key, envelope.task)
        payload = msgspec.json.encode(value).decode()
    if len(payload.encode()) > MAX_PAYLOAD:
        raise Unsendable(f"the payload is over {MAX_PAYLOAD} bytes")
    fields["payload"] = quote(payload, safe="") if settings.encode_payload else payload
    fields["time_to_live"] = str(seconds * 1000)
    fields["notify_id"] = str(notify_id(envelope.msg_key))
    extras["jobkey"] = _job_key(envelope.message)
    if settings.callback_url:
        extras["callback"] = settings.callback_url
        extras["callback.param"] = str(envelope.task)
        extras["callback.type"] = str(settings.callback_type)
    numbers = {name: int(fields[name]) for name in _NUMBERS if name in fields}
    encoded = msgspec.json.encode({**fields, **numbers, "extra": extras})
    return Message(fields, extras, notes, encoded, rendered.chosen)


class Renderer:
    """Makes the messages of one call of `send`; what envelopes share is made once.

    Args:
        settings: of the channel file.
        now_ms: time.
    """

    def __init__(self, settings: MiuiSettings, now_ms: int) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._rendered: dict[int, Rendered] = {}

    def message(self, envelope: Envelope) -> Message:
        """The message of an envelope. Raises `Unsendable`."""
        rendered = self._rendered.get(id(envelope.content))
        if rendered is None:
            rendered = self._rendered[id(envelope.content)] = render(envelope.content, self._settings)
        return complete(rendered, envelope, self._settings, self._now_ms)


def _silent(content: PushContent, settings: MiuiSettings, fields: dict[str, str], notes: list[str]) -> Rendered:
    verbatim = None if content.data_payload is None else param_text(content.data_payload)
    payload = {
        "title": content.title,
        "content": content.content,
        "uri": content.uri,
        "action": content.action,
        "silent": 1,
        "params": content.params,
    }
    return Rendered(fields, _channel(content, settings), payload, verbatim, tuple(notes), _chosen(content))


def _tap(content: PushContent) -> dict[str, str]:
    if not content.uri:
        return {"notify_effect": "1"}
    if content.action == 1:
        return {"notify_effect": "2", "intent_uri": content.uri}
    return {"notify_effect": "3", "web_uri": content.uri}


def _style(content: PushContent, settings: MiuiSettings, notes: list[str]) -> dict[str, str]:
    picture = _uploaded("image", content.images, settings, notes) if content.style == 2 else ""
    icon = _uploaded("icon", content.icons, settings, notes)
    style = {}
    if picture:
        style = {"notification_style_type": "2", "notification_bigPic_uri": picture}
    elif content.style == 1 or str(content.params.get("big_text")) == "1":
        style = {"notification_style_type": "1"}
    return style | ({"notification_large_icon_uri": icon} if icon else {})


def _uploaded(what: str, addresses: Mapping[str, str], settings: MiuiSettings, notes: list[str]) -> str:
    """The address of a picture that Xiaomi keeps: it shows no others."""
    address = addresses.get("miuiUrl") or addresses.get("defaultUrl", "")
    host = _host(address)
    if any(host == kept or host.endswith(f".{kept}") for kept in settings.picture_hosts):
        return address
    if address:
        notes.append(f"{what} left out: Xiaomi shows only pictures that were uploaded to it")
    return ""


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _semi_system(content: PushContent, settings: MiuiSettings) -> dict[str, str]:
    extras = {}
    if sound := param_text(content.params.get("sound") or ""):
        # A bare name means a file of the app, as for other vendors.
        bare = f"android.resource://{settings.package_name}/raw/{sound.rpartition('.')[0] or sound}"
        extras["sound_uri"] = sound if "://" in sound else bare
    if content.params.get("badge") is not None:
        extras["badge"] = param_text(content.params["badge"])
    return extras


def _channel(content: PushContent, settings: MiuiSettings) -> dict[str, str]:
    category = content.category.get("miui")
    channel = content.mi_channel_id or (category if isinstance(category, str) else "")
    channel = channel or settings.channel_ids.get(content.classification, "")
    return {"channel_id": channel} if channel else {}


def _chosen(content: PushContent) -> bool:
    return bool(content.mi_channel_id or content.category.get("miui") or _template(content))


def _template(content: PushContent) -> dict[str, str]:
    template = content.vendor_template.get("miui") if isinstance(content.vendor_template, dict) else None
    if not isinstance(template, dict) or not template.get("id"):
        return {}
    return {"template_id": param_text(template["id"]), "template_param": param_text(template.get("params") or {})}


def _notify_type(content: PushContent, notes: list[str]) -> str:
    level = content.notify_level.get("miui")
    if level is None:
        return _ALL
    if str(level) in _NOTIFY_TYPES:
        return str(level)
    notes.append("NotifyLevel left out: for Xiaomi it is -1, or a sum of 1 sound, 2 vibration and 4 light")
    return _ALL


def _fit_as_extras(texts: Mapping[str, str]) -> bool:
    size = sum(len(name) + len(value) for name, value in texts.items())
    return len(texts) <= MAX_EXTRAS and size <= MAX_EXTRA_CHARACTERS and not RESERVED.intersection(texts)


def _job_key(message: int) -> str:
    """At most 12 letters and digits, by which a device knows a repetition."""
    text = ""
    while message:
        message, digit = divmod(message, 36)
        text = _DIGITS[digit] + text
    return text or "0"
