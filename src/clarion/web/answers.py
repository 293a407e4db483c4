"""Plain HTTP answers for everything beside the RPC face."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from clarion.web.server import Receive, Scope, Send

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class BodyTooLarge(Exception):
    """A request's body is over the limit."""


class HttpRefusal(Exception):
    """A request that is turned down.

    Args:
        status: of the answer.
        code: a word for programs.
        message: a sentence for people.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(message)


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


async def read_json(receive: Receive, limit: int, seconds: float, decode: Callable[[bytes], T]) -> T:
    """The request's body, decoded.

    Raises:
        HttpRefusal: it is too large, too slow, or not what `decode` takes.
        ConnectionError: the client went away.
    """
    try:
        return decode(await read_body(receive, limit, seconds))
    except BodyTooLarge as error:
        raise HttpRefusal(413, "BodyTooLarge", str(error)) from None
    except TimeoutError:
        raise HttpRefusal(408, "RequestTimeout", "the body did not arrive in time") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpRefusal(400, "InvalidRequest", str(error)) from None


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
