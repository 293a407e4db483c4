"""A client that shows each frame of HTTP/2, and signs what senders sign; nothing of it is the product's sender."""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from hyperframe.frame import Frame, GoAwayFrame

DEVICE = "a1" * 32


class _Unrestrained(h2.connection.H2Connection):
    """Begins as many streams as it is told to, whatever the server allows, and listens after a goodbye."""

    @property
    def open_outbound_streams(self) -> int:
        return 0

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[h2.events.Event]]:
        result = super()._receive_goaway_frame(frame)
        self.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        return result


class Wire:
    """A connection.

    Attributes:
        statuses: by stream.
        headers: of the answers, by stream.
        bodies: by stream.
        ended: streams that were answered in full.
        refused: streams that were reset, with the code.
        goodbye: of the server: last stream and debug data.
        limits: what the server said of `MAX_CONCURRENT_STREAMS`, in turn.
        lost: whether the connection ended.
        broken: whether it ended by a reset.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str) -> None:
        self.statuses: dict[int, int] = {}
        self.headers: dict[int, dict[bytes, bytes]] = {}
        self.bodies: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.ended: set[int] = set()
        self.refused: dict[int, int] = {}
        self.goodbye: tuple[int, bytes] | None = None
        self.limits: list[int] = []
        self.lost = False
        self.broken = False
        self._reader, self._writer, self._authority = reader, writer, authority
        self._h2 = _Unrestrained(h2.config.H2Configuration(header_encoding=None))
        self._h2.initiate_connection()
        self.flush()

    def post(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        more: tuple[str, str] | None = None,
        ends: bool = True,
    ) -> int:
        """Send a request, or the beginning of one; its stream."""
        stream = self._h2.get_next_available_stream_id()
        sent = [(":method", "POST"), (":scheme", "https"), (":authority", self._authority), (":path", path)]
        self._h2.send_headers(stream, [*sent, *headers.items(), *([more] if more else [])], end_stream=not body)
        if body:
            self._h2.send_data(stream, body, end_stream=ends)
        return stream

    def rest(self, stream: int, body: bytes) -> None:
        """Send the rest of a request."""
        self._h2.send_data(stream, body, end_stream=True)

    def flush(self) -> None:
        """Write what was said so far, in one piece."""
        self._writer.write(self._h2.data_to_send())

    async def until(self, done: Callable[[], bool]) -> None:
        """Listen until something is so, or the connection ends."""
        self.flush()
        async with asyncio.timeout(20):
            while not done() and not self.lost:
                try:
                    data = await self._reader.read(65_536)
                except ConnectionError:
                    self.lost = self.broken = True
                    return
                self.lost = not data
                for event in self._h2.receive_data(data):
                    self._told(event)
                self.flush()

    async def answer(self, stream: int) -> tuple[int, dict[str, Any]]:
        """Status and JSON body of an answer."""
        await self.until(lambda: stream in self.ended or stream in self.refused)
        return self.statuses[stream], json.loads(self.bodies[stream] or b"{}")

    def _told(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                headers = dict(event.headers)
                self.headers[event.stream_id] = headers
                self.statuses[event.stream_id] = int(headers[b":status"])
            case h2.events.DataReceived():
                self.bodies[event.stream_id] += event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.ended.add(event.stream_id)
            case h2.events.StreamReset():
                self.refused[event.stream_id] = int(event.error_code)
            case h2.events.ConnectionTerminated():
                self.goodbye = event.last_stream_id or 0, event.additional_data or b""
            case h2.events.RemoteSettingsChanged():
                changed = event.changed_settings.get(3)
                if changed is not None:
                    self.limits.append(changed.new_value)


@asynccontextmanager
async def connected(
    url: str, ca_file: object, *, certificate: tuple[bytes, str] | None = None
) -> AsyncIterator[Wire]:
    """A connection to a simulator, with its own certificate if there is one."""
    context = ssl.create_default_context(cafile=str(ca_file))
    context.set_alpn_protocols(["h2"])
    if certificate is not None:
        _load(context, *certificate)
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
    try:
        yield Wire(reader, writer, parts.netloc)
    finally:
        writer.transport.abort()


def _load(context: ssl.SSLContext, content: bytes, password: str) -> None:
    key, certificate, _ = pkcs12.load_key_and_certificates(content, password.encode())
    assert certificate is not None
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "client.pem"
        file.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        context.load_cert_chain(file)


def provider_token(credentials: Mapping[str, str], issued_at: float, **changes: object) -> str:
    """A token (ES256) of an APNs key; `changes` to its header and claims."""
    header = {"alg": "ES256", "kid": credentials["keyId"]}
    claims: dict[str, object] = {"iss": credentials["teamId"], "iat": int(issued_at)}
    for name, value in changes.items():
        (header if name in header else claims)[name] = value  # type: ignore[assignment]
    key = load_pem_private_key(credentials["privateKey"].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signed = _joined(header, claims)
    numbers = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return f"{signed.decode()}.{_text(b''.join(number.to_bytes(32, 'big') for number in numbers))}"


def assertion(account: Mapping[str, str], now: float, **changes: object) -> str:
    """A service account's assertion (RS256); `changes` to its header and claims."""
    header = {"alg": "RS256", "kid": account["private_key_id"], "typ": "JWT"}
    claims: dict[str, object] = {
        "iss": account["client_email"],
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": account["token_uri"],
        "iat": int(now),
        "exp": int(now) + 3600,
    }
    for name, value in changes.items():
        (header if name in header else claims)[name] = value  # type: ignore[assignment]
    key = load_pem_private_key(account["private_key"].encode(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    signed = _joined(header, claims)
    return f"{signed.decode()}.{_text(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))}"


def _joined(*parts: Mapping[str, object]) -> bytes:
    return ".".join(_text(json.dumps(part).encode()) for part in parts).encode()


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
