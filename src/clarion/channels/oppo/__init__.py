"""OPPO (and OnePlus, realme): OPPO PUSH, HTTP API for servers."""

from __future__ import annotations

from clarion.channels.oppo.client import OppoChannel, open_channel
from clarion.channels.oppo.receipts import RECEIPT_ANSWER, RECEIPT_URL_BYTES, parse_receipts
from clarion.channels.oppo.settings import OppoSettings, parse

__all__ = [
    "RECEIPT_ANSWER",
    "RECEIPT_URL_BYTES",
    "OppoChannel",
    "OppoSettings",
    "open_channel",
    "parse",
    "parse_receipts",
]
