"""Callbacks of vivo."""

from __future__ import annotations

import msgspec
import pytest

from clarion.channels.base import ReceiptKind, ReceiptRefused
from clarion.channels.vivo import parse, parse_receipts

SETTINGS = parse(b'{"appId":1,"appKey":"k","appSecret":"s"}')
NOW = 1_795_000_000_000


@pytest.mark.parametrize(
    ("kind", "expected"), [("0", ReceiptKind.ARRIVED), (0, ReceiptKind.ARRIVED), ("9", ReceiptKind.FAILED)]
)
def test_ack(kind: object, expected: ReceiptKind) -> None:
    body = msgspec.json.encode({"t1": {"param": "42", "targets": "r1,r2", "ackTime": NOW - 5, "ackType": kind}})
    receipts = parse_receipts({}, body, SETTINGS, NOW)
    assert [receipt.token for receipt in receipts] == ["r1", "r2"]
    assert (receipts[0].kind, receipts[0].vendor_id) == (expected, "t1")
    assert (receipts[0].at, receipts[0].tag) == (NOW - 5, "42")


def test_odd_acks_are_passed_over() -> None:
    body = b'{"a":1,"b":{},"c":{"targets":[]},"d":{"targets":"r","ackTime":true,"param":[]}}'
    (receipt,) = parse_receipts({}, body, SETTINGS, NOW)
    assert (receipt.token, receipt.at, receipt.tag) == ("r", NOW, "")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b" " * 2_000_000, b'{"t":{"targets":"' + b"r," * 10_001 + b'"}}'],
    ids=range(7),
)
def test_what_is_no_callback(body: bytes) -> None:
    with pytest.raises(ReceiptRefused):
        parse_receipts({}, body, SETTINGS, NOW)
