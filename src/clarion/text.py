"""Text that every database and every channel can hold."""

from __future__ import annotations


def is_text(value: str) -> bool:
    """Whether `value` can be stored and sent as UTF-8: no NUL and no half of a surrogate pair."""
    if "\0" in value:
        return False
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
