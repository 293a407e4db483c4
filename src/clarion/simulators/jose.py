"""Base64url as JSON web tokens have it: RFC 7515, section 2."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode

_TEXT = re.compile(r"[A-Za-z0-9_-]*")


def base64url(text: str) -> bytes:
    """Decode; no padding, no other characters.

    Raises:
        ValueError: it is not base64url.
    """
    if not _TEXT.fullmatch(text):
        raise ValueError("not base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
