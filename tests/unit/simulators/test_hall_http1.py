"""The host over HTTP/1.1: vendors under their prefix, faults, callbacks; and its own calls."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.unit.simulators.wire import assertion

from clarion.simulators.desk import HUGE_BODY
from clarion.simulators.faults import Fault, FaultKind
from clarion.simulators.hall import Hall
from clarion.simulators.http2 import MAX_BODY


def fault(hall: Hall, kind: FaultKind, **more: Any) -> None:
    hall.faults.clear()
    hall.faults.set([Fault(channel="echo", kind=kind, **more)])


@pytest.fixture
def url(echo: Hall) -> str:
    return f"{echo.url('echo')}/v1/send"


async def test_a_vendor_under_its_prefix(echo: Hall, client: aiohttp.ClientSession, url: str) -> None:
    assert url.startswith(f"{echo.control}/echo/")
    sent = [("x-a", "1"), ("x-a", "2")]
    async with client.post(url, data=b"x" * 70_000, headers=sent) as answer:
        assert await answer.json() == {"path": "/v1/send", "repeated": ["x-a"], "size": 70_000}
    async with client.get(f"{echo.control}/echo") as answer:
        assert (await answer.json())["path"] == "/"
    async with client.get(f"{echo.control}/nobody/x") as answer:
        assert answer.status == 404
    assert [entry.path for entry in echo.journal.entries("echo")] == ["/v1/send", "/"]
    assert echo.credentials("echo") == {"baseUrl": echo.url("echo"), "appId": "1"}


async def test_bodies_are_bounded(echo: Hall, client: aiohttp.ClientSession, url: str) -> None:
    async with client.post(url, data=BytesIO(bytes(MAX_BODY))) as answer:
        assert (await answer.json())["size"] == MAX_BODY
    async with client.post(url, data=BytesIO(bytes(MAX_BODY + 1))) as answer:
        assert answer.status == 413
    assert len(echo.journal) == 1


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.REFUSE, FaultKind.HALF])
async def test_connections_that_end(echo: Hall, client: aiohttp.ClientSession, url: str, kind: FaultKind) -> None:
    fault(echo, kind, skip=1, count=1)
    assert (await client.post(url)).status == 200
    expected = aiohttp.ClientPayloadError if kind is FaultKind.HALF else aiohttp.ClientOSError
    with pytest.raises(expected):
        async with client.post(url, data=b"{}") as answer:
            await answer.read()
    assert (await client.post(url)).status == 200
    assert len(echo.journal) == (2 if kind is FaultKind.REFUSE else 3)


async def test_answers_byte_by_byte(echo: Hall, client: aiohttp.ClientSession, url: str) -> None:
    fault(echo, FaultKind.TRICKLE, seconds=0.05)
    before = time.monotonic()
    async with client.post(url) as answer:
        assert (await answer.json())["path"] == "/v1/send"
    assert time.monotonic() - before >= 0.05


async def test_an_answer_that_is_longer_than_it_says(echo: Hall) -> None:
    fault(echo, FaultKind.OVERRUN)
    host, port = echo.control.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    head, body = (await reader.readuntil(b"\r\n\r\n")).decode(), await reader.readuntil(b"}")
    assert head.startswith("HTTP/1.1 200 ")
    assert f"Content-Length: {len(body) // 2}\r\n" in head
    writer.close()


async def test_a_redirection(echo: Hall, client: aiohttp.ClientSession, url: str) -> None:
    fault(echo, FaultKind.REDIRECT, body="https://elsewhere.example/")
    async with client.post(url, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (307, "https://elsewhere.example/")
    assert [entry.outcome for entry in echo.journal.entries()] == ["redirect"]


async def test_a_stalled_request(echo: Hall, client: aiohttp.ClientSession, url: str) -> None:
    fault(echo, FaultKind.STALL, count=1)
    with pytest.raises(TimeoutError):
        await client.post(url, timeout=aiohttp.ClientTimeout(total=0.2))
    assert (await client.post(url)).status == 200
    assert len(echo.journal) == 2


async def test_other_answers(echo: Hall, client: aiohttp.ClientSession, url: str) -> None:
    fault(echo, FaultKind.STATUS, status=429, retry_after=2)
    async with client.post(url) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
    fault(echo, FaultKind.HUGE)
    async with client.post(url) as answer:
        assert len(await answer.read()) == HUGE_BODY
    fault(echo, FaultKind.GARBAGE)
    async with client.post(url) as answer:
        assert answer.content_type == "application/json"
        with pytest.raises(ValueError, match=r"\w"):
            json.loads(await answer.read())
    fault(echo, FaultKind.GOAWAY)
    async with client.post(url) as answer:
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
    fault(echo, FaultKind.LATENCY, seconds=0.05)
    before = time.monotonic()
    assert (await client.post(url)).status == 200
    assert time.monotonic() - before >= 0.05


class Receiver:
    """An app server that takes callbacks.

    Attributes:
        taken: their bodies and headers.
        url: where it is.
    """

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, str]] = []
        self.url = ""
        self._more = asyncio.Event()

    async def take(self, request: web.BaseRequest) -> web.Response:
        self.taken.append((await request.read(), request.headers["x-sign"]))
        self._more.set()
        return web.Response()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.taken) < count:
                self._more.clear()
                await self._more.wait()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    runner = web.ServerRunner(web.Server(made.take), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield made
    await runner.cleanup()


async def test_callbacks(echo: Hall, client: aiohttp.ClientSession, url: str, receiver: Receiver) -> None:
    assert (await client.post(f"{url}?{receiver.url}")).status == 200
    await receiver.until(1)
    assert receiver.taken == [(b'{"arrived":1}', "s")]
    fault(echo, FaultKind.RECEIPT_TWICE)
    assert (await client.post(f"{url}?{receiver.url}")).status == 200
    await receiver.until(3)
    fault(echo, FaultKind.RECEIPT_FIRST)
    assert (await client.post(f"{url}?{receiver.url}")).status == 200
    assert len(receiver.taken) == 4
    fault(echo, FaultKind.RECEIPT_FIRST)
    assert (await client.post(f"{url}?http://127.0.0.1:1/")).status == 200
    assert (echo.receipts.made, echo.receipts.failed) == (4, 1)


async def control(client: aiohttp.ClientSession, hall: Hall, method: str, path: str, value: Any = None) -> Any:
    """A call of the host: the JSON value of its answer, or its status if it has none."""
    async with client.request(method, hall.control + path, json=value) as answer:
        body = await answer.read()
        return json.loads(body) if body else answer.status


async def test_the_journal_by_http(echo: Hall, client: aiohttp.ClientSession, url: str) -> None:
    assert await control(client, echo, "GET", "/journal") == []
    for number in range(3):
        await client.post(url, json={"n": number}, headers={"Authorization": "Bearer x"})
    entries = await control(client, echo, "GET", "/journal?channel=echo")
    assert [json.loads(entry["body"])["n"] for entry in entries] == [0, 1, 2]
    assert set(entries[0]) == {"channel", "at", "path", "headers", "body", "tokens", "outcome"}
    assert entries[0]["tokens"] == ["t1"]
    assert entries[0]["headers"]["authorization"].startswith("sha256:")
    assert len(await control(client, echo, "GET", "/journal?limit=2")) == 2
    assert await control(client, echo, "GET", f"/journal?since={entries[-1]['at'] + 1}") == []
    for wrong in ("channel=nobody", "since=x", "limit=-1"):
        assert "error" in await control(client, echo, "GET", f"/journal?{wrong}")
    assert await control(client, echo, "DELETE", "/journal") == 204
    assert await control(client, echo, "GET", "/journal") == []


async def test_a_long_journal_by_http(echo: Hall, client: aiohttp.ClientSession, url: str) -> None:
    for _ in range(3):
        await client.post(url)
    entry = echo.journal.entries()[0]
    kept = echo.journal._kept
    kept.extend(list(kept) * 600)
    entries = await control(client, echo, "GET", "/journal")
    assert len(entries) == 1803
    assert entries[-1]["path"] == entry.path


async def test_faults_by_http(echo: Hall, client: aiohttp.ClientSession, url: str) -> None:
    one = {"channel": "echo", "kind": "status", "status": 500, "retryAfter": 1}
    listed = await control(client, echo, "POST", "/faults", one)
    assert [{name: it[name] for name in one} for it in listed] == [one]
    assert len(await control(client, echo, "POST", "/faults", [one, one])) == 3
    assert len(await control(client, echo, "GET", "/faults")) == 3
    assert (await client.post(url)).status == 500
    for wrong in (
        {**one, "channel": "nobody"},
        {**one, "kind": "fire"},
        {**one, "colour": "red"},
        [{"kind": "reset"}],
        "reset",
        [one] * 1000,
    ):
        assert "error" in await control(client, echo, "POST", "/faults", wrong)
    async with client.post(f"{echo.control}/faults", data=b"{") as answer:
        assert answer.status == 400
    assert len(await control(client, echo, "GET", "/faults")) == 3
    assert await control(client, echo, "DELETE", "/faults?channel=echo") == 204
    assert (await client.post(url)).status == 200


async def test_settings_by_http(hall: Hall, echo: Hall, client: aiohttp.ClientSession) -> None:
    assert await control(client, hall, "GET", "/") == hall.urls
    assert await control(client, hall, "POST", "/settings/apns", {"maxStreams": 7}) == 204
    assert "error" in await control(client, hall, "POST", "/settings/apns", {"maxStreams": "7"})
    assert "error" in await control(client, hall, "POST", "/settings/apns", [])
    assert "error" in await control(client, hall, "POST", "/settings/nobody", {})
    assert "error" in await control(client, echo, "POST", "/settings/echo", {})
    async with client.get(f"{hall.control}/apns/3/device/x") as answer:
        assert answer.status == 404


async def test_a_vendor_of_both_protocols(client: aiohttp.ClientSession) -> None:
    async with Hall(labels=["fcm"]) as hall:
        file: Mapping[str, Any] = hall.credentials("fcm")
        context = ssl.create_default_context(cafile=file["caFile"])
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": assertion(file["serviceAccount"], time.time()),
        }
        async with client.post(file["tokenUrl"], data=form, ssl=context) as answer:
            assert answer.version == aiohttp.HttpVersion11
            token = (await answer.json())["access_token"]
        send = f"{file['baseUrl']}/v1/projects/{file['serviceAccount']['project_id']}/messages:send"
        sent = {"message": {"token": "t"}}
        async with client.post(
            send, json=sent, headers={"Authorization": f"Bearer {token}"}, ssl=context
        ) as answer:
            assert (answer.status, answer.content_type) == (200, "application/json")
        assert [entry.outcome for entry in hall.journal.entries("fcm")] == ["token", "accepted"]
        assert hall.journal.entries()[0].body == ""
