"""Callbacks of HarmonyOS Push Kit: version 2 of the receipts."""

from __future__ import annotations

from collections.abc import Mapping

from clarion.channels.base import Receipt
from clarion.channels.harmony.settings import HarmonySettings
from clarion.channels.huawei_receipts import STATUSES, authenticate, receipt, statuses, word


def parse_receipts(headers: Mapping[str, str], body: bytes, settings: HarmonySettings, now: int) -> list[Receipt]:
    """What a callback tells; messages of other apps and those without a token or result are left out.

    Args:
        headers: by name in any case.
        body: JSON.
        settings: of the channel; with `receiptUser` and `receiptKey` the callback must be signed with them.
        now: time, ms.

    Raises:
        ReceiptRefused: it is not Huawei's, too old, too long, or of another form.
    """
    authenticate(headers, settings.receipt_user, settings.receipt_key, now)
    found = []
    for item in statuses(body):
        delivery = item.get("deliveryStatus")
        if isinstance(delivery, dict) and word(item.get("appPackageName")) in ("", settings.bundle_name):
            found.append(receipt(item, delivery.get("result"), delivery.get("timestamp"), STATUSES, now))
    return [it for it in found if it is not None]
