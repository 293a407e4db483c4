"""Answers that are broken, slow, huge, or of the wrong types do no harm to any channel."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Callable
from functools import cache
from itertools import product
from typing import Any

import msgspec
import pytest
from aiohttp import web

from clarion.channels.base import Accepted, InvalidToken, RateLimited, Retry, SendOutcome, Unknown
from clarion.channels.huawei_answers import NOBODY
from clarion.clock import ManualClock
from clarion.simulators.base import Received, Reply
from clarion.simulators.hall import Hall
from tests.channels.every import HTTP2, LABELS, MESSAGES, OAUTH, TOKENS, copies, envelopes, is_message, opened, send
from tests.channels.host import fault

every_channel = pytest.mark.parametrize("label", LABELS)
everywhere_or_not = pytest.mark.parametrize("everywhere", [False, True], ids=["messages", "everything"])
HOUR_MS = 3_600_000


class Canned:
    """In place of a simulator: one answer to all messages, or to everything.

    Attributes:
        reply: the answer.
    """

    def __init__(self, hall: Hall, label: str, *, everywhere: bool = False) -> None:
        self.reply = Reply(500)
        simulator: Any = hall.simulators[label]
        own: Callable[[Received], Reply] = simulator.handle

        def handle(request: Received) -> Reply:
            return self.reply if everywhere or is_message(request) else own(request)

        simulator.handle = handle


@every_channel
@pytest.mark.parametrize("kind", ["reset", "half", "garbage", "huge", "overrun"])
async def test_a_broken_answer(kind: str, label: str, clock: ManualClock) -> None:
    async with opened(label, clock, seconds=2.0) as (hall, channel):
        assert isinstance(await send(label, channel, clock), Accepted)
        fault(hall, label, kind, path=MESSAGES[label], count=1)
        outcome = await send(label, channel, clock)
        # APNs says all with its status; over HTTP/2 frames tell the length.
        whole = (label, kind) == ("apns", "garbage") or (label in HTTP2 and kind == "overrun")
        assert isinstance(outcome, Accepted if whole else Unknown)
        assert TOKENS[label][0] not in repr(outcome)
        # What is left of it does not come as the answer to the next.
        (first, second) = await channel.send(envelopes(label, clock, 2))
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)


@pytest.mark.parametrize("label", [label for label in LABELS if label not in HTTP2])
@pytest.mark.parametrize("size", [5_000_000, 200_000_000])
async def test_an_answer_that_grows_when_it_is_unpacked(size: int, label: str, clock: ManualClock) -> None:
    async with opened(label, clock) as (hall, channel):
        canned = Canned(hall, label)
        canned.reply = Reply(200, packed_zeros(size), {"Content-Encoding": "gzip"})
        tracemalloc.start()
        try:
            assert isinstance(await send(label, channel, clock), Unknown)
            assert tracemalloc.get_traced_memory()[1] < 60_000_000
        finally:
            tracemalloc.stop()


@cache
def packed_zeros(size: int) -> bytes:
    """So many bytes, of which a thousandth is sent."""
    return gzip.compress(bytes(size), 9)


@every_channel
@pytest.mark.parametrize("kind", ["stall", "trickle"])
async def test_an_answer_that_takes_too_long(kind: str, label: str, clock: ManualClock) -> None:
    async with opened(label, clock, seconds=0.4) as (hall, channel):
        fault(hall, label, kind, path=MESSAGES[label], seconds=600, count=1)
        async with asyncio.timeout(4):
            assert await send(label, channel, clock) == Unknown("", "no answer in time")
        assert isinstance(await send(label, channel, clock), Accepted)


@pytest.mark.parametrize("label", OAUTH)
@pytest.mark.parametrize("kind", ["half", "garbage", "huge", "stall", "trickle", "overrun"])
async def test_a_broken_answer_to_the_call_for_an_access_token(kind: str, label: str, clock: ManualClock) -> None:
    async with opened(label, clock, seconds=0.5) as (hall, channel):
        fault(hall, label, kind, seconds=600, count=1)
        assert isinstance(await send(label, channel, clock), Retry)  # no message was under way
        clock.advance(2)
        assert isinstance(await send(label, channel, clock), Accepted)


class Elsewhere:
    """A server that no channel should ever call.

    Attributes:
        url: where it is.
        heard: what came.
    """

    def __init__(self) -> None:
        self.url = ""
        self.heard: list[str] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.heard.append(f"{request.method} {request.rel_url}")
        return web.json_response({"code": 0, "result": 0, "access_token": "stolen"})


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    place = Elsewhere()
    runner = web.ServerRunner(web.Server(place.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place.url = f"http://127.0.0.1:{runner.addresses[0][1]}/elsewhere"
    yield place
    await runner.cleanup()


@every_channel
@everywhere_or_not
async def test_a_redirection_is_not_followed(
    everywhere: bool, label: str, clock: ManualClock, elsewhere: Elsewhere
) -> None:
    async with opened(label, clock) as (hall, channel):
        canned = Canned(hall, label, everywhere=everywhere)
        for status in (301, 302, 303, 307, 308):
            canned.reply = Reply(status, b"", {"Location": elsewhere.url})
            outcome = await send(label, channel, clock)
            assert not isinstance(outcome, Accepted | InvalidToken)
            assert elsewhere.url not in repr(outcome)
            assert not (await channel.check()).ok or not everywhere
            await channel.recall(copies(label))
            clock.advance(700)
        assert elsewhere.heard == []


@every_channel
async def test_a_redirection_by_a_fault(label: str, clock: ManualClock, elsewhere: Elsewhere) -> None:
    async with opened(label, clock) as (hall, channel):
        fault(hall, label, "redirect", body=elsewhere.url, path=MESSAGES[label], count=1)
        assert not isinstance(await send(label, channel, clock), Accepted)
        assert elsewhere.heard == []


NAMES = (
    *("code", "result", "Code", "reason", "msg", "message", "desc", "description", "Message", "error", "data"),
    *("taskId", "requestId", "BizId", "name", "invalidUser", "invalidUsers", "timestamp", "access_token"),
)
"""Members of the answers of all vendors."""
VALUES: tuple[object, ...] = (
    *(None, True, 0, 7, -1, 2**70, 1.5, "", "0", "80000000", "OK", "x" * 3_000, "\x1b[2J\n\x00", [], [[]], {}),
    *([None], [7, "x"], {"code": []}, {"details": [7]}, {"message": {}, "status": [], "details": {}}),
)
ODD = (
    b"", b"null", b"7", b"[]", b'"x"', b"{}", b"{", b"[" * 50_000, b"\xff\xfe", b'{"code":' + b"9" * 6_000 + b"}",
    *(msgspec.json.encode(dict.fromkeys(NAMES, value)) for value in VALUES),
)  # fmt: skip


@every_channel
@everywhere_or_not
async def test_answers_of_wrong_types(label: str, everywhere: bool, clock: ManualClock) -> None:
    async with opened(label, clock) as (hall, channel):
        canned = Canned(hall, label, everywhere=everywhere)
        for body, status in product(ODD, (200, 400, 403, 410, 500)):
            canned.reply = Reply(status, body, {"Content-Type": "application/json"})
            outcomes = await channel.send(envelopes(label, clock, 2))
            assert len(outcomes) == 2
            for outcome in outcomes:
                assert isinstance(outcome, SendOutcome)
                assert isinstance(outcome, InvalidToken) <= (label == "apns" and status == 410)
                assert isinstance(outcome, Accepted) <= (status == 200)
                check_bounds(outcome, clock)
            assert len((await channel.check()).text) < 600
            assert len(await channel.recall(copies(label))) == 1
            clock.advance(700)  # an access token that was refused is asked for again


def check_bounds(outcome: SendOutcome, clock: ManualClock) -> None:
    """What is written down of an outcome is short, and no vendor makes an app wait for long."""
    texts = [str(getattr(outcome, name, "")) for name in ("code", "text", "vendor_id")]
    assert len(texts[0]) <= 100
    assert len(texts[1]) <= 300
    assert len(texts[2]) <= 256
    assert all(text.isprintable() for text in texts)
    if isinstance(outcome, RateLimited):
        assert 0 <= outcome.until - clock.now_ms() <= 24 * HOUR_MS
    if isinstance(outcome, Retry):
        assert outcome.after is None or 0 <= outcome.after <= 3600


AFTER = ("999999999", "9" * 400, "-5", "soon", "Fri, 31 Dec 9999 23:59:59 GMT", "0", "1e9")


@every_channel
async def test_nobody_waits_for_years(label: str, clock: ManualClock) -> None:
    async with opened(label, clock) as (hall, channel):
        canned = Canned(hall, label)
        for after, status in product(AFTER, (429, 500, 503)):
            canned.reply = Reply(status, b"{}", {"Retry-After": after})
            outcome = await send(label, channel, clock)
            # The SMS service may have sent what it failed with.
            assert isinstance(outcome, Unknown if (label, status) == ("sms", 500) else Retry | RateLimited)
            check_bounds(outcome, clock)
            clock.advance(4000)


LIMITED: dict[str, tuple[int, object]] = {
    "apns": (429, {"reason": "TooManyProviderTokenUpdates"}),
    "fcm": (429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m"}}),
    "hms": (200, {"code": "80100017", "msg": "m"}),
    "harmony": (200, {"code": "80300029", "msg": "m"}),
    "honor": (200, {"code": 503, "message": "m"}),
    "miui": (200, {"code": 10027, "reason": "m"}),
    "oppo": (200, {"code": 13, "message": "m"}),
    "vivo": (200, {"result": 10072, "desc": "m"}),
    "sms": (400, {"Code": "Throttling.User", "Message": "m"}),
}


@every_channel
async def test_one_waits_as_long_as_the_vendor_asks_for(label: str, clock: ManualClock) -> None:
    status, body = LIMITED[label]
    async with opened(label, clock) as (hall, channel):
        canned = Canned(hall, label)
        canned.reply = Reply(status, msgspec.json.encode(body), {"Retry-After": "77"})
        outcome = await send(label, channel, clock)
        assert isinstance(outcome, RateLimited)
        assert outcome.until == clock.now_ms() + 77_000


def test_nobody_is_not_a_token_of_the_tests() -> None:
    assert NOBODY not in {token for tokens in TOKENS.values() for token in tokens}
