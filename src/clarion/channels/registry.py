"""The channels and platforms by name, with the numbers and words that the API has for them.

Source: the codes of PushReport (`OsType`, `ThirdChannel`) and the words of PushQueryDeviceState (`Manufacturer`).
Codes without a published meaning (Honor, HarmonyOS) are this server's choice.
"""

from __future__ import annotations

from enum import Enum


class Channel(Enum):
    """A way to a device: `(name, ThirdChannel code, Manufacturer word)`."""

    LINK = "link", 0, "android"
    APNS = "apns", 2, "ios"
    MIUI = "miui", 4, "miui"
    HMS = "hms", 5, "hms"
    FCM = "fcm", 6, "fcm"
    OPPO = "oppo", 7, "oppo"
    VIVO = "vivo", 8, "vivo"
    HONOR = "honor", 9, "honor"
    HARMONY = "harmony", 10, "harmonyos"

    def __init__(self, label: str, third_channel: int, manufacturer: str) -> None:
        self.label = label
        self.third_channel = third_channel
        self.manufacturer = manufacturer


BY_LABEL = {channel.label: channel for channel in Channel}
WITHOUT_LINK = frozenset({Channel.APNS, Channel.HARMONY})
"""Channels of systems whose devices seldom keep a connection of their own: what the vendor does not take is not
expected to arrive over the own link."""

BY_THIRD_CHANNEL = {channel.third_channel: channel for channel in Channel}


class Platform(Enum):
    """A device's system: `(name in answers, OsType codes)`."""

    ANDROID = "android", (1,)
    IOS = "ios", (2,)
    HARMONY = "harmonyos", (7, 3)

    def __init__(self, label: str, os_types: tuple[int, ...]) -> None:
        self.label = label
        self.os_types = os_types


BY_OS_TYPE = {code: platform for platform in Platform for code in platform.os_types}
PLATFORMS = {platform.label: platform for platform in Platform} | {"harmony": Platform.HARMONY}
"""Platforms by the names that callers use."""
