"""Parts of broadcasts whose channel the app does not have any more: their devices go over to the own link."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, select

from clarion.delivery.broadcasts.pages import unpack_numbers
from clarion.delivery.broadcasts.places import SETTLED, change_places
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
            numbers = unpack_numbers(bytes(devices))
            slots = await change_places(transaction, task, page, numbers, remove=Mark.VENDOR, unless=SETTLED)
            words = [(slot, _WORD) for slot in slots.values()]
            send = Send(task, page, self._ids.next(), asked.now, channel, attempts, words)
            await insert_sends(transaction, [send], Outcome.TAKEN.label)
            await transaction.execute(_DROP, part=part)
            moved |= slots.keys()
        return frozenset(moved)
