"""Gateways that misbehave, and what the channels of Xiaomi, OPPO and vivo make of it: nothing raised."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.channels import miui, oppo, vivo
from clarion.channels.base import (
    Accepted,
    ConfigError,
    PayloadError,
    RateLimited,
    RecallUnknown,
    Retry,
    SendOutcome,
    Unknown,
    VendorChannel,
    VendorCopy,
)
from clarion.channels.files import ChannelFile
from clarion.channels.message import PushContent
from clarion.channels.miui.payload import Renderer as MiuiRenderer
from clarion.channels.oppo.payload import Renderer as OppoRenderer
from clarion.channels.text import Unsendable
from clarion.channels.vivo.payload import Renderer as VivoRenderer
from clarion.clock import Clock, ManualClock
from clarion.simulators.hall import Hall
from tests.channels.host import channel_file, envelope, fault, gateway


@dataclass(frozen=True)
class Vendor:
    label: str
    parse: Callable[[bytes], Any]
    open: Callable[..., VendorChannel]
    renderer: Callable[[Any, int], Any]
    path: str
    """Where messages go, not access tokens."""
    single: str
    secret: str
    example: dict[str, object]

    def token(self, number: int) -> str:
        return f"{number:032x}"


VENDORS = [
    Vendor(
        "miui",
        miui.parse,
        miui.open_channel,
        MiuiRenderer,
        "/message",
        "/v3/message/regid",
        "appSecret",
        {"packageName": "p", "appSecret": "s"},
    ),
    Vendor(
        "oppo",
        oppo.parse,
        oppo.open_channel,
        OppoRenderer,
        "/notification",
        "/server/v1/message/notification/unicast",
        "masterSecret",
        {"appKey": "k", "masterSecret": "s"},
    ),
    Vendor(
        "vivo",
        vivo.parse,
        vivo.open_channel,
        VivoRenderer,
        "/message/send",
        "/message/send",
        "appSecret",
        {"appId": 1, "appKey": "k", "appSecret": "s"},
    ),
]


@pytest.fixture(params=VENDORS, ids=[vendor.label for vendor in VENDORS])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return request.param  # type: ignore[no-any-return]


@asynccontextmanager
async def opened(
    vendor: Vendor, folder: Path, clock: Clock, *, seconds: float = 5.0, **changes: Any
) -> AsyncIterator[tuple[Hall, VendorChannel]]:
    async with gateway(vendor.label, folder, clock) as hall:
        channel = vendor.open(vendor.parse(channel_file(hall, vendor.label, changes)), clock, seconds=seconds)
        try:
            yield hall, channel
        finally:
            await channel.close()


async def send(vendor: Vendor, channel: VendorChannel, clock: ManualClock) -> SendOutcome:
    (outcome,) = await channel.send([envelope(vendor.token(1), clock.now_ms())])
    return outcome


@pytest.mark.parametrize("kind", ["reset", "half", "garbage", "huge"])
async def test_what_may_have_been_carried_out_is_unknown(
    kind: str, vendor: Vendor, tmp_path: Path, clock: ManualClock
) -> None:
    async with opened(vendor, tmp_path, clock) as (hall, channel):
        assert isinstance(await send(vendor, channel, clock), Accepted)
        fault(hall, vendor.label, kind, path=vendor.path, count=1)
        outcome = await send(vendor, channel, clock)
        assert isinstance(outcome, Unknown)
        assert vendor.token(1) not in outcome.text


async def test_no_answer_in_time(vendor: Vendor, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(vendor, tmp_path, clock, seconds=0.3) as (hall, channel):
        fault(hall, vendor.label, "stall", path=vendor.path)
        assert await send(vendor, channel, clock) == Unknown("", "no answer in time")


async def test_nobody_there(vendor: Vendor, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(vendor, tmp_path, clock, baseUrl="http://127.0.0.1:9") as (_, channel):
        assert isinstance(await send(vendor, channel, clock), Retry)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, Retry) for status in (408, 500, 502, 503)),
        *((status, ConfigError) for status in (302, 401, 403, 404)),
        *((413, PayloadError), (429, RateLimited), (200, Unknown)),
    ],
)
async def test_status(status: int, expected: type, vendor: Vendor, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(vendor, tmp_path, clock) as (hall, channel):
        # A body that says success does not make one of another status.
        body = '{"code":0,"result":0}' if status != 200 else ""
        fault(hall, vendor.label, "status", status=status, body=body, path=vendor.path)
        outcome = await send(vendor, channel, clock)
        assert type(outcome) is expected
        assert outcome.code == str(status)  # type: ignore[union-attr]


@pytest.mark.parametrize(("status", "wait"), [(429, 7), (503, 11)])
async def test_retry_after(status: int, wait: int, vendor: Vendor, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(vendor, tmp_path, clock) as (hall, channel):
        fault(hall, vendor.label, "status", status=status, retryAfter=wait, path=vendor.path)
        outcome = await send(vendor, channel, clock)
        if isinstance(outcome, RateLimited):
            assert outcome.until == clock.now_ms() + wait * 1000
        else:
            assert outcome == Retry(wait, str(status), "the vendor's server failed")


ODD = (
    *("null", "7", "[]", '"x"', "{}", '{"code":null,"result":null}', '{"code":true,"result":true}'),
    *('{"code":[0],"result":[0]}', '{"code":{},"result":{}}', '{"code":0.5,"result":1.5}', "{" * 5000),
)


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
async def test_an_answer_that_makes_no_sense(body: str, vendor: Vendor, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(vendor, tmp_path, clock) as (hall, channel):
        fault(hall, vendor.label, "status", status=200, body=body, path=vendor.path)
        assert isinstance(await send(vendor, channel, clock), Unknown)


@pytest.mark.parametrize("odd", [None, 7, "x", [], [7], [None], {}, {"id": 5}, {"messageId": []}])
async def test_successes_with_odd_members(odd: object, vendor: Vendor, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(vendor, tmp_path, clock) as (hall, channel):
        names = ("data", "taskId", "invalidUser", "description", "message", "desc", "reason")
        body = msgspec.json.encode({"code": 0, "result": 0, **dict.fromkeys(names, odd)}).decode()
        fault(hall, vendor.label, "status", status=200, body=body, path=vendor.path)
        assert await send(vendor, channel, clock) in (Accepted(""), Accepted("x"))
        several = await channel.send([envelope(vendor.token(number), clock.now_ms()) for number in (1, 2)])
        assert len(several) == 2


async def test_secrets_and_tokens_are_in_no_text(
    vendor: Vendor, tmp_path: Path, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(vendor, tmp_path, clock) as (hall, channel):
        secret = str(hall.credentials(vendor.label)[vendor.secret])

        def answers(text: str, path: str | None) -> None:
            answer = {"code": 1, "result": 1, **dict.fromkeys(("reason", "message", "desc"), text)}
            fault(hall, vendor.label, "status", status=200, body=msgspec.json.encode(answer).decode(), path=path)

        answers(f"secret {secret} of {vendor.token(1)}\n\x1b[2J" + "x" * 1_000, vendor.path)
        outcome = await send(vendor, channel, clock)
        text = str(getattr(outcome, "text", ""))
        assert text.startswith("secret … of …  [2J")
        assert len(text) <= 300
        answers(f"secret {secret}", None)
        check = await channel.check()
        assert "secret …" in check.text
        shown = f"{outcome!r} {check!r} {channel!r}" + "".join(capsys.readouterr())
        assert secret not in shown
        assert vendor.token(1) not in shown


async def test_a_lost_recall(vendor: Vendor, tmp_path: Path, clock: ManualClock) -> None:
    changes: dict[str, Any] = {"recallPath": "/message/recall"} if vendor.label == "vivo" else {}
    async with opened(vendor, tmp_path, clock, **changes) as (hall, channel):
        fault(hall, vendor.label, "reset")
        (outcome,) = await channel.recall([VendorCopy(1, 1, vendor.token(1), "v", "k")])
        assert isinstance(outcome, RecallUnknown) == (vendor.label != "oppo")


async def test_nothing_to_send(vendor: Vendor, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(vendor, tmp_path, clock) as (hall, channel):
        assert list(await channel.send([])) == []
        assert list(await channel.recall([])) == []
        assert len(hall.journal) == 0


async def test_closing_waits_for_what_is_under_way(vendor: Vendor, tmp_path: Path, clock: ManualClock) -> None:
    async with opened(vendor, tmp_path, clock) as (hall, channel):
        fault(hall, vendor.label, "latency", seconds=0.2, path=vendor.path)
        sending = asyncio.create_task(send(vendor, channel, clock))
        while not len(hall.journal):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await channel.close()
        assert sending.done()
        assert isinstance(await sending, Accepted)


_TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
_MAPS = st.dictionaries(
    st.sampled_from(["miui", "oppo", "vivo", "badge", "sound", "big_text", "badge_add_num", "x"]) | _TEXTS,
    _VALUES,
    max_size=4,
)
_ADDRESSES = st.dictionaries(st.sampled_from(["defaultUrl", "miuiUrl"]), _TEXTS, max_size=2)
_CONTENTS = st.builds(
    PushContent,
    title=_TEXTS,
    content=_TEXTS,
    uri=_TEXTS,
    action=st.sampled_from([0, 1]),
    silent=st.sampled_from([0, 1]),
    style=st.sampled_from([0, 1, 2]),
    icons=_ADDRESSES,
    images=_ADDRESSES,
    params=_MAPS,
    classification=st.sampled_from(["0", "1"]),
    category=_MAPS,
    notify_level=_MAPS,
    channel_id=_TEXTS,
    mi_channel_id=_TEXTS,
    data_payload=_VALUES,
    vendor_template=st.none() | _MAPS,
)


@given(content=_CONTENTS, cut=st.booleans())
def test_any_content_is_rendered_or_refused(content: PushContent, cut: bool) -> None:
    for vendor in VENDORS:
        file: ChannelFile = vendor.parse(
            msgspec.json.encode({**vendor.example, "overLength": "cut" if cut else "refuse"})
        )
        with contextlib.suppress(Unsendable):
            message = vendor.renderer(file, 0).message(envelope("r", 0, content=content))
            assert all(isinstance(note, str) for note in message.notes)
