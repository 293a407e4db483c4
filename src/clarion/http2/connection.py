"""A connection with its socket: opening it (TLS, proxy), carrying bytes between it and the core, ending it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from clarion.http2.core import Http2Core
from clarion.http2.exchange import Completed, ProtocolError
from clarion.http2.headers import HeaderSet
from clarion.http2.origin import CannotConnect, Origin
from clarion.http2.proxy import open_through_proxy

GOODBYE_SECONDS = 1.0
"""How long a connection that this side closes waits for the peer to agree."""
_BUFFER_HIGH = 1 << 20  # no more requests
_BUFFER_MOST = 16 << 20  # a peer that makes us answer but does not read: end of the connection


class Connection(asyncio.Protocol):
    """An open connection.

    Args:
        on_completed: told of requests that ended, many at a time.
        on_change: told when there is more room, when the peer goes away, and at the end.

    Attributes:
        core: its state.
        gone: done when the socket is closed.
        heard_at: loop time at which the peer was last heard.
        pinged_at: loop time at which it was last asked for a sign of life.
        productive: whether the peer has answered anything.
        closed: why it ended; None while it is open.
    """

    def __init__(
        self, on_completed: Callable[[list[Completed]], None], on_change: Callable[[Connection], None]
    ) -> None:
        self.core = Http2Core()
        self.heard_at = self.pinged_at = 0.0
        self.productive = False
        self.closed: str | None = None
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._on_completed = on_completed
        self._on_change = on_change
        self._transport: asyncio.Transport | None = None
        self._flushing = False
        self._full = False
        self._greeted: asyncio.Future[None] = self._loop.create_future()

    @property
    def room(self) -> int:
        """How many requests may be begun now."""
        return 0 if self._full or self.closed is not None else self.core.room

    def request(self, headers: HeaderSet, path: bytes, body: bytes, tag: Any, own: bytes) -> int:
        """As `Http2Core.request`; it leaves with all others of this turn of the loop in one write."""
        stream = self.core.request(headers, path, body, tag, own)
        if not self._flushing:
            self.flush_soon()
        return stream

    def flush_soon(self) -> None:
        """Write what the core wants to send, at the end of this turn of the loop."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    async def greeted(self) -> None:
        """Wait for the peer's settings.

        Raises:
            CannotConnect: the connection ended before.
        """
        await self._greeted

    def abort(self, reason: str) -> None:
        """End the connection at once."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    def leave(self) -> None:
        """End the connection in good order; nothing should be under way any more."""
        if self.closed is None:
            self.core.leave()
            self._flush()
            self._end("closed by this side")
        if self._transport is not None:
            self._transport.close()
            # TLS waits for the peer's goodbye.
            self._loop.call_later(GOODBYE_SECONDS, self._transport.abort)

    # What the socket tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(_BUFFER_HIGH)
        self.heard_at = self._loop.time()
        self._flush()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        if self.closed is not None:
            return
        room, draining = self.core.room, self.core.draining
        try:
            completed = self.core.receive(data)
        except ProtocolError as error:
            self._flush()
            self.abort(f"the peer broke the protocol: {error}")
            return
        if self.core.greeted and not self._greeted.done():
            self._greeted.set_result(None)
        if completed:
            self.productive = self.productive or any(answer.status for _, answer in completed)
            self._on_completed(completed)
        if completed or self.core.draining is not draining or self.core.room != room:
            self._on_change(self)
        if self._full and self._transport is not None and self._transport.get_write_buffer_size() > _BUFFER_MOST:
            self.abort("the peer does not read what it is sent")
        self.flush_soon()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._on_change(self)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._end(str(error) if error else "closed by the peer")
        if not self.gone.done():
            self.gone.set_result(None)

    def _flush(self) -> None:
        self._flushing = False
        data = self.core.take()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _end(self, reason: str) -> None:
        if self.closed is not None:
            return
        self.closed = f"{reason} ({self.core.goaway})" if self.core.goaway else reason
        if not self._greeted.done():
            self._greeted.set_exception(CannotConnect(self.closed))
            self._greeted.exception()  # nobody has to wait for it
        completed = self.core.close(self.closed)
        if completed:
            self._on_completed(completed)
        self._on_change(self)


async def connect(
    origin: Origin,
    on_completed: Callable[[list[Completed]], None],
    on_change: Callable[[Connection], None],
    seconds: float,
) -> Connection:
    """Open a connection and wait until the peer has told its settings.

    Raises:
        CannotConnect: it did not come about within `seconds`.
    """
    connection: Connection | None = None
    try:
        async with asyncio.timeout(seconds):
            connection = await _open(origin, lambda: Connection(on_completed, on_change))
            await connection.greeted()
    except BaseException as error:
        if connection is not None:
            connection.abort("it did not come about")
        if isinstance(error, TimeoutError):
            raise CannotConnect(f"{origin} did not answer within {seconds:g} s") from None
        if isinstance(error, OSError):
            raise CannotConnect(f"{origin}: {error}") from error
        raise
    return connection


async def _open(origin: Origin, factory: Callable[[], Connection]) -> Connection:
    loop = asyncio.get_running_loop()
    transport: asyncio.BaseTransport
    if not origin.proxy:
        transport, connection = await loop.create_connection(factory, origin.host, origin.port, ssl=origin.tls)
    else:
        connection = factory()
        transport = await open_through_proxy(origin, connection)
    session = transport.get_extra_info("ssl_object")
    if session is not None and session.selected_alpn_protocol() != "h2":
        connection.abort("not HTTP/2")
        raise CannotConnect(f"{origin} does not speak HTTP/2")
    return connection
