"""Huawei: HMS Push Kit for Android, server API version 1."""

from __future__ import annotations

from clarion.channels.hms.client import HmsChannel, open_channel
from clarion.channels.hms.receipts import parse_receipts
from clarion.channels.hms.settings import HmsSettings, parse
from clarion.channels.huawei_receipts import RECEIPT_ANSWER, receipt_nonce

__all__ = [
    "RECEIPT_ANSWER",
    "HmsChannel",
    "HmsSettings",
    "open_channel",
    "parse",
    "parse_receipts",
    "receipt_nonce",
]
