"""Callbacks of OPPO."""

from __future__ import annotations

import msgspec
import pytest

from clarion.channels.base import ReceiptKind, ReceiptRefused
from clarion.channels.oppo import parse, parse_receipts

SETTINGS = parse(b'{"appKey":"k","masterSecret":"s"}')
NOW = 1_795_000_000_000


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("push_arrive", ReceiptKind.ARRIVED),
        ("regid_invalid", ReceiptKind.INVALID_TOKEN),
        ("user_daily_limit", ReceiptKind.FAILED),
        ("something_new", ReceiptKind.FAILED),
    ],
)
def test_event(event: str, expected: ReceiptKind) -> None:
    told = {
        "messageId": "m1",
        "appId": "a",
        "taskId": "t",
        "registrationIds": "r1,r2",
        "eventTime": str(NOW - 5),
        "param": "42",
        "eventType": event,
    }
    receipts = parse_receipts({}, msgspec.json.encode([told]), SETTINGS, NOW)
    assert [receipt.token for receipt in receipts] == ["r1", "r2"]
    assert (receipts[0].kind, receipts[0].vendor_id, receipts[0].code) == (expected, "m1", event)
    assert (receipts[0].at, receipts[0].tag) == (NOW - 5, "42")


def test_odd_events_are_passed_over() -> None:
    body = b'[7,{},{"eventType":[]},{"eventType":"push_arrive"},{"eventType":"push_arrive","registrationIds":"r"}]'
    (receipt,) = parse_receipts({}, body, SETTINGS, NOW)
    assert (receipt.token, receipt.at, receipt.vendor_id, receipt.tag) == ("r", NOW, "", "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[",
        b"\xff",
        b"[" * 100_000,
        b" " * 2_000_000,
        msgspec.json.encode([{"eventType": "push_arrive", "registrationIds": "r," * 10_001}]),
    ],
    ids=range(7),
)
def test_what_is_no_callback(body: bytes) -> None:
    with pytest.raises(ReceiptRefused):
        parse_receipts({}, body, SETTINGS, NOW)
