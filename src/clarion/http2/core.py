"""One HTTP/2 connection from the client's side, without I/O: bytes in, answers out.

Built for many small requests. The usual answer, a HEADERS frame that begins with 200, is recognised by its bytes
alone; so that this is safe, the peer is told to keep no table for the headers of its answers
(SETTINGS_HEADER_TABLE_SIZE 0), which makes every block mean the same whatever came before.

What becomes of each request is one of the values of `exchange.Fate`, and never silently another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from hpack import Decoder

from clarion.http2.exchange import OK, Answer, Completed, Fate, ProtocolError, Stream
from clarion.http2.frames import (
    ACK,
    DEFAULT_FRAME_SIZE,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    HEAD,
    LARGEST_STREAM,
    LARGEST_WINDOW,
    ErrorCode,
    FrameType,
    Setting,
    error_name,
    frame,
    goaway_frame,
    read_goaway,
    read_number,
    read_settings,
    reset_frame,
    settings_frame,
    unpack_head,
    window_frame,
)
from clarion.http2.headers import HeaderEncoder, HeaderSet
from clarion.http2.reading import block_in, read_block, require_length, status_of, without_padding
from clarion.http2.sending import Outflow

MAX_BODY = DEFAULT_WINDOW
"""Most bytes of an answer's body: a stream's window, which is never enlarged."""
MAX_HEADERS = 32_768
"""Most bytes of an answer's headers, on the wire and decoded."""
UNANNOUNCED_STREAMS = 100
"""How many streams are used at once before the peer has said how many it takes."""
_OUR_SETTINGS: Mapping[Setting, int] = {
    Setting.HEADER_TABLE_SIZE: 0,
    Setting.ENABLE_PUSH: 0,
    Setting.MAX_HEADER_LIST_SIZE: MAX_HEADERS,
}
_HEADERS: Final = int(FrameType.HEADERS)
_STATUS_200: Final = 0x88
"""`:status: 200`, the eighth entry of the static table."""
_BLOCK_200: Final = bytes((_STATUS_200,))
_HEADERS_ALONE: Final = END_STREAM | END_HEADERS


class Http2Core:
    """The state of a connection.

    Call `request` while `room` is above 0, send what `take` gives, hand in what arrives to `receive`; its result,
    and that of `close`, tells the end of requests by their tags.

    Attributes:
        last_stream: the largest stream number in use.
        greeted: whether the peer's SETTINGS have arrived, so that `room` is its own word.
        draining: the peer or this side takes no more requests (GOAWAY, or no numbers left).
        goaway: the peer's GOAWAY as text for people, or an empty text.
        unanswered_pings: PINGs of this side that have had no answer.
    """

    def __init__(self) -> None:
        self.last_stream = -1
        self.draining = False
        self.goaway = ""
        self._outflow = Outflow()
        self._out = self._outflow.out
        self._out.append(settings_frame(_OUR_SETTINGS))
        self._rest = b""
        self._taken_stream = -1  # up to here requests have left this object
        self._encoder = HeaderEncoder()
        self._decoder = Decoder(max_header_list_size=MAX_HEADERS)
        self._decoder.max_allowed_table_size = 4096
        self._streams: dict[int, Stream] = {}
        self._most_streams = UNANNOUNCED_STREAMS
        self.greeted = False
        self._consumed = 0  # bytes of bodies that the peer has not been given back yet
        self._block: tuple[int, int, bytearray] | None = None  # headers that go on in CONTINUATION frames
        self._untold: list[Completed] = []  # what ended just before the peer broke the protocol
        self.unanswered_pings = 0

    @property
    def room(self) -> int:
        """How many requests may be begun now."""
        if self.draining or self._outflow.blocked:
            return 0
        return max(0, self._most_streams - len(self._streams))

    @property
    def active(self) -> int:
        """Requests under way."""
        return len(self._streams)

    def request(self, headers: HeaderSet, path: bytes, body: bytes, tag: Any, own: bytes = b"") -> int:
        """Begin a request; the number of its stream.

        Args:
            headers: what it shares with others.
            path: `:path`.
            body: its body; empty for none.
            tag: what its end is told with.
            own: further headers of its own, as `headers.literal` makes them.

        Raises:
            RuntimeError: there is no `room`.
        """
        if self.draining or len(self._streams) >= self._most_streams:
            raise RuntimeError("no room for another request on this connection")
        self.last_stream = stream = self.last_stream + 2
        if stream >= LARGEST_STREAM - 2:
            self.draining = True
        state = self._streams[stream] = Stream(tag, self._outflow.initial_window)
        self._outflow.begin(stream, state, self._encoder.encode(headers, path, own), body)
        return stream

    def oldest(self) -> tuple[int, Any] | None:
        """Stream and tag of the request that was begun first of those under way."""
        first = next(iter(self._streams.items()), None)
        return None if first is None else (first[0], first[1].tag)

    def cancel(self, stream: int) -> Completed | None:
        """Give a request up; None when it has ended already."""
        state = self._streams.pop(stream, None)
        if state is None:
            return None
        self._out.append(reset_frame(stream, ErrorCode.CANCEL))
        self._outflow.forget(stream)
        return state.tag, Answer(Fate.CANCELLED, detail="no answer in time")

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        self.unanswered_pings += 1
        self._out.append(frame(FrameType.PING, 0, 0, b"clarion!"))

    def take(self) -> bytes:
        """What is to be sent now; empty when there is nothing."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        self._taken_stream = self.last_stream
        return data

    def close(self, detail: str) -> list[Completed]:
        """The connection has ended, and all requests with it; what was not sent whole was not processed."""
        self.draining = True
        ended, self._untold = self._untold, []
        for stream, state in self._streams.items():
            whole = stream <= self._taken_stream and state.unsent is None
            ended.append((state.tag, Answer(Fate.LOST if whole else Fate.UNPROCESSED, detail=detail)))
        self._streams.clear()
        return ended

    def leave(self, code: ErrorCode = ErrorCode.NO_ERROR) -> None:
        """Say goodbye; the connection can be closed after the next `take`."""
        self.draining = True
        self._out.append(goaway_frame(0, code))

    def receive(self, data: bytes) -> list[Completed]:
        """Take what arrived; the requests that it ends.

        Raises:
            ProtocolError: after `take` sent the goodbye, close the connection, and tell `close` about it, which
                also knows the requests that ended before the fault.
        """
        ended: list[Completed] = []
        try:
            self._receive(data, ended)
        except ProtocolError as error:
            self._untold = ended
            self.leave(error.code)
            raise
        return ended

    def _receive(self, data: bytes, ended: list[Completed]) -> None:
        buffer = self._rest + data if self._rest else data
        position, end = 0, len(buffer)
        streams = self._streams
        usual = self.greeted and self._block is None
        while end - position >= HEAD:
            head, flags, stream = unpack_head(buffer, position)
            length = head >> 8
            if length > DEFAULT_FRAME_SIZE:
                raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            start = position + HEAD
            following = start + length
            if following > end:
                break
            position = following
            if (
                flags == _HEADERS_ALONE
                and head & 0xFF == _HEADERS
                and length
                and buffer[start] == _STATUS_200
                and usual
                and (state := streams.get(stream)) is not None
                and not state.status
                and state.unsent is None
            ):
                del streams[stream]
                ended.append((state.tag, OK))
            else:
                self._take_frame(head & 0xFF, flags, stream & LARGEST_STREAM, buffer[start:following], ended)
                usual = self._block is None
        self._rest = buffer[position:]

    def _take_frame(self, kind: int, flags: int, stream: int, payload: bytes, ended: list[Completed]) -> None:
        if not self.greeted and kind != FrameType.SETTINGS:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "the peer did not begin with its settings")
        if self._block is not None and (kind != FrameType.CONTINUATION or stream != self._block[0]):
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a block of headers was interrupted")
        take = self._TAKERS.get(kind)
        if take is not None:
            take(self, flags, stream, payload, ended)

    # Frames by type.

    def _on_headers(self, flags: int, stream: int, payload: bytes, ended: list[Completed]) -> None:
        self._require_own(stream)
        block = block_in(flags, payload)
        if flags & END_HEADERS:
            self._on_block(flags, stream, block, ended)
        else:
            self._block = stream, flags, bytearray(block)

    def _on_continuation(self, flags: int, stream: int, payload: bytes, ended: list[Completed]) -> None:
        if self._block is None:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        _, first_flags, block = self._block
        block += payload
        if len(block) > MAX_HEADERS or not (payload or flags & END_HEADERS):
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "headers without end")
        if flags & END_HEADERS:
            self._block = None
            self._on_block(first_flags, stream, bytes(block), ended)

    def _on_block(self, flags: int, stream: int, block: bytes, ended: list[Completed]) -> None:
        state = self._streams.get(stream)
        if state is not None and not state.status and block[:1] == _BLOCK_200:
            state.status = 200  # what else a 200 says in its headers is of no interest
        else:
            headers = read_block(self._decoder, block)
            if state is None:
                return  # it was given up, or reset, and the answer was on its way
            if not state.status:
                status = status_of(headers)
                if status is None:
                    self._fail(stream, state, "an answer without a status", ended)
                    return
                if status < 200:
                    if flags & END_STREAM:
                        self._fail(stream, state, "an interim answer that ends the stream", ended)
                    return
                state.status = status
                state.headers = tuple(header for header in headers if not header[0].startswith(b":"))
        if flags & END_STREAM:
            self._finish(stream, state, ended)

    def _on_data(self, flags: int, stream: int, payload: bytes, ended: list[Completed]) -> None:
        self._require_own(stream)
        self._consumed += len(payload)
        if self._consumed > DEFAULT_WINDOW:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window of the connection")
        if self._consumed > DEFAULT_WINDOW // 2:
            self._out.append(window_frame(0, self._consumed))
            self._consumed = 0
        state = self._streams.get(stream)
        if state is None:
            return
        if not state.status:
            self._fail(stream, state, "a body without headers", ended)
            return
        state.body += without_padding(flags, payload)
        if len(state.body) > MAX_BODY:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window of the stream")
        if flags & END_STREAM:
            self._finish(stream, state, ended)

    def _on_reset(self, _: int, stream: int, payload: bytes, ended: list[Completed]) -> None:
        require_length(payload, 4)
        self._require_own(stream)
        state = self._streams.pop(stream, None)
        if state is None:
            return
        self._outflow.forget(stream)
        code = read_number(payload)
        fate = Fate.UNPROCESSED if code == ErrorCode.REFUSED_STREAM else Fate.RESET
        ended.append((state.tag, Answer(fate, detail=f"the peer reset the stream: {error_name(code)}")))

    def _on_settings(self, flags: int, stream: int, payload: bytes, _: list[Completed]) -> None:
        if stream:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & ACK:
            require_length(payload, 0)
            return
        if len(payload) % 6:
            raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of an odd length")
        self.greeted = True
        for name, value in read_settings(payload):
            self._apply(name, value)
        self._out.append(frame(FrameType.SETTINGS, ACK, 0))
        self._outflow.resume()

    def _apply(self, name: int, value: int) -> None:
        if name == Setting.MAX_CONCURRENT_STREAMS:
            self._most_streams = value
        elif name == Setting.HEADER_TABLE_SIZE:
            self._encoder.resize(value)
        elif name == Setting.INITIAL_WINDOW_SIZE:
            if value > LARGEST_WINDOW:
                raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "an initial window over 2^31-1")
            change, self._outflow.initial_window = value - self._outflow.initial_window, value
            for state in self._streams.values():
                state.window += change
        elif name == Setting.MAX_FRAME_SIZE:
            self._outflow.set_frame_size(value)

    def _on_window(self, _: int, stream: int, payload: bytes, ended: list[Completed]) -> None:
        require_length(payload, 4)
        increment = read_number(payload) & LARGEST_STREAM
        if not stream:
            self._outflow.enlarge(increment)
        elif (state := self._streams.get(stream)) is not None:
            state.window += increment
            if not increment or state.window > LARGEST_WINDOW:
                self._fail(stream, state, "a window of the stream beyond its bounds", ended)
        else:
            self._require_own(stream)
        self._outflow.resume()

    def _on_ping(self, flags: int, stream: int, payload: bytes, _: list[Completed]) -> None:
        require_length(payload, 8)
        if stream:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if flags & ACK:
            self.unanswered_pings = 0
        else:
            self._out.append(frame(FrameType.PING, ACK, 0, payload))

    def _on_goaway(self, _: int, stream: int, payload: bytes, ended: list[Completed]) -> None:
        if stream or len(payload) < 8:
            raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY is malformed")
        last, code, text = read_goaway(payload)
        self.draining = True
        self.goaway = f"{error_name(code)} {text[:200].decode('ascii', 'replace')}".strip()
        for number in [number for number in self._streams if number > last]:
            state = self._streams.pop(number)
            self._outflow.forget(number)
            ended.append((state.tag, Answer(Fate.UNPROCESSED, detail=f"the peer went away: {self.goaway}")))

    def _on_push(self, *_: object) -> None:
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE was switched off")

    # Ends of requests.

    def _finish(self, stream: int, state: Stream, ended: list[Completed]) -> None:
        del self._streams[stream]
        if state.unsent is not None:
            # An answer before the request was whole; the rest of it is of no use.
            self._outflow.forget(stream)
            self._out.append(reset_frame(stream, ErrorCode.CANCEL))
        ended.append((state.tag, state.answer()))

    def _fail(self, stream: int, state: Stream, detail: str, ended: list[Completed]) -> None:
        del self._streams[stream]
        self._outflow.forget(stream)
        self._out.append(reset_frame(stream, ErrorCode.PROTOCOL_ERROR))
        ended.append((state.tag, Answer(Fate.RESET, detail=detail)))

    def _require_own(self, stream: int) -> None:
        if not stream & 1 or stream > self.last_stream:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, f"a frame for stream {stream}, which was never opened")

    # Who takes a frame; other types are passed over (RFC 9113, section 4.1).
    _TAKERS: ClassVar[Mapping[int, Callable[[Http2Core, int, int, bytes, list[Completed]], None]]] = {
        FrameType.DATA: _on_data,
        FrameType.HEADERS: _on_headers,
        FrameType.RST_STREAM: _on_reset,
        FrameType.SETTINGS: _on_settings,
        FrameType.PUSH_PROMISE: _on_push,
        FrameType.PING: _on_ping,
        FrameType.GOAWAY: _on_goaway,
        FrameType.WINDOW_UPDATE: _on_window,
        FrameType.CONTINUATION: _on_continuation,
    }
