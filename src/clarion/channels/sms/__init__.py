"""Short messages through Alibaba Cloud Short Message Service, API version 2017-05-25."""

from __future__ import annotations

from clarion.channels.sms.client import SmsChannel, open_channel
from clarion.channels.sms.receipts import RECEIPT_ANSWER, parse_receipts
from clarion.channels.sms.settings import SmsSettings, parse

__all__ = ["RECEIPT_ANSWER", "SmsChannel", "SmsSettings", "open_channel", "parse", "parse_receipts"]
