"""Reading pieces of what a peer sent, or refusing them."""

from __future__ import annotations

from hpack import Decoder, HPACKError

from clarion.http2.exchange import ProtocolError
from clarion.http2.frames import PADDED, PRIORITY, ErrorCode
from clarion.http2.headers import Header

_PRIORITY_BYTES = 5


def without_padding(flags: int, payload: bytes) -> bytes:
    """The payload of a HEADERS or DATA frame as it is without its padding."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def block_in(flags: int, payload: bytes) -> bytes:
    """What a HEADERS frame has of its block: all but padding and priority."""
    block = without_padding(flags, payload)
    if not flags & PRIORITY:
        return block
    if len(block) < _PRIORITY_BYTES:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
    return block[_PRIORITY_BYTES:]


def require_length(payload: bytes, length: int) -> None:
    """Refuse a frame of another length."""
    if len(payload) != length:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {len(payload)} bytes instead of {length}")


def read_block(decoder: Decoder, block: bytes) -> tuple[Header, ...]:
    """The headers of a whole block (RFC 7541)."""
    try:
        decoded = decoder.decode(block, raw=True)
    except (HPACKError, UnicodeDecodeError, ValueError) as error:
        raise ProtocolError(ErrorCode.COMPRESSION_ERROR, str(error)) from None
    return tuple((bytes(name), bytes(value)) for name, value in decoded)


def status_of(headers: tuple[Header, ...]) -> int | None:
    """The status of an answer, or None when there is not exactly one of three digits, 100 or more."""
    found = [value for name, value in headers if name == b":status"]
    if len(found) != 1 or len(found[0]) != 3 or not found[0].isdigit() or found[0][:1] == b"0":
        return None
    return int(found[0])
