"""The channel with real sockets: against the simulator over TLS, and against peers that misbehave."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import h2.errors
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

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
    Unknown,
    VendorCopy,
)
from clarion.channels.fcm import open_channel, parse
from clarion.channels.fcm.payload import MAX_PAYLOAD
from clarion.channels.message import PushContent
from clarion.clock import ManualClock
from tests.channels.fcm.harness import (
    TOKEN,
    account,
    answer,
    behaving,
    envelopes,
    key,
    settings_file,
    simulated,
    take,
)
from tests.channels.host import envelope, fault
from tests.unit.http2.peer import Peer, Seen


def kinds(outcomes: Any) -> Counter[type[SendOutcome]]:
    return Counter(type(outcome) for outcome in outcomes)


def authorization(seen: Seen) -> bytes:
    return dict(seen.headers)[b"authorization"]


def unauthenticated(peer: Peer, stream: int) -> None:
    answer(peer, stream, 401, {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "m"}})


class TestTheSimulator:
    async def test_many_devices(self, tmp_path: Path, clock: ManualClock) -> None:
        async with simulated(tmp_path, clock) as (hall, channel):
            sent = envelopes(200, clock)
            outcomes = await channel.send(sent)
            entries = [entry for entry in hall.journal.entries() if "messages:send" in entry.path]
        assert kinds(outcomes) == {Accepted: 200}
        names = {outcome.vendor_id for outcome in outcomes if isinstance(outcome, Accepted)}
        assert len(names) == 200
        assert all(name.startswith("projects/clarion-simulated/messages/") for name in names)
        assert {entry.tokens[0] for entry in entries} == {one.token for one in sent}
        assert len(entries) == 200

    @pytest.mark.parametrize(
        "content",
        [
            PushContent("T", "C", silent=1, data_payload={"a": [1]}),
            PushContent("T", "C", uri="a.b.C", action=1, channel_id="c", images={"fcmUrl": "https://e.com/i.png"}),
            PushContent("T", "C", params={"badge": 3, "n": 1, "from": "x", "google.y": "z", "deep": {"x": None}}),
        ],
    )
    async def test_contents(self, tmp_path: Path, clock: ManualClock, content: PushContent) -> None:
        async with simulated(tmp_path, clock) as (_, channel):
            (outcome,) = await channel.send([envelope(TOKEN, clock.now_ms(), content=content)])
        assert isinstance(outcome, Accepted)
        assert bool(outcome.notes) is bool(content.params)

    async def test_outcomes_are_those_of_their_envelopes(self, tmp_path: Path, clock: ManualClock) -> None:
        sent = envelopes(20, clock)
        async with simulated(tmp_path, clock) as (hall, channel):
            fault(hall, "fcm", "code", code="UNREGISTERED", token=sent[3].token)
            fault(hall, "fcm", "code", code="QUOTA_EXCEEDED", token=sent[7].token)
            outcomes = list(await channel.send(sent))
        assert isinstance(outcomes.pop(3), InvalidToken)
        assert isinstance(outcomes.pop(6), RateLimited)
        assert kinds(outcomes) == {Accepted: 18}

    async def test_a_token_that_ends_under_way_is_renewed(self, tmp_path: Path, clock: ManualClock) -> None:
        async with simulated(tmp_path, clock) as (hall, channel):
            await channel.send(envelopes(1, clock))
            fault(hall, "fcm", "expired_auth", count=1)
            outcomes = await channel.send(envelopes(50, clock))
            fetched = [entry for entry in hall.journal.entries() if entry.path == "/token"]
        assert kinds(outcomes) == {Accepted: 50}
        assert len(fetched) == 2

    async def test_hours_pass(self, tmp_path: Path, clock: ManualClock) -> None:
        async with simulated(tmp_path, clock) as (hall, channel):
            for _ in range(8):
                assert kinds(await channel.send(envelopes(2, clock))) == {Accepted: 2}
                clock.advance(1800)
            fetched = [entry for entry in hall.journal.entries() if entry.path == "/token"]
        assert len(fetched) == 4

    async def test_the_check_reaches_nobody(self, tmp_path: Path, clock: ManualClock) -> None:
        async with simulated(tmp_path, clock) as (hall, channel):
            check = await channel.check()
            (entry,) = [entry for entry in hall.journal.entries() if "messages:send" in entry.path]
        assert check.ok
        assert json.loads(entry.body)["validate_only"] is True

    @pytest.mark.parametrize(
        ("changes", "word"),
        [({"client_email": "nobody@example.com"}, "invalid_grant"), ({"project_id": "another"}, "another")],
    )
    async def test_wrong_accounts(
        self, tmp_path: Path, clock: ManualClock, changes: dict[str, Any], word: str
    ) -> None:
        async with simulated(tmp_path, clock) as (hall, _):
            own = hall.credentials("fcm")
            file = {**own, "serviceAccount": {**own["serviceAccount"], **changes}}
            channel = open_channel(parse(msgspec.json.encode(file)), clock)
            check = await channel.check()
            outcomes = await channel.send(envelopes(3, clock))
            await channel.close()
        assert not check.ok
        assert check.reached
        assert word in check.text
        assert kinds(outcomes) == {ConfigError: 3}


class TestAccessTokens:
    async def test_the_assertion_is_one_that_cryptography_verifies(self, clock: ManualClock) -> None:
        async with behaving(take, clock) as (server, desk, channel):
            await channel.send(envelopes(2, clock))
            (form,) = desk.forms
            shown = {authorization(seen) for seen in server.peers[0].requests.values()}
        assert shown == {b"Bearer ya29.1"}
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        header, claims, signature = form["assertion"].split(".")
        key().public_key().verify(
            base64.urlsafe_b64decode(signature + "=="),
            f"{header}.{claims}".encode(),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
        now = clock.now_ms() // 1000
        assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "RS256", "typ": "JWT", "kid": "kid1"}
        assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {
            "iss": "push@a-project.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": "https://oauth2.googleapis.com/token",
            "iat": now,
            "exp": now + 3600,
        }

    async def test_all_who_need_one_wait_for_the_same(self, clock: ManualClock) -> None:
        async with behaving(take, clock) as (_, desk, channel):
            outcomes = await asyncio.gather(*(channel.send(envelopes(3, clock)) for _ in range(30)))
            assert len(desk.forms) == 1
        assert {type(one) for many in outcomes for one in many} == {Accepted}

    async def test_a_refused_one_is_renewed_once_for_all(self, clock: ManualClock) -> None:
        def only_the_second(peer: Peer, stream: int, seen: Seen) -> None:
            if authorization(seen) == b"Bearer ya29.2":
                take(peer, stream)
            else:
                unauthenticated(peer, stream)

        async with behaving(only_the_second, clock) as (_, desk, channel):
            outcomes = await asyncio.gather(*(channel.send(envelopes(3, clock)) for _ in range(10)))
            assert len(desk.forms) == 2
        assert {type(one) for many in outcomes for one in many} == {Accepted}

    async def test_a_second_refusal_is_the_operator_s_matter(self, clock: ManualClock) -> None:
        async with behaving(lambda peer, stream, _: unauthenticated(peer, stream), clock) as (
            server,
            desk,
            channel,
        ):
            assert kinds(await channel.send(envelopes(3, clock))) == {ConfigError: 3}
            assert len(desk.forms) == 2
            assert len(server.paths) == 6

    @pytest.mark.parametrize(
        ("status", "value", "kind", "code"),
        [
            (400, {"error": "invalid_grant", "error_description": "Invalid JWT"}, ConfigError, "invalid_grant"),
            (401, {"error": "invalid_client"}, ConfigError, "invalid_client"),
            (403, [], ConfigError, "403"),
            (429, {}, Retry, "429"),
            (500, {"error": 5}, Retry, "500"),
            (200, {}, Retry, ""),
            (200, {"access_token": "a b\n"}, Retry, ""),
            (200, {"access_token": ""}, Retry, ""),
        ],
    )
    async def test_no_token(
        self, clock: ManualClock, status: int, value: Any, kind: type[SendOutcome], code: str
    ) -> None:
        async with behaving(take, clock) as (server, desk, channel):
            desk.answers = [(status, value)]
            outcomes = await channel.send(envelopes(2, clock))
            assert not server.peers
        assert kinds(outcomes) == {kind: 2}
        assert {outcome.code for outcome in outcomes if not isinstance(outcome, Accepted)} == {code}

    async def test_nobody_there(self, clock: ManualClock) -> None:
        changes = {"baseUrl": "http://127.0.0.1:1", "tokenUrl": "http://127.0.0.1:1/token"}
        channel = open_channel(parse(settings_file(**changes)), clock)
        assert kinds(await channel.send(envelopes(2, clock))) == {Retry: 2}
        check = await channel.check()
        assert not check.ok
        assert not check.reached
        await channel.close()


class TestMisbehaviour:
    async def test_goodbyes_lose_and_double_nothing(self, clock: ManualClock) -> None:
        served = Counter[str]()

        def leave(peer: Peer, stream: int, seen: Seen) -> None:
            if peer.ended_at and stream > peer.ended_at:
                return
            served[json.loads(seen.body)["message"]["token"]] += 1
            take(peer, stream)
            if len(peer.requests) >= 20 and not peer.ended_at:
                peer.leave(stream)

        async with behaving(leave, clock) as (_, _, channel):
            outcomes = await channel.send(envelopes(300, clock))
        assert kinds(outcomes) == {Accepted: 300}
        assert set(served.values()) == {1}

    async def test_refused_streams_are_sent_again(self, clock: ManualClock) -> None:
        seen_tokens = Counter[str]()

        def refuse_first(peer: Peer, stream: int, seen: Seen) -> None:
            token = json.loads(seen.body)["message"]["token"]
            seen_tokens[token] += 1
            if seen_tokens[token] == 1:
                peer.connection.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
            else:
                take(peer, stream)

        async with behaving(refuse_first, clock) as (_, _, channel):
            assert kinds(await channel.send(envelopes(50, clock))) == {Accepted: 50}

    async def test_a_lost_connection_leaves_it_unknown(self, clock: ManualClock) -> None:
        async with behaving(lambda *_: None, clock) as (server, _, channel):
            sending = asyncio.ensure_future(channel.send(envelopes(3, clock)))
            await server.received(3)
            server.transports[0].abort()
            assert kinds(await sending) == {Unknown: 3}
            assert len(server.paths) == 3

    async def test_an_answer_that_makes_no_sense(self, clock: ManualClock) -> None:
        async with behaving(lambda peer, stream, _: answer(peer, stream, 200, []), clock) as (_, _, channel):
            assert kinds(await channel.send(envelopes(1, clock))) == {Unknown: 1}


class TestWithoutSending:
    async def test_too_large_a_message_is_not_sent(self, clock: ManualClock) -> None:
        def sized(size: int) -> Envelope:
            return envelope(TOKEN, clock.now_ms(), content=PushContent("T", "键" * (size // 3) + "x" * (size % 3)))

        async with behaving(take, clock) as (server, _, channel):
            await channel.send([sized(0)])
            (body,) = [json.loads(seen.body)["message"] for seen in server.peers[0].requests.values()]
            del body["token"]
            room = MAX_PAYLOAD - len(json.dumps(body, separators=(",", ":")).encode())
            fits, over = await channel.send([sized(room), sized(room + 1)])
        assert isinstance(fits, Accepted)
        assert isinstance(over, PayloadError)
        assert "4097 bytes" in over.text

    @pytest.mark.parametrize("token", ["", "é", "a\nb", "a" * 4097])
    async def test_what_is_no_token_is_not_sent(self, clock: ManualClock, token: str) -> None:
        async with behaving(take, clock) as (server, desk, channel):
            (outcome,) = await channel.send([envelope(token, clock.now_ms())])
            assert not server.peers
            assert not desk.forms
        assert isinstance(outcome, InvalidToken)

    async def test_nothing_is_taken_back(self, clock: ManualClock) -> None:
        channel = open_channel(parse(settings_file()), clock)
        outcomes = await channel.recall([VendorCopy(1, 2, TOKEN, "id", "key")] * 2)
        assert [type(outcome) for outcome in outcomes] == [NotRecallable] * 2
        await channel.close()

    async def test_no_secret_and_no_token_is_in_outcomes(self, clock: ManualClock) -> None:
        async with behaving(lambda peer, stream, _: unauthenticated(peer, stream), clock) as (_, desk, channel):
            said = repr((await channel.send(envelopes(2, clock)), await channel.check(), channel))
            secrets = [form["assertion"] for form in desk.forms]
        assert secrets
        assert not any(secret in said for secret in [*secrets, "ya29", TOKEN, "PRIVATE"])


class TestFiles:
    def test_a_key_file_or_its_text(self) -> None:
        plain = parse(settings_file())
        assert parse(settings_file(serviceAccount=json.dumps(account()))) == plain
        assert plain.account.project_id == "a-project"

    def test_google_s_addresses(self, clock: ManualClock) -> None:
        channel = open_channel(parse(settings_file()), clock)
        assert str(channel._gateway.origin) == "fcm.googleapis.com:443"
        assert channel._path == b"/v1/projects/a-project/messages:send"
        assert channel._http.host == "oauth2.googleapis.com"

    def test_other_addresses(self, clock: ManualClock) -> None:
        changes = {"baseUrl": "https://h:1/p", "tokenUrl": "https://t/x"}
        channel = open_channel(parse(settings_file(**changes)), clock)
        assert channel._path == b"/p/v1/projects/a-project/messages:send"
        assert channel._http.host == "t"

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"serviceAccount": account(project_id=None)}, "project_id"),
            ({"serviceAccount": account(project_id="../x")}, "project_id"),
            ({"serviceAccount": account(private_key="s3cret")}, "private_key"),
            ({"serviceAccount": "s3cret"}, "serviceAccount"),
            ({"serviceAccount": json.dumps({"private_key": "s3cret"})}, "serviceAccount"),
            ({"serviceAccount": None}, "serviceAccount"),
            ({"baseURL": "s3cret"}, "baseURL"),
            ({"caFile": "/nowhere/ca.pem"}, "caFile"),
            ({"caFile": "/nowhere/ca.pem", "baseUrl": "http://h"}, "caFile"),
        ],
    )
    def test_what_is_wrong_is_said_without_values(
        self, clock: ManualClock, changes: dict[str, Any], word: str
    ) -> None:
        with pytest.raises(msgspec.ValidationError) as caught:
            open_channel(parse(settings_file(**changes)), clock)
        assert word in str(caught.value)
        assert "s3cret" not in str(caught.value)

    def test_no_secret_is_printed(self) -> None:
        settings = parse(settings_file())
        said = f"{settings!r}{settings.account!r}{list(settings.account.__rich_repr__())}"
        assert "PRIVATE" not in said
        assert "gserviceaccount" not in said
