"""Whatever goes wrong, no secret and no device token is in any log, outcome, check or representation."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import pytest
import structlog

from clarion.channels.base import Accepted, VendorChannel
from clarion.channels.opening import parse
from clarion.channels.sender import check_of, outcome_without_answer
from clarion.clock import ManualClock
from clarion.http2.exchange import Answer, Fate
from clarion.simulators.base import Received, Reply
from clarion.simulators.hall import Hall
from tests.channels.every import HTTP2, LABELS, TOKENS, copies, envelopes, is_message, known, opened
from tests.channels.host import fault

SECRET_MEMBERS = frozenset(
    ("privateKey", "private_key", "password", "appSecret", "clientSecret", "masterSecret", "accessKeySecret")
)
SECRET_FIELDS = frozenset(("auth_token", "assertion", "client_secret", "sign"))
SECRET_HEADERS = ("authorization", "authtoken")
PASSWORD = "proxy-pass-w0rd"


class Spy:
    """What a channel sends that nobody else may see; and answers that repeat it.

    Attributes:
        secrets: texts that were or could have been sent, with those of the channel file.
    """

    def __init__(self, hall: Hall, label: str) -> None:
        self.secrets: set[str] = {*TOKENS[label], PASSWORD, *secrets_of(known(label))}
        self.answer: Callable[[Received], Reply] | None = None
        self.everywhere = False
        simulator: Any = hall.simulators[label]
        self._own: Callable[[Received], Reply] = simulator.handle
        simulator.handle = self.handle

    def handle(self, request: Received) -> Reply:
        """Note what the request has in it, and answer."""
        for name in SECRET_HEADERS:
            self.note(request.headers.get(name, ""))
        body = request.body.decode(errors="replace")
        for name, value in parse_qsl(body) + re.findall(r'"(\w+)":"([^"]+)"', body):
            if name in SECRET_FIELDS:
                self.note(value)
        if self.answer is not None and (self.everywhere or is_message(request)):
            return self.answer(request)
        reply = self._own(request)
        if not is_message(request):
            given = json.loads(reply.body)
            for name in ("access_token", "authToken", "auth_token"):
                self.note(str(given.get(name, (given.get("data") or {}).get(name, ""))))
        return reply

    def note(self, header: str) -> None:
        """Of a token in parts, each."""
        text = header.rpartition(" ")[2].removeprefix("key=")
        self.secrets |= {part for part in (text, *text.split(".")) if len(part) > 7}


def secrets_of(value: Mapping[str, Any]) -> Iterator[str]:
    """The secret texts in a channel file; of a PEM each line."""
    for name, member in value.items():
        if isinstance(member, dict):
            yield from secrets_of(member)
        elif name in SECRET_MEMBERS:
            yield from (line for line in str(member).splitlines() if len(line) > 7 and "-----" not in line)


@contextmanager
def heard() -> Iterator[Callable[[], str]]:
    """All that is logged, by whomever, at whatever level; of HPACK from warnings up, as by a server."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    root, level = logging.getLogger(), logging.getLogger().level
    before = structlog.get_config()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("hpack").setLevel(logging.WARNING)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(lines), cache_logger_on_first_use=False)
    try:
        yield lines.getvalue
    finally:
        structlog.configure(**before)
        root.removeHandler(handler)
        root.setLevel(level)


def echo(status: int, code: object) -> Callable[[Received], Reply]:
    """An answer in the forms of all vendors, each of whose texts repeats the request, secrets first."""

    def answer(request: Received) -> Reply:
        body = request.body.decode(errors="replace")
        first = [request.headers.get(name, "").rpartition(" ")[2] for name in SECRET_HEADERS]
        first += [value for name, value in parse_qsl(body) if name in SECRET_FIELDS]
        said = f"{' '.join(filter(None, first))} {request.path[-80:]} {unquote_plus(body)[-200:]} {request.headers}"
        names = (
            "reason",
            "msg",
            "message",
            "desc",
            "description",
            "Message",
            "BizId",
            "taskId",
            "requestId",
            "name",
        )
        number = said if code is None else code
        error = {
            "status": said if code is None else "PERMISSION_DENIED",
            "message": said,
            "details": [{"errorCode": said, "fieldViolations": []}],
        }
        plain = {
            **dict.fromkeys((*names, "name", "error_description", "sub_error", "access_token"), said),
            **dict.fromkeys(("code", "result", "Code"), number),
            "error": error,
            "data": {"id": said, "messageId": said, "auth_token": said},
        }
        return Reply(status, json.dumps(plain).encode(), {"Content-Type": "application/json"})

    return answer


async def tell(label: str, channel: VendorChannel, clock: ManualClock, spy: Spy) -> list[str]:
    """All that a channel says of two messages, a recall and a check."""
    outcomes = await channel.send(envelopes(label, clock, 2))
    recalled = await channel.recall(copies(label))
    check = await channel.check()
    values = [*outcomes, *recalled, check, channel]
    clock.advance(700)
    spy.secrets |= {secret for secret in getattr(channel, "_secrets", ()) if len(secret) > 7}
    return [text for value in values for text in (repr(value), str(value))]


def assert_silent(said: list[str], log: str, spy: Spy) -> None:
    """Nothing that was said or logged has a secret, nor the half of one."""
    assert len(spy.secrets) > 4
    everything = "\n".join((*said, log))
    found = [
        secret
        for secret in spy.secrets
        if secret in everything or secret[: max(16, len(secret) // 2)] in everything
    ]
    assert found == []


every_channel = pytest.mark.parametrize("label", LABELS)


@every_channel
@pytest.mark.parametrize("everywhere", [False, True], ids=["messages", "everything"])
async def test_a_vendor_that_repeats_what_it_was_sent(everywhere: bool, label: str, clock: ManualClock) -> None:
    with heard() as log:
        async with opened(label, clock) as (hall, channel):
            spy = Spy(hall, label)
            said = await tell(label, channel, clock, spy)
            spy.everywhere = everywhere
            for status in (200, 302, 400, 401, 403, 410, 429, 503):
                for code in (None, 0, 1, 7, 400, 10302, 80100000, 80100001, 80200001, "isv.SMS_CONTENT_ILLEGAL"):
                    spy.answer = echo(status, code)
                    said += await tell(label, channel, clock, spy)
        assert_silent(said, log(), spy)
        assert any("Unknown" in text or "Error" in text for text in said)


@every_channel
@pytest.mark.parametrize("kind", ["reset", "refuse", "half", "garbage", "huge", "stall", "redirect", "goaway"])
async def test_a_vendor_that_fails(kind: str, label: str, clock: ManualClock) -> None:
    with heard() as log:
        async with opened(label, clock, seconds=0.4) as (hall, channel):
            spy = Spy(hall, label)
            said = await tell(label, channel, clock, spy)
            fault(hall, label, kind, body="https://elsewhere.example/")
            said += await tell(label, channel, clock, spy)
        assert_silent(said, log(), spy)


@every_channel
async def test_a_vendor_that_is_away(label: str, clock: ManualClock) -> None:
    nowhere = "http://127.0.0.1:1"
    with heard() as log:
        async with opened(label, clock, seconds=0.4, baseUrl=nowhere, tokenUrl=f"{nowhere}/token") as (
            hall,
            channel,
        ):
            spy = Spy(hall, label)
            assert_silent(await tell(label, channel, clock, spy), log(), spy)


@every_channel
async def test_tls_that_is_not_to_be_trusted(label: str, clock: ManualClock, tmp_path: Path) -> None:
    """Another authority's certificate; and no TLS at all where it was to be."""
    async with Hall(labels=["apns"], folder=tmp_path / "other") as other:
        for address in (other.url("apns"), other.control.replace("http:", "https:")):
            changes = {"baseUrl": address, "tokenUrl": f"{address}/token"}
            with heard() as log:
                async with opened(label, clock, seconds=0.8, **changes) as (hall, channel):
                    spy = Spy(hall, label)
                    said = await tell(label, channel, clock, spy)
                    assert not any(text.startswith("Accepted") for text in said)
                assert_silent(said, log(), spy)


@asynccontextmanager
async def parrot(answer: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """A server that answers with what it makes of the bytes that it was sent; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await reader.read(8_000)
        writer.write(answer(received))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


PARROTS: Mapping[str, Callable[[bytes], bytes]] = {
    "status line": lambda sent: b"HTTP/1.1 " + sent.replace(b"\r\n", b" ") + b"\r\n\r\n",
    "header": lambda sent: b"HTTP/1.1 200 OK\r\n" + sent.replace(b"\r\n", b" ") + b"\r\n\r\n",
    "chunk": lambda sent: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent + b"\r\n",
    "everything": lambda sent: sent,
}


@every_channel
@pytest.mark.parametrize("kind", PARROTS)
async def test_an_answer_that_is_no_http_and_repeats_the_request(kind: str, label: str, clock: ManualClock) -> None:
    with heard() as log:
        async with parrot(PARROTS[kind]) as port:
            address = f"http://127.0.0.1:{port}"
            token_url = {"tokenUrl": f"{address}/token"} if label in HTTP2 else {}
            async with opened(label, clock, seconds=0.8, baseUrl=address, **token_url) as (hall, channel):
                spy = Spy(hall, label)
                said = await tell(label, channel, clock, spy)
                assert not any(isinstance(outcome, Accepted) for outcome in said)
        assert_silent(said, log(), spy)


@every_channel
@pytest.mark.parametrize("kind", [*PARROTS, "refusal"])
async def test_a_proxy_that_refuses(kind: str, label: str, clock: ManualClock) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with heard() as log:
        async with parrot(PARROTS.get(kind, lambda _: refusal)) as port:
            changes = {
                "baseUrl": "https://vendor.example", "tokenUrl": "https://vendor.example/token",
                "proxy": f"http://someone:{PASSWORD}@127.0.0.1:{port}",
            }  # fmt: skip
            async with opened(label, clock, seconds=0.8, **changes) as (hall, channel):
                spy = Spy(hall, label)
                said = await tell(label, channel, clock, spy)
        assert_silent(said, log(), spy)


@pytest.mark.parametrize("fate", Fate)
def test_what_a_peer_says_when_it_leaves(fate: Fate) -> None:
    """The debug data of a goodbye, the status line of a proxy: as far as they have no token in them."""
    secret = known("apns")["privateKey"].splitlines()[1]
    said = outcome_without_answer(
        Answer(fate, detail=f"the peer went away: NO_ERROR {secret} {TOKENS['apns'][0]}\0")
    )
    assert said.text == "the peer went away: NO_ERROR … … "
    check = check_of(said, "https://vendor.example")
    assert secret not in check.text


@every_channel
async def test_settings(label: str) -> None:
    file = {**known(label), "proxy": f"http://someone:{PASSWORD}@127.0.0.1:1"}
    settings = parse(label, json.dumps(file).encode())
    shown = f"{settings!r} {settings} {[settings]!r} {list(settings.__rich_repr__())!r}"
    secrets = [*secrets_of(known(label)), PASSWORD]
    assert len(secrets) > 1
    assert [secret for secret in secrets if secret in shown] == []
    assert re.match(r"\w+Settings\(", shown)
