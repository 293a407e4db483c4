"""Callbacks of Xiaomi: a form with one field, `data`, a JSON object of reports by message id. Pure.

They bear no signature; the address that they come to has to be a secret. They may come twice, late, or before the
answer to the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from clarion.channels.base import Receipt, ReceiptKind, ReceiptRefused
from clarion.channels.miui.errors import RECEIPTS
from clarion.channels.miui.settings import MiuiSettings
from clarion.channels.reports import MAX_BODY, bounded, decoded, moment, receipts_of, word, words

_KINDS = {
    1: ReceiptKind.ARRIVED,
    2: ReceiptKind.ARRIVED,  # who taps a message has it
    16: ReceiptKind.INVALID_TOKEN,
    32: ReceiptKind.MUTED,
}

RECEIPT_ANSWER = b'{"code":0}'
"""Any answer with HTTP 200 will do."""
RECEIPT_URL_BYTES = 128
"""Longest address, which each message tells."""


def parse_receipts(
    headers: Mapping[str, str],  # noqa: ARG001
    body: bytes,
    settings: MiuiSettings,  # noqa: ARG001
    now: int,
) -> list[Receipt]:
    """What a callback tells.

    Args:
        headers: of the request; Xiaomi has none of its own.
        body: as it came.
        settings: of the app that the address belongs to.
        now: the time of reports that have none, ms.

    Raises:
        ReceiptRefused: it is no callback of Xiaomi.
    """
    if len(body) > MAX_BODY:
        raise ReceiptRefused(f"a callback of over {MAX_BODY} bytes")
    try:
        fields = dict(parse_qsl(body.decode(), max_num_fields=16, errors="strict"))
    except ValueError:
        raise ReceiptRefused("a callback that is no form") from None
    reports = decoded(fields.get("data", ""))
    if not isinstance(reports, dict):
        raise ReceiptRefused("a callback whose data is no map of message ids")
    receipts: list[Receipt] = []
    for vendor_id, report in reports.items():
        kind = report.get("type") if isinstance(report, dict) else None
        if isinstance(kind, str) and kind.isdigit() and len(kind) < 6:
            kind = int(kind)
        # Of a sum, the lowest bit that is known decides: who has a message cannot have missed it.
        known = [bit for bit in RECEIPTS if isinstance(kind, int) and kind & bit]
        if not known:
            continue
        receipts += receipts_of(
            word(vendor_id),
            words(report.get("targets")),
            _KINDS.get(known[0], ReceiptKind.FAILED),
            str(kind),
            RECEIPTS[known[0]],
            moment(report.get("timestamp"), now),
            word(report.get("param")),
        )
    return bounded(receipts)
