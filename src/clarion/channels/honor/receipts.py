"""Callbacks of Honor.

Honor does not say how its callbacks prove where they come from: keep their address secret.
"""

from __future__ import annotations

from collections.abc import Mapping

from clarion.channels.base import Receipt, ReceiptKind
from clarion.channels.honor.settings import HonorSettings
from clarion.channels.huawei_receipts import Meaning, authenticate, receipts_of

STATUSES: Mapping[int, Meaning] = {
    40000000: Meaning(ReceiptKind.WAITING, "kept until the device can be reached"),
    40000001: Meaning(ReceiptKind.ARRIVED, "the data message arrived"),
    40000002: Meaning(ReceiptKind.ARRIVED, "the notification arrived"),
    40000003: Meaning(ReceiptKind.INVALID_TOKEN, "the app is not installed any more"),
    40000004: Meaning(ReceiptKind.INVALID_TOKEN, "the device does not know the token"),
    40000005: Meaning(ReceiptKind.MUTED, "the notification was not shown"),
    40000006: Meaning(ReceiptKind.MUTED, "the app is disabled on the device"),
    40000008: Meaning(ReceiptKind.FAILED, "the device does not take this kind of message"),
    40000009: Meaning(ReceiptKind.FAILED, "a repeated message, or too many for this device"),
    40000011: Meaning(ReceiptKind.FAILED, "the page that a tap opens is not there"),
    40000013: Meaning(ReceiptKind.WAITING, "held back while the screen is off"),
    40000014: Meaning(ReceiptKind.FAILED, "another user is signed in on the device"),
    40000015: Meaning(ReceiptKind.FAILED, "the notification could not be shown"),
}
"""What Honor reports."""


def parse_receipts(headers: Mapping[str, str], body: bytes, settings: HonorSettings, now: int) -> list[Receipt]:
    """What a callback tells; messages of other apps and those without a token or status are left out.

    Args:
        headers: by name in any case.
        body: JSON.
        settings: of the channel; with `receiptUser` and `receiptKey` the callback must be signed with them.
        now: time, ms.

    Raises:
        ReceiptRefused: it is not of this form, too long, or not signed although it should be.
    """
    authenticate(headers, settings.receipt_user, settings.receipt_key, now)
    return receipts_of(body, STATUSES, settings.app_id, now)
