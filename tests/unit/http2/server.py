"""A server with sockets around the peer of `peer.py`: TLS, a proxy, and faults at will."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.unit.http2.peer import Behaviour, Peer

HOST = "127.0.0.1"


class Server:
    """Serves every connection with a `Peer` of its own.

    Attributes:
        peers: one for each connection, in the order in which they came.
        transports: their sockets.
        paths: the paths of all whole requests.
    """

    def __init__(self, behaviour: Behaviour | None, settings: dict[Any, int] | None) -> None:
        self.behaviour = behaviour
        self.settings = settings
        self.peers: list[Peer] = []
        self.transports: list[asyncio.Transport] = []
        self.port = 0
        self.heard = asyncio.Event()

    async def received(self, count: int) -> None:
        """Wait for so many whole requests."""
        while len(self.paths) < count:
            self.heard.clear()
            await self.heard.wait()

    @property
    def paths(self) -> list[bytes]:
        return [
            dict(seen.headers)[b":path"] for peer in self.peers for seen in peer.requests.values() if seen.ended
        ]

    def flush(self) -> None:
        """Send what the peers want to say."""
        for peer, transport in zip(self.peers, self.transports, strict=True):
            data = peer.connection.data_to_send()
            if data and not transport.is_closing():
                transport.write(data)

    def protocol(self) -> asyncio.Protocol:
        return _Protocol(self)


class _Protocol(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server
        self._peer = Peer(server.behaviour, server.settings)

    def connection_made(self, transport: Any) -> None:
        self._server.peers.append(self._peer)
        self._server.transports.append(transport)
        self._server.flush()

    def data_received(self, data: bytes) -> None:
        self._peer.receive(data)
        self._server.flush()
        self._server.heard.set()


@asynccontextmanager
async def serving(
    behaviour: Behaviour | None = None,
    *,
    settings: dict[Any, int] | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    """A server on a free port."""
    server = Server(behaviour, settings)
    listener = await asyncio.get_running_loop().create_server(server.protocol, HOST, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for transport in server.transports:
            transport.abort()
        await listener.wait_closed()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this host that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "push test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "cert.pem", folder / "key.pem"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_file, key_file


def server_tls(
    files: tuple[Path, Path], *, protocols: tuple[str, ...] = ("h2",), clients: bool = False
) -> ssl.SSLContext:
    """A server's TLS; with `clients` it wants a certificate of them."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    context.set_alpn_protocols(list(protocols))
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files[0])
    return context


@asynccontextmanager
async def proxying(answer: Callable[[str], bytes]) -> AsyncIterator[tuple[int, list[str]]]:
    """A proxy that answers CONNECT as told, and carries bytes if that is 200; its port and the heads it saw."""
    heads: list[str] = []
    writers: list[asyncio.StreamWriter] = []
    serving_tasks: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        reply = answer(head)
        writer.write(reply)
        if b" 200 " not in reply.split(b"\r\n")[0]:
            writer.close()
            return
        host, port = head.split()[1].rsplit(":", 1)
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writers.append(far_writer)
        await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        serving_tasks.add(asyncio.get_running_loop().create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*serving_tasks, return_exceptions=True)
