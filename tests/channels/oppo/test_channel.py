"""The channel and the simulator together, over HTTP."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
import pytest

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    NotRecallable,
    PayloadError,
    RateLimited,
    ReceiptKind,
    Retry,
    Unknown,
    VendorCopy,
)
from clarion.channels.message import PushContent
from clarion.channels.oppo import parse, parse_receipts
from clarion.channels.oppo.errors import CODES, row_of
from clarion.channels.outcomes import VENDOR_ZONE, Treatment
from clarion.clock import ManualClock
from clarion.simulators.base import Received
from clarion.simulators.oppo import WHOLE_CODES
from tests.channels.host import bodies, envelope, fault
from tests.channels.kinds import KINDS
from tests.channels.oppo.harness import MESSAGE, opened, regid, sent, simulator


async def test_one_message(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        (outcome,) = await channel.send([envelope(regid(1), clock.now_ms())])
        assert isinstance(outcome, Accepted)
        assert outcome.vendor_id.startswith("30000000-1-1-")
        entry = hall.journal.entries()[-1]
        assert entry.path == "/server/v1/message/notification/unicast"
        # The token is in the body, the message a JSON text in it.
        assert set(dict(parse_qsl(entry.body))) == {"auth_token", "message"}
        assert sent(hall)[0][0]["notification"]["title"] == "Parcel"


async def test_many_messages_share_calls_and_are_told_apart(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        hall.configure("oppo", {"invalidTokens": [regid(3), regid(1000)]})
        fault(hall, "oppo", "code", code="10001", token=regid(4))
        outcomes = await channel.send([envelope(regid(number), clock.now_ms()) for number in range(1001)])
        kinds = {
            number: type(outcome) for number, outcome in enumerate(outcomes) if not isinstance(outcome, Accepted)
        }
        assert kinds == {3: InvalidToken, 4: PayloadError, 1000: InvalidToken}
        assert sum(map(len, sent(hall))) == 1001
        assert len(sent(hall)) <= 3
        identified = {outcome.vendor_id for outcome in outcomes if isinstance(outcome, Accepted)}
        assert len(identified) == 998


async def test_calls_have_a_size(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        content = PushContent("包" * 50, "包" * 50, params={"a": "裹" * 600})
        outcomes = await channel.send([envelope(regid(n), clock.now_ms(), content=content) for n in range(400)])
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert max(map(len, bodies(hall, MESSAGE))) < 1 << 20
        assert sum(map(len, sent(hall))) == 400


async def test_tokens_with_characters_that_mean_something_elsewhere(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        for tokens in ['a"b', "c\\", "%0A", "&x=1+2", ',"'], ['"']:
            await channel.send([envelope(token, clock.now_ms()) for token in tokens])
            assert [message["target_value"] for message in sent(hall)[-1]] == tokens


async def test_different_messages_for_one_device(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        now = clock.now_ms()
        envelopes = [envelope(regid(1), now, message=number, msg_key=f"k{number}") for number in (1, 2)]
        outcomes = await channel.send([*envelopes, envelope(regid(2), now), envelopes[0]])
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert outcomes[0] == outcomes[3]
        assert sorted(map(len, sent(hall))) == [1, 2]


@pytest.mark.parametrize("code", [*CODES, "10001", "20000"])
async def test_code(code: str, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "oppo", "code", code=code, path="/notification/")
        row = row_of(code, "")
        (single,) = await channel.send([envelope(regid(1), clock.now_ms())])
        assert type(single) is KINDS[row.treatment]
        if row.treatment is Treatment.DAY_QUOTA:
            assert isinstance(single, RateLimited)
            assert datetime.fromtimestamp(single.until / 1000, VENDOR_ZONE).hour == 0
            assert single.whole == (code != "33")
            calls = len(hall.journal)
            assert (await channel.send([envelope(regid(1), clock.now_ms())]))[0] == single
            assert len(hall.journal) == calls + single.whole
            return
        several = await channel.send([envelope(regid(number), clock.now_ms()) for number in (1, 2)])
        assert {type(outcome) for outcome in several} == {KINDS[row.treatment]}
        if not isinstance(single, Accepted):
            assert single.code == code
        attempts = 2 if row.treatment is Treatment.AUTH_REFRESH else 1
        assert len(bodies(hall, MESSAGE)) == 2 * attempts
        assert (code in WHOLE_CODES) or row.treatment not in (Treatment.AUTH_REFRESH, Treatment.RETRY)


async def test_a_code_that_is_not_known(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "oppo", "code", code="777", path="/notification/")
        (outcome,) = await channel.send([envelope(regid(1), clock.now_ms())])
        assert isinstance(outcome, PayloadError)
        assert outcome.code == "777"


async def test_argument_that_is_the_registration_id(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        body = '{"code":41,"message":"invalid registration_id ' + regid(3) + '"}'
        fault(hall, "oppo", "status", status=200, body=body, token=regid(3))
        outcomes = await channel.send([envelope(regid(number), clock.now_ms()) for number in range(5)])
        assert [type(outcome) for outcome in outcomes] == [Accepted] * 3 + [InvalidToken, Accepted]
        assert outcomes[3] == InvalidToken(None, "41", "invalid registration_id …")


async def test_an_answer_that_names_other_devices(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        data = [7, {"registrationId": regid(2), "messageId": "m"}, {"registrationId": ["x"]}, {"errorCode": 1}]
        body = msgspec.json.encode({"code": 0, "message": "", "data": data}).decode()
        fault(hall, "oppo", "status", status=200, body=body, path="/notification/")
        outcomes = await channel.send([envelope(regid(number), clock.now_ms()) for number in (1, 2)])
        assert [type(outcome) for outcome in outcomes] == [Unknown, Accepted]


async def test_a_duplicate_is_a_success_of_what_was_sent_before(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (_, channel):
        now = clock.now_ms()
        await channel.send([envelope(regid(1), now)])
        (again,) = await channel.send([envelope(regid(1), now, attempt=2)])
        assert again == Accepted("", (CODES["32"].meaning,))
        assert isinstance((await channel.send([envelope(regid(1), now)]))[0], PayloadError)
        both = await channel.send([envelope(regid(1), now, attempt=2), envelope(regid(2), now)])
        assert [type(outcome) for outcome in both] == [Accepted, Accepted]


async def test_one_token_for_all_who_wait(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        now = clock.now_ms()

        async def burst(first: int) -> None:
            several = range(first, first + 100)
            answers = await asyncio.gather(*(channel.send([envelope(regid(number), now)]) for number in several))
            assert all(isinstance(outcome, Accepted) for (outcome,) in answers)

        await burst(0)
        assert simulator(hall).authentications == 1
        fault(hall, "oppo", "expired_auth", count=1)
        await burst(100)
        assert simulator(hall).authentications == 2


async def test_the_token_is_renewed_before_its_end(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        for hours, tokens in ((0, 1), (21.9, 1), (0.2, 2)):
            clock.advance(hours * 3600)
            assert isinstance((await channel.send([envelope(regid(int(hours * 10)), clock.now_ms())]))[0], Accepted)
            assert simulator(hall).authentications == tokens
        assert all(entry.outcome == "accepted" for entry in hall.journal.entries())


@pytest.mark.parametrize(
    ("code", "expected"), [("14", ConfigError), ("19", ConfigError), ("-1", Retry), ("13", Retry), ("777", Retry)]
)
async def test_no_token(code: str, expected: type, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        fault(hall, "oppo", "code", code=code, path="/auth", count=1)
        (outcome,) = await channel.send([envelope(regid(1), clock.now_ms())])
        assert type(outcome) is expected
        assert bodies(hall, MESSAGE) == []


async def test_a_clock_that_is_wrong(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, _):
        settings = parse(msgspec.json.encode(hall.credentials("oppo")))
        from clarion.channels.oppo import open_channel

        wrong = open_channel(settings, ManualClock(clock.now_ms() + 601_000))
        try:
            found = await wrong.check()
        finally:
            await wrong.close()
        assert not found.ok
        assert found.reached
        assert "19" in found.text


async def test_check(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (_, channel):
        assert (await channel.check()).ok
    async with opened(tmp_path, clock, masterSecret="another-secret") as (_, channel):
        found = await channel.check()
        assert not found.ok
        assert found.reached
        assert "another-secret" not in found.text
        assert "16" in found.text
    async with opened(tmp_path, clock, baseUrl="http://127.0.0.1:9") as (_, channel):
        found = await channel.check()
        assert (found.ok, found.reached) == (False, False)


async def test_another_address_for_tokens(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock, tokenUrl="http://127.0.0.1:9/auth") as (_, channel):
        assert isinstance((await channel.send([envelope(regid(1), clock.now_ms())]))[0], Retry)


async def test_what_cannot_be_sent_does_not_keep_the_others(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (_, channel):
        now = clock.now_ms()
        silent = envelope(regid(1), now, content=PushContent("T", "C", silent=1))
        outcomes = await channel.send([silent, envelope("a b", now), envelope("a;b", now), envelope(regid(2), now)])
        assert [type(outcome) for outcome in outcomes] == [PayloadError, InvalidToken, InvalidToken, Accepted]


async def test_a_category_without_a_right_to_it(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock, categories={"1": "ORDER"}) as (hall, channel):
        hall.configure("oppo", {"categories": ["IM"]})
        now = clock.now_ms()
        (of_file,) = await channel.send([envelope(regid(1), now)])
        chosen = PushContent("T", "C", category={"oppo": "ACCOUNT"})
        (of_caller,) = await channel.send([envelope(regid(1), now, content=chosen)])
        assert [type(of_file), type(of_caller)] == [ConfigError, PayloadError]


async def test_recall(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock) as (hall, channel):
        (outcome,) = await channel.recall([VendorCopy(1, 1, regid(1), "m", "k")])
        assert outcome == NotRecallable("", "OPPO cannot take messages back")
        assert len(hall.journal) == 0


async def test_callbacks_of_the_simulator_are_understood(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock, callbackUrl="http://127.0.0.1:9/receipts/x") as (hall, channel):
        hall.configure("oppo", {"goneTokens": [regid(2)], "limitedTokens": [regid(3)]})
        now = clock.now_ms()
        await channel.send([envelope(regid(number), now) for number in (1, 2, 3)])
        entry = hall.journal.entries()[-1]
        body = entry.body.replace("247462019072001", "247462019072002").encode()
        reply = simulator(hall).handle(Received("POST", entry.path, "", entry.headers, body))
        (made,) = reply.receipts
        receipts = parse_receipts(
            made.headers, made.body, parse(msgspec.json.encode(hall.credentials("oppo"))), now
        )
        assert {receipt.token: receipt.kind for receipt in receipts} == {
            regid(1): ReceiptKind.ARRIVED,
            regid(2): ReceiptKind.INVALID_TOKEN,
            regid(3): ReceiptKind.FAILED,
        }
        assert {receipt.tag for receipt in receipts} == {"247462019071745"}
