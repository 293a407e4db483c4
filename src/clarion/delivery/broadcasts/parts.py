"""Parts of broadcasts that are a vendor's to bring: the devices of one page and one channel, in one row."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete

from clarion.channels.registry import BY_LABEL
from clarion.clock import heard
from clarion.delivery.broadcasts.pages import pack_numbers
from clarion.delivery.routing import LINK, Reachable, way_to
from clarion.delivery.series import Mark
from clarion.ids import IdGenerator
from clarion.store.database import Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema_vendors import broadcast_parts

_INSERT = Insert(
    broadcast_parts,
    (
        "part",
        "task",
        "page",
        "app",
        "channel",
        "devices",
        "attempts",
        "next_at",
        "owner",
        "epoch",
        "leased_until",
    ),
)
_DROP = Query(delete(broadcast_parts).where(broadcast_parts.c.task == bindparam("task")))

_AT_VENDOR = bytes([Mark.VENDOR])
_ON_LINK = b"\0"


class Ways(NamedTuple):
    """How the devices of a page are reached.

    Attributes:
        routes: codes of their channels, 1 byte each; nothing where all are on the own link.
        marks: the first marks of each, 1 byte.
        by_channel: numbers of the devices by channel, the own link's too.
    """

    routes: bytes
    marks: bytes
    by_channel: Mapping[str, Sequence[int]]


def ways_of(devices: Sequence[Reachable], configured: frozenset[str], *, link_only: bool) -> Ways:
    """How devices are reached, in the order in which they are given."""
    ways = [way_to(device, configured, link_only=link_only) for device in devices]
    if ways.count(LINK) == len(ways):
        numbers = [device.device for device in devices]
        return Ways(b"", bytes(len(ways)), {LINK: numbers} if numbers else {})
    by_channel: dict[str, list[int]] = {}
    for device, way in zip(devices, ways, strict=True):
        by_channel.setdefault(way, []).append(device.device)
    codes = {way: BY_LABEL[way].third_channel.to_bytes() for way in by_channel}
    routes = b"".join([codes[way] for way in ways])
    marks = b"".join([_ON_LINK if way == LINK else _AT_VENDOR for way in ways])
    return Ways(routes, marks, by_channel)


class NewPart(NamedTuple):
    """Devices to which a vendor has to take a broadcast.

    Attributes:
        task: the broadcast.
        page: first device of the page that they are in; or the device, if it joined later.
        app: internal number of the app.
        channel: label of the channel.
        devices: their numbers, ascending.
        due: when they are to be sent it, ms.
        attempts: how often it was tried.
        owner: who had them and ended without a word.
    """

    task: int
    page: int
    app: int
    channel: str
    devices: Sequence[int]
    due: int
    attempts: int = 0
    owner: str | None = None


async def insert_parts(transaction: Transaction, parts: Iterable[NewPart], ids: IdGenerator) -> None:
    """Write parts, which nobody has leased."""
    rows = [
        (
            ids.next(),
            part.task,
            part.page,
            part.app,
            part.channel,
            pack_numbers(part.devices),
            part.attempts,
            part.due,
            part.owner,
            0,
            0,
        )
        for part in parts
    ]
    await transaction.insert(_INSERT, rows)


async def drop_parts(transaction: Transaction, task: int) -> None:
    """Send nothing more of a broadcast."""
    await transaction.execute(_DROP, task=task)


class PartsDue:
    """Which ways have parts to be fetched: said by those who write them, heard by whoever fetches them."""

    def __init__(self) -> None:
        self._ways: set[tuple[int, str]] = set()
        self._stopped: dict[int, bool] = {}  # by revoked broadcast: whether it was heard of
        self._news = asyncio.Event()

    def add(self, app: int, channels: Iterable[str]) -> None:
        """There may be parts for these channels of an app. To be called on the event loop."""
        self._ways.update((app, channel) for channel in channels)
        if self._ways:
            self._news.set()

    async def heard(self, seconds: float) -> frozenset[tuple[int, str]]:
        """Wait for news, for some seconds at most; the ways: app and label of the channel."""
        await heard(self._news, seconds)
        self._news.clear()
        ways = frozenset(self._ways)
        self._ways.clear()
        return ways

    def stop(self, revoked: Collection[int]) -> None:
        """Of these broadcasts, which were revoked, nothing more shall be sent. To be called on the event loop."""
        self._stopped = {task: self._stopped.get(task, False) for task in revoked}
        if not all(self._stopped.values()):
            self._news.set()

    def take_stopped(self) -> list[int]:
        """The broadcasts that were revoked since the last time."""
        new = [task for task, heard in self._stopped.items() if not heard]
        self._stopped.update(dict.fromkeys(new, True))
        return new
