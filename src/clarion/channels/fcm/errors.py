"""What FCM's answers mean: by its own error code, else by the status of Google's APIs, else by HTTP status.

Source: Firebase, "ErrorCode" of the FCM v1 REST reference; Google Cloud APIs, "Errors".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import msgspec

from clarion.channels.base import Accepted, PayloadError, RateLimited, Retry, SendOutcome, Unknown
from clarion.channels.outcomes import Treatment, VendorCode, outcome_of, outcome_of_status, scrub, vendor_id_of
from clarion.channels.sender import as_http, outcome_without_answer
from clarion.clock import Clock
from clarion.http2.exchange import Answer, Fate

QUOTA_SECONDS = 60.0

_WRONG = VendorCode(Treatment.PAYLOAD_ERROR, "a field of the message is not good")
_QUOTA = VendorCode(Treatment.RATE_LIMITED, "the quota of the project or of the device is used up", QUOTA_SECONDS)
_FAILED = VendorCode(Treatment.RETRY, "FCM failed")
_AWAY = VendorCode(Treatment.RETRY, "FCM is overloaded or not available")

CODES: Mapping[str, VendorCode] = {
    "INVALID_ARGUMENT": _WRONG,
    "UNREGISTERED": VendorCode(Treatment.INVALID_TOKEN, "the app was removed, or its token has ended"),
    "SENDER_ID_MISMATCH": VendorCode(Treatment.INVALID_TOKEN, "the token belongs to another project's sender"),
    "QUOTA_EXCEEDED": _QUOTA,
    "UNAVAILABLE": _AWAY,
    "INTERNAL": _FAILED,
    "UNSPECIFIED_ERROR": _FAILED,
    "THIRD_PARTY_AUTH_ERROR": VendorCode(
        Treatment.CONFIG_ERROR, "the project's key for APNs or web push is wrong, or missing in Firebase"
    ),
    "APNS_AUTH_ERROR": VendorCode(
        Treatment.CONFIG_ERROR, "the project's key for APNs is wrong, or missing in Firebase"
    ),
}
"""By `errorCode` of FCM's own detail."""

STATUSES: Mapping[str, VendorCode] = {
    "INVALID_ARGUMENT": _WRONG,
    "UNAUTHENTICATED": VendorCode(Treatment.AUTH_REFRESH, "the access token is not good"),
    "PERMISSION_DENIED": VendorCode(
        Treatment.CONFIG_ERROR, "the service account may not send for this project, or its API is switched off"
    ),
    "NOT_FOUND": VendorCode(Treatment.CONFIG_ERROR, "there is no such project; the token is not to blame"),
    "RESOURCE_EXHAUSTED": _QUOTA,
    "UNAVAILABLE": _AWAY,
    "INTERNAL": _FAILED,
    "DEADLINE_EXCEEDED": _FAILED,
}
"""By `status` of Google's APIs, where FCM's own detail is missing."""

_BAD_TOKEN = VendorCode(Treatment.INVALID_TOKEN, "it is no token of FCM")
_TOKEN_FIELD = "message.token"  # noqa: S105 - a name
_WORD = re.compile("[A-Z_]{1,64}")
_TOKEN_TEXT = "registration token"  # noqa: S105 - words of an error


class _Violation(msgspec.Struct):
    field: str = ""


class _Detail(msgspec.Struct, rename="camel"):
    error_code: str = ""
    field_violations: list[_Violation] = []


class _Error(msgspec.Struct):
    status: str = ""
    message: str = ""
    details: list[_Detail] = []


class _Refused(msgspec.Struct):
    error: _Error


class _Taken(msgspec.Struct):
    name: str


_taken = msgspec.json.Decoder(_Taken)


class Problem(NamedTuple):
    """What FCM said of a message that it did not take.

    Attributes:
        code: FCM's own, or else the status of Google's APIs.
        row: what it means; None for one that the tables do not have.
        text: FCM's own words.
    """

    code: str
    row: VendorCode | None
    text: str


def problem_of(answer: Answer) -> Problem | None:
    """What FCM said; None if it is no answer of Google's."""
    try:
        error = msgspec.convert(as_http(answer).json(), _Refused).error
    except msgspec.ValidationError:
        return None
    own = next((detail.error_code for detail in error.details if _WORD.fullmatch(detail.error_code)), "")
    status = error.status if _WORD.fullmatch(error.status) else ""
    row = CODES.get(own) if own else STATUSES.get(status)
    if row is _WRONG and _is_of_token(error):
        row = _BAD_TOKEN
    return Problem(own or status, row, error.message)


def _is_of_token(error: _Error) -> bool:
    fields = [violation.field for detail in error.details for violation in detail.field_violations]
    return _TOKEN_FIELD in fields or (not fields and _TOKEN_TEXT in error.message)


def is_unauthenticated(answer: Answer) -> bool:
    """Whether it is the access token alone that was wrong."""
    if answer.status != 401:
        return False
    problem = problem_of(answer)
    return problem is None or (problem.row is not None and problem.row.treatment is Treatment.AUTH_REFRESH)


def outcome(answer: Answer, secrets: Iterable[str], clock: Clock) -> SendOutcome:
    """The outcome of a message.

    Args:
        answer: FCM's.
        secrets: the device's token and the access token, which do not appear in the outcome.
        clock: for limits.
    """
    if answer.fate is not Fate.ANSWERED:
        return outcome_without_answer(answer)
    if answer.status == 200:
        return _accepted(answer)
    http, problem = as_http(answer), problem_of(answer)
    if problem is None:
        return outcome_of_status(http, clock)
    wait, text = http.retry_after(clock), scrub(problem.text, secrets)
    found = _unlisted(answer, problem, clock)
    if problem.row is not None:
        found = outcome_of(problem.row, problem.code, text, clock)
    match found:
        case Retry():
            found = replace(found, after=wait)
        case RateLimited():
            until = found.until if wait is None else clock.now_ms() + int(wait * 1000)
            found = replace(found, until=until, whole="device" not in text.lower())
    return found


def _accepted(answer: Answer) -> SendOutcome:
    try:
        name = vendor_id_of(_taken.decode(answer.body).name)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        name = ""
    return Accepted(name) if name else Unknown("200", "an answer that makes no sense")


def _unlisted(answer: Answer, problem: Problem, clock: Clock) -> SendOutcome:
    if answer.status == 400:
        return PayloadError(problem.code or "400", "FCM does not take it")
    found = outcome_of_status(as_http(answer), clock)
    return found if isinstance(found, Accepted) or not problem.code else replace(found, code=problem.code)
