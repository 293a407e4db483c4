"""WebSocket frames without I/O (RFC 6455, version 13, no extensions).

`FrameParser` turns received bytes into messages, the `*_frame` functions turn messages into bytes. The opening
handshake is in `clarion.link.handshake`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

MAX_CONTROL_PAYLOAD = 125
_MAX_REASON = MAX_CONTROL_PAYLOAD - 2


class Opcode(IntEnum):
    """Frame types (RFC 6455, section 5.2)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class CloseCode(IntEnum):
    """Close codes of the standard that the link uses (RFC 6455, section 7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005  # never on the wire: the peer's close frame was empty
    ABNORMAL = 1006  # never on the wire: the connection was lost
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011


class WebSocketError(Exception):
    """The peer broke the protocol; the connection has to be closed.

    Args:
        code: close code to send.
        reason: text for the close frame, at most 123 bytes.
    """

    def __init__(self, code: CloseCode, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code.value} {reason}")


Message = tuple[int, bytes]
"""Opcode of a whole message or control frame, and its payload; the payload of a text is checked UTF-8."""

TEXT = Opcode.TEXT.value
"""`Opcode.TEXT` as a plain number, for hot paths."""

_OPCODES = frozenset(Opcode)
_SHORT_FORMS = {126: (2, 126), 127: (8, 1 << 16)}  # length field → bytes that follow, least length they may hold


class FrameParser:
    """Splits a stream of bytes into messages, whatever pieces the bytes come in.

    Holds at most one frame that is not complete and one message that is not complete, each bounded by `max_size`.

    Args:
        masked: whether the peer's frames have to be masked (True on the server's side), or must not be.
        max_size: largest payload of a message in bytes, over all its fragments.
    """

    __slots__ = ("_fragments", "_masked", "_max_size", "_opcode", "_pending")

    def __init__(self, *, masked: bool, max_size: int) -> None:
        self._masked = 0x80 if masked else 0
        self._max_size = max_size
        self._pending = b""
        self._fragments = b""
        self._opcode = 0  # of the message whose fragments are being collected, 0 for none

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that `data` completes; the iterator has to be exhausted.

        Raises:
            WebSocketError: at the first offence, after the messages before it; feed nothing more then.
        """
        if self._pending:
            data = self._pending + data
        position = 0
        while (span := self._frame_at(data, position)) is not None:
            start, end = span
            first = data[position]
            payload = data[start:end]
            if self._masked:
                payload = apply_mask(payload, data[start - 4 : start])
            position = end
            if first == 0x81:  # a whole text: nearly every frame
                yield TEXT, _checked_text(payload)
            elif (message := self._collect(first, payload)) is not None:
                yield message
        self._pending = data[position:] if position else data

    def _frame_at(self, data: bytes, position: int) -> tuple[int, int] | None:
        """Start and end of the payload of the frame at `position`, or None while it is not complete."""
        available = len(data)
        if available - position < 2:
            return None
        first, second = data[position], data[position + 1]
        self._check_header(first, second)
        size = second & 0x7F
        start = position + 2
        if size > MAX_CONTROL_PAYLOAD:
            extra, least = _SHORT_FORMS[size]
            if available < start + extra:
                return None
            size = int.from_bytes(data[start : start + extra], "big")
            start += extra
            if size < least:
                raise WebSocketError(CloseCode.PROTOCOL_ERROR, "length not in its shortest form")
        if first & 0x08 == 0 and size + len(self._fragments) > self._max_size:
            raise WebSocketError(CloseCode.TOO_BIG, f"message over {self._max_size} bytes")
        if self._masked:
            start += 4
        end = start + size
        return (start, end) if end <= available else None

    def _check_header(self, first: int, second: int) -> None:
        if second & 0x80 != self._masked:
            wanted = "masked" if self._masked else "unmasked"
            raise WebSocketError(CloseCode.PROTOCOL_ERROR, f"frames have to be {wanted}")
        if first == 0x81 and not self._opcode:
            return
        opcode = first & 0x0F
        if first & 0x70:
            raise WebSocketError(CloseCode.PROTOCOL_ERROR, "reserved bits without an extension")
        if opcode not in _OPCODES:
            raise WebSocketError(CloseCode.PROTOCOL_ERROR, f"unknown opcode {opcode}")
        if opcode >= Opcode.CLOSE:
            if not first & 0x80 or second & 0x7F > MAX_CONTROL_PAYLOAD:
                raise WebSocketError(CloseCode.PROTOCOL_ERROR, "control frame fragmented or too long")
        elif (opcode == Opcode.CONTINUATION) != bool(self._opcode):
            raise WebSocketError(CloseCode.PROTOCOL_ERROR, "fragments out of order")

    def _collect(self, first: int, payload: bytes) -> Message | None:
        """The message that this frame completes, if any."""
        opcode = first & 0x0F
        if opcode >= Opcode.CLOSE:
            return opcode, payload
        self._opcode = opcode or self._opcode
        self._fragments += payload
        if not first & 0x80:
            return None
        message, opcode = self._fragments, self._opcode
        self._fragments, self._opcode = b"", 0
        return opcode, _checked_text(message) if opcode == Opcode.TEXT else message


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    """`payload` XOR the repeated 4-byte `mask` (its own inverse), as one operation on one large integer."""
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(pattern, "little")).to_bytes(size, "little")


def text_frame(payload: bytes) -> bytes:
    """A whole text message as an unmasked frame (server to client)."""
    return _header(0x80 | Opcode.TEXT, len(payload), 0) + payload


def control_frame(opcode: Opcode, payload: bytes = b"") -> bytes:
    """An unmasked control frame; `payload` of at most 125 bytes."""
    return _header(0x80 | opcode, len(payload), 0) + payload


def masked_frame(opcode: Opcode, payload: bytes, mask: bytes) -> bytes:
    """A whole message or control frame as clients send it; `mask` is 4 fresh random bytes."""
    return _header(0x80 | opcode, len(payload), 0x80) + mask + apply_mask(payload, mask)


def close_payload(code: int, reason: str = "") -> bytes:
    """Payload of a close frame; a reason over 123 bytes is cut on a character boundary."""
    text = reason.encode()[:_MAX_REASON].decode(errors="ignore").encode()
    return code.to_bytes(2, "big") + text


def parse_close(payload: bytes) -> tuple[int, str]:
    """Code and reason of a received close frame; 1005 when it is empty.

    Raises:
        WebSocketError: the payload is malformed or the code may not be sent (RFC 6455, section 7.4).
    """
    if not payload:
        return CloseCode.NO_STATUS, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not (1000 <= code <= 1014 or 3000 <= code <= 4999) or code in {1004, 1005, 1006}:
        raise WebSocketError(CloseCode.PROTOCOL_ERROR, "malformed close frame")
    return code, _checked_text(payload[2:]).decode()


def _header(first: int, size: int, mask_bit: int) -> bytes:
    if size <= MAX_CONTROL_PAYLOAD:
        return bytes((first, mask_bit | size))
    if size < 1 << 16:
        return bytes((first, mask_bit | 126)) + size.to_bytes(2, "big")
    return bytes((first, mask_bit | 127)) + size.to_bytes(8, "big")


def _checked_text(payload: bytes) -> bytes:
    if not payload.isascii():
        try:
            payload.decode()
        except UnicodeDecodeError:
            raise WebSocketError(CloseCode.INVALID_TEXT, "text is not UTF-8") from None
    return payload
