"""Notifications a second of the HTTP/2 sender, beside other senders, and what a peer that misbehaves costs.

The sender (`clarion.http2`, over TLS, 4 connections) has one core, the peer (`benchmarks/http2_responder.py`)
another. "One core" is the pool with up to 100 requests under way on each connection; every request has a path and
an `apns-id` of its own and a payload of 200 bytes. "Of the APNs channel" is the same from messages to their
outcomes. `h2load` (of nghttp2, in C, one thread, the same request again and again, so the limit of what a client
can do) takes turns with the sender against the same peer; the rates of a CPU second are compared. `aioapns` (of
PyPI) sends the same to a peer that answers with the `apns-id`, without which it does not work. With a delay of 50
ms before each answer 1,000 requests are under way on each connection. At last the peer says goodbye (GOAWAY) after
every 500 requests of a connection, or refuses one request in 50, and counts by `apns-id` what it accepted.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import ssl
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.figures import BenchmarkFailed, Figure, listed, run_script, stage
from benchmarks.http2_responder import HOST, Report
from benchmarks.server import CLIENT_CORE, SERVER_CORE, certificate, pinned
from clarion.channels.apns import open_channel, parse
from clarion.channels.apns.payload import id_header
from clarion.channels.base import Accepted, Envelope
from clarion.channels.message import PushContent
from clarion.clock import SystemClock
from clarion.http2.exchange import Fate
from clarion.http2.headers import HeaderSet
from clarion.http2.origin import Origin, client_tls
from clarion.http2.pool import Pool, PoolLimits, Request

CONNECTIONS, STREAMS, ROUNDS = 4, 100, 5
_ROUND, _WARM_UP, _CHANNEL_ROUND = 120_000, 20_000, 60_000
_AIOAPNS_ROUND, _DELAYED, _COUNTED = 2_500, 80_000, 20_000
_BATCH, _BATCHES = 1_000, 4
_PATIENCE = 20.0
_TOPIC, _EXPIRES_AT = "com.example.app", 1_900_000_000
_BODY = b'{"aps":{"alert":{"title":"Parcel","body":"It waits for you"},"sound":"default"},"k":"%b"}' % (b"x" * 113)
_HEADERS = [
    (b"authorization", b"bearer " + b"x" * 180),
    (b"apns-topic", _TOPIC.encode()),
    (b"apns-push-type", b"alert"),
    (b"apns-priority", b"10"),
    (b"apns-expiration", b"%d" % _EXPIRES_AT),
]


@dataclass(frozen=True, slots=True)
class Round:
    """What some notifications took.

    Attributes:
        count: of them.
        seconds: by the clock.
        cpu: of the sender, seconds.
        failed: that were not answered with 200.
    """

    count: int
    seconds: float
    cpu: float
    failed: int = 0

    @property
    def rate(self) -> float:
        """Notifications a second."""
        return self.count / self.seconds

    @property
    def micros(self) -> float:
        """CPU of a notification, µs."""
        return self.cpu / self.count * 1e6


class Peer:
    """A running responder."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder
        self.ca_file = str(folder / "TLS_CERT_FILE.pem")
        self._process = process

    async def report(self) -> Report:
        """What it has done since the last report."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the pipes were asked for")
        self._process.stdin.write(b"\n")
        async with asyncio.timeout(_PATIENCE):
            line = await self._process.stdout.readline()
        if not line:
            raise BenchmarkFailed("the responder has ended")
        return msgspec.json.decode(line, type=Report)

    def pool(self, streams: int) -> Pool:
        """A pool of the sender to it."""
        return Pool(
            Origin(HOST, self.port, client_tls(self.ca_file)), PoolLimits(connections=CONNECTIONS, streams=streams)
        )


@asynccontextmanager
async def responding(folder: Path, *options: str) -> AsyncIterator[Peer]:
    """A responder on the other core."""
    files = certificate(folder)
    with pinned(CLIENT_CORE):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.http2_responder", *files.values(), *options,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
    try:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the pipes were asked for")
        async with asyncio.timeout(_PATIENCE):
            line = await process.stdout.readline()
        if not line:
            raise BenchmarkFailed("the responder does not start")
        yield Peer(process, int(line), folder)
        process.stdin.close()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def requests(first: int, count: int, headers: HeaderSet) -> list[Request]:
    """Notifications with numbers of their own."""
    return [
        Request(headers, b"/3/device/%064x" % number, _BODY, id_header(str(uuid.UUID(int=number))))
        for number in range(first, first + count)
    ]


async def send(pool: Pool, sent: Sequence[Request]) -> Round:
    """Send in batches, some at a time."""
    batches = [sent[start : start + _BATCH] for start in range(0, len(sent), _BATCH)]
    failed = 0

    async def work() -> None:
        nonlocal failed
        while batches:
            answers = await pool.send_all(batches.pop())
            failed += sum(answer.fate is not Fate.ANSWERED or answer.status != 200 for answer in answers)

    gc.collect()
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(_BATCHES)))
    return Round(len(sent), time.perf_counter() - began, time.process_time() - cpu, failed)


async def send_messages(peer: Peer) -> Round:
    """By the APNs channel, from messages to outcomes."""
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = {
        "teamId": "TEAM000001", "keyId": "KEY0000001", "privateKey": key.decode(), "bundleId": _TOPIC,
        "baseUrl": f"https://{HOST}:{peer.port}", "caFile": peer.ca_file, "connections": CONNECTIONS,
    }  # fmt: skip
    channel = open_channel(parse(msgspec.json.encode(file)), SystemClock())
    content = PushContent("Parcel", "It waits for you", uri="https://example.com/" + "x" * 100)
    envelopes = [
        Envelope(number, number, f"{number:064x}", f"order-{number % 7}", 7, _EXPIRES_AT * 1000, content)
        for number in range(1, _CHANNEL_ROUND + 1)
    ]
    batches = [envelopes[start : start + channel.batch] for start in range(0, len(envelopes), channel.batch)]
    await channel.send(envelopes[:_BATCH])
    failed = 0

    async def work() -> None:
        nonlocal failed
        while batches:
            failed += sum(not isinstance(outcome, Accepted) for outcome in await channel.send(batches.pop()))

    try:
        gc.collect()
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in range(_BATCHES)))
        return Round(len(envelopes), time.perf_counter() - began, time.process_time() - cpu, failed)
    finally:
        await channel.close()


async def h2load(peer: Peer) -> Round | None:
    """By `h2load` on the sender's core; None when it is not installed."""
    program = shutil.which("h2load")
    if program is None:
        return None
    body = peer.folder / "body.json"
    body.write_bytes(_BODY)
    headers = [f"-H{name.decode()}: {value.decode()}" for name, value in [*_HEADERS, (b"apns-id", b"1" * 36)]]
    command = [program, f"-n{_ROUND}", f"-c{CONNECTIONS}", f"-m{STREAMS}", f"-d{body}", *headers]
    before = os.times()
    process = await asyncio.create_subprocess_exec(
        *command, f"https://{HOST}:{peer.port}/3/device/{1:064x}", stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(_PATIENCE):
        output = (await process.communicate())[0].decode()
    after = os.times()
    if f"{_ROUND} succeeded" not in output:
        raise BenchmarkFailed("h2load did not succeed")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    finished = next(line for line in output.splitlines() if line.startswith("finished in"))
    return Round(_ROUND, _ROUND / float(finished.split(",")[1].split()[0]), cpu)


async def aioapns(peer: Peer) -> Round:
    """By `aioapns`, with as many connections, all notifications at once as it likes them best."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from aioapns import APNs, NotificationRequest, PushType
        from aioapns.connection import APNsProductionClientProtocol
    APNsProductionClientProtocol.APNS_SERVER = HOST
    APNsProductionClientProtocol.APNS_PORT = peer.port
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    sender: Any = APNs(
        key=key.decode(), key_id="KEY0000001", team_id="TEAM000001", topic=_TOPIC, max_connections=CONNECTIONS,
        ssl_context=ssl.create_default_context(cafile=peer.ca_file),
    )  # fmt: skip
    message = msgspec.json.decode(_BODY)
    sent = [
        NotificationRequest(
            device_token=f"{number:064x}", message=message, notification_id=str(uuid.UUID(int=number)),
            time_to_live=60, priority=10, push_type=PushType.ALERT,
        )
        for number in range(_AIOAPNS_ROUND)
    ]  # fmt: skip
    try:
        await sender.send_notification(sent[0])
        gc.collect()
        began, cpu = time.perf_counter(), time.process_time()
        results = await asyncio.gather(*map(sender.send_notification, sent))
        failed = sum(not result.is_successful for result in results)
        return Round(len(sent), time.perf_counter() - began, time.process_time() - cpu, failed)
    finally:
        for connection in tuple(sender.pool.connections):
            connection.close()


async def measure_alone(folder: Path) -> list[Figure]:
    """The sender, beside others."""
    headers = HeaderSet(f"{HOST}:443", _HEADERS)
    own: list[Round] = []
    others: list[Round] = []
    async with responding(folder) as peer:
        pool = peer.pool(STREAMS)
        await send(pool, requests(1, _WARM_UP, headers))
        for number in range(ROUNDS):
            stage(f"the sender alone, round {number + 1} of {ROUNDS}")
            own.append(await send(pool, requests(1, _ROUND, headers)))
            reference = await h2load(peer)
            if reference is not None:
                others.append(reference)
        await pool.close()
        await peer.report()
        stage("the APNs channel")
        channel = await send_messages(peer)
    async with responding(folder, "--count") as peer:
        stage("aioapns")
        slow = [await aioapns(peer) for _ in range(2)]
    if failed := sum(one.failed for one in [*own, channel, *slow]):
        raise BenchmarkFailed(f"{failed} notifications were not answered")
    return [*_alone(own, channel), *_beside(own, others, slow)]


def _alone(own: Sequence[Round], channel: Round) -> list[Figure]:
    return [
        Figure(
            name="notifications, one core", value=max(one.rate for one in own), unit="1/s",
            floor=80_000, aim=150_000, higher_is_better=True, notes=f"rounds {listed(one.rate for one in own)}",
        ),
        Figure(
            name="CPU of a notification", value=min(one.micros for one in own), unit="µs",
            notes=f"rounds {listed(one.micros for one in own)}",
        ),
        Figure(
            name="CPU of one of the APNs channel", value=channel.micros, unit="µs",
            notes=f"{channel.rate:,.0f} a second",
        ),
    ]  # fmt: skip


def _beside(own: Sequence[Round], others: Sequence[Round], slow: Sequence[Round]) -> list[Figure]:
    """Beside other senders, the best round of each."""
    figures = []
    if others:
        least = min(one.micros for one in others)
        figures.append(Figure(
            name="in rates of h2load", value=least / min(one.micros for one in own), unit="×", floor=0.3, aim=0.5,
            higher_is_better=True,
            notes=f"of a CPU second; h2load {listed(one.micros for one in others)} µs, "
            f"{max(one.rate for one in others):,.0f} a second",
        ))  # fmt: skip
    best, theirs = max(one.rate for one in own), max(one.rate for one in slow)
    figures.append(Figure(
        name="in rates of aioapns", value=best / theirs, unit="×", floor=20, aim=40, higher_is_better=True,
        notes=f"aioapns {theirs:,.0f} a second" + ("" if others else "; h2load is not installed"),
    ))  # fmt: skip
    return figures


async def measure_delayed(folder: Path) -> list[Figure]:
    """Against answers that take 50 ms."""
    stage("answers after 50 ms")
    async with responding(folder, "--delay-ms", "50") as peer:
        pool = peer.pool(1_000)
        headers = HeaderSet(f"{HOST}:443", _HEADERS)
        await send(pool, requests(1, _WARM_UP, headers))
        done = await send(pool, requests(1, _DELAYED, headers))
        await pool.close()
    if done.failed:
        raise BenchmarkFailed(f"{done.failed} notifications were not answered")
    return [Figure(
        name="with answers after 50 ms", value=done.rate, unit="1/s", floor=20_000, aim=40_000,
        higher_is_better=True, notes=f"4 × 1,000 under way, so 80,000 at the most; {done.micros:.1f} µs CPU",
    )]  # fmt: skip


async def measure_misbehaving(folder: Path, name: str, *options: str) -> list[Figure]:
    """Against a peer that says goodbye, or refuses: what failed, and what was doubled."""
    stage(name)
    async with responding(folder, "--count", *options) as peer:
        pool = peer.pool(1_000)
        done = await send(pool, requests(1, _COUNTED, HeaderSet(f"{HOST}:443", _HEADERS)))
        resent, report = pool.resent, await peer.report()
        await pool.close()
    if not resent or report.different != _COUNTED - done.failed:
        raise BenchmarkFailed(f"{name}: the peer took {report.different} of {_COUNTED}")
    seen = f"of {_COUNTED:,}; {report.goodbyes} GOAWAY, {report.refused} refused, {resent:,} sent again"
    return [
        Figure(name=f"{name}: failed", value=done.failed, unit="", floor=0, aim=0, notes=seen),
        Figure(name=f"{name}: doubled", value=report.doubled, unit="", floor=0, aim=0, notes="counted by the peer"),
    ]


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="clarion-bench-") as name:
        folder = Path(name)
        return [
            *await measure_alone(folder),
            *await measure_delayed(folder),
            *await measure_misbehaving(folder, "GOAWAY every 500", "--goaway-every", "500"),
            *await measure_misbehaving(folder, "1 in 50 refused", "--refuse", "50"),
        ]


def measure() -> list[Figure]:
    """All figures."""
    with pinned(SERVER_CORE):
        return uvloop.run(_measure())


if __name__ == "__main__":
    run_script(measure)
