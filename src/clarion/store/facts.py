"""Small questions about the database as a whole."""

from __future__ import annotations

from sqlalchemy import func, select

from clarion.store.database import Database, Transaction
from clarion.store.queries import Query
from clarion.store.schema import devices, messages, nonces, tasks, templates
from clarion.store.schema_campaigns import broadcasts
from clarion.store.schema_vendors import activities, broadcast_parts

_LARGEST = tuple(
    Query(select(func.max(column)))
    for column in (
        tasks.c.task,
        messages.c.message,
        devices.c.device,
        nonces.c.page,
        templates.c.template,
        activities.c.activity,
        broadcast_parts.c.part,
        broadcasts.c.revocation,
    )
)
_ONE = Query(select(1))


async def largest_id(database: Database) -> int:
    """The largest id that was given out; new ones have to be larger, also when the clock was set back."""

    async def work(transaction: Transaction) -> int:
        rows = [await transaction.fetch_one(query) for query in _LARGEST]
        return max((row[0] or 0 for row in rows if row), default=0)

    return await database.read(work)


async def answers(database: Database) -> None:
    """Ask the database anything.

    Raises:
        StoreUnavailable: it does not answer.
    """

    async def work(transaction: Transaction) -> None:
        await transaction.fetch_one(_ONE)

    await database.read(work)
