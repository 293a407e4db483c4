"""Making a vendor's outcomes durable: deliveries, statuses, figures, tokens and the trace, in one transaction.

A row is changed only while this process owns it. One that is not its own any more was settled meanwhile, by a
report of the device, by a revocation, or by the process that leased it next; then only the trace is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, exists, select, update

from clarion.delivery.accept import TargetType
from clarion.delivery.activities import drop_token
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.ledger import Count, Event, EventKind, Figure, Ledger
from clarion.delivery.sms.owed import hasten
from clarion.delivery.states import OPEN, MessageStatus, Stage
from clarion.delivery.vendors.claims import TO_LINK
from clarion.delivery.vendors.quota import count_targets, taken
from clarion.delivery.vendors.tokens import drop_tokens
from clarion.delivery.vendors.verdicts import Step
from clarion.delivery.vendors.wording import Judged, wording
from clarion.ids import IdGenerator
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema import deliveries, devices, messages
from clarion.store.schema_vendors import activities

_OWN = deliveries.c.owner == bindparam("by")
_SETTLE = Query(
    lambda terms: (
        delete(deliveries)
        .where(terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs"), _OWN)
        .returning(deliveries.c.device, deliveries.c.message)
    ),
    pairs=("pairs",),
)
_POSTPONE = Query(
    lambda terms: (
        update(deliveries)
        .values(
            attempts=deliveries.c.attempts + 1,
            repeats=deliveries.c.repeats + bindparam("more"),
            next_at=bindparam("at"),
            owner=None,
            leased_until=0,
        )
        .where(terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs"), _OWN)
        .returning(deliveries.c.device, deliveries.c.message)
    ),
    pairs=("pairs",),
)
_MARK_TAKEN = Query(
    lambda terms: (
        update(messages)
        .values(status=int(MessageStatus.ACKED), status_at=bindparam("at"))
        .where(terms.any_of(messages.c.message, "taken"), messages.c.status < int(MessageStatus.ACKED))
        .returning(messages.c.app, messages.c.task, messages.c.message, messages.c.series)
    ),
    lists=("taken",),
)
_OTHER_DEVICE = exists(
    select(deliveries.c.device)
    .select_from(devices.join(deliveries, deliveries.c.device == devices.c.device))
    .where(
        devices.c.app == messages.c.app,
        devices.c.user_id == messages.c.target,
        deliveries.c.message == messages.c.message,
        messages.c.target_type == int(TargetType.USER),
    )
)
_OTHER_ACTIVITY = exists(
    select(deliveries.c.device)
    .select_from(activities.join(deliveries, deliveries.c.device == activities.c.activity))
    .where(
        activities.c.app == messages.c.app,
        activities.c.activity_id == messages.c.target,
        deliveries.c.message == messages.c.message,
        messages.c.target_type == int(TargetType.ACTIVITY_ID),
    )
)
_MARK_ENDED = Query(
    lambda terms: (
        update(messages)
        .values(status=int(MessageStatus.EXCEPTION), status_at=bindparam("at"))
        .where(
            terms.any_of(messages.c.message, "ended"),
            messages.c.status <= max(map(int, OPEN)),
            ~_OTHER_DEVICE,
            ~_OTHER_ACTIVITY,
        )
        .returning(messages.c.app, messages.c.message)
    ),
    lists=("ended",),
)


class Batch(NamedTuple):
    """Outcomes of one call to a vendor.

    Attributes:
        app: internal number of the app.
        channel: label of the channel.
        owner: the process that sent it.
        now: ms.
        judged: the deliveries.
    """

    app: int
    channel: str
    owner: str
    now: int
    judged: Sequence[Judged]


_Pairs = list[tuple[int, int]]


class Recorder:
    """Records outcomes.

    Args:
        ledger: counts, and tells app servers.
        ids: numbers of hops.
    """

    def __init__(self, ledger: Ledger, ids: IdGenerator) -> None:
        self._ledger = ledger
        self._ids = ids

    async def record(self, transaction: Transaction, batches: Sequence[Batch]) -> list[frozenset[int]]:
        """Record batches; the devices that are owed a message on the own link now.

        A handler for `GroupWriter.submit`.
        """
        recorded = [await self._record(transaction, batch) for batch in batches]
        if batches:
            counts = [(it.app, it.channel, taken(each.outcome for each in it.judged)) for it in batches]
            await count_targets(transaction, counts, batches[-1].now)
        return recorded

    async def _record(self, transaction: Transaction, batch: Batch) -> frozenset[int]:
        pairs: dict[Step, _Pairs] = defaultdict(list)
        later: dict[tuple[int, bool], _Pairs] = defaultdict(list)
        for each in batch.judged:
            pair = each.waiting.envelope.device, each.waiting.envelope.message
            if each.verdict.step is Step.AGAIN:
                later[each.verdict.at, each.verdict.repeat].append(pair)
            else:
                pairs[each.verdict.step].append(pair)
        own = set()
        for step in (Step.TAKEN, Step.ENDED):
            if pairs[step]:
                own |= {tuple(row) for row in await transaction.fetch(_SETTLE, pairs=pairs[step], by=batch.owner)}
        for (at, repeat), some in sorted(later.items()):
            rows = await transaction.fetch(_POSTPONE, pairs=some, by=batch.owner, at=at, more=int(repeat))
            own |= {tuple(row) for row in rows}
        moved = pairs[Step.LINK] and await transaction.fetch(TO_LINK, pairs=pairs[Step.LINK], by=batch.owner)
        own |= {tuple(row) for row in moved}
        await self._mark(transaction, batch, own)
        judged = await drop_tokens(transaction, batch.judged, batch.now)
        await self._end_activities(transaction, batch)
        await write_hops(transaction, [self._hop(batch, each) for each in judged])
        return frozenset(device for device, _ in moved)

    async def _mark(self, transaction: Transaction, batch: Batch, own: set[tuple[int, ...]]) -> None:
        taken, ended = (
            {
                each.waiting.envelope.message: each.waiting.envelope.device
                for each in batch.judged
                if each.verdict.step is step
                and (each.waiting.envelope.device, each.waiting.envelope.message) in own
            }
            for step in (Step.TAKEN, Step.ENDED)
        )
        await mark_taken(transaction, self._ledger, taken, batch.now)
        if ended:
            rows = await transaction.fetch(_MARK_ENDED, ended=list(ended), at=batch.now)
            events = [Event(app, message, ended[message], EventKind.STATUS, batch.now) for app, message in rows]
            await self._ledger.tell(transaction, events)
            await hasten(transaction, [message for _, message in rows], batch.now)

    async def _end_activities(self, transaction: Transaction, batch: Batch) -> None:
        for each in batch.judged:
            envelope, verdict = each.waiting.envelope, each.verdict
            if verdict.drop_token and envelope.content.activity is not None:
                before = batch.now + 1 if verdict.since is None else verdict.since
                hop = self._ids.next()
                await drop_token(transaction, envelope.device, envelope.token, before, hop, batch.now)

    def _hop(self, batch: Batch, each: Judged) -> Hop:
        envelope, said = each.waiting.envelope, wording(each)
        return Hop(
            envelope.message,
            self._ids.next(),
            batch.now,
            envelope.device,
            Stage.SENT,
            said.outcome,
            said.code or None,
            said.detail or None,
            batch.channel,
        )


async def mark_taken(transaction: Transaction, ledger: Ledger, taken: Mapping[int, int], now: int) -> None:
    """Note that vendors have messages, whose deliveries were settled in this transaction.

    Args:
        transaction: written with.
        ledger: counts, and tells app servers.
        taken: devices by message.
        now: time, ms.
    """
    if not taken:
        return
    rows = await transaction.fetch(_MARK_TAKEN, taken=list(taken), at=now)
    counts = [Count(app, task, message, series, Figure.SUCCESS) for app, task, message, series in rows]
    await ledger.count(transaction, counts, now)
    events = [Event(app, message, taken[message], EventKind.STATUS, now) for app, _, message, _ in rows]
    await ledger.tell(transaction, events)
