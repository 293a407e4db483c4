"""Receipts from every vendor's simulator to a real server, and from others who only say that they are a vendor."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from clarion.channels.huawei_receipts import signature
from clarion.channels.registry import Channel
from clarion.delivery.trace import Trace, trace
from clarion.foundation import Foundation, open_foundation
from clarion.settings import load_settings
from clarion.simulators.faults import Fault, FaultKind
from clarion.simulators.hall import Hall
from tests.server.test_vendors import APP, NAMES, OS_TYPES, SECONDS, TOKENS
from tests.support.client import Connection, form, push_parameters, sign
from tests.support.server import ServerProcess, free_address, run_clarion
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants, make_tenants

pytestmark = pytest.mark.real_process

USER, KEY = "receipts", "the key of the receipts"
CONSOLE = (Channel.HMS, Channel.HARMONY, Channel.HONOR)
"""Their address is entered in the vendor's console."""
_SIGNED = frozenset(channel.label for channel in CONSOLE)
MESSAGE = (Channel.MIUI, Channel.OPPO, Channel.VIVO)
"""Each message tells it."""
MEGABYTE = 1 << 20


SMS = "sms"
LABELS = [*(channel.label for channel in (*CONSOLE, *MESSAGE)), SMS]


@dataclass(slots=True)
class Place:
    """What all tests share: a folder, the port of the simulators, and the channels that are set up."""

    folder: Path
    port: int
    channels: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("receipts"), free_address().port)


@pytest.fixture(scope="module")
def own_tenants(place: Place) -> Tenants:
    return make_tenants(place.folder / "data")


@pytest.fixture(scope="module")
def receiver(place: Place, own_tenants: Tenants) -> Iterator[ServerProcess]:
    """A server that knows its own address."""
    server = ServerProcess(place.folder / "data", body_timeout=1)
    server._environment["CLARION_PUBLIC_URL"] = server.url
    with server:
        yield server


@pytest.fixture
async def hall(place: Place) -> AsyncIterator[Hall]:
    async with Hall(folder=place.folder / "credentials", port=place.port, labels=LABELS) as opened:
        yield opened


@pytest.fixture
async def foundation(receiver: ServerProcess) -> AsyncIterator[Foundation]:
    """The server's database."""
    opened = await open_foundation(load_settings({"data_dir": str(receiver.data_dir)}, environment={}))
    yield opened
    await opened.database.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


class World:
    """An app with a channel of each vendor whose simulator sends receipts to the server.

    Attributes:
        urls: addresses for receipts, by label.
    """

    def __init__(
        self, server: ServerProcess, tenants: Tenants, hall: Hall, foundation: Foundation, place: Place
    ) -> None:
        self.server, self.hall = server, hall
        self._tenants = tenants
        self._foundation = foundation
        self._place = place
        self._app = 0
        self.urls: dict[str, str] = {}

    async def open(self) -> World:
        app = await self._foundation.directory.find_app(APP_ID, WORKSPACE_ID)
        assert app is not None
        self._app = app.key
        addresses = self._foundation.receipt_addresses
        self.urls = {label: self.server.url + addresses.path(app.key, label) for label in LABELS}
        for channel in CONSOLE:
            self.configure(channel, receiptUrl=self.urls[channel.label], receiptUser=USER, receiptKey=KEY)
        return self

    async def set_up(self, *channels: Channel | str) -> None:
        labels = [channel if isinstance(channel, str) else channel.label for channel in channels]
        wanted = [label for label in labels if label not in self._place.channels]
        for label in wanted:
            signed = {"receiptUser": USER, "receiptKey": KEY} if label in _SIGNED else {}
            content = json.dumps({**self.hall.credentials(label), **signed})
            await self._foundation.channels.set(self._app, label, content.encode())
            self._place.channels.add(label)
        if wanted:
            await asyncio.sleep(1.0)  # a running server knows it within a second

    def configure(self, channel: Channel, **settings: object) -> None:
        self.hall.configure(channel.label, settings)

    async def clarion(self, *arguments: str) -> Any:
        return await asyncio.to_thread(run_clarion, self.server.data_dir, *arguments)

    async def call(self, action: str, **parameters: object) -> None:
        async with Connection(self.server.api) as connection:
            answer = (await connection.post(form(sign(self._tenants.push, action, {**NAMES, **parameters})))).json()
        assert answer.get("ResultCode", answer.get("Code")) in ("OK", "100"), answer

    async def phone(self, channel: Channel, name: str = "") -> tuple[str, str]:
        """A device with a token of a vendor: its own token and the vendor's."""
        token = f"device-{channel.label}-{name or uuid4().hex[:8]}"
        vendor = TOKENS.get(channel, f"{channel.label}-vendor-token-0123456789abcdef")[:-4] + uuid4().hex[:4]
        await self.call(
            "PushReport",
            DeliveryToken=token,
            OsType=OS_TYPES.get(channel, 1),
            ThirdChannel=channel.third_channel,
            ThirdChannelDeviceToken=vendor,
        )
        return token, vendor

    async def push(self, channel: Channel, token: str, key: str) -> None:
        await self.call(
            "PushSimple", **push_parameters(token, key, DeliveryType=7 if channel is Channel.HARMONY else 1)
        )

    async def traced(self, token: str, key: str, *outcomes: str) -> list[str]:
        """The outcomes of the hops, once these are among them."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = [hop.outcome for hop in (await self.trace(token, key)).hops]
                if set(outcomes) <= set(found):
                    return found
                await asyncio.sleep(0.02)

    async def trace(self, token: str, key: str = "key") -> Trace:
        found = await trace(self._foundation.database, self._foundation.clock, self._app, token, key)
        assert found is not None
        return found

    async def answered(self, callbacks: int) -> None:
        """Wait until the simulators have had so many answers."""
        for _ in range(2000):
            if self.hall.receipts.made == callbacks:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.hall.receipts.made} callbacks were answered")

    async def counted(self, **labels: str) -> float:
        """How many receipts the metrics have."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.server.url}/metrics") as answer:
            text = await answer.text()
        wanted = ",".join(f'{name}="{value}"' for name, value in labels.items())
        name = "clarion_receipts_total" if "channel" in labels else "clarion_receipt_callbacks_total"
        line = next(line for line in text.splitlines() if line.startswith(f"{name}{{{wanted}}}"))
        return float(line.rpartition(" ")[2])


@pytest.fixture
async def world(
    receiver: ServerProcess, own_tenants: Tenants, hall: Hall, foundation: Foundation, place: Place
) -> World:
    return await World(receiver, own_tenants, hall, foundation, place).open()


@pytest.mark.parametrize("channel", [*CONSOLE, *MESSAGE], ids=lambda channel: channel.label)
async def test_an_arrival_comes_back_from_every_vendor(world: World, channel: Channel) -> None:
    await world.set_up(channel)
    before = await world.counted(channel=channel.label, outcome="arrived")
    token, _ = await world.phone(channel)
    await world.push(channel, token, "usual")
    assert await world.traced(token, "usual", "confirmed") == ["on_disk", "taken", "confirmed"]
    world.hall.faults.set(
        [Fault(channel=channel.label, kind=kind) for kind in (FaultKind.RECEIPT_FIRST, FaultKind.RECEIPT_TWICE)]
    )
    await world.push(channel, token, "early-and-twice")
    found = await world.traced(token, "early-and-twice", "confirmed", "taken")
    assert sorted(found) == ["confirmed", "on_disk", "taken"]
    await world.answered(3)
    assert await world.counted(channel=channel.label, outcome="arrived") == before + 2
    assert await world.counted(channel=channel.label, outcome="unknown") == 0
    assert world.hall.receipts.failed == 0


@pytest.mark.parametrize("channel", CONSOLE, ids=lambda channel: channel.label)
async def test_what_did_not_arrive_is_told_too(world: World, channel: Channel) -> None:
    await world.set_up(channel)
    (muted, muted_token), (gone, gone_token) = [await world.phone(channel) for _ in range(2)]
    world.configure(channel, mutedTokens=[muted_token], goneTokens=[gone_token])
    await world.push(channel, muted, "key")
    await world.push(channel, gone, "key")
    await world.traced(muted, "key", "muted")
    await world.traced(gone, "key", "invalid_token")
    before = len(world.hall.journal.entries(channel.label))
    await world.push(channel, gone, "another")
    await world.traced(gone, "another", "on_disk")
    assert len(world.hall.journal.entries(channel.label)) == before  # the token is forgotten


def _callback(vendor: str, task: object, **changes: object) -> bytes:
    status = {"token": vendor, "status": 0, "biTag": str(task), "requestId": "r", "timestamp": 0, **changes}
    return json.dumps({"statuses": [status]}).encode()


def _signed(nonce: str | None = None, *, at: float = 0.0, key: str = KEY) -> dict[str, str]:
    stamp, nonce = str(int((time.time() + at) * 1000)), nonce or uuid4().hex
    value = signature(key, stamp, nonce, USER)
    return {"X-HUAWEI-CALLBACK-ID": f"timestamp={stamp}; nonce={nonce}; value={value}"}


async def _post(http: aiohttp.ClientSession, url: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    async with http.post(url, data=body, headers=headers) as answer:
        return answer.status, await answer.read()


class TestForged:
    async def _sent(self, world: World) -> tuple[str, str, str]:
        """A message that was taken and of which no receipt has come: its device, the vendor's token, its task."""
        await world.set_up(Channel.HMS)
        world.configure(Channel.HMS, receiptUrl="")
        token, vendor = await world.phone(Channel.HMS)
        await world.push(Channel.HMS, token, "key")
        await world.traced(token, "key", "taken")
        return token, vendor, (await world.trace(token)).task_id

    async def test_a_replay_changes_nothing(self, world: World, http: aiohttp.ClientSession) -> None:
        token, vendor, task = await self._sent(world)
        url, headers = world.urls["hms"], _signed()
        good = b'{"code":"0","message":"success"}'
        assert await _post(http, url, _callback(vendor, task, status=27), **headers) == (200, good)
        before = await world.counted(outcome="replayed")
        # The signature does not cover the body: whoever overhears it may not use it for anything else.
        assert await _post(http, url, _callback(vendor, task), **headers) == (200, good)
        assert await world.counted(outcome="replayed") == before + 1
        assert await world.traced(token, "key", "held") == ["on_disk", "taken", "held"]

    @pytest.mark.parametrize("headers", [{}, _signed(key="wrong"), _signed(at=-1000)], ids=["none", "wrong", "old"])
    async def test_without_the_right_signature_it_is_refused(
        self, world: World, http: aiohttp.ClientSession, headers: dict[str, str]
    ) -> None:
        token, vendor, task = await self._sent(world)
        status, answer = await _post(http, world.urls["hms"], _callback(vendor, task), **headers)
        assert status == 403
        assert KEY.encode() not in answer
        assert await world.traced(token, "key", "taken") == ["on_disk", "taken"]

    async def test_wrong_addresses_are_all_alike(self, world: World, http: aiohttp.ClientSession) -> None:
        await world.set_up(Channel.HMS, Channel.MIUI)
        url = world.urls["hms"]
        head, app, secret = url.rsplit("/", 2)
        wrong = [
            f"{head}/{app}/{secret[:-1]}{'a' if secret[-1] != 'a' else 'b'}",
            f"{head}/{int(app) + 1}/{secret}",
            f"{head.replace('hms', 'miui')}/{app}/{secret}",
            f"{head.replace('hms', 'fcm')}/{app}/{secret}",
            f"{head.replace('hms', 'nobody')}/{app}/{secret}",
            f"{head}/0{app}/{secret}",
            f"{head}/{app}/{secret}/",
            f"{head}/{app}",
            f"{world.server.url}/receipts/",
            f"{world.server.url}/receipts",
            f"{head}/{app}/%ff%00",
        ]
        answers = {await _post(http, each, b"{}") for each in wrong}
        assert answers == {(404, b'{"code":"NotFound","message":"nothing is at this path"}')}
        assert secret not in world.server.log

    async def test_a_flood_of_them_is_told_to_wait(self, world: World, http: aiohttp.ClientSession) -> None:
        answers = await asyncio.gather(
            *(_post(http, f"{world.server.url}/receipts/hms/1/guess-{n}", b"") for n in range(60))
        )
        assert {status for status, _ in answers} == {404, 429}
        # Those who know the address are served all the same.
        await world.set_up(Channel.MIUI)
        assert (await _post(http, world.urls["miui"], b"data=%7B%7D"))[0] == 200

    async def test_what_is_no_callback_is_refused(self, world: World, http: aiohttp.ClientSession) -> None:
        await world.set_up(Channel.OPPO)
        url = world.urls["oppo"]
        for body in (b"", b"{}", b"[1", b"\xff", b"[" * 100_000):
            assert (await _post(http, url, body))[0] == 400, body[:10]
        assert await _post(http, url, b"[]") == (200, b'{"code":0}')
        assert await _post(http, url, b'[1,"x",{},{"eventType":3}]') == (200, b'{"code":0}')
        async with http.get(url) as answer:
            assert answer.status == 405

    async def test_what_is_too_long_or_too_slow_is_refused(self, world: World, http: aiohttp.ClientSession) -> None:
        await world.set_up(Channel.OPPO)
        url = world.urls["oppo"]

        async def sent(*parts: bytes | float) -> AsyncIterator[bytes]:
            for part in parts:
                if isinstance(part, bytes):
                    yield part
                else:
                    await asyncio.sleep(part)

        bodies = {
            413: sent(b"[", b" " * MEGABYTE, b"]"),
            200: sent(b"[", b" " * (MEGABYTE - 2), b"]"),
            408: sent(b"[", 3.0, b"]"),
        }
        for status, body in bodies.items():
            async with http.post(url, data=body) as answer:
                assert answer.status == status


async def test_a_message_that_a_vendor_took_and_dropped_shows(world: World, http: aiohttp.ClientSession) -> None:
    """As above its limits for marketing messages: the answer to the message was that all is well."""
    await world.set_up(Channel.HMS)
    world.configure(Channel.HMS, receiptUrl="")
    token, vendor = await world.phone(Channel.HMS)
    await world.push(Channel.HMS, token, "key")
    await world.traced(token, "key", "taken")
    body = _callback(vendor, (await world.trace(token)).task_id, status=256)
    assert (await _post(http, world.urls["hms"], body, **_signed()))[0] == 200
    hop = (await world.trace(token)).hops[-1]
    assert (hop.outcome, hop.code) == ("not_arrived", "256")
    assert "too many marketing messages" in hop.cause


async def test_reports_of_sms_are_for_each_number(world: World, http: aiohttp.ClientSession) -> None:
    """Numbers of one call share the service's id."""
    await world.set_up(SMS)
    numbers = {"alice": "13800138000", "bob": "13900139000"}
    world.hall.configure(SMS, {"reportUrl": world.urls[SMS], "failing": {numbers["bob"]: "MOBILE_NOT_ON_SERVICE"}})
    for user, number in numbers.items():
        await world.call("PushBind", DeliveryToken=f"device-of-{user}", UserId=user, OsType=1, PhoneNumber=number)
    await world.call(
        "PushSimple",
        **push_parameters("alice", "sms", DeliveryType=3)
        | {"TargetMsgkey": json.dumps(dict.fromkeys(numbers, "sms"))},
        SmsStrategy=2,
        SmsSignName="Clarion",
        SmsTemplateCode="SMS_1",
        SmsTemplateParam="{}",
    )
    assert "sms_failed" not in await world.traced("alice", "sms", "sms_taken", "sms_arrived")
    assert "sms_arrived" not in await world.traced("bob", "sms", "sms_taken", "sms_failed")
    assert await _post(http, world.urls[SMS], b"[]") == (200, b'{"code":0,"msg":"ok"}')


async def test_what_was_answered_is_on_disk(world: World, http: aiohttp.ClientSession) -> None:
    await world.set_up(Channel.HMS)
    world.configure(Channel.HMS, receiptUrl="")
    token, vendor = await world.phone(Channel.HMS)
    await world.push(Channel.HMS, token, "key")
    await world.traced(token, "key", "taken")
    body = _callback(vendor, (await world.trace(token)).task_id)
    assert (await _post(http, world.urls["hms"], body, **_signed()))[0] == 200
    world.server.kill()
    world.server.start()
    assert await world.traced(token, "key", "confirmed") == ["on_disk", "taken", "confirmed"]


async def test_the_address_is_shown_where_it_is_needed(world: World) -> None:
    await world.set_up(Channel.HMS, Channel.MIUI)
    without = (await world.clarion("channel", "list", *APP)).stdout
    assert "set public_url" in without
    environment = world.server._environment
    done = await asyncio.to_thread(_run_with, environment, "channel", "list", *APP)
    assert f"hms      {world.urls['hms']}\n" in done
    assert f"miui     {world.urls['miui']}\n" in done
    assert re.search(r"Enter in the vendor's console: .*\bhms\b", done)  # and others' channels
    assert re.search(r"Told to the vendor with each message: .*\bmiui\b", done)


def _run_with(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "clarion", *arguments]
    environment = environment | {"COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
