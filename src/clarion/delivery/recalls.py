"""Recalls on the own link: frames that ask devices to remove a message that they have.

A recall has an id of its own, so that its ack cannot be mistaken for that of the push (docs/link-protocol.md). Its
row stays until the device acknowledges it, for a week at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, select, tuple_

from clarion.clock import Clock
from clarion.delivery.connections import Connections
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.inbox import Ack, OwedFrame
from clarion.delivery.states import Outcome, Stage
from clarion.ids import IdGenerator, first_id_at
from clarion.store.database import Database, Row, Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Insert, Query
from clarion.store.schema_campaigns import revocations

REVOCABLE_MS = 7 * 24 * 3600 * 1000
"""How long after its acceptance a push may be revoked, and how long a recall waits for its device."""

STEP_ROWS = 500
"""Most rows that one step of expiry deletes."""


class Held(NamedTuple):
    """A message that a device has, or may have: device, internal message id, the caller's message key."""

    device: int
    message: int
    msg_key: str


class Recall(NamedTuple):
    """A row of `revocations`."""

    device: int
    revocation: int
    app: int
    message: int
    msg_key: str
    expires_at: int


class RevokeFrame(msgspec.Struct, frozen=True, tag_field="type", tag="revoke", rename="camel"):
    """A `revoke` frame."""

    id: str
    msg_key: str


_encoder = msgspec.json.Encoder()


def revoke_frame(revocation: int, msg_key: str) -> bytes:
    """The JSON text of a revoke frame."""
    return _encoder.encode(RevokeFrame(str(revocation), msg_key))


_INSERT = Insert(revocations, Recall._fields)
_OWED = Query(
    select(revocations.c.revocation, revocations.c.msg_key)
    .where(
        revocations.c.device == bindparam("device"),
        revocations.c.revocation > bindparam("after"),
        revocations.c.expires_at > bindparam("now"),
    )
    .order_by(revocations.c.revocation)
    .limit(bindparam("limit"))
)
_SETTLE = Query(
    lambda terms: (
        delete(revocations)
        .where(terms.pair_of(revocations.c.device, revocations.c.revocation, "pairs"))
        .returning(revocations.c.device, revocations.c.revocation, revocations.c.message)
    ),
    pairs=("pairs",),
)
_ANY = Query(select(revocations.c.device).where(revocations.c.expires_at > bindparam("now")).limit(1))
_OWING = Query(
    lambda terms: (
        select(revocations.c.device)
        .where(terms.any_of(revocations.c.device, "devices"), revocations.c.revocation < bindparam("before"))
        .distinct()
    ),
    lists=("devices",),
)
_EXPIRE = Query(
    delete(revocations).where(
        tuple_(revocations.c.device, revocations.c.revocation).in_(
            select(revocations.c.device, revocations.c.revocation)
            .where(revocations.c.expires_at <= bindparam("now"))
            .order_by(revocations.c.expires_at)
            .limit(bindparam("limit"))
        )
    )
)


class Recalls:
    """The recalls that devices are owed; a `Source` of the inbox.

    Args:
        database: to read from.
        writer: to write with.
        ids: numbers of recalls.
        clock: for expiry.
        connections: the connected devices.
    """

    def __init__(
        self, database: Database, writer: GroupWriter, ids: IdGenerator, clock: Clock, connections: Connections
    ) -> None:
        self._database = database
        self._writer = writer
        self._ids = ids
        self._clock = clock
        self._connections = connections
        self._idle = False  # until `refresh` has looked
        self._handed: set[int] = set()
        self._settled: set[int] = set()
        self._settled_before: set[int] = set()

    async def owe(self, transaction: Transaction, app: int, held: Iterable[Held], now: int) -> list[Recall]:
        """Owe devices of an app the recall of what they have; to be handed over after the commit."""
        recalls = [
            Recall(device, self._ids.next(), app, message, msg_key, now + REVOCABLE_MS)
            for device, message, msg_key in held
        ]
        await transaction.insert(_INSERT, recalls)
        await write_hops(
            transaction,
            [Hop(r.message, r.revocation, now, r.device, Stage.REVOKED, Outcome.RECALL_OWED) for r in recalls],
        )
        return recalls

    def hand_over(self, recalls: Sequence[Recall]) -> None:
        """Hand committed recalls to those of the devices that are connected. Never blocks."""
        if recalls:
            self._idle = False
        for recall in recalls:
            if self._connections.online(recall.device):
                frame = self._frame(recall.revocation, recall.msg_key)
                self._connections.deliver(recall.device, recall.revocation, frame)

    @property
    def idle(self) -> bool:
        """Whether no device is owed a recall; of what another node wrote, as of the last `refresh`."""
        return self._idle

    def claims(self, entry: int) -> bool:
        """Whether it is a recall that was handed out here; devices acknowledge what they were sent."""
        return entry in self._handed

    async def owed(
        self, transaction: Transaction, device: int, after: int, limit: int, now: int
    ) -> Sequence[OwedFrame]:
        """Up to `limit` recalls for `device`, in order, with an id over `after`."""
        rows = await transaction.fetch(_OWED, device=device, after=after, limit=limit, now=now)
        return [OwedFrame(revocation, self._frame(revocation, msg_key)) for revocation, msg_key in rows]

    async def settle(self, transaction: Transaction, acks: Sequence[Ack]) -> None:
        """Delete recalls that devices have acknowledged."""
        steps = {(ack.device, ack.entry): ack for ack in acks}
        settled = await transaction.fetch(_SETTLE, pairs=list(steps))
        done = [(steps[device, revocation], message) for device, revocation, message in settled]
        await write_hops(
            transaction,
            [Hop(m, ack.hop, ack.at, ack.device, Stage.RECALLED, Outcome.RECALLED) for ack, m in done],
        )
        self._settled.update(ack.entry for ack in acks)

    async def refresh(self) -> None:
        """Look whether any device is owed a recall."""
        now = self._clock.now_ms()

        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(_ANY, now=now)

        self._idle = await self._database.read(work) is None

    async def recover(self, connected: Sequence[int], grace_seconds: float = 10.0) -> int:
        """Wake those of the connected devices that are owed a recall for longer than `grace_seconds`; how many."""
        if self._idle:
            return 0
        before = first_id_at(self._clock.now_ms() - int(grace_seconds * 1000))

        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(_OWING, devices=connected, before=before)

        owing = await self._database.read(work)
        for (device,) in owing:
            self._connections.wake(device)
        return len(owing)

    async def expire(self) -> int:
        """Delete up to `STEP_ROWS` recalls whose time is over; how many."""
        return await self._writer.submit(_expire, self._clock.now_ms())

    def forget(self) -> None:
        """Forget the ids of recalls that were settled before the last call, or whose time is over."""
        oldest = first_id_at(self._clock.now_ms() - REVOCABLE_MS)
        self._handed = {entry for entry in self._handed - self._settled_before if entry >= oldest}
        # Not at once: their transaction may have to be repeated.
        self._settled_before, self._settled = self._settled, set()

    def _frame(self, revocation: int, msg_key: str) -> bytes:
        self._handed.add(revocation)
        return revoke_frame(revocation, msg_key)


async def _expire(transaction: Transaction, batch: Sequence[int]) -> list[int]:
    return [await transaction.execute(_EXPIRE, now=now, limit=STEP_ROWS) for now in batch]
