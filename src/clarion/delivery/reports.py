"""What devices tell of messages that they have: arrived, opened, ignored; each counted once, however often told.

A message that was opened or swiped away has arrived, whether or not that was told too. (Not on iOS, where apps do
not report arrivals: its statistics do without.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import bindparam, or_, select, update

from clarion.channels.registry import Platform
from clarion.clock import Clock
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.inbox import Ack, Inbox
from clarion.delivery.ledger import Count, Event, EventKind, Figure, Ledger
from clarion.delivery.series import Mark, Series
from clarion.delivery.states import Outcome, Stage
from clarion.ids import IdGenerator, id_time_ms
from clarion.store.database import Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Insert, Query
from clarion.store.schema import hops, messages, reports


class Report(NamedTuple):
    """What a device told of a message.

    Attributes:
        device: internal number of the device.
        message: the message; its device's claim, it may be unknown.
        kind: what happened; not `STATUS`.
        hop: number for the trace.
        at: when it happened, ms; not before the message was made.
    """

    device: int
    message: int
    kind: EventKind
    hop: int
    at: int


class ReportKind(NamedTuple):
    """What a kind of report means for the accounts."""

    mark: Mark
    figure: Figure
    stage: Stage


KINDS: Mapping[EventKind, ReportKind] = {
    EventKind.ARRIVE: ReportKind(Mark.ARRIVED, Figure.ARRIVAL, Stage.ARRIVED),
    EventKind.OPEN: ReportKind(Mark.OPENED, Figure.OPENED, Stage.OPENED),
    EventKind.IGNORE: ReportKind(Mark.IGNORED, Figure.IGNORED, Stage.IGNORED),
}

_DELIVERED_TO = Query(
    lambda terms: (
        select(hops.c.message, hops.c.device)
        .where(
            terms.any_of(hops.c.message, "messages"),
            or_(hops.c.stage == Stage.SENT.value, hops.c.stage == Stage.ACKED.value),
        )
        .distinct()
    ),
    lists=("messages",),
)
INSERT_REPORTS = Insert(
    reports, ("message", "device", "kind", "at"), on_conflict="DO NOTHING", returning=("message", "device", "kind")
)
"""Gives back what was told for the first time."""

_MARK = Query(
    lambda terms: (
        update(messages)
        .values(marks=messages.c.marks.bitwise_or(bindparam("mark")))
        .where(
            terms.any_of(messages.c.message, "messages"),
            messages.c.marks.bitwise_and(bindparam("mark")) == 0,
        )
        .returning(messages.c.app, messages.c.task, messages.c.message, messages.c.series)
    ),
    lists=("messages",),
)


class ReportSource(Protocol):
    """Messages that are no rows of their own: broadcasts."""

    async def known(self, transaction: Transaction, entries: Sequence[int]) -> frozenset[int]:
        """Those of the ids that belong here."""
        ...

    async def record(self, transaction: Transaction, told: Sequence[Report]) -> None:
        """Record reports of ids that are known here; each may come again."""
        ...


class Reports:
    """Records reports.

    Args:
        writer: to write with.
        ids: numbers of hops.
        clock: times of reports.
        ledger: counts them.
        inbox: where a report of a message that is still owed counts as its ack.
        broadcasts: takes those of broadcasts.
    """

    def __init__(
        self,
        writer: GroupWriter,
        ids: IdGenerator,
        clock: Clock,
        ledger: Ledger,
        inbox: Inbox,
        broadcasts: ReportSource | None = None,
    ) -> None:
        self._writer = writer
        self._ids = ids
        self._clock = clock
        self._ledger = ledger
        self._inbox = inbox
        self._broadcasts = broadcasts

    def reported(self, device: int, message: int, kind: EventKind, at: int | None = None) -> asyncio.Future[bool]:
        """Record what the device told of a message. Durable when the future is done; whether it was news.

        A repeat changes nothing, nor does a report of a message that the device was never sent.

        Args:
            device: internal number of the device.
            message: the message.
            kind: what happened; not `STATUS`.
            at: when, by the device's clock (ms); kept within the life of the message so far. None for now.
        """
        now = self._clock.now_ms()
        at = now if at is None else min(now, max(id_time_ms(message), at))
        report = Report(device, message, kind, self._ids.next(), at)
        return self._writer.submit(self._record, report, urgent=False)

    async def _record(self, transaction: Transaction, batch: Sequence[Report]) -> Sequence[bool]:
        elsewhere: frozenset[int] = frozenset()
        if self._broadcasts is not None:
            elsewhere = await self._broadcasts.known(transaction, sorted({report.message for report in batch}))
            if elsewhere:
                await self._broadcasts.record(transaction, [r for r in batch if r.message in elsewhere])
        new = await self._record_direct(transaction, [r for r in batch if r.message not in elsewhere])
        return [report.message in elsewhere or report in new for report in batch]

    async def _record_direct(self, transaction: Transaction, told: Sequence[Report]) -> Collection[Report]:
        if not told:
            return ()
        # Not only because an ack may be lost: in one transaction, reports may come before acks and "sent".
        now = self._clock.now_ms()
        await self._inbox.settle(transaction, [Ack(r.device, r.message, r.hop, now) for r in told])
        rows = await transaction.fetch(_DELIVERED_TO, messages=[report.message for report in told])
        delivered = {tuple(row) for row in rows}
        by_key: dict[tuple[int, int, str], Report] = {}
        for report in told:
            if (report.message, report.device) in delivered:
                by_key.setdefault((report.message, report.device, report.kind.value), report)
        if not by_key:
            return ()
        written = await transaction.insert(INSERT_REPORTS, [(*key, report.at) for key, report in by_key.items()])
        new = [by_key[message, device, kind] for message, device, kind in written]
        await write_hops(
            transaction,
            # The report's own number is that of the ack which it may have been.
            [Hop(r.message, self._ids.next(), r.at, r.device, KINDS[r.kind].stage, Outcome.REPORTED) for r in new],
        )
        await count_told(transaction, self._ledger, new, now)
        return frozenset(new)


async def count_told(transaction: Transaction, ledger: Ledger, new: Sequence[Report], now: int) -> None:
    """Count reports in the transaction that writes them: each kind once a message, whichever device told it.

    Args:
        transaction: written with.
        ledger: counts, and tells app servers.
        new: reports that did not come before.
        now: time, ms.
    """
    counts: list[Count] = []
    events: list[Event] = []
    arrived = {report.message: report for report in new if report.kind is EventKind.ARRIVE}
    for kind in (EventKind.OPEN, EventKind.IGNORE, EventKind.ARRIVE):
        meaning = KINDS[kind]
        told = arrived if kind is EventKind.ARRIVE else {r.message: r for r in new if r.kind is kind}
        if not told:
            continue
        for app, task, message, series in await transaction.fetch(
            _MARK, messages=list(told), mark=int(meaning.mark)
        ):
            report = told[message]
            counts.append(Count(app, task, message, series, meaning.figure))
            events.append(Event(app, message, report.device, kind, report.at))
            if Series.of(series).platform is not Platform.IOS:
                arrived.setdefault(message, report)
    await ledger.count(transaction, counts, now)
    await ledger.tell(transaction, events)
