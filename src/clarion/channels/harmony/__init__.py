"""HarmonyOS (5 and later): Push Kit, server API version 3."""

from __future__ import annotations

from clarion.channels.harmony.client import HarmonyChannel, open_channel
from clarion.channels.harmony.receipts import parse_receipts
from clarion.channels.harmony.settings import HarmonySettings, parse
from clarion.channels.huawei_receipts import RECEIPT_ANSWER, receipt_nonce

__all__ = [
    "RECEIPT_ANSWER",
    "HarmonyChannel",
    "HarmonySettings",
    "open_channel",
    "parse",
    "parse_receipts",
    "receipt_nonce",
]
