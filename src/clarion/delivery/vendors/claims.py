"""Deliveries that are due, leased to this process: what a crash, a pause or a full line left in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, exists, func, select, text, update

from clarion.channels.base import Envelope
from clarion.channels.message import PushContent, decode_content
from clarion.channels.registry import Channel
from clarion.delivery.accept import LEASE_MS, TargetType
from clarion.delivery.activities import address
from clarion.delivery.series import PushKind
from clarion.delivery.vendors.lanes import LANE_OF
from clarion.delivery.vendors.waiting import Waiting
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema import DUE_FROM_VENDORS, deliveries, devices, messages, tasks
from clarion.store.schema_vendors import broadcast_parts

STEP_ROWS = 500
"""Most rows that one step moves."""

_DUE = Query(
    select(deliveries.c.device, deliveries.c.message, deliveries.c.owner)
    .where(
        text(DUE_FROM_VENDORS),
        deliveries.c.app == bindparam("app"),
        deliveries.c.channel == bindparam("way"),
        deliveries.c.next_at <= bindparam("now"),
        deliveries.c.leased_until <= bindparam("now"),
    )
    .order_by(deliveries.c.next_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_LEASE = Query(
    lambda terms: (
        update(deliveries)
        .values(owner=bindparam("by"), epoch=deliveries.c.epoch + 1, leased_until=bindparam("until"))
        .where(terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs"))
    ),
    pairs=("pairs",),
)
TO_LINK = Query(
    lambda terms: (
        update(deliveries)
        .values(channel=Channel.LINK.label, owner=None, leased_until=0)
        .where(
            terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs"), deliveries.c.owner == bindparam("by")
        )
        .returning(deliveries.c.device, deliveries.c.message)
    ),
    pairs=("pairs",),
)
"""Let deliveries of this process go over to the own link."""

_ADDRESS = address(messages.c.target_type == int(TargetType.ACTIVITY_TOKEN))
_ENVELOPES = Query(
    lambda terms: (
        select(
            deliveries.c.device,
            deliveries.c.message,
            deliveries.c.attempts,
            deliveries.c.repeats,
            _ADDRESS,
            messages.c.msg_key,
            messages.c.task,
            messages.c.expires_at,
            tasks.c.kind,
            func.coalesce(messages.c.content, tasks.c.content),
        )
        .select_from(
            deliveries.join(devices, devices.c.device == deliveries.c.device, isouter=True)
            .join(messages, messages.c.message == deliveries.c.message)
            .join(tasks, tasks.c.task == messages.c.task)
        )
        .where(
            terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs"),
            messages.c.expires_at > bindparam("now"),
            _ADDRESS.is_not(None),
        )
    ),
    pairs=("pairs",),
)


_ABANDON = Query(
    lambda terms: (
        select(deliveries.c.device, deliveries.c.message)
        .where(
            text(DUE_FROM_VENDORS),
            deliveries.c.app == bindparam("app"),
            ~terms.any_of(deliveries.c.channel, "configured"),
            exists().where(devices.c.device == deliveries.c.device),  # a live activity waits for its one channel
            deliveries.c.leased_until <= bindparam("now"),
        )
        .limit(STEP_ROWS)
        .with_for_update(skip_locked=True)
    ),
    lists=("configured",),
)
_ABANDONED = Query(
    lambda terms: (
        update(deliveries)
        .values(channel=Channel.LINK.label, owner=None, leased_until=0)
        .where(terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs"))
    ),
    pairs=("pairs",),
)


_POSTPONED = Query(
    select(deliveries.c.device, deliveries.c.message)
    .where(
        text(DUE_FROM_VENDORS),
        deliveries.c.app == bindparam("app"),
        deliveries.c.channel == bindparam("way"),
        deliveries.c.next_at > bindparam("now"),
        deliveries.c.leased_until <= bindparam("now"),
    )
    .limit(STEP_ROWS)
    .with_for_update(skip_locked=True)
)
_HASTEN = Query(
    lambda terms: (
        update(deliveries)
        .values(next_at=bindparam("at"))
        .where(terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs"))
    ),
    pairs=("pairs",),
)
_HASTEN_PARTS = Query(
    update(broadcast_parts)
    .values(next_at=bindparam("now"))
    .where(
        broadcast_parts.c.app == bindparam("number"),
        broadcast_parts.c.channel == bindparam("way"),
        broadcast_parts.c.next_at > bindparam("now"),
        broadcast_parts.c.leased_until <= bindparam("now"),
    )
)


class Hasten(NamedTuple):
    """An app and a channel that need not wait any more; `now` in ms."""

    app: int
    channel: str
    now: int


async def hasten(transaction: Transaction, batch: Sequence[Hasten]) -> list[int]:
    """Let what was postponed be due, `STEP_ROWS` deliveries at a time; how many.

    A handler for `GroupWriter.submit`.
    """
    return [await _hasten(transaction, each) for each in batch]


async def _hasten(transaction: Transaction, asked: Hasten) -> int:
    app, way, now = asked
    pairs = [tuple(row) for row in await transaction.fetch(_POSTPONED, app=app, way=way, now=now)]
    if pairs:
        await transaction.execute(_HASTEN, pairs=pairs, at=now)
    await transaction.execute(_HASTEN_PARTS, number=app, way=way, now=now)
    return len(pairs)


class Claim(NamedTuple):
    """What a line asks for.

    Attributes:
        app: internal number of the app.
        channel: label of the channel.
        limit: most deliveries.
        owner: this process.
        now: ms.
    """

    app: int
    channel: str
    limit: int
    owner: str
    now: int


async def claim(transaction: Transaction, batch: Sequence[Claim]) -> list[list[Waiting]]:
    """Lease what is due; a handler for `GroupWriter.submit`."""
    return [await _claim(transaction, each) for each in batch]


async def _claim(transaction: Transaction, asked: Claim) -> list[Waiting]:
    rows = await transaction.fetch(_DUE, app=asked.app, way=asked.channel, now=asked.now, limit=asked.limit)
    pairs = [(device, message) for device, message, _ in rows]
    # Whoever has had a row and neither settled nor postponed it is no more; it may have been sent.
    cut_off = {(device, message) for device, message, owner in rows if owner is not None}
    if not pairs:
        return []
    until = asked.now + LEASE_MS
    await transaction.execute(_LEASE, pairs=pairs, by=asked.owner, until=until)
    contents: dict[bytes, PushContent] = {}
    found = []
    lost = set(pairs)
    for row in await transaction.fetch(_ENVELOPES, pairs=pairs, now=asked.now):
        device, message, attempts, repeats, token, msg_key, task, expires_at, kind, stored = row
        stored = bytes(stored)
        content = contents.get(stored)
        if content is None:
            content = contents[stored] = decode_content(stored)
        envelope = Envelope(message, device, token, msg_key, task, expires_at, content, attempts + 1)
        again = (device, message) in cut_off
        found.append(Waiting(envelope, LANE_OF[PushKind(kind)], until, None, again, repeats))
        lost.discard((device, message))
    if lost:
        # The device's token was forgotten meanwhile, or it expired, which the sweep will notice.
        await transaction.execute(TO_LINK, pairs=sorted(lost), by=asked.owner)
    return found


class Abandon(NamedTuple):
    """An app and the channels that it has: deliveries through others shall go over to the own link. `now`: ms."""

    app: int
    configured: Sequence[str]
    now: int


async def abandon(transaction: Transaction, batch: Sequence[Abandon]) -> list[frozenset[int]]:
    """Let deliveries through channels that are gone go over to the own link, `STEP_ROWS` at a time; their devices.

    A handler for `GroupWriter.submit`.
    """
    return [await _abandon(transaction, each) for each in batch]


async def _abandon(transaction: Transaction, asked: Abandon) -> frozenset[int]:
    rows = await transaction.fetch(_ABANDON, app=asked.app, configured=list(asked.configured), now=asked.now)
    pairs = [(device, message) for device, message in rows]
    if pairs:
        await transaction.execute(_ABANDONED, pairs=pairs)
    return frozenset(device for device, _ in pairs)
