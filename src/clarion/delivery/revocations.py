"""Revoking messages: withdrawn from devices that do not have them yet, recalled from those that do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import bindparam, case, delete, or_, select, update

from clarion.channels.base import VendorCopy
from clarion.clock import Clock
from clarion.delivery.accept import DEVICE_TYPES, TargetType
from clarion.delivery.activities import ACTIVITIES_BY_ID, ONLY_WAY
from clarion.delivery.connections import Connections
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.ledger import Event, EventKind, Ledger
from clarion.delivery.recalls import Held, Recall, Recalls
from clarion.delivery.sms.owed import cancel
from clarion.delivery.states import MessageStatus, Outcome, Stage
from clarion.ids import IdGenerator
from clarion.store.database import Transaction
from clarion.store.gates import pass_together
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.store.schema import deliveries, devices, hops, messages


class Revocable(NamedTuple):
    """A message that is to be revoked: its internal id, what its target is, the target, the caller's key."""

    message: int
    target_type: int
    target: str
    msg_key: str


@dataclass(slots=True)
class Revoked:
    """What became of some messages.

    Attributes:
        withdrawn: how many were taken back before any device acknowledged them.
        recalls: for devices on the own link that have them.
        copies: what vendors took, with the label of the channel.
        missed: what devices were owed and do not have, as far as is known.
    """

    withdrawn: int = 0
    recalls: list[Recall] = field(default_factory=list)
    copies: list[tuple[str, VendorCopy]] = field(default_factory=list)
    missed: list[Held] = field(default_factory=list)


class _Step(NamedTuple):
    """Messages of one app that are to be revoked; the time, ms."""

    app: int
    at: int
    messages: Sequence[Revocable]


class _SecondLook(NamedTuple):
    """Withdrawn deliveries of an app, and those of the devices that were connected after their commit; time, ms."""

    app: int
    at: int
    missed: Sequence[Held]
    online: frozenset[int]


class _Holders(NamedTuple):
    """Who has some messages, by `(device, message)`; `settled`: who removed them, was asked to, or never will."""

    link: set[tuple[int, int]]
    vendors: dict[tuple[int, int], tuple[str, VendorCopy]]
    settled: set[tuple[int, int]]


_BY_TOKEN = Query(
    lambda terms: select(devices.c.token, devices.c.device).where(
        devices.c.app == bindparam("app"), terms.any_of(devices.c.token, "targets")
    ),
    lists=("targets",),
)
_BY_USER = Query(
    lambda terms: select(devices.c.user_id, devices.c.device).where(
        devices.c.app == bindparam("app"), terms.any_of(devices.c.user_id, "targets")
    ),
    lists=("targets",),
)
_LOOKUPS = {
    DEVICE_TYPES: _BY_TOKEN,
    frozenset({TargetType.USER}): _BY_USER,
    frozenset({TargetType.ACTIVITY_ID}): ACTIVITIES_BY_ID,
}
"""What finds the devices of targets of some types."""
_LOCK_DELIVERIES = Query(
    lambda terms: (
        select(deliveries.c.device, deliveries.c.message)
        .where(terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs"))
        .order_by(deliveries.c.device, deliveries.c.message)
        .with_for_update()
    ),
    pairs=("pairs",),
)
_WITHDRAW = Query(
    lambda terms: delete(deliveries).where(terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs")),
    pairs=("pairs",),
)
_LOCK_MESSAGES = Query(
    lambda terms: (
        select(messages.c.message)
        .where(terms.any_of(messages.c.message, "messages"))
        .order_by(messages.c.message)
        .with_for_update()
    ),
    lists=("messages",),
)
_REVOKE = Query(
    lambda terms: (
        update(messages)
        .values(status=int(MessageStatus.REVOKED), status_at=bindparam("now"))
        .where(
            terms.any_of(messages.c.message, "messages"),
            messages.c.status < int(MessageStatus.ACKED),
            messages.c.expires_at > bindparam("now"),
        )
        .returning(messages.c.message)
    ),
    lists=("messages",),
)
_HOLDERS = Query(
    lambda terms: (
        select(
            hops.c.message,
            hops.c.device,
            hops.c.outcome,
            hops.c.code,
            case((devices.c.device.is_(None), ONLY_WAY), else_=devices.c.channel),  # no device: a live activity
            devices.c.vendor_token,
        )
        .join(devices, devices.c.device == hops.c.device, isouter=True)
        .where(
            terms.any_of(hops.c.message, "messages"),
            hops.c.device.is_not(None),
            or_(
                *(hops.c.stage == stage.value for stage in (Stage.SENT, Stage.ACKED, Stage.REVOKED, Stage.RECALLED))
            ),
        )
    ),
    lists=("messages",),
)
_ON_LINK = frozenset({Outcome.WRITTEN.label, Outcome.DELIVERED.label})
_SETTLED = frozenset({Outcome.RECALL_OWED.label, Outcome.RECALLED.label, Outcome.NOT_RECALLABLE.label})


class Revocations:
    """Revokes messages.

    Args:
        writer: to write with.
        ids: numbers of hops.
        clock: times of hops.
        ledger: tells app servers of what was revoked.
        connections: the connected devices.
        recalls: what devices on the own link are asked to remove.
    """

    def __init__(
        self,
        writer: GroupWriter,
        ids: IdGenerator,
        clock: Clock,
        ledger: Ledger,
        connections: Connections,
        recalls: Recalls,
    ) -> None:
        self._writer = writer
        self._ids = ids
        self._clock = clock
        self._ledger = ledger
        self._connections = connections
        self._recalls = recalls

    async def revoke(self, app: int, wanted: Sequence[Revocable]) -> Revoked:
        """Revoke up to some hundred messages of an app; recalls are handed to the devices that are connected.

        Raises:
            StoreUnavailable: it could not be committed, or not all of it; revoking again does the rest.
        """
        revoked = await self._writer.submit(self._revoke, _Step(app, self._clock.now_ms(), wanted))
        if revoked.missed:
            # A frame may have left while its delivery was withdrawn. Its device is connected still, or its "sent"
            # was noted before now, and is written before the second look.
            online = frozenset(h.device for h in revoked.missed if self._connections.online(h.device))
            look = _SecondLook(app, self._clock.now_ms(), revoked.missed, online)
            revoked.recalls += await self._writer.submit(self._look_again, look)
        self._recalls.hand_over(revoked.recalls)
        return revoked

    async def record(self, steps: Sequence[tuple[VendorCopy, Outcome, str, str]]) -> None:
        """Add to the trace what vendors said of recalls: the copy, how it ended, their own code and text."""
        now = self._clock.now_ms()
        trace = [
            Hop(
                copy.message,
                self._ids.next(),
                now,
                copy.device,
                Stage.RECALLED,
                outcome,
                code or None,
                text or None,
            )
            for copy, outcome, code, text in steps
        ]
        await self._writer.submit(_record, trace)

    async def _revoke(self, transaction: Transaction, batch: Sequence[_Step]) -> list[Revoked]:
        # One after the other: of two revocations of one message, the second finds it revoked.
        return [await self._revoke_step(transaction, step) for step in batch]

    async def _revoke_step(self, transaction: Transaction, step: _Step) -> Revoked:
        keys = {wanted.message: wanted.msg_key for wanted in step.messages}
        ids = sorted(keys)
        # Deliveries before messages, as acks take them, and both in order: nobody waits in a circle.
        owed = await _withdraw(transaction, step)
        await transaction.fetch(_LOCK_MESSAGES, messages=ids)
        withdrawn = {message for (message,) in await transaction.fetch(_REVOKE, messages=ids, now=step.at)}
        holders = await _holders(transaction, keys)

        def held(pairs: set[tuple[int, int]]) -> list[Held]:
            return [Held(device, message, keys[message]) for device, message in sorted(pairs)]

        recalls = await self._recalls.owe(transaction, step.app, held(holders.link - holders.settled), step.at)
        copies = [copy for pair, copy in holders.vendors.items() if pair not in holders.settled]
        missed = held(owed - holders.link - holders.vendors.keys())
        await self._note(transaction, step, withdrawn, missed)
        await self._cancel_sms(transaction, step, ids)
        return Revoked(len(withdrawn), recalls, copies, missed)

    async def _note(
        self, transaction: Transaction, step: _Step, withdrawn: set[int], missed: Sequence[Held]
    ) -> None:
        ended: list[tuple[int, int | None]] = [(message, None) for message in sorted(withdrawn)]
        # Another device of the user has it, and this one shall not get it any more.
        ended += [(held.message, held.device) for held in missed if held.message not in withdrawn]
        trace = [
            Hop(message, self._ids.next(), step.at, device, Stage.REVOKED, Outcome.REVOKED)
            for message, device in ended
        ]
        events = [Event(step.app, message, None, EventKind.STATUS, step.at) for message in sorted(withdrawn)]
        await write_hops(transaction, trace)
        await self._ledger.tell(transaction, events)

    async def _cancel_sms(self, transaction: Transaction, step: _Step, ids: Sequence[int]) -> None:
        cancelled = await cancel(transaction, ids)
        if cancelled:
            trace = [Hop(it, self._ids.next(), step.at, None, Stage.SMS, Outcome.REVOKED) for it in cancelled]
            await write_hops(transaction, trace)

    async def _look_again(self, transaction: Transaction, batch: Sequence[_SecondLook]) -> list[list[Recall]]:
        return [await self._look(transaction, look) for look in batch]

    async def _look(self, transaction: Transaction, look: _SecondLook) -> list[Recall]:
        holders = await _holders(transaction, {held.message: held.msg_key for held in look.missed})
        reached = [
            held
            for held in look.missed
            if held.device in look.online or (held.device, held.message) in holders.link
        ]
        return await self._recalls.owe(transaction, look.app, reached, look.at)


async def _withdraw(transaction: Transaction, step: _Step) -> set[tuple[int, int]]:
    """Delete the deliveries of some messages; their `(device, message)`."""
    targets = {wanted.target for wanted in step.messages}
    # Along with pushes, but not with a bind, which could owe a message to one more device.
    await pass_together(transaction, ((step.app, target) for target in targets))
    found: dict[tuple[int, str], list[int]] = {}
    for kinds, query in _LOOKUPS.items():
        names = {wanted.target for wanted in step.messages if wanted.target_type in kinds}
        rows = await transaction.fetch(query, app=step.app, targets=sorted(names)) if names else ()
        for name, device, *_ in rows:
            for kind in kinds:
                found.setdefault((kind, name), []).append(device)
    pairs = [
        (device, wanted.message)
        for wanted in step.messages
        for device in found.get((wanted.target_type, wanted.target), ())
    ]
    pairs += [(wanted.message,) * 2 for wanted in step.messages if wanted.target_type == TargetType.ACTIVITY_TOKEN]
    rows = await transaction.fetch(_LOCK_DELIVERIES, pairs=pairs) if pairs else ()
    owed = {(device, message) for device, message in rows}
    if owed:
        await transaction.execute(_WITHDRAW, pairs=sorted(owed))
    return owed


async def _holders(transaction: Transaction, keys: dict[int, str]) -> _Holders:
    """Who has the messages, or may have them, by their traces; `keys` are their message keys by id."""
    holders = _Holders(set(), {}, set())
    rows = await transaction.fetch(_HOLDERS, messages=sorted(keys))
    for message, device, outcome, code, channel, token in rows:
        pair = (device, message)
        if outcome in _SETTLED:
            holders.settled.add(pair)
        elif outcome in _ON_LINK:
            holders.link.add(pair)
        elif outcome == Outcome.TAKEN.label:
            copy = VendorCopy(message, device, token or "", code or "", keys[message])
            holders.vendors[pair] = (channel or "", copy)
    return holders


async def _record(transaction: Transaction, batch: Sequence[Sequence[Hop]]) -> list[None]:
    for steps in batch:
        await write_hops(transaction, steps)
    return [None] * len(batch)
