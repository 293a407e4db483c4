"""What HarmonyOS alone has: reasons, pictures that are not checked, recall, test messages, JWTs."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    NotRecallable,
    PayloadError,
    Recalled,
    RecallOutcome,
    RecallUnknown,
    SendOutcome,
    VendorCopy,
)
from clarion.channels.harmony import HarmonyChannel
from clarion.channels.harmony.errors import REASONS
from clarion.channels.harmony.signing import AUDIENCE, Signer
from clarion.channels.outcomes import Treatment
from clarion.channels.text import notify_id
from clarion.clock import ManualClock
from tests.channels.host import CONTENT, envelope, fault
from tests.channels.multicast.harness import opened, push, sent, settings_of

WITH_PICTURE = msgspec.structs.replace(CONTENT, images={"defaultUrl": "https://e.com/p.png"})


def copy(token: str, msg_key: str = "order-1") -> VendorCopy:
    return VendorCopy(1, 1, token, "r1", msg_key)


@pytest.mark.parametrize("reason", list(REASONS))
async def test_reason(reason: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened("harmony", tmp_path, clock) as (hall, channel):
        fault(hall, "harmony", "code", code=reason)
        outcomes = await channel.send([envelope(token, clock.now_ms()) for token in ("t1", "t2")])
        kind: type[SendOutcome] = (
            InvalidToken if REASONS[reason].treatment is Treatment.INVALID_TOKEN else ConfigError
        )
        assert {type(outcome) for outcome in outcomes} == {kind}
        assert all(getattr(it, "text", "").startswith(f"{reason}: ") for it in outcomes)


@pytest.mark.parametrize(
    ("reason", "fields", "kind"),
    [
        ("noPushTypeRight", {}, ConfigError),
        ("noPushTypeRight", {"silent": 1}, PayloadError),
        ("noPushTypeRight", {"category": {"harmony": "IM"}}, PayloadError),
        ("noPushTypeRight", {"images": {"defaultUrl": "https://e.com/a.png"}}, ConfigError),
        ("notSupportPlayVoice", {"category": {"harmony": "IM"}}, PayloadError),
        ("differentImgVerifyPolicy", {"images": {"defaultUrl": "https://e.com/a.png"}}, PayloadError),
        ("appinfoError", {"silent": 1, "category": {"harmony": "IM"}}, ConfigError),
    ],
)
@pytest.mark.parametrize("others", [0, 1])
async def test_what_a_message_chose_itself_stops_no_others(
    reason: str, fields: dict[str, Any], kind: type, others: int, tmp_path: Path, clock: ManualClock
) -> None:
    async with opened("harmony", tmp_path, clock) as (hall, channel):
        fault(hall, "harmony", "code", code=reason, token="t0")
        content = push(**fields)
        outcomes = await channel.send(
            [envelope(f"t{number}", clock.now_ms(), content=content) for number in range(1 + others)]
        )
        assert [type(outcome) for outcome in outcomes] == [kind, Accepted][: 1 + others]


async def test_no_right_is_the_token_s_fault_only_if_others_are_taken(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("harmony", tmp_path, clock) as (hall, channel):
        fault(hall, "harmony", "code", code="noRight", token="t2")
        (alone,) = await channel.send([envelope("t2", clock.now_ms())])
        assert isinstance(alone, ConfigError)
        outcomes = await channel.send([envelope(token, clock.now_ms()) for token in ("t1", "t2")])
        assert [type(outcome) for outcome in outcomes] == [Accepted, InvalidToken]
        (later,) = await channel.send([envelope("t2", clock.now_ms())])
        assert isinstance(later, InvalidToken)


async def test_no_reason_leaves_the_tokens(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("harmony", tmp_path, clock) as (hall, channel):
        body = '{"code":"80300007","msg":"All the tokens are invalid.","requestId":"1"}'
        fault(hall, "harmony", "status", status=200, body=body)
        (outcome,) = await channel.send([envelope("t1", clock.now_ms())])
        assert outcome == PayloadError("80300007", "All the tokens are invalid.")


async def test_a_picture_that_was_not_checked_is_left_out(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("harmony", tmp_path, clock) as (hall, channel):
        hall.configure("harmony", {"verifiedImages": []})
        (outcome,) = await channel.send([envelope("t1", clock.now_ms(), content=WITH_PICTURE)])
        assert isinstance(outcome, Accepted)
        assert outcome.notes == ("picture: Huawei has not checked it, and does not show it",)
        assert ["image" in it["payload"]["notification"] for it in sent(hall, "harmony")] == [True, False]
        hall.configure("harmony", {"verifiedImages": ["https://e.com/p.png"]})
        (outcome,) = await channel.send([envelope("t1", clock.now_ms(), content=WITH_PICTURE)])
        assert isinstance(outcome, Accepted)
        assert not outcome.notes
        fault(hall, "harmony", "code", code="80100022")
        (outcome,) = await channel.send([envelope("t1", clock.now_ms(), content=WITH_PICTURE)])
        assert isinstance(outcome, PayloadError)
        assert len(sent(hall, "harmony")) == 5


async def test_test_messages_go_to_ten_at_once(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("harmony", tmp_path, clock, testMessages=True) as (hall, channel):
        outcomes = await channel.send([envelope(f"t{number}", clock.now_ms()) for number in range(25)])
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert sorted(len(it["target"]["token"]) for it in sent(hall, "harmony")) == [5, 10, 10]
        assert channel.batch == 10


async def test_recall(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("harmony", tmp_path, clock) as (hall, channel):
        hall.configure("harmony", {"invalidTokens": ["dead"]})
        copies = [copy("t1"), copy("t2"), copy("t1", "order-2"), copy("dead"), copy("t3", "")]
        outcomes = await channel.recall(copies)
        assert [type(it) for it in outcomes] == [Recalled, Recalled, Recalled, NotRecallable, NotRecallable]
        bodies = [
            msgspec.json.decode(entry.body)
            for entry in hall.journal.entries()
            if entry.path == f"/v1/{settings_of('harmony').client_id}/messages:revoke"
        ]
        assert sorted(bodies, key=lambda it: len(it["token"])) == [
            {"notifyId": notify_id("order-2"), "token": ["t1"]},
            {"notifyId": notify_id("order-1"), "token": ["t1", "t2", "dead"]},
        ]
        assert {entry.headers["push-type"] for entry in hall.journal.entries()} == {"0"}


async def test_many_are_recalled_in_parts(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("harmony", tmp_path, clock) as (hall, channel):
        outcomes = await channel.recall([copy(f"t{number}") for number in range(1500)])
        assert {type(it) for it in outcomes} == {Recalled}
        assert sorted(len(entry.tokens) for entry in hall.journal.entries()) == [500, 1000]


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"kind": "reset"}, RecallUnknown),
        ({"kind": "code", "code": "81000001"}, RecallUnknown),
        ({"kind": "code", "code": "80100001"}, NotRecallable),
        ({"kind": "code", "code": "80300007"}, NotRecallable),
        ({"kind": "expired_auth"}, RecallUnknown),
        ({"kind": "status", "status": 503}, RecallUnknown),
        ({"kind": "status", "status": 200, "body": '{"code":"80100000","msg":"?"}'}, RecallUnknown),
    ],
)
async def test_recall_that_fails(
    members: dict[str, Any], kind: type[RecallOutcome], tmp_path: Path, clock: ManualClock
) -> None:
    async with opened("harmony", tmp_path, clock) as (hall, channel):
        fault(hall, "harmony", **members)
        (outcome,) = await channel.recall([copy("t1")])
        assert type(outcome) is kind


async def test_recall_needs_the_client_id(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("harmony", tmp_path, clock, clientId=None) as (hall, channel):
        (outcome,) = await channel.recall([copy("t1")])
        assert isinstance(outcome, NotRecallable)
        assert "clientId" in outcome.text
        assert not hall.journal.entries()


async def test_check_of_another_project(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("harmony", tmp_path, clock) as (hall, channel):
        assert isinstance(channel, HarmonyChannel)
        fault(hall, "harmony", "code", code="noRight")
        check = await channel.check()
        assert not check.ok
        assert "noRight" in check.text


async def test_the_access_token_says_what_huawei_asks_for(clock: ManualClock) -> None:
    account = settings_of("harmony").service_account
    access = await Signer(account, clock).fetch()
    header, claims, _ = (msgspec.json.decode(_plain(part) or b"0") for part in (*access.value.split(".")[:2], ""))
    assert header == {"kid": account.key_id, "typ": "JWT", "alg": "PS256"}
    now = clock.now_ms() // 1000
    assert claims == {"iss": account.sub_account, "aud": AUDIENCE, "iat": now, "exp": now + 3600}
    assert access.seconds == 3600
    assert "." not in repr(access)


def _plain(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
