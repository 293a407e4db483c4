"""Callbacks: whose they are, whether they are genuine, answered when they are on disk."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from clarion.channels.base import Receipt, ReceiptForged, ReceiptRefused
from clarion.channels.hms import HmsSettings
from clarion.channels.huawei_receipts import signature
from clarion.channels.opening import WITH_RECEIPTS, receiving
from clarion.channels.oppo import OppoSettings
from clarion.channels.reports import MAX_BODY
from clarion.clock import ManualClock
from clarion.delivery.vendors.arrivals import ReceiptFate
from clarion.failures import StoreUnavailable
from clarion.receipts.desk import RECEIPT_OUTCOMES, CallbackOutcome, Desk
from clarion.receipts.replays import KEEP_SECONDS, Replays
from clarion.tenants.receipts import Recipient
from clarion.web.vendor_receipts import VendorReceipts

GOOD = "/receipts/good"
APP = 7


class Meter:
    """Counts."""

    def __init__(self) -> None:
        self.callbacks: Counter[str] = Counter()
        self.receipts: Counter[tuple[str, str]] = Counter()

    def observe_callback(self, outcome: str, count: int = 1) -> None:
        self.callbacks[outcome] += count

    def observe_receipts(self, channel: str, outcome: str, count: int) -> None:
        self.receipts[channel, outcome] += count


class Intake:
    """Keeps what it is told; says `fates`, or that it is away."""

    def __init__(self) -> None:
        self.told_so_far: list[tuple[int, str, Sequence[Receipt]]] = []
        self.away = False
        self.fate = ReceiptFate.NEWS

    async def told(self, app: int, channel: str, receipts: Sequence[Receipt]) -> list[ReceiptFate]:
        if self.away:
            raise StoreUnavailable("away")
        self.told_so_far.append((app, channel, receipts))
        return [self.fate] * len(receipts)


class Addresses:
    """One good path."""

    def __init__(self, recipient: Recipient) -> None:
        self.recipient = recipient
        self.away = False

    async def find(self, path: str) -> Recipient | None:
        if self.away:
            raise StoreUnavailable("away")
        return self.recipient if path == GOOD else None


class Room:
    """A desk with everything around it."""

    def __init__(self, recipient: Recipient) -> None:
        self.clock = ManualClock()
        self.meter, self.intake, self.addresses = Meter(), Intake(), Addresses(recipient)
        self.recipient = recipient
        self.desk = Desk(self.addresses, self.intake, self.clock, self.meter)

    def headers(self, nonce: str = "n", *, at: int = 0, key: str = "key") -> dict[str, str]:
        stamp = str(self.clock.now_ms() + at)
        value = signature(key, stamp, nonce, "user")
        return {"x-huawei-callback-id": f"timestamp={stamp}; nonce={nonce}; value={value}"}


@pytest.fixture
def hms() -> Room:
    settings = HmsSettings(app_id="1", app_secret="s", package_name="p", receipt_user="user", receipt_key="key")
    return Room(Recipient(APP, "hms", settings, receiving("hms")))


@pytest.fixture
def oppo() -> Room:
    return Room(Recipient(APP, "oppo", OppoSettings(app_key="k", master_secret="s"), receiving("oppo")))


BODY = b'{"statuses":[{"token":"t","status":0,"biTag":"1"},{"token":"t","status":6,"biTag":"1"}]}'


class TestTaking:
    async def test_receipts_are_recorded_before_the_answer(self, hms: Room) -> None:
        answer = await hms.desk.take(hms.recipient, hms.headers(), BODY)
        assert answer == (200, b'{"code":"0","message":"success"}')
        ((app, channel, receipts),) = hms.intake.told_so_far
        assert (app, channel, [receipt.code for receipt in receipts]) == (APP, "hms", ["0", "6"])
        assert hms.meter.callbacks["taken"] == 1
        assert {key: n for key, n in hms.meter.receipts.items() if n} == {
            ("hms", "arrived"): 1,
            ("hms", "muted"): 1,
        }

    @pytest.mark.parametrize("fate", [ReceiptFate.REPEATED, ReceiptFate.UNKNOWN])
    async def test_what_was_no_news_is_counted_as_that(self, hms: Room, fate: ReceiptFate) -> None:
        hms.intake.fate = fate
        await hms.desk.take(hms.recipient, hms.headers(), BODY)
        assert hms.meter.receipts["hms", fate.value] == 2

    async def test_a_replay_is_answered_and_does_nothing(self, hms: Room) -> None:
        headers = hms.headers()
        first = await hms.desk.take(hms.recipient, headers, BODY)
        assert await hms.desk.take(hms.recipient, headers, b'{"statuses":[]}') == first
        assert len(hms.intake.told_so_far) == 1
        assert hms.meter.callbacks["replayed"] == 1

    async def test_one_that_was_not_written_may_come_again(self, hms: Room) -> None:
        headers, hms.intake.away = hms.headers(), True
        with pytest.raises(StoreUnavailable):
            await hms.desk.take(hms.recipient, headers, BODY)
        hms.intake.away = False
        assert (await hms.desk.take(hms.recipient, headers, BODY)).status == 200
        assert len(hms.intake.told_so_far) == 1
        assert (hms.meter.callbacks["unavailable"], hms.meter.callbacks["taken"]) == (1, 1)

    @pytest.mark.parametrize(
        "headers",
        [
            lambda room: {},
            lambda room: room.headers(key="another"),
            lambda room: room.headers(at=300_001),
            lambda room: room.headers(at=-300_001),
        ],
    )
    async def test_forged_ones_are_refused(self, hms: Room, headers: Callable[[Room], dict[str, str]]) -> None:
        with pytest.raises(ReceiptForged):
            await hms.desk.take(hms.recipient, headers(hms), BODY)
        assert hms.intake.told_so_far == []

    async def test_what_has_another_form_is_refused(self, oppo: Room) -> None:
        with pytest.raises(ReceiptRefused):
            await oppo.desk.take(oppo.recipient, {}, b"{}")

    async def test_every_series_is_there_from_the_start(self, oppo: Room) -> None:
        assert set(oppo.meter.callbacks) == {outcome.value for outcome in CallbackOutcome}
        assert set(oppo.meter.receipts) == {(label, name) for label in WITH_RECEIPTS for name in RECEIPT_OUTCOMES}


class TestReplays:
    def test_they_are_known_by_app_channel_and_nonce(self) -> None:
        replays = Replays(ManualClock())
        replays.remember(1, "a", "n")
        assert replays.known(1, "a", "n")
        assert not any(replays.known(*other) for other in ((2, "a", "n"), (1, "b", "n"), (1, "a", "m")))

    def test_they_are_forgotten_when_signatures_are_too_old(self) -> None:
        clock = ManualClock()
        replays = Replays(clock)
        for number in range(100):
            replays.remember(1, "a", f"old-{number}")
        clock.advance(KEEP_SECONDS + 1)
        for number in range(100):
            replays.remember(1, "a", f"new-{number}")
        assert len(replays) == 100
        assert replays.known(1, "a", "new-0")

    def test_there_are_never_too_many(self) -> None:
        replays = Replays(ManualClock(), most=10)
        for number in range(50):
            replays.remember(1, "a", str(number))
        assert len(replays) == 10
        assert replays.known(1, "a", "49")


class _Client:
    """One request through ASGI."""

    def __init__(self, room: Room) -> None:
        self._receipts = VendorReceipts(room.desk, 0.05)
        self.sent: list[MutableMapping[str, Any]] = []

    async def post(
        self, path: str, *parts: bytes, method: str = "POST", headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> tuple[int, bytes]:
        queue = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        queue.append({"type": "http.request", "body": b"", "more_body": False})

        async def receive() -> MutableMapping[str, Any]:
            message = queue.pop(0)
            if message["body"] == b"late":
                await asyncio.Event().wait()
            return message

        async def send(message: MutableMapping[str, Any]) -> None:
            self.sent.append(message)

        self.sent.clear()
        scope = {"path": path, "method": method, "headers": list(headers)}
        await self._receipts(scope, receive, send)
        start, body = self.sent
        return start["status"], body["body"]


class TestHttp:
    async def test_a_callback_in_parts(self, oppo: Room) -> None:
        body = b'[{"eventType":"push_arrive","registrationIds":"a,b","param":"1"}]'
        assert await _Client(oppo).post(GOOD, body[:10], body[10:]) == (200, b'{"code":0}')
        assert [receipt.token for receipt in oppo.intake.told_so_far[0][2]] == ["a", "b"]

    async def test_the_first_of_two_equal_headers_counts(self, hms: Room) -> None:
        good = [(name.encode(), value.encode()) for name, value in hms.headers().items()]
        forged = [(name.encode(), value.encode()) for name, value in hms.headers(key="x").items()]
        client = _Client(hms)
        assert (await client.post(GOOD, BODY, headers=[*good, *forged]))[0] == 200
        assert (await client.post(GOOD, BODY, headers=[*forged, *good]))[0] == 403

    @pytest.mark.parametrize(
        ("parts", "method", "status"),
        [
            ((b"{}",), "POST", 400),
            ((b"[]",), "GET", 405),
            ((b"[" + b" " * MAX_BODY, b"]"), "POST", 413),
            ((b"late",), "POST", 408),
        ],
    )
    async def test_refusals(self, oppo: Room, parts: tuple[bytes, ...], method: str, status: int) -> None:
        with capture_logs() as logs:
            assert (await _Client(oppo).post(GOOD, *parts, method=method))[0] == status
        assert oppo.meter.callbacks["refused"] == 1
        assert [(line["event"], line["app"], line["channel"]) for line in logs] == [
            ("callback_refused", APP, "oppo")
        ]
        assert oppo.intake.told_so_far == []

    async def test_strangers_learn_nothing_and_are_slowed_down(self, oppo: Room) -> None:
        client = _Client(oppo)
        with capture_logs() as logs:
            answers = Counter([(await client.post(f"/receipts/{n}", b"", method="GET"))[0] for n in range(50)])
        assert answers == {404: 20, 429: 30}
        assert len(logs) == 20
        assert "/receipts/" not in str(logs)
        # Who knows the address still hears why, however often.
        assert Counter([(await client.post(GOOD, b"{}"))[0] for _ in range(50)]) == {400: 50}
        oppo.clock.advance(1)
        assert (await client.post("/receipts/x"))[0] == 404

    async def test_a_store_that_is_away_is_no_refusal(self, oppo: Room) -> None:
        for part in (oppo.addresses, oppo.intake):
            part.away = True
            with pytest.raises(StoreUnavailable):  # which the application answers with 503
                await _Client(oppo).post(GOOD, b"[]")
            part.away = False
        assert oppo.meter.callbacks["unavailable"] == 2
