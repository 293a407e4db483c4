"""Where devices stand in a broadcast: reading and marking the rows that say so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from clarion.delivery.broadcasts.pages import Page
from clarion.delivery.series import Mark
from clarion.store.database import Row, Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema_campaigns import broadcast_joins, broadcast_pages

PAGE_COLUMNS = (
    broadcast_pages.c.first,
    broadcast_pages.c.last,
    broadcast_pages.c.at,
    broadcast_pages.c.devices,
    broadcast_pages.c.marks,
    broadcast_pages.c.times,
    broadcast_pages.c.routes,
)
"""What a `Page` is made of."""

SETTLED = int(Mark.ARRIVED | Mark.TAKEN | Mark.ENDED)
"""Marks of a device that is owed a broadcast no more."""

_FIND_PAGE = (
    select(*PAGE_COLUMNS)
    .where(broadcast_pages.c.task == bindparam("task"), broadcast_pages.c.first <= bindparam("device"))
    .order_by(broadcast_pages.c.first.desc())
    .limit(1)
)
_PAGE = Query(_FIND_PAGE)
# Locked on PostgreSQL: marks are read, changed and written back.
_HELD_PAGE = Query(_FIND_PAGE.with_for_update())
_WRITE_MARKS = Query(
    update(broadcast_pages)
    .values(marks=bindparam("new_marks"), times=bindparam("new_times"))
    .where(broadcast_pages.c.task == bindparam("id"), broadcast_pages.c.first == bindparam("page"))
)
_JOINED = Query(
    lambda terms: (
        select(broadcast_joins.c.device, broadcast_joins.c.marks, broadcast_joins.c.route, broadcast_joins.c.at)
        .where(broadcast_joins.c.task == bindparam("task"), terms.any_of(broadcast_joins.c.device, "devices"))
        .order_by(broadcast_joins.c.device)
        .with_for_update()
    ),
    lists=("devices",),
)
_JOIN = Query(
    select(broadcast_joins.c.marks, broadcast_joins.c.route, broadcast_joins.c.at).where(
        broadcast_joins.c.task == bindparam("task"), broadcast_joins.c.device == bindparam("device")
    )
)
_WRITE_JOIN = Query(
    update(broadcast_joins)
    .values(marks=bindparam("new_marks"), at=bindparam("new_at"))
    .where(broadcast_joins.c.task == bindparam("id"), broadcast_joins.c.device == bindparam("number"))
)
INSERT_JOINS = Insert(
    broadcast_joins, ("task", "device", "marks", "route", "at"), on_conflict="DO NOTHING", returning=("device",)
)


class Place(NamedTuple):
    """A device's place in a broadcast.

    Attributes:
        page: first device of its page; of a device that joined later, itself.
        slot: where it is in the page.
        marks: what is known of the broadcast on the device.
        route: code of the channel that was planned for it.
        planned_at: when that was, ms; None for a device that joined by acknowledging it.
        arrived_at: when the device acknowledged it, ms, if it did.
    """

    page: int
    slot: int
    marks: Mark
    route: int
    planned_at: int | None
    arrived_at: int | None


async def place_of(transaction: Transaction, task: int, device: int) -> Place | None:
    """The place of a device in a broadcast, or None when it has none (yet)."""
    row = await transaction.fetch_one(_PAGE, task=task, device=device)
    if row is not None and device <= row[1]:
        page = page_of(row)
        index = page.index(device)
        if index is not None:
            marks = Mark(page.marks[index])
            arrived_at = page.arrived_at(index) if Mark.ARRIVED in marks else None
            return Place(page.first, index, marks, page.route(index), page.at, arrived_at)
    joined = await transaction.fetch_one(_JOIN, task=task, device=device)
    if joined is None:
        return None
    marks, route, at = Mark(joined[0]), joined[1], joined[2]
    return Place(device, 0, marks, route, None if route == 0 else at, at if Mark.ARRIVED in marks else None)


def is_to_recall(marks: int) -> bool:
    """Whether the own link has to recall a broadcast from a device; of what a vendor brought, the vendor has to."""
    return marks & (Mark.ARRIVED | Mark.RECALLED | Mark.VENDOR) == Mark.ARRIVED


class Before(NamedTuple):
    """How a device stood before it was marked: the code of its channel, and its marks."""

    route: int
    marks: Mark


@dataclass(slots=True)
class Marked:
    """What became of marks.

    Attributes:
        before: how each device stood that has a place.
        absent: the devices that have none.
    """

    before: dict[int, Before] = field(default_factory=dict)
    absent: list[int] = field(default_factory=list)

    def new(self, mark: Mark) -> list[int]:
        """The devices that had not been marked so."""
        return [device for device, before in self.before.items() if mark not in before.marks]


async def mark_places(transaction: Transaction, task: int, mark: Mark, times: Mapping[int, int]) -> Marked:
    """Mark devices in the pages of a broadcast, or where they joined; each page is read and written once.

    Args:
        transaction: it may write.
        task: the broadcast.
        mark: what is known now.
        times: since when (ms), by device.
    """
    outcome = Marked()
    strangers: list[int] = []
    waiting = sorted(times, reverse=True)
    while waiting:
        row = await transaction.fetch_one(_HELD_PAGE, task=task, device=waiting[-1])
        if row is None or row[1] < waiting[-1]:
            strangers.append(waiting.pop())
            continue
        page = page_of(row)
        while waiting and waiting[-1] <= page.last:
            device = waiting.pop()
            index = page.index(device)
            if index is None:
                strangers.append(device)
            else:
                outcome.before[device] = Before(page.route(index), Mark(page.marks[index]))
                page.mark(index, mark, times[device])
        await write_page(transaction, task, page)
    if strangers:
        await _mark_joined(transaction, task, mark, {device: times[device] for device in strangers}, outcome)
    return outcome


async def _mark_joined(
    transaction: Transaction, task: int, mark: Mark, times: Mapping[int, int], outcome: Marked
) -> None:
    joined = await joins_among(transaction, task, times)
    for device, place in joined.items():
        outcome.before[device] = Before(place.route, place.marks)
        if mark not in place.marks:
            at = times[device] if mark is Mark.ARRIVED else place.at
            await write_join(transaction, task, device, place.marks | mark, at)
    outcome.absent += [device for device in times if device not in joined]


class Joined(NamedTuple):
    """A row of `broadcast_joins`: marks, the code of the channel, and when (ms)."""

    marks: Mark
    route: int
    at: int


async def joins_among(transaction: Transaction, task: int, devices: Collection[int]) -> dict[int, Joined]:
    """Those of the devices that joined a broadcast; locked on PostgreSQL."""
    rows = await transaction.fetch(_JOINED, task=task, devices=sorted(devices))
    return {device: Joined(Mark(marks), route, at) for device, marks, route, at in rows}


async def write_join(transaction: Transaction, task: int, device: int, marks: Mark, at: int) -> None:
    """Write how a device stands that joined."""
    await transaction.execute(_WRITE_JOIN, id=task, number=device, new_marks=int(marks), new_at=at)


async def held_page(transaction: Transaction, task: int, first: int) -> Page | None:
    """The page that begins with a device, to be changed; locked on PostgreSQL."""
    row = await transaction.fetch_one(_HELD_PAGE, task=task, device=first)
    return None if row is None or row[0] != first else page_of(row)


async def write_page(transaction: Transaction, task: int, page: Page) -> None:
    """Write the marks of a page, if they were changed."""
    if page.changed:
        await transaction.execute(
            _WRITE_MARKS, id=task, page=page.first, new_marks=bytes(page.marks), new_times=page.times
        )


async def change_places(
    transaction: Transaction,
    task: int,
    first: int,
    devices: Iterable[int],
    *,
    add: int = 0,
    remove: int = 0,
    unless: int = 0,
) -> dict[int, int]:
    """Change the marks of devices of one page, or of one that joined; the places of those that were changed.

    Args:
        transaction: it may write.
        task: the broadcast.
        first: first device of the page; or the device, if it joined later.
        devices: which.
        add: marks to add.
        remove: marks to remove.
        unless: devices with any of these marks stay as they are.
    """
    page = await held_page(transaction, task, first)
    slots: dict[int, int] = {}
    if page is not None:
        for device in devices:
            slot = page.index(device)
            if slot is not None and not page.marks[slot] & unless:
                page.change(slot, add, remove)
                slots[device] = slot
        await write_page(transaction, task, page)
        return slots
    for device, joined in (await joins_among(transaction, task, list(devices))).items():
        if not joined.marks & unless:
            await write_join(transaction, task, device, Mark(joined.marks & ~remove | add), joined.at)
            slots[device] = 0
    return slots


def page_of(row: Row) -> Page:
    """The page that was read as `PAGE_COLUMNS`."""
    return Page(*row)
