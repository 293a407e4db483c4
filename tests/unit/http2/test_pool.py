"""The pool against real sockets: what is sent again, what is not, and how connections come and go."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h2.errors
import h2.settings
import pytest
from tests.unit.http2.peer import Peer, Seen, answer_200
from tests.unit.http2.server import HOST, certificate, proxying, server_tls, serving

from clarion.http2.exchange import OK, Fate
from clarion.http2.frames import FrameType, frame, window_frame
from clarion.http2.headers import HeaderSet
from clarion.http2.origin import CannotConnect, Origin, client_tls
from clarion.http2.pool import Pool, PoolLimits, Request

HEADERS = HeaderSet("push.example", [(b"authorization", b"bearer token")])
SWIFT = PoolLimits(connections=2, request_timeout=5.0, connect_timeout=2.0, backoff=0.05)
PING = frame(FrameType.PING, 0, 0, b"12345678")
STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


def requests(count: int) -> list[Request]:
    return [Request(HEADERS, b"/%d" % n, b"body %d" % n) for n in range(count)]


@asynccontextmanager
async def pool_to(port: int, limits: PoolLimits = SWIFT, **origin: Any) -> AsyncIterator[Pool]:
    pool = Pool(Origin(HOST, port, origin.pop("tls", None), **origin), limits)
    try:
        yield pool
    finally:
        await pool.close(0.2)


class TestSending:
    async def test_many_requests_over_few_connections(self) -> None:
        async with serving() as server, pool_to(server.port) as pool:
            assert await pool.send_all(requests(3000)) == [OK] * 3000
            assert sorted(server.paths) == sorted(b"/%d" % n for n in range(3000))
            assert pool.opened == 2
            assert pool.active == 0

    async def test_nothing_to_send(self) -> None:
        async with pool_to(1) as pool:
            assert await pool.send_all([]) == []

    async def test_answers_are_in_the_order_of_the_requests(self) -> None:
        def answer(peer: Peer, stream: int, seen: Seen) -> None:
            status = b"200" if int(dict(seen.headers)[b":path"][1:]) % 2 else b"400"
            peer.connection.send_headers(stream, [(b":status", status)])
            peer.connection.send_data(stream, bytes(seen.body), end_stream=True)

        async with serving(answer) as server, pool_to(server.port) as pool:
            answers = await pool.send_all(requests(200))
        assert [a.body for a in answers] == [b"body %d" % n for n in range(200)]
        assert [a.status for a in answers] == [400, 200] * 100

    async def test_one_stream_at_a_time(self) -> None:
        most = Counter[str]()

        def watch(peer: Peer, stream: int, seen: Seen) -> None:
            open_streams = sum(not s.ended or s is seen for s in peer.requests.values())
            most["open"] = max(most["open"], open_streams)
            answer_200(peer, stream, seen)

        async with serving(watch, settings={STREAMS: 1}) as server, pool_to(server.port) as pool:
            assert await pool.send_all(requests(50)) == [OK] * 50
        assert most["open"] == 1


class TestGoodbyes:
    async def test_a_peer_that_leaves_every_few_requests_loses_and_doubles_nothing(self) -> None:
        served = Counter[bytes]()

        def leave(peer: Peer, stream: int, seen: Seen) -> None:
            if peer.ended_at and stream > peer.ended_at:
                return  # beyond the last stream that the goodbye named
            served[dict(seen.headers)[b":path"]] += 1
            answer_200(peer, stream, seen)
            if len(peer.requests) >= 20 and not peer.ended_at:
                peer.leave(stream)

        async with serving(leave) as server, pool_to(server.port) as pool:
            assert await pool.send_all(requests(1000)) == [OK] * 1000
            assert pool.opened > 10
        assert set(served.values()) == {1}
        assert len(served) == 1000

    async def test_a_peer_that_takes_ten_of_hundreds_gets_the_oldest_first(self) -> None:
        served: list[int] = []

        def leave(peer: Peer, stream: int, seen: Seen) -> None:
            if peer.ended_at:
                return
            served.append(int(dict(seen.headers)[b":path"][1:]))
            answer_200(peer, stream, seen)
            if len(peer.requests) == 10:
                peer.leave(stream)

        async with serving(leave) as server, pool_to(server.port, PoolLimits(connections=1)) as pool:
            assert await pool.send_all(requests(600)) == [OK] * 600
        assert served == list(range(600))

    async def test_a_peer_that_only_leaves_is_given_up(self) -> None:
        def leave(peer: Peer, *_: Any) -> None:
            if not peer.ended_at:
                peer.ended_at = 1
                peer.connection.close_connection(last_stream_id=0)

        async with serving(leave) as server, pool_to(server.port) as pool:
            answers = await pool.send_all(requests(3))
            assert pool.opened == SWIFT.attempts
        assert {answer.fate for answer in answers} == {Fate.UNPROCESSED}

    async def test_refused_streams_are_sent_again(self) -> None:
        refused: set[bytes] = set()

        def refuse(peer: Peer, stream: int, seen: Seen) -> None:
            path = dict(seen.headers)[b":path"]
            if int(path[1:]) % 5 == 0 and path not in refused:
                refused.add(path)
                peer.connection.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
            else:
                answer_200(peer, stream, seen)

        async with serving(refuse) as server, pool_to(server.port) as pool:
            assert await pool.send_all(requests(500)) == [OK] * 500
            assert pool.resent == 100

    async def test_a_request_that_is_always_refused_is_given_up_honestly(self) -> None:
        def refuse(peer: Peer, stream: int, _: Seen) -> None:
            peer.connection.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)

        async with serving(refuse) as server, pool_to(server.port) as pool:
            answer = await pool.send(requests(1)[0])
            assert answer.fate is Fate.UNPROCESSED
            assert "REFUSED_STREAM" in answer.detail
            assert len(server.paths) == SWIFT.attempts

    async def test_a_lost_connection_is_no_reason_to_send_again(self) -> None:
        async with serving(lambda *_: None) as server, pool_to(server.port) as pool:
            sending = asyncio.create_task(pool.send_all(requests(10)))
            await server.received(10)
            for transport in server.transports:
                transport.abort()
            answers = await sending
            assert {answer.fate for answer in answers} == {Fate.LOST}
            server.behaviour = answer_200
            assert await pool.send(requests(1)[0]) == OK
        assert len(server.paths) == 11

    async def test_an_answer_just_before_nonsense_counts(self) -> None:
        def answer(peer: Peer, stream: int, seen: Seen) -> None:
            answer_200(peer, stream, seen)
            peer.connection._data_to_send += window_frame(0, 0)

        async with serving(answer) as server, pool_to(server.port) as pool:
            async with asyncio.timeout(2):
                assert await pool.send(requests(1)[0]) == OK

    async def test_what_nobody_waits_for_is_not_sent_again(self) -> None:
        async with serving(lambda *_: None) as server, pool_to(server.port) as pool:
            sending = asyncio.create_task(pool.send_all(requests(10)))
            await server.received(10)
            sending.cancel()
            await asyncio.wait([sending])
            (peer,) = server.peers
            peer.behaviour = answer_200
            for stream in peer.requests:
                peer.connection.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
            server.flush()
            assert await pool.send(requests(1)[0]) == OK
            assert pool.resent == 0

    async def test_a_peer_that_floods_and_does_not_read_is_cut(self) -> None:
        async with serving(lambda *_: None) as server, pool_to(server.port) as pool:
            sending = asyncio.create_task(pool.send(requests(1)[0]))
            await server.received(1)
            (transport,) = server.transports
            transport.pause_reading()
            async with asyncio.timeout(20):
                while not sending.done():
                    if transport.get_write_buffer_size() < 1 << 20:
                        transport.write(PING * 10_000)
                    await asyncio.sleep(0)
            answer = await sending
        assert (answer.fate, answer.detail) == (Fate.LOST, "the peer does not read what it is sent")

    async def test_no_answer_in_time(self) -> None:
        limits = PoolLimits(connections=1, request_timeout=0.2)
        async with serving(lambda *_: None) as server, pool_to(server.port, limits) as pool:
            answers = await pool.send_all(requests(3))
            assert {answer.fate for answer in answers} == {Fate.CANCELLED}
            await asyncio.sleep(0)
            assert pool.active == 0

    async def test_a_silent_peer_is_cut(self) -> None:
        limits = PoolLimits(connections=1, request_timeout=20, doubt_after=0.05, ping_timeout=0.1)
        async with serving(lambda *_: None) as server, pool_to(server.port, limits) as pool:
            sending = asyncio.create_task(pool.send(requests(1)[0]))
            await server.received(1)
            server.flush = lambda: None  # type: ignore[method-assign]
            answer = await sending
            assert (answer.fate, answer.detail) == (Fate.LOST, "the peer gives no sign of life")

    async def test_a_slow_peer_that_gives_signs_of_life_is_waited_for(self) -> None:
        limits = PoolLimits(connections=1, request_timeout=1.2, doubt_after=0.05, ping_timeout=0.2)
        async with serving(lambda *_: None) as server, pool_to(server.port, limits) as pool:
            answer = await pool.send(requests(1)[0])
            assert (answer.fate, answer.detail) == (Fate.CANCELLED, "no answer in time")


class TestConnecting:
    async def test_a_peer_that_is_not_there_is_tried_again(self) -> None:
        async with serving() as server:
            port = server.port
        async with pool_to(port, PoolLimits(request_timeout=0.3, backoff=0.02)) as pool:
            answer = await pool.send(requests(1)[0])
            assert answer.fate is Fate.UNPROCESSED
            assert "no connection in time" in answer.detail
            assert str(port) in answer.detail

    async def test_a_closed_pool_takes_nothing(self) -> None:
        async with serving() as server:
            async with pool_to(server.port) as pool:
                assert await pool.send(requests(1)[0]) == OK
            assert (await pool.send(requests(1)[0])).fate is Fate.UNPROCESSED

    async def test_tls_with_an_authority_of_one_s_own(self, tmp_path: Path) -> None:
        files = certificate(tmp_path)
        async with serving(tls=server_tls(files)) as server:
            async with pool_to(server.port, tls=client_tls(str(files[0]))) as pool:
                assert await pool.send_all(requests(300)) == [OK] * 300
            async with pool_to(server.port, PoolLimits(request_timeout=0.3), tls=client_tls()) as pool:
                assert "certificate verify failed" in (await pool.send(requests(1)[0])).detail

    async def test_closing_waits_until_sockets_are_closed(self, tmp_path: Path) -> None:
        files = certificate(tmp_path)
        async with serving(tls=server_tls(files)) as server:
            pool = Pool(Origin(HOST, server.port, client_tls(str(files[0]))), SWIFT)
            assert await pool.send(requests(1)[0]) == OK
            (connection,) = pool._connections
            server.transports[0].pause_reading()  # it does not say goodbye
            await pool.close(0.2)
            assert connection.gone.done()

    async def test_a_client_certificate(self, tmp_path: Path) -> None:
        files = certificate(tmp_path)
        names = str(files[0]), str(files[0]), str(files[1])
        async with serving(tls=server_tls(files, clients=True)) as server:
            async with pool_to(server.port, tls=client_tls(*names)) as pool:
                assert await pool.send(requests(1)[0]) == OK
            limits = PoolLimits(request_timeout=0.3)
            async with pool_to(server.port, limits, tls=client_tls(names[0])) as pool:
                assert (await pool.send(requests(1)[0])).fate is not Fate.ANSWERED

    async def test_a_peer_that_speaks_http_1_only(self, tmp_path: Path) -> None:
        files = certificate(tmp_path)
        async with serving(tls=server_tls(files, protocols=("http/1.1",))) as server:
            limits = PoolLimits(request_timeout=0.3)
            async with pool_to(server.port, limits, tls=client_tls(str(files[0]))) as pool:
                assert "does not speak HTTP/2" in (await pool.send(requests(1)[0])).detail

    async def test_through_a_proxy(self, tmp_path: Path) -> None:
        files = certificate(tmp_path)
        async with (
            serving(tls=server_tls(files)) as server,
            proxying(lambda _: b"HTTP/1.1 200 Connected\r\n\r\n") as (proxy, heads),
            pool_to(server.port, tls=client_tls(str(files[0])), proxy=f"http://me:p%40ss@{HOST}:{proxy}") as pool,
        ):
            assert await pool.send_all(requests(50)) == [OK] * 50
        assert heads[0].startswith(f"CONNECT {HOST}:{server.port} HTTP/1.1\r\n")
        assert "Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in heads[0]

    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
            (b"x" * 9000, "too long"),
            (b"", "closed the connection"),
        ],
    )
    async def test_a_proxy_that_refuses(self, tmp_path: Path, reply: bytes, said: str) -> None:
        tls = client_tls(str(certificate(tmp_path)[0]))
        limits = PoolLimits(request_timeout=0.3)
        async with (
            proxying(lambda _: reply) as (proxy, _),
            pool_to(1, limits, tls=tls, proxy=f"http://{HOST}:{proxy}") as pool,
        ):
            assert said in (await pool.send(requests(1)[0])).detail

    async def test_secrets_of_a_proxy_are_not_shown(self) -> None:
        assert "secret" not in repr(Origin("h", 1, None, "http://u:secret@proxy:1"))
        assert issubclass(CannotConnect, Exception)
