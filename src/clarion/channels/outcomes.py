"""From what vendors say to outcomes: how a code is treated, and what becomes of a call without a code. Pure.

Each vendor's folder has one table of `VendorCode`; the reference pages are made from these tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time, timedelta
from enum import Enum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from clarion.channels.answers import HttpAnswer, HttpFailure
from clarion.channels.base import (
    Accepted,
    Check,
    ConfigError,
    InvalidToken,
    NotRecallable,
    PayloadError,
    RateLimited,
    Recalled,
    RecallOutcome,
    RecallUnknown,
    Retry,
    SendOutcome,
    Unknown,
)
from clarion.clock import Clock

VENDOR_ZONE = ZoneInfo("Asia/Shanghai")
"""Where the vendors' days begin and end."""

MAX_TEXT = 300
_LONGEST_SAID = 8192
_PAUSE = 1.0
_CODE = re.compile(r"-?[0-9]{1,18}")
_WRITTEN = (int, str)  # how vendors write codes
_NAME = re.compile(r"[!-~]{1,256}")


class Treatment(Enum):
    """What a vendor's code means for a message."""

    ACCEPTED = "accepted"
    INVALID_TOKEN = "invalid_token"  # noqa: S105
    RETRY = "retry"
    RATE_LIMITED = "rate_limited"
    """For a moment."""
    DAY_QUOTA = "day_quota"
    """Until midnight where the vendor is."""
    PAYLOAD_ERROR = "payload_error"
    CONFIG_ERROR = "config_error"
    AUTH_REFRESH = "auth_refresh"
    """The access token is not good any more; once a new one is refused too, it is a `CONFIG_ERROR`."""


class VendorCode(NamedTuple):
    """A row of a vendor's table.

    Attributes:
        treatment: what it means for a message.
        meaning: in plain words, with what to change.
        seconds: of `RATE_LIMITED`, how long to wait when the vendor does not say.
    """

    treatment: Treatment
    meaning: str
    seconds: float = _PAUSE


UNLISTED = VendorCode(Treatment.PAYLOAD_ERROR, "the vendor refuses it, with a code that is not known here")
"""For codes that a vendor's table does not have."""


def rows(treatment: Treatment, meanings: Mapping[int, str], seconds: float = _PAUSE) -> dict[str, VendorCode]:
    """Rows of a table that are treated alike."""
    return {str(code): VendorCode(treatment, meaning, seconds) for code, meaning in meanings.items()}


def outcome_of(row: VendorCode, code: str, text: str, clock: Clock, vendor_id: str = "") -> SendOutcome:
    """The outcome of a message for which the vendor gave a code.

    Args:
        row: of the vendor's table.
        code: as the vendor gave it.
        text: what the vendor said; may be empty.
        clock: for limits.
        vendor_id: of a message that was taken.
    """
    text, now = text or row.meaning, clock.now_ms()
    match row.treatment:
        case Treatment.ACCEPTED:
            return Accepted(vendor_id)
        case Treatment.RATE_LIMITED:
            return RateLimited(now + int(row.seconds * 1000), code, text)
        case Treatment.DAY_QUOTA:
            return RateLimited(next_time(now, time(0)), code, text)
        case plain:
            return _PLAIN[plain](code=code, text=text)


def waiting(row: VendorCode, answer: HttpAnswer, clock: Clock) -> VendorCode:
    """The row, with the time that the answer asks to wait, if it does."""
    wait = answer.retry_after(clock)
    return row if wait is None else row._replace(seconds=max(wait, _PAUSE))


_PLAIN: Mapping[Treatment, Callable[..., SendOutcome]] = {
    Treatment.INVALID_TOKEN: InvalidToken,
    Treatment.RETRY: Retry,
    Treatment.PAYLOAD_ERROR: PayloadError,
    Treatment.CONFIG_ERROR: ConfigError,
    Treatment.AUTH_REFRESH: ConfigError,
}


def next_time(now_ms: int, of_day: time) -> int:
    """The next moment (ms) after `now_ms` at which it is this time of day where the vendors are."""
    now = datetime.fromtimestamp(now_ms / 1000, VENDOR_ZONE)
    then = datetime.combine(now.date(), of_day, VENDOR_ZONE)
    if then <= now:
        then += timedelta(days=1)
    return int(then.timestamp() * 1000)


def outcome_of_failure(failure: HttpFailure) -> Retry | Unknown:
    """The outcome of a call without an answer: unknown if it may have been carried out."""
    if failure.reached:
        return Unknown("", failure.detail)
    return Retry(None, "", failure.detail)


def outcome_of_status(answer: HttpAnswer, clock: Clock) -> SendOutcome:
    """The outcome of an answer that is none of the vendor's own, by its HTTP status."""
    code, wait = str(answer.status), answer.retry_after(clock)
    if answer.status == 429:
        seconds = max(wait or 0.0, _PAUSE)
        return RateLimited(clock.now_ms() + int(seconds * 1000), code, "too many requests")
    if answer.status >= 500:
        return Retry(wait, code, "the vendor's server failed")
    kind, text = _STATUSES.get(answer.status, (ConfigError, "no answer of this vendor; is baseUrl right?"))
    return kind(code=code, text=text)


_STATUSES: Mapping[int, tuple[Callable[..., SendOutcome], str]] = {
    200: (Unknown, "an answer that makes no sense"),
    401: (ConfigError, "the vendor refused the credentials"),
    403: (ConfigError, "the vendor refused the credentials"),
    408: (Retry, "the vendor waited too long for the request"),
    413: (PayloadError, "the request is too large"),
}


def answered(answer: HttpAnswer, member: str) -> tuple[str, dict[str, Any]] | None:
    """The vendor's code and its whole answer, or None if it is no answer of the vendor's own.

    Args:
        answer: as it came; the body of one that failed says nothing, nor does a success with another status.
        member: which member of the JSON object is the code; a number or a text.
    """
    if answer.status == 429 or answer.status >= 500:
        return None
    value = answer.json()
    code = code_of(value.get(member)) if isinstance(value, dict) else None
    if code is None or (answer.status >= 300 and code == "0"):
        return None
    return code, value


def code_of(value: Any) -> str | None:
    """A vendor's code, which is a number or the text of one; None if it is neither, as what echoes a request is."""
    text = str(value) if isinstance(value, _WRITTEN) and not isinstance(value, bool) else ""
    return text if _CODE.fullmatch(text) else None


def vendor_id_of(value: Any) -> str:
    """A vendor's name of a message: printable ASCII without blanks, at most 256; empty if it is none such."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else ""


def recall_outcome_of(outcome: SendOutcome) -> RecallOutcome:
    """The outcome of a call that takes a message back."""
    code, text = str(getattr(outcome, "code", "")), str(getattr(outcome, "text", ""))
    if isinstance(outcome, Accepted):
        return Recalled()
    if isinstance(outcome, Retry | RateLimited | Unknown):
        return RecallUnknown(code, text)
    return NotRecallable(code, text)


def check_of(outcome: SendOutcome, host: str) -> Check:
    """What the outcome of a call that reaches no device says of the credentials."""
    said = f"{getattr(outcome, 'code', '')} {getattr(outcome, 'text', '')}".strip()
    if isinstance(outcome, Accepted | RateLimited):
        return Check(ok=True, text=f"{host} takes the credentials")
    if isinstance(outcome, Retry | Unknown):
        return Check(ok=False, text=f"{host} cannot be asked: {said}", reached=False)
    return Check(ok=False, text=f"{host} does not take the credentials: {said}")


def scrub(text: object, secrets: Iterable[str]) -> str:
    """A vendor's text without secrets and device tokens, at most `MAX_TEXT` long; empty if it is no short text."""
    said = text if isinstance(text, str) and len(text) <= _LONGEST_SAID else ""
    for secret in secrets:
        if secret and secret in said:
            said = said.replace(secret, "…")
    return "".join(character if character.isprintable() else " " for character in said[:MAX_TEXT])
