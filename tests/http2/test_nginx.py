"""The pool against nginx, which says goodbye often; its log tells what it was asked for."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from clarion.http2.exchange import Fate
from clarion.http2.headers import HeaderSet, literal
from clarion.http2.pool import Request
from tests.http2.conftest import installed
from tests.http2.processes import Server, child
from tests.support.server import free_address
from tests.unit.http2.server import HOST

HEADERS = HeaderSet("push.example", [(b"authorization", b"bearer " + b"t" * 200)])
GOODBYE_EVERY = 50
CONFIGURATION = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    log_format path '$request_uri';
    access_log journal.txt path;
    client_body_temp_path temporary; proxy_temp_path temporary; fastcgi_temp_path temporary;
    uwsgi_temp_path temporary; scgi_temp_path temporary;
    server {{
        listen {host}:{port} ssl http2;
        ssl_certificate cert.pem; ssl_certificate_key key.pem;
        keepalive_requests {every}; http2_max_concurrent_streams 20; client_max_body_size 1k;
        location /ok/ {{ return 200; }}
        location /gone/ {{ return 410 '{{"reason":"Unregistered"}}'; }}
        location / {{ return 404; }}
    }}
}}
"""


@pytest.fixture
def nginx(folder: Path) -> Iterator[Server]:
    port = free_address().port
    (folder / "nginx.conf").write_text(CONFIGURATION.format(host=HOST, port=port, every=GOODBYE_EVERY))
    with child([installed("nginx"), "-p", str(folder), "-c", "nginx.conf"], port, folder) as server:
        yield server


def noted(server: Server) -> Counter[str]:
    return Counter((server.folder / "journal.txt").read_text("ascii").split())


def asked(kind: bytes, count: int) -> list[Request]:
    return [Request(HEADERS, b"/%b/%d" % (kind, number), b"x" * (number % 900)) for number in range(count)]


async def test_goodbyes_every_few_requests_lose_and_double_nothing(nginx: Server) -> None:
    async with nginx.pool() as pool:
        answers = await pool.send_all(asked(b"ok", 2_000))
        assert pool.opened >= 2_000 / GOODBYE_EVERY
    assert {(answer.fate, answer.status) for answer in answers} == {(Fate.ANSWERED, 200)}
    assert noted(nginx) == {f"/ok/{number}": 1 for number in range(2_000)}


async def test_a_reload_in_the_middle_loses_and_doubles_nothing(nginx: Server) -> None:
    async with nginx.pool() as pool:
        assert (await pool.send(Request(HEADERS, b"/ok/first", b"x"))).status == 200
        sending = asyncio.create_task(pool.send_all(asked(b"ok", 3_000)))
        for _ in range(3):
            nginx.process.send_signal(signal.SIGHUP)
            await asyncio.wait([sending], timeout=0.05)
        answers = await sending
    assert {(answer.fate, answer.status) for answer in answers} == {(Fate.ANSWERED, 200)}
    assert set(noted(nginx).values()) == {1}


async def test_errors_with_a_body(nginx: Server) -> None:
    async with nginx.pool() as pool:
        answers = await pool.send_all(asked(b"gone", 100))
    assert {(answer.status, answer.body) for answer in answers} == {(410, b'{"reason":"Unregistered"}')}


async def test_an_answer_before_the_body_is_whole(nginx: Server) -> None:
    async with nginx.pool(connections=1) as pool:
        length = literal(b"content-length", b"5000000")
        refused = await pool.send(Request(HEADERS, b"/ok/large", b"x" * 5_000_000, length))
        assert (refused.fate, refused.status) == (Fate.ANSWERED, 413)
        assert (await pool.send(Request(HEADERS, b"/ok/small", b"x"))).status == 200
