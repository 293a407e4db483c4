"""What app servers have yet to be told: rows that `delivery.ledger` writes, read in order, deleted once taken."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, exists, func, select, update

from clarion.callbacks.model import MAX_EVENTS, Destination, Entry, LastResult
from clarion.callbacks.signature import Signer, key_context
from clarion.store.database import Database, Row, Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.store.schema import apps, devices, messages
from clarion.store.schema_campaigns import broadcasts, callbacks
from clarion.vault import Vault

STEP_ROWS = 500
"""Most rows that one step of giving up touches."""

_NOTE_EVERY_MS = 60_000

# What was taken is deleted before the next page is read, so each page begins where the last one ended; and rows
# whose transaction committed late, under a smaller number, are found too.
_PAGE = Query(
    select(
        callbacks.c.event,
        callbacks.c.kind,
        callbacks.c.at,
        callbacks.c.message,
        messages.c.task,
        messages.c.target,
        messages.c.msg_key,
        messages.c.status,
        messages.c.series,
        broadcasts.c.msg_key.label("broadcast_key"),
        devices.c.token,
        devices.c.channel,
    )
    .select_from(
        callbacks.join(messages, messages.c.message == callbacks.c.message, isouter=True)
        .join(broadcasts, broadcasts.c.task == callbacks.c.message, isouter=True)
        .join(devices, devices.c.device == callbacks.c.device, isouter=True)
    )
    .where(callbacks.c.app == bindparam("app"))
    .order_by(callbacks.c.event)
    .limit(bindparam("limit"))
)
_WITH_EVENTS = Query(
    lambda terms: select(apps.c.app).where(
        terms.any_of(apps.c.app, "told"), exists().where(callbacks.c.app == apps.c.app)
    ),
    lists=("told",),
)
_DESTINATION = Query(
    select(apps.c.app_id, apps.c.workspace_id, apps.c.callback_url, apps.c.callback_key).where(
        apps.c.app == bindparam("number"), apps.c.callback_url.is_not(None)
    )
)
_SETTLE = Query(
    lambda terms: delete(callbacks).where(terms.any_of(callbacks.c.event, "entries")), lists=("entries",)
)
_NOTE = Query(update(apps).values(callback_result=bindparam("result")).where(apps.c.app == bindparam("number")))
_GIVE_UP = Query(
    delete(callbacks)
    .where(
        callbacks.c.event.in_(
            select(callbacks.c.event)
            .where(callbacks.c.event < bindparam("before"))
            .order_by(callbacks.c.event)
            .limit(bindparam("limit"))
        )
    )
    .returning(callbacks.c.app)
)
_COUNT = Query(select(func.count(), func.min(callbacks.c.event)).where(callbacks.c.event > bindparam("after")))


class Backlog(NamedTuple):
    """What waits.

    Attributes:
        events: how many.
        oldest: number of the oldest one, or None.
    """

    events: int
    oldest: int | None


class _Done(NamedTuple):
    app: int
    entries: Sequence[int]
    result: LastResult | None


class Outbox:
    """The rows.

    Args:
        database: to read from.
        writer: shares its transactions with the pushes.
        vault: opens the keys that sign.
    """

    def __init__(self, database: Database, writer: GroupWriter, vault: Vault) -> None:
        self._database = database
        self._writer = writer
        self._vault = vault
        self._signers: dict[int, tuple[bytes, Signer]] = {}
        self._noted: dict[int, LastResult] = {}
        # A transaction that carries the pages of many apps would hold up a push.
        self._turn = asyncio.Semaphore(2)

    async def with_events(self, told: Sequence[int]) -> list[int]:
        """Those of the apps that have something to be told."""
        return [app for (app,) in await self._fetch(_WITH_EVENTS, told=told)]

    async def page(self, app: int) -> list[Entry]:
        """The next events of an app, in order, at most `MAX_EVENTS`."""
        return [Entry(*row) for row in await self._fetch(_PAGE, app=app, limit=MAX_EVENTS)]

    async def destination(self, app: int) -> Destination | None:
        """Where the app's callbacks go now; None: nowhere."""
        rows = await self._fetch(_DESTINATION, number=app)
        if not rows:
            return None
        app_id, workspace_id, url, sealed = rows[0]
        return Destination(app_id, workspace_id, url, self._signer(app, bytes(sealed)))

    async def settle(self, app: int, entries: Sequence[int], result: LastResult | None = None) -> None:
        """Delete what was taken, and note how the last call ended if that is news. Durable on return."""
        result = self._news(app, result)
        if not entries and result is None:
            return
        async with self._turn:
            await self._writer.submit(_settle, _Done(app, entries, result), urgent=False)
        if result is not None:
            self._noted[app] = result

    async def give_up(self, before: int) -> Counter[int]:
        """Delete up to `STEP_ROWS` events with smaller numbers than `before`; how many of each app."""
        return await self._writer.submit(_give_up, before, urgent=False)

    async def backlog(self) -> Backlog:
        """How much waits, and since when."""
        ((events, oldest),) = await self._fetch(_COUNT, after=0)
        return Backlog(events, oldest)

    def _news(self, app: int, result: LastResult | None) -> LastResult | None:
        noted = self._noted.get(app)
        if result is None or noted is None or not (result.taken and noted.taken):
            return result
        return result if result.at - noted.at > _NOTE_EVERY_MS else None

    def _signer(self, app: int, sealed: bytes) -> Signer:
        known = self._signers.get(app)
        if known is None or known[0] != sealed:
            known = self._signers[app] = (sealed, Signer(self._vault.open(sealed, key_context(app))))
        return known[1]

    async def _fetch(self, query: Query, **values: Any) -> Sequence[Row]:
        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(query, **values)

        return await self._database.read(work)


async def _settle(transaction: Transaction, batch: Sequence[_Done]) -> Sequence[None]:
    for done in batch:
        if done.entries:
            await transaction.execute(_SETTLE, entries=done.entries)
        if done.result is not None:
            await transaction.execute(_NOTE, number=done.app, result=msgspec.json.encode(done.result).decode())
    return [None] * len(batch)


async def _give_up(transaction: Transaction, batch: Sequence[int]) -> Sequence[Counter[int]]:
    return [
        Counter(app for (app,) in await transaction.fetch(_GIVE_UP, before=before, limit=STEP_ROWS))
        for before in batch
    ]
