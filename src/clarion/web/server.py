"""The HTTP server of the API port: uvicorn's protocol under our own limits and our own start and stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from clarion.clock import Clock

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_SWEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds on what clients may take.

    Attributes:
        connections: most open connections; further ones are closed at once.
        head_bytes: most bytes of a request line and headers (a GET has all parameters there).
        head_seconds: longest time from the first byte of a request, or the connection, to the end of its head.
        keep_alive_seconds: longest idle time between requests.
    """

    connections: int = 10_000
    head_bytes: int = 256 * 1024
    head_seconds: float = 10.0
    keep_alive_seconds: int = 65


class _GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a bound on the size of a request's head and on the time it takes."""

    def __init__(self, server: HttpServer) -> None:
        super().__init__(server.config, server.state, {})
        self.access_log = False  # the endpoints log what they did
        self._server = server
        self._head_since: float | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_since = self._server.clock.monotonic()
        if len(self.connections) > self._server.limits.connections:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self._server.limits.head_bytes:
                self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        self._head_since = self._server.clock.monotonic()
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_since = None
        super().on_headers_complete()

    def timeout_keep_alive_handler(self) -> None:
        # A peer that does not read would keep a closing transport alive.
        if not self.transport.is_closing():
            self.transport.abort()

    def check_deadline(self, now: float) -> None:
        """Cut the connection if its request's head is late."""
        if self._head_since is not None and now - self._head_since > self._server.limits.head_seconds:
            self.transport.abort()


class HttpServer:
    """Serves an ASGI application.

    Args:
        app: what answers.
        limits: what clients may take.
        clock: for the deadlines.
    """

    def __init__(self, app: AsgiApp, limits: HttpLimits, clock: Clock) -> None:
        self.limits = limits
        self.clock = clock
        self.state = ServerState()
        self.config = Config(
            app,
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=limits.keep_alive_seconds,
        )
        self.config.load()
        # Without a level of its own, uvicorn takes the root's 0 for "trace" and logs every connection.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._listener is None:
            raise RuntimeError("not started")
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self.state.connections)

    async def start(self, host: str, port: int, ssl: SSLContext | None = None) -> None:
        """Listen.

        Raises:
            OSError: the address is in use or not ours.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _GuardedProtocol(self), host, port, ssl=ssl, backlog=2048)
        self._sweeper = asyncio.create_task(self._sweep(), name="http-deadlines")

    async def close(self, drain_seconds: float) -> None:
        """Stop listening, let requests in hand finish, then cut what is left."""
        if self._listener is not None:
            self._listener.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self.state.connections):
            connection.shutdown()
        end = self.clock.monotonic() + drain_seconds
        # uvicorn's own state has no event to wait for
        while (self.state.tasks or self.state.connections) and self.clock.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for connection in list(self.state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        for task in list(self.state.tasks):
            task.cancel()
        if self._listener is not None:
            await self._listener.wait_closed()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self.clock.monotonic()
            for connection in list(self.state.connections):
                if isinstance(connection, _GuardedProtocol):
                    connection.check_deadline(now)
