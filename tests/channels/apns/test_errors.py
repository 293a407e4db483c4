"""Every reason that Apple gives, and what becomes of the notification."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from clarion.channels.apns.errors import REASONS, is_expired, outcome
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
from clarion.clock import ManualClock
from clarion.http2.exchange import OK, Answer, Fate
from clarion.simulators.apns.reasons import STATUSES

CLOCK = ManualClock()
NOW = CLOCK.now_ms()


def answered(status: int, reason: str | None, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    body = b"" if reason is None else json.dumps({"reason": reason, **more}).encode()
    pairs = tuple((name.encode(), value.encode()) for name, value in (headers or {}).items())
    return Answer(Fate.ANSWERED, status, pairs, body)


def of(answer: Answer) -> SendOutcome:
    return outcome(answer, "an-id", CLOCK)


TABLE: dict[str, type[SendOutcome]] = {
    "BadCollapseId": PayloadError,
    "BadDeviceToken": InvalidToken,
    "BadExpirationDate": PayloadError,
    "BadMessageId": PayloadError,
    "BadPriority": PayloadError,
    "BadTopic": ConfigError,
    "DeviceTokenNotForTopic": InvalidToken,
    "DuplicateHeaders": PayloadError,
    "IdleTimeout": Retry,
    "InvalidPushType": PayloadError,
    "MissingDeviceToken": PayloadError,
    "MissingTopic": ConfigError,
    "PayloadEmpty": PayloadError,
    "TopicDisallowed": ConfigError,
    "BadCertificate": ConfigError,
    "BadCertificateEnvironment": ConfigError,
    "BadEnvironmentKeyIdInToken": ConfigError,
    "ExpiredProviderToken": ConfigError,
    "Forbidden": ConfigError,
    "InvalidProviderToken": ConfigError,
    "MissingProviderToken": ConfigError,
    "UnrelatedKeyIdInToken": ConfigError,
    "BadPath": PayloadError,
    "MethodNotAllowed": PayloadError,
    "ExpiredToken": InvalidToken,
    "Unregistered": InvalidToken,
    "PayloadTooLarge": PayloadError,
    "TooManyProviderTokenUpdates": RateLimited,
    "TooManyRequests": RateLimited,
    "InternalServerError": Retry,
    "ServiceUnavailable": Retry,
    "Shutdown": Retry,
}


@pytest.mark.parametrize("reason", sorted(STATUSES))
def test_every_reason(reason: str) -> None:
    found = of(answered(STATUSES[reason], reason))
    assert type(found) is TABLE[reason]
    assert not isinstance(found, Accepted)
    assert found.code == reason
    assert found.text == REASONS[reason].meaning != ""


def test_the_table_has_no_reason_that_there_is_not() -> None:
    assert set(REASONS) == set(STATUSES) == set(TABLE)


def test_taken() -> None:
    assert of(OK) == Accepted("an-id")


@pytest.mark.parametrize(
    ("said", "since"), [(NOW - 5, NOW - 5), (None, None), ("x", None), (-1, None), (1.5, None)]
)
def test_since_when_a_token_is_not_good(said: object, since: int | None) -> None:
    found = of(answered(410, "Unregistered", timestamp=said))
    assert isinstance(found, InvalidToken)
    assert found.since == since
    assert of(answered(410, "NeverHeardOf", timestamp=said)) == replace(
        found, code="NeverHeardOf", text="the token is not good any more"
    )


@pytest.mark.parametrize(
    ("reason", "headers", "seconds", "whole"),
    [
        ("TooManyRequests", {}, 60, False),
        ("TooManyRequests", {"retry-after": "7"}, 7, False),
        ("TooManyProviderTokenUpdates", {}, 300, True),
    ],
)
def test_limits(reason: str, headers: dict[str, str], seconds: int, whole: bool) -> None:
    found = of(answered(429, reason, headers))
    assert found == RateLimited(NOW + seconds * 1000, reason, REASONS[reason].meaning, whole)


def test_a_retry_waits_as_long_as_apple_says() -> None:
    assert of(answered(503, "ServiceUnavailable", {"retry-after": "9"})) == Retry(
        9.0, "ServiceUnavailable", REASONS["ServiceUnavailable"].meaning
    )
    assert of(answered(503, "Shutdown")) == Retry(None, "Shutdown", REASONS["Shutdown"].meaning)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, PayloadError), (403, ConfigError), (404, PayloadError), (408, Retry), (410, InvalidToken),
        (413, PayloadError), (429, RateLimited), (500, Retry), (502, Retry), (503, Retry),
    ],
)  # fmt: skip
def test_a_reason_of_tomorrow_is_known_by_its_status(status: int, kind: type[SendOutcome]) -> None:
    found = of(answered(status, "NeverHeardOf"))
    assert type(found) is kind
    assert not isinstance(found, Accepted)
    assert found.code == "NeverHeardOf"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ConfigError),
        (400, ConfigError),
        (403, ConfigError),
        (404, ConfigError),
        (410, ConfigError),
        (429, RateLimited),
        (502, Retry),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"reason":5}', b"\xff", b"[" * 5000])
def test_an_answer_that_is_not_apple_s(status: int, kind: type[SendOutcome], body: bytes) -> None:
    assert type(of(Answer(Fate.ANSWERED, status, (), body))) is kind


@pytest.mark.parametrize("fate", [Fate.LOST, Fate.RESET, Fate.CANCELLED])
def test_what_may_have_been_carried_out_is_unknown(fate: Fate) -> None:
    assert of(Answer(fate, detail="why")) == Unknown("", "why")


def test_what_was_surely_not_carried_out_may_be_tried_again() -> None:
    assert of(Answer(Fate.UNPROCESSED, detail="why")) == Retry(None, "", "why")


def test_only_one_reason_asks_for_another_provider_token() -> None:
    asking = {reason for reason in STATUSES if is_expired(answered(STATUSES[reason], reason))}
    assert asking == {"ExpiredProviderToken"}
