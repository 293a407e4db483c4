"""Frames of the link protocol, version 1 (docs/link-protocol.md): JSON objects told apart by `type`."""

from __future__ import annotations

import hashlib
import hmac
from enum import Enum, IntEnum
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from clarion.link.backend import EventKind, VendorReport
from clarion.link.websocket import CloseCode

VERSION = 1
PATH = "/link"
MAX_ACKS = 100

Name = Annotated[str, Meta(min_length=1, max_length=128)]
MessageId = Annotated[str, Meta(max_length=16, pattern=r"^[0-9]+\Z")]
RequestId = Annotated[str, Meta(min_length=1, max_length=64)]
UserId = Annotated[str, Meta(max_length=256)]
F = TypeVar("F")
JsonValue = str | int | float | bool | list[object] | dict[str, object] | None


class LinkClose(IntEnum):
    """Close codes of the link's own (the range 4000 to 4999 is free for applications)."""

    REPLACED = 4000
    BAD_CREDENTIALS = 4001
    HELLO_TIMEOUT = 4002
    TOO_SLOW = 4003
    PROTOCOL_ERROR = 4004
    IDLE = 4005
    REFUSED = 4006


class Failure(Enum):
    """Why the server ends a connection: `(close code, code in the error frame or None for no frame)`."""

    REPLACED = LinkClose.REPLACED, None
    BAD_CREDENTIALS = LinkClose.BAD_CREDENTIALS, "BadCredentials"
    STALE_NONCE = LinkClose.BAD_CREDENTIALS, "StaleNonce"
    HELLO_TIMEOUT = LinkClose.HELLO_TIMEOUT, "HelloTimeout"
    TOO_SLOW = LinkClose.TOO_SLOW, None
    MALFORMED = LinkClose.PROTOCOL_ERROR, "MalformedFrame"
    OUT_OF_TURN = LinkClose.PROTOCOL_ERROR, "OutOfTurn"
    VERSION = LinkClose.PROTOCOL_ERROR, "UnsupportedVersion"
    IDLE = LinkClose.IDLE, None
    REFUSED = LinkClose.REFUSED, "Refused"
    BINARY = CloseCode.UNSUPPORTED_DATA, "BinaryFrame"
    INTERNAL = CloseCode.INTERNAL_ERROR, None

    def __init__(self, close_code: int, error_code: str | None) -> None:
        self.close_code = int(close_code)
        self.error_code = error_code


class _Frame(Struct, frozen=True, tag_field="type", tag=str.lower, rename="camel", kw_only=True):
    """Base of all frames."""


class Challenge(_Frame, frozen=True, kw_only=True):
    """Server: the first frame; `nonce` has to be signed."""

    v: int = VERSION
    nonce: str


class Hello(_Frame, frozen=True, kw_only=True):
    """Client: who it is. `heartbeat` is the wished heart-beat in seconds, `client` a name for the logs."""

    v: int
    app_id: Name
    workspace_id: Name
    token: Annotated[str, Meta(min_length=1, max_length=512)]
    nonce: Annotated[str, Meta(max_length=64)]
    sig: Annotated[str, Meta(max_length=64)]
    heartbeat: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    client: Annotated[str, Meta(max_length=128)] | None = None


class Welcome(_Frame, frozen=True, kw_only=True):
    """Server: the hello is good. `time` is the server's clock in ms, `heartbeat` the seconds to keep to."""

    v: int = VERSION
    session: str
    heartbeat: int
    time: int
    user_id: str | None


class Push(_Frame, frozen=True, kw_only=True):
    """Server: a message. `expire` is a time in ms; `task_id` names the push task."""

    id: str
    msg_key: str
    title: str = ""
    content: str = ""
    uri: str = ""
    action: int = 0
    silent: int = 0
    style: int = 0
    icon: str = ""
    image: str = ""
    channel_id: str = ""
    notify_type: str = ""
    expire: int = 0
    params: dict[str, JsonValue] = {}
    task_id: str = ""


class Revoke(_Frame, frozen=True, kw_only=True):
    """Server: withdraw the notification with this `msg_key`; `id` is the revocation's own, to be acknowledged."""

    id: str
    msg_key: str


class Ack(_Frame, frozen=True, kw_only=True):
    """Client: it has these messages; `id`, `ids` or both."""

    id: MessageId | None = None
    ids: Annotated[list[MessageId], Meta(max_length=MAX_ACKS)] = []

    def messages(self) -> list[int]:
        """The ids as numbers."""
        return [int(text) for text in ((self.id, *self.ids) if self.id else self.ids)]


class Event(_Frame, frozen=True, kw_only=True):
    """Client: what the user did with a message."""

    id: MessageId
    kind: EventKind


class Bind(_Frame, frozen=True, kw_only=True):
    """Client: bind the device to a user."""

    rid: RequestId
    user_id: UserId
    phone: Annotated[str, Meta(max_length=32)] | None = None


class Unbind(_Frame, frozen=True, kw_only=True):
    """Client: undo the binding."""

    rid: RequestId
    user_id: UserId


class Report(VendorReport, frozen=True, tag_field="type", tag="report", rename="camel", kw_only=True):
    """Client: the token of a vendor's SDK."""

    rid: RequestId


class Result(_Frame, frozen=True, kw_only=True):
    """Server: the answer to `bind`, `unbind` and `report`; codes of docs/errors.md."""

    rid: str
    code: str
    message: str


class Ping(_Frame, frozen=True, kw_only=True):
    """Client: still here."""


class Pong(_Frame, frozen=True, kw_only=True):
    """Server: the answer to `ping`."""


class Error(_Frame, frozen=True, kw_only=True):
    """Server: why the connection is about to be closed."""

    code: str
    message: str


ClientFrame = Hello | Ack | Event | Bind | Unbind | Report | Ping
ServerFrame = Challenge | Welcome | Push | Revoke | Result | Pong | Error


class _Head(Struct, frozen=True):
    type: str


def _tags(*frames: type[Struct]) -> frozenset[object]:
    return frozenset(frame.__struct_config__.tag for frame in frames)


_CLIENT_TAGS = _tags(Hello, Ack, Event, Bind, Unbind, Report, Ping)
_SERVER_TAGS = _tags(Challenge, Welcome, Push, Revoke, Result, Pong, Error)
_CLIENT_DECODER: msgspec.json.Decoder[ClientFrame] = msgspec.json.Decoder(ClientFrame)
_SERVER_DECODER: msgspec.json.Decoder[ServerFrame] = msgspec.json.Decoder(ServerFrame)
_HEAD_DECODER = msgspec.json.Decoder(_Head)
_ENCODER = msgspec.json.Encoder()


def decode_client_frame(payload: bytes) -> ClientFrame | None:
    """A frame from a device; None when its type is unknown (one of a later version).

    Raises:
        msgspec.MsgspecError: not JSON, or a field is missing, of a wrong type or over its limit.
        RecursionError: nested too deeply.
    """
    return _decode(_CLIENT_DECODER, _CLIENT_TAGS, payload)


def decode_server_frame(payload: bytes) -> ServerFrame | None:
    """A frame from the server; None when its type is unknown (one of a later version).

    Raises:
        msgspec.MsgspecError: the frame is malformed.
        RecursionError: nested too deeply.
    """
    return _decode(_SERVER_DECODER, _SERVER_TAGS, payload)


def _decode(decoder: msgspec.json.Decoder[F], tags: frozenset[object], payload: bytes) -> F | None:
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError:
        if _HEAD_DECODER.decode(payload).type in tags:
            raise
        return None


def encode(frame: ClientFrame | ServerFrame) -> bytes:
    """The JSON text of a frame."""
    return _ENCODER.encode(frame)


def sign_hello(secret: bytes, app_id: str, workspace_id: str, token: str, nonce: str) -> str:
    """The `sig` of a hello: hexadecimal HMAC-SHA256.

    Args:
        secret: the device secret, its text as UTF-8 bytes.
        app_id: as in the hello.
        workspace_id: as in the hello.
        token: as in the hello.
        nonce: as in the challenge.
    """
    text = "\n".join(("clarion-link-v1", app_id, workspace_id, token, nonce))
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def verify_hello(hello: Hello, secret: bytes) -> bool:
    """Whether the hello is signed with `secret` (constant time)."""
    expected = sign_hello(secret, hello.app_id, hello.workspace_id, hello.token, hello.nonce)
    return hmac.compare_digest(expected.encode(), hello.sig.encode())
