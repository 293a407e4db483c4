"""Asking vendors to take a revoked broadcast back from the devices for which they took it, page by page.

A cursor is saved with what each page came to, so a crash asks for one page twice, which does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy import bindparam, select, update

from clarion.channels.base import Recalled, RecallOutcome, RecallUnknown, VendorCopy
from clarion.channels.registry import BY_THIRD_CHANNEL
from clarion.clock import Clock
from clarion.delivery.broadcasts.places import PAGE_COLUMNS, change_places, page_of
from clarion.delivery.broadcasts.planner import LAST_DEVICE
from clarion.delivery.broadcasts.sends import Send, Word, insert_sends, taken_ids
from clarion.delivery.series import Mark
from clarion.delivery.states import Outcome
from clarion.delivery.vendors.lines import LineName, Lines
from clarion.delivery.vendors.wording import recall_wording
from clarion.ids import IdGenerator
from clarion.store.database import Database, Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.store.schema import devices
from clarion.store.schema_campaigns import broadcast_joins, broadcast_pages, broadcasts

log = structlog.get_logger(__name__)

_VENDOR_SECONDS = 60.0
_JOINS = 500

_OPEN = Query(
    select(broadcasts.c.task, broadcasts.c.app, broadcasts.c.msg_key, broadcasts.c.recalled)
    .where(
        broadcasts.c.expires_at > bindparam("now"),
        broadcasts.c.revocation.is_not(None),
        broadcasts.c.recalled < LAST_DEVICE,
    )
    .limit(100)
)
_PAGE = Query(
    select(*PAGE_COLUMNS)
    .where(broadcast_pages.c.task == bindparam("task"), broadcast_pages.c.first > bindparam("after"))
    .order_by(broadcast_pages.c.first)
    .limit(1)
)
_BROUGHT = int(Mark.TAKEN | Mark.ARRIVED)
_AT_VENDOR = int(Mark.RECALLED | Mark.VENDOR)
_JOINED = Query(
    select(broadcast_joins.c.device, broadcast_joins.c.route)
    .where(
        broadcast_joins.c.task == bindparam("task"),
        broadcast_joins.c.device > bindparam("after"),
        broadcast_joins.c.marks.bitwise_and(_BROUGHT) != 0,
        broadcast_joins.c.marks.bitwise_and(_AT_VENDOR) == int(Mark.VENDOR),
    )
    .order_by(broadcast_joins.c.device)
    .limit(_JOINS)
)
_TOKENS = Query(
    lambda terms: select(devices.c.device, devices.c.channel, devices.c.vendor_token).where(
        terms.any_of(devices.c.device, "devices"), devices.c.vendor_token.is_not(None)
    ),
    lists=("devices",),
)
_ADVANCE = Query(
    update(broadcasts)
    .values(recalled=bindparam("reached"))
    .where(broadcasts.c.task == bindparam("id"), broadcasts.c.recalled == bindparam("before"))
)


class _Revoked(NamedTuple):
    task: int
    app: int
    msg_key: str
    recalled: int


class _Ask(NamedTuple):
    """Copies to be taken back: the page (or the device that joined), and channel and place of each."""

    page: int
    copies: Sequence[tuple[str, int, VendorCopy]]


class _Step(NamedTuple):
    """What became of the copies of a page; `reached`: the new cursor, None to leave it."""

    broadcast: _Revoked
    page: int
    reached: int | None
    answers: Mapping[str, Sequence[tuple[int, VendorCopy, RecallOutcome]]]


class BroadcastRecalls:
    """Takes revoked broadcasts back.

    Args:
        database: to read from.
        writer: shares its transactions with the pushes.
        lines: the ways to vendors.
        ids: numbers of what the trace has.
        clock: time.
    """

    def __init__(
        self, database: Database, writer: GroupWriter, lines: Lines, ids: IdGenerator, clock: Clock
    ) -> None:
        self._database = database
        self._writer = writer
        self._lines = lines
        self._ids = ids
        self._clock = clock

    async def work(self) -> bool:
        """Ask for a page of each revoked broadcast; whether there may be more."""
        now = self._clock.now_ms()
        rows = await self._database.read(lambda transaction: transaction.fetch(_OPEN, now=now))
        for row in rows:
            await self._take_step(_Revoked(*row))
        return bool(rows)

    async def _take_step(self, broadcast: _Revoked) -> None:
        asked = await self._database.read(lambda transaction: self._next_page(transaction, broadcast))
        if asked is not None:
            await self._recall(broadcast, asked, asked.page)
            return
        after = -1
        while late := await self._next_joined(broadcast, after):
            for one in late:
                await self._recall(broadcast, one, None)
            after = late[-1].page
        await self._writer.submit(self._record, _Step(broadcast, 0, LAST_DEVICE, {}), urgent=False)

    async def _recall(self, broadcast: _Revoked, asked: _Ask, reached: int | None) -> None:
        by_channel: dict[str, list[tuple[int, VendorCopy]]] = {}
        for channel, slot, copy in asked.copies:
            by_channel.setdefault(channel, []).append((slot, copy))
        answers = {}
        for channel, some in by_channel.items():
            said = await self._ask(LineName(broadcast.app, channel), [copy for _, copy in some])
            answers[channel] = [(slot, copy, answer) for (slot, copy), answer in zip(some, said, strict=True)]
        await self._writer.submit(self._record, _Step(broadcast, asked.page, reached, answers))

    async def _ask(self, name: LineName, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        try:
            async with asyncio.timeout(_VENDOR_SECONDS):
                return await self._lines.recall(name, copies)
        except TimeoutError:
            text = f"No answer within {_VENDOR_SECONDS:g} seconds."
        except Exception as error:
            # A channel raises nothing; should one do so, the others are asked all the same.
            log.exception("recall_failed", channel=name.channel)
            text = type(error).__name__
        return [RecallUnknown(text=text)] * len(copies)

    async def _next_page(self, transaction: Transaction, broadcast: _Revoked) -> _Ask | None:
        row = await transaction.fetch_one(_PAGE, task=broadcast.task, after=broadcast.recalled)
        if row is None:
            return None
        page = page_of(row)
        return await self._copies(transaction, broadcast, page.first, list(page.taken()))

    async def _next_joined(self, broadcast: _Revoked, after: int) -> list[_Ask]:
        async def work(transaction: Transaction) -> list[_Ask]:
            rows = await transaction.fetch(_JOINED, task=broadcast.task, after=after)
            return [
                await self._copies(transaction, broadcast, device, [(device, route, 0)]) for device, route in rows
            ]

        return await self._database.read(work)

    async def _copies(
        self, transaction: Transaction, broadcast: _Revoked, page: int, taken: Sequence[tuple[int, int, int]]
    ) -> _Ask:
        if not taken:
            return _Ask(page, ())
        vendor_ids = await taken_ids(transaction, broadcast.task, page, Outcome.TAKEN.label)
        rows = await transaction.fetch(_TOKENS, devices=[device for device, _, _ in taken])
        tokens = {(device, channel): token for device, channel, token in rows}
        copies = []
        for device, route, slot in taken:
            channel = BY_THIRD_CHANNEL[route].label
            token = tokens.get((device, channel))
            if token is not None:
                name = vendor_ids.get(slot, "")
                copies.append((channel, slot, VendorCopy(broadcast.task, device, token, name, broadcast.msg_key)))
        return _Ask(page, copies)

    async def _record(self, transaction: Transaction, batch: Sequence[_Step]) -> list[None]:
        for step in batch:
            await self._record_one(transaction, step)
        return [None] * len(batch)

    async def _record_one(self, transaction: Transaction, step: _Step) -> None:
        broadcast, now = step.broadcast, self._clock.now_ms()
        answers = [each for said in step.answers.values() for each in said]
        gone = [copy.device for _, copy, answer in answers if isinstance(answer, Recalled)]
        if gone:
            await change_places(transaction, broadcast.task, step.page, gone, add=Mark.RECALLED)
        sends = [
            Send(
                broadcast.task,
                step.page,
                self._ids.next(),
                now,
                channel,
                0,
                [(slot, _word(answer)) for slot, _, answer in said],
            )
            for channel, said in step.answers.items()
        ]
        await insert_sends(transaction, sends, Outcome.TAKEN.label)
        if step.reached is not None:
            await transaction.execute(_ADVANCE, id=broadcast.task, before=broadcast.recalled, reached=step.reached)


def _word(answer: RecallOutcome) -> Word:
    said = recall_wording(answer)
    return Word(said.outcome.label, said.code, said.detail)
