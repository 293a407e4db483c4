"""Taking back, at the start, what a process that is no more had leased."""

from __future__ import annotations

from sqlalchemy import bindparam, text, update

from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema import DUE_FROM_VENDORS, deliveries
from clarion.store.schema_vendors import broadcast_parts

_NOT_LEASED = 0
_DELIVERIES = Query(
    update(deliveries)
    .values(leased_until=_NOT_LEASED)
    .where(text(DUE_FROM_VENDORS), deliveries.c.app >= bindparam("first"), deliveries.c.leased_until > _NOT_LEASED)
)
_PARTS = Query(
    update(broadcast_parts)
    .values(leased_until=_NOT_LEASED)
    .where(broadcast_parts.c.app >= bindparam("first"), broadcast_parts.c.leased_until > _NOT_LEASED)
)


async def reclaim(transaction: Transaction) -> int:
    """End the leases of all processes; how many there were.

    Only for a process that knows that it is alone. The rows keep their owners' names, by which whoever sends them
    next knows that it may be for the second time.
    """
    first = -(1 << 62)
    return await transaction.execute(_DELIVERIES, first=first) + await transaction.execute(_PARTS, first=first)
