"""Which way a message goes to a device. Pure.

A device that reported a vendor's token is reached through that vendor, if the app has set the channel up and the
push is not for the own link alone (`NotifyType` `transparent`); every other device over the own link. A live
activity has no link: what is for it waits for its one channel.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from clarion.channels.registry import Channel

LINK = Channel.LINK.label


class Routes(Protocol):
    """The vendor channels that apps have set up; `tenants.directory` knows them."""

    def channels(self, app: int) -> frozenset[str]:
        """Labels of the channels that an app has and that are enabled."""
        ...


class Reachable(msgspec.Struct, frozen=True, gc=False):
    """A device and how it can be reached.

    Attributes:
        device: internal number.
        platform: label of its platform.
        channel: label of the vendor channel that it reported, if any.
        vendor_token: its token there.
        only: label of the one channel that can reach it, set up or not; None for what has the own link.
    """

    device: int
    platform: str
    channel: str | None
    vendor_token: str | None
    only: str | None = None


def way_to(device: Reachable, configured: frozenset[str], *, link_only: bool) -> str:
    """The label of the channel for a message to `device`."""
    channel = device.channel
    if link_only or channel is None or device.vendor_token is None or channel not in configured:
        return device.only or LINK
    return channel
