"""The HTTP server of the API port: uvicorn's protocol under our own limits and our own start and stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from ssl import SSLContext
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from clarion.clock import Clock
from clarion.openapi.endpoint import RpcEndpoint
from clarion.web.protocol import GuardedProtocol, HttpLimits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_SWEEP_SECONDS = 1.0
_GRACE_SECONDS = 1.0  # an endpoint that waits for the body itself shall have time to say that it is late


class HttpServer:
    """Serves an ASGI application.

    Args:
        app: what answers.
        rpc: what answers `/`, past ASGI: a signed request costs a third less that way.
        limits: what clients may take.
        clock: for the deadlines.
    """

    def __init__(self, app: AsgiApp, rpc: RpcEndpoint, limits: HttpLimits, clock: Clock) -> None:
        self.limits = limits
        self._rpc = rpc
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
        self._listener = await loop.create_server(
            lambda: GuardedProtocol(self.config, self.state, self._rpc, self.limits, self.clock),
            host,
            port,
            ssl=ssl,
            ssl_handshake_timeout=self.limits.head_seconds if ssl is not None else None,
            backlog=2048,
        )
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
            for connection in list(self.state.connections):
                if isinstance(connection, GuardedProtocol):
                    connection.check_deadlines()
