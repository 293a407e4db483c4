"""Plain HTTP answers for everything beside the RPC face."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from clarion.web.server import Receive, Scope, Send

_encode = msgspec.json.Encoder().encode


class BodyTooLarge(Exception):
    """A request's body is over the limit."""


async def read_body(receive: Receive, limit: int, seconds: float) -> bytes:
    """The request's body.

    Raises:
        BodyTooLarge: it is over `limit` bytes.
        TimeoutError: it does not arrive within `seconds`.
        ConnectionError: the client went away.
    """
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(seconds):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError("the client closed the connection")
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise BodyTooLarge(f"the body is over {limit} bytes")
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)


async def answer(send: Send, status: int, body: bytes, content_type: bytes, *extra: tuple[bytes, bytes]) -> None:
    """Send a whole response."""
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answer_json(send: Send, status: int, value: Any) -> None:
    """Send `value` as JSON."""
    await answer(send, status, _encode(value), b"application/json;charset=utf-8")


async def refuse(send: Send, status: int, code: str, message: str) -> None:
    """Send an error: a word for programs and a sentence for people."""
    await answer_json(send, status, {"code": code, "message": message})


def header(scope: Scope, name: bytes) -> str:
    """The first header `name` (lower case), or an empty text."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""
