"""From a channel's label and file to the channel: the one table in which the vendors' folders are named."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import msgspec

from clarion.channels.base import VendorChannel
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
"""By label. A folder has `parse(file) -> Settings` and `open_channel(settings, clock) -> VendorChannel`; it is
imported when it is used first."""

MAX_FILE = 262_144
"""Most bytes of a channel file; a certificate with its chain is among it."""


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


def open_channel(label: str, file: bytes, clock: Clock) -> VendorChannel:
    """The channel that a file describes. It connects when there is something to send.

    Raises:
        WrongSettings: there is no such channel, the file is wrong, or a file that it names cannot be used.
    """
    settings = parse(label, file)
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
