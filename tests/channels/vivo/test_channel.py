"""The channel and the simulator together, over HTTP."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

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
    ReceiptKind,
    Retry,
    VendorCopy,
)
from clarion.channels.message import PushContent
from clarion.channels.outcomes import VENDOR_ZONE, Treatment
from clarion.channels.vivo import parse, parse_receipts
from clarion.channels.vivo.errors import CODES
from clarion.clock import ManualClock
from clarion.simulators.base import Received
from tests.channels.host import CONTENT, envelope, fault
from tests.channels.kinds import KINDS
from tests.channels.vivo.harness import opened, sent, simulator

SEND, SAVE, LIST = "/message/send", "/message/saveListPayload", "/message/pushToList"
MARKETING = msgspec.structs.replace(CONTENT, classification="0")


async def test_one_message(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        (outcome,) = await channel.send([envelope("regid-1", clock.now_ms())])
        assert isinstance(outcome, Accepted)
        assert outcome.vendor_id
        (body,) = sent(hall, SEND)
        assert (body["regId"], body["title"]) == ("regid-1", "Parcel")
        assert isinstance(body["appId"], int)
        assert "authtoken" in hall.journal.entries()[-1].headers


@pytest.mark.parametrize(
    ("count", "lists"), [(2, [2]), (1000, [1000]), (1001, [2, 999]), (2001, [2, 999, 1000]), (2000, [1000, 1000])]
)
async def test_lists_are_never_of_one(count: int, lists: list[int], tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        outcomes = await channel.send([envelope(f"r{number}", clock.now_ms()) for number in range(count)])
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        parts = [body["regIds"] for body in sent(hall, LIST)]
        assert sorted(map(len, parts)) == lists
        assert len({token for part in parts for token in part}) == count
        assert len(sent(hall, SAVE)) == 1
        assert sent(hall, SEND) == []


async def test_different_messages_go_one_by_one(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        now = clock.now_ms()
        envelopes = [envelope(f"r{number}", now, message=number, msg_key=str(number)) for number in range(1, 30)]
        outcomes = await channel.send([*envelopes, envelopes[0]])
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert outcomes[0] == outcomes[-1]
        assert len(sent(hall, SEND)) == 29


async def test_devices_of_a_list_are_told_apart(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        hall.configure("vivo", {"invalidUsers": {"r1": 1, "r2": 2, "r3": 3}})
        outcomes = await channel.send([envelope(f"r{number}", clock.now_ms()) for number in range(5)])
        assert [type(it) for it in outcomes] == [Accepted, InvalidToken, InvalidToken, ConfigError, Accepted]
        (single,) = await channel.send([envelope("r2", clock.now_ms())])
        assert single == outcomes[2]


@pytest.mark.parametrize("code", list(CODES))
async def test_code(code: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "vivo", "code", code=code, path=SEND)
        treatment = CODES[code].treatment
        (outcome,) = await channel.send([envelope("r1", clock.now_ms())])
        assert type(outcome) is KINDS[treatment]
        if not isinstance(outcome, Accepted):
            assert outcome.code == code
        calls = len(sent(hall, SEND))
        assert calls == (2 if treatment is Treatment.AUTH_REFRESH else 1)
        if treatment is Treatment.DAY_QUOTA:
            assert isinstance(outcome, RateLimited)
            assert datetime.fromtimestamp(outcome.until / 1000, VENDOR_ZONE).hour == 0
            assert not outcome.whole
            # To go on would lower the quota.
            journal = len(hall.journal)
            assert list(await channel.send([envelope("r1", clock.now_ms())])) == [outcome]
            several = await channel.send([envelope(f"r{number}", clock.now_ms()) for number in (1, 2)])
            assert list(several) == [outcome, outcome]
            assert len(hall.journal) == journal
            await channel.send([envelope("r1", clock.now_ms(), content=MARKETING)])
            assert len(hall.journal) == journal + 1


@pytest.mark.parametrize("code", ["10070", "10072", "10103", "10302", "77777"])
@pytest.mark.parametrize("path", [SAVE, LIST])
async def test_code_of_a_list(code: str, path: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "vivo", "code", code=code, path=path)
        outcomes = await channel.send([envelope(f"r{number}", clock.now_ms()) for number in range(3)])
        expected = KINDS[CODES[code].treatment] if code in CODES else PayloadError
        assert {type(outcome) for outcome in outcomes} == {expected}


async def test_a_list_refused_for_a_device_is_halved_down_to_it(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "vivo", "status", status=200, body='{"result":10302,"desc":"bad r4"}', token='"r4"')
        outcomes = await channel.send([envelope(f"r{number}", clock.now_ms()) for number in range(7)])
        assert [type(outcome) for outcome in outcomes] == [Accepted] * 4 + [InvalidToken] + [Accepted] * 2
        assert outcomes[4] == InvalidToken(None, "10302", "bad …")
        assert all(len(body["regIds"]) > 1 for body in sent(hall, LIST))


async def test_a_lost_save_is_no_lost_push(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "vivo", "reset", path=SAVE)
        outcomes = await channel.send([envelope(f"r{number}", clock.now_ms()) for number in range(2)])
        assert {type(outcome) for outcome in outcomes} == {Retry}


async def test_test_mode(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock, pushMode=1) as (hall, channel):
        hall.configure("vivo", {"testTokens": ["mine"]})
        now = clock.now_ms()
        assert isinstance((await channel.send([envelope("mine", now)]))[0], Accepted)
        (outcome,) = await channel.send([envelope("other", now)])
        assert isinstance(outcome, ConfigError)
        assert outcome.code == "10302"
        both = await channel.send([envelope("mine", now), envelope("other", now)])
        assert [type(outcome) for outcome in both] == [Accepted, ConfigError]


async def test_operational_hours_and_quota(tmp_path: Path) -> None:
    midnight = int(datetime(2026, 11, 24, 23, 30, tzinfo=VENDOR_ZONE).timestamp() * 1000)
    clock = ManualClock(midnight)
    async with opened(tmp_path, clock) as (hall, channel):
        hall.configure("vivo", {"hours": True, "dayQuota": 1})
        (late,) = await channel.send([envelope("r1", clock.now_ms(), content=MARKETING)])
        assert isinstance(late, RateLimited)
        assert datetime.fromtimestamp(late.until / 1000, VENDOR_ZONE) == datetime(
            2026, 11, 25, 7, tzinfo=VENDOR_ZONE
        )
        assert isinstance((await channel.send([envelope("r1", clock.now_ms())]))[0], Accepted)
        clock.advance(7.5 * 3600)
        outcomes = [
            (await channel.send([envelope(f"r{number}", clock.now_ms(), content=MARKETING)]))[0]
            for number in (1, 2)
        ]
        assert [type(outcome) for outcome in outcomes] == [Accepted, RateLimited]


async def test_one_token_for_all_who_wait(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        now = clock.now_ms()

        async def burst() -> None:
            answers = await asyncio.gather(*(channel.send([envelope(f"r{number}", now)]) for number in range(100)))
            assert all(isinstance(outcome, Accepted) for (outcome,) in answers)

        await burst()
        assert simulator(hall).authentications == 1
        fault(hall, "vivo", "expired_auth", count=1)
        await burst()
        assert simulator(hall).authentications == 2


async def test_the_token_is_renewed_every_two_hours(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        for minutes, tokens in ((0, 1), (109, 1), (2, 2)):
            clock.advance(minutes * 60)
            assert isinstance((await channel.send([envelope("r1", clock.now_ms())]))[0], Accepted)
            assert simulator(hall).authentications == tokens


@pytest.mark.parametrize(
    ("code", "expected"), [("10205", ConfigError), ("10207", ConfigError), ("10093", Retry), ("10072", Retry)]
)
async def test_no_token(code: str, expected: type, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "vivo", "code", code=code, path="/auth", count=1)
        outcomes = await asyncio.gather(*(channel.send([envelope(f"r{n}", clock.now_ms())]) for n in range(20)))
        assert {type(outcome) for (outcome,) in outcomes} == {expected}
        assert sent(hall, SEND) == []
        assert len(hall.journal) == 1


async def test_what_cannot_be_sent_does_not_keep_the_others(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (_, channel):
        now = clock.now_ms()
        silent = envelope("r1", now, content=PushContent("T", "C", silent=1))
        outcomes = await channel.send([silent, envelope("a,b", now), envelope("r2", now)])
        assert [type(outcome) for outcome in outcomes] == [PayloadError, InvalidToken, Accepted]


@pytest.mark.parametrize(("category", "expected"), [({}, ConfigError), ({"vivo": "ORDER"}, PayloadError)])
async def test_a_category_without_a_right_to_it(
    category: dict[str, str], expected: type, tmp_path: Path, clock: ManualClock
) -> None:
    async with opened(tmp_path, clock, categories={"1": "IM"}) as (hall, channel):
        fault(hall, "vivo", "code", code="10096", path="/message/s")
        content = PushContent("T", "C", category=category)
        for count in (1, 2):
            outcomes = await channel.send(
                [envelope(f"r{number}", clock.now_ms(), content=content) for number in range(count)]
            )
            assert {type(outcome) for outcome in outcomes} == {expected}


async def test_notes_come_with_the_outcome(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (_, channel):
        content = msgspec.structs.replace(CONTENT, channel_id="c")
        outcomes = await channel.send([envelope(f"r{n}", clock.now_ms(), content=content) for n in range(2)])
        assert {getattr(outcome, "notes", ()) for outcome in outcomes} == {("ChannelId left out: vivo has none",)}


async def test_a_repeated_request_reaches_the_device_once(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        for attempt in (1, 2):
            (outcome,) = await channel.send([envelope("r1", clock.now_ms(), attempt=attempt)])
            assert isinstance(outcome, Accepted)
        first, second = (entry for entry in hall.journal.entries() if entry.path == SEND)
        assert (first.detail, second.detail) == ("", "a requestId that was there before: sent once")


async def test_recall(tmp_path: Path, clock: ManualClock) -> None:
    copies = [VendorCopy(1, number, f"r{number}", "task-1", "k") for number in range(3)]
    async with opened(tmp_path, clock) as (hall, channel):
        assert {type(outcome) for outcome in await channel.recall(copies)} == {NotRecallable}
        assert len(hall.journal) == 0
    async with opened(tmp_path, clock, recallPath="/message/recall") as (hall, channel):
        hall.configure("vivo", {"recall": True})
        assert list(await channel.recall(copies)) == [Recalled()] * 3
        assert len(sent(hall, "/message/recall")) == 1
        fault(hall, "vivo", "code", code="10352", path="/recall")
        assert {type(outcome) for outcome in await channel.recall(copies)} == {NotRecallable}


async def test_check(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (_, channel):
        assert (await channel.check()).ok
    async with opened(tmp_path, clock, appSecret="another-secret") as (_, channel):
        found = await channel.check()
        assert (found.ok, found.reached) == (False, True)
        assert "another-secret" not in found.text
    async with opened(tmp_path, clock, baseUrl="http://127.0.0.1:9") as (_, channel):
        found = await channel.check()
        assert (found.ok, found.reached) == (False, False)


async def test_callbacks_of_the_simulator_are_understood(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock, callbackUrl="http://127.0.0.1:9/receipts/x") as (hall, channel):
        (outcome,) = await channel.send([envelope("r1", clock.now_ms())])
        settings = parse(msgspec.json.encode(hall.credentials("vivo")))
        (body,) = sent(hall, SEND)
        token = next(iter(simulator(hall)._tokens))
        headers = {"content-type": "application/json", "authtoken": token}
        again = msgspec.json.encode({**body, "requestId": "another"})
        (made,) = simulator(hall).handle(Received("POST", SEND, "", headers, again)).receipts
        (receipt,) = parse_receipts(made.headers, made.body, settings, clock.now_ms())
        assert (receipt.token, receipt.kind, receipt.tag) == ("r1", ReceiptKind.ARRIVED, "247462019071745")
        assert isinstance(outcome, Accepted)
