"""The frames of HTTP/2 as bytes (RFC 9113, sections 4 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = 9
"""Bytes of a frame's head."""
DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_SIZE = 16_384
LARGEST_FRAME_SIZE = (1 << 24) - 1
LARGEST_WINDOW = (1 << 31) - 1
LARGEST_STREAM = (1 << 31) - 1

_HEAD = Struct(">IBI")
"""Length and type in one number, flags, stream: `length << 8 | type`."""
_UINT32 = Struct(">I")
_SETTING = Struct(">HI")
_GOAWAY = Struct(">II")


class FrameType(IntEnum):
    """Types of frames that this client sends or takes."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY = 0x20


class Setting(IntEnum):
    """Settings (RFC 9113, section 6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    """Why a stream or a connection ended (RFC 9113, section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


def error_name(code: int) -> str:
    """The name of an error code, or its number."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code}"


pack_head = _HEAD.pack
"""`pack_head(length << 8 | type, flags, stream)`: the head of a frame."""
unpack_head = _HEAD.unpack_from
"""The inverse of `pack_head`, from a position of a buffer."""


def frame(kind: FrameType, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return pack_head(len(payload) << 8 | kind, flags, stream) + payload


def settings_frame(settings: Mapping[Setting, int]) -> bytes:
    """A SETTINGS frame."""
    payload = b"".join(_SETTING.pack(name, value) for name, value in settings.items())
    return frame(FrameType.SETTINGS, 0, 0, payload)


def window_frame(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(FrameType.WINDOW_UPDATE, 0, stream, _UINT32.pack(increment))


def reset_frame(stream: int, code: ErrorCode) -> bytes:
    """A RST_STREAM frame."""
    return frame(FrameType.RST_STREAM, 0, stream, _UINT32.pack(code))


def goaway_frame(last_stream: int, code: ErrorCode, text: bytes = b"") -> bytes:
    """A GOAWAY frame."""
    return frame(FrameType.GOAWAY, 0, 0, _GOAWAY.pack(last_stream, code) + text)


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """The settings in a SETTINGS frame, whose length is a multiple of 6."""
    return list(_SETTING.iter_unpack(payload))


def read_number(payload: bytes) -> int:
    """The 32-bit number that a RST_STREAM or WINDOW_UPDATE frame holds."""
    number: int = _UINT32.unpack(payload)[0]
    return number


def read_goaway(payload: bytes) -> tuple[int, int, bytes]:
    """Last stream, error code and text of a GOAWAY frame of at least 8 bytes."""
    last, code = _GOAWAY.unpack_from(payload)
    return last & LARGEST_STREAM, code, payload[8:]
