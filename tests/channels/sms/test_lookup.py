"""What may have been sent before is asked for, and sent only if the service does not have it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from clarion.channels.base import Accepted, ConfigError, Envelope, RateLimited, Retry, SendOutcome, Unknown
from clarion.channels.message import PushContent
from clarion.channels.outcomes import VENDOR_ZONE
from clarion.channels.sms.lookup import days_of, lists
from clarion.channels.sms.payload import Text, text_of
from clarion.clock import ManualClock
from clarion.ids import first_id_at
from clarion.simulators.hall import Hall
from tests.channels.host import fault
from tests.channels.sms.harness import NUMBER, calls, numbers, opened, text

KNOWN = ("the service says that it has it from an earlier try",)


def _push(
    clock: ManualClock, *tokens: str, attempt: int = 2, task: int = 0, content: PushContent | None = None
) -> list[Envelope]:
    task = task or first_id_at(clock.now_ms())
    shared = content or text()
    return [
        Envelope(task + place, 0, token, f"k{place}", task, 2**50, shared, attempt)
        for place, token in enumerate(tokens)
    ]


def _actions(hall: Hall) -> list[str]:
    return [call["Action"] for call in calls(hall)]


async def test_what_it_has_is_not_sent_again(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        first, second = numbers(2)
        await channel.send(_push(clock, first, attempt=1))
        known, new = await channel.send(_push(clock, first, second))
        assert known == Accepted("", KNOWN)
        assert isinstance(new, Accepted)
        assert new.vendor_id
        assert _actions(hall) == ["SendSms", "QuerySendDetails", "QuerySendDetails", "SendSms"]
        assert calls(hall)[-1]["PhoneNumbers"] == second


async def test_an_answer_that_was_lost(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "sms", "half", count=1)
        assert isinstance((await channel.send(_push(clock, NUMBER, attempt=1)))[0], Unknown)
        assert (await channel.send(_push(clock, NUMBER)))[0] == Accepted("", KNOWN)
        assert _actions(hall).count("SendSms") == 1


async def test_a_first_try_asks_nothing(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        await channel.send(_push(clock, NUMBER, attempt=1))
        assert _actions(hall) == ["SendSms"]


async def test_another_push_with_the_same_text_is_another(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        await channel.send(_push(clock, NUMBER, attempt=1, task=first_id_at(clock.now_ms()) + 5))
        await channel.send(_push(clock, NUMBER))
        assert _actions(hall) == ["SendSms", "QuerySendDetails", "SendSms"]


async def test_one_of_a_call_for_several_pushes(tmp_path: Path, clock: ManualClock) -> None:
    tasks = [first_id_at(clock.now_ms()) + place for place in range(10)]
    contents = [text({"code": str(place)}) for place in range(10)]
    async with opened(tmp_path, clock) as (hall, channel):
        some = list(zip(numbers(10), tasks, contents, strict=True))
        await channel.send(
            [each for number, task, c in some for each in _push(clock, number, attempt=1, task=task, content=c)]
        )
        assert _actions(hall) == ["SendBatchSms"]
        number, task, content = some[4]
        assert await channel.send(_push(clock, number, task=task, content=content)) == [Accepted("", KNOWN)]


async def test_it_was_yesterday_where_the_service_is(tmp_path: Path) -> None:
    clock = ManualClock(int(datetime(2026, 12, 31, 23, 59, 50, tzinfo=VENDOR_ZONE).timestamp() * 1000))
    task = first_id_at(clock.now_ms())
    async with opened(tmp_path, clock) as (_, channel):
        await channel.send(_push(clock, NUMBER, attempt=1, task=task))
        clock.advance(20)
        assert await channel.send(_push(clock, NUMBER, task=task)) == [Accepted("", KNOWN)]


@pytest.mark.parametrize(
    "code", ["isp.RAM_PERMISSION_DENY", "Forbidden.RAM", "isv.MOBILE_NUMBER_ILLEGAL", "isv.NEW"]
)
async def test_a_service_that_does_not_say(tmp_path: Path, clock: ManualClock, code: str) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "sms", "code", code=code, count=1)
        (outcome,) = await channel.send(_push(clock, NUMBER, attempt=2))
        assert isinstance(outcome, Accepted)
        fault(hall, "sms", "code", code=code, count=1)
        (outcome,) = await channel.send(_push(clock, NUMBER, attempt=3))
        assert outcome == Unknown(code, "the service does not say whether it has it from an earlier try")
        assert _actions(hall).count("SendSms") == 1


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"kind": "status", "status": 503}, Retry),
        ({"kind": "status", "status": 500}, Retry),
        ({"kind": "reset"}, Retry),
        ({"kind": "garbage"}, Retry),
        ({"kind": "status", "status": 200, "body": '{"Code":"OK","SmsSendDetailDTOs":[]}'}, Retry),
        ({"kind": "code", "code": "Throttling.User"}, RateLimited),
        ({"kind": "code", "code": "isv.AMOUNT_NOT_ENOUGH"}, ConfigError),
    ],
)
async def test_a_service_that_cannot_say_now(
    tmp_path: Path, clock: ManualClock, members: dict[str, Any], kind: type[SendOutcome]
) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "sms", **members)
        (outcome,) = await channel.send(_push(clock, NUMBER))
        assert type(outcome) is kind
        assert "SendSms" not in _actions(hall)


def _text() -> Text:
    made = text_of(text().sms, first_id_at(1_800_000_000_000))
    assert isinstance(made, Text)
    return made


@pytest.mark.parametrize(
    ("detail", "listed"),
    [
        ({"OutId": str(first_id_at(1_800_000_000_000))}, True),
        ({"OutId": "7", "TemplateCode": "SMS_1", "SendDate": "2027-01-15 16:00:00"}, False),
        ({"TemplateCode": "SMS_1", "SendDate": "2027-01-15 16:00:00"}, True),
        ({"TemplateCode": "SMS_1", "SendDate": "2027-01-15 15:59:59"}, False),
        ({"TemplateCode": "SMS_2", "SendDate": "2027-01-15 16:00:00"}, False),
        ({"TemplateCode": "SMS_1", "SendDate": "yesterday"}, False),
        ({"TemplateCode": "SMS_1", "SendDate": None}, False),
        ({}, False),
        ("OutId", False),
    ],
)
def test_what_is_listed(detail: object, listed: bool) -> None:
    assert lists({"SmsSendDetailDTOs": {"SmsSendDetailDTO": [7, detail]}}, _text()) is listed


@pytest.mark.parametrize("answer", [{}, {"SmsSendDetailDTOs": []}, {"SmsSendDetailDTOs": {"SmsSendDetailDTO": {}}}])
def test_what_is_no_list(answer: dict[str, Any]) -> None:
    assert lists(answer, _text()) is None


def test_days() -> None:
    night = int(datetime(2026, 3, 1, 0, 5, tzinfo=VENDOR_ZONE).timestamp() * 1000)
    assert days_of(first_id_at(night), night) == ["20260301"]
    assert days_of(first_id_at(night - 600_000), night) == ["20260301", "20260228"]
