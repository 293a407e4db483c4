"""One connection of the reference client: WebSocket, hello, frames, heart-beat."""

from __future__ import annotations

import asyncio
import base64
import secrets
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from urllib.parse import SplitResult, urlsplit

import msgspec

from clarion.link import handshake
from clarion.link.protocol import ClientFrame, Ping, ServerFrame, decode_server_frame, encode
from clarion.link.websocket import (
    CloseCode,
    FrameParser,
    Opcode,
    WebSocketError,
    close_payload,
    masked_frame,
    parse_close,
)

MAX_MESSAGE = 256 * 1024
_MAX_HEAD = 16 * 1024
_READ = 64 * 1024
_CONNECT_TIMEOUT, _LEAVE_TIMEOUT = 15.0, 2.0
_DEFAULT_PORTS = {"ws": 80, "wss": 443}


class ConnectionEnded(Exception):
    """The connection is over.

    Attributes:
        code: close code; 1006 when the connection was lost or never came about.
        reason: the server's reason, or what went wrong.
    """

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code} {reason}")


class ClientConnection:
    """A WebSocket to the device link; made by `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = FrameParser(masked=False, max_size=MAX_MESSAGE)
        self._frames: deque[ServerFrame] = deque()
        self._ended: ConnectionEnded | None = None
        self._reads = 0

    async def receive(self) -> ServerFrame:
        """The next frame from the server; frames of unknown types are passed over.

        Raises:
            ConnectionEnded: no more will come.
        """
        while not self._frames:
            if self._ended is not None:
                raise self._ended
            try:
                data = await self._reader.read(_READ)
            except OSError as error:
                data, self._ended = b"", ConnectionEnded(CloseCode.ABNORMAL, str(error))
            self._take(data)
        return self._frames.popleft()

    def send(self, frame: ClientFrame) -> None:
        """Send a frame; on a connection that is over nothing happens."""
        self._write(Opcode.TEXT, encode(frame))

    def abort(self, reason: str) -> None:
        """Give the connection up; `receive` ends with 1006 and `reason`."""
        self._ended = self._ended or ConnectionEnded(CloseCode.ABNORMAL, reason)
        self._writer.transport.abort()

    async def close(self) -> None:
        """Take leave: send a close frame, wait a moment for the server's, close the socket."""
        try:
            async with asyncio.timeout(_LEAVE_TIMEOUT):
                if self._ended is None:
                    self._write(Opcode.CLOSE, close_payload(CloseCode.NORMAL))
                while self._ended is None:
                    self._take(await self._reader.read(_READ))
                self._writer.close()
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    async def keep_alive(
        self, heartbeat: float, patience: float, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """Ping every `heartbeat` seconds; give the connection up when `patience` seconds bring no answer."""
        patience = min(patience, heartbeat / 2)
        while True:
            await sleep(heartbeat - patience)
            reads = self._reads
            self.send(Ping())
            await sleep(patience)
            if self._reads == reads:
                self.abort("the server does not answer")
                return

    def _take(self, data: bytes) -> None:
        if not data:
            self._ended = self._ended or ConnectionEnded(CloseCode.ABNORMAL, "the connection was lost")
            return
        self._reads += 1
        try:
            for opcode, payload in self._parser.feed(data):
                self._on_message(opcode, payload)
        except (WebSocketError, msgspec.MsgspecError, RecursionError) as error:
            code = error.code if isinstance(error, WebSocketError) else CloseCode.POLICY_VIOLATION
            self._write(Opcode.CLOSE, close_payload(code, str(error)))
            self._ended = ConnectionEnded(code, f"the server broke the protocol: {error}")

    def _on_message(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.TEXT:
            frame = decode_server_frame(payload)
            if frame is not None:
                self._frames.append(frame)
        elif opcode == Opcode.PING:
            self._write(Opcode.PONG, payload)
        elif opcode == Opcode.CLOSE and self._ended is None:
            code, reason = parse_close(payload)
            self._write(Opcode.CLOSE, payload[:2])
            self._ended = ConnectionEnded(code, reason)

    def _write(self, opcode: Opcode, payload: bytes) -> None:
        if self._ended is None and not self._writer.is_closing():
            self._writer.write(masked_frame(opcode, payload, secrets.token_bytes(4)))


def split_url(url: str) -> SplitResult:
    """The parts of a WebSocket address.

    Raises:
        ValueError: the address is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or parts.hostname is None:
        raise ValueError(f"not a WebSocket address: {url!r}")
    return parts


async def connect(url: str, context: ssl.SSLContext | None) -> ClientConnection:
    """Open a WebSocket.

    Args:
        url: `ws://host:port/link` or `wss://…`.
        context: TLS settings for wss, the system's if None.

    Raises:
        ConnectionEnded: it cannot be opened (1006).
        ValueError: the address is none.
    """
    parts = split_url(url)
    secure = (context or ssl.create_default_context()) if parts.scheme == "wss" else None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme], ssl=secure, limit=_MAX_HEAD
            )
            writer.write(handshake.request(parts.netloc.rpartition("@")[2], target, key))
            head = await reader.readuntil(handshake.HEAD_END)
            handshake.check_response(head, key)
    except (
        OSError,
        TimeoutError,
        asyncio.IncompleteReadError,
        asyncio.LimitOverrunError,
        handshake.HandshakeFailed,
    ) as error:
        _abort(writer)
        raise ConnectionEnded(CloseCode.ABNORMAL, str(error) or "no connection in time") from None
    except asyncio.CancelledError:
        _abort(writer)
        raise
    return ClientConnection(reader, writer)


def _abort(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None:
        writer.transport.abort()
