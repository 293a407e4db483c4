"""What a message counts under in the statistics: its kind, the platform and the channel.

A message counts once, under the first device that it was planned for; until it has one, under the platform that
its target names, or under none.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple

from clarion.channels.registry import BY_THIRD_CHANNEL, Channel, Platform


class PushKind(IntEnum):
    """The four kinds of push; numbers as the scheduler queries have them."""

    SIMPLE = 0
    TEMPLATE = 1
    MULTIPLE = 2
    BROADCAST = 3


class Mark(IntFlag):
    """What is known of a message on a device, or on any of a user's; each is counted once."""

    ARRIVED = 1
    OPENED = 2
    IGNORED = 4
    RECALLED = 8
    ARRIVED_BEFORE = 16
    """It had arrived before it was acknowledged: another device had it, but lost its user meanwhile."""
    VENDOR = 32
    """Of a broadcast on one device: it is for a vendor to bring it, not for the own link."""
    TAKEN = 64
    """The vendor took it for the device."""
    ENDED = 128
    """It ended there without having been taken."""


_PLATFORM_CODES: dict[Platform | None, int] = {
    None: 0,
    Platform.ANDROID: 1,
    Platform.IOS: 2,
    Platform.HARMONY: 3,
}
_PLATFORMS_BY_CODE = {code: platform for platform, code in _PLATFORM_CODES.items()}
_NO_CHANNEL = 15
_PLATFORM_BITS = 3 << 2
_CHANNEL_BITS = 15 << 4

KIND_BITS = 3
"""The part of a code that is the kind."""

CODE_BITS = 8
"""How many bits a code has; what counters have above them is the number of the node that counted."""

PLACELESS = _NO_CHANNEL << 4
"""Codes from here on are of messages that have not been planned for a device."""


class Series(NamedTuple):
    """A series of the statistics. None: not known, as for a user without a device."""

    kind: PushKind
    platform: Platform | None
    channel: Channel | None

    @property
    def code(self) -> int:
        """The number under which it is stored, below 256."""
        channel = _NO_CHANNEL if self.channel is None else self.channel.third_channel
        return self.kind | _PLATFORM_CODES[self.platform] << 2 | channel << 4

    @classmethod
    def of(cls, code: int) -> Series:
        """The series that is stored as `code`, by whichever node."""
        code &= (1 << CODE_BITS) - 1
        return cls(PushKind(code & KIND_BITS), _PLATFORMS_BY_CODE[code >> 2 & 3], BY_THIRD_CHANNEL.get(code >> 4))


_CODES = {
    (int(kind), platform.label if platform else None, channel.label if channel else None): Series(
        kind, platform, channel
    ).code
    for kind in PushKind
    for platform in _PLATFORM_CODES
    for channel in (None, *Channel)
}


def series_code(kind: int, platform: str | None, channel: str | None) -> int:
    """The code of a series by the names that the tables have: a `Platform`'s and a `Channel`'s label."""
    return _CODES[kind, platform, channel]


def pattern(kind: PushKind | None, platform: Platform | None, channel: Channel | None) -> tuple[int, int]:
    """A mask, and what it leaves of the codes of just those series that have all these parts. None: any."""
    mask = bits = 0
    if kind is not None:
        mask, bits = KIND_BITS, kind.value
    if platform is not None:
        mask, bits = mask | _PLATFORM_BITS, bits | _PLATFORM_CODES[platform] << 2
    if channel is not None:
        mask, bits = mask | _CHANNEL_BITS, bits | channel.third_channel << 4
    return mask, bits


def kind_of(code: int) -> int:
    """The kind of push in a series' code."""
    return code & KIND_BITS
