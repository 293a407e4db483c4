"""The pool against hypercorn (Python, `h2` with an application behind it)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from clarion.http2.exchange import Fate
from clarion.http2.headers import HeaderSet, literal
from clarion.http2.pool import Request
from tests.http2.processes import Server

HEADERS = HeaderSet("push.example", [(b"authorization", b"bearer token")])


def noted(server: Server) -> Counter[str]:
    """How often the application was asked for each path."""
    return Counter((server.folder / "journal.txt").read_text("ascii").split())


def wait_for(server: Server, count: int) -> None:
    """Until the application was asked so many times."""
    deadline = time.monotonic() + 10
    while not (server.folder / "journal.txt").exists() or sum(noted(server).values()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_bodies_arrive_as_they_are(hypercorn: Server) -> None:
    sizes = [0, 1, 1000, 16_383, 16_384, 16_385, 40_000, 60_000]
    bodies = [bytes(range(256)) * (size // 256) + b"x" * (size % 256) for size in sizes]
    async with hypercorn.pool() as pool:
        answers = await pool.send_all([Request(HEADERS, b"/echo/%d" % n, body) for n, body in enumerate(bodies)])
        lengths = await pool.send_all([Request(HEADERS, b"/length/%d" % n, b"x" * n) for n in (70_000, 2_000_000)])
    assert [answer.status for answer in answers] == [200] * len(sizes)
    assert [answer.body for answer in answers] == bodies
    assert [answer.body for answer in lengths] == [b"70000", b"2000000"]


async def test_statuses_with_their_headers(hypercorn: Server) -> None:
    statuses = [200, 204, 400, 403, 410, 429, 500, 503] * 10
    async with hypercorn.pool() as pool:
        answers = await pool.send_all([
            Request(HEADERS, b"/status/%d/%d" % (status, number), b"{}", literal(b"apns-id", b"%d" % number))
            for number, status in enumerate(statuses)
        ])  # fmt: skip
    assert [answer.status for answer in answers] == statuses
    assert all((b"x-kind", b"status") in answer.headers for answer in answers if answer.status != 200)


async def test_goodbyes_in_the_middle_are_told_as_they_are(hypercorn: Server) -> None:
    """hypercorn drops what was under way at its goodbye; nothing of that is sent again as if it were new."""
    async with hypercorn.pool() as pool:
        answers = await pool.send_all([Request(HEADERS, b"/r/%d" % n, b"body") for n in range(4_000)])
        assert pool.opened > 2
    seen = noted(hypercorn)
    assert set(seen.values()) == {1}
    fates = Counter(answer.fate for answer in answers)
    assert fates[Fate.ANSWERED] > 2_000
    assert not fates.keys() - {Fate.ANSWERED, Fate.LOST, Fate.UNPROCESSED, Fate.RESET}
    for number, answer in enumerate(answers):
        if answer.fate is Fate.ANSWERED:
            assert seen[f"/r/{number}"] == 1
        elif answer.fate is Fate.UNPROCESSED:
            assert seen[f"/r/{number}"] == 0


async def test_a_server_that_is_killed(hypercorn: Server) -> None:
    async with hypercorn.pool(request_timeout=5.0) as pool:
        sending = asyncio.create_task(pool.send_all([Request(HEADERS, b"/never/%d" % n, b"b") for n in range(20)]))
        await asyncio.to_thread(wait_for, hypercorn, 20)
        hypercorn.process.kill()
        answers = await sending
        assert {answer.fate for answer in answers} == {Fate.LOST}
        assert pool.resent == 0
    assert set(noted(hypercorn).values()) == {1}
