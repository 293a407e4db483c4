"""HTTP/2 as the vendors' gateways speak it, on the library h2; deliberately not the core that sends.

A simulator that shared code with the sender would share its mistakes.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from clarion.simulators.base import LimitsStreams, Peer, Received, Reply
from clarion.simulators.desk import Course, Desk, Ending
from clarion.simulators.receipts import ReceiptSender

MAX_BODY = 8 << 20
MAX_HEADERS = 32_768
DEFAULT_STREAMS = 1_000
LINGER = 1.0
"""How long a connection is kept after its last answer when goodbye was said, so that nothing of that is lost, s."""

_WINDOW = 1 << 26


class _Framing(H2Connection):
    """h2 counts all streams whenever one is opened; here the host counts them, as the limit is its to carry out."""

    @property
    def open_inbound_streams(self) -> int:
        return 0

    def forget_closed_streams(self) -> None:
        self._open_streams(1)


class _Stream:
    """A request on its way in, or an answer on its way out."""

    __slots__ = ("body", "headers", "later", "pending")

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.headers = headers
        self.body: list[bytes] = []
        self.pending: memoryview | None = None
        self.later: asyncio.TimerHandle | None = None


class Http2Protocol(asyncio.Protocol):
    """One connection.

    Args:
        desk: takes its requests.
        receipts: makes the callbacks that follow.
        connections: it is among these while it is open.
    """

    def __init__(self, desk: Desk, receipts: ReceiptSender, connections: set[Http2Protocol]) -> None:
        self._desk = desk
        simulator = desk.simulator
        self._limiter = simulator if isinstance(simulator, LimitsStreams) else None
        self._receipts = receipts
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._framing = _Framing(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._transport: asyncio.Transport
        self._peer = Peer(http2=True)
        self._streams: dict[int, _Stream] = {}
        # Of streams: the one that holds, and those that the client has not confirmed yet.
        self._limits: deque[int] = deque()
        self._complete: list[int] = []
        self._read = 0
        self._handled = 0
        self._last: int | None = None  # highest stream that is answered, once goodbye was said
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            RequestReceived: self._begun,
            DataReceived: self._grown,
            StreamEnded: self._whole,
            StreamReset: self._given_up,
            WindowUpdated: self._window_opened,
            RemoteSettingsChanged: self._window_opened,
            SettingsAcknowledged: self._settings_confirmed,
            ConnectionTerminated: self._left,
        }

    # What the socket tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        session = transport.get_extra_info("ssl_object")
        self._peer.certificate = session.getpeercert(binary_form=True) if session is not None else None
        self._connections.add(self)
        limit = self._streams_allowed()
        self._limits.extend((limit, limit))  # it holds before the client confirms it
        self._framing.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: limit,
                SettingCodes.INITIAL_WINDOW_SIZE: MAX_BODY,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADERS,
            },
        )
        self._framing.initiate_connection()
        self._framing.increment_flow_control_window(_WINDOW)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._framing.receive_data(data):
                handler = self._handlers.get(type(event))
                if handler is not None:
                    handler(event)
        except ProtocolError:
            self._flush()
            self._transport.close()
            return
        # Not at once: what came in one piece was begun before anything of it was answered.
        for number in self._complete:
            if not self._transport.is_closing():
                self._serve(number)
        self._complete.clear()
        self._framing.forget_closed_streams()
        if self._read > _WINDOW // 2:
            self._framing.increment_flow_control_window(self._read)
            self._read = 0
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self._connections.discard(self)
        for stream in self._streams.values():
            if stream.later is not None:
                stream.later.cancel()
        self._streams.clear()

    # What the host asks for.

    def refresh_limit(self) -> None:
        """Tell the client how many streams it may have, if that has changed."""
        limit = self._streams_allowed()
        if limit != self._limits[-1]:
            self._limits.append(limit)
            self._framing.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: limit})
            self._flush()

    def close(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    # What the client says.

    def _begun(self, event: RequestReceived) -> None:
        stream = event.stream_id
        if self._last is not None and stream > self._last:
            return  # never processed: the client knows from our goodbye
        if len(self._streams) >= max(self._limits):
            self._framing.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            return
        self._streams[stream] = _Stream(event.headers)

    def _grown(self, event: DataReceived) -> None:
        self._read += event.flow_controlled_length
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.body.append(event.data)

    def _whole(self, event: StreamEnded) -> None:
        self._complete.append(event.stream_id)

    def _serve(self, number: int) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        course = self._desk.take(_received(stream, self._peer))
        if course.ending is not Ending.REFUSED:
            self._handled = max(self._handled, number)
        if course.farewell is not None:
            self._say_goodbye(course.farewell.body.encode())
        if course.delay:
            stream.later = self._loop.call_later(course.delay, self._end_later, number, course)
        else:
            self._end(number, course)
        self.refresh_limit()

    def _given_up(self, event: StreamReset) -> None:
        stream = self._streams.pop(event.stream_id, None)
        if stream is not None and stream.later is not None:
            stream.later.cancel()
        self._close_if_done()

    def _window_opened(self, _: Event) -> None:
        for number, stream in tuple(self._streams.items()):
            if stream.pending is not None:
                self._send_body(number, stream)

    def _settings_confirmed(self, _: SettingsAcknowledged) -> None:
        if len(self._limits) > 1:
            self._limits.popleft()

    def _left(self, _: ConnectionTerminated) -> None:
        self._flush()
        self._transport.close()

    # What it hears.

    def _end_later(self, number: int, course: Course) -> None:
        self._end(number, course)
        self._flush()

    def _end(self, number: int, course: Course) -> None:
        match course.ending:
            case Ending.ANSWERED if course.reply is not None:
                self._answer(number, course.reply)
            case Ending.HALF if course.reply is not None:
                self._answer(number, course.reply, whole=False)
                self._flush()
                self._transport.close()
            case Ending.OVERRUN if course.reply is not None:
                self._answer(number, course.reply, length=len(course.reply.body) // 2)
            case Ending.TRICKLED if course.reply is not None:
                self._head(number, course.reply, len(course.reply.body), end=False)
                self._trickle(number, course.reply.body, course.spread / max(1, len(course.reply.body)))
            case Ending.REFUSED:
                del self._streams[number]
                self._framing.reset_stream(number, ErrorCodes.REFUSED_STREAM)
            case Ending.RESET:
                reset(self._transport)
            case _:
                pass  # the stream stays open, until the client has had enough
        if course.receipts:
            self._receipts.send(course.receipts)

    def _answer(self, number: int, reply: Reply, *, whole: bool = True, length: int | None = None) -> None:
        empty = whole and not reply.body
        self._head(number, reply, len(reply.body) if length is None else length, end=empty)
        if empty:
            self._finish(number)
        elif whole:
            stream = self._streams[number]
            stream.pending = memoryview(reply.body)
            self._send_body(number, stream)
        elif reply.body:
            room = self._framing.local_flow_control_window(number)
            self._framing.send_data(number, reply.body[: min(len(reply.body) // 2, room, 16_384)])

    def _head(self, number: int, reply: Reply, length: int, *, end: bool) -> None:
        headers = [(b":status", b"%d" % reply.status)]
        headers += [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
        if reply.body:
            headers.append((b"content-length", b"%d" % length))
        self._framing.send_headers(number, headers, end_stream=end)

    def _trickle(self, number: int, rest: bytes, pause: float) -> None:
        """Send a byte, and the others one by one, with pauses between them; at least one pause in all."""
        stream = self._streams.get(number)
        if stream is None or self._transport.is_closing():
            return
        if stream.later is not None and len(rest) <= 1:
            self._framing.send_data(number, rest, end_stream=True)
            self._finish(number)
        else:
            self._framing.send_data(number, rest[:1])
            stream.later = self._loop.call_later(pause, self._trickle, number, rest[1:], pause)
        self._flush()

    def _send_body(self, number: int, stream: _Stream) -> None:
        """Send what the client has room for."""
        pending = cast(memoryview, stream.pending)
        while pending:
            room = min(self._framing.local_flow_control_window(number), self._framing.max_outbound_frame_size)
            if room <= 0:
                stream.pending = pending
                return
            self._framing.send_data(number, bytes(pending[:room]), end_stream=room >= len(pending))
            pending = pending[room:]
        self._finish(number)

    def _finish(self, number: int) -> None:
        del self._streams[number]
        self._close_if_done()

    def _say_goodbye(self, reason: bytes) -> None:
        """Say that streams up to the highest that was processed are answered, and none above it."""
        if self._last is not None:
            return
        self._last = self._handled
        for number in [number for number in self._streams if number > self._last]:
            del self._streams[number]
        # Not by h2, which takes a goodbye for the end of all talk.
        farewell = GoAwayFrame(0, last_stream_id=self._last, additional_data=reason)
        self._transport.write(self._framing.data_to_send() + farewell.serialize())

    def _close_if_done(self) -> None:
        if self._last is not None and not self._streams:
            self._loop.call_later(LINGER, self._transport.close)

    def _streams_allowed(self) -> int:
        return DEFAULT_STREAMS if self._limiter is None else self._limiter.streams(self._peer)

    def _flush(self) -> None:
        data = self._framing.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)


def reset(transport: asyncio.BaseTransport) -> None:
    """End a connection with a RST, without a word."""
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    cast(asyncio.Transport, transport).abort()


def _received(stream: _Stream, peer: Peer) -> Received:
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for raw, value in stream.headers:
        name = raw.decode("ascii", "replace")
        if name in headers:
            repeated.add(name)
        headers[name] = value.decode("utf-8", "replace")
    method = headers.pop(":method")
    path, _, query = headers.pop(":path", "").partition("?")
    headers.pop(":scheme", None)
    authority = headers.pop(":authority", None)
    if authority is not None:
        headers["host"] = authority
    if "%" in path:
        path = unquote(path)
    body = stream.body[0] if len(stream.body) == 1 else b"".join(stream.body)
    return Received(method, path, query, headers, body, frozenset(repeated), peer)
