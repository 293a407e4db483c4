"""The vendor channels of all apps, as the lines to them need them."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from clarion.channels.base import VendorChannel
from clarion.channels.files import Terms
from clarion.channels.opening import WrongSettings
from clarion.channels.registry import BY_LABEL as CHANNELS
from clarion.channels.registry import WITHOUT_LINK
from clarion.delivery.vendors.lines import LineName
from clarion.failures import ConfigurationError
from clarion.tenants.channels import ChannelSettingsService
from clarion.tenants.directory import Directory
from clarion.tenants.service import NotThere

log = structlog.get_logger(__name__)


class Ways:
    """A `ChannelSource` over the directory.

    Args:
        directory: knows which app has which channel.
        settings: opens them.
    """

    def __init__(self, directory: Directory, settings: ChannelSettingsService) -> None:
        self._directory = directory
        self._settings = settings

    def apps(self) -> Iterable[int]:
        """Internal numbers of all apps."""
        return [app.key for app in self._directory.apps]

    def configured(self) -> Iterable[LineName]:
        """Every enabled channel of every app that leads to devices; SMS have lines of their own."""
        return [
            LineName(app, label)
            for app in self.apps()
            for label in sorted(self._directory.channels(app) & CHANNELS.keys())
        ]

    def revision_of(self, name: LineName) -> int | None:
        """Grows when a channel is changed; None when it is not to be used (any more)."""
        return self._directory.channel_revision(name.app, name.channel)

    async def open(self, name: LineName) -> VendorChannel | None:
        """The channel, or None when its settings cannot be used."""
        try:
            return await self._settings.open(name.app, name.channel)
        except (NotThere, WrongSettings, ConfigurationError) as error:
            log.error("channel_unusable", app=name.app, channel=name.channel, error=str(error))  # noqa: TRY400
            return None

    async def terms(self, name: LineName) -> Terms:
        """How much the vendor may be sent; no limits when the settings cannot be used."""
        try:
            return await self._settings.terms(name.app, name.channel)
        except (NotThere, WrongSettings, ConfigurationError):
            return Terms()  # `open` says what is wrong

    def has_link(self, name: LineName) -> bool:
        """Whether devices of the channel have the own link as well."""
        return CHANNELS[name.channel] not in WITHOUT_LINK
