"""Reports of devices that are on no connection, such as those on vendor channels: who tells, of which messages."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import bindparam, func, or_, select

from clarion.channels.registry import Platform
from clarion.delivery.accept import DEVICE_TYPES, TargetType
from clarion.delivery.ledger import EventKind
from clarion.delivery.reports import Reports
from clarion.devices.service import secret_context
from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Query
from clarion.store.schema import devices, messages
from clarion.store.schema_campaigns import broadcasts
from clarion.text import is_text
from clarion.vault import Vault


@dataclass(frozen=True, slots=True)
class Reporter:
    """A device that reports.

    Attributes:
        device: its internal number.
        app: internal number of its app.
        token: its delivery token.
        secret: what it signs with; None for one that only a back end reported.
        user_id: its user.
        platform: label of its platform.
    """

    device: int
    app: int
    token: str
    secret: bytes | None = field(repr=False)
    user_id: str | None
    platform: str


class ToldEvent(NamedTuple):
    """What a device tells of a message, which it names by id or, where that is None, by message key; `at` in ms."""

    kind: EventKind
    message: int | None
    msg_key: str | None
    at: int | None


_FIND = Query(
    select(devices.c.device, devices.c.secret, devices.c.user_id, devices.c.platform).where(
        devices.c.app == bindparam("app"), devices.c.token == bindparam("token")
    )
)


def _newest(types: Collection[TargetType]) -> Query:
    return Query(
        lambda terms: (
            select(messages.c.msg_key, func.max(messages.c.message))
            .where(
                messages.c.app == bindparam("app"),
                messages.c.target == bindparam("target"),
                terms.any_of(messages.c.msg_key, "keys"),
                or_(*(messages.c.target_type == kind for kind in sorted(map(int, types)))),
            )
            .group_by(messages.c.msg_key)
        ),
        lists=("keys",),
    )


_NEWEST_TO_TOKEN = _newest(DEVICE_TYPES)
_NEWEST_TO_USER = _newest([TargetType.USER])
_NEWEST_BROADCAST = Query(
    lambda terms: (
        select(broadcasts.c.msg_key, func.max(broadcasts.c.task))
        .where(
            broadcasts.c.app == bindparam("app"),
            terms.any_of(broadcasts.c.msg_key, "keys"),
            broadcasts.c.target_type == bindparam("target_type"),
        )
        .group_by(broadcasts.c.msg_key)
    ),
    lists=("keys",),
)
_BROADCAST_TYPES: Mapping[str, TargetType] = {
    Platform.ANDROID.label: TargetType.ANDROID,
    Platform.IOS.label: TargetType.IOS,
    Platform.HARMONY.label: TargetType.HARMONY,
}


class DeviceReporting:
    """Finds reporting devices, and records what they tell.

    Args:
        database: to read from.
        vault: opens device secrets.
        reports: records.
    """

    def __init__(self, database: Database, vault: Vault, reports: Reports) -> None:
        self._database = database
        self._vault = vault
        self._reports = reports

    async def find(self, app: int, token: str) -> Reporter | None:
        """The device of an app with this token."""
        if not is_text(token):
            return None

        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(_FIND, app=app, token=token)

        row = await self._database.read(work)
        if row is None:
            return None
        device, sealed, user_id, platform = row
        secret = None if sealed is None else self._vault.open(bytes(sealed), secret_context(app, token))
        return Reporter(device, app, token, secret, user_id, platform)

    async def record(self, reporter: Reporter, told: Sequence[ToldEvent]) -> int:
        """Record what the device told; how many of the events were news. They are on disk when this returns.

        A message key means the newest message of that key for the device's token, its user or its platform.
        """
        keys = {event.msg_key for event in told if event.msg_key is not None and is_text(event.msg_key)}
        named = await self._newest(reporter, sorted(keys)) if keys else {}
        recorded = [
            self._reports.reported(reporter.device, message, event.kind, event.at)
            for event in told
            if (message := named.get(event.msg_key or "") if event.message is None else event.message) is not None
        ]
        return sum(await asyncio.gather(*recorded))

    async def _newest(self, reporter: Reporter, keys: Sequence[str]) -> dict[str, int]:
        app, kind = reporter.app, int(_BROADCAST_TYPES[reporter.platform])

        async def work(transaction: Transaction) -> list[Row]:
            rows = [*await transaction.fetch(_NEWEST_TO_TOKEN, app=app, target=reporter.token, keys=keys)]
            if reporter.user_id is not None:
                rows += await transaction.fetch(_NEWEST_TO_USER, app=app, target=reporter.user_id, keys=keys)
            rows += await transaction.fetch(_NEWEST_BROADCAST, app=app, keys=keys, target_type=kind)
            return rows

        newest: dict[str, int] = {}
        for key, message in await self._database.read(work):
            newest[key] = max(message, newest.get(key, 0))
        return newest
