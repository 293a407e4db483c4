"""`SmsReport`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from clarion.channels.base import Receipt, ReceiptKind, ReceiptRefused
from clarion.channels.sms import RECEIPT_ANSWER, parse, parse_receipts

SETTINGS = parse(b'{"accessKeyId":"LTAI1","accessKeySecret":"s"}')
NOW = 1_795_000_000_000
REPORT = {
    "phone_number": "8613800138000",
    "send_time": "2026-11-23 10:00:00",
    "report_time": "2026-11-23 10:00:05",
    "success": True,
    "err_code": "DELIVERED",
    "err_msg": "用户接收成功",
    "sms_size": "1",
    "biz_id": "9012^0",
    "out_id": "247462019071745",
}


def read(*reports: Any) -> list[Receipt]:
    return parse_receipts({}, json.dumps(reports).encode(), SETTINGS, NOW)


def test_reports() -> None:
    at = int(datetime(2026, 11, 23, 2, 0, 5, tzinfo=UTC).timestamp() * 1000)
    failed = {**REPORT, "success": False, "err_code": "MOBILE_NOT_ON_SERVICE", "err_msg": None, "out_id": None}
    nobody = {**failed, "err_code": "INVALID_NUMBER", "err_msg": "13800138000 is none", "report_time": "soon"}
    assert read(REPORT, failed, nobody) == [
        Receipt("9012^0", "13800138000", ReceiptKind.ARRIVED, "DELIVERED", "用户接收成功", at, "247462019071745"),
        Receipt("9012^0", "13800138000", ReceiptKind.FAILED, "MOBILE_NOT_ON_SERVICE", "not delivered", at),
        Receipt("9012^0", "13800138000", ReceiptKind.INVALID_TOKEN, "INVALID_NUMBER", "… is none", NOW),
    ]
    assert read() == []
    assert json.loads(RECEIPT_ANSWER) == {"code": 0, "msg": "ok"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b"[{}]",
        b"\xff",
        b"[" * 100_000,
        json.dumps([{**REPORT, "success": "yes"}]).encode(),
        json.dumps([REPORT] * 10_001).encode(),
        b" " * (4 << 20) + b"[]",
    ],
    ids=["empty", "object", "number", "no members", "bytes", "deep", "kind", "many", "long"],
)
def test_what_is_no_report(body: bytes) -> None:
    with pytest.raises(ReceiptRefused):
        parse_receipts({}, body, SETTINGS, NOW)
