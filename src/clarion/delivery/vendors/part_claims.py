"""Parts of broadcasts that are due, leased to this process and turned into envelopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select, update

from clarion.channels.base import Envelope
from clarion.channels.message import PushContent, decode_content
from clarion.delivery.accept import LEASE_MS, TargetType
from clarion.delivery.broadcasts.log import PLATFORM_OF
from clarion.delivery.broadcasts.model import BroadcastState
from clarion.delivery.broadcasts.pages import pack_numbers, unpack_numbers
from clarion.delivery.broadcasts.parts import NewPart, insert_parts
from clarion.delivery.broadcasts.places import SETTLED, held_page, joins_among
from clarion.delivery.vendors.lanes import Lane
from clarion.delivery.vendors.waiting import PartOf, Waiting
from clarion.ids import IdGenerator
from clarion.store.database import Row, Transaction
from clarion.store.queries import Query
from clarion.store.schema import devices, tasks
from clarion.store.schema_campaigns import broadcasts
from clarion.store.schema_vendors import broadcast_parts

_STEP_PARTS = 50
_MOST_CONTENTS = 64

_IS_DUE = (
    broadcast_parts.c.app == bindparam("app"),
    broadcast_parts.c.channel == bindparam("way"),
    broadcast_parts.c.next_at <= bindparam("now"),
    broadcast_parts.c.leased_until <= bindparam("now"),
)
ANY_DUE = Query(select(broadcast_parts.c.part).where(*_IS_DUE).limit(1))
"""Whether a channel of an app has parts that nobody has leased."""

_DUE = Query(
    select(
        broadcast_parts.c.part,
        broadcast_parts.c.task,
        broadcast_parts.c.page,
        broadcast_parts.c.devices,
        broadcast_parts.c.attempts,
        broadcast_parts.c.owner,
        broadcast_parts.c.epoch,
    )
    .where(*_IS_DUE)
    .order_by(broadcast_parts.c.next_at)
    .limit(_STEP_PARTS)
    .with_for_update(skip_locked=True)
)
_LEASE = Query(
    lambda terms: (
        update(broadcast_parts)
        .values(owner=bindparam("by"), epoch=broadcast_parts.c.epoch + 1, leased_until=bindparam("until"))
        .where(terms.any_of(broadcast_parts.c.part, "parts"))
    ),
    lists=("parts",),
)
_DROP = Query(
    lambda terms: delete(broadcast_parts).where(terms.any_of(broadcast_parts.c.part, "parts")), lists=("parts",)
)
_SHORTEN = Query(
    update(broadcast_parts).values(devices=bindparam("left")).where(broadcast_parts.c.part == bindparam("id"))
)
_BROADCASTS = Query(
    lambda terms: (
        select(
            broadcasts.c.task,
            broadcasts.c.msg_key,
            broadcasts.c.target_type,
            broadcasts.c.expires_at,
            tasks.c.content,
        )
        .join(tasks, tasks.c.task == broadcasts.c.task)
        .where(
            terms.any_of(broadcasts.c.task, "open"),
            broadcasts.c.expires_at > bindparam("now"),
            broadcasts.c.state != int(BroadcastState.REVOKED),
        )
    ),
    lists=("open",),
)
_TOKENS = Query(
    lambda terms: select(devices.c.device, devices.c.vendor_token).where(
        terms.any_of(devices.c.device, "devices"),
        devices.c.channel == bindparam("way"),
        devices.c.vendor_token.is_not(None),
    ),
    lists=("devices",),
)


class PartClaim(NamedTuple):
    """What is asked for.

    Attributes:
        app: internal number of the app.
        channel: label of the channel.
        room: most devices.
        owner: this process.
        now: ms.
    """

    app: int
    channel: str
    room: int
    owner: str
    now: int


@dataclass(slots=True)
class ClaimedParts:
    """What was leased.

    Attributes:
        waiting: to be sent.
        lost: devices whose vendor token was forgotten, or which report another channel now.
        more: whether there may be more.
    """

    waiting: list[Waiting] = field(default_factory=list)
    lost: list[Waiting] = field(default_factory=list)
    more: bool = False


class _Due(NamedTuple):
    part: int
    task: int
    page: int
    devices: bytes
    attempts: int
    owner: str | None
    epoch: int

    @property
    def is_new(self) -> bool:
        """Whether nobody can have sent any of it."""
        return self.owner is None and not self.attempts


class _Broadcast(NamedTuple):
    msg_key: str
    platform: str
    expires_at: int
    content: PushContent


class PartClaims:
    """Leases parts.

    Args:
        ids: numbers of parts that are split.
    """

    def __init__(self, ids: IdGenerator) -> None:
        self._ids = ids
        self._contents: dict[bytes, PushContent] = {}

    async def claim(self, transaction: Transaction, batch: Sequence[PartClaim]) -> list[ClaimedParts]:
        """Lease what is due; a handler for `GroupWriter.submit`."""
        return [await self._claim(transaction, each) for each in batch]

    async def _claim(self, transaction: Transaction, asked: PartClaim) -> ClaimedParts:
        claimed = ClaimedParts()
        rows = await transaction.fetch(_DUE, app=asked.app, way=asked.channel, now=asked.now)
        chosen = _fitting([_Due(*row) for row in rows], asked.room)
        if not chosen:
            return claimed
        claimed.more = len(chosen) < len(rows) or len(rows) == _STEP_PARTS
        found = await self._broadcasts(transaction, sorted({due.task for due in chosen}), asked.now)
        current = [await self._split(transaction, asked, due) for due in chosen if due.task in found]
        current = [due if due.is_new else await _unsettled(transaction, due) for due in current]
        current = [due for due in current if due.devices]
        # Of a broadcast that was revoked, or whose validity is over, nothing more is sent.
        if over := {due.part for due in chosen} - {due.part for due in current}:
            await transaction.execute(_DROP, parts=sorted(over))
        until = asked.now + LEASE_MS
        await transaction.execute(_LEASE, parts=[due.part for due in current], by=asked.owner, until=until)
        for due in current:
            await self._envelopes(transaction, asked, due, found[due.task], claimed)
        return claimed

    async def _split(self, transaction: Transaction, asked: PartClaim, due: _Due) -> _Due:
        """Make two parts of one that has more devices than there is room for."""
        size = 8 * asked.room
        if len(due.devices) <= size:
            return due
        own, rest = bytes(due.devices[:size]), bytes(due.devices[size:])
        part = NewPart(
            due.task, due.page, asked.app, asked.channel, unpack_numbers(rest), asked.now, due.attempts, due.owner
        )
        await insert_parts(transaction, [part], self._ids)
        await transaction.execute(_SHORTEN, id=due.part, left=own)
        return due._replace(devices=own)

    async def _envelopes(
        self, transaction: Transaction, asked: PartClaim, due: _Due, of: _Broadcast, claimed: ClaimedParts
    ) -> None:
        numbers = unpack_numbers(bytes(due.devices))
        tokens: Mapping[int, str] = dict(
            await transaction.fetch(_TOKENS, devices=numbers.tolist(), way=asked.channel)  # type: ignore[arg-type]
        )
        part = PartOf(due.part, due.task, due.page, of.platform, due.epoch + 1)
        until, attempt, cut_off = asked.now + LEASE_MS, due.attempts + 1, due.owner is not None
        task, msg_key, _, expires_at, content = due.task, *of
        for device in numbers:
            token = tokens.get(device)
            envelope = Envelope(task, device, token or "", msg_key, task, expires_at, content, attempt)
            waiting = Waiting(envelope, Lane.BROADCAST, until, part, cut_off)
            (claimed.waiting if token else claimed.lost).append(waiting)

    async def _broadcasts(self, transaction: Transaction, open_tasks: list[int], now: int) -> dict[int, _Broadcast]:
        rows = await transaction.fetch(_BROADCASTS, open=open_tasks, now=now)
        return {row[0]: self._broadcast(row) for row in rows}

    def _broadcast(self, row: Row) -> _Broadcast:
        _, msg_key, target_type, expires_at, stored = row
        stored = bytes(stored)
        content = self._contents.get(stored)
        if content is None:
            if len(self._contents) >= _MOST_CONTENTS:
                self._contents.clear()
            # One object for all envelopes that share it: channels send those in one call.
            content = self._contents[stored] = decode_content(stored)
        return _Broadcast(msg_key, PLATFORM_OF[TargetType(target_type)], expires_at, content)


async def _unsettled(transaction: Transaction, due: _Due) -> _Due:
    """The part without devices that have it by now: as they told, or a vendor whose answer was late."""
    devices = unpack_numbers(bytes(due.devices))
    page = await held_page(transaction, due.task, due.page)
    if page is None:
        joined = await joins_among(transaction, due.task, devices)
        left = [device for device, place in joined.items() if not place.marks & SETTLED]
    else:
        slots = page.places()
        left = [device for device in devices if not page.marks[slots[device]] & SETTLED]
    if len(left) == len(devices):
        return due
    packed = pack_numbers(left)
    await transaction.execute(_SHORTEN, id=due.part, left=packed)
    return due._replace(devices=packed)


def _fitting(due: Sequence[_Due], room: int) -> list[_Due]:
    """The first parts that have at most `room` devices together, one at least."""
    chosen: list[_Due] = []
    for each in due:
        room -= len(each.devices) // 8
        if chosen and room < 0:
            break
        chosen.append(each)
    return chosen
