"""vivo (and iQOO): vivo Push, HTTP API for servers."""

from __future__ import annotations

from clarion.channels.vivo.client import VivoChannel, open_channel
from clarion.channels.vivo.receipts import RECEIPT_ANSWER, RECEIPT_URL_BYTES, parse_receipts
from clarion.channels.vivo.settings import VivoSettings, parse

__all__ = [
    "RECEIPT_ANSWER",
    "RECEIPT_URL_BYTES",
    "VivoChannel",
    "VivoSettings",
    "open_channel",
    "parse",
    "parse_receipts",
]
