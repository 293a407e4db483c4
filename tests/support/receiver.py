"""A server that an app might have for callbacks, and that fails in every way it is told to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

CALL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call that arrived; names of headers are in lower case."""

    request: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        """The body."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it tells."""
        events: list[dict[str, Any]] = self.payload["events"]
        return events

    @property
    def ids(self) -> list[str]:
        """Ids of the events."""
        return [event["id"] for event in self.events]

    def verify(self, public_key: str) -> None:
        """Raise `InvalidSignature` unless the owner of the key signed it."""
        key = load_pem_public_key(public_key.encode())
        assert isinstance(key, rsa.RSAPublicKey)
        signed = self.headers["x-clarion-timestamp"].encode() + b"\n" + self.body
        key.verify(
            base64.b64decode(self.headers["x-clarion-signature"]), signed, padding.PKCS1v15(), hashes.SHA256()
        )


Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, body: bytes = b"", *headers: str) -> Reply:
    """Answer properly."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Text", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return reply


async def hang(writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await writer.wait_closed()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection by RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def close(writer: asyncio.StreamWriter) -> None:
    """Hang up without an answer."""
    writer.close()


async def nonsense(writer: asyncio.StreamWriter) -> None:
    """Answer something that is not HTTP."""
    writer.write(b"\x00\xff" * 100 + b"\r\n\r\n")
    await writer.drain()


async def slow_head(writer: asyncio.StreamWriter) -> None:
    """Begin an answer and never come to its end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    await writer.wait_closed()


async def slow_body(writer: asyncio.StreamWriter) -> None:
    """Answer 200, with a body that never comes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\na")
    await writer.wait_closed()


async def huge(writer: asyncio.StreamWriter) -> None:
    """Answer 200, with a body without end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(bytes(1 << 16))
        await writer.drain()


class Receiver:
    """Takes calls; `async with Receiver() as receiver`.

    Attributes:
        calls: all that arrived.
        replies: what to do with the next ones; afterwards all are taken.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[Call] = []
        self.replies: deque[Reply] = deque()
        self._tls = tls
        self._news = asyncio.Condition()
        self._server: asyncio.Server
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Where to call it."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/told?secret=1"

    @property
    def ids(self) -> list[str]:
        """Ids of all events, as they came."""
        return [identifier for call in self.calls for identifier in call.ids]

    async def called(self, count: int) -> list[Call]:
        """Wait for so many calls; all of them."""
        async with asyncio.timeout(CALL_SECONDS), self._news:
            await self._news.wait_for(lambda: len(self.calls) >= count)
        return self.calls

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    await self._take(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        async with self._news:
            self.calls.append(Call(request, headers, body))
            self._news.notify_all()
        reply = self.replies.popleft() if self.replies else answer(204)
        await reply(writer)
