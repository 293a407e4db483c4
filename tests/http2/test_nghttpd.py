"""The pool against nghttpd (of nghttp2) with windows, tables and padding of its own choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from clarion.http2.exchange import Fate
from clarion.http2.headers import HeaderSet, literal
from clarion.http2.pool import Request
from tests.http2.conftest import installed
from tests.http2.processes import Server, child
from tests.support.server import free_address
from tests.unit.http2.server import HOST

HEADERS = [HeaderSet("push.example", [(b"authorization", b"%d" % n + b"t" * 900)]) for n in range(6)]
Start = Callable[..., Server]


@pytest.fixture
def nghttpd(folder: Path) -> Iterator[Start]:
    """Starts a server with options; it sends back what it gets."""
    (folder / "ok").write_bytes(b"")

    @contextmanager
    def started(*options: str) -> Iterator[Server]:
        port = free_address().port
        command = [installed("nghttpd"), "-a", HOST, "-d", str(folder), "--echo-upload", *options]
        with child([*command, str(port), "key.pem", "cert.pem"], port, folder) as server:
            yield server

    with ExitStack() as running:

        def start(*options: str) -> Server:
            entered: AbstractContextManager[Server] = started(*options)
            return running.enter_context(entered)

        yield start


OPTIONS = {
    "plain": (),
    "one stream": ("-m", "1"),
    "small windows": ("-w", "5", "-W", "10"),
    "no table": ("-c", "0"),
    "small table": ("-c", "200"),
    "padding": ("-b", "255"),
    "trailers": ("--trailer", "foo: bar"),
    "early answers": ("--early-response",),
}


@pytest.mark.parametrize("name", OPTIONS)
async def test_what_is_sent_comes_back(nghttpd: Start, name: str) -> None:
    server = nghttpd(*OPTIONS[name])
    sizes = [1, 30, 31, 32, 200, 5_000, 16_384, 40_000] * 5
    sent = [
        Request(HEADERS[number % 6], b"/ok", b"%d" % number * (size // 2), literal(b"apns-id", b"%d" % number))
        for number, size in enumerate(sizes)
    ]
    async with server.pool() as pool:
        answers = await pool.send_all(sent)
    assert {(answer.fate, answer.status) for answer in answers} == {(Fate.ANSWERED, 200)}
    assert [answer.body for answer in answers] == [request.body for request in sent]


async def test_errors_have_their_bodies(nghttpd: Start) -> None:
    server = nghttpd("-b", "100")
    headers = HeaderSet("push.example", [], method="GET")
    async with server.pool() as pool:
        answers = await pool.send_all([Request(headers, b"/nothing", b"")] * 300)
    assert {answer.status for answer in answers} == {404}
    assert all(b"404" in answer.body for answer in answers)
