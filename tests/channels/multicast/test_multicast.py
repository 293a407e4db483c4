"""What the channels of Huawei, HarmonyOS and Honor have in common, each against its simulator over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    PayloadError,
    RateLimited,
    Retry,
    SendOutcome,
    Unknown,
)
from clarion.channels.harmony.errors import CODES as HARMONY_CODES
from clarion.channels.hms.errors import CODES as HMS_CODES
from clarion.channels.honor.errors import CODES as HONOR_CODES
from clarion.channels.outcomes import Treatment
from clarion.clock import ManualClock
from tests.channels.host import CONTENT, envelope, fault
from tests.channels.multicast.harness import LABELS, OAUTH, known, opened, sent, token_calls

KINDS: dict[Treatment, type[SendOutcome]] = {
    Treatment.ACCEPTED: Accepted,
    Treatment.INVALID_TOKEN: InvalidToken,
    Treatment.RETRY: Retry,
    Treatment.RATE_LIMITED: RateLimited,
    Treatment.DAY_QUOTA: RateLimited,
    Treatment.PAYLOAD_ERROR: PayloadError,
    Treatment.CONFIG_ERROR: ConfigError,
    Treatment.AUTH_REFRESH: ConfigError,
}
TABLES = {"hms": HMS_CODES, "harmony": HARMONY_CODES, "honor": HONOR_CODES}
BY_TOKEN: frozenset[str] = frozenset(("80100000", "80300007"))
"""Answers that name tokens have tests of their own."""
every_vendor = pytest.mark.parametrize("label", LABELS)


def tokens_of(message: dict[str, Any]) -> list[str]:
    holder = message.get("message") or message.get("target") or message
    return list(holder["token"])


@every_vendor
async def test_one_message(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        (outcome,) = await channel.send([envelope("token-1", clock.now_ms())])
        assert isinstance(outcome, Accepted)
        assert len(outcome.vendor_id) > 10
        assert [tokens_of(message) for message in sent(hall, label)] == [["token-1"]]


@every_vendor
async def test_no_message(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        assert list(await channel.send([])) == []
        assert not sent(hall, label)


@every_vendor
async def test_equal_messages_share_calls(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        tokens = [f"t{number}" for number in range(2001)]
        envelopes = [
            envelope(token, clock.now_ms(), content=replaced(number)) for number, token in enumerate(tokens)
        ]
        outcomes = await channel.send([*envelopes, envelope("t5", clock.now_ms())])
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert outcomes[-1] == outcomes[5]
        calls = [tokens_of(message) for message in sent(hall, label)]
        assert sorted(map(len, calls)) == [1, 1000, 1000]
        assert sorted(token for call in calls for token in call) == sorted(tokens)


def replaced(number: int) -> Any:
    """Equal contents, of which every other is an object of its own."""
    return CONTENT if number % 2 else msgspec.structs.replace(CONTENT)


@every_vendor
async def test_messages_that_differ_go_apart(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        now = clock.now_ms()
        contents = [msgspec.structs.replace(CONTENT, title=f"Title {number}") for number in range(30)]
        envelopes = [envelope(f"t{number}", now, content=it) for number, it in enumerate(contents)]
        envelopes += [envelope("t0", now, content=CONTENT), envelope("t0", now, content=CONTENT, msg_key="order-2")]
        fault(hall, label, "code", token="t7", code="80300007")
        outcomes = await channel.send(envelopes)
        assert [type(outcome) for outcome in outcomes] == [
            InvalidToken if it == 7 else Accepted for it in range(32)
        ]
        assert len({outcome.vendor_id for outcome in outcomes if isinstance(outcome, Accepted)}) == 31
        titles = {tokens_of(it)[0]: msgspec.json.encode(it) for it in sent(hall, label)}
        assert b"Title 12" in titles["t12"]


@every_vendor
async def test_a_message_that_will_not_be_taken_hurts_no_other(
    label: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        now = clock.now_ms()
        long = msgspec.structs.replace(CONTENT, params={"k": "x" * 5000})
        outcomes = await channel.send(
            [
                envelope("a", now),
                envelope("b", now, content=long),
                envelope("", now),
                envelope("c", now, seconds=0),
                envelope("d", now, seconds=0.5),
            ]
        )
        assert [type(it) for it in outcomes] == [Accepted, PayloadError, InvalidToken, PayloadError, Accepted]
        assert "4096" in getattr(outcomes[1], "text", "")
        assert sorted(tokens_of(it) for it in sent(hall, label)) == [["a"], ["d"]]


@every_vendor
async def test_partial_success(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        hall.configure(label, {"invalidTokens": ["dead-1", "dead-2"]})
        tokens = ["good-1", "dead-1", "good-2", "dead-2", "dead-1"]
        outcomes = await channel.send([envelope(token, clock.now_ms()) for token in tokens])
        dead = [isinstance(outcome, InvalidToken) for outcome in outcomes]
        assert dead == [False, True, False, True, True]
        assert all(isinstance(it, Accepted | InvalidToken) for it in outcomes)
        assert {it.code for it in outcomes if isinstance(it, InvalidToken)} == {"80100000"}
        assert len(sent(hall, label)) == 1


@every_vendor
async def test_all_tokens_dead(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        hall.configure(label, {"invalidTokens": ["dead-1", "dead-2"]})
        outcomes = await channel.send([envelope(token, clock.now_ms()) for token in ("dead-1", "dead-2")])
        assert [type(it) for it in outcomes] == [InvalidToken, InvalidToken]
        assert {getattr(it, "code", "") for it in outcomes} == {"80300007"}


@pytest.mark.parametrize(
    ("label", "code"),
    [(label, code) for label, codes in TABLES.items() for code in codes if code not in BY_TOKEN | {"200"}],
)
async def test_code(label: str, code: str, tmp_path: Path, clock: ManualClock) -> None:
    treatment = TABLES[label][code].treatment
    async with opened(label, tmp_path, clock) as (hall, channel):
        fault(hall, label, "code", code=code, token="t2")
        outcomes = await channel.send([envelope(token, clock.now_ms()) for token in ("t1", "t2", "t3")])
        assert {type(outcome) for outcome in outcomes} == {KINDS[treatment]}
        assert len(sent(hall, label)) == (2 if treatment is Treatment.AUTH_REFRESH else 1)
        for outcome in outcomes:
            if not isinstance(outcome, Accepted):
                assert outcome.code == code
                assert outcome.text
            if isinstance(outcome, RateLimited):
                assert outcome.until > clock.now_ms()


async def test_the_test_messages_of_a_day_end_at_midnight_in_china(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("honor", tmp_path, clock) as (hall, channel):
        fault(hall, "honor", "code", code="80200047")
        (outcome,) = await channel.send([envelope("t1", clock.now_ms())])
        assert isinstance(outcome, RateLimited)
        assert (outcome.until + 8 * 3_600_000) % 86_400_000 == 0
        assert 0 < outcome.until - clock.now_ms() <= 86_400_000


@every_vendor
async def test_a_code_that_is_not_known(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        fault(hall, label, "code", code="99999999")
        (outcome,) = await channel.send([envelope("t1", clock.now_ms())])
        assert isinstance(outcome, PayloadError)
        assert outcome.code == "99999999"


@pytest.mark.parametrize("label", OAUTH)
async def test_a_hundred_sends_ask_for_one_access_token(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        envelopes = [envelope(f"t{number}", clock.now_ms(), msg_key=f"k{number}") for number in range(100)]
        outcomes = await asyncio.gather(*(channel.send([it]) for it in envelopes))
        assert all(isinstance(outcome, Accepted) for (outcome,) in outcomes)
        assert token_calls(hall) == 1


@every_vendor
async def test_an_access_token_that_is_refused_is_renewed_once_for_all(
    label: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        await channel.send([envelope("t0", clock.now_ms())])
        fault(hall, label, "expired_auth", count=1)
        envelopes = [envelope(f"t{number}", clock.now_ms(), msg_key=f"k{number}") for number in range(1, 41)]
        outcomes = await channel.send(envelopes)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert token_calls(hall) == (2 if label in OAUTH else 0)


@every_vendor
async def test_an_access_token_is_renewed_before_its_end(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        for _ in range(4):
            (outcome,) = await channel.send([envelope("t0", clock.now_ms())])
            assert isinstance(outcome, Accepted)
            clock.advance(3400)
        assert len(sent(hall, label)) == 4
        assert token_calls(hall) == (4 if label in OAUTH else 0)


@every_vendor
async def test_credentials_that_are_always_refused(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        fault(hall, label, "expired_auth")
        (outcome,) = await channel.send([envelope("t0", clock.now_ms())])
        assert isinstance(outcome, ConfigError)
        assert len(sent(hall, label)) == 2


@pytest.mark.parametrize("label", OAUTH)
async def test_a_wrong_secret(label: str, tmp_path: Path, clock: ManualClock) -> None:
    member = {"hms": "appSecret", "honor": "clientSecret"}[label]
    changes: dict[str, Any] = {member: "not-the-secret"}
    async with opened(label, tmp_path, clock, **changes) as (hall, channel):
        envelopes = [envelope(f"t{number}", clock.now_ms(), msg_key=f"k{number}") for number in range(10)]
        outcomes = await channel.send(envelopes)
        assert {type(outcome) for outcome in outcomes} == {ConfigError}
        assert all("not-the-secret" not in repr(outcome) for outcome in outcomes)
        assert token_calls(hall) == 1
        assert not sent(hall, label)
        check = await channel.check()
        assert (check.ok, check.reached) == (False, True)
        assert "20042" in check.text


@pytest.mark.parametrize("label", OAUTH)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 500),
        ("<html>", 200),
        ('{"access_token":7,"expires_in":3600}', 200),
        ('{"access_token":"a\\r\\nb","expires_in":3600}', 200),
        ("[]", 502),
        ('{"error":{},"error_description":[],"sub_error":' + "9" * 5000 + "}", 503),
    ],
)
async def test_no_access_token_for_now(
    label: str, body: str, status: int, tmp_path: Path, clock: ManualClock
) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        fault(hall, label, "status", path="token", status=status, body=body, count=1)
        (outcome,) = await channel.send([envelope("t0", clock.now_ms())])
        assert isinstance(outcome, Retry)
        clock.advance(2)
        (outcome,) = await channel.send([envelope("t0", clock.now_ms())])
        assert isinstance(outcome, Accepted)


@pytest.mark.parametrize("label", OAUTH)
async def test_an_access_token_without_a_proper_life(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        hall.configure(label, {"tokenSeconds": 10})
        for _ in range(3):
            (outcome,) = await channel.send([envelope("t0", clock.now_ms())])
            assert isinstance(outcome, Accepted)
            clock.advance(6)
        assert token_calls(hall) == 3


SENDING = {"hms": "messages:send", "harmony": "messages:send", "honor": "sendMessage"}
FAULTS: list[tuple[dict[str, Any], type[SendOutcome]]] = [
    ({"kind": "reset"}, Unknown),
    ({"kind": "half"}, Unknown),
    ({"kind": "stall"}, Unknown),
    ({"kind": "garbage"}, Unknown),
    ({"kind": "huge"}, Unknown),
    ({"kind": "status", "status": 400}, PayloadError),
    ({"kind": "status", "status": 404}, ConfigError),
    ({"kind": "status", "status": 302}, ConfigError),
    ({"kind": "status", "status": 401, "count": None}, ConfigError),
    ({"kind": "status", "status": 500}, Retry),
    ({"kind": "status", "status": 502, "body": '{"code":"x"}'}, Retry),
    ({"kind": "status", "status": 503}, RateLimited),
    ({"kind": "status", "status": 504}, Unknown),
    ({"kind": "status", "status": 503, "body": '{"code":"81000001","msg":"busy"}'}, RateLimited),
    ({"kind": "status", "status": 200, "body": "{}"}, Unknown),
    ({"kind": "status", "status": 200, "body": "[]"}, Unknown),
    ({"kind": "status", "status": 500, "body": '{"code":"80000000","msg":"Success"}'}, Unknown),
]


@every_vendor
@pytest.mark.parametrize(("members", "kind"), FAULTS, ids=[str(list(it[0].values())) for it in FAULTS])
async def test_fault(
    label: str, members: dict[str, Any], kind: type[SendOutcome], tmp_path: Path, clock: ManualClock
) -> None:
    if label == "honor":
        members = {**members, "body": members.get("body", "").replace("80000000", "200")}
    async with opened(label, tmp_path, clock, seconds=1.5) as (hall, channel):
        await channel.send([envelope("t0", clock.now_ms())])
        fault(hall, label, path=SENDING[label], **{"count": 1, **members})
        outcomes = await channel.send([envelope(token, clock.now_ms()) for token in ("t1", "t2")])
        assert {type(outcome) for outcome in outcomes} == {kind}
        hall.faults.clear()
        (outcome,) = await channel.send([envelope("t3", clock.now_ms())])
        assert isinstance(outcome, Accepted)


@every_vendor
@pytest.mark.parametrize(("status", "kind"), [(503, RateLimited), (500, Retry)])
async def test_retry_after(
    label: str, status: int, kind: type[SendOutcome], tmp_path: Path, clock: ManualClock
) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        fault(hall, label, "status", status=status, retryAfter=7, path=SENDING[label])
        (outcome,) = await channel.send([envelope("t1", clock.now_ms())])
        assert isinstance(outcome, kind)
        if isinstance(outcome, RateLimited):
            assert outcome.until == clock.now_ms() + 7000
        if isinstance(outcome, Retry):
            assert outcome.after == 7


@every_vendor
async def test_nobody_listens(label: str, tmp_path: Path, clock: ManualClock) -> None:
    changes: dict[str, Any] = {"baseUrl": "http://127.0.0.1:9"} | (
        {"tokenUrl": "http://127.0.0.1:9/token"} if label in OAUTH else {}
    )
    async with opened(label, tmp_path, clock, **changes) as (_, channel):
        (outcome,) = await channel.send([envelope("t1", clock.now_ms())])
        assert isinstance(outcome, Retry)
        check = await channel.check()
        assert (check.ok, check.reached) == (False, False)


@every_vendor
async def test_a_single_message_overtakes_a_thousand(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        await channel.send([envelope("t0", clock.now_ms())])
        many = [envelope(f"t{number}", clock.now_ms(), msg_key=f"k{number}") for number in range(300)]
        sending = asyncio.create_task(_sent(channel.send(many)))
        await asyncio.sleep(0)
        (outcome,) = await channel.send([envelope("urgent", clock.now_ms())])
        assert isinstance(outcome, Accepted)
        assert len(sent(hall, label)) < 100
        assert {type(it) for it in await sending} == {Accepted}


@every_vendor
async def test_no_text_has_a_token_or_secret(
    label: str, tmp_path: Path, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = str(
        known(label).get("appSecret") or known(label).get("clientSecret") or "a secret that it does not have"
    )
    said = f"token-of-a-device and {secret} are wrong"
    answer = {"code": 80100001, "msg": said, "message": said}
    async with opened(label, tmp_path, clock) as (hall, channel):
        with structlog.testing.capture_logs() as logs:
            fault(hall, label, "status", body=msgspec.json.encode(answer).decode(), status=200, path=SENDING[label])
            (outcome,) = await channel.send([envelope("token-of-a-device", clock.now_ms())])
            assert isinstance(outcome, PayloadError)
            assert outcome.text.startswith("… and ")
            hall.faults.clear()
            fault(hall, label, "status", body="{", status=200, path=SENDING[label])
            (garbled,) = await channel.send([envelope("token-of-a-device", clock.now_ms())])
        written = "".join((repr(outcome), repr(garbled), repr(logs), repr(channel), *capsys.readouterr()))
        assert "token-of-a-device" not in written
        assert label == "harmony" or secret not in written
        assert "PRIVATE KEY" not in written


@every_vendor
async def test_close_waits_for_what_is_under_way(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        await channel.send([envelope("t0", clock.now_ms())])
        fault(hall, label, "latency", seconds=0.2)
        sending = asyncio.create_task(_sent(channel.send([envelope("t1", clock.now_ms())])))
        await asyncio.sleep(0)
        await channel.close()
        (outcome,) = await sending
        assert isinstance(outcome, Accepted)


async def _sent(awaitable: Any) -> Any:
    return await awaitable


@every_vendor
async def test_check(label: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        assert (await channel.check()).ok
        hall.configure(label, {"invalidTokens": ["clarion-check"]})
        assert (await channel.check()).ok


@pytest.mark.parametrize(("label", "code"), [("hms", "80300002"), ("harmony", "80300002")])
async def test_check_says_what_is_wrong(label: str, code: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(label, tmp_path, clock) as (hall, channel):
        fault(hall, label, "code", code=code)
        check = await channel.check()
        assert (check.ok, check.reached) == (False, True)
        assert code in check.text
        hall.faults.clear()
        fault(hall, label, "code", code="81000001")
        check = await channel.check()
        assert (check.ok, check.reached) == (False, False)
