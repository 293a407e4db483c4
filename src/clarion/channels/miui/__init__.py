"""Xiaomi: MiPush, HTTP API for servers."""

from __future__ import annotations

from clarion.channels.miui.client import MiuiChannel, open_channel
from clarion.channels.miui.receipts import RECEIPT_ANSWER, RECEIPT_URL_BYTES, parse_receipts
from clarion.channels.miui.settings import MiuiSettings, parse

__all__ = [
    "RECEIPT_ANSWER",
    "RECEIPT_URL_BYTES",
    "MiuiChannel",
    "MiuiSettings",
    "open_channel",
    "parse",
    "parse_receipts",
]
