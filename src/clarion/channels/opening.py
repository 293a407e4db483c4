"""From a channel's label and file to the channel: the one table in which the vendors' folders are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

import msgspec

from clarion.channels.base import Receipt, VendorChannel
from clarion.clock import Clock

FOLDERS = {
    "apns": "clarion.channels.apns",
    "fcm": "clarion.channels.fcm",
    "hms": "clarion.channels.hms",
    "harmony": "clarion.channels.harmony",
    "honor": "clarion.channels.honor",
    "miui": "clarion.channels.miui",
    "oppo": "clarion.channels.oppo",
    "vivo": "clarion.channels.vivo",
    "sms": "clarion.channels.sms",
}
"""By label. A folder has `parse(file) -> Settings` and `open_channel(settings, clock) -> VendorChannel`, and what
`receiving` tells; it is imported when it is used first."""

WITH_RECEIPTS = tuple(label for label in FOLDERS if label not in ("apns", "fcm"))
"""Channels whose vendors tell what became of messages."""

MAX_FILE = 262_144
"""Most bytes of a channel file; a certificate with its chain is among it."""


class Receiving(NamedTuple):
    """How the callbacks of a vendor are taken.

    Attributes:
        parse: what a callback tells, of its headers, body, the channel's settings and the time (ms); raises
            `ReceiptRefused`.
        answer: what the vendor wants to hear, as JSON, with HTTP 200.
        nonce: of headers and settings, what no other callback has; empty if there is no such thing.
        url_bytes: longest address that messages can tell the vendor; 0: it is entered in the vendor's console.
    """

    parse: Callable[[Mapping[str, str], bytes, Any, int], Sequence[Receipt]]
    answer: bytes
    nonce: Callable[[Mapping[str, str], Any], str]
    url_bytes: int


class WrongSettings(ValueError):
    """There is no such channel, or its file is wrong; the text says what, and repeats no secret."""


def canonical(file: bytes) -> bytes:
    """A channel file without what makes no difference: blanks, order of names.

    Raises:
        WrongSettings: it is no JSON object.
    """
    if len(file) > MAX_FILE:
        raise WrongSettings(f"a channel file has at most {MAX_FILE} bytes")
    try:
        return msgspec.json.encode(msgspec.json.decode(file, type=dict[str, Any]), order="sorted")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WrongSettings("a channel file is one JSON object") from None


def parse(label: str, file: bytes) -> Any:
    """The settings that a channel file holds, in the vendor's own type.

    Raises:
        WrongSettings: there is no such channel, or the file is wrong.
    """
    read: Callable[[bytes], Any] = _folder(label).parse
    try:
        return read(canonical(file))
    except msgspec.ValidationError as error:
        raise WrongSettings(f"{label}: {error}") from None


def receiving(label: str) -> Receiving:
    """How the callbacks of one of `WITH_RECEIPTS` are taken."""
    folder = _folder(label)
    return Receiving(
        folder.parse_receipts,
        folder.RECEIPT_ANSWER,
        getattr(folder, "receipt_nonce", _no_nonce),
        getattr(folder, "RECEIPT_URL_BYTES", 0),
    )


def _no_nonce(_: Mapping[str, str], __: Any) -> str:
    return ""


def open_channel(label: str, file: bytes, clock: Clock, receipt_url: str = "") -> VendorChannel:
    """The channel that a file describes. It connects when there is something to send.

    Args:
        label: of the channel.
        file: the channel file.
        clock: time.
        receipt_url: what messages tell the vendor as the address for receipts, where they can, if the file says
            nothing else; empty for none.

    Raises:
        WrongSettings: there is no such channel, the file is wrong, or a file that it names cannot be used.
    """
    settings = parse(label, file)
    if label in WITH_RECEIPTS and 0 < len(receipt_url.encode()) <= receiving(label).url_bytes:
        settings = msgspec.structs.replace(settings, callback_url=settings.callback_url or receipt_url)
    opened: Callable[[Any, Clock], VendorChannel] = _folder(label).open_channel
    try:
        return opened(settings, clock)
    except msgspec.ValidationError as error:
        raise WrongSettings(f"{label}: {error}") from None
    except OSError as error:  # ssl.SSLError is one; its own text may name paths, which are no secrets
        raise WrongSettings(f"{label}: caFile or a certificate cannot be used: {error.strerror or error}") from None


def _folder(label: str) -> ModuleType:
    name = FOLDERS.get(label)
    if name is None:
        raise WrongSettings(f"there is no channel {label!r}; there are {', '.join(FOLDERS)}")
    found = find_spec(name)
    if found is None or found.origin is None:
        raise WrongSettings(f"this version has no channel {label}")
    return import_module(name)
