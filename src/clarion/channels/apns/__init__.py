"""Apple Push Notification service, provider API over HTTP/2."""

from __future__ import annotations

from clarion.channels.apns.client import ApnsChannel, open_channel
from clarion.channels.apns.settings import ApnsSettings, parse

__all__ = ["ApnsChannel", "ApnsSettings", "open_channel", "parse"]
