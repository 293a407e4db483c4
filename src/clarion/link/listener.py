"""The device link on sockets: one asyncio protocol a connection, plain or TLS."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Coroutine
from http import HTTPStatus
from ssl import SSLContext
from typing import TYPE_CHECKING, cast

from clarion.clock import Clock, SystemClock
from clarion.link import handshake
from clarion.link.context import SessionContext
from clarion.link.limits import LinkLimits
from clarion.link.protocol import PATH, Failure
from clarion.link.session import Session
from clarion.link.websocket import (
    TEXT,
    CloseCode,
    FrameParser,
    Opcode,
    WebSocketError,
    close_payload,
    control_frame,
    parse_close,
)

if TYPE_CHECKING:
    from clarion.link.backend import LinkBackend
    from clarion.link.hub import Hub

_BACKLOG = 2048
_SWEEP_SLICE = 2000


class Connection(asyncio.Protocol):
    """One socket: HTTP head, then WebSocket frames for a `Session`. It is the session's transport.

    There is one of these for every device, so it holds no task, no timer and no buffer while nothing happens.
    """

    __slots__ = (
        "_address", "_closing", "_deadline", "_head", "_parser", "_server", "_session", "_transport", "send",
    )  # fmt: skip

    def __init__(self, server: LinkServer) -> None:
        self._server = server
        self._head = b""
        self._parser: FrameParser | None = None
        self._session: Session | None = None
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        limits = self._server.limits
        self._transport.set_write_buffer_limits(high=limits.buffer_high)
        self.send = self._transport.write
        self._deadline = self._server.clock.monotonic() + limits.hello_timeout
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if peer else ""
        if not self._server.admit(self, self._address):
            self._refuse(handshake.plain_response(
                HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections", "Retry-After: 30\r\n"
            ))  # fmt: skip

    def connection_lost(self, _: Exception | None) -> None:
        self._closing = True
        self._server.forget(self, self._address)
        if self._session is not None:
            self._session.on_lost()
            self._session = None  # no cycle is left for the garbage collector

    def data_received(self, data: bytes) -> None:
        session = self._session
        if session is None:
            if not self._closing:
                self._on_head(data)
            return
        session.on_bytes(self._server.clock.monotonic())
        parser = self._parser
        if parser is None:
            return
        try:
            for opcode, payload in parser.feed(data):
                if opcode == TEXT:
                    session.on_text(payload)
                else:
                    self._on_other(session, opcode, payload)
        except WebSocketError as error:
            self._parser = None
            session.end(error.code, error.reason)

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.on_full()

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.on_drained()

    def check_deadline(self, now: float) -> None:
        """Called by the listener's sweep."""
        session = self._session
        if self._closing:
            if now >= self._deadline:
                self._transport.abort()
        elif session is None:
            if now >= self._deadline:
                self._refuse(handshake.plain_response(HTTPStatus.REQUEST_TIMEOUT, "No request came in time"))
        elif now >= session.deadline or now >= session.stall_deadline:
            session.on_deadline(now)

    def leave(self) -> None:
        """The server is going away."""
        if self._session is not None:
            self._session.end(CloseCode.GOING_AWAY, "going away")
        elif not self._closing:
            self._refuse(handshake.plain_response(HTTPStatus.SERVICE_UNAVAILABLE, "Going away"))

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()

    # The session's transport; `send` is the socket's own write.

    def close(self, code: int, reason: str) -> None:
        if not self._closing:
            self._start_closing()
            self.send(control_frame(Opcode.CLOSE, close_payload(code, reason)))
            # The socket stays open for the peer's close frame: closing with unread bytes would reset
            # the connection, and the peer might never see the code.

    def buffered(self) -> int:
        return self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _on_head(self, data: bytes) -> None:
        head = self._head + data
        end = head.find(handshake.HEAD_END, max(0, len(self._head) - 3))
        limits = self._server.limits
        if end > limits.head or (end < 0 and len(head) > limits.head):
            text = f"The request is over {limits.head} bytes"
            self._refuse(handshake.plain_response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text))
            return
        if end < 0:
            self._head = head
            return
        end += len(handshake.HEAD_END)
        self._head = b""
        try:
            answer = handshake.accept(head[:end], PATH)
        except handshake.HandshakeRefused as refused:
            self._refuse(refused.response)
            return
        self._parser = FrameParser(masked=True, max_size=limits.message)
        self._session = Session(self._server.context, self)
        self.send(answer + self._session.challenge())
        if end < len(head):
            self.data_received(head[end:])

    def _on_other(self, session: Session, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.PING:
            if not self._closing:
                session.reply(control_frame(Opcode.PONG, payload))
        elif opcode == Opcode.BINARY:
            session.fail(Failure.BINARY, "frames are JSON texts")
        elif opcode == Opcode.CLOSE:
            code, _ = parse_close(payload)
            session.end(CloseCode.NORMAL if code == CloseCode.NO_STATUS else code, "")
            self._parser = None
            self._transport.close()

    def _refuse(self, response: bytes) -> None:
        self._start_closing()
        self.send(response)
        self._transport.close()

    def _start_closing(self) -> None:
        self._closing = True
        self._deadline = self._server.clock.monotonic() + self._server.limits.close_timeout


class LinkServer:
    """A listener and its connections; made by `serve`."""

    def __init__(self, hub: Hub, backend: LinkBackend, limits: LinkLimits, clock: Clock) -> None:
        self.limits = limits
        self.clock = clock
        self.context = SessionContext(backend, hub, limits, clock, nonce=_nonce, spawn=self._spawn)
        self._hub = hub
        self._connections: set[Connection] = set()
        self._addresses: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()

    @property
    def connections(self) -> int:
        """Open connections, with those that have not said hello."""
        return len(self._connections)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the listener is closed")
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int, ssl: SSLContext | None) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be used.
        """
        timeout = self.limits.hello_timeout if ssl is not None else None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self),
            host,
            port,
            ssl=ssl,
            ssl_handshake_timeout=timeout,
            ssl_shutdown_timeout=self.limits.close_timeout if ssl is not None else None,
            backlog=_BACKLOG,
        )
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self, drain: float = 0.0) -> None:
        """Stop listening and close all connections with 1001, spread over `drain` seconds.

        Devices have `close_timeout` to answer; what is open then is dropped.
        """
        if self._server is not None:
            self._server.close()
        await self._hub.close_all(over=drain)
        for connection in list(self._connections):
            connection.leave()
        if self._connections:
            self._empty.clear()
            try:
                await asyncio.wait_for(self._empty.wait(), self.limits.close_timeout)
            except TimeoutError:
                for connection in list(self._connections):
                    connection.abort()
                await asyncio.sleep(0)
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.limits.close_timeout)

    def admit(self, connection: Connection, address: str) -> bool:
        """Count a new connection; False when it is one too many."""
        self._connections.add(connection)
        self._addresses[address] += 1
        return (
            len(self._connections) <= self.limits.connections
            and self._addresses[address] <= self.limits.connections_per_address
        )

    def forget(self, connection: Connection, address: str) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]
        if not self._connections:
            self._empty.set()

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sweep(self) -> None:
        """Look at all deadlines now and then: one timer, however many connections there are."""
        while True:
            await asyncio.sleep(self.limits.sweep)
            for index, connection in enumerate(list(self._connections), 1):
                connection.check_deadline(self.clock.monotonic())
                if index % _SWEEP_SLICE == 0:
                    await asyncio.sleep(0)


def _nonce() -> str:
    return secrets.token_urlsafe(18)


async def serve(
    hub: Hub,
    backend: LinkBackend,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    ssl: SSLContext | None = None,
    limits: LinkLimits | None = None,
    clock: Clock | None = None,
) -> LinkServer:
    """Start the device link.

    Args:
        hub: where sessions are entered; the rest of the program delivers through it.
        backend: devices and their messages.
        host: address to listen on.
        port: port to listen on, 0 for a free one.
        ssl: server context for wss://. Use uvloop with it: asyncio's own TLS takes some 280 KB a connection.
        limits: limits, the defaults if None.
        clock: source of time, the machine's if None.

    Raises:
        OSError: the address cannot be used.
    """
    server = LinkServer(hub, backend, limits or LinkLimits(), clock or SystemClock())
    await server.start(host, port, ssl)
    return server
