"""The host over HTTP/2: limits, goodbyes, faults, certificates; on the wire, frame by frame."""

from __future__ import annotations

import asyncio
import ssl
import time
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from h2.exceptions import InvalidBodyLengthError
from tests.unit.simulators.wire import DEVICE, Wire, connected

from clarion.http2.exchange import Fate
from clarion.http2.headers import HeaderSet, literal
from clarion.http2.origin import Origin
from clarion.http2.pool import Pool, PoolLimits, Request
from clarion.simulators.desk import HUGE_BODY
from clarion.simulators.faults import Fault, FaultKind
from clarion.simulators.hall import Hall

PATH = f"/3/device/{DEVICE}"
BODY = b'{"aps":{"alert":"a"}}'
REFUSED_STREAM = 7


def fault(hall: Hall, kind: FaultKind, **more: Any) -> None:
    hall.faults.set([Fault(channel="apns", kind=kind, **more)])


async def known(wire: Wire, headers: Mapping[str, str]) -> None:
    """Send a first notification, after which the sender may have many streams."""
    assert (await wire.answer(wire.post(PATH, BODY, headers)))[0] == 200


async def test_one_stream_until_the_sender_is_known(hall: Hall, headers: Mapping[str, str]) -> None:
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        streams = [wire.post(PATH, BODY, headers) for _ in range(3)]
        await wire.until(lambda: wire.refused.keys() | wire.ended >= set(streams))
        # The three came in one piece; the first was not answered yet when the others began.
        assert wire.refused == dict.fromkeys(streams[1:], REFUSED_STREAM)
        await wire.until(lambda: len(wire.limits) > 1)
        assert wire.limits == [1, 1000]
        more = [wire.post(PATH, BODY, headers) for _ in range(300)]
        await wire.until(lambda: wire.ended >= set(more))
        assert set(wire.statuses.values()) == {200}
    assert len(hall.journal) == 301


async def test_a_bad_sender_keeps_one_stream(hall: Hall, headers: Mapping[str, str]) -> None:
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        bad = {**headers, "authorization": "bearer a.b.c"}
        assert await wire.answer(wire.post(PATH, BODY, bad)) == (403, {"reason": "InvalidProviderToken"})
        assert wire.limits == [1]


async def test_the_limit_may_change_at_any_time(hall: Hall, headers: Mapping[str, str]) -> None:
    fault(hall, FaultKind.STALL, skip=1)
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        await known(wire, headers)
        hall.configure("apns", {"maxStreams": 2})
        await wire.until(lambda: wire.limits == [1, 1000, 2])
        streams = [wire.post(PATH, BODY, headers) for _ in range(2)]
        wire.flush()
        hall.configure("apns", {"maxStreams": 5})
        await wire.until(lambda: wire.limits == [1, 1000, 2, 5])
        streams += [wire.post(PATH, BODY, headers) for _ in range(4)]
        await wire.until(lambda: bool(wire.refused))
        assert wire.refused == {streams[5]: REFUSED_STREAM}


async def test_headers_that_come_twice(hall: Hall, headers: Mapping[str, str]) -> None:
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        stream = wire.post(PATH, BODY, headers, more=("apns-topic", "com.example.app"))
        assert await wire.answer(stream) == (400, {"reason": "DuplicateHeaders"})


async def test_a_goodbye_leaves_what_is_above_it_unprocessed(hall: Hall, headers: Mapping[str, str]) -> None:
    fault(hall, FaultKind.LATENCY, seconds=0.05, skip=1)
    fault(hall, FaultKind.GOAWAY, skip=3, count=1, body='{"reason":"Shutdown"}')
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        await known(wire, headers)
        streams = [wire.post(PATH, BODY, headers) for _ in range(6)]
        await wire.until(lambda: wire.goodbye is not None)
        assert wire.goodbye == (streams[2], b'{"reason":"Shutdown"}')
        await wire.until(lambda: wire.ended >= set(streams[:3]))
        late = wire.post(PATH, BODY, headers)
        await wire.until(lambda: wire.lost)
        assert not wire.broken
        assert wire.ended.isdisjoint({*streams[3:], late})
    assert len(hall.journal) == 4


async def test_what_was_begun_before_a_goodbye_is_answered(hall: Hall, headers: Mapping[str, str]) -> None:
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        await known(wire, headers)
        fault(hall, FaultKind.GOAWAY, token="b2" * 32)
        slow = wire.post(PATH, BODY[:5], headers, ends=False)
        other = wire.post(PATH.replace("a1", "b2"), BODY, headers)
        await wire.until(lambda: wire.goodbye is not None)
        assert wire.goodbye == (other, b"")
        wire.rest(slow, BODY[5:])
        await wire.until(lambda: wire.lost)
        assert wire.ended >= {slow, other}
        assert set(wire.statuses.values()) == {200}
    assert len(hall.journal) == 3


@pytest.mark.parametrize("every", [1, 7])
async def test_a_sender_loses_and_doubles_nothing(hall: Hall, headers: Mapping[str, str], every: int) -> None:
    fault(hall, FaultKind.GOAWAY, every=every)
    fault(hall, FaultKind.REFUSED_STREAM, every=5)
    context = ssl.create_default_context(cafile=str(hall.ca_file))
    context.set_alpn_protocols(["h2"])
    where = urlsplit(hall.url("apns"))
    pool = Pool(Origin("127.0.0.1", where.port or 0, context), PoolLimits(connections=2, attempts=1000))
    shared = HeaderSet(where.netloc, [(name.encode(), value.encode()) for name, value in headers.items()])
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(60)]
    answers = await pool.send_all(
        [Request(shared, PATH.encode(), BODY, literal(b"apns-id", message.encode())) for message in ids]
    )
    await pool.close()
    assert {(answer.fate, answer.status) for answer in answers} == {(Fate.ANSWERED, 200)}
    assert sorted(entry.headers["apns-id"] for entry in hall.journal.entries()) == ids
    assert pool.resent > 0


async def test_resets(hall: Hall, headers: Mapping[str, str]) -> None:
    for kind, journal in ((FaultKind.RESET, 1), (FaultKind.REFUSE, 0)):
        hall.faults.clear()
        hall.journal.clear()
        fault(hall, kind)
        async with connected(hall.url("apns"), hall.ca_file) as wire:
            wire.post(PATH, BODY, headers)
            await wire.until(lambda wire=wire: wire.lost)  # type: ignore[misc]
            assert wire.broken
            assert not wire.statuses
        assert len(hall.journal) == journal


async def test_half_an_answer(hall: Hall, headers: Mapping[str, str]) -> None:
    fault(hall, FaultKind.HALF)
    fault(hall, FaultKind.CODE, code="BadDeviceToken")
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        stream = wire.post(PATH, BODY, headers)
        await wire.until(lambda: wire.lost)
        assert (wire.statuses[stream], stream in wire.ended) == (400, False)
        assert b'{"reason":"BadDeviceToken"}'.startswith(wire.bodies[stream])
        assert wire.bodies[stream]


async def test_answers_byte_by_byte(hall: Hall, headers: Mapping[str, str]) -> None:
    fault(hall, FaultKind.TRICKLE, seconds=0.05)
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        assert await wire.answer(wire.post(PATH, BODY, headers)) == (200, {})
        fault(hall, FaultKind.CODE, code="BadDeviceToken")
        before = time.monotonic()
        assert await wire.answer(wire.post(PATH, BODY, headers)) == (400, {"reason": "BadDeviceToken"})
        assert time.monotonic() - before >= 0.04


async def test_an_answer_that_is_longer_than_it_says(hall: Hall, headers: Mapping[str, str]) -> None:
    fault(hall, FaultKind.OVERRUN)
    fault(hall, FaultKind.CODE, code="BadDeviceToken")
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        wire.post(PATH, BODY, headers)
        with pytest.raises(InvalidBodyLengthError):
            await wire.until(lambda: wire.lost)


async def test_a_stalled_stream_does_not_hold_up_others(hall: Hall, headers: Mapping[str, str]) -> None:
    fault(hall, FaultKind.STALL, token=DEVICE)
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        other = PATH.replace("a1", "b2")
        assert (await wire.answer(wire.post(other, BODY, headers)))[0] == 200
        stalled = wire.post(PATH, BODY, headers)
        assert (await wire.answer(wire.post(other, BODY, headers)))[0] == 200
        assert stalled not in wire.statuses


async def test_a_refused_stream(hall: Hall, headers: Mapping[str, str]) -> None:
    fault(hall, FaultKind.REFUSED_STREAM, count=1)
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        stream = wire.post(PATH, BODY, headers)
        await wire.until(lambda: bool(wire.refused))
        assert wire.refused == {stream: REFUSED_STREAM}
        await known(wire, headers)
    assert len(hall.journal) == 1


async def test_a_huge_answer_waits_for_room(hall: Hall, headers: Mapping[str, str]) -> None:
    fault(hall, FaultKind.HUGE)
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        stream = wire.post(PATH, BODY, headers)
        await wire.until(lambda: stream in wire.ended)
        assert len(wire.bodies[stream]) == HUGE_BODY


async def test_another_answer(hall: Hall, headers: Mapping[str, str]) -> None:
    fault(hall, FaultKind.STATUS, status=503, body='{"reason":"ServiceUnavailable"}', retry_after=4)
    async with connected(hall.url("apns"), hall.ca_file) as wire:
        stream = wire.post(PATH, BODY, headers)
        assert await wire.answer(stream) == (503, {"reason": "ServiceUnavailable"})
        assert wire.headers[stream][b"retry-after"] == b"4"


@pytest.mark.parametrize("offered", ["h2", "http/1.1"])
async def test_a_peer_that_does_not_speak_http2_is_cut(hall: Hall, offered: str) -> None:
    context = ssl.create_default_context(cafile=str(hall.ca_file))
    context.set_alpn_protocols([offered])
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(hall.url("apns")).port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(20):
        while data := await reader.read(65_536):
            assert not data.startswith(b"HTTP")
    writer.close()


async def test_senders_with_a_certificate(hall: Hall, headers: Mapping[str, str]) -> None:
    file = hall.credentials("apns-certificate")
    assert set(file) == {"certificate", "password", "bundleId", "environment", "baseUrl", "caFile"}
    certificate = b64decode(file["certificate"]), file["password"]
    plain = {"apns-push-type": "alert"}
    async with connected(hall.url("apns"), hall.ca_file, certificate=certificate) as wire:
        streams = [wire.post(PATH, BODY, plain) for _ in range(5)]
        await wire.until(lambda: wire.ended >= set(streams))
        assert (wire.limits, set(wire.statuses.values())) == ([1000], {200})
        other = wire.post(PATH, BODY, {**plain, "apns-topic": "com.example.other"})
        assert await wire.answer(other) == (400, {"reason": "TopicDisallowed"})
        activity = {"apns-push-type": "liveactivity", "apns-topic": "com.example.app.push-type.liveactivity"}
        assert await wire.answer(wire.post(PATH, BODY, activity)) == (403, {"reason": "MissingProviderToken"})
        assert await wire.answer(wire.post(PATH, BODY, headers)) == (200, {})


async def test_a_folder_keeps_the_authority_and_the_credentials(tmp_path: Path) -> None:
    async with Hall(labels=["apns"], folder=tmp_path) as first:
        before = first.credentials("apns"), first.ca_file.read_bytes()
    async with Hall(labels=["apns"], folder=tmp_path) as second:
        after = second.credentials("apns"), second.ca_file.read_bytes()
        assert after[0]["baseUrl"] == second.url("apns")
    assert before[1] == after[1]
    assert {**before[0], "baseUrl": ""} == {**after[0], "baseUrl": ""}
    assert (tmp_path / "apns.json").stat().st_mode & 0o077 == 0
    assert (tmp_path / "ca-key.pem").stat().st_mode & 0o077 == 0
