"""The SMS supplement on both databases: each strategy, every answer and crash; none lost, none sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    PayloadError,
    RateLimited,
    Receipt,
    ReceiptKind,
    Retry,
    SendOutcome,
    Unknown,
)
from clarion.channels.files import Terms
from clarion.channels.registry import Platform
from clarion.delivery.sms import supplements
from clarion.delivery.sms.claims import SMS_LEASE_MS
from clarion.delivery.sms.owed import reclaim_sms
from clarion.delivery.sms.receipts import SmsReceipts
from clarion.delivery.states import MessageStatus
from clarion.delivery.vendors.arrivals import Arrivals, ReceiptFate, Told
from clarion.delivery.vendors.lines import LineName
from clarion.pushes.model import PushReceipt, SimpleForm
from tests.store.system import ANDROID, USER, System
from tests.store.vendors import FakeVendor

NUMBER, OTHER = "13800138000", "13900139000"
WINDOW = 30
LEASE = SMS_LEASE_MS / 1000 + 1
IOS = 2
IPHONE = "f" * 64
IN_PLACE, BESIDE = 1, 2
ACKED, WAITING = MessageStatus.ACKED, MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE


async def _phone(
    system: System, user: str, number: str | None = NUMBER, *, online: bool = False
) -> tuple[int, str]:
    """An Android device whose user was bound with a phone number."""
    device, token = await system.device(online=online)
    await system.devices.bind(system.app.key, token, user, Platform.ANDROID, number)
    return device, token


async def _push(system: System, *targets: str, strategy: int = IN_PLACE, **options: Any) -> PushReceipt:
    return await system.push(
        *targets,
        sms_strategy=strategy,
        sms_sign_name="Clarion",
        sms_template_code="SMS_1",
        sms_template_param='{"code":"1234"}',
        **options,
    )


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


async def _quiet(system: System) -> None:
    """Wait until every line has recorded what it was given."""
    lines = [held.line for held in system.supplements._lines.values()] + list(system.lines._lines.values())
    for _ in range(5):
        await _until(lambda: not any(line.waiting or line.in_flight for line in lines))
        await asyncio.sleep(0.002)
    await system.writer.drain()


async def _work(system: System) -> None:
    """Send what is due, and wait until it is recorded."""
    await system.supplements.send_due()
    await _quiet(system)


async def _sms_steps(system: System, target: str = "bob") -> list[str]:
    return [outcome for stage, outcome in await system.steps(target) if stage == "sms"]


@pytest.fixture
def vendor(system: System) -> FakeVendor:
    return system.channels.set_up(system.app.key, "sms")


class TestStrategies:
    async def test_none(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        await _push(system, "bob", strategy=0)
        assert await system.count("supplements") == 0
        assert await _sms_steps(system) == []

    async def test_beside_the_push_at_once(self, system: System, vendor: FakeVendor) -> None:
        device, _ = await _phone(system, "bob", online=True)
        await _push(system, "bob", strategy=BESIDE)
        await system.ack(device)
        await _work(system)
        (envelope,) = vendor.sent
        assert (envelope.token, envelope.msg_key, envelope.attempt) == (NUMBER, "key", 1)
        assert envelope.content.sms is not None
        assert envelope.content.sms.template_params == '{"code":"1234"}'
        assert await _sms_steps(system) == ["sms_taken"]
        assert await system.count("supplements") == 0

    async def test_an_ack_in_time_saves_the_sms(self, system: System, vendor: FakeVendor) -> None:
        device, _ = await _phone(system, "bob", online=True)
        await _push(system, "bob")
        system.clock.advance(WINDOW - 0.001)
        await _work(system)
        assert await _sms_steps(system) == ["sms_waiting"]
        await system.ack(device)
        system.clock.advance(1)
        await _work(system)
        assert vendor.sent == []
        assert await _sms_steps(system) == ["sms_not_needed"]
        assert await system.count("supplements") == 0

    async def test_no_ack_within_the_window(self, system: System, vendor: FakeVendor) -> None:
        device, _ = await _phone(system, "bob")
        await _push(system, "bob")
        system.clock.advance(WINDOW)
        await _work(system)
        assert [each.token for each in vendor.sent] == [NUMBER]
        # The push stays owed, and its status is about the push.
        assert await system.status("bob") == WAITING
        assert await system.owed(device) == ["key"]
        assert await _sms_steps(system) == ["sms_taken"]

    async def test_a_short_validity_leaves_half_of_it_to_the_sms(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        await _push(system, "bob", seconds=20)
        system.clock.advance(9.9)
        await _work(system)
        assert vendor.sent == []
        system.clock.advance(0.1)
        await _work(system)
        assert len(vendor.sent) == 1

    async def test_a_user_who_has_logged_out_gets_it_at_once(self, system: System, vendor: FakeVendor) -> None:
        _, token = await _phone(system, "bob")
        await system.unbind(token, "bob")
        await _push(system, "bob")
        await _work(system)
        assert [each.token for each in vendor.sent] == [NUMBER]
        steps = [("accepted", "on_disk"), ("planned", "no_binding"), ("sms", "sms_taken")]
        assert await system.steps("bob") == steps
        system.clock.advance(3601)
        await system.maintenance.expire()
        assert (await system.steps("bob"))[1] == ("planned", "no_binding")

    async def test_it_leaves_without_waiting_for_a_poll(
        self, system: System, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(supplements, "POLL_SECONDS", 3600.0)
        _, token = await _phone(system, "bob")
        await system.unbind(token, "bob")
        turn = asyncio.create_task(system.supplements.turn())
        await _push(system, "bob")
        async with asyncio.timeout(10):
            assert not await turn
        await _work(system)
        assert len(vendor.sent) == 1

    async def test_devices_that_all_failed_are_not_waited_for(self, system: System, vendor: FakeVendor) -> None:
        apns = system.channels.set_up(system.app.key, "apns")
        apns.answer = lambda _: InvalidToken(code="Unregistered")
        await system.devices.bind(system.app.key, IPHONE, "bob", Platform.IOS, NUMBER)
        await _push(system, "bob")
        await _until(lambda: bool(apns.sent))
        await _quiet(system)
        assert await system.status("bob") == MessageStatus.EXCEPTION
        await _work(system)
        assert [each.token for each in vendor.sent] == [NUMBER]

    async def test_what_a_vendor_took_has_arrived(self, system: System, vendor: FakeVendor) -> None:
        apns = system.channels.set_up(system.app.key, "apns")
        await system.devices.bind(system.app.key, IPHONE, "bob", Platform.IOS, NUMBER)
        await _push(system, "bob")
        await _until(lambda: bool(apns.sent))
        await _quiet(system)
        assert await system.status("bob") == ACKED
        system.clock.advance(WINDOW)
        await _work(system)
        assert vendor.sent == []

    async def test_a_repeat_brings_no_second_one(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        for _ in range(3):
            await _push(system, "bob", strategy=BESIDE)
            await _work(system)
        assert len(vendor.sent) == 1

    async def test_each_fire_of_a_schedule_brings_one(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        at = system.clock.now_ms() + 60_000
        await _push(system, "bob", strategy=BESIDE, strategy_type=1, strategy_content=f'{{"fixedTime":{at}}}')
        await _work(system)
        assert vendor.sent == []
        system.clock.advance(61)
        await system.scheduler.turn()
        await _work(system)
        assert [each.token for each in vendor.sent] == [NUMBER]


class TestNumbers:
    async def test_the_newest_bind_counts(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        await _phone(system, "bob", OTHER)
        await _phone(system, "bob", None)
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        assert [each.token for each in vendor.sent] == [OTHER]

    async def test_a_device_has_the_number_of_its_user(self, system: System, vendor: FakeVendor) -> None:
        _, token = await _phone(system, "bob")
        _, second = await _phone(system, "bob", None)
        for target in (token, second):
            await _push(system, target, strategy=BESIDE, kind=ANDROID)
        await _work(system)
        assert [each.token for each in vendor.sent] == [NUMBER, NUMBER]

    async def test_the_next_user_s_push_does_not_go_to_the_last_one(
        self, system: System, vendor: FakeVendor
    ) -> None:
        _, token = await _phone(system, "bob")
        await system.bind(token, "eve")
        for target, kind in (("eve", 3), (token, ANDROID)):
            await _push(system, target, strategy=BESIDE, kind=kind)
        await _work(system)
        assert vendor.sent == []

    async def test_no_number(self, system: System, vendor: FakeVendor) -> None:
        await system.device("bob")
        await _push(system, "bob", "nobody", strategy=BESIDE)
        await _push(system, "unheard-of", strategy=BESIDE, kind=ANDROID)
        await _work(system)
        assert vendor.sent == []
        for target in ("bob", "nobody", "unheard-of"):
            assert await _sms_steps(system, target) == ["sms_no_number"]
        assert "PhoneNumber" in (await system.trace("bob")).hops[-1].next
        assert await system.count("supplements") == 0

    async def test_they_go_with_their_app(self, system: System) -> None:
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await system.tenants.delete_app("app", "ws")
        assert (await system.count("phones"), await system.count("supplements")) == (0, 0)


class TestChannel:
    async def test_none_is_set_up(self, system: System) -> None:
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        assert await _sms_steps(system) == ["sms_no_channel"]
        assert await system.count("supplements") == 0

    async def test_new_settings_are_used_at_once(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        new = system.channels.set_up(system.app.key, "sms")
        await _push(system, "bob", key="second", strategy=BESIDE)
        await _work(system)
        assert (len(vendor.sent), len(new.sent)) == (1, 1)

    async def test_apps_do_not_wait_for_each_other(self, system: System, vendor: FakeVendor) -> None:
        vendor.answer = lambda _: ConfigError("InvalidAccessKeyId.NotFound", "wrong")
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        second = await system.tenants.create_app("app2", "ws")
        healthy = system.channels.set_up(second.key, "sms")
        system.app = second
        await system.directory.refresh()
        await _phone(system, "eve", OTHER)
        form = SimpleForm(
            app_id="app2",
            workspace_id="ws",
            task_name="task",
            delivery_type=USER,
            expired_seconds="3600",
            title="title",
            content="content",
            target_msgkey='{"eve":"key"}',
            sms_strategy=BESIDE,
            sms_sign_name="Clarion",
            sms_template_code="SMS_1",
            sms_template_param="{}",
        )
        await system.pushes.push_simple(form, "request")
        await _work(system)
        assert [each.token for each in healthy.sent] == [OTHER]


class TestAnswers:
    @pytest.mark.parametrize(
        ("answer", "step"),
        [
            (PayloadError("isv.SMS_TEMPLATE_ILLEGAL", "no such template"), "rejected"),
            (InvalidToken(None, "isv.MOBILE_NUMBER_ILLEGAL", "no number"), "sms_wrong_number"),
        ],
    )
    async def test_the_end(self, system: System, vendor: FakeVendor, answer: SendOutcome, step: str) -> None:
        vendor.answer = lambda _: answer
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        system.clock.advance(600)
        await _work(system)
        assert len(vendor.sent) == 1
        hop = (await system.trace("bob")).hops[-1]
        assert (hop.stage, hop.outcome, hop.code) == ("sms", step, getattr(answer, "code", None))
        assert await system.count("supplements") == 0

    @pytest.mark.parametrize(
        ("answer", "step", "pause"),
        [
            (Retry(None, "isp.SYSTEM_ERROR"), "vendor_trouble", 1),
            (Retry(9, "ServiceUnavailable"), "vendor_trouble", 9),
            (ConfigError("isv.AMOUNT_NOT_ENOUGH"), "misconfigured", 60),
            (Unknown("", "connection lost"), "sms_in_doubt", 5),
        ],
    )
    async def test_again(
        self, system: System, vendor: FakeVendor, answer: SendOutcome, step: str, pause: float
    ) -> None:
        vendor.answer = lambda _: answer
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        vendor.answer = lambda _: Accepted("second")
        system.clock.advance(pause / 2 - 0.01)
        await _work(system)
        assert len(vendor.sent) == 1
        system.clock.advance(pause / 2 + 0.01)
        await _work(system)
        assert [each.attempt for each in vendor.sent] == [1, 2 if isinstance(answer, Unknown) else 1]
        assert await _sms_steps(system) == [step, "sms_taken"]

    async def test_a_limit_that_outlasts_the_message_ends_it(self, system: System, vendor: FakeVendor) -> None:
        vendor.answer = lambda _: RateLimited(
            system.clock.now_ms() + 3_600_001, "isv.BUSINESS_LIMIT_CONTROL", whole=False
        )
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        assert "validity ends" in (await system.trace("bob")).hops[-1].cause
        assert await system.count("supplements") == 0

    async def test_an_unknown_fate_ends_after_three(self, system: System, vendor: FakeVendor) -> None:
        vendor.answer = lambda _: Unknown("", "connection lost")
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        for _ in range(6):
            await _work(system)
            system.clock.advance(61)
        assert [each.attempt for each in vendor.sent] == [1, 2, 3]
        assert "not sent again" in (await system.trace("bob")).hops[-1].cause
        assert await system.count("supplements") == 0

    async def test_an_ack_meanwhile_ends_it(self, system: System, vendor: FakeVendor) -> None:
        vendor.answer = lambda _: Retry()
        device, _ = await _phone(system, "bob")
        await _push(system, "bob")
        system.clock.advance(WINDOW)
        await _work(system)
        await system.ack(device)
        system.clock.advance(10)
        await _work(system)
        assert len(vendor.sent) == 1
        assert await _sms_steps(system) == ["vendor_trouble", "sms_not_needed"]


class TestEnds:
    async def test_expiry(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE, seconds=60)
        system.clock.advance(61)
        await _work(system)
        assert vendor.sent == []
        assert await _sms_steps(system) == ["too_late"]
        assert await system.count("supplements") == 0

    async def test_revocation(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        await _push(system, "bob")
        await system.revocations.revoke_message("app", "ws", "key", "bob")
        assert await system.count("supplements") == 0
        system.clock.advance(WINDOW)
        await _work(system)
        assert vendor.sent == []
        assert await _sms_steps(system) == ["revoked"]

    async def test_revocation_of_what_a_device_has_already(self, system: System, vendor: FakeVendor) -> None:
        vendor.answer = lambda _: Retry()
        device, _ = await _phone(system, "bob", online=True)
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        await system.ack(device)
        await system.revocations.revoke_message("app", "ws", "key", "bob")
        system.clock.advance(10)
        await _work(system)
        assert len(vendor.sent) == 1
        assert await _sms_steps(system) == ["vendor_trouble", "revoked"]

    async def test_revocation_while_it_is_under_way(self, system: System, vendor: FakeVendor) -> None:
        vendor.gate.clear()
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await system.supplements.send_due()
        await _until(lambda: bool(vendor.sent))
        await system.revocations.revoke_message("app", "ws", "key", "bob")
        vendor.answer = lambda _: Retry()
        vendor.gate.set()
        await _work(system)
        system.clock.advance(10)
        await _work(system)
        assert len(vendor.sent) == 1
        assert await _sms_steps(system) == ["revoked", "vendor_trouble"]


class TestCrashes:
    async def test_what_was_never_leased_is_sent_by_the_next_process(
        self, system: System, vendor: FakeVendor
    ) -> None:
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        again = await system.restarted()
        await _work(again)
        assert [each.attempt for each in vendor.sent] == [1]

    async def test_what_was_sent_and_not_recorded_is_in_doubt(
        self, system: System, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def killed(*_: object) -> None:
            raise RuntimeError("killed")

        monkeypatch.setattr(system.supplements, "_record", killed)
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        again = await system.restarted()
        await _work(again)
        assert len(vendor.sent) == 1  # the first process may be at it
        system.clock.advance(LEASE)
        await _work(again)
        # The channel asks the service first about one that may have been sent.
        assert [each.attempt for each in vendor.sent] == [1, 2]
        assert await _sms_steps(again) == ["sms_taken"]
        assert await system.count("supplements") == 0

    async def test_a_process_that_lost_its_lease_changes_nothing(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        vendor.gate.clear()
        await system.supplements.send_due()
        await _until(lambda: bool(vendor.sent))
        again = await system.restarted(node=1)
        system.clock.advance(LEASE)
        await again.supplements.send_due()
        await _until(lambda: len(vendor.sent) == 2)
        vendor.answer = lambda envelope: Retry() if envelope.attempt == 1 else Unknown()
        vendor.gate.set()
        await _quiet(system)
        await _quiet(again)
        rows = await system.rows("SELECT attempts, doubts, owner FROM supplements")
        assert [tuple(row) for row in rows] == [(2, 2, None)]

    async def test_processes_that_die_of_it_do_not_go_on_for_ever(self, system: System, vendor: FakeVendor) -> None:
        vendor.gate.clear()
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        process = system
        for node in range(1, 6):
            await process.supplements.send_due()
            await asyncio.sleep(0.01)
            process = await process.restarted(node=node)
            system.clock.advance(LEASE)
        assert await _sms_steps(system) == ["sms_in_doubt"]
        assert len(vendor.sent) == 3

    async def test_two_workers_never_lease_the_same(self, system: System, vendor: FakeVendor) -> None:
        users = [f"user{number}" for number in range(20)]
        for number, user in enumerate(users):
            await _phone(system, user, f"139{number:08}")
        for start in range(0, 20, 10):
            await _push(system, *users[start : start + 10], strategy=BESIDE)
        again = await system.restarted(node=1)
        await asyncio.gather(_work(system), _work(again))
        assert sorted(each.token for each in vendor.sent) == [f"139{number:08}" for number in range(20)]

    async def test_a_stop_waits_for_what_is_under_way(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await system.supplements.send_due()
        await _until(lambda: bool(vendor.sent))
        await system.supplements.close(5)
        assert await _sms_steps(system) == ["sms_taken"]

    async def test_a_server_that_is_alone_waits_for_no_lease(
        self, system: System, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def killed(*_: object) -> None:
            raise RuntimeError("killed")

        monkeypatch.setattr(system.supplements, "_record", killed)
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        again = await system.restarted()
        now = system.clock.now_ms()
        assert await system.database.write(lambda transaction: reclaim_sms(transaction, now)) == 1
        await _work(again)
        assert len(vendor.sent) == 1  # the service may list it only in a moment
        system.clock.advance(5)
        await _work(again)
        assert [each.attempt for each in vendor.sent] == [1, 2]


class TestPace:
    async def test_a_limit_of_the_day(self, system: System, vendor: FakeVendor) -> None:
        system.channels.limits[LineName(system.app.key, "sms")] = Terms(rate=0, daily_limit=1)
        for user, number in (("bob", NUMBER), ("eve", OTHER)):
            await _phone(system, user, number)
            await _push(system, user, strategy=BESIDE)
            await _work(system)
        assert [each.token for each in vendor.sent] == [NUMBER]
        rows = await system.rows("SELECT channel, targets FROM channel_days")
        assert [tuple(row) for row in rows] == [("sms", 1)]


def _report(
    task: str, kind: ReceiptKind = ReceiptKind.ARRIVED, token: str = NUMBER, code: str = "DELIVERED", at: int = 0
) -> Receipt:
    return Receipt("biz^0", token, kind, code, "as the service says", at, task)


async def _tell(system: System, *receipts: Receipt) -> list[ReceiptFate]:
    recorder = SmsReceipts(system.ids, Arrivals(system.ledger, system.ids))
    told = Told(system.app.key, "sms", system.clock.now_ms(), receipts)
    return (await system.writer.submit(recorder.record, told))[:]


class TestReports:
    async def test_each_counts_once(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        task = (await system.trace("bob")).task_id
        system.clock.advance(2)
        report = _report(task)
        assert await _tell(system, report, report) == [ReceiptFate.NEWS, ReceiptFate.REPEATED]
        assert await _tell(system, report) == [ReceiptFate.REPEATED]
        hop = (await system.trace("bob")).hops[-1]
        assert (hop.stage, hop.outcome, hop.code) == ("sms", "sms_arrived", "DELIVERED")
        assert await _sms_steps(system) == ["sms_taken", "sms_arrived"]
        assert await system.status("bob") == WAITING

    async def test_a_failure(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await _work(system)
        report = _report((await system.trace("bob")).task_id, ReceiptKind.FAILED, code="MK:0001")
        assert await _tell(system, report) == [ReceiptFate.NEWS]
        hop = (await system.trace("bob")).hops[-1]
        assert (hop.outcome, hop.code) == ("sms_failed", "MK:0001")
        assert "as the service says" in hop.cause

    async def test_of_several_numbers_the_right_one(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob", f"+86 {NUMBER}")
        await _phone(system, "eve", OTHER)
        await _push(system, "bob", "eve", strategy=BESIDE)
        await _work(system)
        assert await _tell(system, _report((await system.trace("bob")).task_id)) == [ReceiptFate.NEWS]
        assert await _sms_steps(system, "bob") == ["sms_taken", "sms_arrived"]
        assert await _sms_steps(system, "eve") == ["sms_taken"]

    async def test_one_that_is_earlier_than_the_answer(self, system: System, vendor: FakeVendor) -> None:
        vendor.gate.clear()
        vendor.answer = lambda _: Unknown("", "connection lost")
        await _phone(system, "bob")
        await _push(system, "bob", strategy=BESIDE)
        await system.supplements.send_due()
        await _until(lambda: bool(vendor.sent))
        assert await _tell(system, _report((await system.trace("bob")).task_id)) == [ReceiptFate.NEWS]
        vendor.gate.set()
        await _quiet(system)
        system.clock.advance(LEASE)
        await _work(system)
        assert len(vendor.sent) == 1
        assert await system.count("supplements") == 0

    async def test_strangers(self, system: System, vendor: FakeVendor) -> None:
        await _phone(system, "bob")
        await _push(system, "bob")
        waiting = (await system.trace("bob")).task_id  # for which no SMS was sent
        for tag in ("", "1", "x", "9" * 17, "1" * 16, waiting):
            assert await _tell(system, _report(tag)) == [ReceiptFate.UNKNOWN]
        assert await _sms_steps(system) == ["sms_waiting"]
