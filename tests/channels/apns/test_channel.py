"""The channel with real sockets: against the simulator over TLS, and against a peer that misbehaves."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import h2.errors
import h2.settings
import msgspec
import pytest
from msgspec.structs import replace

from clarion.channels.apns import open_channel, parse
from clarion.channels.apns.payload import MAX_PAYLOAD, notification_id
from clarion.channels.base import (
    Accepted,
    ConfigError,
    Envelope,
    InvalidToken,
    NotRecallable,
    PayloadError,
    RateLimited,
    Retry,
    SendOutcome,
    Superseded,
    Unknown,
    VendorCopy,
)
from clarion.channels.message import Activity, PushContent
from clarion.clock import ManualClock
from clarion.simulators.hall import Hall
from tests.channels.apns.harness import TOKEN, behaving, envelopes, key_pem, refuse, settings_file, simulated
from tests.channels.host import CONTENT, envelope, fault
from tests.unit.http2.peer import Peer, Seen, answer_200

NEVER = ManualClock()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def kinds(outcomes: Any) -> Counter[type[SendOutcome]]:
    return Counter(type(outcome) for outcome in outcomes)


def journal(hall: Hall) -> list[Any]:
    return list(hall.journal.entries())


def path_of(seen: Seen) -> bytes:
    return dict(seen.headers)[b":path"]


class TestTheSimulator:
    async def test_many_devices(self, tmp_path: Path, clock: ManualClock) -> None:
        async with simulated(tmp_path, clock) as (hall, channel):
            sent = envelopes(300, clock)
            outcomes = await channel.send(sent)
            arrived = {entry.headers["apns-id"]: entry for entry in journal(hall)}
        assert outcomes == [Accepted(notification_id(one.message, one.device)) for one in sent]
        assert len(arrived) == 300
        entry = arrived[notification_id(sent[7].message, 7)]
        assert entry.path == f"/3/device/{sent[7].token}"
        assert {name: entry.headers.get(name) for name in (
            "apns-topic", "apns-push-type", "apns-priority", "apns-expiration", "apns-collapse-id",
        )} == {
            "apns-topic": "com.example.app", "apns-push-type": "alert", "apns-priority": "10",
            "apns-expiration": str(sent[7].expires_at // 1000), "apns-collapse-id": "order-1",
        }  # fmt: skip
        assert json.loads(entry.body)["uri"] == CONTENT.uri

    async def test_a_certificate(self, tmp_path: Path, clock: ManualClock) -> None:
        async with simulated(tmp_path, clock, "apns-certificate") as (hall, channel):
            outcomes = await channel.send(envelopes(50, clock))
            check = await channel.check()
            assert "authorization" not in journal(hall)[0].headers
        assert kinds(outcomes) == {Accepted: 50}
        assert check.ok
        assert check.expires_at is not None
        assert check.expires_at > clock.now_ms()

    async def test_a_certificate_is_not_enough_for_live_activities(
        self, tmp_path: Path, clock: ManualClock
    ) -> None:
        content = PushContent("T", "C", activity=Activity("update", {"a": 1}))
        async with simulated(tmp_path, clock, "apns-certificate") as (hall, channel):
            outcome, *others = await channel.send(
                [envelope(TOKEN, clock.now_ms(), content=content), *envelopes(2, clock)]
            )
            assert len(journal(hall)) == 2
        assert isinstance(outcome, ConfigError)
        assert not outcome.whole
        assert "key" in outcome.text
        assert kinds(others) == {Accepted: 2}

    @pytest.mark.parametrize(
        ("content", "push_type", "priority", "topic"),
        [
            (CONTENT, "alert", "10", "com.example.app"),
            (PushContent("T", "C", silent=1), "background", "5", "com.example.app"),
            (
                PushContent("T", "C", activity=Activity("update", {"a": 1})),
                "liveactivity", "10", "com.example.app.push-type.liveactivity",
            ),
            (
                PushContent("T", "C", silent=1, activity=Activity("end")),
                "liveactivity", "5", "com.example.app.push-type.liveactivity",
            ),
            (
                PushContent("T", "C", activity=Activity("start", {}, attributes_type="Match", attributes={})),
                "liveactivity", "10", "com.example.app.push-type.liveactivity",
            ),
        ],
    )  # fmt: skip
    async def test_kinds_of_notifications(
        self, tmp_path: Path, clock: ManualClock, content: PushContent, push_type: str, priority: str, topic: str
    ) -> None:
        async with simulated(tmp_path, clock) as (hall, channel):
            (outcome,) = await channel.send([envelope(TOKEN, clock.now_ms(), content=content)])
            headers = journal(hall)[0].headers
        assert isinstance(outcome, Accepted)
        assert (headers["apns-push-type"], headers["apns-priority"], headers["apns-topic"]) == (
            push_type, priority, topic,
        )  # fmt: skip
        assert ("apns-collapse-id" in headers) is (push_type == "alert")

    async def test_the_newest_update_of_a_live_activity_alone(self, tmp_path: Path, clock: ManualClock) -> None:
        def to(token: str, number: int, event: str, state: int) -> Envelope:
            content = PushContent("T", "C", activity=Activity(event, {"a": state}, None, "Match", {}))
            return envelope(token, clock.now_ms(), content=content, message=(250 << 40) + number)

        other = "cd" * 80
        wanted = [
            to(TOKEN, 2, "update", 2), to(TOKEN, 9, "update", 9), to(other, 3, "update", 3),
            to(TOKEN, 5, "update", 5), to(TOKEN, 7, "end", 7), *envelopes(1, clock),
            to("ef" * 80, 1, "start", 1), to("ef" * 80, 4, "start", 4),
        ]  # fmt: skip
        async with simulated(tmp_path, clock) as (hall, channel):
            await channel.send(envelopes(1, clock))
            hall.journal.clear()
            outcomes = await channel.send(wanted)
            bodies = [json.loads(entry.body) for entry in journal(hall)]
        assert [type(outcome) for outcome in outcomes] == [
            Superseded, Accepted, Accepted, Superseded, Accepted, Accepted, Accepted, Accepted,
        ]  # fmt: skip
        states = [body["aps"]["content-state"]["a"] for body in bodies if "content-state" in body["aps"]]
        assert sorted(states) == [1, 3, 4, 7, 9]

    async def test_contents_may_differ(self, tmp_path: Path, clock: ManualClock) -> None:
        contents = [PushContent(f"T{n}", "C", params={"big_text": 1} if n % 2 else {}) for n in range(10)]
        sent = [replace(one, content=contents[one.device]) for one in envelopes(10, clock)]
        async with simulated(tmp_path, clock) as (hall, channel):
            outcomes = await channel.send(sent)
            titles = {e.path[-2:]: json.loads(e.body)["aps"]["alert"]["title"] for e in journal(hall)}
        assert titles == {f"{n:02x}": f"T{n}" for n in range(10)}
        assert [bool(outcome.notes) for outcome in outcomes if isinstance(outcome, Accepted)] == [False, True] * 5

    async def test_outcomes_are_those_of_their_envelopes(self, tmp_path: Path, clock: ManualClock) -> None:
        sent = envelopes(40, clock)
        async with simulated(tmp_path, clock) as (hall, channel):
            fault(hall, "apns", "code", code="Unregistered", token=sent[3].token, since=clock.now_ms() - 9)
            fault(hall, "apns", "code", code="BadDeviceToken", token=sent[11].token)
            fault(hall, "apns", "code", code="TooManyRequests", token=sent[39].token, retryAfter=5)
            outcomes = list(await channel.send(sent))
        assert isinstance(gone := outcomes.pop(3), InvalidToken)
        assert gone.since == clock.now_ms() - 9
        assert isinstance(outcomes.pop(10), InvalidToken)
        assert isinstance(limited := outcomes.pop(37), RateLimited)
        assert (limited.until, limited.whole) == (clock.now_ms() + 5000, False)
        assert kinds(outcomes) == {Accepted: 37}

    async def test_a_token_that_expires_under_way_is_renewed_once_for_all(
        self, tmp_path: Path, clock: ManualClock
    ) -> None:
        async with simulated(tmp_path, clock) as (hall, channel):
            await channel.send(envelopes(1, clock))
            before = hall.simulators["apns"].tokens.updates  # type: ignore[attr-defined]
            fault(hall, "apns", "expired_auth", count=1)
            outcomes = await channel.send(envelopes(200, clock))
            shown = {entry.headers["authorization"] for entry in journal(hall)}
        assert before == 1, "the simulator takes one new token in 20 minutes"
        assert kinds(outcomes) == {Accepted: 200}
        assert len(shown) == 2

    async def test_one_that_expires_again_and_again_is_the_operator_s_matter(self, clock: ManualClock) -> None:
        def expire(peer: Peer, stream: int, _: Seen) -> None:
            refuse(peer, stream, 403, "ExpiredProviderToken")

        async with behaving(expire, clock) as (server, channel):
            for _ in range(3):
                assert kinds(await channel.send(envelopes(50, clock))) == {ConfigError: 50}
            shown = [dict(seen.headers)[b"authorization"] for seen in server.peers[0].requests.values()]
        assert len(shown) == 4, "one goes ahead of each fifty, the first of them twice"
        assert len(set(shown)) == 2

    async def test_hours_pass(self, tmp_path: Path, clock: ManualClock) -> None:
        async with simulated(tmp_path, clock) as (_, channel):
            for _ in range(40):
                assert kinds(await channel.send(envelopes(2, clock))) == {Accepted: 2}
                clock.advance(601)

    async def test_wrong_credentials_are_shown_once_and_not_for_each_device(
        self, tmp_path: Path, clock: ManualClock
    ) -> None:
        async with simulated(tmp_path, clock, privateKey=key_pem()) as (hall, channel):
            outcomes = await channel.send(envelopes(500, clock))
            check = await channel.check()
            assert len(journal(hall)) == 2
        assert kinds(outcomes) == {ConfigError: 500}
        assert not check.ok
        assert check.reached
        assert "InvalidProviderToken" in check.text

    async def test_another_app_s_key(self, tmp_path: Path, clock: ManualClock) -> None:
        async with simulated(tmp_path, clock) as (hall, channel):
            hall.configure("apns", {"topics": ["com.example.other"]})
            check = await channel.check()
        assert not check.ok
        assert "TopicDisallowed" in check.text

    async def test_the_check_reaches_nobody(self, tmp_path: Path, clock: ManualClock) -> None:
        async with simulated(tmp_path, clock) as (hall, channel):
            fault(hall, "apns", "code", code="BadDeviceToken", token="0" * 64)
            check = await channel.check()
            assert journal(hall)[0].tokens == ["0" * 64]
        assert check.ok
        assert check.reached

    async def test_a_gateway_that_is_not_trusted(self, tmp_path: Path, clock: ManualClock) -> None:
        async with simulated(tmp_path, clock) as (hall, _):
            file = msgspec.json.decode(settings_file(baseUrl=hall.url("apns")))
            channel = open_channel(parse(msgspec.json.encode(file)), clock)
            sending = asyncio.ensure_future(channel.send(envelopes(2, clock)))
            while channel._pool.fault is None:  # noqa: ASYNC110 - a test is over before this costs anything
                await asyncio.sleep(0.01)
            await channel.close()
            outcomes = await sending
            assert "certificate verify failed" in channel._pool.fault
        assert kinds(outcomes) == {Retry: 2}


class TestMisbehaviour:
    async def test_goodbyes_lose_and_double_nothing(self, clock: ManualClock) -> None:
        served = Counter[bytes]()

        def leave(peer: Peer, stream: int, seen: Seen) -> None:
            if peer.ended_at and stream > peer.ended_at:
                return
            served[dict(seen.headers)[b"apns-id"]] += 1
            answer_200(peer, stream, seen)
            if len(peer.requests) >= 20 and not peer.ended_at:
                peer.leave(stream)

        async with behaving(leave, clock) as (_, channel):
            outcomes = await channel.send(envelopes(500, clock))
        assert kinds(outcomes) == {Accepted: 500}
        assert set(served.values()) == {1}
        assert {o.vendor_id.encode() for o in outcomes if isinstance(o, Accepted)} == set(served)

    async def test_refused_streams_are_sent_again_with_the_same_id(self, clock: ManualClock) -> None:
        seen_ids = Counter[bytes]()

        def refuse_first(peer: Peer, stream: int, seen: Seen) -> None:
            name = dict(seen.headers)[b"apns-id"]
            seen_ids[name] += 1
            if seen_ids[name] == 1:
                peer.connection.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
            else:
                answer_200(peer, stream, seen)

        async with behaving(refuse_first, clock) as (_, channel):
            outcomes = await channel.send(envelopes(100, clock))
        assert kinds(outcomes) == {Accepted: 100}
        assert set(seen_ids.values()) == {2}

    async def test_what_is_always_refused_may_be_tried_later(self, clock: ManualClock) -> None:
        def refuse_all(peer: Peer, stream: int, _: Seen) -> None:
            peer.connection.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)

        async with behaving(refuse_all, clock) as (_, channel):
            assert kinds(await channel.send(envelopes(5, clock))) == {Retry: 5}

    async def test_a_lost_connection_leaves_it_unknown(self, clock: ManualClock) -> None:
        async with behaving(lambda *_: None, clock) as (server, channel):
            sending = asyncio.ensure_future(channel.send(envelopes(1, clock)))
            await server.received(1)
            server.transports[0].abort()
            assert kinds(await sending) == {Unknown: 1}
            assert len(server.paths) == 1, "it was not sent again"

    async def test_a_stream_that_is_given_up_by_the_peer_is_unknown(self, clock: ManualClock) -> None:
        def reset(peer: Peer, stream: int, seen: Seen) -> None:
            if path_of(seen).endswith(b"1"):
                peer.connection.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            else:
                answer_200(peer, stream, seen)

        async with behaving(reset, clock) as (_, channel):
            outcomes = await channel.send(envelopes(4, clock))
        assert [type(outcome) for outcome in outcomes] == [Accepted, Unknown, Accepted, Accepted]

    async def test_one_stream_until_the_first_answer(self, clock: ManualClock) -> None:
        streams = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
        most = Counter[str]()

        def open_up(peer: Peer, stream: int, seen: Seen) -> None:
            allowed = 1 if len(peer.requests) == 1 else 1000
            most["beyond"] += sum(not one.ended for one in peer.requests.values()) > allowed
            answer_200(peer, stream, seen)
            peer.connection.update_settings({streams: 1000})

        async with behaving(open_up, clock, settings={streams: 1}) as (_, channel):
            assert kinds(await channel.send(envelopes(300, clock))) == {Accepted: 300}
        assert most["beyond"] == 0

    async def test_nobody_there(self, clock: ManualClock) -> None:
        channel = open_channel(parse(settings_file(baseUrl="http://127.0.0.1:1")), clock)
        checking = asyncio.ensure_future(channel.check())
        while channel._pool.fault is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await channel.close()
        check = await checking
        assert not check.ok
        assert not check.reached

    async def test_a_reason_in_pieces_is_still_a_reason(self, clock: ManualClock) -> None:
        def hesitate(peer: Peer, stream: int, _: Seen) -> None:
            peer.connection.send_headers(stream, [(b":status", b"400")])
            for part in (b'{"reason":', b'"Payload', b'TooLarge"}'):
                peer.connection.send_data(stream, part)
            peer.connection.end_stream(stream)

        async with behaving(hesitate, clock) as (_, channel):
            (outcome,) = await channel.send(envelopes(1, clock))
        assert isinstance(outcome, PayloadError)
        assert outcome.code == "PayloadTooLarge"


class TestWithoutSending:
    async def test_too_large_a_payload_is_not_sent(self, clock: ManualClock) -> None:
        def sized(size: int) -> Envelope:
            return envelope(TOKEN, clock.now_ms(), content=PushContent("T", "键" * (size // 3) + "x" * (size % 3)))

        async with behaving(answer_200, clock) as (server, channel):
            (small,) = await channel.send([sized(0)])
            (body,) = [bytes(seen.body) for seen in server.peers[0].requests.values()]
            room = MAX_PAYLOAD - len(body)
            fits, over = await channel.send([sized(room), sized(room + 1)])
            assert len(server.paths) == 2
        assert isinstance(small, Accepted)
        assert isinstance(fits, Accepted)
        assert over == PayloadError(
            "PayloadTooLarge", "the payload has 4097 bytes, 4096 are allowed; it was not sent"
        )

    @pytest.mark.parametrize("token", ["", "a/b", "ab\r\nx: y", "a b", "../x", "é" * 64, "a" * 257, "ab?c"])
    async def test_what_is_no_token_is_not_sent(self, clock: ManualClock, token: str) -> None:
        async with behaving(answer_200, clock) as (server, channel):
            (outcome,) = await channel.send([envelope(token, clock.now_ms())])
            assert not server.peers
        assert isinstance(outcome, InvalidToken)

    async def test_capital_digits_are_the_same_token(self, clock: ManualClock) -> None:
        async with behaving(answer_200, clock) as (server, channel):
            await channel.send([envelope("AB" * 32, clock.now_ms())])
            assert server.paths == [b"/3/device/" + b"ab" * 32]

    async def test_nothing_to_send(self, clock: ManualClock) -> None:
        async with behaving(answer_200, clock) as (_, channel):
            assert list(await channel.send([])) == []

    async def test_nothing_is_taken_back(self, clock: ManualClock) -> None:
        channel = open_channel(parse(settings_file()), clock)
        copies = [VendorCopy(1, 2, TOKEN, "id", "key")] * 3
        outcomes = await channel.recall(copies)
        assert [type(outcome) for outcome in outcomes] == [NotRecallable] * 3
        await channel.close()

    async def test_no_secret_and_no_token_is_in_outcomes(self, tmp_path: Path, clock: ManualClock) -> None:
        sent = envelopes(3, clock)
        async with behaving(lambda peer, stream, _: refuse(peer, stream, 403, "InvalidProviderToken"), clock) as (
            server,
            channel,
        ):
            said = repr((await channel.send(sent), await channel.check(), channel))
            (shown,) = {dict(seen.headers)[b"authorization"] for p in server.peers for seen in p.requests.values()}
        assert shown.startswith(b"bearer ey")
        assert shown[7:].decode() not in said
        assert all(one.token not in said for one in sent)
        assert "PRIVATE" not in said
