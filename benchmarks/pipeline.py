"""A broadcast through vendors: from one PushBroadcast until every device's outcome is recorded.

A real server (SQLite with `synchronous=FULL`) on one core; on another the vendor, which says yes to everything. The
devices, each with a token of the vendor, are written into the database beforehand. First a million through APNs,
over TLS and HTTP/2 (`benchmarks/http2_responder.py`), one request each; then fewer through each vendor that takes
lists of tokens (`benchmarks/batch_responder.py`, HTTP/1.1), for which the time of a million is worked out from the
better of two rounds. The time ends when the figures of QueryPushAnalysisTaskDetail have every device as taken; then
nothing may be owed any more, and the vendor must have been asked for each device once. CPU is that of all the
server's threads. A second broadcast through APNs shows what one costs 100 PushSimple a second, to others, that are
answered meanwhile.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.batch_responder import Report
from benchmarks.broadcast import announce, counted, latency_figures, make_template, timed_pushes
from benchmarks.figures import BenchmarkFailed, Figure, listed, number, run_script, stage
from benchmarks.http2_sender import responding
from benchmarks.server import APP_ID, CLIENT_CORE, HOST, WORKSPACE_ID, BenchServer, pinned, running_server
from clarion.channels.registry import Channel, Platform
from clarion.foundation import Foundation
from clarion.ids import first_id_at
from clarion.store.database import Row, Transaction
from clarion.store.queries import Insert
from clarion.store.schema import devices

MILLION, FEWER, ROUNDS = 1_000_000, 200_000, 2
CALM_SECONDS, BUSY_SECONDS = 5, 8
_LIMIT, _STEP, _POLL, _PATIENCE = 120.0, 10_000, 0.05, 20.0
_DAY_MS = 24 * 3600 * 1000
_FLOOR_RSS, _AIM_RSS = 250, 200
_INSERT = Insert(
    devices,
    ("device", "app", "token", "platform", "channel", "vendor_token", "vendor_token_at", "user_id", "bound_at",
     "created_at", "updated_at"),
)  # fmt: skip


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _apns() -> dict[str, Any]:
    key = _pem(ec.generate_private_key(ec.SECP256R1()))
    return {"teamId": "TEAM000001", "keyId": "KEY0000001", "privateKey": key, "bundleId": "com.example.app"}


def _harmony() -> dict[str, Any]:
    key = _pem(rsa.generate_private_key(65_537, 2048))
    account = {"project_id": "bench", "key_id": "bench", "sub_account": "bench", "private_key": key}
    return {"projectId": "bench", "serviceAccount": account, "bundleName": "com.example.app"}


@dataclass(frozen=True, slots=True)
class Vendor:
    """A way to a million devices.

    Attributes:
        channel: which.
        platform: of the devices.
        delivery_type: of the broadcast.
        token: a device's token, from its number.
        credentials: what its channel file has, besides addresses.
        login: path of `tokenUrl`; empty if there is none.
    """

    channel: Channel
    platform: Platform
    delivery_type: int
    token: str
    credentials: Callable[[], Mapping[str, Any]]
    login: str = ""


_PACKAGE = {"packageName": "com.example.app"}
APNS = Vendor(Channel.APNS, Platform.IOS, 2, "{:064x}", _apns)
BATCHES = (
    Vendor(Channel.HMS, Platform.ANDROID, 1, "token-{:09}",
           lambda: {"appId": "bench", "appSecret": "bench", **_PACKAGE}, "/token"),
    Vendor(Channel.HARMONY, Platform.HARMONY, 7, "token-{:09}", _harmony),
    Vendor(Channel.HONOR, Platform.ANDROID, 1, "token-{:09}",
           lambda: {"appId": "bench", "clientId": "bench", "clientSecret": "bench", **_PACKAGE}, "/token"),
    Vendor(Channel.MIUI, Platform.ANDROID, 1, "token-{:09}", lambda: {"appSecret": "bench", **_PACKAGE}),
    Vendor(Channel.OPPO, Platform.ANDROID, 1, "token-{:09}", lambda: {"appKey": "bench", "masterSecret": "bench"}),
    Vendor(Channel.VIVO, Platform.ANDROID, 1, "token-{:09}",
           lambda: {"appId": "1", "appKey": "bench", "appSecret": "bench"}),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a broadcast took.

    Attributes:
        count: devices.
        seconds: from the request until all outcomes were recorded.
        cpu: s of the server.
        rss: of the server, the most, bytes.
        before: its resident memory at the beginning.
        others: the share of the server's core that other programs took.
    """

    count: int
    seconds: float
    cpu: float
    rss: int
    before: int
    others: float

    @property
    def micros(self) -> float:
        """CPU of a device, µs."""
        return self.cpu / self.count * 1e6


class Audience:
    """Devices with tokens of a vendor, and the channel to it, in the store of a server that is to start."""

    def __init__(self, vendor: Vendor, count: int, addresses: Mapping[str, str]) -> None:
        self._vendor = vendor
        self._count = count
        self._addresses = addresses
        self._database = Path()

    async def furnish(self, foundation: Foundation) -> None:
        """Write them."""
        self._database = Path(foundation.settings.data_dir) / "clarion.db"
        directory, label = foundation.directory, self._vendor.channel.label
        await directory.refresh()
        app = await directory.find_app(APP_ID, WORKSPACE_ID)
        if app is None:
            raise BenchmarkFailed("the app that was just made is not there")
        file = {**self._vendor.credentials(), **self._addresses, "rate": 0}
        await foundation.channels.set(app.key, label, msgspec.json.encode(file))
        stage(f"{label}: registering {self._count:,} devices")
        rows = self._rows(app.key)
        while step := list(islice(rows, _STEP)):

            async def work(transaction: Transaction, step: Sequence[Row] = step) -> None:
                await transaction.insert(_INSERT, step)

            await foundation.database.write(work)

    def owed(self) -> int:
        """How many parts of broadcasts are owed still."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM broadcast_parts").fetchone()[0])

    def _rows(self, app: int) -> Iterator[Row]:
        at = int(time.time() * 1000) - _DAY_MS
        platform, channel = self._vendor.platform.label, self._vendor.channel.label
        first = first_id_at(at)
        for index in range(self._count):
            token = self._vendor.token.format(index)
            yield first + index, app, token, platform, channel, token, at, f"user-{index}", at, at, at


async def deliver(
    server: BenchServer, audience: Audience, vendor: Vendor, count: int, key: str = "bench"
) -> Delivered:
    """Push a broadcast and wait until it is recorded that the vendor took it for everybody."""
    stage(f"{vendor.channel.label}: broadcast to {count:,} devices")
    before, rss = server.reading(), server.rss()
    most, success, total = rss, 0, 0
    task, _ = await announce(server, key, 3600, vendor.delivery_type)
    try:
        async with asyncio.timeout(_LIMIT):
            while (total, success) != (count, count):
                await asyncio.sleep(_POLL)
                total, success = await counted(server, task)
                most = max(most, server.rss())
    except TimeoutError:
        raise BenchmarkFailed(f"{total:,} devices planned, {success:,} taken after {_LIMIT:.0f} s") from None
    after = server.reading()
    if owed := audience.owed():
        raise BenchmarkFailed(f"{owed} parts are owed although all devices are counted")
    seconds, cpu = after.at - before.at, after.cpu_since(before)
    return Delivered(count, seconds, cpu, most, rss, after.others_since(before))


async def through_apns(count: int, seconds: int = 0) -> tuple[Delivered, list[Figure]]:
    """A broadcast through APNs; and for so many seconds pushes to others during a second one."""
    with tempfile.TemporaryDirectory(prefix="clarion-bench-") as name:
        async with responding(Path(name)) as peer:
            addresses = {"baseUrl": f"https://{HOST}:{peer.port}", "caFile": peer.ca_file}
            audience = Audience(APNS, count, addresses)
            async with _serving(audience) as server:
                await make_template(server)
                delivered = await deliver(server, audience, APNS, count)
                report = await peer.report()
                # Each device is counted for an answer to a request of its own.
                if report.requests != count:
                    raise BenchmarkFailed(f"{report.requests:,} requests for {count:,} devices")
                return delivered, await _meanwhile(server, seconds) if seconds else []


async def _meanwhile(server: BenchServer, seconds: int) -> list[Figure]:
    """What PushSimple takes, alone and during a broadcast."""
    chance = random.Random(1)
    stage("PushSimple alone")
    calm = await timed_pushes(server, chance, "calm", CALM_SECONDS)
    stage("PushSimple during a broadcast")
    await announce(server, "meanwhile", 3600, APNS.delivery_type)
    return latency_figures(calm, await timed_pushes(server, chance, "busy", seconds))


async def through(vendor: Vendor, count: int, rounds: int = 1) -> list[Delivered]:
    """Broadcasts through a vendor that takes lists."""
    with pinned(CLIENT_CORE):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.batch_responder", vendor.channel.label,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the pipes were asked for")
    try:
        async with asyncio.timeout(_PATIENCE):
            base = f"http://{HOST}:{int(await process.stdout.readline())}"
        addresses = {"baseUrl": base} | ({"tokenUrl": base + vendor.login} if vendor.login else {})
        audience = Audience(vendor, count, addresses)
        delivered = []
        async with _serving(audience) as server:
            await make_template(server)
            for number in range(rounds):
                delivered.append(await deliver(server, audience, vendor, count, f"bench-{number}"))
                process.stdin.write(b"\n")
                async with asyncio.timeout(_PATIENCE):
                    report = msgspec.json.decode(await process.stdout.readline(), type=Report)
                if report.strange or (report.tokens, report.different) != (count, count):
                    raise BenchmarkFailed(f"{vendor.channel.label} got {report}")
        return delivered
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def _serving(audience: Audience) -> AsyncIterator[BenchServer]:
    """A server with an audience; it is made in a thread, as it waits for it."""
    running = running_server(furnish=audience.furnish)
    server = await asyncio.to_thread(running.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def _figures(
    apns: Delivered, meanwhile: Sequence[Figure], batches: Mapping[Vendor, Sequence[Delivered]]
) -> list[Figure]:
    grown = number((apns.rss - apns.before) / 2**20)
    return [
        Figure(
            name="a million devices through apns", value=apns.seconds, unit="s", floor=60, aim=25,
            notes=f"{apns.count / apns.seconds:,.0f} a second; others had {apns.others:.0%} of the core",
        ),
        Figure(name="CPU a device through apns", value=apns.micros, unit="µs"),
        Figure(
            name="resident memory, the most", value=apns.rss / 2**20, unit="MB", floor=_FLOOR_RSS, aim=_AIM_RSS,
            notes=f"{grown} MB more than before it",
        ),
        *meanwhile,
        *(_of_lists(vendor, rounds) for vendor, rounds in batches.items()),
    ]  # fmt: skip


def _of_lists(vendor: Vendor, rounds: Sequence[Delivered]) -> Figure:
    times = [done.seconds * MILLION / done.count for done in rounds]
    return Figure(
        name=f"a million devices through {vendor.channel.label}", value=min(times), unit="s", floor=20, aim=15,
        notes=f"rounds {listed(times)}, from {rounds[0].count:,} each; {listed(done.micros for done in rounds)} µs "
        f"CPU; {max(done.rss for done in rounds) / 2**20:.0f} MB",
    )  # fmt: skip


async def _measure() -> list[Figure]:
    apns, meanwhile = await through_apns(MILLION, BUSY_SECONDS)
    return _figures(apns, meanwhile, {vendor: await through(vendor, FEWER, ROUNDS) for vendor in BATCHES})


def measure() -> list[Figure]:
    """All figures."""
    with pinned(CLIENT_CORE):
        return uvloop.run(_measure())


if __name__ == "__main__":
    run_script(measure)
