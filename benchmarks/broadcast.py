"""A broadcast to a million registered devices, of which 20,000 are connected.

A real server (SQLite with `synchronous=FULL`) on one core; on another the connected devices, which acknowledge what
they get (fewer, where the system does not let a process have as many sockets). Every device has a user and is
written into the database beforehand; the connected ones lie evenly among the others. One PushBroadcast with nothing
beside it tells times, CPU (of all the server's threads, from the request to the last recorded ack) and memory; a
second one, while 100 PushSimple a second are answered, what it costs those. That a device has its place in a page,
and that its ack is recorded, is taken from QueryPushAnalysisTaskDetail. The smaller audiences, of which nobody is
connected, tell how the cost grows. The answer to a broadcast is the best of six.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import uvloop

from benchmarks.devices import SECRET, Device, connect_devices
from benchmarks.figures import BenchmarkFailed, Figure, listed, number, percentile, run_script, stage
from benchmarks.pushes import HttpConnection, closed_loop, open_loop, push_request, rpc_request
from benchmarks.server import APP_ID, CLIENT_CORE, HOST, WORKSPACE_ID, BenchServer, Furnish, pinned, running_server
from clarion.channels.registry import Platform
from clarion.devices.model import Registration
from clarion.foundation import Foundation
from clarion.ids import first_id_at
from clarion.link.protocol import Push
from clarion.store.database import Row, Transaction
from clarion.store.queries import Insert
from clarion.store.schema import devices
from clarion.vault import Vault

REGISTERED, CONNECTED, SMALLER = 1_000_000, 20_000, (10_000, 100_000)
RATE, CALM_SECONDS, BUSY_SECONDS = 100, 5, 8
_SPARE_FILES, _LIMIT, _STEP, _POLL = 1_000, 90.0, 10_000, 0.1
_DAY_MS = 24 * 3600 * 1000
_SCOPE = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
_INSERT = Insert(
    devices, ("device", "app", "token", "platform", "secret", "user_id", "bound_at", "created_at", "updated_at")
)


@dataclass(frozen=True, slots=True)
class _Broadcast:
    """What one broadcast took: s from the request, s of CPU, bytes."""

    accepted: float
    arrived: float
    planned: float
    settled: float
    cpu: float
    rss: int


class Arrivals:
    """Notes when each connected device got a broadcast, and acknowledges it."""

    def __init__(self) -> None:
        self._key = ""
        self._missing = 0
        self._all = asyncio.Event()
        self.last = 0.0

    def expect(self, key: str, count: int) -> None:
        """Begin anew."""
        self._key, self._missing = key, count
        self._all.clear()

    def on_push(self, device: Device, push: Push) -> None:
        """A push arrived."""
        device.acknowledge(push)
        if push.msg_key == self._key:
            self._missing -= 1
            self.last = time.perf_counter()
            if self._missing <= 0:
                self._all.set()

    async def all_there(self) -> None:
        """Wait for the last device."""
        await self._all.wait()
        if self._missing:
            raise BenchmarkFailed("a device got the broadcast twice")


def measure() -> list[Figure]:
    """Run it; the figures."""
    with pinned(CLIENT_CORE):
        smaller = [(size, _alone(size)) for size in SMALLER]
        connected = min(CONNECTED, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - _SPARE_FILES)
        with running_server(furnish=_registered(REGISTERED, connected)) as server:
            return uvloop.run(_measure(server, connected, smaller))


def _alone(size: int) -> _Broadcast:
    with running_server(furnish=_registered(size, 0)) as server:
        stage(f"broadcast to {size:,} devices")
        return uvloop.run(_small(server, size))


async def _small(server: BenchServer, size: int) -> _Broadcast:
    await make_template(server)
    return await _broadcast(server, Arrivals(), "small", size, 0)


async def _measure(server: BenchServer, connected: int, smaller: Sequence[tuple[int, _Broadcast]]) -> list[Figure]:
    await make_template(server)
    arrivals = Arrivals()
    stage(f"connecting {connected:,} devices")
    registrations = [Registration(str(n), SECRET) for n in range(connected)]
    swarm = await connect_devices(server.link_port, registrations, on_push=arrivals.on_push)
    stage("answers to broadcasts")
    accepted = await _accepted(server, 5)
    before = server.rss()
    stage(f"broadcast to {REGISTERED:,} devices")
    quiet = await _broadcast(server, arrivals, "quiet", REGISTERED, connected)
    chance = random.Random(1)
    stage("PushSimple alone")
    calm = await timed_pushes(server, chance, "calm", CALM_SECONDS)
    stage("PushSimple during a broadcast")
    busy, _ = await asyncio.gather(
        timed_pushes(server, chance, "busy", BUSY_SECONDS),
        _broadcast(server, arrivals, "busy", REGISTERED, connected),
    )
    for device in swarm:
        device.abort()
    return [
        *_figures([*accepted, quiet.accepted], quiet, connected, before),
        *_growth([*smaller, (REGISTERED, quiet)]),
        *latency_figures(calm, busy),
    ]


async def _broadcast(server: BenchServer, arrivals: Arrivals, key: str, size: int, connected: int) -> _Broadcast:
    arrivals.expect(key, connected)
    before, began = server.reading(), time.perf_counter()
    task, accepted = await announce(server, key, 3600)
    planned, rss = 0.0, 0
    try:
        async with asyncio.timeout(_LIMIT):
            while True:
                total, success = await counted(server, task)
                rss = max(rss, server.rss())
                if total == size and not planned:
                    planned = time.perf_counter() - began
                if total == size and success == connected:
                    break
                await asyncio.sleep(_POLL)
            settled = time.perf_counter() - began
            cpu = server.reading().cpu_since(before)
            if connected:
                await arrivals.all_there()
    except TimeoutError:
        raise BenchmarkFailed(f"{total:,} devices planned, {success:,} acks after {_LIMIT:.0f} s") from None
    return _Broadcast(accepted, arrivals.last - began, planned, settled, cpu, rss)


async def announce(server: BenchServer, key: str, validity: int, delivery_type: int = 1) -> tuple[str, float]:
    """Push a broadcast: the id of its task, and how long its answer took."""
    business = {
        **_SCOPE,
        "TaskName": "bench",
        "DeliveryType": str(delivery_type),
        "ExpiredSeconds": str(validity),
        "TemplateName": "bench",
        "Msgkey": key,
    }
    request = rpc_request(server, "PushBroadcast", business)
    began = time.perf_counter()
    answer = await _asked(server, request)
    return json.loads(answer)["PushResult"]["Data"], time.perf_counter() - began


async def _accepted(server: BenchServer, rounds: int) -> list[float]:
    """How long answers took to broadcasts that are over after a second (and find nobody)."""
    found = []
    for index in range(rounds):
        found.append((await announce(server, f"accept-{index}", 1, delivery_type=2))[1])
        await asyncio.sleep(1.5)
    return found


async def make_template(server: BenchServer) -> None:
    """Make the template of the broadcasts."""
    parameters = {**_SCOPE, "TemplateName": "bench", "DescInfo": "d", "Title": "Sale", "Content": "Today only"}
    await closed_loop(server.api_port, [rpc_request(server, "CreateTemplate", parameters)], 1, b'"Code":"100"')


async def counted(server: BenchServer, task: str) -> tuple[int, int]:
    """Devices in pages, and acks."""
    answer = await _asked(server, rpc_request(server, "QueryPushAnalysisTaskDetail", {**_SCOPE, "TaskId": task}))
    data = json.loads(answer)["ResultContent"]["Data"]
    return int(data["PushNum"]), int(data["PushSuccessNum"])


async def _asked(server: BenchServer, request: bytes) -> bytes:
    """The body of the answer to one request."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bytes] = loop.create_future()
    _, connection = await loop.create_connection(
        lambda: HttpConnection(lambda _, body: answered.set_result(body), lambda: None), HOST, server.api_port
    )
    connection.send(request, time.perf_counter())
    try:
        return await answered
    finally:
        connection.close()


async def timed_pushes(server: BenchServer, chance: random.Random, name: str, seconds: int) -> list[float]:
    """Latencies of PushSimple at `RATE` for a while."""
    due, requests = time.perf_counter() + 0.5, []
    for index in range(RATE * seconds):
        due += chance.expovariate(RATE)
        requests.append((due, push_request(server, 3, f"somebody-{index}", f"push-{name}")))
    return (await open_loop(server.api_port, requests, 32)).latencies


def _registered(size: int, connectable: int) -> Furnish:
    """Writes `size` devices; `connectable` of them, evenly among the others, have the secret of the swarm."""

    async def furnish(foundation: Foundation) -> None:
        directory = foundation.directory
        await directory.refresh()
        app = await directory.find_app(APP_ID, WORKSPACE_ID)
        if app is None:
            raise BenchmarkFailed("the app that was just made is not there")
        stage(f"registering {size:,} devices")
        rows = _rows(app.key, size, connectable, foundation.vault)
        while step := list(islice(rows, _STEP)):

            async def work(transaction: Transaction, step: Sequence[Row] = step) -> None:
                await transaction.insert(_INSERT, step)

            await foundation.database.write(work)

    return furnish


def _rows(app: int, size: int, connectable: int, vault: Vault) -> Iterator[Row]:
    now = int(time.time() * 1000)
    first, each = first_id_at(now - _DAY_MS), size // connectable if connectable else size + 1
    for index in range(size):
        place, rest = divmod(index, each)
        token, secret = f"device-{index}", None
        if not rest and place < connectable:
            token = str(place)
            secret = vault.seal(SECRET.encode(), f"devices/{app}/{token}")
        yield (
            first + index,
            app,
            token,
            Platform.ANDROID.label,
            secret,
            f"user-{index}",
            now - _DAY_MS,
            now - _DAY_MS,
            now - _DAY_MS,
        )


def _figures(accepted: Sequence[float], quiet: _Broadcast, connected: int, before: int) -> list[Figure]:
    return [
        Figure(
            name="answer to a broadcast", value=min(accepted) * 1e3, unit="ms", floor=50, aim=20,
            notes=f"all {listed(one * 1e3 for one in accepted)}",
        ),
        Figure(
            name=f"until all {connected:,} connected devices have it", value=quiet.arrived, unit="s",
            floor=60, aim=20,
        ),
        Figure(name="until all pages are recorded", value=quiet.planned, unit="s", floor=60, aim=20),
        Figure(name="until all acks are recorded", value=quiet.settled, unit="s"),
        Figure(
            name="resident memory, the most", value=quiet.rss / 2**20, unit="MB", floor=200, aim=150,
            notes=f"{before / 2**20:.0f} MB before it, with {connected:,} connections",
        ),
    ]  # fmt: skip


def _growth(runs: Sequence[tuple[int, _Broadcast]]) -> list[Figure]:
    return [
        Figure(
            name=f"CPU a device of {size:,}", value=run.cpu / size * 1e6, unit="µs",
            notes=f"{number(run.planned)} s until all pages are recorded",
        )
        for size, run in runs
    ]  # fmt: skip


def latency_figures(calm: Sequence[float], busy: Sequence[float]) -> list[Figure]:
    """What latencies of pushes alone and during a broadcast come to."""
    alone, meanwhile = (percentile(latencies, 0.99) * 1e3 for latencies in (calm, busy))
    return [
        Figure(
            name="PushSimple meanwhile, p99", value=meanwhile, unit="ms", floor=alone + 100, aim=alone + 50,
            notes=f"p50 {number(percentile(busy, 0.5) * 1e3)} ms, longest {number(max(busy) * 1e3)} ms",
        ),
        Figure(name="PushSimple alone, p99", value=alone, unit="ms"),
    ]  # fmt: skip


if __name__ == "__main__":
    run_script(measure)
