"""What callbacks of several vendors have in common: their bounds, lists of tokens, times. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from clarion.channels.base import Receipt, ReceiptKind, ReceiptRefused

MAX_BODY = 1_048_576
"""Most bytes of a callback."""
MAX_RECEIPTS = 10_000
"""Most receipts of a callback."""

_MAX_WORD = 512


def decoded(body: bytes | str) -> Any:
    """The JSON value of a callback. Raises `ReceiptRefused`."""
    if len(body) > MAX_BODY:
        raise ReceiptRefused(f"a callback of over {MAX_BODY} bytes")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ReceiptRefused("a callback that is no JSON") from None


def words(value: Any) -> list[str]:
    """The parts of a text with commas; those that are empty or too long are left out."""
    parts = value.split(",") if isinstance(value, str) else ()
    return [part for text in parts if 0 < len(part := text.strip()) <= _MAX_WORD]


def word(value: Any) -> str:
    """A text, or a number as text; empty if it is neither or too long."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and len(value) <= _MAX_WORD else ""


def moment(value: Any, now: int) -> int:
    """A time in ms, as a number or a text; `now` if it is none, or in the future."""
    digits = word(value)
    at = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 16 else 0
    return at if 0 < at <= now else now


def receipts_of(
    vendor_id: str, tokens: Iterable[str], kind: ReceiptKind, code: str, text: str, at: int, tag: str
) -> list[Receipt]:
    """A receipt for each token."""
    return [Receipt(vendor_id, token, kind, code, text, at, tag) for token in tokens]


def bounded(receipts: list[Receipt]) -> list[Receipt]:
    """The receipts. Raises `ReceiptRefused` if there are more than `MAX_RECEIPTS`."""
    if len(receipts) > MAX_RECEIPTS:
        raise ReceiptRefused(f"over {MAX_RECEIPTS} receipts in one callback")
    return receipts
