"""Peers that mean no good: the listener goes on serving and keeps nothing of them."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from collections.abc import Callable

import pytest

from clarion.link import handshake
from clarion.link.client_connection import connect
from clarion.link.protocol import Challenge
from clarion.link.websocket import Opcode, masked_frame
from tests.link.conftest import Link, StartLink, until
from tests.unit.link.fakes import frame, hello

REQUEST = handshake.request("127.0.0.1", "/link", "dGhlIHNhbXBsZSBub25jZQ==")
MASK = b"abcd"


def random_bytes(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, 2_000))


def random_after_handshake(rng: random.Random) -> bytes:
    return REQUEST + rng.randbytes(rng.randrange(1, 20_000))


def half_a_request(rng: random.Random) -> bytes:
    return REQUEST[: rng.randrange(1, len(REQUEST))]


def half_a_frame(rng: random.Random) -> bytes:
    whole = masked_frame(Opcode.TEXT, hello() + b" " * 500, MASK)
    return REQUEST + whole[: rng.randrange(1, len(whole))]


def damaged_frames(rng: random.Random) -> bytes:
    data = bytearray(b"".join(masked_frame(Opcode.TEXT, frame(kind), MASK) for kind in ("ping", "ack", "later")))
    for _ in range(rng.randrange(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return REQUEST + bytes(data)


def endless_fragments(rng: random.Random) -> bytes:
    empty = masked_frame(Opcode.CONTINUATION, b"", MASK)
    piece = bytes((0x00,)) + empty[1:]
    return REQUEST + bytes((0x01,)) + empty[1:] + piece * rng.randrange(1, 250)


def many_pings(rng: random.Random) -> bytes:
    return REQUEST + masked_frame(Opcode.PING, b"x" * 125, MASK) * rng.randrange(1, 600)


async def attack(link: Link, data: bytes, rng: random.Random) -> None:
    """Send in pieces; then leave, half-close, or just stay until thrown out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        position = 0
        while position < len(data):
            step = rng.choice((1, 7, 300, 5_000))
            writer.write(data[position : position + step])
            await writer.drain()
            position += step
            if step == 1:
                await asyncio.sleep(0)
        ending = rng.randrange(3)
        if ending == 0:
            writer.transport.abort()
        elif ending == 1:
            writer.write_eof()
        async with asyncio.timeout(10):
            while await reader.read(65_536):
                pass
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()


async def still_serves(link: Link) -> None:
    connection = await connect(link.url, None)
    assert isinstance(await connection.receive(), Challenge)
    await connection.close()


@pytest.mark.parametrize(
    "make",
    [
        random_bytes,
        random_after_handshake,
        half_a_request,
        half_a_frame,
        damaged_frames,
        endless_fragments,
        many_pings,
    ],
)
async def test_attacks_leave_nothing_behind(
    start: StartLink, make: Callable[[random.Random], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    link = await start(hello_timeout=0.05, close_timeout=0.03)
    rng = random.Random(make.__name__)

    async def wave(count: int) -> int:
        await asyncio.gather(*(attack(link, make(rng), rng) for _ in range(count)))
        await until(lambda: link.server.connections == 0)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        await wave(6)
        before = await wave(6)
        after = await wave(12)
    finally:
        tracemalloc.stop()
    assert after - before < 12 * 1_000
    await still_serves(link)
    assert not link.server._tasks
    assert not link.server._addresses
    assert not caplog.records


async def test_slow_loris_does_not_keep_others_out(start: StartLink) -> None:
    link = await start(hello_timeout=0.1, connections=20)
    slow = [await asyncio.open_connection("127.0.0.1", link.port) for _ in range(20)]
    await until(lambda: link.server.connections == 20)

    async def trickle() -> None:
        while True:
            for _, writer in slow:
                if not writer.transport.is_closing():
                    writer.write(b"X")
            await asyncio.sleep(0.01)

    trickling = asyncio.create_task(trickle())
    await until(lambda: link.server.connections == 0)
    await still_serves(link)
    trickling.cancel()
    for _, writer in slow:
        writer.transport.abort()
