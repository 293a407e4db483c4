"""The channel and the simulator together, over HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    NotRecallable,
    PayloadError,
    RateLimited,
    Recalled,
    RecallUnknown,
    Retry,
    VendorCopy,
)
from clarion.channels.message import PushContent
from clarion.channels.miui.errors import CODES
from clarion.channels.outcomes import VENDOR_ZONE, Treatment
from clarion.clock import ManualClock
from tests.channels.host import CONTENT, envelope, fault
from tests.channels.kinds import KINDS
from tests.channels.miui.harness import forms, opened


async def test_one_message(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        (outcome,) = await channel.send([envelope("regid+1/=", clock.now_ms())])
        assert isinstance(outcome, Accepted)
        assert outcome.vendor_id.startswith("scm")
        (form,) = forms(hall, "/v3/message/regid")
        assert form["registration_id"] == "regid+1/="
        assert form["title"] == "Parcel"


async def test_equal_messages_share_calls(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        tokens = [f"r{number}" for number in range(1001)]
        outcomes = await channel.send([envelope(token, clock.now_ms()) for token in [*tokens, "r5"]])
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        sent = [form["registration_id"].split(",") for form in forms(hall)]
        assert sorted(map(len, sent)) == [1, 1000]
        assert sorted(token for part in sent for token in part) == sorted(tokens)
        assert outcomes[5] == outcomes[-1]


async def test_different_messages_share_a_call(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        now = clock.now_ms()
        envelopes = [
            envelope(
                f"r{number}", now, message=number, msg_key=f"k{number}", content=PushContent(f"T{number}", "C")
            )
            for number in range(1, 41)
        ]
        same = [envelope(f"s{number}", now) for number in range(20)]
        outcomes = await channel.send([*envelopes, *same])
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        (form,) = forms(hall, "/v2/multi_messages/regids")
        elements = msgspec.json.decode(form["messages"])
        assert [(it["target"], it["message"]["title"]) for it in elements] == [
            (f"r{number}", f"T{number}") for number in range(1, 41)
        ]
        (listed,) = forms(hall, "/v3/message/regid")
        assert len(listed["registration_id"].split(",")) == 20


async def test_calls_have_a_size(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        now = clock.now_ms()
        envelopes = [
            envelope(
                f"r{number}",
                now,
                message=number,
                msg_key=f"k{number}",
                content=PushContent(f"{number}", "包" * 127, params={"a": "裹" * 500}),
            )
            for number in range(1, 401)
        ]
        outcomes = await channel.send(envelopes)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert 1 < len(forms(hall)) < 10
        assert max(len(entry.body) for entry in hall.journal.entries()) < 1 << 20


@pytest.mark.parametrize("code", list(CODES))
async def test_code(code: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "miui", "code", code=code)
        (outcome,) = await channel.send([envelope("regid-1", clock.now_ms())])
        treatment = Treatment.INVALID_TOKEN if code == "20301" else CODES[code].treatment
        assert type(outcome) is KINDS[treatment]
        if not isinstance(outcome, Accepted):
            assert outcome.code == code
        if treatment is Treatment.DAY_QUOTA and isinstance(outcome, RateLimited):
            until = datetime.fromtimestamp(outcome.until / 1000, VENDOR_ZONE)
            assert (until.hour, until.minute) == (0, 0)
            assert 0 < outcome.until - clock.now_ms() <= 86_400_000
            assert outcome.whole == (code != "200001")


async def test_a_code_that_is_not_known(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "miui", "code", code="77777")
        (outcome,) = await channel.send([envelope("regid-1", clock.now_ms())])
        assert isinstance(outcome, PayloadError)
        assert outcome.code == "77777"


async def test_sending_failed_for_another_reason(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        body = '{"result":"error","reason":"send failed","code":20301,"description":"x"}'
        fault(hall, "miui", "status", status=200, body=body)
        (outcome,) = await channel.send([envelope("regid-1", clock.now_ms())])
        assert outcome == Retry(None, "20301", "send failed x")


async def test_a_dead_token_is_found_in_a_list_that_was_refused(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        body = '{"result":"error","reason":"Invalid registration id","code":20301,"description":""}'
        fault(hall, "miui", "status", status=200, body=body, token="r3")
        outcomes = await channel.send([envelope(f"r{number}", clock.now_ms()) for number in range(8)])
        assert [type(outcome) for outcome in outcomes] == [Accepted] * 3 + [InvalidToken] + [Accepted] * 4


async def test_one_bad_message_of_several_fails_alone(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        now = clock.now_ms()
        body = '{"result":"error","reason":"a word that is not allowed","code":10017,"description":""}'
        fault(hall, "miui", "status", status=200, body=body, token="forbidden")
        titles = ["a", "b", "forbidden", "d", "e"]
        outcomes = await channel.send(
            [
                envelope("r1", now, message=number, msg_key=str(number), content=PushContent(title, "C"))
                for number, title in enumerate(titles, 1)
            ]
        )
        assert [type(it) for it in outcomes] == [Accepted, Accepted, PayloadError, Accepted, Accepted]


async def test_a_channel_that_is_not_approved_fails_alone(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        hall.configure("miui", {"channels": ["good"]})
        now = clock.now_ms()
        outcomes = await channel.send(
            [
                envelope(
                    "r1",
                    now,
                    message=number,
                    msg_key=str(number),
                    content=PushContent("T", "C", mi_channel_id=name),
                )
                for number, name in enumerate(["good", "bad", "good", "bad", "good"], 1)
            ]
        )
        # The caller named it: no reason to stop the messages of others.
        assert [type(it) for it in outcomes] == [Accepted, PayloadError, Accepted, PayloadError, Accepted]
        assert len(forms(hall)) == 2


async def test_a_channel_of_the_file_that_is_not_approved(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock, channelIds={"1": "bad"}) as (hall, channel):
        hall.configure("miui", {"channels": ["good"]})
        outcomes = await channel.send([envelope(f"r{number}", clock.now_ms()) for number in range(2)])
        assert [type(it) for it in outcomes] == [ConfigError, ConfigError]


async def test_a_list_does_not_tell_dead_tokens(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        hall.configure("miui", {"invalidTokens": ["dead"]})
        now = clock.now_ms()
        assert isinstance((await channel.send([envelope("dead", now)]))[0], InvalidToken)
        outcomes = await channel.send([envelope("dead", now), envelope("alive", now)])
        assert [type(outcome) for outcome in outcomes] == [Accepted, Accepted]


async def test_tokens_that_would_be_several(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        now = clock.now_ms()
        outcomes = await channel.send([envelope(token, now) for token in ("a,b", "", "a b", "é", "good")])
        assert [type(outcome) for outcome in outcomes] == [InvalidToken] * 4 + [Accepted]
        assert [form["registration_id"] for form in forms(hall)] == ["good"]


async def test_a_day_quota_is_of_one_channel_and_is_not_asked_in_vain(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        now = clock.now_ms()
        hall.configure("miui", {"dayQuota": 0})
        news = envelope("r1", now, content=PushContent("T", "C", mi_channel_id="news"))
        assert isinstance((await channel.send([news]))[0], RateLimited)
        hall.configure("miui", {"dayQuota": None})
        assert isinstance((await channel.send([news]))[0], RateLimited)
        assert len(forms(hall)) == 1
        assert isinstance((await channel.send([envelope("r1", now)]))[0], Accepted)
        clock.advance(86_400)
        later = envelope("r1", clock.now_ms(), content=news.content)
        assert isinstance((await channel.send([later]))[0], Accepted)


async def test_quotas_of_several_messages(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        now = clock.now_ms()

        def mixed(number: int, mi_channel_id: str) -> Any:
            content = PushContent(f"T{number}", "C", mi_channel_id=mi_channel_id)
            return envelope(f"r{number}", now, message=number, msg_key=str(number), content=content)

        hall.configure("miui", {"dayQuota": 1})
        one = await channel.send([mixed(1, ""), mixed(2, "a")])
        assert [type(outcome) for outcome in one] == [Accepted, Accepted]
        hall.configure("miui", {"dayQuota": 1})
        two = await channel.send([mixed(3, "a"), mixed(4, "b"), mixed(5, "b")])
        assert isinstance(two[0], Accepted)
        assert "does not say which" in getattr(two[1], "text", "")
        assert two[1] == two[2]
        three = await channel.send([mixed(6, "a"), mixed(7, "a"), mixed(8, "c")])
        assert [type(outcome) for outcome in three] == [RateLimited, RateLimited, Accepted]


async def test_what_cannot_be_sent_does_not_keep_the_others(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (_, channel):
        now = clock.now_ms()
        long = envelope("r1", now, content=PushContent("T" * 50, "C"))
        outcomes = await channel.send([long, envelope("r2", now), envelope("r3", now, seconds=0)])
        assert [type(outcome) for outcome in outcomes] == [PayloadError, Accepted, PayloadError]


async def test_notes_come_with_the_outcome(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (_, channel):
        content = msgspec.structs.replace(CONTENT, channel_id="c")
        (outcome,) = await channel.send([envelope("r1", clock.now_ms(), content=content)])
        assert isinstance(outcome, Accepted)
        assert outcome.notes == ("ChannelId left out: Xiaomi's own is MiChannelId",)


async def test_recall(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        copies = [VendorCopy(1, number, f"r{number}", "scm1", "order-1") for number in range(3)]
        copies.append(replace(copies[0], msg_key="order-2"))
        assert list(await channel.recall(copies)) == [Recalled()] * 4
        recalls = forms(hall, "/v3/message/regid/revoke")
        assert sorted(form["registration_ids"] for form in recalls) == ["r0", "r0,r1,r2"]


@pytest.mark.parametrize(
    ("code", "expected"), [("65028", NotRecallable), ("10001", RecallUnknown), ("21302", NotRecallable)]
)
async def test_recall_that_fails(code: str, expected: type, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "miui", "code", code=code)
        (outcome,) = await channel.recall([VendorCopy(1, 1, "r1", "scm1", "order-1")])
        assert isinstance(outcome, expected)
        assert getattr(outcome, "code", "") == code


async def test_the_older_recall_ends(tmp_path: Path) -> None:
    copy = VendorCopy(1, 1, "r1", "scm1", "order-1")
    for now, expected in ((1_795_500_000_000, Recalled), (1_796_054_400_000, NotRecallable)):
        async with opened(tmp_path, ManualClock(now), revokePath="/v1/message/regid/revoke") as (_, channel):
            assert isinstance((await channel.recall([copy]))[0], expected)


async def test_check(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        assert (await channel.check()).ok
        assert hall.journal.entries()[0].tokens == []
    async with opened(tmp_path, clock, appSecret="another") as (_, channel):
        found = await channel.check()
        assert not found.ok
        assert found.reached
        assert "another" not in found.text
    async with opened(tmp_path, clock, baseUrl="http://127.0.0.1:9") as (_, channel):
        found = await channel.check()
        assert not found.ok
        assert not found.reached


async def test_a_wrong_secret(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock, appSecret="another") as (_, channel):
        (outcome,) = await channel.send([envelope("r1", clock.now_ms())])
        assert isinstance(outcome, ConfigError)


async def test_callbacks_of_the_simulator_are_understood(tmp_path: Path, clock: ManualClock) -> None:
    from clarion.channels.base import ReceiptKind
    from clarion.channels.miui import parse, parse_receipts
    from clarion.simulators.base import Received

    async with opened(tmp_path, clock, callbackUrl="http://127.0.0.1:9/receipts/x") as (hall, channel):
        hall.configure("miui", {"invalidTokens": ["dead"], "mutedTokens": ["quiet"]})
        now = clock.now_ms()
        outcomes = await channel.send([envelope(token, now) for token in ("good", "dead", "quiet")])
        entry = hall.journal.entries()[0]
        reply = hall.simulators["miui"].handle(
            Received(
                "POST",
                entry.path,
                "",
                {**entry.headers, "authorization": f"key={_secret(hall)}"},
                entry.body.encode(),
            )
        )
        settings = parse(msgspec.json.encode(hall.credentials("miui")))
        receipts = [
            receipt for made in reply.receipts for receipt in parse_receipts(made.headers, made.body, settings, now)
        ]
        assert {receipt.token: receipt.kind for receipt in receipts} == {
            "good": ReceiptKind.ARRIVED,
            "dead": ReceiptKind.INVALID_TOKEN,
            "quiet": ReceiptKind.MUTED,
        }
        assert {receipt.tag for receipt in receipts} == {"247462019071745"}
        assert isinstance(outcomes[0], Accepted)
        assert all("data" in parse_qs(made.body.decode()) for made in reply.receipts)


def _secret(hall: Any) -> str:
    return str(hall.credentials("miui")["appSecret"])
