"""Giving back what a line did not send, so that nobody has to wait for the end of its lease."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, TypeVar

from sqlalchemy import bindparam, update

from clarion.delivery.vendors.claims import STEP_ROWS
from clarion.delivery.vendors.waiting import Unsent
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema import deliveries
from clarion.store.schema_vendors import broadcast_parts

T = TypeVar("T", int, tuple[int, int])

_DELIVERIES = Query(
    lambda terms: (
        update(deliveries)
        .values(owner=bindparam("kept"), leased_until=0)
        .where(
            terms.pair_of(deliveries.c.device, deliveries.c.message, "pairs"), deliveries.c.owner == bindparam("by")
        )
    ),
    pairs=("pairs",),
)
_PARTS = Query(
    lambda terms: (
        update(broadcast_parts)
        .values(owner=bindparam("kept"), leased_until=0)
        .where(terms.any_of(broadcast_parts.c.part, "parts"), broadcast_parts.c.owner == bindparam("by"))
    ),
    lists=("parts",),
)


class Release(NamedTuple):
    """Rows that a process gives back.

    Attributes:
        owner: the process.
        kept: who is said to have had them: None if they were surely not sent by anybody.
        pairs: deliveries, by device and message.
        parts: of broadcasts, by their numbers.
    """

    owner: str
    kept: str | None
    pairs: Sequence[tuple[int, int]] = ()
    parts: Sequence[int] = ()


async def release(transaction: Transaction, batch: Sequence[Release]) -> list[None]:
    """Give rows back; a handler for `GroupWriter.submit`."""
    for each in batch:
        if each.pairs:
            await transaction.execute(_DELIVERIES, pairs=each.pairs, by=each.owner, kept=each.kept)
        if each.parts:
            await transaction.execute(_PARTS, parts=each.parts, by=each.owner, kept=each.kept)
    return [None] * len(batch)


def releases(owner: str, unsent: Unsent) -> Iterator[Release]:
    """What is to be given back of a line of this owner, `STEP_ROWS` rows at a time."""
    pairs: dict[str | None, set[tuple[int, int]]] = defaultdict(set)
    parts: dict[str | None, set[int]] = defaultdict(set)
    for each in unsent.waiting:
        # Of what may have been sent before, the trace has to say so.
        if each.part is None:
            pairs[owner if each.cut_off else None].add((each.envelope.device, each.envelope.message))
        else:
            doubtful = each.cut_off or each.part.part in unsent.doubtful
            parts[owner if doubtful else None].add(each.part.part)
    for kept, some in pairs.items():
        yield from (Release(owner, kept, pairs=step) for step in _steps(some))
    for kept, numbers in parts.items():
        yield from (Release(owner, kept, parts=step) for step in _steps(numbers))


def _steps(items: Collection[T]) -> Iterator[list[T]]:
    ordered = sorted(items)
    yield from (ordered[start : start + STEP_ROWS] for start in range(0, len(ordered), STEP_ROWS))
