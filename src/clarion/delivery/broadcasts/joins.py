"""Devices that come into the audience of a broadcast after their page was written, and are a vendor's to reach.

On the own link such a device finds the broadcast by itself when it connects (`broadcasts.inbox`). One that is
reached through a vendor gets a place and a part of its own in the transaction that binds, unbinds or reports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from clarion.channels.registry import BY_LABEL
from clarion.clock import Clock
from clarion.delivery.broadcasts.log import OpenLog, broadcast_series
from clarion.delivery.broadcasts.model import BroadcastState, Entry, Standing
from clarion.delivery.broadcasts.parts import NewPart, insert_parts
from clarion.delivery.broadcasts.places import INSERT_JOINS, place_of
from clarion.delivery.connections import Connections
from clarion.delivery.ledger import Count, Figure, Ledger
from clarion.delivery.routing import LINK, Reachable, Routes, way_to
from clarion.delivery.series import Mark
from clarion.ids import IdGenerator
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema import devices
from clarion.store.schema_campaigns import broadcasts

# Locked on PostgreSQL: a page that is being written may or may not have the device.
_PROGRESS = Query(
    lambda terms: (
        select(broadcasts.c.task, broadcasts.c.state, broadcasts.c.cursor)
        .where(terms.any_of(broadcasts.c.task, "open"))
        .order_by(broadcasts.c.task)
        .with_for_update()
    ),
    lists=("open",),
)
_DEVICE = Query(
    select(
        devices.c.app,
        devices.c.device,
        devices.c.platform,
        devices.c.channel,
        devices.c.vendor_token,
        devices.c.user_id,
        devices.c.bound_at,
        devices.c.unbound_at,
    ).where(devices.c.device == bindparam("device"))
)


class Newcomer(NamedTuple):
    """A device that may have come into audiences.

    Attributes:
        app: internal number of the app.
        device: the device, and how it is reached.
        standing: its user, and since when it has one or none.
    """

    app: int
    device: Reachable
    standing: Standing


class Joins:
    """Gives devices a place in the broadcasts that they came to late.

    Args:
        log: the broadcasts that may be owed.
        routes: the vendor channels that apps have set up.
        connections: a device that is connected gets it over the own link.
        ledger: counts.
        ids: numbers of parts.
        clock: tells which broadcasts are over.
    """

    def __init__(
        self,
        log: OpenLog,
        routes: Routes,
        connections: Connections,
        ledger: Ledger,
        ids: IdGenerator,
        clock: Clock,
    ) -> None:
        self._log = log
        self._routes = routes
        self._connections = connections
        self._ledger = ledger
        self._ids = ids
        self._clock = clock
        # Whose page may just be written without them: they are looked at again once it is there.
        self._early: dict[tuple[int, int], None] = {}

    async def admit(self, transaction: Transaction, newcomer: Newcomer, now: int) -> None:
        """Owe the device what it came to late; inside the transaction that changed it (`now`: ms)."""
        if self._log.empty:
            return
        app, device, standing = newcomer
        way = way_to(device, self._routes.channels(app), link_only=False)
        if way == LINK or self._connections.online(device.device):
            return
        entries = [entry for entry in self._log.of_app(app) if _is_for(entry, device.platform, standing, now)]
        if entries:
            await self._join(transaction, newcomer, way, entries, now)

    def covered(self, is_covered: Callable[[int, int], bool]) -> list[tuple[int, int]]:
        """The tasks and devices that are to be admitted once more (`readmit`); kept until they are.

        Args:
            is_covered: whether the pages of a task have passed a device.
        """
        return [pair for pair in list(self._early) if is_covered(*pair)]

    def settled(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Forget pairs of `covered`, which were admitted."""
        for pair in pairs:
            self._early.pop(pair, None)

    async def readmit(self, transaction: Transaction, batch: Sequence[int]) -> list[None]:
        """Admit devices by their numbers; a handler for `GroupWriter.submit`."""
        for number in batch:
            row = await transaction.fetch_one(_DEVICE, device=number)
            if row is not None:
                newcomer = Newcomer(row[0], Reachable(*row[1:5]), Standing(*row[5:]))
                await self.admit(transaction, newcomer, self._clock.now_ms())
        return [None] * len(batch)

    async def _join(
        self, transaction: Transaction, newcomer: Newcomer, way: str, entries: Sequence[Entry], now: int
    ) -> None:
        device, route = newcomer.device.device, BY_LABEL[way].third_channel
        counts = []
        for task, state, cursor in await transaction.fetch(_PROGRESS, open=[entry.task for entry in entries]):
            if state == BroadcastState.RUNNING and cursor < device:
                self._early[task, device] = None
                continue
            if state == BroadcastState.REVOKED or await place_of(transaction, task, device) is not None:
                continue
            if not await transaction.insert(INSERT_JOINS, [(task, device, int(Mark.VENDOR), route, now)]):
                continue  # it has acknowledged it meanwhile
            part = NewPart(task, device, newcomer.app, way, [device], now)
            await insert_parts(transaction, [part], self._ids)
            series = broadcast_series(newcomer.device.platform, way)
            counts.append(Count(newcomer.app, task, task, series, Figure.TOTAL))
        await self._ledger.count(transaction, counts, now)


def _is_for(entry: Entry, platform: str, standing: Standing, now: int) -> bool:
    return (
        entry.revocation is None
        and entry.platform == platform
        and entry.expires_at > now
        and not entry.link_only
        and entry.audience.has(standing, entry.accepted_at)
    )
