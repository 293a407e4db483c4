"""JSON maps as callers really send them.

The published Python sample passes a `dict`, which its SDK sends as `{'name': 'Bob'}`; the original service reads
that. So: strict JSON first, then Python's own literals, and nothing else.
"""

from __future__ import annotations

import ast
import math
import warnings
from typing import Any

import msgspec

from clarion.text import is_text

MAX_DEPTH = 32
MAX_LITERAL = 65_536
"""Most characters of a Python literal, which costs far more to read than JSON."""

MAX_BITS = 1024
"""Largest whole number of a Python literal; JSON's own are bounded by its decoder."""

_decode = msgspec.json.Decoder().decode


def parse_map(text: str) -> dict[str, Any] | None:
    """The map that `text` is, or None when it is none. Keys are text; values are JSON values."""
    value = parse_value(text)
    return value if isinstance(value, dict) else None


def parse_value(text: str) -> Any:
    """The JSON value or Python literal that `text` is; None when it is neither (or is null)."""
    value = _parse(text)
    return value if _is_harmless(text) or _storable(value, MAX_DEPTH) else None


def _parse(text: str) -> Any:
    try:
        return _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        pass
    if "'" not in text or len(text) > MAX_LITERAL:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's opinions on the caller's text
            literal = ast.literal_eval(text.strip())
        return _plain(literal, MAX_DEPTH)
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
        return {str(_plain_key(key)): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError("not a number of JSON")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise TypeError("a number that no channel can hold")
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(type(value).__name__)


def _plain_key(key: Any) -> Any:
    if isinstance(key, str | int | float):
        return _plain(key, 1)
    raise TypeError(type(key).__name__)


def _is_harmless(text: str) -> bool:
    """Whether the value of `text` must be storable: without an escape no NUL and no lone surrogate gets through
    `_parse`, and what has so few brackets is not too deep."""
    return "\\" not in text and sum(map(text.count, "[{(")) <= MAX_DEPTH


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
