"""The link over real sockets of this machine, on asyncio's own loop and on uvloop."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clarion.link.hub import Hub
from clarion.link.limits import LinkLimits
from clarion.link.listener import LinkServer, serve
from tests.unit.link.fakes import MemoryBackend


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Each test runs on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Link:
    """A running listener with a backend in memory."""

    def __init__(self, server: LinkServer, hub: Hub, backend: MemoryBackend, scheme: str) -> None:
        self.server = server
        self.hub = hub
        self.backend = backend
        self.port = server.port
        self.url = f"{scheme}://127.0.0.1:{self.port}/link"


StartLink = Callable[..., Awaitable[Link]]


@pytest.fixture
async def start() -> AsyncIterator[StartLink]:
    """Starts listeners; keywords other than the four named are limits."""
    running: list[LinkServer] = []

    async def start(
        *,
        backend: MemoryBackend | None = None,
        port: int = 0,
        context: ssl.SSLContext | None = None,
        **limits: float,
    ) -> Link:
        hub, backend = Hub(), backend or MemoryBackend()
        quick = {"close_timeout": 0.5, "sweep": 0.02, **limits}
        server = await serve(hub, backend, port=port, ssl=context, limits=LinkLimits(**quick))  # type: ignore[arg-type]
        running.append(server)
        return Link(server, hub, backend, "wss" if context else "ws")

    yield start
    for server in running:
        await server.close()
        assert server.connections == 0


async def until(reached: Callable[[], bool]) -> None:
    """Wait for a condition, not for a time."""
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_file, key_file
