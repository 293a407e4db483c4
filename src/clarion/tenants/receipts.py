"""Whom vendors' receipts are for."""

from __future__ import annotations

from typing import Any, NamedTuple

import structlog

from clarion.channels.opening import Receiving, WrongSettings, receiving
from clarion.failures import ConfigurationError
from clarion.tenants.addresses import ReceiptAddresses
from clarion.tenants.channels import ChannelSettingsService
from clarion.tenants.directory import Directory
from clarion.tenants.service import NotThere

log = structlog.get_logger(__name__)


class Recipient(NamedTuple):
    """A channel of an app that takes receipts.

    Attributes:
        app: internal number of the app.
        label: of the channel.
        settings: its channel file, in the vendor's own type.
        receiving: how its callbacks are taken.
    """

    app: int
    label: str
    settings: Any
    receiving: Receiving


class Recipients:
    """Finds the channel that a callback is for, also a disabled one: what it sent may arrive late.

    Args:
        addresses: tell whose an address is.
        directory: tells when a channel was changed.
        channels: has the channel files.
    """

    def __init__(self, addresses: ReceiptAddresses, directory: Directory, channels: ChannelSettingsService) -> None:
        self._addresses = addresses
        self._directory = directory
        self._channels = channels
        self._known: dict[tuple[int, str], Recipient | None] = {}
        self._revision = -1

    async def find(self, path: str) -> Recipient | None:
        """The channel at `path`; None if there is none, for whatever reason.

        Raises:
            StoreUnavailable: that cannot be told just now.
        """
        place = self._addresses.find(path)
        if place is None:
            return None
        if self._revision != self._directory.revision:
            self._revision, self._known = self._directory.revision, {}
        known = self._known
        if place not in known:
            known[place] = await self._read(*place)
        return known[place]

    async def _read(self, app: int, label: str) -> Recipient | None:
        try:
            return Recipient(app, label, await self._channels.parsed(app, label), receiving(label))
        except NotThere:
            return None
        except (WrongSettings, ConfigurationError) as error:
            log.error("channel_unusable", app=app, channel=label, error=str(error))  # noqa: TRY400
            return None
