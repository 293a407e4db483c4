from __future__ import annotations

import hashlib
import hmac

import msgspec
import pytest

from clarion.link.reporting import (
    MAX_EVENTS,
    ReportedEvent,
    ReportedKind,
    ReportFault,
    ReportRequest,
    sign_report,
    verify_report,
)

SECRET = b"device-secret"
NOW = 1_795_000_000_000
EVENTS = [
    ReportedEvent(ReportedKind.ARRIVE, msg_key="order 1", at=NOW),
    ReportedEvent(ReportedKind.OPEN, id="42"),
]


def request(**changes: object) -> ReportRequest:
    signature = sign_report(SECRET, "A", "W", "token", EVENTS, timestamp=NOW, nonce="12345678")
    fields = {"appId": "A", "workspaceId": "W", "token": "token", "timestamp": NOW, "nonce": "12345678"}
    events = msgspec.to_builtins(EVENTS)
    return msgspec.convert({**fields, "events": events, "signature": signature, **changes}, ReportRequest)


def test_signature_is_the_documented_one() -> None:
    told = f"arrive\n\norder 1\n{NOW}\nopen\n42\n\n"
    digest = hashlib.sha256(told.encode()).hexdigest()
    text = f"clarion-report-v1\nA\nW\ntoken\n{NOW}\n12345678\n{digest}"
    assert request().signature == hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("skew", [0, 15 * 60_000, -15 * 60_000])
def test_genuine_within_a_quarter_of_an_hour(skew: int) -> None:
    assert verify_report(request(), SECRET, NOW + skew) is None


@pytest.mark.parametrize("skew", [15 * 60_000 + 1, -15 * 60_000 - 1])
def test_expired(skew: int) -> None:
    assert verify_report(request(), SECRET, NOW + skew) is ReportFault.EXPIRED


@pytest.mark.parametrize(
    "change",
    [
        {"appId": "B"},
        {"workspaceId": "V"},
        {"token": "other"},
        {"timestamp": NOW + 1},
        {"nonce": "12345679"},
        {"signature": "é" * 64},
        {"events": [{"kind": "open", "id": "42"}]},
        {"events": [{"kind": "arrive", "msgKey": "order 1", "at": NOW}, {"kind": "open", "id": "43"}]},
        {"events": [{"kind": "arrive", "msgKey": "order 1", "at": NOW}, {"kind": "open", "msgKey": "42"}]},
        {"events": [{"kind": "arrive", "msgKey": "order 1"}, {"kind": "open", "id": "42", "at": NOW}]},
    ],
)
def test_any_change_breaks_the_signature(change: dict[str, object]) -> None:
    assert verify_report(request(**change), SECRET, NOW) is ReportFault.BAD_SIGNATURE


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "click", "id": "42"},
        {"kind": "open"},
        {"kind": "open", "id": "42", "msgKey": "order 1"},
        {"kind": "open", "id": ""},
        {"kind": "open", "id": "4x"},
        {"kind": "open", "id": "42\n"},
        {"kind": "open", "id": "1" * 17},
        {"kind": "open", "msgKey": ""},
        {"kind": "open", "msgKey": "a\nb"},
        {"kind": "open", "msgKey": "k" * 257},
        {"kind": "open", "id": "42", "at": -1},
    ],
)
def test_malformed_event(event: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        request(events=[event])


def test_number_of_events() -> None:
    event = {"kind": "open", "id": "42"}
    assert len(request(events=[event] * MAX_EVENTS).events) == MAX_EVENTS
    for count in (0, MAX_EVENTS + 1):
        with pytest.raises(msgspec.ValidationError):
            request(events=[event] * count)
