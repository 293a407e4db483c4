"""What is owed to a device on the own link: read on connection, settled by its acks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select, update

from clarion.channels.message import decode_content
from clarion.clock import Clock
from clarion.delivery.frames import push_frame
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.states import MessageStatus, Outcome, Stage
from clarion.ids import IdGenerator
from clarion.store.database import Database, Row, Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Insert, Query
from clarion.store.schema import deliveries, hops, messages, reports, tasks


class OwedFrame(NamedTuple):
    """A message that a device has not acknowledged, as the frame to send."""

    message: int
    frame: bytes


class _Step(NamedTuple):
    """Something that happened to messages on one device."""

    device: int
    messages: Sequence[int]
    hop: int
    at: int


class _Report(NamedTuple):
    """What a device told about a message."""

    device: int
    message: int
    stage: Stage
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
        .values(status=int(MessageStatus.ACKED), status_at=bindparam("at"))
        .where(terms.any_of(messages.c.message, "acked"), messages.c.status < int(MessageStatus.ACKED))
    ),
    lists=("acked",),
)
_DELIVERED_TO = Query(
    lambda terms: (
        select(hops.c.message, hops.c.device)
        .where(terms.any_of(hops.c.message, "messages"), hops.c.stage == Stage.ACKED.value)
        .distinct()
    ),
    lists=("messages",),
)
_INSERT_REPORTS = Insert(
    reports, ("message", "device", "kind", "at"), on_conflict="DO NOTHING", returning=("message", "device", "kind")
)


class Inbox:
    """The deliveries of the own link.

    Args:
        database: to read from.
        writer: to write with.
        ids: numbers of hops.
        clock: for expiry and the times of hops.
    """

    def __init__(self, database: Database, writer: GroupWriter, ids: IdGenerator, clock: Clock) -> None:
        self._database = database
        self._writer = writer
        self._ids = ids
        self._clock = clock

    async def owed(self, device: int, after: int, limit: int) -> list[OwedFrame]:
        """Up to `limit` unexpired messages owed to `device`, in order, with an id over `after`."""
        now = self._clock.now_ms()

        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(_OWED, device=device, after=after, now=now, limit=limit)

        return [
            OwedFrame(message, push_frame(message, msg_key, task, expires_at, decode_content(content)))
            for message, msg_key, task, expires_at, content in await self._database.read(work)
        ]

    def sent(self, device: int, written: Sequence[int]) -> asyncio.Future[None]:
        """Note that messages were written to the device's connection."""
        return self._writer.submit(_sent, self._step(device, written), urgent=False)

    def acked(self, device: int, acknowledged: Sequence[int]) -> asyncio.Future[None]:
        """Record a device's acks; messages that it was not owed are ignored. Durable when the future is done."""
        return self._writer.submit(_acked, self._step(device, acknowledged), urgent=False)

    def reported(self, device: int, message: int, stage: Stage) -> asyncio.Future[None]:
        """Record that the device's user opened or ignored a message.

        A repeat changes nothing, nor does a report of a message that the device has not acknowledged.
        """
        report = _Report(device, message, stage, self._ids.next(), self._clock.now_ms())
        return self._writer.submit(_reported, report, urgent=False)

    def _step(self, device: int, ids: Sequence[int]) -> _Step:
        return _Step(device, ids, self._ids.next(), self._clock.now_ms())


async def _sent(transaction: Transaction, batch: Sequence[_Step]) -> Sequence[None]:
    await write_hops(
        transaction,
        [
            Hop(message, step.hop, step.at, step.device, Stage.SENT, Outcome.WRITTEN)
            for step in batch
            for message in step.messages
        ],
    )
    return [None] * len(batch)


async def _acked(transaction: Transaction, batch: Sequence[_Step]) -> Sequence[None]:
    steps = {(step.device, message): step for step in batch for message in step.messages}
    settled = await transaction.fetch(_SETTLE, pairs=list(steps))
    if settled:
        await transaction.execute(_MARK_ACKED, acked=[message for _, message in settled], at=batch[0].at)
        trace = []
        for device, message in settled:
            step = steps[device, message]
            trace.append(Hop(message, step.hop, step.at, device, Stage.ACKED, Outcome.DELIVERED))
        await write_hops(transaction, trace)
    return [None] * len(batch)


async def _reported(transaction: Transaction, batch: Sequence[_Report]) -> Sequence[None]:
    rows = await transaction.fetch(_DELIVERED_TO, messages=[report.message for report in batch])
    delivered = {tuple(row) for row in rows}
    by_key = {
        (report.message, report.device, report.stage.value): report
        for report in batch
        if (report.message, report.device) in delivered
    }
    new = await transaction.insert(_INSERT_REPORTS, [(*key, report.at) for key, report in by_key.items()])
    await write_hops(
        transaction,
        [
            Hop(report.message, report.hop, report.at, report.device, report.stage, Outcome.REPORTED)
            for report in (by_key[message, device, kind] for message, device, kind in new)
        ],
    )
    return [None] * len(batch)
