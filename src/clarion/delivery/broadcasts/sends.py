"""What vendors said of a broadcast, packed: one row for each batch and page, from which any device can be traced.

Devices are grouped by what was said of them, so that a page that a vendor took as a whole needs a few bytes and its
places.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, select

from clarion.store.database import Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema_vendors import broadcast_sends

_MOST_IDS = 16
"""Vendors' ids of messages are kept where they are shared: a million of them would weigh more than all else."""

_INSERT = Insert(broadcast_sends, ("task", "page", "send", "at", "channel", "attempt", "outcomes"))
_OF_PAGE = Query(
    select(broadcast_sends.c.at, broadcast_sends.c.channel, broadcast_sends.c.attempt, broadcast_sends.c.outcomes)
    .where(broadcast_sends.c.task == bindparam("task"), broadcast_sends.c.page == bindparam("page"))
    .order_by(broadcast_sends.c.send)
    .limit(1000)
)
_FORGET = Query(
    delete(broadcast_sends).where(
        broadcast_sends.c.task == bindparam("task"),
        broadcast_sends.c.page.in_(
            select(broadcast_sends.c.page).where(broadcast_sends.c.task == bindparam("task")).limit(50)
        ),
    )
)


class Word(msgspec.Struct, frozen=True, gc=False):
    """What was said of a device.

    Attributes:
        outcome: label of the outcome (`delivery.states.Outcome`).
        code: the vendor's own code; of a message that was taken, its id there.
        text: the vendor's own words, and what was done.
    """

    outcome: str
    code: str
    text: str


class Send(NamedTuple):
    """A row.

    Attributes:
        task: the broadcast.
        page: first device of the page.
        send: number of the row.
        at: when the vendor had answered, ms.
        channel: label of the channel.
        attempt: 1 for the first time.
        words: what was said of the devices, by their places in the page.
    """

    task: int
    page: int
    send: int
    at: int
    channel: str
    attempt: int
    words: Sequence[tuple[int, Word]]


class Said(NamedTuple):
    """What a vendor said of one device: when (ms), through which channel, at which attempt, and what."""

    at: int
    channel: str
    attempt: int
    word: Word


class _Group(msgspec.Struct, array_like=True, frozen=True):
    outcome: str
    code: str
    text: str
    places: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Group]).decode


def packed(words: Iterable[tuple[int, Word]], taken: str) -> bytes:
    """Words by places as a row stores them.

    Args:
        words: place in the page, and what was said.
        taken: label of the outcome whose codes are ids of messages.
    """
    groups: dict[Word, list[int]] = {}
    for place, word in words:
        groups.setdefault(word, []).append(place)
    if sum(word.outcome == taken for word in groups) > _MOST_IDS:
        groups = _without_ids(groups, taken)
    return _encode([_Group(word.outcome, word.code, word.text, _packed(places)) for word, places in groups.items()])


def word_of(outcomes: bytes, place: int) -> Word | None:
    """What a row says of the device at a place, if anything."""
    for group in _decode(outcomes):
        if place in _unpacked(group.places):
            return Word(group.outcome, group.code, group.text)
    return None


async def insert_sends(transaction: Transaction, sends: Iterable[Send], taken: str) -> None:
    """Write rows; `taken` as in `packed`."""
    rows = [(*send[:-1], packed(send.words, taken)) for send in sends]
    await transaction.insert(_INSERT, rows)


async def said_of(transaction: Transaction, task: int, page: int, place: int) -> list[Said]:
    """What vendors said of one device of a broadcast, oldest first."""
    found = []
    for at, channel, attempt, outcomes in await transaction.fetch(_OF_PAGE, task=task, page=page):
        word = word_of(bytes(outcomes), place)
        if word is not None:
            found.append(Said(at, channel, attempt, word))
    return found


async def taken_ids(transaction: Transaction, task: int, page: int, taken: str) -> dict[int, str]:
    """The vendors' ids of what they took for devices of a page, by the devices' places; where they were kept."""
    found: dict[int, str] = {}
    for _, _, _, outcomes in await transaction.fetch(_OF_PAGE, task=task, page=page):
        for group in _decode(bytes(outcomes)):
            if group.outcome == taken and group.code:
                found |= dict.fromkeys(_unpacked(group.places), group.code)
    return found


async def forget_sends(transaction: Transaction, task: int) -> int:
    """Delete some rows of a broadcast; how many."""
    return await transaction.execute(_FORGET, task=task)


def _without_ids(groups: Mapping[Word, list[int]], taken: str) -> dict[Word, list[int]]:
    merged: dict[Word, list[int]] = {}
    for word, places in groups.items():
        plain = Word(taken, "", word.text) if word.outcome == taken else word
        merged.setdefault(plain, []).extend(places)
    return merged


def _packed(places: Sequence[int]) -> bytes:
    return _little(array("H", places)).tobytes()


def _unpacked(packed_places: bytes) -> array[int]:
    values = array("H")
    values.frombytes(packed_places)
    return _little(values)


def _little(values: array[int]) -> array[int]:
    if sys.byteorder == "big":
        values.byteswap()
    return values
