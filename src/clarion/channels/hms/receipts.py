"""Callbacks of Huawei: version 1 of the receipts."""

from __future__ import annotations

from collections.abc import Mapping

from clarion.channels.base import Receipt
from clarion.channels.hms.settings import HmsSettings
from clarion.channels.huawei_receipts import STATUSES, authenticate, receipts_of


def parse_receipts(headers: Mapping[str, str], body: bytes, settings: HmsSettings, now: int) -> list[Receipt]:
    """What a callback tells; messages of other apps and those without a token or status are left out.

    Args:
        headers: by name in any case.
        body: JSON.
        settings: of the channel; with `receiptUser` and `receiptKey` the callback must be signed with them.
        now: time, ms.

    Raises:
        ReceiptRefused: it is not Huawei's, too old, too long, or of another form.
    """
    authenticate(headers, settings.receipt_user, settings.receipt_key, now)
    return receipts_of(body, STATUSES, settings.app_id, now)
