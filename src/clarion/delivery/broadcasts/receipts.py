"""What devices tell of broadcasts: acks and reports, each counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from clarion.channels.registry import BY_THIRD_CHANNEL, Channel
from clarion.delivery.accept import TargetType
from clarion.delivery.broadcasts.audience import BELONGS, span_parameters
from clarion.delivery.broadcasts.log import PLATFORM_OF, OpenLog, broadcast_series
from clarion.delivery.broadcasts.model import decode_audience
from clarion.delivery.broadcasts.notes import Notes
from clarion.delivery.broadcasts.places import INSERT_JOINS, Before, Marked, mark_places
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
_LINK_ROUTE = Channel.LINK.third_channel
_NEWCOMER = Before(_LINK_ROUTE, Mark(0))


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

    def counted(self, figure: Figure, before: Iterable[Before]) -> Iterator[Count]:
        """Counts of devices that stood so."""
        for route, by in Counter(each.route for each in before).items():
            series = broadcast_series(self.platform, BY_THIRD_CHANNEL[route].label)
            yield Count(self.app, self.task, self.task, series, figure, by)

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
                await mark_places(transaction, entry.task, Mark.RECALLED, times)
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
            marked = await self._arrived(transaction, subject, times, late)
            for kind in (EventKind.OPEN, EventKind.IGNORE):
                when = {r.device: r.at for r in mine if r.kind is kind and r.device in marked.before}
                await self._reported(transaction, subject, kind, when, marked)

    async def arrived(self, transaction: Transaction, task: int, times: Mapping[int, int]) -> frozenset[int]:
        """Note that a vendor tells that devices have a broadcast; each may be told again.

        Args:
            transaction: written with.
            task: the task of the broadcast.
            times: since when (ms), by internal number of the device.

        Returns:
            Those of the devices that it was not for.
        """
        row = await transaction.fetch_one(_FACTS, messages=[task])
        if row is None:
            return frozenset(times)
        subject = _Subject(task, row[1], PLATFORM_OF[TargetType(row[2])], row[3] is not None)
        return frozenset((await self._arrived(transaction, subject, times, ())).absent)

    async def _arrived(
        self,
        transaction: Transaction,
        subject: _Subject,
        times: Mapping[int, int],
        may_join: Collection[int] | None,
    ) -> Marked:
        """Note that devices have a broadcast.

        Args:
            transaction: written with.
            subject: the broadcast.
            times: since when (ms), by device.
            may_join: those that may have it without being in a page; None: all, for they were sent it.

        Returns:
            How they stood before; those that are not to have it are absent.
        """
        marked = await mark_places(transaction, subject.task, Mark.ARRIVED, times)
        new = marked.new(Mark.ARRIVED)
        joining = [device for device in marked.absent if may_join is None or device in may_join]
        rows = [(subject.task, device, int(Mark.ARRIVED), _LINK_ROUTE, times[device]) for device in joining]
        joined = [device for (device,) in await transaction.insert(INSERT_JOINS, rows)]
        marked.absent = [device for device in marked.absent if device not in set(joining)]
        marked.before.update(dict.fromkeys(joining, _NEWCOMER))
        await self._account(transaction, subject, times, {device: marked.before[device] for device in new}, joined)
        return marked

    async def _account(
        self,
        transaction: Transaction,
        subject: _Subject,
        times: Mapping[int, int],
        placed: Mapping[int, Before],
        joined: Sequence[int],
    ) -> None:
        new = {**placed, **dict.fromkeys(joined, _NEWCOMER)}
        if not new:
            return
        # What a vendor took was a success before it arrived.
        told = {device: before for device, before in new.items() if Mark.TAKEN not in before.marks}
        counts = [
            *subject.counted(Figure.SUCCESS, told.values()),
            *subject.counted(Figure.ARRIVAL, new.values()),
            *subject.counted(Figure.TOTAL, [_NEWCOMER] * len(joined)),
        ]
        await self._ledger.count(transaction, counts, max(times.values()))
        events = []
        for device in new:
            if device in told:
                events.append(subject.event(device, EventKind.STATUS, times[device]))
            events.append(subject.event(device, EventKind.ARRIVE, times[device]))
        await self._ledger.tell(transaction, events)
        if subject.revoked:
            for device in new:
                self._notes.recalled(device)

    async def _reported(
        self,
        transaction: Transaction,
        subject: _Subject,
        kind: EventKind,
        times: Mapping[int, int],
        marked: Marked,
    ) -> None:
        rows = [(subject.task, device, kind.value, at) for device, at in times.items()]
        new = [device for (device,) in await transaction.insert(_INSERT_REPORTS, rows)]
        if new:
            counts = subject.counted(KINDS[kind].figure, [marked.before[device] for device in new])
            await self._ledger.count(transaction, counts, max(times.values()))
            await self._ledger.tell(transaction, [subject.event(device, kind, times[device]) for device in new])
