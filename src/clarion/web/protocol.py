"""A connection of the API port: uvicorn's protocol under limits of its own, with a short way for the RPC face.

uvicorn serves every path through ASGI. A request to `/`, the hot path, is gathered here instead and handed to the
RPC endpoint as a whole; its answer is one write. Pipelined requests that arrive meanwhile wait in uvicorn's queue.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from clarion.clock import Clock
from clarion.openapi.endpoint import RpcAnswer, RpcEndpoint, RpcRequest, check_head, merge_headers
from clarion.openapi.errors import GatewayError, GatewayFault
from clarion.openapi.parameters import MAX_BODY

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds on what clients may take.

    Attributes:
        connections: most open connections; further ones are closed at once.
        head_bytes: most bytes of a request line and headers (a GET has all parameters there).
        head_seconds: longest time from the first byte of a request, or the connection, to the end of its head.
        body_seconds: longest time for a body, and longest time without taking a byte of an answer.
        keep_alive_seconds: longest idle time between requests.
        pipelined: most requests that wait behind one that is being answered.
    """

    connections: int = 10_000
    head_bytes: int = 256 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 20.0
    keep_alive_seconds: int = 65
    pipelined: int = 16


class _RpcExchange:
    """A request to the RPC face; to uvicorn it is the request in hand, whatever comes next has to wait for it."""

    __slots__ = (
        "body_since",
        "disconnected",
        "keep_alive",
        "message_event",
        "parts",
        "request",
        "response_complete",
        "size",
        "task",
        "whole",
    )

    def __init__(self, request: RpcRequest, *, keep_alive: bool, now: float) -> None:
        self.request = request
        self.keep_alive = keep_alive
        self.body_since = now
        self.parts: list[bytes] = []
        self.size = 0
        self.whole = False
        self.task: asyncio.Task[None] | None = None
        self.response_complete = False
        self.disconnected = False
        self.message_event = _NO_EVENT


class _NoEvent:
    def set(self) -> None:
        """Nobody waits for the parts of a body."""


_NO_EVENT = _NoEvent()


class GuardedProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        config: uvicorn's settings, with the ASGI application.
        state: all connections and tasks of the server.
        rpc: answers `/`.
        limits: what the client may take.
        clock: for deadlines, which `check_deadlines` looks at.
    """

    def __init__(
        self, config: Config, state: ServerState, rpc: RpcEndpoint, limits: HttpLimits, clock: Clock
    ) -> None:
        super().__init__(config, state, {})
        self.access_log = False  # the endpoints log what they did
        self._rpc = rpc
        self._limits = limits
        self._clock = clock
        self._exchange: _RpcExchange | None = None
        self._head_since: float | None = None
        self._idle_since: float | None = None
        self._head_bytes = 0
        self._unsent = 0
        self._unsent_since = 0.0

    # The transport's side.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_since = self._clock.monotonic()
        if len(self.connections) > self._limits.connections:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes and not self.transport.is_closing():
                self.send_400_response("The request's head is too large.")

    def pause_writing(self) -> None:
        super().pause_writing()
        self.flow.pause_reading()  # who does not take answers may not ask for more

    def resume_writing(self) -> None:
        super().resume_writing()
        self.flow.resume_reading()

    def check_deadlines(self) -> None:
        """Cut the connection if something that has to come, or to be taken, is late."""
        now, limits = self._clock.monotonic(), self._limits
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif unsent and now - self._unsent_since > limits.body_seconds:
            self.transport.abort()
            return
        exchange = self._exchange
        if self._head_since is not None:
            if now - self._head_since > limits.head_seconds:
                self.transport.abort()
        elif exchange is not None and not exchange.whole:
            if now - exchange.body_since > limits.body_seconds:
                self._reject(exchange, GatewayError(GatewayFault.BODY_TIMEOUT, seconds=limits.body_seconds))
        elif self._idle_since is not None and now - self._idle_since > limits.keep_alive_seconds:
            # Not close(): a peer that does not read would keep a closing transport alive.
            self.transport.abort()

    # The parser's side.

    def on_message_begin(self) -> None:
        self._head_since = self._clock.monotonic()
        self._idle_since = None
        self._head_bytes = 0
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        self._head_since = None
        if self.parser.should_upgrade():
            # The parser stops here, and a body that follows would be lost; some clients ask for h2c unasked.
            self.send_400_response("This port does not upgrade connections: send the request without Upgrade.")
            return
        path, _, query = self.url.partition(b"?")
        in_hand: Any = self.cycle
        busy = in_hand is not None and not in_hand.response_complete
        if path != b"/" or busy or self.expect_100_continue:
            self._through_asgi()
            if len(self.pipeline) > self._limits.pipelined and not self.transport.is_closing():
                self.send_400_response("Too many requests wait for their answer.")
            return
        request = RpcRequest(
            self.parser.get_method().decode(),
            query.partition(b"#")[0],
            merge_headers(self.headers),
            client=self.client[0] if self.client else "",
        )
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        self._exchange = self.cycle = exchange = _RpcExchange(  # type: ignore[assignment]
            request, keep_alive=keep_alive, now=self._clock.monotonic()
        )
        try:
            check_head(request)
        except GatewayError as error:
            self._reject(exchange, error)

    def _through_asgi(self) -> None:
        # uvicorn makes the scope when a request begins; only now is it known that one is needed.
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        exchange = self._exchange
        if exchange is None or exchange.whole:
            super().on_body(body)
        elif not exchange.response_complete:
            exchange.parts.append(body)
            exchange.size += len(body)
            if exchange.size > MAX_BODY:
                self._reject(exchange, GatewayError(GatewayFault.BODY_TOO_LARGE, limit=MAX_BODY))

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is None or exchange.whole:
            super().on_message_complete()
        elif not exchange.response_complete:
            exchange.whole = True
            parts = exchange.parts
            exchange.request.body = parts[0] if len(parts) == 1 else b"".join(parts)
            exchange.task = self.loop.create_task(self._serve(exchange))
            self.tasks.add(exchange.task)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self._idle_since = self._clock.monotonic()

    # Answers of the RPC face.

    async def _serve(self, exchange: _RpcExchange) -> None:
        try:
            self._send(exchange, await self._rpc.answer(exchange.request))
        finally:
            if exchange.task is not None:
                self.tasks.discard(exchange.task)

    def _reject(self, exchange: _RpcExchange, error: GatewayError) -> None:
        # What is left of the request is not read, so the connection is of no further use.
        exchange.keep_alive = False
        self._send(exchange, self._rpc.reject(exchange.request, error))

    def _send(self, exchange: _RpcExchange, answer: RpcAnswer) -> None:
        exchange.response_complete = True
        self._exchange = None
        if exchange.disconnected or self.transport.is_closing():
            return
        head = _STATUS_LINES[answer.status] + b"".join([b"%b: %b\r\n" % header for header in answer.headers])
        end = b"\r\n" if exchange.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(head + end + (b"" if exchange.request.method == "HEAD" else answer.body))
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()
