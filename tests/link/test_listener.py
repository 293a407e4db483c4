from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import msgspec
import pytest

from clarion.link import handshake
from clarion.link.client_connection import ClientConnection, ConnectionEnded, connect
from clarion.link.protocol import Ack, Challenge, Error, Hello, Ping, Pong, Push, ServerFrame, Welcome
from clarion.link.protocol import sign_hello as sign
from clarion.link.websocket import FrameParser, Opcode, close_payload, masked_frame, parse_close, text_frame
from tests.link.conftest import Link, StartLink, until
from tests.unit.link.fakes import SECRET, push

REQUEST = handshake.request("127.0.0.1", "/link", "dGhlIHNhbXBsZSBub25jZQ==")
MASK = b"abcd"


def hello(nonce: str, token: str = "7", secret: bytes = SECRET) -> Hello:
    sig = sign(secret, "app", "ws", token, nonce)
    return Hello(v=1, app_id="app", workspace_id="ws", token=token, nonce=nonce, sig=sig)


async def challenged(link: Link, trusting: ssl.SSLContext | None = None) -> tuple[ClientConnection, str]:
    connection = await connect(link.url, trusting)
    challenge = await connection.receive()
    assert isinstance(challenge, Challenge)
    return connection, challenge.nonce


async def welcomed(link: Link, token: str = "7") -> ClientConnection:
    connection, nonce = await challenged(link)
    connection.send(hello(nonce, token))
    assert isinstance(await connection.receive(), Welcome)
    return connection


def tls(certificate: tuple[Path, Path]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Settings of a server with this certificate, and of a client that trusts it."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    return serving, ssl.create_default_context(cafile=certificate[0])


async def pushes(connection: ClientConnection, count: int) -> list[int]:
    received: list[int] = []
    async with asyncio.timeout(10):
        while len(received) < count:
            frame = await connection.receive()
            assert isinstance(frame, Push)
            received.append(int(frame.id))
    return received


async def the_end(connection: ClientConnection) -> tuple[list[ServerFrame], ConnectionEnded]:
    """What still comes, and how it ends."""
    frames = []
    try:
        async with asyncio.timeout(10):
            while True:
                frames.append(await connection.receive())
    except ConnectionEnded as end:
        await connection.close()
        return frames, end


async def exchange(link: Link, data: bytes) -> bytes:
    """What the listener answers to these bytes until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(data)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


async def closing_code(link: Link, data: bytes) -> int:
    """The close code that these bytes, sent after the handshake, bring about."""
    head, _, stream = (await exchange(link, REQUEST + data)).partition(handshake.HEAD_END)
    assert head.startswith(b"HTTP/1.1 101 ")
    messages = list(FrameParser(masked=False, max_size=1 << 20).feed(stream))
    assert messages[-1][0] == Opcode.CLOSE
    return parse_close(messages[-1][1])[0]


async def test_a_device_says_hello_and_gets_its_messages(start: StartLink) -> None:
    link = await start()
    link.backend.put(7, 3, 1, 2)
    connection = await welcomed(link)
    assert await pushes(connection, 3) == [1, 2, 3]
    link.backend.put(7, 4)
    assert link.hub.deliver(7, 4, push(4))
    assert await pushes(connection, 1) == [4]
    connection.send(Ack(ids=["1", "2", "3", "4"]))
    await until(lambda: link.backend.waiting[7] == {})
    connection.send(Ping())
    assert isinstance(await connection.receive(), Pong)
    await connection.close()
    await until(lambda: link.server.connections == 0)
    assert not link.hub.online(7)


async def test_the_challenge_comes_with_the_answer_to_the_handshake(start: StartLink) -> None:
    link = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(REQUEST)
    first = await reader.read(4096)
    ((opcode, payload),) = FrameParser(masked=False, max_size=1000).feed(first.partition(handshake.HEAD_END)[2])
    assert opcode == Opcode.TEXT
    assert msgspec.json.decode(payload)["type"] == "challenge"
    writer.close()


async def test_each_connection_has_its_own_nonce(start: StartLink) -> None:
    link = await start()
    first, nonce = await challenged(link)
    second, other = await challenged(link)
    assert nonce != other
    second.send(hello(nonce))  # replayed
    frames, end = await the_end(second)
    assert [frame.code for frame in frames if isinstance(frame, Error)] == ["StaleNonce"]
    assert end.code == 4001
    await first.close()


async def test_a_wrong_signature_is_refused(start: StartLink) -> None:
    link = await start()
    connection, nonce = await challenged(link)
    connection.send(hello(nonce, secret=b"wrong"))
    _, end = await the_end(connection)
    assert end.code == 4001
    assert link.hub.count == 0


async def test_a_newer_connection_replaces_the_older_one(start: StartLink) -> None:
    link = await start()
    older = await welcomed(link)
    newer = await welcomed(link)
    assert (await the_end(older))[1].code == 4000
    await until(lambda: link.server.connections == 1)
    link.backend.put(7, 1)
    assert link.hub.deliver(7, 1, push(1))
    assert await pushes(newer, 1) == [1]
    await newer.close()


@pytest.mark.parametrize("secure", [False, True])
async def test_a_slow_device_is_cut_and_finds_its_messages_later(
    start: StartLink, certificate: tuple[Path, Path], *, secure: bool
) -> None:
    serving, trusting = tls(certificate) if secure else (None, None)
    link = await start(stall_timeout=0.1, window=10_000, page=20, context=serving)
    count = 4_000
    link.backend.put(7, *range(1, count + 1), content="x" * 4_000)  # 16 MB: more than the sockets hold
    connection, nonce = await challenged(link, trusting)
    connection.send(hello(nonce))  # and read no more
    await until(lambda: link.server.connections == 0)
    assert 0 < len(link.backend.sent_log) < count
    connection.abort("slow")
    again, nonce = await challenged(link, trusting)
    again.send(hello(nonce))
    assert isinstance(await again.receive(), Welcome)
    assert await pushes(again, count) == list(range(1, count + 1))
    await again.close()


async def test_limits_of_connections(start: StartLink) -> None:
    for limits in ({"connections": 1}, {"connections_per_address": 1}):
        link = await start(**limits)
        first = await welcomed(link)
        answer = await exchange(link, REQUEST)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: " in answer
        await first.close()
        await until(lambda link=link: link.server.connections == 0)  # type: ignore[misc]
        await (await welcomed(link)).close()


async def test_silence_ends_each_phase(start: StartLink) -> None:
    link = await start(hello_timeout=0.1, heartbeat_min=1, heartbeat_max=1, patience=0.1)
    assert (await exchange(link, b"GET /link HT")).startswith(b"HTTP/1.1 408 ")
    silent, _ = await challenged(link)
    frames, end = await the_end(silent)
    assert end.code == 4002
    assert [frame.code for frame in frames if isinstance(frame, Error)] == ["HelloTimeout"]
    assert (await the_end(await welcomed(link)))[1].code == 4005
    await until(lambda: link.server.connections == 0)


async def test_a_peer_that_never_closes_is_dropped(start: StartLink) -> None:
    link = await start(hello_timeout=0.05, close_timeout=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(REQUEST)
    await until(lambda: link.server.connections == 1)
    await until(lambda: link.server.connections == 0)
    writer.close()
    reader.feed_eof()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /link HTTP/1.1\r\nHost: x\r\n\r\n", 426),
        (b"POST /link HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /link HTTP/1.1\r\nX: " + b"x" * 9_000, 431),
        (b"GET /link HTTP/1.1\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", 431),
    ],
)
async def test_other_visitors_are_answered(start: StartLink, data: bytes, status: int) -> None:
    link = await start()
    answer = await exchange(link, data)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.endswith(b"\n")
    await until(lambda: link.server.connections == 0)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (text_frame(b"unmasked"), 1002),
        (masked_frame(Opcode.BINARY, b"x", MASK), 1003),
        (masked_frame(Opcode.TEXT, b"\xff", MASK), 1007),
        (masked_frame(Opcode.TEXT, b"x" * 17_000, MASK), 1009),
        (masked_frame(Opcode.TEXT, b"no json", MASK), 4004),
        (masked_frame(Opcode.CLOSE, b"x", MASK), 1002),
        (masked_frame(Opcode.CLOSE, close_payload(1000), MASK), 1000),
        (masked_frame(Opcode.CLOSE, b"", MASK), 1000),
    ],
)
async def test_offences_have_their_close_codes(start: StartLink, data: bytes, code: int) -> None:
    link = await start(close_timeout=0.1)
    assert await closing_code(link, data) == code
    await until(lambda: link.server.connections == 0)


async def test_websocket_pings_are_answered(start: StartLink) -> None:
    link = await start()
    data = masked_frame(Opcode.PING, b"echo", MASK) + masked_frame(Opcode.CLOSE, b"", MASK)
    stream = (await exchange(link, REQUEST + data)).partition(handshake.HEAD_END)[2]
    assert (Opcode.PONG, b"echo") in list(FrameParser(masked=False, max_size=1000).feed(stream))


async def test_a_request_may_come_in_pieces(start: StartLink) -> None:
    link = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    for position in range(len(REQUEST)):
        writer.write(REQUEST[position : position + 1])
        await writer.drain()
    assert (await reader.readuntil(handshake.HEAD_END)).startswith(b"HTTP/1.1 101 ")
    writer.close()


async def test_leaving_tells_every_device_and_takes_no_new_ones(start: StartLink) -> None:
    link = await start()
    device = await welcomed(link)
    stranger, _ = await challenged(link)
    await asyncio.gather(link.server.close(drain=0.01), the_end(stranger))
    _, end = await the_end(device)
    assert end.code == 1001
    assert end.reason.startswith("going away; retry-after=")
    assert link.server.connections == 0
    with pytest.raises(ConnectionEnded):
        await connect(link.url, None)


async def test_a_broken_backend_does_not_end_the_listener(
    start: StartLink, caplog: pytest.LogCaptureFixture
) -> None:
    link = await start()
    link.backend.broken.add("identify")
    connection, nonce = await challenged(link)
    connection.send(hello(nonce))
    assert (await the_end(connection))[1].code == 1011
    link.backend.broken.clear()
    await (await welcomed(link)).close()
    assert "identify is broken" in caplog.text


async def test_tls(start: StartLink, certificate: tuple[Path, Path]) -> None:
    serving, trusting = tls(certificate)
    link = await start(context=serving, hello_timeout=0.5)
    with socket.create_connection(("127.0.0.1", link.port)):  # says nothing, not even a TLS hello
        connection = await connect(link.url, trusting)
        challenge = await connection.receive()
        assert isinstance(challenge, Challenge)
        connection.send(hello(challenge.nonce))
        assert isinstance(await connection.receive(), Welcome)
        link.backend.put(7, 1)
        link.hub.deliver(7, 1, push(1))
        assert await pushes(connection, 1) == [1]
        await connection.close()
    with pytest.raises(ConnectionEnded, match="certificate"):
        await connect(link.url, None)
