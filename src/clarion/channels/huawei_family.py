"""What Huawei, HarmonyOS and Honor have in common in their messages: one root, grown apart in names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import quote

from clarion.channels.message import PushContent
from clarion.channels.multicast import Rendered, Stamp
from clarion.channels.text import Unsendable, param_text

MAX_BODY = 4_096
"""Most bytes of a request, without its tokens."""
MAX_TTL = 1_296_000
"""Longest validity, seconds: 15 days."""
MAX_BADGE = 99

CATEGORIES = {
    "1": "IM",
    "2": "VOIP",
    "3": "SUBSCRIPTION",
    "4": "TRAVEL",
    "5": "HEALTH",
    "6": "WORK",
    "7": "ACCOUNT",
    "8": "EXPRESS",
    "9": "FINANCE",
    "10": "DEVICE_REMINDER",
    "11": "SYSTEM_REMINDER",
    "12": "MAIL",
    "13": "PLAY_VOICE",
    "14": "MARKETING",
}
"""The numbers of `ThirdChannelCategory` for Huawei, with the words that go to it."""

MARKETING = "MARKETING"

LEVELS = {"1": "LOW", "2": "NORMAL"}
"""The numbers of `NotifyLevel` for Huawei."""

_SEMI_SYSTEM = frozenset(("sound", "badge", "mutable-content", "badge_add_num", "badge_class", "big_text"))


class Names(NamedTuple):
    """How a vendor is named, and what links it opens.

    Attributes:
        vendor: in texts.
        keys: in maps by channel, the best first.
        pictures: in maps of addresses, the best first.
        https_only: whether it opens web addresses of this kind alone.
    """

    vendor: str
    keys: tuple[str, ...]
    pictures: tuple[str, ...]
    https_only: bool = True


class Tap(Enum):
    """What a tap on the notification opens."""

    HOME = "the app"
    PAGE = "a page of the app"
    WEB = "a web address"


@dataclass(slots=True)
class Digest:
    """A content as the three vendors see it.

    Attributes:
        tap: what a tap opens.
        link: the page or address that it opens; empty for the app.
        picture: an https address, or empty.
        category: word for the vendor, or empty if the caller did not choose.
        level: `LOW`, `NORMAL`, or empty if the caller did not choose.
        big: whether the text may be shown in full.
        badge: number to show, 0 to 99; None for no change.
        badge_add: number to add, 1 to 99; None for none.
        badge_class: start page of the app, which numbers on Android need.
        extras: the caller's own parameters.
        notes: what was left out.
    """

    tap: Tap = Tap.HOME
    link: str = ""
    picture: str = ""
    category: str = ""
    level: str = ""
    big: bool = False
    badge: int | None = None
    badge_add: int | None = None
    badge_class: str = ""
    extras: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def data_text(content: PushContent, stamp: Stamp) -> str:
    """What the app is handed with a data message: the caller's payload, else the push, named as on the link."""
    if content.data_payload is not None:
        return param_text(content.data_payload)
    return param_text(
        {
            "title": content.title,
            "content": content.content,
            "uri": content.uri,
            "action": content.action,
            "silent": content.silent,
            "style": content.style,
            "params": content.params,
            "msgKey": stamp.msg_key,
            "taskId": str(stamp.task),
        }
    )


def digest(content: PushContent, names: Names, trampoline: str = "") -> Digest:
    """Sort out the content of a notification.

    Args:
        content: what to send.
        names: the vendor's.
        trampoline: intent with `{uri}` in it, of a page of the app that opens what the vendor does not; or empty.

    Raises:
        Unsendable: the caller chose a category that there is not.
    """
    digested = Digest(notes=_left_out(content, names))
    category = _of_vendor(content.category, names)
    digested.category = CATEGORIES.get(category, category)
    if digested.category.isdigit():
        raise Unsendable(f"ThirdChannelCategory: {names.vendor} has no category {digested.category[:20]}")
    level = _of_vendor(content.notify_level, names)
    digested.level = LEVELS.get(level, level)
    if not digested.category and content.classification == "0":
        digested.category = MARKETING
    digested.extras = {name: value for name, value in content.params.items() if name not in _SEMI_SYSTEM}
    digested.picture = _picture(content, names, digested.notes)
    digested.big = (content.style == 1 or _number(content.params.get("big_text")) == 1) and bool(
        content.title and content.content
    )
    _set_tap(digested, content, names, trampoline)
    _set_badge(digested, content)
    return digested


def data_notes(content: PushContent, names: Names) -> list[str]:
    """What a data message leaves out."""
    notes = ["sent as a data message, which shows nothing by itself"]
    if content.data_payload is not None and (content.params or content.uri):
        notes.append("the app is handed TransparentMessagePayload alone, without link and parameters")
    return notes + _left_out(content, names)


def ttl_of(stamp: Stamp, notes: list[str]) -> int:
    """Validity in seconds, as long as the vendors can."""
    if stamp.ttl > MAX_TTL:
        notes.append("valid for 15 days, the longest that the vendor has")
    return min(stamp.ttl, MAX_TTL)


def measured(form: Rendered, vendor: str) -> Rendered:
    """The form, if it is no longer than the vendors take.

    Raises:
        Unsendable: it is longer.
    """
    if form.size > MAX_BODY:
        raise Unsendable(f"{form.size} bytes with all parameters; {vendor} takes {MAX_BODY}")
    return form


def is_https(address: str) -> bool:
    """Whether it is a web address that the vendors take."""
    return address[:8].lower() == "https://"


def is_intent(page: str) -> bool:
    """Whether a page is named by an intent, and not by the name of an action."""
    return "://" in page or "#Intent;" in page or page.startswith("intent:")


def _left_out(content: PushContent, names: Names) -> list[str]:
    notes: list[str] = []
    if "mutable-content" in content.params:
        notes.append("mutable-content: for iOS alone")
    if content.activity is not None:
        notes.append("live activity: for iOS alone")
    if content.vendor_template is not None and _concerns(content.vendor_template, names):
        notes.append(f"VendorTemplate: {names.vendor} has no place for it")
    if content.data_payload is not None and content.silent != 1:
        notes.append("TransparentMessagePayload: for silent messages")
    return notes


def _of_vendor(by_vendor: Mapping[str, Any], names: Names) -> str:
    value = next((by_vendor[key] for key in names.keys if by_vendor.get(key) not in (None, "")), "")
    return str(value).strip().upper() if isinstance(value, str | int) else ""


def _concerns(template: Any, names: Names) -> bool:
    """Whether a template is meant for this vendor; one that is not by vendor may be."""
    return not isinstance(template, dict) or any(key in template for key in names.keys)


def _picture(content: PushContent, names: Names, notes: list[str]) -> str:
    """The one picture of a notification, to the right of its text: the icon, else the picture."""
    found = [
        next((addresses[key] for key in names.pictures if addresses.get(key)), "")
        for addresses in (content.icons, content.images)
    ]
    given = [address for address in found if address]
    usable = [address for address in given if is_https(address)]
    if len(usable) < len(given):
        notes.append(f"picture: {names.vendor} takes https addresses only")
    elif len(set(usable)) > 1:
        notes.append(f"picture: {names.vendor} shows one, which is the icon")
    return usable[0] if usable else ""


def _set_tap(digested: Digest, content: PushContent, names: Names, trampoline: str) -> None:
    uri = content.uri
    if not uri:
        return
    if content.action == 1:
        digested.tap, digested.link = Tap.PAGE, uri
    elif is_https(uri) or not names.https_only:
        digested.tap, digested.link = Tap.WEB, uri
    elif trampoline:
        digested.tap, digested.link = Tap.PAGE, trampoline.replace("{uri}", quote(uri, safe=""))
    else:
        digested.extras.setdefault("uri", uri)
        digested.notes.append(
            f"link: {names.vendor} opens https addresses only; the app finds it as `uri` in its data"
        )


def _set_badge(digested: Digest, content: PushContent) -> None:
    params = content.params
    for name, least in (("badge", 0), ("badge_add_num", 1)):
        if name not in params:
            continue
        number = _number(params[name])
        if number is None or not least <= number <= MAX_BADGE:
            digested.notes.append(f"{name}: no number from {least} to {MAX_BADGE}")
        elif name == "badge":
            digested.badge = number
        else:
            digested.badge_add = number
    if isinstance(params.get("badge_class"), str):
        digested.badge_class = params["badge_class"]


def _number(value: Any) -> int | None:
    """A whole number, or the text of one."""
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
