"""Texts as vendors count and take them. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from clarion.channels.files import OverLength

EXPIRED = "its validity ended before it could be sent"

Measure = Callable[[str], int]
"""The length of a text in a vendor's unit."""

_JOINER = "\u200d"
_WIDE = ("W", "F")


def characters(text: str) -> int:
    """Code points; a Chinese character and an emoji are one each."""
    return len(text)


def wide_characters(text: str) -> int:
    """Code points, those as wide as a Chinese character (and emoji) twice."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(it) in _WIDE or it > "\uffff" else 1 for it in text)


def graphemes(text: str) -> Iterator[str]:
    """What a reader sees as one character each: with its accents, variation, skin tone, joined emoji, flags."""
    start, flags = 0, 0
    for position, character in enumerate(text):
        flag = "\U0001f1e6" <= character <= "\U0001f1ff"
        joined = position > 0 and (
            _extends(character) or text[position - 1] == _JOINER or (flag and flags % 2 == 1)
        )
        flags = flags + 1 if flag else 0
        if position and not joined:
            yield text[start:position]
            start = position
    if text:
        yield text[start:]


def _extends(character: str) -> bool:
    return (
        character == _JOINER
        or unicodedata.category(character) in ("Mn", "Me", "Mc")
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
    )


def cut(text: str, limit: int, measure: Measure = characters) -> str:
    """The text, or as much of it with an ellipsis as is no longer than `limit`; whole graphemes only."""
    if measure(text) <= limit:
        return text
    room = limit - measure("…")
    kept: list[str] = []
    for grapheme in graphemes(text):
        room -= measure(grapheme)
        if room < 0:
            break
        kept.append(grapheme)
    return "".join(kept).rstrip() + "…"


class Unsendable(Exception):
    """A message that the vendor would not take; the text says why. Does not leave the channel."""


def fitted(
    name: str, text: str, limit: int, over: OverLength, notes: list[str], measure: Measure = characters
) -> str:
    """A text that is no longer than the vendor takes; cut, with a note, if it was longer and that is wanted.

    Raises:
        Unsendable: it is longer, and not to be cut.
    """
    length = measure(text)
    if length <= limit:
        return text
    if over is OverLength.REFUSE:
        raise Unsendable(f"the {name} has a length of {length}, {limit} are allowed")
    notes.append(f"{name} cut to a length of {limit}")
    return cut(text, limit, measure)


def notify_id(msg_key: str) -> int:
    """A number for a message key, 1 to 2³¹-1, the same whenever it is asked for.

    Android knows a notification by a number: one with the same number takes the other's place.
    """
    return int.from_bytes(sha256(msg_key.encode()).digest()[:4], "big") % 0x7FFF_FFFF + 1


def param_text(value: Any) -> str:
    """An extension parameter as the text that an app reads: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def param_texts(params: Mapping[str, Any]) -> dict[str, str]:
    """All values by `param_text`."""
    return {name: param_text(value) for name, value in params.items()}


def with_ids(values: Mapping[str, Any], message: int, msg_key: str, task: int) -> dict[str, Any]:
    """Values for an app with the names under which it reports the message; a caller's own of such a name stays."""
    return {"id": str(message), "msgKey": msg_key, "taskId": str(task), **values}
