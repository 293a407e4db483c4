"""Vendors that can be killed, and a way to them that can be cut: simulators as a process, and a proxy."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec

from clarion.simulators.faults import Fault
from clarion.simulators.journal import Entry
from tests.support.server import Address, clarion_environment, free_address

_READY_SECONDS = 30.0
_CALL = aiohttp.ClientTimeout(total=20)
_PIECE = 1 << 16
_QUIET_SECONDS = 0.3


class Simulators:
    """`clarion simulate` as a process; `with Simulators(…) as vendors:` starts it and always ends it.

    Its ports and credentials are the same after a restart; its journal and faults are not.

    Args:
        folder: its credentials, settings and log.
        labels: which vendors.
    """

    def __init__(self, folder: Path, *labels: str) -> None:
        folder.mkdir()
        self.labels = labels
        self._folder = folder
        self._port = _free_run(len(labels) + 1)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-m", "clarion", "simulate", "--json", "--port", str(self._port)]
        command += ["--channels", ",".join(self.labels), "--credentials", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=clarion_environment(self._folder / "data"),
            )
        stdout = self._process.stdout
        assert stdout is not None
        readable, _, _ = select.select([stdout], [], [], _READY_SECONDS)
        line = stdout.readline() if readable else b""
        if not line:
            self.kill()
            raise AssertionError(f"no simulators:\n{(self._folder / 'log').read_text('utf-8')[-4000:]}")
        assert json.loads(line)["control"] == self._control

    def kill(self) -> None:
        """Send SIGKILL and wait."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.wait(_READY_SECONDS)
        if process.stdout is not None:
            process.stdout.close()

    def file(self, label: str) -> dict[str, Any]:
        """A channel file that the simulator takes."""
        read: dict[str, Any] = json.loads((self._folder / f"{label}.json").read_bytes())
        return read

    def address(self, label: str) -> Address:
        """Where a simulator listens."""
        parts = urlsplit(self.file(label)["baseUrl"])
        assert parts.hostname is not None
        assert parts.port is not None
        return Address(parts.hostname, parts.port)

    async def strike(self, *faults: Fault) -> None:
        """Set faults."""
        await self._call("POST", "/faults", msgspec.json.encode(faults))

    async def heal(self) -> None:
        """Take all faults back."""
        await self._call("DELETE", "/faults")

    async def journal(self, since: float = 0.0) -> list[Entry]:
        """What arrived since then (s, of the clock), oldest first; without requests for access tokens."""
        answer = await self._call("GET", f"/journal?since={int(since * 1000)}")
        return [entry for entry in msgspec.json.decode(answer, type=list[Entry]) if entry.body]

    async def quiet(self) -> list[Entry]:
        """The journal, once nothing is added to it any more: what was in sockets is read."""
        while await self.journal(time.time() - _QUIET_SECONDS):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(_QUIET_SECONDS / 2)
        return await self.journal()

    @property
    def _control(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        async with (
            aiohttp.ClientSession(timeout=_CALL) as session,
            session.request(method, self._control + path, data=body) as answer,
        ):
            content = await answer.read()
            assert answer.status < 300, content
            return content


def taken(entries: Iterable[Entry]) -> Counter[str]:
    """How often each vendor's token was sent a message that its vendor took."""
    return Counter(token for entry in entries if entry.outcome == "accepted" for token in entry.tokens)


def tasks_taken(entries: Iterable[Entry]) -> Counter[int]:
    """How often FCM and Huawei took messages of each task."""
    return Counter(_task(entry) for entry in entries if entry.outcome == "accepted")


def _task(entry: Entry) -> int:
    message = msgspec.json.decode(entry.body)["message"]
    return int(message["data"]["taskId"] if entry.channel == "fcm" else message["android"]["bi_tag"])


class Wire:
    """A way to an address that can be broken; `async with Wire(address) as wire`.

    It carries bytes both ways. `reset` breaks all connections by RST; between `cut` and `mend` it accepts
    connections and carries nothing.

    Args:
        target: where it leads to.
    """

    def __init__(self, target: Address) -> None:
        self.target = target
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.reset()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def reset(self) -> int:
        """Break all connections; how many there were, each with two ends."""
        broken = len(self._writers)
        for writer in self._writers:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        self._writers.clear()
        return broken

    def cut(self) -> None:
        """Carry nothing, and say so to nobody."""
        self._open.clear()

    def mend(self) -> None:
        """Carry what waits, and everything else."""
        self._open.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._open.wait()
            inner, outer = await asyncio.open_connection(*self.target)
            self._writers.add(outer)
            await asyncio.gather(self._pump(reader, outer), self._pump(inner, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(_PIECE):
                await self._open.wait()
                writer.write(piece)
                await writer.drain()
        finally:
            self._writers.discard(writer)
            with suppress(OSError):
                writer.close()


def _free_run(count: int) -> int:
    """The first of so many ports in a row that nobody listens on."""
    while True:
        first = free_address()
        if all(_is_free(Address(first.host, first.port + more)) for more in range(count)):
            return first.port


def _is_free(address: Address) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) != 0


def through(file: dict[str, Any], wires: Sequence[Wire]) -> dict[str, Any]:
    """A channel file whose addresses lead through the wires that go there."""
    text = json.dumps(file)
    for wire in wires:
        text = text.replace(f"127.0.0.1:{wire.target.port}", f"127.0.0.1:{wire.port}")
    changed: dict[str, Any] = json.loads(text)
    return changed
