"""The opening handshake of a WebSocket without I/O, for both sides (RFC 6455, section 4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from http import HTTPStatus

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD_END = b"\r\n\r\n"


class HandshakeRefused(Exception):
    """The request opens no WebSocket.

    Attributes:
        response: the whole HTTP answer to send before closing.
    """

    def __init__(self, status: HTTPStatus, text: str, headers: str = "") -> None:
        self.status = status
        self.response = plain_response(status, text, headers)
        super().__init__(f"{status.value} {text}")


class HandshakeFailed(Exception):
    """The server's answer opens no WebSocket (client's side)."""


def plain_response(status: HTTPStatus, text: str, headers: str = "") -> bytes:
    """A whole HTTP/1.1 answer of one line of text; `headers` are further lines, each ended by CRLF."""
    body = f"{text}\n".encode()
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
    ).encode() + body


def accept(head: bytes, path: str) -> bytes:
    """The 101 answer to a request for a WebSocket at `path`.

    Args:
        head: request line and headers, up to and with the empty line.
        path: the only path that is served; a query is allowed and ignored.

    Raises:
        HandshakeRefused: with the HTTP answer that says what to change.
    """
    lines = head[: -len(HEAD_END)].decode("latin-1").split("\r\n")
    method, target = _request_line(lines[0])
    headers = _headers(lines[1:])
    if target.partition("?")[0] != path:
        raise HandshakeRefused(HTTPStatus.NOT_FOUND, f"This port serves devices: open a WebSocket at {path}")
    if method != "GET":
        raise HandshakeRefused(HTTPStatus.METHOD_NOT_ALLOWED, "A WebSocket is opened with GET", "Allow: GET\r\n")
    if not (_lists(headers, "upgrade", "websocket") and _lists(headers, "connection", "upgrade")):
        raise _upgrade_required("This address speaks WebSocket (RFC 6455), not plain HTTP")
    if headers.get("sec-websocket-version") != "13":
        raise _upgrade_required("Only WebSocket version 13 is served")
    key = headers.get("sec-websocket-key", "")
    if not _is_key(key):
        raise HandshakeRefused(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key has to be 16 bytes in base64")
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept_key(key).encode() + HEAD_END
    )


def request(host: str, target: str, key: str) -> bytes:
    """The request that opens a WebSocket.

    Args:
        host: value of the Host header, with the port when it is not the scheme's own.
        target: path and query.
        key: 16 fresh random bytes in base64.
    """
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def check_response(head: bytes, key: str) -> None:
    """Check the server's answer to `request(…, key)`.

    Raises:
        HandshakeFailed: the answer is not a proper 101.
    """
    lines = head[: -len(HEAD_END)].decode("latin-1").split("\r\n")
    parts = lines[0].split(" ", 2)
    if len(parts) < 2 or parts[0] != "HTTP/1.1" or parts[1] != "101":
        raise HandshakeFailed(f"the server answered {lines[0][:80]!r}")
    try:
        headers = _headers(lines[1:])
    except HandshakeRefused:
        raise HandshakeFailed("the server's headers are malformed") from None
    if headers.get("sec-websocket-accept") != accept_key(key):
        raise HandshakeFailed("the server's Sec-WebSocket-Accept is wrong")


def accept_key(key: str) -> str:
    """The value of Sec-WebSocket-Accept that answers `key`."""
    # SHA-1 is what the standard prescribes; it protects nothing here.
    digest = hashlib.sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def _request_line(line: str) -> tuple[str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[2] != "HTTP/1.1":
        raise HandshakeRefused(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1 request")
    return parts[0], parts[1]


def _headers(lines: list[str]) -> Mapping[str, str]:
    """Header values by lower-case name; those of a repeated header are joined to one list."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise HandshakeRefused(HTTPStatus.BAD_REQUEST, "A header is malformed")
        name = name.lower()
        value = value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _lists(headers: Mapping[str, str], name: str, token: str) -> bool:
    return any(item.strip().lower() == token for item in headers.get(name, "").split(","))


def _upgrade_required(text: str) -> HandshakeRefused:
    headers = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    return HandshakeRefused(HTTPStatus.UPGRADE_REQUIRED, text, headers)


def _is_key(key: str) -> bool:
    try:
        return len(binascii.a2b_base64(key.encode("latin-1"), strict_mode=True)) == 16
    except binascii.Error:
        return False
