"""Parts of broadcasts whose channel the app does not have any more: their devices go over to the own link."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, select

from clarion.delivery.broadcasts.pages import unpack_numbers
from clarion.delivery.broadcasts.places import SETTLED, held_page, joins_among, write_join, write_page
from clarion.delivery.broadcasts.sends import Send, Word, insert_sends
from clarion.delivery.series import Mark
from clarion.delivery.states import LEFT_TO_LINK, Outcome
from clarion.delivery.vendors.claims import Abandon
from clarion.ids import IdGenerator
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema_vendors import broadcast_parts

_STEP_PARTS = 5

_GONE = Query(
    lambda terms: (
        select(
            broadcast_parts.c.part,
            broadcast_parts.c.task,
            broadcast_parts.c.page,
            broadcast_parts.c.channel,
            broadcast_parts.c.devices,
            broadcast_parts.c.attempts,
        )
        .where(
            broadcast_parts.c.app == bindparam("app"),
            ~terms.any_of(broadcast_parts.c.channel, "configured"),
            broadcast_parts.c.leased_until <= bindparam("now"),
        )
        .limit(_STEP_PARTS)
        .with_for_update(skip_locked=True)
    ),
    lists=("configured",),
)
_DROP = Query(delete(broadcast_parts).where(broadcast_parts.c.part == bindparam("part")))
_WORD = Word(
    Outcome.MISCONFIGURED.label,
    "",
    f"The app does not have the channel any more. {LEFT_TO_LINK}",
)


class PartAbandoner:
    """Lets parts go over to the own link.

    Args:
        ids: numbers of what the trace has.
    """

    def __init__(self, ids: IdGenerator) -> None:
        self._ids = ids

    async def abandon(self, transaction: Transaction, batch: Sequence[Abandon]) -> list[frozenset[int]]:
        """Take a step; the devices that are owed a broadcast on the own link now.

        A handler for `GroupWriter.submit`.
        """
        return [await self._abandon(transaction, asked) for asked in batch]

    async def _abandon(self, transaction: Transaction, asked: Abandon) -> frozenset[int]:
        rows = await transaction.fetch(_GONE, app=asked.app, configured=list(asked.configured), now=asked.now)
        moved: set[int] = set()
        for part, task, page, channel, devices, attempts in rows:
            slots = await _to_link(transaction, task, page, unpack_numbers(bytes(devices)))
            words = [(slot, _WORD) for slot in slots.values()]
            send = Send(task, page, self._ids.next(), asked.now, channel, attempts, words)
            await insert_sends(transaction, [send], Outcome.TAKEN.label)
            await transaction.execute(_DROP, part=part)
            moved |= slots.keys()
        return frozenset(moved)


async def _to_link(transaction: Transaction, task: int, first: int, devices: Sequence[int]) -> dict[int, int]:
    """Leave devices to the own link; the places of those that it concerns."""
    page = await held_page(transaction, task, first)
    slots: dict[int, int] = {}
    if page is not None:
        for device in devices:
            slot = page.index(device)
            if slot is not None and not page.marks[slot] & SETTLED:
                page.change(slot, Mark(0), Mark.VENDOR)
                slots[device] = slot
        await write_page(transaction, task, page)
        return slots
    for device, joined in (await joins_among(transaction, task, devices)).items():
        if not joined.marks & SETTLED:
            await write_join(transaction, task, device, joined.marks & ~Mark.VENDOR, joined.at)
            slots[device] = 0
    return slots
