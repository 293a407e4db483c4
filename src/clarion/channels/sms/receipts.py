"""Callbacks of the SMS service: `SmsReport`, a JSON array of reports, one a number.

They bear no signature; the address that they come to has to be a secret. They may come twice, late, or before the
answer to the message. One that is not answered with `RECEIPT_ANSWER` comes again.

Source: Short Message Service, "SmsReport" (HTTP batch push).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from clarion.channels.base import Receipt, ReceiptKind, ReceiptRefused
from clarion.channels.outcomes import VENDOR_ZONE, scrub
from clarion.channels.sms.phones import normalised
from clarion.channels.sms.settings import SmsSettings

RECEIPT_ANSWER = b'{"code":0,"msg":"ok"}'
MAX_BODY = 4 << 20
MAX_REPORTS = 10_000

_NO_NUMBER = frozenset({"MOBILE_NUMBER_ILLEGAL", "INVALID_NUMBER"})
_FORM = "%Y-%m-%d %H:%M:%S"


class _Report(msgspec.Struct):
    phone_number: str
    success: bool
    biz_id: str
    report_time: str = ""
    err_code: str | None = None
    err_msg: str | None = None
    out_id: str | None = None


def parse_receipts(
    headers: Mapping[str, str],  # noqa: ARG001
    body: bytes,
    settings: SmsSettings,  # noqa: ARG001
    now: int,
) -> list[Receipt]:
    """What a callback tells.

    Args:
        headers: by lower-case name; the service has none of its own.
        body: as it came.
        settings: of the app that the address belongs to.
        now: time of reports that have none, ms.

    Raises:
        ReceiptRefused: it is no callback of the SMS service.
    """
    if len(body) > MAX_BODY:
        raise ReceiptRefused(f"a callback of over {MAX_BODY} bytes")
    try:
        reports = msgspec.json.decode(body, type=list[_Report])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReceiptRefused(f"no SmsReport: {error}") from None
    if len(reports) > MAX_REPORTS:
        raise ReceiptRefused(f"over {MAX_REPORTS} reports in one callback")
    return [_receipt(report, now) for report in reports]


def _receipt(report: _Report, now: int) -> Receipt:
    number = normalised(report.phone_number) or report.phone_number[:40]
    code = (report.err_code or "")[:80]
    if report.success:
        kind = ReceiptKind.ARRIVED
    else:
        kind = ReceiptKind.INVALID_TOKEN if code in _NO_NUMBER else ReceiptKind.FAILED
    text = scrub(report.err_msg or "", (number,)) or ("delivered" if report.success else "not delivered")
    at = _moment(report.report_time, now)
    return Receipt(report.biz_id[:128], number, kind, code, text, at, (report.out_id or "")[:255])


def _moment(text: str, otherwise: int) -> int:
    try:
        return int(datetime.strptime(text, _FORM).replace(tzinfo=VENDOR_ZONE).timestamp() * 1000)
    except (ValueError, OverflowError):
        return otherwise
