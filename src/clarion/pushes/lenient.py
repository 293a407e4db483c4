"""JSON maps as callers really send them.

The published Python sample passes a `dict`, which its SDK sends as `{'name': 'Bob'}`; the original service reads
that. So: strict JSON first, then Python's own literals, and nothing else.
"""

from __future__ import annotations

import ast
from typing import Any

import msgspec

MAX_DEPTH = 32
_decode = msgspec.json.Decoder().decode


def parse_map(text: str) -> dict[str, Any] | None:
    """The map that `text` is, or None when it is none. Keys are text; values are JSON values."""
    value = parse_value(text)
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else None


def parse_value(text: str) -> Any:
    """The JSON value or Python literal that `text` is; None when it is neither (or is null)."""
    value = _parse(text)
    return value if _storable(value, MAX_DEPTH) else None


def _parse(text: str) -> Any:
    try:
        return _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        pass
    if "'" not in text:
        return None
    try:
        return _plain(ast.literal_eval(text.strip()), MAX_DEPTH)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _plain(value: Any, depth: int) -> Any:
    """What JSON can say of a Python literal.

    Raises:
        TypeError: it can say nothing of it.
    """
    if depth == 0:
        raise TypeError("nested too deeply")
    if isinstance(value, dict):
        return {str(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(type(value).__name__)


def _storable(value: Any, depth: int) -> bool:
    """Whether every text in `value` can be stored and sent: no NUL, no lone surrogates, not too deep."""
    if isinstance(value, str):
        return is_text(value)
    if depth == 0:
        return not isinstance(value, dict | list)
    if isinstance(value, dict):
        return all(is_text(str(key)) and _storable(item, depth - 1) for key, item in value.items())
    if isinstance(value, list):
        return all(_storable(item, depth - 1) for item in value)
    return True


def is_text(value: str) -> bool:
    """Whether `value` can be stored and sent as UTF-8: no NUL and no half of a surrogate pair."""
    if value.isascii():
        return "\0" not in value
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
