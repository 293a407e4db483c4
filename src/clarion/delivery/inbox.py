"""What is owed to a device on the own link: read on connection, settled by its acks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from sqlalchemy import bindparam, delete, func, select, update

from clarion.channels.message import decode_content
from clarion.clock import Clock
from clarion.delivery.frames import push_frame
from clarion.delivery.gathering import Gathering, Parcel
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.ledger import Count, Event, EventKind, Figure, Ledger
from clarion.delivery.series import Mark
from clarion.delivery.states import MessageStatus, Outcome, Stage
from clarion.ids import IdGenerator
from clarion.store.database import Database, Row, Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.store.schema import deliveries, messages, tasks


class OwedFrame(NamedTuple):
    """A message that a device has not acknowledged, as the frame to send."""

    message: int
    frame: bytes


class Ack(NamedTuple):
    """A device's ack of one entry of its inbox.

    Attributes:
        device: internal number of the device.
        entry: the id of the frame.
        hop: number for the trace.
        at: time, ms.
    """

    device: int
    entry: int
    hop: int
    at: int


class _Step(NamedTuple):
    """Something that happened to messages on one device."""

    device: int
    messages: Sequence[int]
    hop: int
    at: int


_CONTENT = func.coalesce(messages.c.content, tasks.c.content)
_OWED = Query(
    select(messages.c.message, messages.c.msg_key, messages.c.task, messages.c.expires_at, _CONTENT)
    .select_from(
        deliveries.join(messages, messages.c.message == deliveries.c.message).join(
            tasks, tasks.c.task == messages.c.task
        )
    )
    .where(
        deliveries.c.device == bindparam("device"),
        deliveries.c.message > bindparam("after"),
        messages.c.expires_at > bindparam("now"),
        messages.c.status <= int(MessageStatus.ACKED),
    )
    .order_by(deliveries.c.message)
    .limit(bindparam("limit"))
)
_SETTLE = Query(
    lambda terms: (
        delete(deliveries)
        .where(terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs"))
        .returning(deliveries.c.device, deliveries.c.message)
    ),
    pairs=("pairs",),
)
_MARK_ACKED = Query(
    lambda terms: (
        update(messages)
        .values(
            status=int(MessageStatus.ACKED),
            status_at=bindparam("at"),
            marks=messages.c.marks.bitwise_or(int(Mark.ARRIVED)).bitwise_or(
                messages.c.marks.bitwise_and(int(Mark.ARRIVED)) * int(Mark.ARRIVED_BEFORE)
            ),
        )
        .where(terms.any_of(messages.c.message, "acked"), messages.c.status < int(MessageStatus.ACKED))
        .returning(messages.c.app, messages.c.task, messages.c.message, messages.c.series, messages.c.marks)
    ),
    lists=("acked",),
)


class Source(Protocol):
    """Frames that devices are owed besides direct messages: broadcasts, revocations."""

    @property
    def idle(self) -> bool:
        """Whether no device is owed anything; spares the query."""
        ...

    def claims(self, entry: int) -> bool:
        """Whether the ack of this id belongs here. Must not block."""
        ...

    async def owed(
        self, transaction: Transaction, device: int, after: int, limit: int, now: int
    ) -> Sequence[OwedFrame]:
        """Up to `limit` frames for `device`, in order, with an id over `after`."""
        ...

    async def settle(self, transaction: Transaction, acks: Sequence[Ack]) -> None:
        """Record acks of ids that were claimed; each may come again."""
        ...


class Inbox:
    """The deliveries of the own link.

    Args:
        database: to read from.
        writer: to write with.
        ids: numbers of hops.
        clock: for expiry and the times of hops.
        ledger: counts what was delivered.
        sources: what else devices are owed.
    """

    def __init__(
        self,
        database: Database,
        writer: GroupWriter,
        ids: IdGenerator,
        clock: Clock,
        ledger: Ledger,
        sources: Sequence[Source] = (),
    ) -> None:
        self._database = database
        self._writer = writer
        self._ids = ids
        self._clock = clock
        self._ledger = ledger
        self._sources = tuple(sources)
        self._parcels = Gathering(writer, self._acked_together)

    async def owed(self, device: int, after: int, limit: int) -> list[OwedFrame]:
        """Up to `limit` unexpired frames owed to `device`, in order, with an id over `after`."""
        now = self._clock.now_ms()
        sources = [source for source in self._sources if not source.idle]

        async def work(transaction: Transaction) -> tuple[Sequence[Row], list[Sequence[OwedFrame]]]:
            rows = await transaction.fetch(_OWED, device=device, after=after, now=now, limit=limit)
            return rows, [await source.owed(transaction, device, after, limit, now) for source in sources]

        rows, others = await self._database.read(work)
        direct = [
            OwedFrame(message, push_frame(message, msg_key, task, expires_at, decode_content(content)))
            for message, msg_key, task, expires_at, content in rows
        ]
        return sorted(chain(direct, *others))[:limit] if any(others) else direct

    def sent(self, device: int, written: Sequence[int]) -> asyncio.Future[None]:
        """Note that messages were written to the device's connection."""
        direct = [message for message in written if self._claimed(message) is None]
        if direct:
            return self._writer.submit(self._sent, self._step(device, direct), urgent=False)
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def acked(self, device: int, acknowledged: Sequence[int]) -> asyncio.Future[None]:
        """Record a device's acks; messages that it was not owed are ignored. Durable when the future is done."""
        step = self._step(device, acknowledged)
        if any(self._claimed(entry) is not None for entry in acknowledged):
            return self._parcels.submit(step)
        return self._writer.submit(self._acked, step, urgent=False)

    def _step(self, device: int, ids: Sequence[int]) -> _Step:
        return _Step(device, ids, self._ids.next(), self._clock.now_ms())

    def _claimed(self, entry: int) -> Source | None:
        return next((source for source in self._sources if source.claims(entry)), None)

    async def _sent(self, transaction: Transaction, batch: Sequence[_Step]) -> Sequence[None]:
        await write_hops(
            transaction,
            [
                Hop(message, step.hop, step.at, step.device, Stage.SENT, Outcome.WRITTEN)
                for step in batch
                for message in step.messages
            ],
        )
        return [None] * len(batch)

    async def _acked(self, transaction: Transaction, batch: Sequence[_Step]) -> Sequence[None]:
        acks: dict[Source | None, list[Ack]] = {}
        for step in batch:
            for message in step.messages:
                acks.setdefault(self._claimed(message), []).append(Ack(step.device, message, step.hop, step.at))
        for source, own in acks.items():
            if source is None:
                await self.settle(transaction, own)
            else:
                await source.settle(transaction, own)
        return [None] * len(batch)

    async def _acked_together(self, transaction: Transaction, batch: Sequence[Parcel[_Step]]) -> Sequence[None]:
        await self._acked(transaction, [step for parcel in batch for step in parcel.open()])
        return [None] * len(batch)

    async def settle(self, transaction: Transaction, acks: Sequence[Ack]) -> None:
        """Record acks of direct messages inside a transaction; those that were not owed are passed over."""
        steps = {(ack.device, ack.entry): ack for ack in acks}
        settled = await transaction.fetch(_SETTLE, pairs=list(steps))
        if not settled:
            return
        now = acks[0].at
        devices = {message: device for device, message in settled}
        trace, counts, events = [], [], []
        for device, message in settled:
            ack = steps[device, message]
            trace.append(Hop(message, ack.hop, ack.at, device, Stage.ACKED, Outcome.DELIVERED))
        for app, task, message, series, marks in await transaction.fetch(_MARK_ACKED, acked=list(devices), at=now):
            counts.append(Count(app, task, message, series, Figure.SUCCESS))
            events.append(Event(app, message, devices[message], EventKind.STATUS, now))
            if not marks & Mark.ARRIVED_BEFORE:
                counts.append(Count(app, task, message, series, Figure.ARRIVAL))
                events.append(Event(app, message, devices[message], EventKind.ARRIVE, now))
        await write_hops(transaction, trace)
        await self._ledger.count(transaction, counts, now)
        await self._ledger.tell(transaction, events)
