"""Every error that FCM gives, and what becomes of the message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    PayloadError,
    RateLimited,
    Retry,
    SendOutcome,
    Unknown,
)
from clarion.channels.fcm.errors import CODES, STATUSES, is_unauthenticated, outcome
from clarion.clock import ManualClock
from clarion.http2.exchange import Answer, Fate

CLOCK = ManualClock()
NOW = CLOCK.now_ms()
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


def answered(
    http: int,
    status: str,
    code: str | None = None,
    *,
    fields: tuple[str, ...] = (),
    message: str = "As FCM says.",
    headers: dict[str, str] | None = None,
) -> Answer:
    details: list[dict[str, Any]] = [] if code is None else [{"@type": FCM_ERROR, "errorCode": code}]
    if fields:
        violations = [{"field": field, "description": "d"} for field in fields]
        details.append({"@type": BAD_REQUEST, "fieldViolations": violations})
    error = {"code": http, "status": status, "message": message, "details": details}
    pairs = tuple((name.encode(), text.encode()) for name, text in (headers or {}).items())
    return Answer(Fate.ANSWERED, http, pairs, json.dumps({"error": error}).encode())


def of(answer: Answer) -> SendOutcome:
    return outcome(answer, ("a-token", ""), CLOCK)


OWN: dict[str, tuple[int, str, type[SendOutcome]]] = {
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", PayloadError),
    "UNREGISTERED": (404, "NOT_FOUND", InvalidToken),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", InvalidToken),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", RateLimited),
    "UNAVAILABLE": (503, "UNAVAILABLE", Retry),
    "INTERNAL": (500, "INTERNAL", Retry),
    "UNSPECIFIED_ERROR": (500, "INTERNAL", Retry),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", ConfigError),
    "APNS_AUTH_ERROR": (401, "UNAUTHENTICATED", ConfigError),
}
FRONT_DOOR: dict[str, tuple[int, type[SendOutcome]]] = {
    "INVALID_ARGUMENT": (400, PayloadError),
    "UNAUTHENTICATED": (401, ConfigError),
    "PERMISSION_DENIED": (403, ConfigError),
    "NOT_FOUND": (404, ConfigError),
    "RESOURCE_EXHAUSTED": (429, RateLimited),
    "INTERNAL": (500, Retry),
    "UNAVAILABLE": (503, Retry),
    "DEADLINE_EXCEEDED": (504, Retry),
}


@pytest.mark.parametrize("code", OWN)
def test_fcm_s_own_codes(code: str) -> None:
    http, status, kind = OWN[code]
    found = of(answered(http, status, code))
    assert type(found) is kind
    assert not isinstance(found, Accepted)
    assert (found.code, found.text) == (code, "As FCM says.")


@pytest.mark.parametrize("status", FRONT_DOOR)
def test_google_s_statuses_without_fcm_s_detail(status: str) -> None:
    http, kind = FRONT_DOOR[status]
    found = of(answered(http, status))
    assert type(found) is kind
    assert not isinstance(found, Accepted)
    assert found.code == status


def test_the_tables_are_tested_whole() -> None:
    assert set(CODES) == set(OWN)
    assert set(STATUSES) == set(FRONT_DOOR)


@pytest.mark.parametrize(
    ("fields", "message", "kind"),
    [
        (("message.token",), "x", InvalidToken),
        (("message.android.ttl",), "x", PayloadError),
        (("message.android.ttl",), "The registration token", PayloadError),
        ((), "The registration token is not a valid FCM registration token", InvalidToken),
        ((), "Message is too big", PayloadError),
    ],
)
@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", None])
def test_whose_fault_an_invalid_argument_is(
    fields: tuple[str, ...], message: str, kind: type[SendOutcome], code: str | None
) -> None:
    assert type(of(answered(400, "INVALID_ARGUMENT", code, fields=fields, message=message))) is kind


@pytest.mark.parametrize(
    ("message", "headers", "seconds", "whole"),
    [
        ("Quota exceeded for messages per minute", {}, 60, True),
        ("Quota exceeded", {"retry-after": "90"}, 90, True),
        ("Exceeded the device message rate", {}, 60, False),
    ],
)
def test_quotas(message: str, headers: dict[str, str], seconds: int, whole: bool) -> None:
    found = of(answered(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", message=message, headers=headers))
    assert found == RateLimited(NOW + seconds * 1000, "QUOTA_EXCEEDED", message, whole)


def test_a_retry_waits_as_long_as_fcm_says() -> None:
    found = of(answered(503, "UNAVAILABLE", "UNAVAILABLE", headers={"retry-after": "11"}))
    assert isinstance(found, Retry)
    assert found.after == 11


@pytest.mark.parametrize(
    ("http", "kind"),
    [(400, PayloadError), (403, ConfigError), (409, ConfigError), (429, RateLimited), (500, Retry)],
)
def test_a_code_of_tomorrow_is_known_by_its_status(http: int, kind: type[SendOutcome]) -> None:
    found = of(answered(http, "X", "NEVER_HEARD_OF"))
    assert type(found) is kind
    assert not isinstance(found, Accepted)
    assert found.code == "NEVER_HEARD_OF"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"x"}', b'{"error":{"details":5}}', b"\xff"])
@pytest.mark.parametrize(
    ("http", "kind"), [(301, ConfigError), (404, ConfigError), (429, RateLimited), (502, Retry)]
)
def test_an_answer_that_is_not_google_s(http: int, kind: type[SendOutcome], body: bytes) -> None:
    assert type(of(Answer(Fate.ANSWERED, http, (), body))) is kind


def test_taken() -> None:
    assert of(Answer(Fate.ANSWERED, 200, (), b'{"name":"projects/p/messages/1"}')) == Accepted(
        "projects/p/messages/1"
    )


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b'{"name":5}'])
def test_an_answer_without_a_name_is_no_promise(body: bytes) -> None:
    assert isinstance(of(Answer(Fate.ANSWERED, 200, (), body)), Unknown)


@pytest.mark.parametrize("fate", [Fate.LOST, Fate.RESET, Fate.CANCELLED])
def test_what_may_have_been_carried_out_is_unknown(fate: Fate) -> None:
    assert of(Answer(fate, detail="why")) == Unknown("", "why")


def test_what_was_surely_not_carried_out_may_be_tried_again() -> None:
    assert of(Answer(Fate.UNPROCESSED, detail="why")) == Retry(None, "", "why")


def test_the_token_is_not_repeated() -> None:
    found = of(answered(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", message="bad a-token"))
    assert isinstance(found, PayloadError)
    assert found.text == "bad …"


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (answered(401, "UNAUTHENTICATED"), True),
        (Answer(Fate.ANSWERED, 401, (), b""), True),
        (answered(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), False),
        (answered(403, "PERMISSION_DENIED"), False),
        (Answer(Fate.LOST), False),
    ],
)
def test_what_asks_for_another_access_token(answer: Answer, asked: bool) -> None:
    assert is_unauthenticated(answer) is asked
