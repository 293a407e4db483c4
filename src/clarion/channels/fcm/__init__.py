"""Firebase Cloud Messaging, HTTP v1 API over HTTP/2."""

from __future__ import annotations

from clarion.channels.fcm.client import FcmChannel, open_channel
from clarion.channels.fcm.settings import FcmSettings, parse

__all__ = ["FcmChannel", "FcmSettings", "open_channel", "parse"]
