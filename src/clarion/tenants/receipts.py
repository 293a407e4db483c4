"""Where vendors send their receipts: an address for each channel of each app, which nobody can guess."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, NamedTuple

import structlog

from clarion.channels.opening import WITH_RECEIPTS, Receiving, WrongSettings, receiving
from clarion.failures import ConfigurationError
from clarion.tenants.channels import ChannelSettingsService
from clarion.tenants.directory import Directory
from clarion.tenants.service import NotThere

log = structlog.get_logger(__name__)

PREFIX = "/receipts/"
_PURPOSE = b"clarion receipt addresses"
_SECRET_BYTES = 16
_MAX_DIGITS = 18


class ReceiptAddresses:
    """Makes addresses, and finds out whose an address is.

    Its last part is an HMAC of the others, so that none is stored, and all that a server made stay good.

    Args:
        secret: of the installation.
        public_url: `https://host[:port][/prefix]` at which vendors reach the API port; empty if it is not known.
    """

    def __init__(self, secret: bytes, public_url: str = "") -> None:
        self._key = hmac.digest(secret, _PURPOSE, sha256)
        self._public_url = public_url.rstrip("/")

    def path(self, app: int, label: str) -> str:
        """The path on the API port for the receipts of a channel of an app (internal number)."""
        return f"{PREFIX}{label}/{app}/{self._secret(app, label)}"

    def url(self, app: int, label: str) -> str:
        """The whole address; empty if the server does not know at which one it is reached."""
        return self._public_url and self._public_url + self.path(app, label)

    def find(self, path: str) -> tuple[int, str] | None:
        """The app and the channel that a path is for; None if it was not made here, in constant time."""
        label, _, rest = path.removeprefix(PREFIX).partition("/")
        digits = rest.partition("/")[0]
        if label not in WITH_RECEIPTS or not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
            return None
        app = int(digits)
        return (app, label) if hmac.compare_digest(self.path(app, label).encode(), path.encode()) else None

    def _secret(self, app: int, label: str) -> str:
        digest = hmac.digest(self._key, f"{app}/{label}".encode(), sha256)
        return urlsafe_b64encode(digest[:_SECRET_BYTES]).rstrip(b"=").decode()


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
