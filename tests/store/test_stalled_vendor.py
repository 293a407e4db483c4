"""A vendor that takes connections and never answers: nobody waits for it, and nothing is left without a state."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from clarion.channels import hms, miui
from clarion.channels.base import VendorChannel
from clarion.channels.registry import Channel
from clarion.delivery.states import MessageStatus
from clarion.delivery.vendors.line import LineLimits
from clarion.delivery.vendors.lines import LineName
from clarion.simulators.hall import Hall
from tests.store.system import ANDROID, System
from tests.store.test_pacing import owed, phones
from tests.store.vendors import FakeChannels

SECONDS = 20.0


class BlackHole:
    """A server that takes connections, reads, and never answers."""

    def __init__(self) -> None:
        self.held = 0
        self._end = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._hold, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end.set()
        self._server.close()
        await self._server.wait_closed()

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.held += 1
        await self._end.wait()
        writer.close()


class RealChannels(FakeChannels):
    """Channels that really call: `open` makes them anew."""

    def __init__(self) -> None:
        super().__init__()
        self.real: dict[LineName, VendorChannel] = {}

    def channels(self, app: int) -> frozenset[str]:
        return frozenset(name.channel for name in self.real if name.app == app)

    def revision_of(self, name: LineName) -> int | None:
        return self.revision if name in self.real else None

    def configured(self) -> Sequence[LineName]:
        return list(self.real)

    async def open(self, name: LineName) -> Any:
        return self.real.get(name)


@pytest.fixture
async def hole() -> AsyncIterator[BlackHole]:
    async with BlackHole() as made:
        yield made


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    async with Hall(labels=["hms", "miui"], folder=tmp_path) as opened:
        yield opened


class Rig:
    """An app with hms at an address, which may be a black hole, and miui, which works."""

    def __init__(self, system: System, hall: Hall, address: str, seconds: float) -> None:
        self.system = system
        sick = hall.credentials("hms") | {"baseUrl": address}  # access tokens are given all the same
        system.channels.real = {  # type: ignore[attr-defined]
            LineName(system.app.key, "hms"): hms.open_channel(
                hms.parse(json.dumps(sick).encode()), system.clock, seconds=seconds
            ),
            LineName(system.app.key, "miui"): miui.open_channel(
                miui.parse(json.dumps(hall.credentials("miui")).encode()), system.clock
            ),
        }
        system.channels.known.add(system.app.key)

    async def push(self, tokens: Sequence[str], key: str) -> None:
        for token in tokens:
            await self.system.push_map({token: key}, kind=ANDROID)

    async def reached(self, tokens: Sequence[str], key: str, status: MessageStatus) -> None:
        """Wait until all messages have a status."""

        async def all_are() -> bool:
            return all([await self.system.status(token, key) == status for token in tokens])

        await until(all_are)


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            if await check():
                return
            await asyncio.sleep(0.01)


@pytest.fixture
async def connected(system: System) -> AsyncIterator[System]:
    """A process whose channels really call."""
    again = System(system.database, system.clock, channels=RealChannels())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(again.writer.drain)
        stack.push_async_callback(again.lines.close, 1.0)
        yield await again.open()


async def test_nobody_waits_for_it(connected: System, hall: Hall, hole: BlackHole) -> None:
    rig = Rig(connected, hall, hole.url, seconds=60.0)  # longer than the test may take
    sick, well = await phones(connected, 40), await phones(connected, 40, Channel.MIUI)
    for number in range(40):  # in turn, so that whoever waited for the other would be seen
        await rig.push(sick[number : number + 1], "key")
        await rig.push(well[number : number + 1], "key")
    await rig.reached(well, "key", MessageStatus.ACKED)
    line = connected.lines._lines[LineName(connected.app.key, "hms")]
    assert 1 <= hole.held <= LineLimits().window
    assert line.in_flight + line.waiting == 40
    assert await owed(connected) == {"hms": 40}
    assert {(await connected.steps(token))[-1] for token in sick} == {("planned", "vendor_queued")}
    # A second round is as quick: neither the writer nor the pool of anything is held.
    await rig.push(well, "again")
    await rig.reached(well, "again", MessageStatus.ACKED)


async def test_what_it_was_sent_ends_as_unknown_at_the_deadline_and_is_sent_again(
    connected: System, hall: Hall, hole: BlackHole
) -> None:
    rig = Rig(connected, hall, hole.url, seconds=0.3)
    (phone,) = await phones(connected, 1)
    await rig.push([phone], "key")

    async def is_unknown() -> bool:
        return (await connected.trace(phone)).hops[-1].outcome == "fate_unknown"

    await until(is_unknown)
    assert "may come twice" in (await connected.trace(phone)).hops[-1].cause
    assert await owed(connected) == {"hms": 1}

    mended = Rig(connected, hall, str(hall.credentials("hms")["baseUrl"]), seconds=5.0)
    connected.channels.revision += 1
    connected.clock.advance(10)
    await connected.lines.refill()
    await mended.reached([phone], "key", MessageStatus.ACKED)
    outcomes = [hop.outcome for hop in (await connected.trace(phone)).hops if hop.stage == "sent"]
    assert outcomes == ["fate_unknown", "taken"]
    assert await owed(connected) == {}
