"""The vendor channels of apps: their channel files, sealed, and what opens them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from clarion.channels import opening
from clarion.channels.base import Check, VendorChannel
from clarion.channels.files import Terms
from clarion.channels.opening import WrongSettings
from clarion.clock import Clock
from clarion.delivery.vendors.quota import Notice, Standing, standing
from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema import apps, channels
from clarion.tenants.addresses import ReceiptAddresses
from clarion.tenants.service import NotThere, change_catalog
from clarion.vault import Vault

_APP = Query(select(apps.c.app).where(apps.c.app == bindparam("app")))
_COLUMNS = (
    channels.c.channel,
    channels.c.settings,
    channels.c.enabled,
    channels.c.created_at,
    channels.c.updated_at,
)
_FIND = Query(select(*_COLUMNS).where(channels.c.app == bindparam("app"), channels.c.channel == bindparam("label")))
_LIST = Query(select(*_COLUMNS).where(channels.c.app == bindparam("app")).order_by(channels.c.channel))
_INSERT = Insert(channels, ("app", "channel", "settings", "enabled", "revision", "created_at", "updated_at"))
_OF_APP = (channels.c.app == bindparam("number"), channels.c.channel == bindparam("label"))
_UPDATE = Query(
    update(channels)
    .values(settings=bindparam("sealed"), enabled=1, revision=bindparam("changed"), updated_at=bindparam("now"))
    .where(*_OF_APP)
)
_SWITCH = Query(
    update(channels)
    .values(enabled=bindparam("is_enabled"), revision=bindparam("changed"), updated_at=bindparam("now"))
    .where(*_OF_APP)
)
_DELETE = Query(delete(channels).where(*_OF_APP))
_FINGERPRINT = 16
_CHECKS_AT_ONCE = 16

CHECK_SECONDS = 30.0
"""Most time of a check."""
WARNING_MS = 15 * 86_400_000
"""So long before its end a certificate is worth a warning."""


@dataclass(frozen=True, slots=True)
class ChannelEntry:
    """A row of the list of an app's channels; without what is secret.

    Attributes:
        label: of the channel.
        enabled: whether messages go through it.
        fingerprint: the start of the SHA-256 of the channel file, with sorted names and without blanks: tells
            whether two installations have the same one.
        created_at: when it was set first, ms.
        updated_at: when it was changed last, ms.
        targets: how many targets the vendor took today, or may have taken.
        notices: what a server has to say of it now.
        receipts: where its vendor sends receipts, a secret: whole, else the path; empty if it sends none.
    """

    label: str
    enabled: bool
    fingerprint: str
    created_at: int
    updated_at: int
    targets: int = 0
    notices: Sequence[Notice] = ()
    receipts: str = field(default="", repr=False)


class ChannelSettingsService:
    """Changes to the channels of apps; running servers notice them within a second.

    Args:
        database: where they are kept.
        vault: seals their settings.
        clock: time.
        addresses: where vendors send their receipts; messages tell it, where they can.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Clock,
        addresses: ReceiptAddresses | None = None,
    ) -> None:
        self._addresses = addresses
        self._database = database
        self._vault = vault
        self._clock = clock

    def validate(self, label: str, file: bytes) -> None:
        """Whether `set` would take a channel file.

        Raises:
            WrongSettings: there is no such channel, or the file is wrong.
        """
        opening.parse(label, file)

    async def set(self, app: int, label: str, file: bytes) -> ChannelEntry:
        """Set a channel up, or anew; it is enabled then.

        Args:
            app: internal number.
            label: of the channel.
            file: the channel file.

        Raises:
            WrongSettings: there is no such channel, or the file is wrong; nothing was changed.
            NotThere: there is no such app.
        """
        self.validate(label, file)
        settings, now = opening.canonical(file), self._clock.now_ms()
        sealed = self._vault.seal(settings, channel_context(app, label))

        async def work(transaction: Transaction) -> int:
            revision = await change_catalog(transaction)
            if await transaction.fetch_one(_APP, app=app) is None:
                raise NotThere("there is no such app; `clarion app list` shows what there is")
            row = await transaction.fetch_one(_FIND, app=app, label=label)
            if row is None:
                await transaction.insert(_INSERT, [(app, label, sealed, 1, revision, now, now)])
                return now
            await transaction.execute(_UPDATE, number=app, label=label, sealed=sealed, changed=revision, now=now)
            return int(row[3])

        created_at = await self._database.write(work)
        return ChannelEntry(
            label,
            enabled=True,
            fingerprint=_fingerprint(settings),
            created_at=created_at,
            updated_at=now,
            receipts=self._receipts(app, label),
        )

    async def list(self, app: int) -> Sequence[ChannelEntry]:
        """The channels of an app, by label.

        Raises:
            ConfigurationError: the master key is another one.
        """

        async def work(transaction: Transaction) -> tuple[Sequence[Row], Mapping[str, Standing]]:
            return await transaction.fetch(_LIST, app=app), await standing(transaction, app, self._clock.now_ms())

        rows, standings = await self._database.read(work)
        return [self._entry(app, row, standings.get(row[0])) for row in rows]

    async def set_enabled(self, app: int, label: str, *, enabled: bool) -> None:
        """Let no more messages go through a channel, or let them again.

        Raises:
            NotThere: the app has no such channel.
        """
        await self._change(_SWITCH, app, label, is_enabled=int(enabled))

    async def delete(self, app: int, label: str) -> None:
        """Forget a channel with its credentials.

        Raises:
            NotThere: the app has no such channel.
        """
        await self._change(_DELETE, app, label)

    async def open(self, app: int, label: str) -> VendorChannel:
        """The channel, also a disabled one; whoever opens it closes it. It connects when it has something to send.

        Raises:
            NotThere: the app has no such channel.
            WrongSettings: this version does not understand the channel file, or a file that it names is gone.
            ConfigurationError: the master key is another one.
        """
        url = self._addresses.url(app, label) if self._addresses is not None else ""
        return opening.open_channel(label, await self._settings(app, label), self._clock, url)

    async def parsed(self, app: int, label: str) -> Any:
        """The settings of a channel, also of a disabled one, in the vendor's own type.

        Raises:
            NotThere: the app has no such channel.
            WrongSettings: this version does not understand the channel file.
            ConfigurationError: the master key is another one.
        """
        return opening.parse(label, await self._settings(app, label))

    async def terms(self, app: int, label: str) -> Terms:
        """How much the vendor may be sent, as the channel file says. Raises what `open` does."""
        found: Terms = opening.parse(label, await self._settings(app, label)).terms
        return found

    async def check(self, app: int, label: str) -> Check:
        """Try the credentials of a channel, also of a disabled one, without reaching any device.

        Raises:
            NotThere: the app has no such channel.
            ConfigurationError: the master key is another one.
        """
        return await self.try_file(label, await self._settings(app, label))

    async def check_all(self, wanted: Sequence[tuple[int, str]]) -> Sequence[tuple[str, Check]]:
        """Check channels, some at once: labels and checks in the order of `wanted` (app, label)."""
        places = asyncio.Semaphore(_CHECKS_AT_ONCE)

        async def one(app: int, label: str) -> tuple[str, Check]:
            async with places:
                return label, await self.check(app, label)

        return await asyncio.gather(*(one(app, label) for app, label in wanted))

    async def try_file(self, label: str, file: bytes) -> Check:
        """Try the credentials of a channel file; of a wrong one the check says what is wrong."""
        try:
            channel = opening.open_channel(label, file, self._clock)
        except WrongSettings as error:
            return Check(ok=False, text=str(error))
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await channel.check()
        except TimeoutError:
            return Check(ok=False, text=f"no answer in {CHECK_SECONDS:.0f} s", reached=False)
        finally:
            await channel.close()

    async def _settings(self, app: int, label: str) -> bytes:
        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(_FIND, app=app, label=label)

        row = await self._database.read(work)
        if row is None:
            raise _no_channel(label)
        return self._vault.open(bytes(row[1]), channel_context(app, label))

    async def _change(self, query: Query, app: int, label: str, **values: int) -> None:
        async def work(transaction: Transaction) -> None:
            revision = await change_catalog(transaction)
            if query is not _DELETE:
                values.update(changed=revision, now=self._clock.now_ms())
            if not await transaction.execute(query, number=app, label=label, **values):
                raise _no_channel(label)

        await self._database.write(work)

    def _receipts(self, app: int, label: str) -> str:
        return self._addresses.shown(app, label) if self._addresses is not None else ""

    def _entry(self, app: int, row: Row, known: Standing | None) -> ChannelEntry:
        label, sealed, enabled, created_at, updated_at = row
        settings = self._vault.open(bytes(sealed), channel_context(app, label))
        receipts = self._receipts(app, label)
        entry = ChannelEntry(
            label, bool(enabled), _fingerprint(settings), created_at, updated_at, receipts=receipts
        )
        return entry if known is None else replace(entry, targets=known.targets, notices=known.notices)


def days_left(check: Check, now_ms: int) -> int | None:
    """Whole days until a certificate ends, if that is soon enough for a warning or was already (negative)."""
    if check.expires_at is None or check.expires_at - now_ms > WARNING_MS:
        return None
    return (check.expires_at - now_ms) // 86_400_000


def channel_context(app: int, label: str) -> str:
    """What a channel's settings are sealed for."""
    return f"channels/{app}/{label}"


def _fingerprint(settings: bytes) -> str:
    return sha256(settings).hexdigest()[:_FINGERPRINT]


def _no_channel(label: str) -> NotThere:
    return NotThere(f"the app has no channel {label}; `clarion channel list` shows what there is")
