"""HTTP/1.1 as the vendors' gateways speak it, on aiohttp."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from aiohttp import web

from clarion.simulators.base import Peer, Received, Reply
from clarion.simulators.desk import Course, Desk, Ending
from clarion.simulators.http2 import MAX_BODY, reset
from clarion.simulators.receipts import ReceiptSender


async def serve(request: web.BaseRequest, path: str, desk: Desk, receipts: ReceiptSender) -> web.StreamResponse:
    """Answer one request.

    Args:
        request: as it came.
        path: without the simulator's own prefix.
        desk: takes it.
        receipts: makes the callbacks that follow.
    """
    body = await read_body(request)
    course = desk.take(_received(request, path, body))
    if course.delay:
        await asyncio.sleep(course.delay)
    if course.receipts_first:
        await receipts.deliver(course.receipts)
    elif course.receipts:
        receipts.send(course.receipts)
    if course.reply is not None and course.ending is Ending.TRICKLED:
        return await _trickle(request, course.reply, course.spread)
    if course.reply is None or course.ending is not Ending.ANSWERED:
        return await _break_off(request, course)
    answer = _response(course.reply)
    if course.farewell is not None:
        answer.force_close()
    return answer


async def read_body(request: web.BaseRequest, limit: int = MAX_BODY) -> bytes:
    """A whole body.

    Raises:
        web.HTTPRequestEntityTooLarge: it is longer than `limit` bytes.
    """
    parts: list[bytes] = []
    size = 0
    while part := await request.content.readany():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)
    return b"".join(parts)


def _received(request: web.BaseRequest, path: str, body: bytes) -> Received:
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for given, value in request.headers.items():
        name = given.lower()
        if name in headers:
            repeated.add(name)
        headers[name] = value
    return Received(
        request.method, path, request.rel_url.raw_query_string, headers, body, frozenset(repeated), Peer()
    )


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))


async def _trickle(request: web.BaseRequest, reply: Reply, seconds: float) -> web.StreamResponse:
    answer = web.StreamResponse(status=reply.status, headers=dict(reply.headers))
    answer.content_length = len(reply.body)
    await answer.prepare(request)
    for byte in reply.body:
        await answer.write(bytes((byte,)))
        await asyncio.sleep(seconds / len(reply.body))
    await answer.write_eof()
    return answer


async def _break_off(request: web.BaseRequest, course: Course) -> NoReturn:
    """End the request as a fault wants it, and wait for the end of the connection, which ends this too."""
    transport = request.transport
    if course.ending is Ending.RESET and transport is not None:
        reset(transport)
    elif course.ending is Ending.HALF and course.reply is not None and transport is not None:
        body = course.reply.body or b"{}"
        answer = web.StreamResponse(status=course.reply.status, headers=dict(course.reply.headers))
        answer.content_length = len(body)
        await answer.prepare(request)
        await answer.write(body[: len(body) // 2])
        transport.close()
    elif course.ending is Ending.OVERRUN and course.reply is not None and isinstance(transport, asyncio.Transport):
        lines = [f"HTTP/1.1 {course.reply.status} -", f"Content-Length: {len(course.reply.body) // 2}"]
        lines += [f"{name}: {value}" for name, value in course.reply.headers.items()]
        transport.write("\r\n".join((*lines, "", "")).encode() + course.reply.body)
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody sets it")
