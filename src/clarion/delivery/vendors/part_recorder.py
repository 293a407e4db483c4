"""Making a vendor's outcomes durable for devices of a broadcast: marks in their page, figures, tokens, the trace.

A part's row is changed only while this process has it leased. Afterwards, when the broadcast was revoked or another
process has the row, only what is certain is written: that the vendor took it, and what it said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import bindparam, case, delete, select, update

from clarion.delivery.broadcasts.log import broadcast_series
from clarion.delivery.broadcasts.pages import pack_numbers, unpack_numbers
from clarion.delivery.broadcasts.parts import NewPart, insert_parts
from clarion.delivery.broadcasts.places import SETTLED, held_page, joins_among, write_join, write_page
from clarion.delivery.broadcasts.sends import Send, Word, insert_sends
from clarion.delivery.ledger import Count, Event, EventKind, Figure, Ledger
from clarion.delivery.series import Mark
from clarion.delivery.states import Outcome
from clarion.delivery.vendors.part_abandon import PartAbandoner
from clarion.delivery.vendors.quota import count_targets, taken
from clarion.delivery.vendors.tokens import drop_tokens
from clarion.delivery.vendors.verdicts import Step
from clarion.delivery.vendors.waiting import PartOf
from clarion.delivery.vendors.wording import Judged, wording
from clarion.ids import IdGenerator
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema_campaigns import broadcasts
from clarion.store.schema_vendors import broadcast_parts

_OWN = (
    broadcast_parts.c.part == bindparam("id"),
    broadcast_parts.c.owner == bindparam("by"),
    broadcast_parts.c.epoch == bindparam("lease"),
)
_HELD = Query(select(broadcast_parts.c.devices).where(*_OWN).with_for_update())
_KEEP = Query(update(broadcast_parts).values(devices=bindparam("left")).where(*_OWN))
_DONE = Query(delete(broadcast_parts).where(*_OWN))
_RECALL = Query(
    update(broadcasts)
    .values(
        recalled=case((broadcasts.c.recalled >= bindparam("page"), bindparam("page")), else_=broadcasts.c.recalled)
        - 1
    )
    .where(broadcasts.c.task == bindparam("id"), broadcasts.c.revocation.is_not(None))
)
"""Of a broadcast that was revoked when a vendor took it still: have it taken back there, too.

The cursor goes back in any case, so that whoever read the page before this does not move on.
"""


# Plain numbers: arithmetic with marks takes ten times as long.
_COUNTED = int(Mark.ARRIVED | Mark.TAKEN)
_TAKEN = int(Mark.TAKEN | Mark.VENDOR)
_ENDED, _VENDOR = int(Mark.ENDED), int(Mark.VENDOR)


class PartBatch(NamedTuple):
    """Outcomes of one call to a vendor, of devices of broadcasts.

    Attributes:
        app: internal number of the app.
        channel: label of the channel.
        owner: the process that sent it.
        now: ms.
        judged: the devices.
    """

    app: int
    channel: str
    owner: str
    now: int
    judged: Sequence[Judged]


@dataclass(slots=True)
class _Changes:
    """What becomes of the devices of one part."""

    taken: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    to_link: list[int] = field(default_factory=list)
    again: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    words: list[tuple[int, Word]] = field(default_factory=list)


class PartRecorder:
    """Records outcomes.

    Args:
        ledger: counts, and tells app servers.
        ids: numbers of rows.

    Attributes:
        abandon: lets parts whose channel is gone go over to the own link; a handler for `GroupWriter.submit`.
    """

    def __init__(self, ledger: Ledger, ids: IdGenerator) -> None:
        self.abandon = PartAbandoner(ids).abandon
        self._ledger = ledger
        self._ids = ids

    async def record(self, transaction: Transaction, batches: Sequence[PartBatch]) -> list[frozenset[int]]:
        """Record batches; the devices that are owed their message on the own link now.

        A handler for `GroupWriter.submit`.
        """
        moved = [await self._record(transaction, batch) for batch in batches]
        counts = [(it.app, it.channel, taken(each.outcome for each in it.judged)) for it in batches]
        await count_targets(transaction, counts, batches[-1].now)
        return moved

    async def _record(self, transaction: Transaction, batch: PartBatch) -> frozenset[int]:
        by_part: dict[PartOf, list[Judged]] = defaultdict(list)
        for part, run in groupby(batch.judged, lambda each: each.waiting.part):
            if part is not None:
                by_part[part] += run
        to_link: list[int] = []
        # In the order in which acks lock the same pages.
        for part in sorted(by_part, key=lambda part: (part.task, part.page)):
            to_link += await self._record_part(transaction, batch, part, by_part[part])
        await drop_tokens(transaction, batch.judged, batch.now)
        return frozenset(to_link)

    async def _record_part(
        self, transaction: Transaction, batch: PartBatch, part: PartOf, judged: Sequence[Judged]
    ) -> Sequence[int]:
        lease = {"id": part.part, "by": batch.owner, "lease": part.epoch}
        row = await transaction.fetch_one(_HELD, **lease)
        changes = await self._mark(transaction, part, judged, owned=row is not None)
        await self._account(transaction, batch, part, changes)
        attempt = judged[0].waiting.envelope.attempt
        if row is not None:
            left = unpack_numbers(bytes(row[0]))
            gone = {each.waiting.envelope.device for each in judged}
            rest = [device for device in left if device not in gone]
            await self._shrink(transaction, lease, rest)
            await self._postpone(transaction, batch, part, changes.again, attempt)
        elif any(each.verdict.step is Step.TAKEN for each in judged):
            await transaction.execute(_RECALL, id=part.task, page=part.page)
        send = Send(part.task, part.page, self._ids.next(), batch.now, batch.channel, attempt, changes.words)
        await insert_sends(transaction, [send], Outcome.TAKEN.label)
        return changes.to_link

    async def _mark(
        self, transaction: Transaction, part: PartOf, judged: Sequence[Judged], *, owned: bool
    ) -> _Changes:
        page = await held_page(transaction, part.task, part.page)
        changes = _Changes()
        if page is not None:
            places = page.places()
            for each in judged:
                slot = places.get(each.waiting.envelope.device)
                if slot is not None:
                    page.change(slot, *_marks(each, page.marks[slot], changes, slot, owned=owned))
            await write_page(transaction, part.task, page)
            return changes
        joined = await joins_among(transaction, part.task, [part.page])
        for each in judged:
            place = joined.get(each.waiting.envelope.device)
            if place is not None:
                add, remove = _marks(each, place.marks, changes, 0, owned=owned)
                await write_join(transaction, part.task, part.page, Mark(place.marks & ~remove | add), place.at)
        return changes

    async def _account(self, transaction: Transaction, batch: PartBatch, part: PartOf, changes: _Changes) -> None:
        if changes.taken:
            series = broadcast_series(part.platform, batch.channel)
            count = Count(batch.app, part.task, part.task, series, Figure.SUCCESS, len(changes.taken))
            await self._ledger.count(transaction, [count], batch.now)
        if not self._ledger.tells(batch.app):
            return
        told = [(EventKind.STATUS, changes.taken), (EventKind.ENDED, changes.ended)]
        await self._ledger.tell(
            transaction,
            [Event(batch.app, part.task, device, kind, batch.now) for kind, some in told for device in some],
        )

    async def _shrink(self, transaction: Transaction, lease: Mapping[str, object], rest: Sequence[int]) -> None:
        if rest:
            await transaction.execute(_KEEP, left=pack_numbers(rest), **lease)
        else:
            await transaction.execute(_DONE, **lease)

    async def _postpone(
        self,
        transaction: Transaction,
        batch: PartBatch,
        part: PartOf,
        again: Mapping[int, Iterable[int]],
        attempt: int,
    ) -> None:
        parts = [
            NewPart(part.task, part.page, batch.app, batch.channel, sorted(devices), at, attempt)
            for at, devices in sorted(again.items())
        ]
        await insert_parts(transaction, parts, self._ids)


def _marks(each: Judged, before: int, changes: _Changes, slot: int, *, owned: bool) -> tuple[int, int]:
    """Marks to add and to remove; notes in `changes` what follows."""
    said = wording(each)
    changes.words.append((slot, Word(said.outcome.label, said.code, said.detail)))
    device, step = each.waiting.envelope.device, each.verdict.step
    if step is Step.TAKEN:
        if not before & _COUNTED:
            changes.taken.append(device)
        return _TAKEN, _ENDED
    if not owned or before & SETTLED:
        return 0, 0
    if step is Step.AGAIN:
        changes.again[each.verdict.at].append(device)
        return 0, 0
    if step is Step.LINK:
        changes.to_link.append(device)
        return 0, _VENDOR
    changes.ended.append(device)
    return _ENDED, 0
