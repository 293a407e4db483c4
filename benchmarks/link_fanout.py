"""CPU of the server for one message to 5,000 connected devices.

The link's listener, hub and sessions run in this process on one core, over real sockets, with a backend that stores
nothing; the devices are in another process on another core. "To sockets" is the process time from the first call of
`Hub.broadcast` until no byte waits in any transport, in slices of 500 devices, to devices that do not acknowledge.
"With ack" is the same until the backend has been told of every ack. The peer is a bare loop of `transport.write` of
the same frame to the same sockets in the same slices, taken in turn with the broadcasts: what the kernel's send
costs. The least of ten rounds is reported.
"""

# ruff: noqa: ARG002 - the backend ignores most of what it is told

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from statistics import median

import uvloop

from benchmarks.devices import SECRET
from benchmarks.figures import BenchmarkFailed, Figure, listed, run_script, stage
from benchmarks.pushes import CONTENT, TITLE
from benchmarks.server import CLIENT_CORE, HOST, SERVER_CORE, pinned, raise_file_limit
from clarion.link.backend import DeviceIdentity, EventKind, InboxEntry, VendorReport
from clarion.link.hub import Hub
from clarion.link.limits import LinkLimits
from clarion.link.listener import LinkServer, serve
from clarion.link.protocol import Push, encode
from clarion.link.websocket import text_frame

DEVICES, ROUNDS, WARM_UP, SLICE = 5_000, 10, 2, 500
_CONNECT_SECONDS, _ROUND_SECONDS, _FIRST_MESSAGE = 60.0, 20.0, 7_000_000_000_000_000


class NoStore:
    """A `LinkBackend` whose devices are their numbers and have nothing in their inboxes."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.expected = -1
        self.complete = asyncio.Event()
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done.set_result(None)

    async def identify(self, app_id: str, workspace_id: str, token: str) -> DeviceIdentity | None:
        return DeviceIdentity(int(token), 1, SECRET.encode(), None)

    async def inbox(self, device: int, after: int, limit: int) -> Sequence[InboxEntry]:
        return ()

    def acked(self, device: int, messages: Sequence[int]) -> Awaitable[None]:
        self.acknowledged += len(messages)
        if self.acknowledged == self.expected:
            self.complete.set()
        return self._done

    async def event(self, device: int, message: int, kind: EventKind) -> None: ...

    async def bind(self, device: int, user_id: str, phone: str | None) -> None: ...

    async def unbind(self, device: int, user_id: str) -> None: ...

    async def report(self, device: int, report: VendorReport) -> None: ...

    def sent(self, device: int, messages: Sequence[int]) -> None: ...


class Fanout:
    """A link with connected devices, and ways to send one message to all of them."""

    def __init__(self, hub: Hub, server: LinkServer, backend: NoStore) -> None:
        self._hub = hub
        self._backend = backend
        self._transports = [connection._transport for connection in server._connections]
        self._messages = count(_FIRST_MESSAGE)

    async def broadcast(self) -> float:
        """By the hub, until the bytes are with the kernel; process seconds."""
        message = next(self._messages)
        frame = _frame(message)
        began = time.process_time()
        for part in self._hub.slices(SLICE):
            self._hub.broadcast(part, message, frame)
            await asyncio.sleep(0)
        await self._drain()
        return time.process_time() - began

    async def write(self) -> float:
        """By `transport.write` alone; process seconds."""
        frame = text_frame(_frame(next(self._messages)))
        began = time.process_time()
        for start in range(0, len(self._transports), SLICE):
            for transport in self._transports[start : start + SLICE]:
                transport.write(frame)
            await asyncio.sleep(0)
        await self._drain()
        return time.process_time() - began

    async def broadcast_acknowledged(self) -> float:
        """By the hub, until all devices have acknowledged; process seconds."""
        backend = self._backend
        backend.acknowledged, backend.expected = 0, len(self._transports)
        backend.complete.clear()
        began = time.process_time()
        await self.broadcast()
        try:
            async with asyncio.timeout(_ROUND_SECONDS):
                await backend.complete.wait()
        except TimeoutError:
            missing = backend.expected - backend.acknowledged
            raise BenchmarkFailed(f"{missing} devices did not acknowledge") from None
        return time.process_time() - began

    async def _drain(self) -> None:
        while any(transport.get_write_buffer_size() for transport in self._transports):  # noqa: ASYNC110
            await asyncio.sleep(0)


def measure() -> list[Figure]:
    """Run it; the figures."""
    raise_file_limit()
    with pinned(SERVER_CORE):
        return uvloop.run(_measure())


async def _measure() -> list[Figure]:
    handed, bare, acknowledged = [], [], []
    async with _fanout(ack=False) as silent:
        stage(f"one message to {DEVICES:,} devices")
        for _ in range(ROUNDS + WARM_UP):
            handed.append(await _rested(silent.broadcast()))
            bare.append(await _rested(silent.write()))
    async with _fanout(ack=True) as answering:
        stage(f"one message to {DEVICES:,} devices that acknowledge")
        acknowledged = [await _rested(answering.broadcast_acknowledged()) for _ in range(ROUNDS + WARM_UP)]
    handed, bare, acknowledged = handed[WARM_UP:], bare[WARM_UP:], acknowledged[WARM_UP:]
    return [
        Figure(
            name="CPU of a delivery, to sockets", value=min(handed), unit="µs", floor=12, aim=8,
            notes=f"rounds {listed(handed)}",
        ),
        Figure(
            name="CPU of a delivery, with ack", value=min(acknowledged), unit="µs",
            notes=f"rounds {listed(acknowledged)}",
        ),
        Figure(name="CPU of a bare write", value=min(bare), unit="µs", notes=f"rounds {listed(bare)}"),
        Figure(
            name="a delivery in bare writes",
            value=median(ours / theirs for ours, theirs in zip(handed, bare, strict=True)),
            unit="×",
            notes="median of the rounds",
        ),
    ]  # fmt: skip


async def _rested(work: Awaitable[float]) -> float:
    """µs a device of `work`, begun when the devices have read what came before."""
    await asyncio.sleep(0.2)
    return await work / DEVICES * 1e6


@asynccontextmanager
async def _fanout(*, ack: bool) -> AsyncIterator[Fanout]:
    """A link with `DEVICES` devices of another process."""
    hub, backend = Hub(), NoStore()
    server = await serve(hub, backend, HOST, limits=LinkLimits(connections_per_address=DEVICES))
    stage(f"connecting {DEVICES:,} devices")
    with pinned(CLIENT_CORE):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.devices", str(server.port), str(DEVICES), *(["--ack"] * ack),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
    try:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the pipes were asked for")
        async with asyncio.timeout(_CONNECT_SECONDS):
            line = await process.stdout.readline()
        if not line or hub.count != DEVICES:
            raise BenchmarkFailed(f"only {hub.count} of {DEVICES} devices are connected")
        yield Fanout(hub, server, backend)
        process.stdin.close()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await server.close()


def _frame(message: int) -> bytes:
    """The JSON text of a push."""
    return encode(Push(
        id=str(message), msg_key="key", title=TITLE, content=CONTENT, uri="http://www.example.com/a?b=c",
        notify_type="notify", expire=1_800_000_000_000, params={"key1": "value1"}, task_id=str(message),
    ))  # fmt: skip


if __name__ == "__main__":
    run_script(measure)
