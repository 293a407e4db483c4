"""The channel and the simulator together, over HTTP."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    NotRecallable,
    PayloadError,
    RateLimited,
    Retry,
    SendOutcome,
    Unknown,
    VendorCopy,
)
from clarion.channels.message import PushContent
from clarion.channels.outcomes import UNLISTED, VENDOR_ZONE, Treatment
from clarion.channels.sms import SmsChannel, SmsSettings
from clarion.channels.sms.errors import CODES, FAMILIES, TAKEN
from clarion.clock import ManualClock
from tests.channels.host import fault
from tests.channels.sms.harness import NUMBER, calls, numbers, opened, push, recipients, text

KINDS: dict[Treatment, type[SendOutcome]] = {
    Treatment.INVALID_TOKEN: InvalidToken,
    Treatment.RETRY: Retry,
    Treatment.RATE_LIMITED: RateLimited,
    Treatment.DAY_QUOTA: RateLimited,
    Treatment.PAYLOAD_ERROR: PayloadError,
    Treatment.CONFIG_ERROR: ConfigError,
}


async def test_one_message(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock, extendCode="12") as (hall, channel):
        envelopes = push(text({"code": "a&b=c d~*+é验"}, sign="签名 &"), "+86 138-0013 8000")
        (outcome,) = await channel.send(envelopes)
        (call,) = calls(hall)
    assert isinstance(outcome, Accepted)
    assert outcome.vendor_id.endswith("^0")
    assert (call["Action"], call["Version"]) == ("SendSms", "2017-05-25")
    assert (call["PhoneNumbers"], call["SignName"], call["TemplateCode"]) == (NUMBER, "签名 &", "SMS_1")
    assert json.loads(call["TemplateParam"]) == {"code": "a&b=c d~*+é验"}
    assert call["OutId"] == str(envelopes[0].task)
    assert call["SmsUpExtendCode"] == "12"


async def test_a_push_to_many_is_one_call_for_a_thousand(tmp_path: Path, clock: ManualClock) -> None:
    wanted = numbers(1001)
    async with opened(tmp_path, clock) as (hall, channel):
        outcomes = await channel.send(push(text(), *wanted, f"0086{wanted[5]}"))
        sent = [recipients(call) for call in calls(hall)]
    assert sorted(map(len, sent)) == [1, 1000]
    assert sorted(number for part in sent for number in part) == sorted(wanted)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert outcomes[5] == outcomes[-1]
    assert len(set(outcomes)) == 2


async def test_different_texts_share_calls_of_a_hundred(tmp_path: Path, clock: ManualClock) -> None:
    wanted = numbers(150)
    envelopes = [
        envelope
        for place, number in enumerate(wanted)
        for envelope in push(text({"code": str(place)}, sign=f"S{place % 3}"), number)
    ]
    async with opened(tmp_path, clock, extendCode="12") as (hall, channel):
        outcomes = await channel.send(envelopes)
        sent = calls(hall)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert [call["Action"] for call in sent] == ["SendBatchSms"] * 2
    assert sorted(len(recipients(call)) for call in sent) == [50, 100]
    got = {
        number: (sign, params["code"])
        for call in sent
        for number, sign, params in zip(
            recipients(call), json.loads(call["SignNameJson"]), json.loads(call["TemplateParamJson"]), strict=True
        )
    }
    assert got == {number: (f"S{place % 3}", str(place)) for place, number in enumerate(wanted)}
    assert all("OutId" not in call for call in sent)


async def test_a_few_different_texts_go_one_by_one(tmp_path: Path, clock: ManualClock) -> None:
    envelopes = [each for number in numbers(9) for each in push(text({"code": number}), number)]
    async with opened(tmp_path, clock) as (hall, channel):
        await channel.send(envelopes)
        assert [call["Action"] for call in calls(hall)] == ["SendSms"] * 9


async def test_templates_and_large_pushes_have_calls_of_their_own(tmp_path: Path, clock: ManualClock) -> None:
    envelopes = push(text({"code": "all"}), *numbers(30))
    envelopes += push(text({"code": "one"}), NUMBER)
    envelopes += push(text(template="SMS_2"), NUMBER, numbers(1)[0])
    async with opened(tmp_path, clock) as (hall, channel):
        await channel.send(envelopes)
        sent = sorted((call["TemplateCode"], len(recipients(call))) for call in calls(hall))
    assert sent == [("SMS_1", 1), ("SMS_1", 30), ("SMS_2", 2)]


async def test_the_same_text_twice_to_a_number_by_two_pushes_is_sent_twice(
    tmp_path: Path, clock: ManualClock
) -> None:
    content = text()
    async with opened(tmp_path, clock) as (hall, channel):
        await channel.send([*push(content, NUMBER), *push(content, NUMBER)])
        assert [recipients(call) for call in calls(hall)] == [[NUMBER], [NUMBER]]


async def test_numbers_that_are_none_are_told_apart(tmp_path: Path, clock: ManualClock) -> None:
    good = numbers(40)
    async with opened(tmp_path, clock) as (hall, channel):
        # One that this side sees, and one that the service alone refuses.
        fault(hall, "sms", "code", token=good[17], code="isv.MOBILE_NUMBER_ILLEGAL")
        outcomes = await channel.send(push(text(), *good, "call me", ""))
        assert len(calls(hall)) <= 2 * 6 + 1
    bad = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, InvalidToken)]
    assert bad == [17, 40, 41]
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 39


async def test_a_limit_of_one_number_holds_up_no_other(tmp_path: Path, clock: ManualClock) -> None:
    good = numbers(4)
    async with opened(tmp_path, clock) as (hall, channel):
        hall.configure("sms", {"perMinute": 1})
        await channel.send(push(text(), good[2]))
        outcomes = await channel.send(push(text({"code": "2"}), *good))
    limited = outcomes[2]
    assert isinstance(limited, RateLimited)
    assert not limited.whole
    assert limited.until == clock.now_ms() + 60_000
    assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True, True, False, True]


@pytest.mark.parametrize(
    ("limit", "until"),
    [("perHour", 3600), ("perDay", None)],
)
async def test_longer_limits_of_a_number(tmp_path: Path, clock: ManualClock, limit: str, until: int | None) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        hall.configure("sms", {limit: 1})
        await channel.send(push(text(), NUMBER))
        (outcome,) = await channel.send(push(text(), NUMBER))
    assert isinstance(outcome, RateLimited)
    if until is not None:
        assert outcome.until == clock.now_ms() + until * 1000
    else:
        moment = datetime.fromtimestamp(outcome.until / 1000, VENDOR_ZONE)
        assert (moment.hour, moment.minute, moment.second) == (0, 0, 0)
        assert 0 < outcome.until - clock.now_ms() <= 86_400_000


async def test_one_bad_text_spoils_no_other(tmp_path: Path, clock: ManualClock) -> None:
    envelopes = [
        each
        for place, number in enumerate(numbers(20))
        for each in push(text({"code": "x" * 50 if place == 3 else "1"}), number)
    ]
    async with opened(tmp_path, clock) as (_, channel):
        outcomes = await channel.send(envelopes)
    assert isinstance(outcomes[3], PayloadError)
    assert outcomes[3].code == "isv.PARAM_LENGTH_LIMIT"
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 19


async def test_one_bad_signature_spoils_no_other(tmp_path: Path, clock: ManualClock) -> None:
    envelopes = [
        each
        for place, number in enumerate(numbers(20))
        for each in push(text({"code": "1"}, sign="bad" if place == 3 else "good"), number)
    ]
    async with opened(tmp_path, clock) as (hall, channel):
        hall.configure("sms", {"signNames": ["good"]})
        outcomes = await channel.send(envelopes)
    assert isinstance(outcomes[3], PayloadError)
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 19


async def test_a_text_that_is_bad_for_all_is_refused_once(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        hall.configure("sms", {"signNames": ["Other"]})
        outcomes = await channel.send(push(text(), *numbers(100)))
        assert len(calls(hall)) == 1
    assert {type(outcome) for outcome in outcomes} == {PayloadError}


@pytest.mark.parametrize("code", [*sorted(CODES.keys() - {TAKEN}), *(f"{family}.X" for family in FAMILIES)])
async def test_every_code(tmp_path: Path, clock: ManualClock, code: str) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "sms", "code", code=code)
        (outcome,) = await channel.send(push(text(), NUMBER))
    row = CODES.get(code) or FAMILIES[code.partition(".")[0]]
    assert type(outcome) is KINDS[row.treatment]
    assert getattr(outcome, "code", "") == code


async def test_the_month_ends_where_the_service_is(tmp_path: Path) -> None:
    # 31 December, 23:30 in Shanghai.
    clock = ManualClock(int(datetime(2026, 12, 31, 23, 30, tzinfo=VENDOR_ZONE).timestamp() * 1000))
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "sms", "code", code="isv.MONTH_LIMIT_CONTROL")
        (outcome,) = await channel.send(push(text(), NUMBER))
    assert isinstance(outcome, RateLimited)
    assert outcome.until - clock.now_ms() == 1_800_000
    assert outcome.whole


async def test_each_try_has_a_nonce_of_its_own(tmp_path: Path, clock: ManualClock) -> None:
    envelopes = push(text(), NUMBER)
    async with opened(tmp_path, clock) as (hall, channel):
        for _ in range(3):
            (outcome,) = await channel.send(envelopes)
            assert isinstance(outcome, Accepted)
        assert len({call["SignatureNonce"] for call in calls(hall)}) == 3


async def test_a_nonce_that_was_used_is_tried_again(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, _):
        file = hall.credentials("sms")
        settings = SmsSettings(
            access_key_id=file["accessKeyId"], access_key_secret=file["accessKeySecret"], base_url=file["baseUrl"]
        )
        channel = SmsChannel(settings, clock, nonce=lambda: "same")
        assert isinstance((await channel.send(push(text(), NUMBER)))[0], Accepted)
        (outcome,) = await channel.send(push(text(), NUMBER))
        await channel.close()
    assert outcome == Retry(None, "SignatureNonceUsed", CODES["SignatureNonceUsed"].meaning)


@pytest.mark.parametrize(
    ("members", "kind", "code"),
    [
        ({"kind": "status", "status": 503}, Retry, "503"),
        ({"kind": "status", "status": 502}, Unknown, "502"),
        ({"kind": "status", "status": 500, "body": '{"Code":"InternalError"}'}, Unknown, "InternalError"),
        ({"kind": "status", "status": 429, "retryAfter": 7}, RateLimited, "429"),
        ({"kind": "status", "status": 404}, ConfigError, "404"),
        ({"kind": "status", "status": 200, "body": '{"Code":"OK"}'}, Unknown, "OK"),
        ({"kind": "status", "status": 200, "body": '["OK"]'}, Unknown, "200"),
        ({"kind": "status", "status": 200, "body": '{"Code":7}'}, Unknown, "200"),
        ({"kind": "garbage"}, Unknown, "200"),
        ({"kind": "huge"}, Unknown, ""),
        ({"kind": "reset"}, Unknown, ""),
        ({"kind": "half"}, Unknown, ""),
        ({"kind": "code", "code": "isv.NEW"}, KINDS[UNLISTED.treatment], "isv.NEW"),
    ],
)
async def test_a_sick_service(
    tmp_path: Path, clock: ManualClock, members: dict[str, Any], kind: type[SendOutcome], code: str
) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "sms", **members)
        (outcome,) = await channel.send(push(text(), NUMBER))
    assert type(outcome) is kind
    assert getattr(outcome, "code", "") == code


async def test_a_silent_service_and_one_that_is_not_there(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock, seconds=0.2) as (hall, channel):
        fault(hall, "sms", "stall")
        (outcome,) = await channel.send(push(text(), NUMBER))
        assert isinstance(outcome, Unknown)
    async with opened(tmp_path, clock, baseUrl="http://127.0.0.1:1") as (_, channel):
        (outcome,) = await channel.send(push(text(), NUMBER))
        assert isinstance(outcome, Retry)
        check = await channel.check()
        assert (check.ok, check.reached) == (False, False)


async def test_throttling_says_for_how_long(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        body = '{"Code":"Throttling.User","Message":"slower"}'
        fault(hall, "sms", "status", status=400, body=body, retryAfter=7)
        (outcome,) = await channel.send(push(text(), NUMBER))
    assert outcome == RateLimited(clock.now_ms() + 7000, "Throttling.User", FAMILIES["Throttling"].meaning)


async def test_credentials(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        check = await channel.check()
        assert check.ok
        fault(hall, "sms", "code", code="isp.RAM_PERMISSION_DENY", count=1)
        assert (await channel.check()).ok
        fault(hall, "sms", "code", code="Throttling.User", count=1)
        assert (await channel.check()).ok
        fault(hall, "sms", "code", code="isv.OUT_OF_SERVICE", count=1)
        check = await channel.check()
        assert (check.ok, check.reached) == (False, True)
        fault(hall, "sms", "status", status=502, count=1)
        check = await channel.check()
        assert (check.ok, check.reached) == (False, False)
        assert not [entry for entry in hall.journal.entries() if entry.tokens]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"accessKeyId": "LTAInobody"}, "InvalidAccessKeyId.NotFound"),
        ({"accessKeySecret": "x"}, "SignatureDoesNotMatch"),
    ],
)
async def test_wrong_credentials(tmp_path: Path, clock: ManualClock, changes: dict[str, Any], code: str) -> None:
    async with opened(tmp_path, clock, **changes) as (hall, channel):
        hall.configure("sms", {"strictKeys": True})
        check = await channel.check()
        assert (check.ok, check.reached) == (False, True)
        assert code in check.text
        (outcome,) = await channel.send(push(text({"code": "hidden1234"}), NUMBER))
    assert isinstance(outcome, ConfigError)
    assert outcome.code == code
    # The gateway repeats the whole request in its text.
    assert NUMBER not in outcome.text
    assert "hidden1234" not in outcome.text


async def test_a_wrong_clock(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, _):
        file = hall.credentials("sms")
        settings = SmsSettings(
            access_key_id=file["accessKeyId"], access_key_secret=file["accessKeySecret"], base_url=file["baseUrl"]
        )
        late = SmsChannel(settings, ManualClock(clock.now_ms() - 901_000))
        (outcome,) = await late.send(push(text(), NUMBER))
        await late.close()
    assert outcome == ConfigError("InvalidTimeStamp.Expired", FAMILIES["InvalidTimeStamp"].meaning)


async def test_no_outcome_has_a_number(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        body = f'{{"Code":"isv.MOBILE_NUMBER_ILLEGAL","Message":"{NUMBER}invalid mobile number"}}'
        fault(hall, "sms", "status", status=200, body=body)
        (outcome,) = await channel.send(push(text(), NUMBER))
    assert outcome == InvalidToken(None, "isv.MOBILE_NUMBER_ILLEGAL", "…invalid mobile number")


@pytest.mark.parametrize("content", [PushContent("t", "c"), text("[1]"), text("{"), text(sign="")])
async def test_pushes_without_a_short_message(tmp_path: Path, clock: ManualClock, content: PushContent) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        (outcome,) = await channel.send(push(content, NUMBER))
        assert calls(hall) == []
    assert isinstance(outcome, PayloadError)


async def test_values_become_texts(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        (outcome,) = await channel.send(push(text({"code": 1234, "ok": True}), NUMBER))
        assert json.loads(calls(hall)[0]["TemplateParam"]) == {"code": "1234", "ok": "true"}
    assert isinstance(outcome, Accepted)


async def test_nothing_is_taken_back(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        (outcome,) = await channel.recall([VendorCopy(1, 1, NUMBER, "7^0", "k")])
        assert isinstance(outcome, NotRecallable)
        assert calls(hall) == []


async def test_an_end_waits_for_what_is_under_way(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "sms", "latency", seconds=0.3)
        sending = asyncio.create_task(channel.send(push(text(), NUMBER)))
        await asyncio.sleep(0)
        await channel.close()
        assert isinstance((await sending)[0], Accepted)
