"""Phones with vendors' tokens, what is pushed to them, and the account of what became of it.

The account is read from the database file itself, also while a server runs; so all of this is for SQLite alone.
There, a server that starts takes back the leases of the one that was killed; on PostgreSQL, where it cannot know
that it is alone, they end after two minutes.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from clarion.channels.apns.client import ApnsChannel
from clarion.channels.fcm.client import FcmChannel
from clarion.channels.hms.client import HmsChannel
from clarion.delivery.series import Mark
from clarion.delivery.trace import Trace, trace
from clarion.delivery.vendors.line import LineLimits
from clarion.foundation import Foundation
from clarion.ids import IdGenerator
from clarion.store.database import Transaction
from clarion.store.queries import Insert
from clarion.store.schema import devices
from tests.support.client import Connection, form, push_parameters, sign
from tests.support.server import ServerProcess
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants, in_foundation

_LIMITS = LineLimits()
_BATCHES = {"apns": ApnsChannel.batch, "fcm": FcmChannel.batch, "hms": HmsChannel.batch}
IN_FLIGHT = {label: (_LIMITS.window - _LIMITS.reserved) * batch for label, batch in _BATCHES.items()}
"""Most devices of broadcasts that a line has with a vendor at a time: the window left to them, in batches."""
SINGLES_IN_FLIGHT = {label: _LIMITS.window * batch for label, batch in _BATCHES.items()}
"""The same of single pushes."""

KEY = "sale-1"
TWICE = "may have come twice"
"""What the trace says of a message that a server had in hand when it was killed."""
AGAIN = "may come twice"
"""What it says of a message whose fate is not known and which is sent again."""

PATIENCE = 60.0
"""For what takes a second or two, on a machine that has much else to do, s."""
_PAUSE = 0.1
_STEP = 1000
_INSERT = Insert(
    devices,
    (
        "device",
        "app",
        "token",
        "platform",
        "channel",
        "vendor_token",
        "vendor_token_at",
        "created_at",
        "updated_at",
    ),
)
_SCOPE = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
_DELIVERY_TYPES = {"android": 1, "ios": 2}


class Phone(NamedTuple):
    """A device that never connects.

    Attributes:
        number: internal number.
        channel: label of its vendor's channel; `link`: it has none.
        token: its own token.
        address: its vendor's token.
    """

    number: int
    channel: str
    token: str
    address: str


def prepare(
    data_dir: Path, files: Mapping[str, Mapping[str, Any]], counts: Mapping[str, int], database: str | None = None
) -> list[Phone]:
    """Set channels up, and add phones of each channel, all mixed.

    Args:
        data_dir: of an installation that no server runs on.
        files: channel files by label.
        counts: how many phones of each channel.
        database: URL of a PostgreSQL database, or None.
    """

    async def work(foundation: Foundation) -> list[Phone]:
        directory, clock = foundation.directory, foundation.clock
        await directory.refresh()
        app = await directory.find_app(APP_ID, WORKSPACE_ID)
        assert app is not None
        for label, file in files.items():
            await foundation.channels.set(app.key, label, json.dumps(file).encode())
        ids = IdGenerator(clock)
        labels = [label for label, count in counts.items() for _ in range(count)]
        random.Random(4).shuffle(labels)
        phones = [_phone(ids.next(), label, number) for number, label in enumerate(labels)]
        now = clock.now_ms()
        for start in range(0, len(phones), _STEP):
            rows = [_row(phone, app.key, now) for phone in phones[start : start + _STEP]]

            async def insert(transaction: Transaction, rows: Sequence[Sequence[object]] = rows) -> None:
                await transaction.insert(_INSERT, rows)

            await foundation.database.write(insert)
        return phones

    return in_foundation(work, data_dir, database)


def _phone(device: int, channel: str, number: int) -> Phone:
    address = f"{number:064x}" if channel == "apns" else f"{channel}-vendor-token-{number:08d}"
    return Phone(device, channel, f"phone-{channel}-{number}", address)


def _row(phone: Phone, app: int, now: int) -> Sequence[object]:
    platform = "ios" if phone.channel == "apns" else "android"
    vendors = (None, None, None) if phone.channel == "link" else (phone.channel, phone.address, now)
    return (phone.number, app, phone.token, platform, *vendors, now, now)


class BackEnd:
    """Whoever pushes.

    Args:
        server: that is called.
        tenants: whose key signs.
    """

    def __init__(self, server: ServerProcess, tenants: Tenants) -> None:
        self._server = server
        self._tenants = tenants
        self.tasks: dict[str, str] = {}

    async def call(self, action: str, **parameters: object) -> dict[str, Any]:
        """Make a call; its answer, which has to be OK."""
        async with Connection(self._server.api) as connection:
            answer = await connection.post(form(sign(self._tenants.push, action, {**_SCOPE, **parameters})))
        assert answer.code in ("OK", "100"), answer.body
        return answer.json()

    async def push(self, target: str, msg_key: str, **more: object) -> None:
        """Push to one device."""
        await self.call("PushSimple", **push_parameters(target, msg_key, **more))

    async def announce(self, *platforms: str) -> None:
        """Push a broadcast to each platform; their tasks are in `tasks`."""
        await self.call("CreateTemplate", TemplateName="sale", DescInfo="d", Title="Sale", Content="Now")
        for platform in platforms:
            answer = await self.call(
                "PushBroadcast",
                TaskName="sale",
                DeliveryType=_DELIVERY_TYPES[platform],
                ExpiredSeconds=3600,
                TemplateName="sale",
                Msgkey=KEY,
                PushStatus=1,
                UnBindPeriod=4,
            )
            self.tasks[platform] = str(answer["PushResult"]["Data"])

    async def figures(self) -> tuple[int, int, int]:
        """Total, success and arrival of all broadcasts."""
        sums = [0, 0, 0]
        for task in self.tasks.values():
            answer = await self.call("QueryPushAnalysisTaskDetail", TaskId=task)
            data = answer["ResultContent"]["Data"]
            for place, name in enumerate(("PushNum", "PushSuccessNum", "PushArrivalNum")):
                sums[place] += int(data[name])
        return sums[0], sums[1], sums[2]

    async def reached(self, count: int, seconds: float = PATIENCE) -> None:
        """Wait until broadcasts have reached so many devices.

        Raises:
            AssertionError: they have not in time.
        """
        figures = 0, 0, 0
        try:
            async with asyncio.timeout(seconds):
                while (figures := await self.figures())[1] < count:  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            raise AssertionError(f"the figures are {figures}; {count} were to be reached") from None


async def until(done: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it is not in time.
    """
    async with asyncio.timeout(seconds):
        while not await done():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(_PAUSE)


@dataclass(slots=True)
class Standing:
    """Where a device stands in a broadcast.

    Attributes:
        marks: what is known.
        said: what the trace has of its vendor: outcomes with their details, oldest first.
    """

    marks: Mark
    said: list[tuple[str, str]] = field(default_factory=list)

    @property
    def taken(self) -> bool:
        """Whether its vendor took the message."""
        return Mark.TAKEN in self.marks

    @property
    def ended(self) -> bool:
        """Whether it ended without that."""
        return Mark.ENDED in self.marks and not self.taken

    @property
    def told_twice(self) -> bool:
        """Whether the trace says that it may have come twice."""
        return any(TWICE in detail for _, detail in self.said)


class Ledger:
    """What the database of a server says.

    Args:
        data_dir: of the server, which may be running.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What `sql` finds."""
        with closing(sqlite3.connect(self._data_dir / "clarion.db", timeout=20)) as connection:
            return connection.execute(sql, values).fetchall()

    def standings(self) -> dict[int, Standing]:
        """Where each device stands in the broadcasts, by internal number."""
        found: dict[int, Standing] = {}
        pages: dict[tuple[int, int], Sequence[int]] = {}
        for task, first, numbers, marks in self.query("SELECT task, first, devices, marks FROM broadcast_pages"):
            pages[task, first] = array("q", numbers)
            for number, mark in zip(pages[task, first], marks, strict=True):
                assert number not in found, "a device has two places"
                found[number] = Standing(Mark(mark))
        for task, page, outcomes in self.query("SELECT task, page, outcomes FROM broadcast_sends ORDER BY send"):
            for outcome, _, text, places in msgspec.msgpack.decode(outcomes):
                for place in array("H", places):
                    found[pages[task, page][place]].said.append((outcome, text))
        return found

    def parts(self, channel: str = "%") -> int:
        """Parts of broadcasts that are owed; those of one channel, or of all."""
        return int(self.query("SELECT count(*) FROM broadcast_parts WHERE channel LIKE ?", channel)[0][0])

    def statuses(self) -> dict[str, int]:
        """Statuses of single messages by message key."""
        return dict(self.query("SELECT msg_key, status FROM messages"))

    def said(self) -> dict[str, list[tuple[str, str]]]:
        """What the trace has of the vendors of single messages, by message key: outcomes with their details."""
        said: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for msg_key, outcome, detail in self.query(
            "SELECT messages.msg_key, hops.outcome, hops.detail FROM hops "
            "JOIN messages ON messages.message = hops.message WHERE hops.stage = 'sent' ORDER BY hops.hop"
        ):
            said[msg_key].append((outcome, detail or ""))
        return said

    def keys_by_task(self) -> dict[int, str]:
        """Message keys of single messages by their tasks."""
        return dict(self.query("SELECT task, msg_key FROM messages"))


def traces(data_dir: Path, targets: Sequence[str], msg_key: str = KEY) -> list[Trace]:
    """Traces of a message to some targets, as `clarion trace` shows them."""

    async def work(foundation: Foundation) -> list[Trace]:
        directory = foundation.directory
        await directory.refresh()
        app = await directory.find_app(APP_ID, WORKSPACE_ID)
        assert app is not None
        found = [await trace(foundation.database, foundation.clock, app.key, each, msg_key) for each in targets]
        return [each for each in found if each is not None]

    return in_foundation(work, data_dir)
