"""Broadcasts through vendors on both databases: every way, outcome and crash, and each device counted once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    PayloadError,
    RateLimited,
    Recalled,
    RecallUnknown,
    Retry,
    SendOutcome,
    Unknown,
)
from clarion.delivery.accept import LEASE_MS
from clarion.delivery.ledger import EventKind
from clarion.delivery.series import Mark
from clarion.delivery.states import MessageStatus
from clarion.delivery.vendors.reclaim import reclaim
from clarion.store.database import Transaction
from clarion.store.queries import Query
from tests.store.broadcasting import (
    acknowledge,
    announce,
    crowd,
    day_figures,
    figures,
    frames,
    marks_of,
    pages,
    planner,
)
from tests.store.system import System
from tests.store.vendors import FakeVendor

ACKED = MessageStatus.ACKED.label
FAILED = MessageStatus.EXCEPTION.label


async def _tokens(system: System, channel: str, devices: Sequence[int]) -> None:
    """Have devices report a vendor's token."""
    give = Query(
        text(
            "UPDATE devices SET channel = :channel, vendor_token = 'vendor-' || token, vendor_token_at = 1 "
            "WHERE device = :device"
        )
    )

    async def work(transaction: Transaction) -> None:
        for device in devices:
            await transaction.execute(give, channel=channel, device=device)

    await system.database.write(work)


async def _phones(system: System, count: int, channel: str = "hms") -> list[int]:
    devices = await crowd(system, count)
    await _tokens(system, channel, devices)
    return devices


async def _settled(system: System) -> None:
    """Feed the lines and wait until none has had anything to do for a while."""
    quiet = 0
    while quiet < 4:
        if system.parts_due._ways:
            await system.feeder.work()
        await asyncio.sleep(0.004)
        busy = any(line.waiting or line.in_flight for line in system.lines._lines.values())
        quiet = 0 if busy or system.parts_due._ways else quiet + 1
    await system.writer.drain()


async def _under_way(system: System, vendor: FakeVendor, count: int = 1) -> int:
    """A broadcast that the vendor has got and has not answered."""
    vendor.gate.clear()
    task = await announce(system)
    await system.broadcasts.write_pages()
    await system.feeder.work()
    async with asyncio.timeout(10):
        while len(vendor.sent) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    return task


async def _sent(system: System, **fields: Any) -> int:
    task = await announce(system, **fields)
    await system.broadcasts.write_pages()
    await _settled(system)
    return task


async def _look_again(system: System) -> None:
    """Let the feeder look for what is due, as it does every two seconds."""
    for name in system.channels.configured():
        system.parts_due.add(name.app, [name.channel])
    await _settled(system)


async def _marks(system: System, task: int, device: int) -> Mark | None:
    return next(
        (marks for page in await pages(system, task) if (marks := marks_of(page, device)) is not None), None
    )


async def _owed_parts(system: System) -> list[tuple[str, int, int]]:
    """Channel, number of devices, attempts of each part that is still owed."""
    rows = await system.rows("SELECT channel, devices, attempts FROM broadcast_parts ORDER BY part")
    return [(channel, len(devices) // 8, attempts) for channel, devices, attempts in rows]


def _vendor(system: System, answer: SendOutcome | None = None, channel: str = "hms") -> FakeVendor:
    vendor = system.channels.set_up(system.app.key, channel)
    if answer is not None:
        vendor.answer = lambda _: answer
    return vendor


async def _status(system: System, device: int, key: str = "sale") -> str:
    return (await system.trace(f"token-{device}", key)).status_name


class TestWays:
    async def test_a_mixed_audience_goes_every_way_at_once(self, system: System) -> None:
        hms, fcm = _vendor(system), _vendor(system, channel="fcm")
        linked, huawei, google = await crowd(system, 3), await _phones(system, 4), await _phones(system, 2, "fcm")
        vivo = await _phones(system, 1, "vivo")  # which the app has not set up
        task = await _sent(system)
        assert sorted(each.device for each in hms.sent) == huawei
        assert sorted(each.device for each in fcm.sent) == google
        assert {each.token for each in fcm.sent} == {f"vendor-token-{device}" for device in google}
        assert {(each.message, each.task, each.msg_key, each.attempt) for each in hms.sent} == {
            (task, task, "sale", 1)
        }
        assert len({id(each.content) for each in hms.sent}) == 1
        for device in (*linked, *vivo):
            assert await frames(system, device) == [("push", task)]
        for device in (*huawei, *google):
            assert await frames(system, device) == []
            assert await _status(system, device) == ACKED
        assert await figures(system, task) == (10, 6, 0, 0, 0)
        assert await day_figures(system) == (10, 6, 0, 0, 0)
        rows = await system.rows("SELECT series, total FROM task_counters WHERE task = :task", task=task)
        assert sorted(int(total) for _, total in rows) == [2, 4, 4]
        assert await _owed_parts(system) == []

    @pytest.mark.parametrize("fields", [{"android_channel": 1}, {"notify_type": "transparent"}])
    async def test_a_push_for_the_own_link_alone_uses_no_vendor(
        self, system: System, fields: dict[str, Any]
    ) -> None:
        vendor = _vendor(system)
        (device,) = await _phones(system, 1)
        task = await _sent(system, **fields)
        assert vendor.sent == []
        assert await frames(system, device) == [("push", task)]

    async def test_two_pages_and_a_half_go_in_batches_of_the_vendor(self, system: System) -> None:
        vendor = _vendor(system)
        devices = await _phones(system, 2500)
        task = await _sent(system)
        assert sorted(each.device for each in vendor.sent) == devices
        assert await figures(system, task) == (2500, 2500, 0, 0, 0)
        rows = await system.rows("SELECT count(*) FROM broadcast_sends WHERE task = :task", task=task)
        assert int(rows[0][0]) == 25

    async def test_a_line_with_little_room_splits_a_part(self, system: System) -> None:
        vendor = _vendor(system)
        system.lines._limits = replace(system.lines._limits, waiting=300)
        devices = await _phones(system, 1000)
        task = await _sent(system)
        assert sorted(each.device for each in vendor.sent) == devices
        assert await figures(system, task) == (1000, 1000, 0, 0, 0)
        assert await _owed_parts(system) == []


class TestOutcomes:
    @pytest.mark.parametrize(
        ("answer", "outcome", "text"),
        [
            (InvalidToken(code="80300007", text="gone"), "invalid_token", "gone"),
            (PayloadError(code="80300008", text="too long"), "rejected", "too long"),
            (ConfigError(code="80200001", text="wrong secret"), "misconfigured", "wrong secret"),
        ],
    )
    async def test_what_the_vendor_refuses_goes_over_to_the_own_link(
        self, system: System, answer: SendOutcome, outcome: str, text: str
    ) -> None:
        _vendor(system, answer)
        (device,) = await _phones(system, 1)
        task = await _sent(system)
        assert await frames(system, device) == [("push", task)]
        assert device in system.connections.woken
        await acknowledge(system, task, [device])
        hops = (await system.trace(f"token-{device}", "sale")).hops
        assert [(hop.stage, hop.outcome) for hop in hops] == [
            ("accepted", "on_disk"),
            ("planned", "vendor_queued"),
            ("sent", outcome),
            ("acked", "delivered"),
        ]
        assert (hops[2].code, hops[2].channel) == (getattr(answer, "code", None), "hms")
        assert hops[2].next == ""
        assert text in hops[2].cause.lower()
        assert "device link" in hops[2].cause
        assert await figures(system, task) == (1, 1, 1, 0, 0)

    @pytest.mark.parametrize("answer", [InvalidToken(), PayloadError(code="413")])
    async def test_without_an_own_link_it_ends_in_a_named_state(self, system: System, answer: SendOutcome) -> None:
        _vendor(system, answer, "apns")
        (device,) = await _phones(system, 1, "apns")
        task = await _sent(system)
        assert await frames(system, device) == []
        assert await _status(system, device) == FAILED
        assert await figures(system, task) == (1, 0, 0, 0, 0)
        assert await _owed_parts(system) == []

    async def test_one_device_of_many_is_refused(self, system: System) -> None:
        vendor = _vendor(system, channel="apns")
        devices = await _phones(system, 50, "apns")
        bad = devices[17]
        vendor.answer = lambda each: (
            InvalidToken(code="410") if each.device == bad else Accepted(f"id-{each.device}")
        )
        task = await _sent(system)
        assert await figures(system, task) == (50, 49, 0, 0, 0)
        assert await _status(system, bad) == FAILED
        assert await _status(system, devices[16]) == ACKED
        rows = await system.rows("SELECT device FROM devices WHERE vendor_token IS NULL ORDER BY device")
        assert [device for (device,) in rows] == [bad]

    async def test_what_is_to_be_sent_again_is_sent_again_and_nothing_else(self, system: System) -> None:
        vendor = _vendor(system)
        devices = await _phones(system, 20)
        slow = set(devices[::2])
        vendor.answer = lambda each: Retry(code="503") if each.device in slow else Accepted("id")
        task = await _sent(system)
        assert await figures(system, task) == (20, 10, 0, 0, 0)
        assert await _owed_parts(system) == [("hms", 10, 1)]
        vendor.answer = lambda _: Accepted("id")
        await _look_again(system)
        assert len(vendor.sent) == 20  # its time has not come
        system.clock.advance(2)
        await _look_again(system)
        assert sorted(each.device for each in vendor.sent[20:]) == sorted(slow)
        assert {each.attempt for each in vendor.sent[20:]} == {2}
        assert await figures(system, task) == (20, 20, 0, 0, 0)
        assert [hop.outcome for hop in (await system.trace(f"token-{devices[0]}", "sale")).hops] == [
            "on_disk",
            "vendor_queued",
            "vendor_trouble",
            "taken",
        ]

    async def test_an_unknown_fate_is_not_sent_again(self, system: System) -> None:
        vendor = _vendor(system, Unknown(text="reset"))
        (device,) = await _phones(system, 1)
        task = await _sent(system)
        system.clock.advance(400)
        await _look_again(system)
        assert len(vendor.sent) == 1
        assert await _status(system, device) == FAILED
        assert await figures(system, task) == (1, 0, 0, 0, 0)

    async def test_a_long_limit_sends_it_over_the_own_link(self, system: System) -> None:
        _vendor(system, RateLimited(system.clock.now_ms() + 3_000_000, "429", "quota"))
        (device,) = await _phones(system, 1)
        task = await _sent(system)
        assert await frames(system, device) == [("push", task)]

    async def test_nothing_is_sent_after_the_validity(self, system: System) -> None:
        vendor = _vendor(system, Retry(after=100), "apns")
        (device,) = await _phones(system, 1, "apns")
        await _sent(system, seconds=60)
        system.clock.advance(120)
        await _look_again(system)
        assert len(vendor.sent) == 1
        assert await _owed_parts(system) == []
        assert await _status(system, device) == MessageStatus.MSG_EXPIRED.label

    async def test_a_token_that_was_forgotten_meanwhile(self, system: System) -> None:
        vendor = _vendor(system)
        (device,) = await _phones(system, 1)
        task = await announce(system)
        await system.broadcasts.write_pages()
        forget = Query(text("UPDATE devices SET vendor_token = NULL, channel = NULL"))
        await system.database.write(lambda transaction: transaction.execute(forget))
        await _settled(system)
        assert vendor.sent == []
        assert await frames(system, device) == [("push", task)]


class TestReceipts:
    async def test_an_arrival_after_the_vendor_took_it_counts_as_arrival_alone(self, system: System) -> None:
        _vendor(system)
        (device,) = await _phones(system, 1)
        task = await _sent(system)
        await acknowledge(system, task, [device])
        await acknowledge(system, task, [device])
        assert await figures(system, task) == (1, 1, 1, 0, 0)

    async def test_an_arrival_before_the_vendors_answer_counts_once(self, system: System) -> None:
        vendor = _vendor(system)
        (device,) = await _phones(system, 1)
        task = await _under_way(system, vendor)
        await acknowledge(system, task, [device])
        assert await figures(system, task) == (1, 1, 1, 0, 0)
        vendor.gate.set()
        await _settled(system)
        assert await figures(system, task) == (1, 1, 1, 0, 0)

    async def test_who_opened_it_is_not_sent_it_again(self, system: System) -> None:
        vendor = _vendor(system, Retry())
        (device,) = await _phones(system, 1)
        task = await _sent(system)
        assert await system.reports.reported(device, task, EventKind.OPEN)
        assert await figures(system, task) == (1, 1, 1, 1, 0)
        system.clock.advance(5)
        await _look_again(system)
        assert len(vendor.sent) == 1
        assert await _owed_parts(system) == []
        assert await _status(system, device) == ACKED
        assert await figures(system, task) == (1, 1, 1, 1, 0)

    async def test_figures_are_of_the_channel_that_was_planned(self, system: System) -> None:
        _vendor(system)
        (device,) = await _phones(system, 1)
        await crowd(system, 1)
        task = await _sent(system)
        assert await system.reports.reported(device, task, EventKind.IGNORE)
        rows = await system.rows(
            "SELECT total, success, arrival, opened, ignored FROM task_counters WHERE task = :task", task=task
        )
        assert sorted(tuple(map(int, row)) for row in rows) == [(1, 0, 0, 0, 0), (1, 1, 1, 0, 1)]


class TestCrashes:
    async def test_pages_that_were_written_are_sent_by_the_next_process(self, system: System) -> None:
        vendor = _vendor(system)
        devices = await _phones(system, 3)
        task = await announce(system)
        await system.broadcasts.write_pages()
        again = await system.restarted()
        await _look_again(again)
        assert sorted(each.device for each in vendor.sent) == devices
        assert await figures(system, task) == (3, 3, 0, 0, 0)

    async def test_what_was_under_way_is_sent_again_and_says_so(self, system: System) -> None:
        vendor = _vendor(system)
        devices = await _phones(system, 150)
        task = await _under_way(system, vendor, 150)
        for line in system.lines._lines.values():  # the process dies here: nothing of it is recorded
            line._record = _never
        vendor.gate.set()
        again = await system.restarted()
        await _look_again(again)
        assert len(vendor.sent) == 150  # its lease has not ended
        again.clock.advance(LEASE_MS / 1000 + 1)
        await _look_again(again)
        assert sorted(each.device for each in vendor.sent[150:]) == devices
        assert await figures(again, task) == (150, 150, 0, 0, 0)
        last = (await again.trace(f"token-{devices[0]}", "sale")).hops[-1]
        assert (last.outcome, "may have come twice" in last.cause) == ("taken", True)

    async def test_a_process_that_lost_its_lease_changes_no_part(self, system: System) -> None:
        vendor = _vendor(system, Retry(), "apns")
        (device,) = await _phones(system, 1, "apns")
        task = await _under_way(system, vendor)
        system.clock.advance(LEASE_MS / 1000 + 1)
        again = await system.restarted(node=1)
        again.parts_due.add(system.app.key, ["apns"])
        await again.feeder.work()  # which has the lease now
        vendor.gate.set()
        await _settled(system)
        await _settled(again)
        assert await _owed_parts(system) == [("apns", 1, 1)]
        vendor.answer = lambda _: Accepted("id")
        again.clock.advance(5)
        await _look_again(again)
        assert await figures(again, task) == (1, 1, 0, 0, 0)
        assert await _status(again, device) == ACKED

    async def test_each_device_is_counted_once_whatever_happens_twice(self, system: System) -> None:
        vendor = _vendor(system)
        devices = await _phones(system, 30)
        task = await _sent(system)
        recorded = [each.device for each in vendor.sent]
        await _look_again(system)
        await _look_again(await system.restarted())
        assert [each.device for each in vendor.sent] == recorded
        assert sorted(recorded) == devices
        assert await figures(system, task) == (30, 30, 0, 0, 0)


class TestRevocation:
    async def test_what_was_not_sent_is_never_sent(self, system: System) -> None:
        vendor = _vendor(system)
        (device,) = await _phones(system, 1)
        task = await announce(system)
        await system.broadcasts.write_pages()
        await system.broadcasts.revoke(system.app.key, task)
        await _look_again(system)
        assert vendor.sent == []
        assert await _status(system, device) == MessageStatus.REVOKED.label
        assert await frames(system, device) == []

    async def test_what_waits_in_a_line_is_not_sent_any_more(self, system: System) -> None:
        vendor = _vendor(system)
        await _phones(system, 900)
        task = await _under_way(system, vendor, 600)  # six batches; the rest has no place yet
        await system.broadcasts.revoke(system.app.key, task)
        await system.feeder.work()
        vendor.gate.set()
        await _settled(system)
        assert len(vendor.sent) == 600
        assert await figures(system, task) == (900, 600, 0, 0, 0)

    async def test_what_was_under_way_is_known_to_have_been_taken(self, system: System) -> None:
        vendor = _vendor(system)
        (device,) = await _phones(system, 1)
        task = await _under_way(system, vendor)
        await system.broadcasts.revoke(system.app.key, task)
        vendor.gate.set()
        await _settled(system)
        assert await _marks(system, task, device) == Mark.VENDOR | Mark.TAKEN
        assert await figures(system, task) == (1, 1, 0, 0, 0)


async def _never(*_: object) -> None:
    """Record nothing."""


class TestLatecomers:
    async def test_who_logs_in_later_gets_it_through_the_vendor(self, system: System) -> None:
        vendor = _vendor(system)
        (device,) = await crowd(system, 1, users=False)
        await _tokens(system, "hms", [device])
        task = await _sent(system)
        assert vendor.sent == []
        await system.bind(f"token-{device}", "alice")
        await _look_again(system)
        assert [(each.device, each.task) for each in vendor.sent] == [(device, task)]
        assert await figures(system, task) == (1, 1, 0, 0, 0)
        assert await frames(system, device) == []
        assert await _status(system, device) == ACKED
        await system.unbind(f"token-{device}", "alice")
        await system.bind(f"token-{device}", "alice")
        await _look_again(system)
        assert len(vendor.sent) == 1
        await acknowledge(system, task, [device])
        assert await figures(system, task) == (1, 1, 1, 0, 0)

    async def test_who_logs_out_later(self, system: System) -> None:
        vendor = _vendor(system)
        (device,) = await _phones(system, 1)
        await _sent(system, push_status=2, un_bind_period=4)
        assert vendor.sent == []
        await system.unbind(f"token-{device}", f"user-{device}")
        await _look_again(system)
        assert [each.device for each in vendor.sent] == [device]

    async def test_a_connected_device_gets_it_over_the_own_link(self, system: System) -> None:
        vendor = _vendor(system)
        (device,) = await crowd(system, 1, users=False)
        await _tokens(system, "hms", [device])
        task = await _sent(system)
        system.connections.connected.add(device)
        await system.bind(f"token-{device}", "alice")
        await _look_again(system)
        assert vendor.sent == []
        assert await frames(system, device) == [("push", task)]

    async def test_who_comes_while_its_page_is_written_is_looked_at_again(self, system: System) -> None:
        vendor = _vendor(system)
        (device,) = await crowd(system, 1, users=False)
        await _tokens(system, "hms", [device])
        task = await announce(system)
        step = await system.database.read(lambda transaction: planner(system)._look_up(transaction, task))
        assert step is not None
        await system.bind(f"token-{device}", "alice")  # after its page was looked up, before it is written
        assert await system.writer.submit(planner(system)._write, step)
        await system.broadcasts.write_pages()
        await system.broadcasts.keep_up()
        await _look_again(system)
        assert [each.device for each in vendor.sent] == [device]
        assert await figures(system, task) == (1, 1, 0, 0, 0)

    @pytest.mark.parametrize("answer", [InvalidToken(), PayloadError()])
    async def test_what_the_vendor_refuses_goes_over_to_the_own_link(
        self, system: System, answer: SendOutcome
    ) -> None:
        _vendor(system, answer)
        (device,) = await crowd(system, 1, users=False)
        await _tokens(system, "hms", [device])
        task = await _sent(system)
        await system.bind(f"token-{device}", "alice")
        await _look_again(system)
        assert await frames(system, device) == [("push", task)]
        await acknowledge(system, task, [device])
        assert await figures(system, task) == (1, 1, 1, 0, 0)


class TestChannelsThatGo:
    async def test_what_waits_for_a_channel_that_is_gone_goes_over_to_the_own_link(self, system: System) -> None:
        _vendor(system, Retry())
        devices = await _phones(system, 3)
        task = await _sent(system)
        assert await _owed_parts(system) == [("hms", 3, 1)]
        system.channels.vendors.clear()
        while await system.lines.refill():
            pass
        assert await _owed_parts(system) == []
        for device in devices:
            assert await frames(system, device) == [("push", task)]
            assert device in system.connections.woken
        assert "does not have the channel" in (await system.trace(f"token-{devices[0]}", "sale")).hops[-1].cause

    async def test_a_server_that_is_alone_takes_back_what_the_last_one_had(self, system: System) -> None:
        vendor = _vendor(system)
        (device,) = await _phones(system, 1)
        task = await _under_way(system, vendor)
        for line in system.lines._lines.values():
            line._record = _never
        vendor.gate.set()
        await system.database.write(reclaim)
        again = await system.restarted()
        await _look_again(again)
        assert [each.device for each in vendor.sent] == [device, device]
        assert await figures(system, task) == (1, 1, 0, 0, 0)
        assert "may have come twice" in (await again.trace(f"token-{device}", "sale")).hops[-1].cause


class TestRecalls:
    async def _revoked(self, system: System, task: int) -> None:
        await system.broadcasts.revoke(system.app.key, task)
        while await system.vendor_recalls.work():
            pass

    async def test_what_vendors_took_is_taken_back(self, system: System) -> None:
        vendor = _vendor(system)
        vendor.answer = lambda each: Accepted("one") if each.device != refused else PayloadError(code="9")
        vendor.regret = lambda _: Recalled()
        devices = await _phones(system, 5)
        refused = devices[2]
        task = await _sent(system)
        await self._revoked(system, task)
        assert sorted((copy.device, copy.token, copy.vendor_id, copy.msg_key) for copy in vendor.asked) == [
            (device, f"vendor-token-{device}", "one", "sale") for device in devices if device != refused
        ]
        assert await system.steps(f"token-{devices[0]}", "sale") == [
            ("accepted", "on_disk"),
            ("planned", "vendor_queued"),
            ("sent", "taken"),
            ("recalled", "recalled"),
        ]
        await self._revoked(system, task)
        assert len(vendor.asked) == 4

    async def test_what_was_not_taken_back_is_asked_for_by_the_next_revocation(self, system: System) -> None:
        vendor = _vendor(system)
        vendor.regret = lambda _: RecallUnknown(text="no answer")
        (device,) = await _phones(system, 1)
        task = await _sent(system)
        await self._revoked(system, task)
        assert (await system.steps(f"token-{device}", "sale"))[-1] == ("recalled", "recall_unknown")
        vendor.regret = lambda _: Recalled()
        await self._revoked(system, task)
        assert len(vendor.asked) == 2
        assert (await system.steps(f"token-{device}", "sale"))[-1] == ("recalled", "recalled")

    async def test_a_device_that_joined_late(self, system: System) -> None:
        vendor = _vendor(system)
        vendor.regret = lambda _: Recalled()
        (device,) = await crowd(system, 1, users=False)
        await _tokens(system, "hms", [device])
        task = await _sent(system)
        await system.bind(f"token-{device}", "alice")
        await _look_again(system)
        await self._revoked(system, task)
        assert [copy.device for copy in vendor.asked] == [device]
        assert (await system.steps(f"token-{device}", "sale"))[-1] == ("recalled", "recalled")

    async def test_what_was_taken_after_the_revocation(self, system: System) -> None:
        vendor = _vendor(system)
        vendor.regret = lambda _: Recalled()
        (device,) = await _phones(system, 1)
        task = await _under_way(system, vendor)
        await self._revoked(system, task)
        assert vendor.asked == []
        vendor.gate.set()
        await _settled(system)
        while await system.vendor_recalls.work():
            pass
        assert [copy.device for copy in vendor.asked] == [device]

    async def test_the_own_link_recalls_what_went_over_to_it(self, system: System) -> None:
        vendor = _vendor(system, PayloadError())
        (device,) = await _phones(system, 1)
        task = await _sent(system)
        await acknowledge(system, task, [device])
        await self._revoked(system, task)
        assert vendor.asked == []
        assert [kind for kind, _ in await frames(system, device)] == ["revoke"]


class TestVendorReceipts:
    async def test_an_arrival_that_the_vendor_reports(self, system: System) -> None:
        _vendor(system)
        device, stranger = await _phones(system, 1), await crowd(system, 1, users=False)
        task = await _sent(system)
        now = system.clock.now_ms() + 1
        for _ in range(2):
            strangers = await system.database.write(
                lambda transaction: system.broadcasts.receipts.arrived(
                    transaction, task, {device[0]: now, stranger[0]: now}
                )
            )
            assert strangers == frozenset(stranger)
        assert await figures(system, task) == (1, 1, 1, 0, 0)
        assert (await system.steps(f"token-{device[0]}", "sale"))[-1] == ("arrived", "confirmed")
