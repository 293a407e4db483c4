"""Devices and whose they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from clarion import ids
from clarion.channels.registry import BY_LABEL as CHANNELS
from clarion.channels.registry import PLATFORMS, Channel, Platform
from clarion.clock import Clock
from clarion.delivery.binding import Binder, detach
from clarion.delivery.broadcasts.joins import Joins, Newcomer
from clarion.delivery.broadcasts.model import Standing
from clarion.delivery.connections import Connections
from clarion.delivery.routing import Reachable
from clarion.devices.model import (
    DeviceDetails,
    DeviceState,
    Identity,
    Registration,
    VendorToken,
)
from clarion.devices.statements import (
    CLEAR_USER,
    FIND,
    IDENTIFY,
    INSERT,
    SET_DETAILS,
    SET_PHONE,
    SET_USER,
    SET_VENDOR,
    STATE_BY_TOKEN,
    STATE_BY_USER,
    TOKEN_OF,
)
from clarion.results import Refusal
from clarion.store.database import Database, Row, Transaction
from clarion.store.gates import pass_alone
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.vault import Vault


@dataclass(frozen=True, slots=True)
class _New:
    device: int
    app: int
    token: str
    platform: Platform
    secret: bytes | None
    at: int
    vendor: VendorToken | None = None


@dataclass(frozen=True, slots=True)
class _Bind:
    new: _New
    user_id: str
    phone: str | None
    hop: int


@dataclass(frozen=True, slots=True)
class _Unbind:
    app: int
    token: str
    user_id: str
    hop: int
    at: int


@dataclass(frozen=True, slots=True)
class _Report:
    new: _New
    vendor: VendorToken | None
    details: str | None


class _Found(NamedTuple):
    standing: Standing
    reachable: Reachable


class DeviceService:
    """Registers, binds, reports and finds devices.

    Args:
        database: to read from.
        writer: to write with; results are durable when its futures are done.
        vault: seals device secrets.
        number: numbers of new devices and hops.
        clock: times of bindings.
        connections: woken when a bind brings messages.
        binder: finds those messages.
        joins: finds broadcasts that a device came to late; None where nothing is sent (a command beside a server).
    """

    def __init__(
        self,
        database: Database,
        writer: GroupWriter,
        vault: Vault,
        number: ids.IdGenerator,
        clock: Clock,
        connections: Connections,
        binder: Binder,
        joins: Joins | None = None,
    ) -> None:
        self._database = database
        self._writer = writer
        self._vault = vault
        self._number = number
        self._clock = clock
        self._connections = connections
        self._binder = binder
        self._joins = joins
        # A push of the same transaction shall find the binding as it will be when both are answered: what it
        # plans is sent at once, and must not go to the device's last user.
        writer.lead(self._bind)
        writer.lead(self._unbind)

    async def register(self, app: int, platform: Platform, vendor: VendorToken | None = None) -> Registration:
        """A new device with a token and a secret of its own."""
        token, secret = ids.delivery_token(), ids.device_secret()
        device = self._number.next()
        sealed = self._vault.seal(secret.encode(), secret_context(app, token))
        new = _New(device, app, token, platform, sealed, self._clock.now_ms(), vendor)
        await self._writer.submit(_register, new)
        return Registration(token, secret)

    async def identify(self, app: int, token: str) -> Identity | None:
        """A registered device's identity; None for an unknown one and for one that never registered."""

        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(IDENTIFY, app=app, token=token)

        row = await self._database.read(work)
        if row is None or row[1] is None:
            return None
        return Identity(row[0], app, self._vault.open(bytes(row[1]), secret_context(app, token)), row[2])

    async def number_of(self, app: int, token: str) -> int | None:
        """The internal number of a device; None for an unknown one."""

        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(IDENTIFY, app=app, token=token)

        row = await self._database.read(work)
        return None if row is None else int(row[0])

    async def bind(self, app: int, token: str, user_id: str, platform: Platform, phone: str | None = None) -> None:
        """Make `user_id` the device's user; what waits for the user is delivered to it.

        Without a phone number, the one that the same user bound with before stays. It is the user's, on whichever
        device, and outlives the binding: who has logged out may be sent a one-time password by SMS.

        A token that this server did not issue (an APNs token, or one of the service that Clarion took over from)
        makes a device that only vendor channels can reach.
        """
        new = self._unregistered(app, token, platform)
        device = await self._writer.submit(self._bind, _Bind(new, user_id, phone, self._number.next()))
        self._connections.wake(device)

    async def bind_device(self, device: int, user_id: str, phone: str | None = None) -> None:
        """As `bind`, for a device that is known by its number (the link)."""
        app, token = await self._name(device)
        await self.bind(app, token, user_id, Platform.ANDROID, phone)

    def unbind(self, app: int, token: str, user_id: str) -> asyncio.Future[None]:
        """Part the device from `user_id`; nothing happens if it has another user or none."""
        return self._writer.submit(
            self._unbind, _Unbind(app, token, user_id, self._number.next(), self._clock.now_ms())
        )

    async def unbind_device(self, device: int, user_id: str) -> None:
        """As `unbind`, for a device that is known by its number (the link)."""
        app, token = await self._name(device)
        await self.unbind(app, token, user_id)

    async def report(
        self,
        app: int,
        token: str,
        platform: Platform,
        vendor: VendorToken | None,
        details: DeviceDetails,
    ) -> None:
        """Record what a device told about itself and its vendor token."""
        text = msgspec.json.encode(details).decode()
        new = self._unregistered(app, token, platform)
        device = await self._writer.submit(self._report, _Report(new, vendor, text if text != "{}" else None))
        self._connections.wake(device)

    async def report_device(self, device: int, vendor: VendorToken | None, details: DeviceDetails) -> None:
        """As `report`, for a device that is known by its number (the link)."""
        app, token = await self._name(device)
        await self.report(app, token, Platform.ANDROID, vendor, details)

    async def state_of_device(self, app: int, token: str) -> DeviceState | None:
        """The state of the device with this token."""
        return await self._state(STATE_BY_TOKEN, app=app, token=token)

    async def state_of_user(self, app: int, user_id: str) -> DeviceState | None:
        """The state of the device that bound `user_id` last."""
        return await self._state(STATE_BY_USER, app=app, user_id=user_id)

    async def _state(self, query: Query, **values: object) -> DeviceState | None:
        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(query, **values)

        row = await self._database.read(work)
        if row is None:
            return None
        device, token, user_id, vendor, platform, channel = row
        system = PLATFORMS[platform]
        online = self._connections.online(device) if system is Platform.ANDROID else None
        return DeviceState(token, user_id, vendor, system, CHANNELS.get(channel, Channel.LINK), online)

    async def _name(self, device: int) -> tuple[int, str]:
        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(TOKEN_OF, device=device)

        row = await self._database.read(work)
        if row is None:
            raise LookupError(f"device {device} was deleted")
        return row[0], row[1]

    def _unregistered(self, app: int, token: str, platform: Platform) -> _New:
        vendor = VendorToken(Channel.APNS, token) if platform is Platform.IOS else None
        return _New(self._number.next(), app, token, platform, None, self._clock.now_ms(), vendor)

    async def _bind(self, transaction: Transaction, batch: Sequence[_Bind]) -> Sequence[int | Refusal]:
        await self._know(transaction, [bind.new for bind in batch])
        return [await self._bind_one(transaction, bind) for bind in batch]

    async def _bind_one(self, transaction: Transaction, bind: _Bind) -> int:
        app, now = bind.new.app, bind.new.at
        found = await _found(transaction, app, bind.new.token)
        device = found.reachable
        before = found.standing.user_id
        users = [user for user in (before, bind.user_id) if user is not None]
        await pass_alone(transaction, [(app, user) for user in users])
        if before is not None and before != bind.user_id:
            await detach(transaction, app, before, device.device, bind.hop, now)
        await transaction.execute(SET_USER, id=device.device, user=bind.user_id, number=bind.phone, at=now)
        if bind.phone is not None:
            await transaction.insert(SET_PHONE, [(app, bind.user_id, bind.phone)])
        await self._binder.attach_user(transaction, app, bind.user_id, device, bind.hop, now)
        await self._admit(transaction, app, device, Standing(bind.user_id, now, None), now)
        return device.device

    async def _unbind(self, transaction: Transaction, batch: Sequence[_Unbind]) -> Sequence[None]:
        for unbind in batch:
            found = await _find(transaction, unbind.app, unbind.token)
            if found is not None and found.standing.user_id == unbind.user_id:
                await self._unbind_one(transaction, unbind, found)
        return [None] * len(batch)

    async def _unbind_one(self, transaction: Transaction, unbind: _Unbind, found: _Found) -> None:
        app, device, now = unbind.app, found.reachable, unbind.at
        await pass_alone(transaction, [(app, unbind.user_id)])
        await detach(transaction, app, unbind.user_id, device.device, unbind.hop, now)
        await transaction.execute(CLEAR_USER, id=device.device, at=now)
        await self._admit(transaction, app, device, Standing(None, found.standing.bound_at, now), now)

    async def _admit(
        self, transaction: Transaction, app: int, device: Reachable, standing: Standing, now: int
    ) -> None:
        if self._joins is not None:
            await self._joins.admit(transaction, Newcomer(app, device, standing), now)

    async def _report(self, transaction: Transaction, batch: Sequence[_Report]) -> Sequence[int]:
        await self._know(transaction, [report.new for report in batch])
        return [await self._report_one(transaction, report) for report in batch]

    async def _report_one(self, transaction: Transaction, report: _Report) -> int:
        app, now = report.new.app, report.new.at
        found = await _found(transaction, app, report.new.token)
        device = found.reachable
        if report.details is not None:
            await transaction.execute(SET_DETAILS, id=device.device, text=report.details, at=now)
        if report.vendor is not None:
            channel, address = report.vendor.channel.label, report.vendor.token
            await transaction.execute(SET_VENDOR, id=device.device, way=channel, address=address, at=now)
            device = replace(device, channel=channel, vendor_token=address)
        await self._admit(transaction, app, device, found.standing, now)
        return device.device

    async def _know(self, transaction: Transaction, heard_of: Sequence[_New]) -> None:
        """Write those devices that are not there yet, and owe them what was pushed to their tokens before."""
        await pass_alone(transaction, [(new.app, new.token) for new in heard_of])
        written = {row[0] for row in await transaction.insert(INSERT, [_row(new) for new in heard_of])}
        for new in heard_of:
            if new.device in written:
                channel, address = (new.vendor.channel.label, new.vendor.token) if new.vendor else (None, None)
                device = Reachable(new.device, new.platform.label, channel, address)
                hop = self._number.next()
                await self._binder.attach_token(transaction, new.app, new.token, device, hop, new.at)


def secret_context(app: int, token: str) -> str:
    """What a device's secret is sealed for."""
    return f"devices/{app}/{token}"


def _row(new: _New) -> tuple[object, ...]:
    channel = new.vendor.channel.label if new.vendor else None
    address, address_at = (new.vendor.token, new.at) if new.vendor else (None, None)
    return (
        new.device,
        new.app,
        new.token,
        new.platform.label,
        new.secret,
        channel,
        address,
        address_at,
        new.at,
        new.at,
    )


async def _register(transaction: Transaction, batch: Sequence[_New]) -> Sequence[None]:
    await transaction.insert(INSERT, [_row(new) for new in batch])
    return [None] * len(batch)


async def _find(transaction: Transaction, app: int, token: str) -> _Found | None:
    row = await transaction.fetch_one(FIND, app=app, token=token)
    return None if row is None else _Found(Standing(*row[:3]), Reachable(*row[3:]))


async def _found(transaction: Transaction, app: int, token: str) -> _Found:
    found = await _find(transaction, app, token)
    if found is None:
        raise LookupError("a device that was just written is not there")
    return found
