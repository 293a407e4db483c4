"""Honor Push."""

from __future__ import annotations

from clarion.channels.honor.client import HonorChannel, open_channel
from clarion.channels.honor.receipts import parse_receipts
from clarion.channels.honor.settings import HonorSettings, parse
from clarion.channels.huawei_receipts import RECEIPT_ANSWER, receipt_nonce

__all__ = [
    "RECEIPT_ANSWER",
    "HonorChannel",
    "HonorSettings",
    "open_channel",
    "parse",
    "parse_receipts",
    "receipt_nonce",
]
