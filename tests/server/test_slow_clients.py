"""Clients that are slow, rude or lost: each is cut in time, and nobody else notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.sdk.cases import SIMPLE
from tests.support.client import Connection, form, request_bytes, sign
from tests.support.server import ServerProcess
from tests.support.tenants import Tenants

pytestmark = pytest.mark.real_process

DEADLINE = 3.0
"""The server's own deadline of 1 s, the second between its looks, and a second for a busy machine."""
HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """The block takes less than `seconds`."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@pytest.mark.parametrize(
    "data", [b"", b"POST", HEAD, HEAD + b"content-length: 5\r\n"], ids=["nothing", "word", "line", "half"]
)
async def test_head_that_does_not_end_is_cut(connection: Connection, data: bytes) -> None:
    await connection.send(data)
    async with within(DEADLINE):
        assert await connection.closed() == b""


async def test_head_that_drips_is_cut(connection: Connection) -> None:
    async def drip() -> None:
        await connection.send(HEAD)
        while True:
            await connection.send(b"x: y\r\n")
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    async with within(DEADLINE):
        await connection.closed()
    dripping.cancel()
    await asyncio.wait([dripping])


async def test_head_without_end_is_cut_at_its_limit(connection: Connection) -> None:
    line = b"x" + b"-y" * 5000 + b": z\r\n"
    await connection.send(HEAD)
    with pytest.raises(ConnectionError):
        await connection.send(line * 1600)  # 16 MB


async def test_huge_head_is_refused(connection: Connection) -> None:
    await connection.send(HEAD + b"x: " + b"y" * 300_000 + b"\r\n\r\n")
    answer = await connection.closed()
    assert answer.startswith(b"HTTP/1.1 400 ") or answer == b""


async def test_long_query_below_the_limit_is_read(connection: Connection, tenants: Tenants) -> None:
    parameters = sign(tenants.push, "PushSimple", {**SIMPLE, "Uri": "u" * 60_000}, method="GET")
    answer = await connection.request("GET", "/?" + form(parameters).decode())
    assert (answer.status, answer.code) == (200, "3050")


async def test_body_that_does_not_come_is_refused(connection: Connection) -> None:
    await connection.send(HEAD + b"content-length: 10\r\n\r\nhalf")
    async with within(DEADLINE):
        answer = await connection.answer()
        assert answer.status == 408
        assert await connection.closed() == b""


async def test_body_that_drips_is_refused(connection: Connection) -> None:
    async def drip() -> None:
        await connection.send(HEAD + b"content-length: 1000\r\n\r\n")
        while True:
            await connection.send(b"a")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    async with within(DEADLINE):
        assert (await connection.answer()).status == 408
    dripping.cancel()
    await asyncio.wait([dripping])


async def test_registration_body_that_does_not_come_is_refused(connection: Connection) -> None:
    await connection.send(b"POST /device/register HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
    async with within(DEADLINE):
        answer = await connection.answer()
        assert (answer.status, answer.code) == (408, "RequestTimeout")


async def test_body_to_a_path_that_reads_none_does_not_hold_the_connection(connection: Connection) -> None:
    await connection.send(b"POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
    assert (await connection.answer()).status == 200
    async with within(2 * DEADLINE):
        await connection.closed()


async def test_idle_connection_is_closed(connection: Connection) -> None:
    assert (await connection.request("GET", "/healthz")).status == 200
    async with within(2 + DEADLINE):
        assert await connection.closed() == b""


async def test_client_that_never_reads_is_cut(server: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        before = server.process.memory_info().rss
        stuck = [await stack.enter_async_context(Connection(server.api)) for _ in range(20)]
        for connection in stuck:
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            connection.writer.write(request_bytes(server.api, "GET", "/metrics") * 10)
        sending = [asyncio.create_task(_send_until_cut(server, connection)) for connection in stuck]
        async with Connection(server.api) as other, within(10):
            assert (await other.request("GET", "/healthz")).status == 200
        async with within(10 * DEADLINE):
            await asyncio.gather(*sending)
        assert server.process.memory_info().rss - before < 20 << 20


async def _send_until_cut(server: ServerProcess, connection: Connection) -> None:
    async def send() -> None:
        while True:
            await connection.send(request_bytes(server.api, "GET", "/metrics"))
            await asyncio.sleep(0.01)

    with pytest.raises(ConnectionError):
        await send()


async def test_too_many_pipelined_requests_are_refused(server: ServerProcess, connection: Connection) -> None:
    await connection.send(request_bytes(server.api, "GET", "/readyz") * 1000)
    assert b"HTTP/1.1 400 " in await connection.closed()


async def test_pipelined_requests_are_answered_in_order(
    server: ServerProcess, connection: Connection, tenants: Tenants
) -> None:
    push = form(sign(tenants.push, "PushSimple", SIMPLE))
    requests = [
        request_bytes(server.api, "POST", "/", push),
        request_bytes(server.api, "GET", "/healthz"),
        request_bytes(server.api, "POST", "/", push),
        request_bytes(server.api, "GET", "/nothing"),
    ]
    await connection.send(b"".join(requests))
    answers = [await connection.answer() for _ in requests]
    assert [answer.status for answer in answers] == [200, 200, 400, 404]
    assert answers[2].code == "SignatureNonceUsed"


async def test_connection_is_kept(connection: Connection) -> None:
    for _ in range(3):
        assert (await connection.request("GET", "/healthz")).status == 200


async def test_connection_header_close_is_heeded(connection: Connection) -> None:
    assert (await connection.request("GET", "/healthz", connection="close")).status == 200
    assert await connection.closed() == b""


async def test_content_length_that_is_too_short(connection: Connection, tenants: Tenants) -> None:
    body = form(sign(tenants.push, "PushSimple", SIMPLE))
    answer = await connection.post(body, content_length=str(len(body) - 30))
    assert answer.status == 400
    async with within(DEADLINE):
        await connection.closed()  # what follows is no request


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "5, 6", "99999999999999999999999999"])
async def test_content_length_that_is_none(connection: Connection, length: str) -> None:
    await connection.send(HEAD + f"content-length: {length}\r\n\r\nhello".encode())
    answer = await connection.closed()
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))


async def test_length_and_chunks_together_are_refused(connection: Connection) -> None:
    await connection.send(HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
    answer = await connection.closed()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


async def test_body_over_a_megabyte_is_refused_unread(connection: Connection) -> None:
    await connection.send(
        HEAD + b"content-length: 1048577\r\nx-acs-action: PushSimple\r\naccept: application/json\r\n\r\n"
    )
    answer = await connection.answer()
    assert (answer.status, answer.code) == (413, "RequestTooLarge")
    assert await connection.closed() == b""


async def test_chunks_over_a_megabyte_are_refused(connection: Connection) -> None:
    await connection.send(HEAD + b"transfer-encoding: chunked\r\naccept: application/json\r\n\r\n")
    chunk = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    for _ in range(17):
        await connection.send(chunk)
    answer = await connection.answer()
    assert (answer.status, answer.code) == (413, "RequestTooLarge")


async def test_body_of_a_megabyte_is_read(connection: Connection, tenants: Tenants) -> None:
    parameters = sign(tenants.push, "PushSimple", {**SIMPLE, "Content": "c" * 1_040_000})
    answer = await connection.post(form(parameters))
    assert (answer.status, answer.code) == (200, "3043")


async def test_chunked_body(connection: Connection, server: ServerProcess, tenants: Tenants) -> None:
    body = form(sign(tenants.push, "PushSimple", SIMPLE))
    chunks = [body[start : start + 100] for start in range(0, len(body), 100)]
    head = request_bytes(server.api, "POST", "/", b"x", content_length="")
    head = head.replace(b"content-length: \r\n", b"transfer-encoding: chunked\r\n")[:-1]
    await connection.send(head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n")
    assert (await connection.answer()).code == "OK"


async def test_too_many_connections(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", http_connections=5) as server:
        async with AsyncExitStack() as stack:
            opened = [await stack.enter_async_context(Connection(server.api)) for _ in range(5)]
            for one in opened:
                assert (await one.request("GET", "/healthz")).status == 200
            async with Connection(server.api) as sixth, within(DEADLINE):
                assert await sixth.closed() == b""
            assert (await opened[0].request("GET", "/healthz")).status == 200
        async with asyncio.timeout(5):
            while True:
                try:
                    async with Connection(server.api) as again:
                        assert (await again.request("GET", "/healthz")).status == 200
                    break
                except ConnectionError:
                    await asyncio.sleep(0.02)


async def test_an_upgrade_is_refused_rather_than_losing_the_body(connection: Connection) -> None:
    upgrade = b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 8\r\n\r\nFormat=X"
    await connection.send(b"POST / HTTP/1.1\r\nhost: x\r\n" + upgrade)
    answer = await connection.closed()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"does not upgrade" in answer
