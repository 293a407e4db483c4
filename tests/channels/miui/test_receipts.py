"""Callbacks of Xiaomi."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec
import pytest

from clarion.channels.base import ReceiptKind, ReceiptRefused
from clarion.channels.miui import parse, parse_receipts

SETTINGS = parse(b'{"packageName":"p","appSecret":"s"}')
NOW = 1_795_000_000_000


def callback(**report: object) -> bytes:
    return urlencode({"data": msgspec.json.encode({"scm1": report}).decode()}).encode()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (1, ReceiptKind.ARRIVED),
        (2, ReceiptKind.ARRIVED),
        (3, ReceiptKind.ARRIVED),
        ("16", ReceiptKind.INVALID_TOKEN),
        (32, ReceiptKind.MUTED),
        (64, ReceiptKind.FAILED),
        (128, ReceiptKind.FAILED),
        (1024, ReceiptKind.FAILED),
    ],
)
def test_kind(kind: object, expected: ReceiptKind) -> None:
    body = callback(type=kind, targets="r1, r2,", timestamp=NOW - 5, param="42")
    receipts = parse_receipts({}, body, SETTINGS, NOW)
    assert [receipt.token for receipt in receipts] == ["r1", "r2"]
    first = receipts[0]
    assert (first.kind, first.vendor_id, first.code) == (expected, "scm1", str(kind))
    assert (first.at, first.tag) == (NOW - 5, "42")
    assert "r1" not in repr(first)


@pytest.mark.parametrize("kind", [0, 2048, None, "x", [], {}])
def test_kinds_that_are_not_known_say_nothing(kind: object) -> None:
    assert parse_receipts({}, callback(type=kind, targets="r1"), SETTINGS, NOW) == []


def test_odd_reports_are_passed_over() -> None:
    body = urlencode({"data": '{"a":7,"b":{"type":1,"targets":5},"c":{"type":1,"targets":"r","timestamp":"x"}}'})
    (receipt,) = parse_receipts({}, body.encode(), SETTINGS, NOW)
    assert (receipt.token, receipt.at) == ("r", NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"data=",
        b"data=[]",
        b"data=%5B",
        b"\xff\xfe",
        b"x=1",
        b"data=" + b"[" * 100_000,
        b"data=" + b"1" * 2_000_000,
        b"&".join(b"a%d=1" % number for number in range(50)),
        callback(type=1, targets=",".join(f"r{number}" for number in range(10_001))),
    ],
    ids=range(10),
)
def test_what_is_no_callback(body: bytes) -> None:
    with pytest.raises(ReceiptRefused):
        parse_receipts({}, body, SETTINGS, NOW)
