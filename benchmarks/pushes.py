"""Requests made beforehand, and a fast HTTP/1.1 client that sends them in a closed or an open loop."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import cast
from urllib.parse import urlencode

from benchmarks.figures import BenchmarkFailed
from benchmarks.server import APP_ID, HOST, WORKSPACE_ID, BenchServer
from clarion.cli.rpc_client import signed

ACCEPTED = b'"ResultCode":"OK"'
TITLE, CONTENT = "Your code", "验证码 4711, valid for ten minutes. Do not pass it on."
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_DEADLINE = 120.0


def push_request(server: BenchServer, delivery_type: int, target: str, msg_key: str) -> bytes:
    """A signed PushSimple as bytes on the wire."""
    business = {
        "AppId": APP_ID,
        "WorkspaceId": WORKSPACE_ID,
        "TaskName": "Python task",
        "ExpiredSeconds": "600",
        "DeliveryType": str(delivery_type),
        "Title": TITLE,
        "Content": CONTENT,
        "TargetMsgkey": json.dumps({target: msg_key}),
        "ExtendedParams": '{"key1": "value1"}',
        "PushAction": "0",
        "Uri": "http://www.example.com/a?b=c",
        "Silent": "0",
        "NotifyType": "notify",
    }
    return rpc_request(server, "PushSimple", business)


def rpc_request(server: BenchServer, action: str, business: Mapping[str, str]) -> bytes:
    """A signed request as bytes on the wire, as the Python SDK sends it (common parameters in the query)."""
    values = signed(server.key.key_id, server.key.secret.decode(), action, business, "POST")
    query = urlencode({name: value for name, value in values.items() if name not in business})
    body = urlencode(business).encode()
    head = (
        f"POST /?{query} HTTP/1.1\r\nHost: {HOST}:{server.api_port}\r\n"
        "User-Agent: AlibabaCloud (Linux;x86_64) Python/3.11.7 Core/2.16.1\r\nAccept-Encoding: identity\r\n"
        f"Accept: */*\r\nx-acs-action: {action}\r\nx-acs-version: 2019-08-21\r\nx-sdk-invoke-type: normal\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get_request(server: BenchServer, path: str) -> bytes:
    """A plain GET."""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}:{server.api_port}\r\nAccept: */*\r\n\r\n".encode()


class HttpConnection(asyncio.Protocol):
    """A keep-alive connection that carries one request at a time.

    Args:
        on_answer: called with the connection and the body of each answer.
        on_lost: called when the connection ends.
    """

    def __init__(self, on_answer: Callable[[HttpConnection, bytes], None], on_lost: Callable[[], None]) -> None:
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._received = b""
        self.since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, since: float) -> None:
        """Send a request that counts from `since`."""
        self.since = since
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if separator and length and len(body) >= int(length[1]):
            self._received = b""
            self._on_answer(self, body)

    def connection_lost(self, _: Exception | None) -> None:
        self._on_lost()

    def close(self) -> None:
        """End the connection."""
        self._transport.close()


class Load:
    """Sends requests over some connections; every one has to get the expected answer.

    Attributes:
        latencies: seconds of each answer, in the order of the answers.
        seconds: from the first request to the last answer.
    """

    def __init__(self, count: int, expected: bytes) -> None:
        self.latencies: list[float] = []
        self.seconds = 0.0
        self._count = count
        self._expected = expected
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, text: str) -> None:
        """Give up."""
        if not self._finished.done():
            self._finished.set_exception(BenchmarkFailed(text))

    def count(self, connection: HttpConnection, body: bytes) -> None:
        """Note an answer."""
        self.latencies.append(time.perf_counter() - connection.since)
        if self._expected not in body:
            self.fail(f"a request was refused: {body.decode(errors='replace')[:300]}")
        elif len(self.latencies) == self._count and not self._finished.done():
            self._finished.set_result(None)

    async def run(
        self,
        port: int,
        connections: int,
        on_answer: Callable[[HttpConnection, bytes], None],
        begin: Callable[[list[HttpConnection]], None],
    ) -> None:
        """Connect, `begin`, and wait for the last answer."""
        loop = asyncio.get_running_loop()
        opened = [
            (
                await loop.create_connection(
                    lambda: HttpConnection(on_answer, lambda: self.fail("the server closed a connection")),
                    HOST,
                    port,
                )
            )[1]
            for _ in range(connections)
        ]
        began = time.perf_counter()
        begin(opened)
        try:
            async with asyncio.timeout(_DEADLINE):
                await self._finished
        except TimeoutError:
            missing = self._count - len(self.latencies)
            raise BenchmarkFailed(f"{missing} requests got no answer in {_DEADLINE:.0f} s") from None
        finally:
            self.seconds = time.perf_counter() - began
            for connection in opened:
                connection.close()


async def closed_loop(port: int, requests: Sequence[bytes], connections: int, expected: bytes = ACCEPTED) -> Load:
    """Each connection sends its next request when it has its answer."""
    load = Load(len(requests), expected)
    source = iter(requests)

    def proceed(connection: HttpConnection) -> None:
        if (request := next(source, None)) is not None:
            connection.send(request, time.perf_counter())

    def on_answer(connection: HttpConnection, body: bytes) -> None:
        load.count(connection, body)
        proceed(connection)

    def begin(opened: list[HttpConnection]) -> None:
        for connection in opened:
            proceed(connection)

    await load.run(port, connections, on_answer, begin)
    return load


async def open_loop(
    port: int, requests: Sequence[tuple[float, bytes]], connections: int, expected: bytes = ACCEPTED
) -> Load:
    """Each request is due at its time (`perf_counter`), whether or not earlier ones are answered.

    One that finds no idle connection waits for one; its latency counts from the time at which it was due.
    """
    load = Load(len(requests), expected)
    loop = asyncio.get_running_loop()
    source = iter(requests)
    upcoming = next(source, None)
    idle: deque[HttpConnection] = deque()

    def send_due() -> None:
        nonlocal upcoming
        now = time.perf_counter()
        while upcoming is not None and upcoming[0] <= now:
            if not idle:
                return  # the next answer calls again
            due, request = upcoming
            idle.popleft().send(request, due)
            upcoming = next(source, None)

    def tick() -> None:
        send_due()
        if upcoming is not None:
            loop.call_later(max(0.001, upcoming[0] - time.perf_counter()), tick)

    def on_answer(connection: HttpConnection, body: bytes) -> None:
        load.count(connection, body)
        idle.append(connection)
        send_due()

    def begin(opened: list[HttpConnection]) -> None:
        idle.extend(opened)
        tick()

    await load.run(port, connections, on_answer, begin)
    return load
