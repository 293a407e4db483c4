"""What devices tell of messages that they have: arrived, opened, ignored; each counted once, however often told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import bindparam, or_, select, update

from clarion.clock import Clock
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.ledger import Count, Event, EventKind, Figure, Ledger
from clarion.delivery.series import Mark
from clarion.delivery.states import Outcome, Stage
from clarion.ids import IdGenerator
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
        at: time, ms.
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
_INSERT_REPORTS = Insert(
    reports, ("message", "device", "kind", "at"), on_conflict="DO NOTHING", returning=("message", "device", "kind")
)
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
        broadcasts: takes those of broadcasts.
    """

    def __init__(
        self,
        writer: GroupWriter,
        ids: IdGenerator,
        clock: Clock,
        ledger: Ledger,
        broadcasts: ReportSource | None = None,
    ) -> None:
        self._writer = writer
        self._ids = ids
        self._clock = clock
        self._ledger = ledger
        self._broadcasts = broadcasts

    def reported(self, device: int, message: int, kind: EventKind) -> asyncio.Future[None]:
        """Record what the device told of a message. Durable when the future is done.

        A repeat changes nothing, nor does a report of a message that the device was never sent.
        """
        report = Report(device, message, kind, self._ids.next(), self._clock.now_ms())
        return self._writer.submit(self._record, report, urgent=False)

    async def _record(self, transaction: Transaction, batch: Sequence[Report]) -> Sequence[None]:
        told: Sequence[Report] = batch
        if self._broadcasts is not None:
            elsewhere = await self._broadcasts.known(transaction, sorted({report.message for report in batch}))
            if elsewhere:
                await self._broadcasts.record(transaction, [r for r in batch if r.message in elsewhere])
                told = [r for r in batch if r.message not in elsewhere]
        await self._record_direct(transaction, told)
        return [None] * len(batch)

    async def _record_direct(self, transaction: Transaction, told: Sequence[Report]) -> None:
        rows = await transaction.fetch(_DELIVERED_TO, messages=[report.message for report in told])
        delivered = {tuple(row) for row in rows}
        by_key = {
            (report.message, report.device, report.kind.value): report
            for report in told
            if (report.message, report.device) in delivered
        }
        if not by_key:
            return
        written = await transaction.insert(_INSERT_REPORTS, [(*key, report.at) for key, report in by_key.items()])
        new = [by_key[message, device, kind] for message, device, kind in written]
        await write_hops(
            transaction,
            [Hop(r.message, r.hop, r.at, r.device, KINDS[r.kind].stage, Outcome.REPORTED) for r in new],
        )
        for kind, meaning in KINDS.items():
            await self._count(transaction, kind, meaning, [report for report in new if report.kind is kind])

    async def _count(
        self, transaction: Transaction, kind: EventKind, meaning: ReportKind, new: Sequence[Report]
    ) -> None:
        if not new:
            return
        devices = {report.message: report.device for report in new}
        marked = await transaction.fetch(_MARK, messages=list(devices), mark=int(meaning.mark))
        now = new[0].at
        counts = [Count(app, task, message, series, meaning.figure) for app, task, message, series in marked]
        events = [Event(app, message, devices[message], kind, now) for app, _, message, _ in marked]
        await self._ledger.count(transaction, counts, now)
        await self._ledger.tell(transaction, events)
