"""A real `clarion serve` on a core of its own, with an app, a key and devices in its store."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import msgspec
import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.figures import BenchmarkFailed, stage
from clarion.channels.registry import Platform
from clarion.delivery.binding import Binder
from clarion.delivery.ledger import Ledger
from clarion.devices.model import Registration
from clarion.devices.service import DeviceService
from clarion.foundation import Foundation, open_foundation
from clarion.ids import IdGenerator
from clarion.link.hub import Hub
from clarion.settings import PREFIX, load_settings
from clarion.store.facts import largest_id
from clarion.store.group import GroupWriter
from clarion.tenants.model import AccessKey, Role

APP_ID, WORKSPACE_ID = "BENCH", "default"
HOST = "127.0.0.1"
SERVER_CORE, CLIENT_CORE = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
_START_SECONDS, _STOP_SECONDS = 30.0, 30.0

Furnish = Callable[[Foundation], Awaitable[None]]
"""Puts more into a store before its server starts."""


class _Ready(msgspec.Struct):
    api: str
    link: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Seconds at some moment.

    Attributes:
        at: of the clock.
        cpu: of CPU that all threads of the server have used.
        core: for which its core was busy, whoever used it.
    """

    at: float
    cpu: float
    core: float

    def cpu_since(self, before: Reading) -> float:
        """CPU seconds of the server since `before`."""
        return self.cpu - before.cpu

    def others_since(self, before: Reading) -> float:
        """The share of the core that other programs took since `before`, 0 to 1."""
        return max(0.0, (self.core - before.core) - (self.cpu - before.cpu)) / (self.at - before.at)


@dataclass(slots=True)
class BenchServer:
    """A running server."""

    process: psutil.Popen
    api_port: int
    link_port: int
    key: AccessKey
    devices: list[Registration]

    def reading(self) -> Reading:
        """What it and its core have done so far."""
        own = self.process.cpu_times()
        core = psutil.cpu_times(percpu=True)[SERVER_CORE]
        # Guests' time is in that of the users.
        busy = sum(core) - core.idle - core.iowait - core.guest - core.guest_nice
        return Reading(time.perf_counter(), own.user + own.system, busy)

    def rss(self) -> int:
        """Resident memory, bytes."""
        return int(self.process.memory_info().rss)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Stay on one core for a while; processes started meanwhile stay there for ever."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running_server(
    *, devices: int = 0, tls: bool = False, database: str = "", furnish: Furnish | None = None
) -> Iterator[BenchServer]:
    """A server with a new store on `SERVER_CORE`; it is stopped and its data are removed at the end.

    Args:
        devices: how many are registered.
        tls: whether its ports speak TLS.
        database: URL of an empty PostgreSQL database; SQLite if empty.
        furnish: puts more into the store.
    """
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="clarion-bench-") as folder:
        data_dir = Path(folder) / "data"
        key, registered = asyncio.run(_furnish(data_dir, database, devices, furnish))
        settings = {"LINK_CONNECTIONS_PER_ADDRESS": "100000", "DATABASE_URL": database}
        if tls:
            settings |= certificate(Path(folder))
        stage("starting the server")
        with (Path(folder) / "server.log").open("w+b") as log:
            with pinned(SERVER_CORE):
                process = psutil.Popen(
                    [sys.executable, "-m", "clarion", "serve", "--host", HOST, "--port", "0", "--link-port", "0",
                     "--data-dir", str(data_dir), "--json"],
                    stdout=subprocess.PIPE, stderr=log, env=_environment(settings),
                )  # fmt: skip
            try:
                ready = _ready(process, log.name)
                yield BenchServer(process, _port(ready.api), _port(ready.link), key, registered)
            finally:
                _stop(process)


async def _furnish(
    data_dir: Path, database_url: str, count: int, furnish: Furnish | None
) -> tuple[AccessKey, list[Registration]]:
    """Make an app, a key and devices through the services, as the program's own commands do."""
    settings = load_settings({"data_dir": str(data_dir), "database_url": database_url}, environment={})
    foundation = await open_foundation(settings)
    try:
        tenants, directory, database = foundation.tenants, foundation.directory, foundation.database
        await tenants.create_app(APP_ID, WORKSPACE_ID)
        key = await tenants.create_key(Role.PUSH)
        await directory.refresh()
        app = await directory.find_app(APP_ID, WORKSPACE_ID)
        if app is None:
            raise BenchmarkFailed("the app that was just made is not there")
        if count:
            stage(f"registering {count:,} devices")
        writer = GroupWriter(database)
        ids = IdGenerator(foundation.clock, floor=await largest_id(database))
        service = DeviceService(
            database,
            writer,
            foundation.vault,
            ids,
            foundation.clock,
            Hub(),
            Binder(Ledger(directory, ids), directory),
        )
        registered = await asyncio.gather(*(service.register(app.key, Platform.ANDROID) for _ in range(count)))
        await writer.drain()
        if furnish is not None:
            await furnish(foundation)
        return key, registered
    finally:
        await foundation.database.close()


def _environment(settings: dict[str, str]) -> dict[str, str]:
    """The settings, and nothing else that would change how the server works."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return inherited | {PREFIX + name: value for name, value in settings.items()}


def _ready(process: psutil.Popen, log: str) -> _Ready:
    line = process.stdout.readline()
    if not line:
        end = Path(log).read_text("utf-8", "replace").strip().splitlines()[-1:]
        raise BenchmarkFailed(f"the server does not start: {' '.join(end)}")
    return msgspec.json.decode(line, type=_Ready)


def _port(address: str) -> int:
    return int(address.removesuffix("/link").rpartition(":")[2])


def _stop(process: psutil.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def certificate(folder: Path) -> dict[str, str]:
    """A self-signed certificate of `HOST`, of the usual kind (P-256), and its key; the settings that name them."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .sign(private_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    files = {
        "TLS_CERT_FILE": signed.public_bytes(pem),
        "TLS_KEY_FILE": private_key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    }
    for setting, data in files.items():
        (folder / f"{setting}.pem").write_bytes(data)
    return {setting: str(folder / f"{setting}.pem") for setting in files}


def raise_file_limit() -> None:
    """Allow as many open files as the system lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
