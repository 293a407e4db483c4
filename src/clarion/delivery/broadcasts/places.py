"""Where devices stand in a broadcast: reading and marking the rows that say so."""

from __future__ import annotations

from collections.abc import Mapping
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
)
"""What a `Page` is made of."""

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
    select(broadcast_joins.c.marks, broadcast_joins.c.at).where(
        broadcast_joins.c.task == bindparam("task"), broadcast_joins.c.device == bindparam("device")
    )
)
_MARK_JOINS = Query(
    lambda terms: (
        update(broadcast_joins)
        .values(marks=broadcast_joins.c.marks.bitwise_or(bindparam("mark")))
        .where(broadcast_joins.c.task == bindparam("id"), terms.any_of(broadcast_joins.c.device, "devices"))
    ),
    lists=("devices",),
)
INSERT_JOINS = Insert(
    broadcast_joins, ("task", "device", "marks", "route", "at"), on_conflict="DO NOTHING", returning=("device",)
)


class Place(NamedTuple):
    """A device's place in a broadcast.

    Attributes:
        marks: what is known of the broadcast on the device.
        planned_at: when its page was written, ms; None for a device that joined later.
        arrived_at: when the device acknowledged it, ms, if it did.
    """

    marks: Mark
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
            return Place(marks, page.at, page.arrived_at(index) if Mark.ARRIVED in marks else None)
    joined = await transaction.fetch_one(_JOINED, task=task, device=device)
    return None if joined is None else Place(Mark(joined[0]), None, joined[1])


class Marked(NamedTuple):
    """What became of marks: the devices that had not been marked so, and those that are in no page."""

    new: list[int]
    absent: list[int]


async def mark_places(transaction: Transaction, task: int, mark: Mark, times: Mapping[int, int]) -> Marked:
    """Mark devices in the pages of a broadcast; each page is read and written once.

    Args:
        transaction: it may write.
        task: the broadcast.
        mark: what is known now.
        times: since when (ms), by device.
    """
    outcome = Marked([], [])
    waiting = sorted(times, reverse=True)
    while waiting:
        row = await transaction.fetch_one(_HELD_PAGE, task=task, device=waiting[-1])
        if row is None or row[1] < waiting[-1]:
            outcome.absent.append(waiting.pop())
            continue
        page = page_of(row)
        while waiting and waiting[-1] <= page.last:
            device = waiting.pop()
            index = page.index(device)
            if index is None:
                outcome.absent.append(device)
            elif page.mark(index, mark, times[device]):
                outcome.new.append(device)
        if page.changed:
            await transaction.execute(
                _WRITE_MARKS, id=task, page=page.first, new_marks=bytes(page.marks), new_times=page.times
            )
    return outcome


async def mark_joined(transaction: Transaction, task: int, mark: Mark, devices: list[int]) -> None:
    """Mark devices that joined after their page was written."""
    if devices:
        await transaction.execute(_MARK_JOINS, id=task, mark=int(mark), devices=devices)


def page_of(row: Row) -> Page:
    """The page that was read as `PAGE_COLUMNS`."""
    return Page(*row)
