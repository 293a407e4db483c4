"""What comes of a call to a vendor; apart from the client, whose library takes long to load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from clarion.clock import Clock

_LONGEST_WAIT = 3_600.0


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer of whatever status.

    Attributes:
        status: HTTP status.
        headers: by lower-case name.
        body: at most `MAX_ANSWER` bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The JSON value of the body; None when it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def retry_after(self, clock: Clock) -> float | None:
        """Seconds that `Retry-After` asks to wait, from a number or a date, at most an hour; None when it is absent
        or odd."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), _LONGEST_WAIT)
        try:
            wait = parsedate_to_datetime(text).timestamp() - clock.now_ms() / 1000
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        return min(max(0.0, wait), _LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class HttpFailure:
    """No answer.

    Attributes:
        reached: whether the request may have reached the vendor, so that it may have been carried out.
        detail: why, for people; without secrets.
    """

    reached: bool
    detail: str
