from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest

from clarion.clock import ManualClock
from clarion.link.backend import EventKind
from clarion.link.client import Closed, CredentialsRejected, LinkClient, LinkEvent, LinkLost
from clarion.link.client_registration import RegistrationFailed, register_device
from clarion.link.handshake import HEAD_END, accept
from clarion.link.protocol import Challenge, Push, Revoke, Welcome, encode
from clarion.link.registration import Platform, RegistrationRequest, verify_registration
from clarion.link.websocket import text_frame
from tests.link.conftest import Link, StartLink, until
from tests.unit.link.fakes import frame, push


class Sleeper:
    """Stands in for `asyncio.sleep`: remembers the wishes and returns when told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, asyncio.Event]] = []
        self.wishes: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.wishes.append(seconds)
        event = asyncio.Event()
        self.waiting.append((seconds, event))
        await event.wait()

    def wake(self) -> None:
        waiting, self.waiting = self.waiting, []
        for _, event in waiting:
            event.set()


def device(link: Link, token: str = "7", secret: str = "device-secret", **options: Any) -> LinkClient:
    return LinkClient(link.url, "app", "ws", token, secret, **options)


async def events(client: LinkClient, count: int) -> list[LinkEvent]:
    found: list[LinkEvent] = []
    async with asyncio.timeout(10):
        async for event in client:
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_events_one_after_the_other(start: StartLink) -> None:
    link = await start()
    link.backend.put(7, 1, title="Hello")
    async with device(link) as client:
        welcome, first = await events(client, 2)
        assert isinstance(welcome, Welcome)
        assert first == Push(id="1", msg_key="key-1", title="Hello")
        link.backend.waiting[7][2] = revoke = frame("revoke", id="2", msgKey="key-1")
        link.hub.deliver(7, 2, revoke)
        assert await events(client, 1) == [Revoke(id="2", msg_key="key-1")]
        await until(lambda: link.backend.waiting[7] == {})
    await until(lambda: link.server.connections == 0)


async def test_callbacks_and_requests(start: StartLink) -> None:
    link = await start()
    pushed: list[str] = []
    revoked: list[str] = []

    async def on_push(message: Push) -> None:
        pushed.append(message.id)

    async with device(link, on_push=on_push, on_revoke=lambda message: revoked.append(message.id)) as client:
        assert (await client.bind("anna", "123")).code == "OK"
        assert (await client.bind("")).code == "3012"
        assert (await client.report("hms", "vendor-token", model="P60")).code == "OK"
        assert (await client.unbind("anna")).code == "OK"
        await client.opened("5")
        await client.ignored("6")
        link.backend.put(7, 8)
        link.hub.deliver(7, 8, push(8))
        link.backend.waiting[7][9] = frame("revoke", id="9", msgKey="k")
        link.hub.wake(7)
        await until(lambda: link.backend.waiting[7] == {})
        await until(lambda: len(link.backend.calls) == 5)
    assert (pushed, revoked) == (["8"], ["9"])
    assert link.backend.calls == [
        ("bind", 7, "anna", "123"),
        ("report", 7, "hms", "vendor-token"),
        ("unbind", 7, "anna"),
        ("event", 7, 5, EventKind.OPEN),
        ("event", 7, 6, EventKind.IGNORE),
    ]


async def test_a_repeated_message_is_acknowledged_and_passed_over(start: StartLink) -> None:
    link = await start()
    link.backend.put(7, 1)
    sleeper = Sleeper()
    async with device(link, auto_ack=False, sleep=sleeper) as client:
        assert len(await events(client, 2)) == 2
        await link.hub.close_all()
        (closed,) = await events(client, 1)
        assert isinstance(closed, Closed)
        client._auto_ack = True
        link.backend.put(7, 2)
        await until(lambda: bool(sleeper.waiting))
        sleeper.wake()
        welcome, second = await events(client, 2)
        assert isinstance(welcome, Welcome)
        assert second == Push(id="2", msg_key="key-2")
        await until(lambda: link.backend.waiting[7] == {})


async def test_a_repeat_of_what_nobody_has_taken_yet_is_not_acknowledged(start: StartLink) -> None:
    link = await start()
    link.backend.put(7, 1)
    sleeper = Sleeper()
    async with device(link, sleep=sleeper) as client:
        await until(lambda: client._events.qsize() == 2)  # the welcome and the message
        await link.hub.close_all()
        await until(lambda: client._events.qsize() == 3)
        link.backend.put(7, 2)
        await until(lambda: bool(sleeper.waiting))
        sleeper.wake()
        await until(lambda: client._events.qsize() == 5)  # another welcome and the second message
        assert set(link.backend.waiting[7]) == {1, 2}
        taken = [event.id for event in await events(client, 5) if isinstance(event, Push)]
        assert taken == ["1", "2"]
        await until(lambda: link.backend.waiting[7] == {})


async def test_a_message_whose_handler_failed_comes_again(
    start: StartLink, caplog: pytest.LogCaptureFixture
) -> None:
    link = await start()
    link.backend.put(7, 1)
    tries: list[str] = []

    def on_push(message: Push) -> None:
        tries.append(message.id)
        if len(tries) == 1:
            raise RuntimeError("not yet")

    sleeper = Sleeper()
    async with device(link, on_push=on_push, sleep=sleeper):
        await until(lambda: len(tries) == 1)
        assert link.backend.acks == []
        await link.hub.close_all()
        await until(lambda: link.server.connections == 0)
        sleeper.wake()
        await until(lambda: link.backend.waiting[7] == {})
    assert tries == ["1", "1"]
    assert "not yet" in caplog.text


async def test_it_comes_back_after_a_restart_of_the_server(start: StartLink) -> None:
    link = await start()
    sleeper = Sleeper()
    async with device(link, sleep=sleeper, rand=lambda: 0.5) as client:
        await events(client, 1)
        await link.server.close()
        (closed,) = await events(client, 1)
        assert isinstance(closed, Closed)
        assert (closed.code, closed.retry_in) == (1001, 1.0)  # the server's hint
        delays = []
        for _ in range(8):
            await until(lambda: bool(sleeper.waiting))
            sleeper.wake()
            (closed,) = await events(client, 1)
            assert isinstance(closed, Closed)
            assert closed.code == 1006
            delays.append(closed.retry_in)
        assert delays == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
        again = await start(port=link.port, backend=link.backend)
        link.backend.put(7, 1)
        await until(lambda: bool(sleeper.waiting))
        sleeper.wake()
        welcome, first = await events(client, 2)
        assert isinstance(welcome, Welcome)
        assert isinstance(first, Push)
        assert again.hub.online(7)


async def test_the_back_off_begins_anew_after_a_stable_minute(start: StartLink) -> None:
    link = await start()
    clock, sleeper = ManualClock(), Sleeper()
    async with device(link, sleep=sleeper, rand=lambda: 1.0, clock=clock) as client:
        delays = []
        for stable in (0, 0, 61):
            await events(client, 1)
            clock.advance(stable)
            link.hub._sessions[7].end(1012, "")
            (closed,) = await events(client, 1)
            assert isinstance(closed, Closed)
            delays.append(closed.retry_in)
            await until(lambda: any(wish in delays for wish, _ in sleeper.waiting))
            sleeper.wake()
        assert delays == [2.0, 4.0, 2.0]


async def test_wrong_credentials_stop_it_with_a_clear_error(start: StartLink) -> None:
    link = await start()
    async with device(link, secret="wrong") as client:
        with pytest.raises(CredentialsRejected, match="wrong signature"):
            await client.bind("anna")
        assert await events(client, 1) == [Closed(4001, "unknown device or wrong signature", None)]
        with pytest.raises(CredentialsRejected):
            await events(client, 1)
        with pytest.raises(CredentialsRejected):
            await client.wait_closed()


async def test_a_replaced_client_stops(start: StartLink) -> None:
    link = await start()
    async with device(link) as older, device(link) as newer:
        await events(newer, 1)
        found = [event async for event in older]
        assert isinstance(found[-1], Closed)
        assert (found[-1].code, found[-1].retry_in) == (4000, None)
        with pytest.raises(LinkLost):
            await older.bind("anna")


async def test_a_request_whose_answer_is_lost_says_so(start: StartLink) -> None:
    link = await start()
    async with device(link) as client:
        await events(client, 1)
        link.backend.open.clear()
        asked = asyncio.create_task(client.bind("anna"))
        await until(lambda: link.hub._sessions[7]._requests is not None)
        await link.hub.close_all()
        with pytest.raises(LinkLost):
            await asked
        link.backend.open.set()


async def test_it_pings_and_stays(start: StartLink) -> None:
    link = await start()
    sleeper = Sleeper()
    async with device(link, heartbeat=100, sleep=sleeper) as client:
        await events(client, 1)
        connection = client._connection
        assert connection is not None
        for _ in range(2):
            reads = connection._reads
            await until(lambda: bool(sleeper.waiting))
            sleeper.wake()
            await until(lambda reads=reads: connection._reads > reads)  # type: ignore[misc]
            sleeper.wake()
        assert sleeper.wishes[:4] == [80, 20, 80, 20]
        assert link.hub.online(7)


async def silent_server(port_known: Callable[[int], Awaitable[None]]) -> None:
    """A server that welcomes a device and never answers again."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(accept(await reader.readuntil(HEAD_END), "/link") + text_frame(encode(Challenge(nonce="n"))))
        welcome = Welcome(session="s", heartbeat=30, time=0, user_id=None)
        writer.write(text_frame(encode(welcome)))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        await port_known(server.sockets[0].getsockname()[1])


async def test_a_dead_server_is_noticed() -> None:
    async def use(port: int) -> None:
        sleeper = Sleeper()
        async with LinkClient(f"ws://127.0.0.1:{port}/link", "app", "ws", "7", "s", sleep=sleeper) as client:
            assert isinstance((await events(client, 1))[0], Welcome)
            for _ in range(2):
                await until(lambda: bool(sleeper.waiting))
                sleeper.wake()
            (closed,) = await events(client, 1)
            assert isinstance(closed, Closed)
            assert (closed.code, closed.reason) == (1006, "the server does not answer")

    await silent_server(use)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Busy\r\n\r\n", b"\r\n", b"x" * 20_000])
async def test_other_answers_are_tried_again(answer: bytes) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with LinkClient(f"ws://127.0.0.1:{port}/link", "app", "ws", "7", "s", sleep=Sleeper()) as client:
            (closed,) = await events(client, 1)
            assert isinstance(closed, Closed)
            assert closed.code == 1006
            assert closed.retry_in is not None


def test_an_address_that_is_none() -> None:
    with pytest.raises(ValueError, match="not a WebSocket address"):
        LinkClient("http://127.0.0.1/link", "app", "ws", "7", "s")


class RegisterHandler(BaseHTTPRequestHandler):
    """Registers devices of one app."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = msgspec.json.decode(body, type=RegistrationRequest)
        genuine = verify_registration(request, b"app-secret", request.timestamp) is None
        answer = {"deliveryToken": "t", "deviceSecret": "s", "link": "ws://x/link"} if genuine else {"code": "no"}
        text = json.dumps(answer).encode()
        self.send_response(200 if genuine and self.path == "/device/register" else 403)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def register_url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), RegisterHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_registration(register_url: str) -> None:
    answer = await register_device(register_url, "app", "ws", "app-secret", Platform.ANDROID)
    assert (answer.delivery_token, answer.device_secret, answer.link) == ("t", "s", "ws://x/link")
    with pytest.raises(RegistrationFailed, match="403"):
        await register_device(register_url, "app", "ws", "wrong", Platform.ANDROID)
    with pytest.raises(RegistrationFailed):
        await register_device("http://127.0.0.1:1", "app", "ws", "app-secret", Platform.IOS)
    with pytest.raises(ValueError, match="not an HTTP address"):
        await register_device("file:///etc", "app", "ws", "app-secret", Platform.IOS)
