"""Huawei: HMS Push Kit for Android, server API version 1."""

from __future__ import annotations

from clarion.channels.hms.client import HmsChannel, open_channel
from clarion.channels.hms.receipts import parse_receipts
from clarion.channels.hms.settings import HmsSettings, parse

__all__ = ["HmsChannel", "HmsSettings", "open_channel", "parse", "parse_receipts"]
