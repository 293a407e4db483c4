"""Vendors' receipts on both databases: in any order, doubled, late, early; each has its effect once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import permutations

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from clarion.channels.base import (
    Accepted,
    Envelope,
    InvalidToken,
    PayloadError,
    Receipt,
    ReceiptKind,
    Retry,
    SendOutcome,
    Unknown,
)
from clarion.channels.message import PushContent
from clarion.channels.registry import Channel, Platform
from clarion.delivery.accept import LEASE_MS
from clarion.delivery.ledger import EventKind
from clarion.delivery.states import MessageStatus
from clarion.delivery.vendors.arrivals import Arrivals, ReceiptFate
from clarion.delivery.vendors.intake import AT_ONCE, MAX_WAITING, Intake
from clarion.devices.model import DeviceDetails, VendorToken
from clarion.failures import StoreUnavailable
from clarion.store.database import Transaction
from clarion.store.queries import Query
from tests.store.system import ANDROID, System
from tests.store.vendors import FakeVendor

NEWS, REPEATED, UNKNOWN = ReceiptFate.NEWS, ReceiptFate.REPEATED, ReceiptFate.UNKNOWN
HMS = "hms"
LAST = 1 << 50


class Broadcasts:
    """Notes what it is told."""

    def __init__(self, strangers: frozenset[int] = frozenset()) -> None:
        self.told: list[tuple[int, Mapping[int, int]]] = []
        self._strangers = strangers

    async def arrived(self, _: Transaction, task: int, times: Mapping[int, int]) -> frozenset[int]:
        self.told.append((task, times))
        return self._strangers


class Phones:
    """Devices with tokens of a vendor that takes everything, and the receipts that it makes."""

    def __init__(self, system: System, broadcasts: Broadcasts | None = None) -> None:
        self.system = system
        self.vendor: FakeVendor = system.channels.set_up(system.app.key, HMS)
        self.intake = Intake(system.writer, Arrivals(system.ledger, system.ids, broadcasts), system.clock)

    async def phone(self, user: str | None = None, address: str = "") -> tuple[int, str]:
        device, token = await self.system.device(user)
        vendor = VendorToken(Channel.HMS, address or f"vendor-{token}")
        await self.system.devices.report(self.system.app.key, token, Platform.ANDROID, vendor, DeviceDetails())
        self.system.clock.advance(0.01)
        return device, token

    async def pushed(self, *, user: str | None = None, kind: int = ANDROID) -> str:
        """A phone that was sent a message, which the vendor took; its token."""
        _, token = await self.phone(user)
        await self.system.push(user or token, kind=kind)
        await self.settled()
        return token

    async def settled(self) -> None:
        """Wait until no line has had anything to do for a while."""
        quiet = 0
        while quiet < 5:
            await asyncio.sleep(0.004)
            busy = any(line.waiting or line.in_flight for line in self.system.lines._lines.values())
            quiet = 0 if busy else quiet + 1
        await self.system.writer.drain()

    async def sending(self, count: int) -> None:
        """Wait until the vendor has been sent so many messages."""
        for _ in range(5000):
            if len(self.vendor.sent) >= count:
                return
            await asyncio.sleep(0.001)
        raise AssertionError(f"{len(self.vendor.sent)} messages were sent")

    def receipt(
        self,
        envelope: Envelope,
        kind: ReceiptKind = ReceiptKind.ARRIVED,
        *,
        vendor_id: str | None = None,
        tag: str | None = None,
        code: str = "0",
        at: int | None = None,
    ) -> Receipt:
        return Receipt(
            f"id-{envelope.message}" if vendor_id is None else vendor_id,
            envelope.token,
            kind,
            code,
            "in the vendor's words",
            self.system.clock.now_ms() if at is None else at,
            str(envelope.task) if tag is None else tag,
        )

    async def tell(self, *receipts: Receipt) -> list[ReceiptFate]:
        return await self.intake.told(self.system.app.key, HMS, receipts)

    async def figures(self) -> tuple[int, ...]:
        """Total, success, arrival."""
        columns = "sum(total), sum(success), sum(arrival)"
        return tuple(int(each) for each in (await self.system.rows(f"SELECT {columns} FROM day_counters"))[0])

    async def has_token(self, token: str) -> bool:
        state = await self.system.devices.state_of_device(self.system.app.key, token)
        assert state is not None
        return state.vendor_token is not None


@pytest.fixture
def phones(system: System) -> Phones:
    return Phones(system)


class TestArrival:
    async def test_it_is_counted_once_however_often_it_is_told(self, phones: Phones) -> None:
        token = await phones.pushed()
        assert await phones.figures() == (1, 1, 0)
        receipt = phones.receipt(phones.vendor.sent[0])
        assert await phones.tell(receipt) == [NEWS]
        assert await phones.tell(receipt, receipt) == [REPEATED, REPEATED]
        assert await phones.figures() == (1, 1, 1)
        hops = (await phones.system.trace(token)).hops
        assert [(hop.stage, hop.outcome) for hop in hops[1:]] == [("sent", "taken"), ("arrived", "confirmed")]
        assert (hops[-1].code, hops[-1].device) == ("0", token)
        assert "in the vendor's words" in hops[-1].cause

    async def test_two_of_one_callback_are_one(self, phones: Phones) -> None:
        await phones.pushed()
        receipt = phones.receipt(phones.vendor.sent[0])
        assert sorted(fate.value for fate in await phones.tell(receipt, receipt)) == ["news", "repeated"]
        assert await phones.figures() == (1, 1, 1)

    async def test_days_later_it_counts_on_the_day_of_the_push(self, phones: Phones) -> None:
        token = await phones.pushed()
        envelope = phones.vendor.sent[0]
        phones.system.clock.advance(5 * 86_400)
        assert await phones.tell(phones.receipt(envelope)) == [NEWS]
        rows = await phones.system.rows("SELECT count(*) FROM day_counters")
        assert int(rows[0][0]) == 1
        assert await phones.system.status(token) == MessageStatus.ACKED

    async def test_after_retention_it_is_unknown(self, phones: Phones) -> None:
        await phones.pushed()
        envelope = phones.vendor.sent[0]
        phones.system.clock.advance(31 * 86_400)
        while await phones.system.maintenance.retain():
            pass
        assert await phones.tell(phones.receipt(envelope)) == [UNKNOWN]
        assert await phones.figures() == (1, 1, 0)

    async def test_two_devices_of_a_user_are_two_hops_and_one_arrival(self, phones: Phones) -> None:
        for _ in range(2):
            await phones.phone("bob")
        await phones.system.push("bob")
        await phones.settled()
        assert await phones.tell(*(phones.receipt(each) for each in phones.vendor.sent)) == [NEWS, NEWS]
        assert await phones.figures() == (1, 1, 1)
        hops = [hop.device for hop in (await phones.system.trace("bob")).hops if hop.stage == "arrived"]
        assert len(set(hops)) == 2

    async def test_what_the_device_reported_too_counts_once(self, phones: Phones) -> None:
        await phones.pushed()
        envelope = phones.vendor.sent[0]
        await phones.system.reports.reported(envelope.device, envelope.message, EventKind.ARRIVE)
        assert await phones.tell(phones.receipt(envelope)) == [NEWS]
        assert await phones.figures() == (1, 1, 1)

    async def test_its_time_stays_within_the_life_of_the_message(self, phones: Phones) -> None:
        token = await phones.pushed()
        phones.system.clock.advance(60)
        envelope = phones.vendor.sent[0]
        await phones.tell(phones.receipt(envelope, at=1), phones.receipt(envelope, code="1", at=1 << 50))
        times = [hop.at for hop in (await phones.system.trace(token)).hops if hop.stage == "arrived"]
        assert times[0] <= phones.system.clock.now_ms() - 60_000
        assert times[1] == phones.system.clock.now_ms()

    async def test_it_tells_the_app_s_server(self, phones: Phones) -> None:
        await phones.pushed()
        phones.system.directory.is_told = lambda app: app > 0  # type: ignore[method-assign]
        receipt = phones.receipt(phones.vendor.sent[0])
        await phones.tell(receipt, receipt)
        rows = await phones.system.rows("SELECT kind, message FROM callbacks")
        assert [tuple(row) for row in rows] == [("arrive", phones.vendor.sent[0].message)]


class TestEarly:
    async def _sending(self, phones: Phones, outcome: SendOutcome) -> tuple[str, Envelope]:
        """A phone whose message the vendor has and does not answer yet."""
        phones.vendor.gate.clear()
        phones.vendor.answer = lambda _: outcome
        _, token = await phones.phone()
        await phones.system.push(token, kind=ANDROID)
        await phones.sending(1)
        return token, phones.vendor.sent[0]

    async def test_it_settles_the_delivery_and_the_answer_counts_nothing(self, phones: Phones) -> None:
        token, envelope = await self._sending(phones, Accepted("the-id"))
        assert await phones.tell(phones.receipt(envelope, vendor_id="the-id")) == [NEWS]
        assert await phones.system.status(token) == MessageStatus.ACKED
        assert await phones.system.count("deliveries") == 0
        assert await phones.tell(phones.receipt(envelope, vendor_id="the-id")) == [REPEATED]
        phones.vendor.gate.set()
        await phones.settled()
        assert await phones.tell(phones.receipt(envelope, vendor_id="the-id")) == [REPEATED]
        assert await phones.figures() == (1, 1, 1)
        steps = await phones.system.steps(token)
        assert steps[1:] == [("arrived", "confirmed"), ("sent", "taken")]

    @pytest.mark.parametrize("kind", [ReceiptKind.ARRIVED, ReceiptKind.MUTED, ReceiptKind.WAITING])
    async def test_a_message_of_unknown_fate_is_not_sent_again(self, phones: Phones, kind: ReceiptKind) -> None:
        token, envelope = await self._sending(phones, Unknown(text="connection lost"))
        assert await phones.tell(phones.receipt(envelope, kind)) == [NEWS]
        phones.vendor.gate.set()
        await phones.settled()
        phones.system.clock.advance(LEASE_MS / 1000 + 1)
        await phones.system.lines.refill()
        await phones.settled()
        assert len(phones.vendor.sent) == 1
        assert await phones.system.status(token) == MessageStatus.ACKED
        assert await phones.figures() == (1, 1, int(kind is ReceiptKind.ARRIVED))

    async def test_between_two_attempts_it_stops_the_second(self, phones: Phones) -> None:
        token, envelope = await self._sending(phones, Unknown())
        phones.vendor.gate.set()
        await phones.settled()
        assert await phones.system.count("deliveries") == 1
        assert await phones.tell(phones.receipt(envelope)) == [NEWS]
        phones.system.clock.advance(10)
        await phones.system.lines.refill()
        await phones.settled()
        assert len(phones.vendor.sent) == 1
        assert await phones.system.status(token) == MessageStatus.ACKED

    async def test_what_failed_early_is_still_owed(self, phones: Phones) -> None:
        _, envelope = await self._sending(phones, Accepted("id"))
        assert await phones.tell(phones.receipt(envelope, ReceiptKind.FAILED, code="14")) == [NEWS]
        assert await phones.system.count("deliveries") == 1

    async def test_at_the_same_moment_as_the_answer_it_counts_once(self, phones: Phones) -> None:
        for round_ in range(1, 11):
            phones.vendor.gate.clear()
            _, token = await phones.phone()
            await phones.system.push(token, kind=ANDROID)
            await phones.sending(round_)
            receipt = phones.receipt(phones.vendor.sent[-1])
            phones.vendor.gate.set()
            fates = await asyncio.gather(*(phones.tell(receipt) for _ in range(3)))
            await phones.settled()
            assert sorted(fate.value for (fate,) in fates) == ["news", "repeated", "repeated"]
            assert await phones.figures() == (round_, round_, round_)


class TestAnyOrder:
    @pytest.mark.parametrize("outcome", [Accepted("id"), Unknown(), Retry(), PayloadError(), InvalidToken(since=1)])
    async def test_success_and_arrival_count_once(self, phones: Phones, outcome: SendOutcome) -> None:
        phones.vendor.answer = lambda _: outcome
        orders = sorted(set(permutations(("answer", "receipt", "receipt", "report"))))
        for count, order in enumerate(orders, start=1):
            phones.vendor.gate.clear()
            for line in phones.system.lines._lines.values():
                line.breaker.succeeded()  # it is about single messages here
            _, token = await phones.phone()
            await phones.system.push(token, kind=ANDROID)
            await phones.sending(count)
            envelope = phones.vendor.sent[-1]
            for event in order:
                if event == "answer":
                    phones.vendor.gate.set()
                    await phones.settled()
                elif event == "receipt":
                    assert UNKNOWN not in await phones.tell(phones.receipt(envelope)), order
                else:
                    await phones.system.reports.reported(envelope.device, envelope.message, EventKind.OPEN)
            assert await phones.figures() == (count, count, count), order
            assert await phones.system.status(token) == MessageStatus.ACKED, order
            assert await phones.system.count("deliveries") == 0, order
            hops = [hop.outcome for hop in (await phones.system.trace(token)).hops]
            assert hops.count("confirmed") == 1, order


class TestOthers:
    @pytest.mark.parametrize(
        ("kind", "outcome"),
        [
            (ReceiptKind.MUTED, "muted"),
            (ReceiptKind.WAITING, "held"),
            (ReceiptKind.FAILED, "not_arrived"),
        ],
    )
    async def test_they_leave_one_hop_and_count_nothing(
        self, phones: Phones, kind: ReceiptKind, outcome: str
    ) -> None:
        token = await phones.pushed()
        receipt = phones.receipt(phones.vendor.sent[0], kind, code="102")
        assert await phones.tell(receipt) == [NEWS]
        assert await phones.tell(receipt) == [REPEATED]
        hops = (await phones.system.trace(token)).hops
        assert [(hop.stage, hop.outcome, hop.code) for hop in hops[2:]] == [("receipt", outcome, "102")]
        assert "in the vendor's words" in hops[-1].cause
        assert await phones.figures() == (1, 1, 0)
        assert await phones.has_token(token)

    async def test_what_waited_may_arrive_later(self, phones: Phones) -> None:
        token = await phones.pushed()
        envelope = phones.vendor.sent[0]
        await phones.tell(phones.receipt(envelope, ReceiptKind.WAITING, code="27"))
        assert await phones.tell(phones.receipt(envelope)) == [NEWS]
        assert [outcome for _, outcome in await phones.system.steps(token)][2:] == ["held", "confirmed"]
        assert await phones.figures() == (1, 1, 1)


class TestInvalidTokens:
    async def test_the_token_is_forgotten_and_the_trace_says_why(self, phones: Phones) -> None:
        token = await phones.pushed()
        receipt = phones.receipt(phones.vendor.sent[0], ReceiptKind.INVALID_TOKEN, code="5")
        assert await phones.tell(receipt) == [NEWS]
        assert not await phones.has_token(token)
        hop = (await phones.system.trace(token)).hops[-1]
        assert (hop.stage, hop.outcome, hop.code) == ("receipt", "invalid_token", "5")
        assert await phones.tell(receipt) == [UNKNOWN]

    async def test_one_that_was_reported_later_is_kept(self, phones: Phones) -> None:
        token = await phones.pushed()
        before = phones.system.clock.now_ms() - 1000
        receipt = phones.receipt(phones.vendor.sent[0], ReceiptKind.INVALID_TOKEN, at=before)
        assert await phones.tell(receipt) == [NEWS]
        assert await phones.has_token(token)

    async def test_it_is_forgotten_too_when_the_message_is_not_known(self, phones: Phones) -> None:
        token = await phones.pushed()
        receipt = phones.receipt(phones.vendor.sent[0], ReceiptKind.INVALID_TOKEN, tag="77", vendor_id="")
        assert await phones.tell(receipt) == [NEWS]
        assert not await phones.has_token(token)

    async def test_another_device_s_token_stays(self, phones: Phones) -> None:
        first, second = await phones.pushed(), await phones.pushed()
        await phones.tell(phones.receipt(phones.vendor.sent[0], ReceiptKind.INVALID_TOKEN))
        assert not await phones.has_token(first)
        assert await phones.has_token(second)


class TestMatching:
    async def test_strange_receipts_change_nothing(self, phones: Phones) -> None:
        token = await phones.pushed()
        envelope = phones.vendor.sent[0]
        good = phones.receipt(envelope)
        strange = [
            phones.receipt(replace(envelope, token="another")),
            phones.receipt(envelope, tag="12345", vendor_id=""),
            phones.receipt(envelope, tag="", vendor_id=""),
            phones.receipt(envelope, tag="9" * 400, vendor_id="another"),
            phones.receipt(envelope, tag="-1", vendor_id="another"),
        ]
        assert await phones.tell(*strange) == [UNKNOWN] * len(strange)
        assert await phones.intake.told(phones.system.app.key, "fcm", [good]) == [UNKNOWN]
        assert await phones.intake.told(phones.system.app.key + 1, HMS, [good]) == [UNKNOWN]
        assert len((await phones.system.trace(token)).hops) == 2
        assert await phones.figures() == (1, 1, 0)

    async def test_a_task_of_another_app_is_unknown(self, phones: Phones) -> None:
        await phones.pushed()
        other = await phones.system.tenants.create_app("other", "ws")
        await phones.system.directory.refresh()
        assert other.key != phones.system.app.key
        assert await phones.intake.told(other.key, HMS, [phones.receipt(phones.vendor.sent[0])]) == [UNKNOWN]

    async def test_without_a_tag_the_vendor_s_id_tells(self, phones: Phones) -> None:
        for user in (None, "bob"):
            await phones.pushed(user=user, kind=ANDROID if user is None else 3)
        receipts = [phones.receipt(each, tag=tag) for each, tag in zip(phones.vendor.sent, ("", "x"), strict=True)]
        assert await phones.tell(*receipts) == [NEWS, NEWS]
        assert await phones.figures() == (2, 2, 2)

    async def test_of_two_messages_of_a_task_the_vendor_s_id_tells(self, phones: Phones) -> None:
        _, token = await phones.phone("bob")
        await phones.system.push_map({"bob": "one"})
        await phones.settled()
        await _another_message(phones, token)
        second = phones.vendor.sent[1]
        assert await phones.tell(phones.receipt(second, tag=str(LAST))) == [NEWS]
        hops = await phones.system.rows("SELECT message FROM hops WHERE stage = 'arrived'")
        assert [int(row[0]) for row in hops] == [second.message]

    async def test_numbers_of_another_task_may_lie_between(self, phones: Phones) -> None:
        """As those that another node gave out at the same time."""
        _, token = await phones.phone()
        for key in ("one", "two"):
            await phones.system.push_map({token: key}, kind=ANDROID)
            await phones.settled()
        first, second = phones.vendor.sent
        for table in ("messages", "tasks"):
            await _execute(
                phones.system, f"UPDATE {table} SET task = :of WHERE task = :task", of=LAST, task=first.task
            )
        assert await phones.tell(phones.receipt(second, tag=str(LAST))) == [NEWS]
        hops = await phones.system.rows("SELECT message FROM hops WHERE stage = 'arrived'")
        assert [int(row[0]) for row in hops] == [first.message]

    async def test_the_user_may_have_left_the_device(self, phones: Phones) -> None:
        token = await phones.pushed(user="bob", kind=3)
        await phones.system.unbind(token, "bob")
        assert await phones.tell(phones.receipt(phones.vendor.sent[0])) == [NEWS]
        assert await phones.figures() == (1, 1, 1)

    async def test_nul_is_no_text(self, phones: Phones) -> None:
        await phones.pushed()
        good = phones.receipt(phones.vendor.sent[0])
        bad = phones.receipt(phones.vendor.sent[0], code="\0")
        assert await phones.tell(bad, good, bad) == [UNKNOWN, NEWS, UNKNOWN]
        assert await phones.system.count("hops") == 2

    async def test_long_texts_are_cut(self, phones: Phones) -> None:
        token = await phones.pushed()
        assert await phones.tell(phones.receipt(phones.vendor.sent[0], code="9" * 5000)) == [NEWS]
        hop = (await phones.system.trace(token)).hops[-1]
        assert hop.code == "9" * 64


async def _another_message(phones: Phones, token: str) -> None:
    """Another message for the device, which is made one of the first one's task."""
    await phones.system.push_map({token: "two"}, kind=ANDROID)
    await phones.settled()
    first, second = phones.vendor.sent
    await _execute(
        phones.system,
        "UPDATE messages SET task = :task WHERE message = :message",
        task=first.task,
        message=second.message,
    )
    # Its number has to be below the task's, as if the task had been made last.
    await _execute(phones.system, "UPDATE messages SET task = :of WHERE task = :task", of=LAST, task=first.task)
    await _execute(phones.system, "UPDATE tasks SET task = :of WHERE task = :task", of=LAST, task=first.task)


async def _execute(system: System, sql: str, **values: object) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.execute(Query(text(sql)), **values)

    await system.database.write(work)


class TestBroadcasts:
    async def _sent(self, phones: Phones, app: int | None = None) -> Envelope:
        """What a phone was sent of a broadcast."""
        device, token = await phones.phone()
        task = phones.system.ids.next()
        await _execute(
            phones.system,
            "INSERT INTO tasks (task, app, kind, name, content, request_id, created_at, expires_at) "
            "VALUES (:task, :app, 3, 'all', :content, 'request', 0, 0)",
            task=task,
            app=app or phones.system.app.key,
            content=b"{}",
        )
        return Envelope(task, device, f"vendor-{token}", "key", task, 0, PushContent("title", "content"))

    async def test_they_are_told_where_broadcasts_are_kept(self, system: System) -> None:
        broadcasts = Broadcasts()
        phones = Phones(system, broadcasts)
        envelope = await self._sent(phones)
        stranger = phones.receipt(replace(envelope, token="another"))
        receipts = [stranger, phones.receipt(envelope), phones.receipt(envelope, ReceiptKind.FAILED)]
        assert await phones.tell(*receipts) == [UNKNOWN, NEWS, NEWS]
        assert broadcasts.told == [(envelope.task, {envelope.device: system.clock.now_ms()})]
        assert await system.count("hops") == 0

    async def test_one_for_which_it_was_not_is_unknown(self, system: System) -> None:
        phones = Phones(system)
        envelope = await self._sent(phones)
        strict = Intake(
            system.writer,
            Arrivals(system.ledger, system.ids, Broadcasts(frozenset({envelope.device}))),
            system.clock,
        )
        assert await strict.told(system.app.key, HMS, [phones.receipt(envelope)]) == [UNKNOWN]

    async def test_one_of_another_app_is_unknown(self, system: System) -> None:
        broadcasts = Broadcasts()
        phones = Phones(system, broadcasts)
        assert await phones.tell(phones.receipt(await self._sent(phones, system.app.key + 1))) == [UNKNOWN]
        assert broadcasts.told == []

    async def test_a_token_that_is_nobody_s_is_forgotten(self, system: System) -> None:
        phones = Phones(system)
        envelope = await self._sent(phones)
        await phones.tell(phones.receipt(envelope, ReceiptKind.INVALID_TOKEN))
        assert not await phones.has_token(envelope.token.removeprefix("vendor-"))


class TestIntake:
    async def test_many_are_recorded_in_small_transactions(self, phones: Phones) -> None:
        await phones.pushed()
        receipt = phones.receipt(phones.vendor.sent[0])
        before = phones.system.writer.groups
        fates = await phones.tell(*[receipt] * (3 * AT_ONCE))
        assert fates.count(NEWS) == 1
        assert len(fates) == 3 * AT_ONCE
        assert phones.system.writer.groups - before == 3
        assert phones.intake.waiting == 0

    async def test_small_callbacks_share_transactions(self, phones: Phones) -> None:
        await phones.pushed()
        receipt = phones.receipt(phones.vendor.sent[0])
        before = phones.system.writer.groups
        fates = await asyncio.gather(*(phones.tell(receipt) for _ in range(200)))
        assert sum(fate == [NEWS] for fate in fates) == 1
        assert phones.system.writer.groups - before <= 2

    async def test_too_many_are_refused_at_once(self, phones: Phones) -> None:
        await phones.pushed()
        receipt = phones.receipt(phones.vendor.sent[0])
        with pytest.raises(StoreUnavailable):
            await phones.tell(*[receipt] * (MAX_WAITING + 1))
        assert phones.intake.waiting == 0

    async def test_while_the_store_is_away_the_vendor_is_told_so(self, phones: Phones) -> None:
        await phones.pushed()
        receipt = phones.receipt(phones.vendor.sent[0])
        write = phones.system.database.write

        async def away(_: object) -> None:
            raise StoreUnavailable("away")

        phones.system.database.write = away  # type: ignore[method-assign,assignment]
        with pytest.raises(StoreUnavailable):
            await phones.tell(receipt)
        phones.system.database.write = write  # type: ignore[method-assign]
        assert await phones.tell(receipt) == [NEWS]
