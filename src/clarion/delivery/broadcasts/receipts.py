"""What devices tell of broadcasts: acks and reports, each counted once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from clarion.delivery.accept import TargetType
from clarion.delivery.broadcasts.audience import BELONGS, span_parameters
from clarion.delivery.broadcasts.log import PLATFORM_OF, OpenLog, broadcast_series
from clarion.delivery.broadcasts.model import decode_audience
from clarion.delivery.broadcasts.notes import Notes
from clarion.delivery.broadcasts.places import INSERT_JOINS, mark_joined, mark_places, place_of
from clarion.delivery.inbox import Ack
from clarion.delivery.ledger import Count, Event, EventKind, Figure, Ledger
from clarion.delivery.reports import KINDS, Report
from clarion.delivery.series import Mark
from clarion.store.database import Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema import devices, reports
from clarion.store.schema_campaigns import broadcasts

_KNOWN = Query(
    lambda terms: select(broadcasts.c.task).where(terms.any_of(broadcasts.c.task, "messages")),
    lists=("messages",),
)
_FACTS = Query(
    lambda terms: (
        select(
            broadcasts.c.task,
            broadcasts.c.app,
            broadcasts.c.target_type,
            broadcasts.c.revocation,
            broadcasts.c.cursor,
            broadcasts.c.audience,
            broadcasts.c.created_at,
        )
        .where(terms.any_of(broadcasts.c.task, "messages"))
        .order_by(broadcasts.c.task)
    ),
    lists=("messages",),
)
_AMONG = Query(
    lambda terms: select(devices.c.device).where(
        terms.any_of(devices.c.device, "devices"),
        devices.c.app == bindparam("app"),
        devices.c.platform == bindparam("platform"),
        BELONGS,
    ),
    lists=("devices",),
)
_INSERT_REPORTS = Insert(
    reports, ("message", "device", "kind", "at"), on_conflict="DO NOTHING", returning=("device",)
)


class _Subject(NamedTuple):
    """A broadcast as the accounts know it.

    Attributes:
        task: its task.
        app: internal number of its app.
        platform: label of the platform that it goes to.
        revoked: whether devices that have it are owed a recall.
    """

    task: int
    app: int
    platform: str
    revoked: bool

    @property
    def series(self) -> int:
        return broadcast_series(self.platform)

    def counted(self, figure: Figure, by: int) -> Count:
        return Count(self.app, self.task, self.task, self.series, figure, by)

    def event(self, device: int, kind: EventKind, at: int) -> Event:
        return Event(self.app, self.task, device, kind, at)


class BroadcastReceipts:
    """Records what devices tell; a `ReportSource` of `delivery.reports`.

    Args:
        log: finds broadcasts by the ids of their frames.
        ledger: counts.
        notes: told of devices that are owed a recall.
    """

    def __init__(self, log: OpenLog, ledger: Ledger, notes: Notes) -> None:
        self._log = log
        self._ledger = ledger
        self._notes = notes

    async def settle(self, transaction: Transaction, acks: Sequence[Ack]) -> None:
        """Record acks of push and revoke frames; each may come again."""
        by_entry: dict[int, dict[int, int]] = {}
        for ack in acks:
            by_entry.setdefault(ack.entry, {})[ack.device] = ack.at
        for wire_id, times in sorted(by_entry.items()):  # the order in which others lock the same pages
            entry = self._log.find(wire_id)
            if entry is None:
                continue
            if wire_id == entry.revocation:
                marked = await mark_places(transaction, entry.task, Mark.RECALLED, times)
                await mark_joined(transaction, entry.task, Mark.RECALLED, marked.absent)
            else:
                subject = _Subject(entry.task, entry.app, entry.platform, entry.revocation is not None)
                await self._arrived(transaction, subject, times, None)

    async def known(self, transaction: Transaction, entries: Sequence[int]) -> frozenset[int]:
        """Those of the ids that are broadcasts."""
        return frozenset(row[0] for row in await transaction.fetch(_KNOWN, messages=list(entries)))

    async def record(self, transaction: Transaction, told: Sequence[Report]) -> None:
        """Record reports of broadcasts; the first one of a device counts as its ack, which may be on its way.

        Of a device that is not to have the broadcast nothing is recorded.
        """
        rows = await transaction.fetch(_FACTS, messages=sorted({report.message for report in told}))
        for task, app, target_type, revocation, cursor, audience, accepted_at in rows:
            subject = _Subject(task, app, PLATFORM_OF[TargetType(target_type)], revocation is not None)
            mine = [report for report in told if report.message == task]
            times = {report.device: report.at for report in mine}
            spans = span_parameters(decode_audience(audience), accepted_at)
            among = await transaction.fetch(
                _AMONG, devices=sorted(times), app=app, platform=subject.platform, **spans
            )
            late = frozenset(device for (device,) in among if device <= cursor)  # others' pages are to come
            strangers = await self._arrived(transaction, subject, times, late)
            for kind in (EventKind.OPEN, EventKind.IGNORE):
                when = {r.device: r.at for r in mine if r.kind is kind and r.device not in strangers}
                await self._reported(transaction, subject, kind, when)

    async def _arrived(
        self,
        transaction: Transaction,
        subject: _Subject,
        times: Mapping[int, int],
        may_join: Collection[int] | None,
    ) -> frozenset[int]:
        """Note that devices have a broadcast.

        Args:
            transaction: written with.
            subject: the broadcast.
            times: since when (ms), by device.
            may_join: those that may have it without being in a page; None: all, for they were sent it.

        Returns:
            Those of the devices that are not to have it.
        """
        marked = await mark_places(transaction, subject.task, Mark.ARRIVED, times)
        joining = [device for device in marked.absent if may_join is None or device in may_join]
        joins = [(subject.task, device, int(Mark.ARRIVED), 0, times[device]) for device in joining]
        joined = [device for (device,) in await transaction.insert(INSERT_JOINS, joins)]
        await self._account(transaction, subject, times, marked.new, joined)
        others = set(marked.absent).difference(joining)
        return frozenset([device for device in others if await place_of(transaction, subject.task, device) is None])

    async def _account(
        self,
        transaction: Transaction,
        subject: _Subject,
        times: Mapping[int, int],
        marked: Sequence[int],
        joined: Sequence[int],
    ) -> None:
        new = [*marked, *joined]
        if not new:
            return
        counts = [subject.counted(Figure.SUCCESS, len(new)), subject.counted(Figure.ARRIVAL, len(new))]
        if joined:
            counts.append(subject.counted(Figure.TOTAL, len(joined)))
        await self._ledger.count(transaction, counts, max(times.values()))
        await self._ledger.tell(
            transaction,
            [
                subject.event(device, kind, times[device])
                for device in new
                for kind in (EventKind.STATUS, EventKind.ARRIVE)
            ],
        )
        if subject.revoked:
            for device in new:
                self._notes.recalled(device)

    async def _reported(
        self, transaction: Transaction, subject: _Subject, kind: EventKind, times: Mapping[int, int]
    ) -> None:
        rows = [(subject.task, device, kind.value, at) for device, at in times.items()]
        new = [device for (device,) in await transaction.insert(_INSERT_REPORTS, rows)]
        if new:
            now = max(times.values())
            await self._ledger.count(transaction, [subject.counted(KINDS[kind].figure, len(new))], now)
            await self._ledger.tell(transaction, [subject.event(device, kind, times[device]) for device in new])
