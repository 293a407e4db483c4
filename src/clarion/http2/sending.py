"""The way out of a connection: frames under the peer's windows and frame size (RFC 9113, sections 4.2 and 5.2)."""

from __future__ import annotations

from clarion.http2.exchange import ProtocolError, Stream
from clarion.http2.frames import (
    DEFAULT_FRAME_SIZE,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    LARGEST_FRAME_SIZE,
    LARGEST_WINDOW,
    PREFACE,
    ErrorCode,
    FrameType,
    frame,
    pack_head,
)


class Outflow:
    """Frames that wait to be taken, and bodies that wait for the peer's windows.

    Attributes:
        out: the frames.
        window: how many bytes of bodies the peer takes on the whole connection.
        initial_window: how many it takes on a new stream.
    """

    __slots__ = ("_frame_size", "_stalled", "initial_window", "out", "window")

    def __init__(self) -> None:
        self.out: list[bytes] = [PREFACE]
        self.window = DEFAULT_WINDOW
        self.initial_window = DEFAULT_WINDOW
        self._frame_size = DEFAULT_FRAME_SIZE
        self._stalled: dict[int, Stream] = {}  # the longest waiting first

    @property
    def blocked(self) -> bool:
        """Whether the window of the connection keeps bodies back."""
        return bool(self._stalled) and self.window <= 0

    def begin(self, number: int, stream: Stream, block: bytes, body: bytes) -> None:
        """Send a request, or as much of it as may be sent now."""
        size, limit = len(body), self._frame_size
        if 0 < size <= limit and size <= self.window and size <= stream.window and len(block) <= limit:
            self.window -= size
            stream.window -= size
            self.out.append(
                b"%b%b%b%b"
                % (
                    pack_head(len(block) << 8 | 1, END_HEADERS, number),
                    block,
                    pack_head(size << 8, END_STREAM, number),
                    body,
                )
            )
            return
        self._send_block(number, block, ended=not body)
        if body:
            stream.unsent = memoryview(body)
            self._send_body(number, stream)

    def resume(self) -> None:
        """Send what the windows, which may be larger now, allow of the bodies that wait."""
        for number, stream in tuple(self._stalled.items()):
            self._send_body(number, stream)

    def forget(self, number: int) -> None:
        """Send no more of a stream."""
        self._stalled.pop(number, None)

    def enlarge(self, increment: int) -> None:
        """A WINDOW_UPDATE of the connection.

        Raises:
            ProtocolError: it is 0, or too much.
        """
        self.window += increment
        if not increment or self.window > LARGEST_WINDOW:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "a window of the connection beyond its bounds")

    def set_frame_size(self, size: int) -> None:
        """The peer's SETTINGS_MAX_FRAME_SIZE.

        Raises:
            ProtocolError: it is out of bounds.
        """
        if not DEFAULT_FRAME_SIZE <= size <= LARGEST_FRAME_SIZE:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, f"a frame size of {size}")
        self._frame_size = size

    def _send_block(self, number: int, block: bytes, *, ended: bool) -> None:
        limit = self._frame_size
        parts = [block[start : start + limit] for start in range(0, len(block), limit)]
        for index, part in enumerate(parts):
            flags = END_HEADERS if index == len(parts) - 1 else 0
            if index == 0 and ended:
                flags |= END_STREAM
            self.out.append(frame(FrameType.CONTINUATION if index else FrameType.HEADERS, flags, number, part))

    def _send_body(self, number: int, stream: Stream) -> None:
        unsent = stream.unsent
        while unsent:
            count = min(len(unsent), stream.window, self.window, self._frame_size)
            if count <= 0:
                stream.unsent = unsent
                self._stalled[number] = stream
                return
            part, unsent = unsent[:count], unsent[count:]
            stream.window -= count
            self.window -= count
            self.out.append(frame(FrameType.DATA, 0 if unsent else END_STREAM, number, bytes(part)))
        stream.unsent = None
        self.forget(number)
