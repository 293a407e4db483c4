"""Deliveries through vendors on both databases: every outcome, every crash, nothing lost and nothing doubled."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    PayloadError,
    RateLimited,
    Retry,
    SendOutcome,
    Unknown,
)
from clarion.channels.registry import Channel, Platform
from clarion.delivery.accept import LEASE_MS
from clarion.delivery.states import MessageStatus
from clarion.devices.model import DeviceDetails, VendorToken
from clarion.store.database import Transaction
from clarion.store.queries import Query
from tests.store.system import ANDROID, System
from tests.store.vendors import FakeVendor

IOS = 2
ACKED, WAITING = MessageStatus.ACKED, MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE
FAILED = MessageStatus.EXCEPTION


async def _phone(system: System, user: str | None = None, channel: Channel = Channel.HMS) -> tuple[int, str]:
    """An Android device that reported a vendor's token."""
    device, token = await system.device(user)
    vendor = VendorToken(channel, f"vendor-{token}")
    await system.devices.report(system.app.key, token, Platform.ANDROID, vendor, DeviceDetails())
    return device, token


async def _settled(system: System) -> None:
    """Wait until no line has had anything to do for a while."""
    quiet = 0
    while quiet < 5:
        await asyncio.sleep(0.004)
        busy = any(line.waiting or line.in_flight for line in system.lines._lines.values())
        quiet = 0 if busy else quiet + 1
    await system.writer.drain()


async def _forget_token(system: System, device: int) -> None:
    forget = Query(text("UPDATE devices SET vendor_token = NULL WHERE device = :device"))

    async def work(transaction: Transaction) -> None:
        await transaction.execute(forget, device=device)

    await system.database.write(work)


async def _owed(system: System) -> list[tuple[str, int]]:
    """Channel and attempts of every delivery that is owed."""
    rows = await system.rows("SELECT channel, attempts FROM deliveries ORDER BY device, message")
    return [(str(channel), int(attempts)) for channel, attempts in rows]


async def _pushed(system: System, answer: SendOutcome, *, kind: int = ANDROID) -> tuple[FakeVendor, str]:
    vendor = system.channels.set_up(system.app.key, "hms")
    vendor.answer = lambda _: answer
    _, token = await _phone(system)
    await system.push(token, kind=kind)
    await _settled(system)
    return vendor, token


class TestRouting:
    async def test_a_reported_token_is_used_when_the_app_has_the_channel(self, system: System) -> None:
        vendor, token = await _pushed(system, Accepted("vendor-id", ("no picture",)))
        assert [(each.token, each.content.title, each.attempt) for each in vendor.sent] == [
            (f"vendor-{token}", "title", 1)
        ]
        assert await system.status(token) == ACKED
        assert await _owed(system) == []
        hop = (await system.trace(token)).hops[-1]
        assert (hop.stage, hop.outcome, hop.code, hop.device, hop.channel) == (
            "sent",
            "taken",
            "vendor-id",
            token,
            "hms",
        )
        assert "No picture." in hop.cause

    async def test_without_the_channel_the_own_link_is_used(self, system: System) -> None:
        _, token = await _phone(system)
        await system.push(token, kind=ANDROID)
        assert await _owed(system) == [("link", 0)]

    async def test_a_push_for_the_own_link_alone_goes_there(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        _, token = await _phone(system)
        await system.push(token, kind=ANDROID, notify_type="transparent")
        assert await _owed(system) == [("link", 0)]
        assert vendor.sent == []

    async def test_each_device_of_a_user_is_reached_its_own_way(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        await _phone(system, "bob")
        device, _ = await system.device("bob", online=True)
        await system.push("bob")
        await _settled(system)
        assert len(vendor.sent) == 1
        assert [to for to, _ in system.connections.delivered] == [device]
        assert await system.status("bob") == ACKED
        assert await _owed(system) == [("link", 0)]

    async def test_a_bind_sends_what_waited_through_the_vendor(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        _, token = await _phone(system)
        await system.push("bob")
        await system.bind(token, "bob")
        assert (await system.trace("bob")).hops[-1].outcome == "vendor_queued"
        await system.lines.refill()
        await _settled(system)
        assert [each.msg_key for each in vendor.sent] == ["key"]
        assert await system.status("bob") == ACKED

    async def test_it_counts_under_its_channel_and_once(self, system: System) -> None:
        await _pushed(system, Accepted("id"))
        rows = await system.rows("SELECT series & 255, total, success, arrival FROM day_counters WHERE total <> 0")
        assert [(int(series) >> 4, *map(int, sums)) for series, *sums in rows] == [
            (Channel.HMS.third_channel, 1, 1, 0)
        ]


class TestOutcomes:
    async def test_an_invalid_token_is_forgotten_and_the_message_goes_to_the_link(self, system: System) -> None:
        _, token = await _pushed(system, InvalidToken(code="80300007", text="all tokens invalid"))
        assert await system.status(token) == WAITING
        assert await _owed(system) == [("link", 0)]
        state = await system.devices.state_of_device(system.app.key, token)
        assert state is not None
        assert state.vendor_token is None
        hop = (await system.trace(token)).hops[-1]
        assert (hop.outcome, hop.code) == ("invalid_token", "80300007")
        assert "goes over to the device link" in hop.cause
        device = (await system.rows("SELECT device FROM deliveries"))[0][0]
        assert device in system.connections.woken

    async def test_a_token_that_was_reported_after_the_vendor_s_time_is_kept(self, system: System) -> None:
        _, token = await _pushed(system, InvalidToken(since=system.clock.now_ms() - 1000))
        state = await system.devices.state_of_device(system.app.key, token)
        assert state is not None
        assert state.vendor_token is not None

    async def test_a_device_without_the_link_ends_in_a_named_state(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "apns")
        vendor.answer = lambda _: InvalidToken(code="Unregistered")
        await system.devices.report(system.app.key, "f" * 64, Platform.IOS, None, DeviceDetails())
        await system.push("f" * 64, kind=IOS)
        await _settled(system)
        assert await system.status("f" * 64) == FAILED
        assert await _owed(system) == []
        assert (await system.trace("f" * 64)).status_name == "Exception"

    @pytest.mark.parametrize("answer", [PayloadError("80300008", "body too big"), ConfigError("80200001", "auth")])
    async def test_what_the_vendor_will_not_take_goes_to_the_link(
        self, system: System, answer: SendOutcome
    ) -> None:
        _, token = await _pushed(system, answer)
        assert await _owed(system) == [("link", 0)]
        assert await system.status(token) == WAITING

    async def test_trouble_is_tried_again_later(self, system: System) -> None:
        vendor, token = await _pushed(system, Retry(code="503"))
        assert await _owed(system) == [("hms", 1)]
        vendor.answer = lambda _: Accepted("second")
        await system.lines.refill()
        assert len(vendor.sent) == 1  # not yet
        system.clock.advance(2)
        await system.lines.refill()
        await _settled(system)
        assert [each.attempt for each in vendor.sent] == [1, 2]
        assert await system.status(token) == ACKED
        assert [hop.outcome for hop in (await system.trace(token)).hops if hop.stage == "sent"] == [
            "vendor_trouble",
            "taken",
        ]

    async def test_a_quota_that_is_gone_leaves_the_link(self, system: System) -> None:
        await _pushed(system, RateLimited(system.clock.now_ms() + 8 * 3_600_000, "10070"))
        assert await _owed(system) == [("link", 0)]

    async def test_a_single_push_of_unknown_fate_is_repeated_and_marked(self, system: System) -> None:
        vendor, token = await _pushed(system, Unknown(text="connection lost"))
        assert "may come twice" in (await system.trace(token)).hops[-1].cause
        for _ in range(4):
            system.clock.advance(10)
            await system.lines.refill()
            await _settled(system)
        assert len(vendor.sent) == 3
        assert await system.status(token) == FAILED

    async def test_one_device_that_fails_does_not_fail_the_user(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "apns")
        vendor.answer = lambda envelope: InvalidToken() if envelope.token[0] == "a" else Retry()
        for letter in "ab":
            await system.devices.bind(system.app.key, letter * 64, "bob", Platform.IOS)
        await system.push("bob")
        await _settled(system)
        assert await system.status("bob") == WAITING
        vendor.answer = lambda _: PayloadError()
        system.clock.advance(5)
        await system.lines.refill()
        await _settled(system)
        assert await system.status("bob") == FAILED

    async def test_an_unknown_fate_after_sure_failures_is_sent_again_all_the_same(self, system: System) -> None:
        vendor, token = await _pushed(system, Retry(code="503"))

        async def later(answer: SendOutcome) -> None:
            vendor.answer = lambda _: answer
            system.clock.advance(60)
            await system.lines.refill()
            await _settled(system)

        for answer in (Retry(code="503"), Retry(code="503"), Unknown(), Retry(code="503"), Unknown(), Unknown()):
            await later(answer)
        trace = await system.trace(token)
        assert (trace.status, len(vendor.sent)) == (FAILED, 7)
        assert ["may come twice" in hop.cause for hop in trace.hops[1:]] == [
            *(False, False, False, True, False, True),
            False,
        ]


class TestCrashes:
    async def test_what_was_never_sent_is_sent_by_the_next_process(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        _, token = await _phone(system)
        system.lines.offer = lambda *_: None  # type: ignore[method-assign]
        await system.push(token, kind=ANDROID)
        assert (await system.trace(token)).hops[-1].outcome == "vendor_queued"
        again = await system.restarted()
        await again.lines.refill()
        assert vendor.sent == []  # the first process may be at it
        system.clock.advance(LEASE_MS / 1000 + 1)
        await again.lines.refill()
        await _settled(again)
        assert len(vendor.sent) == 1
        assert await again.status(token) == ACKED

    async def test_a_process_that_lost_its_lease_changes_nothing(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        vendor.gate.clear()
        _, token = await _phone(system)
        await system.push(token, kind=ANDROID)
        for _ in range(50):
            await asyncio.sleep(0.001)
        again = await system.restarted()
        system.clock.advance(LEASE_MS / 1000 + 1)
        vendor.answer = lambda _: Retry()
        await again.lines.refill()
        vendor.gate.set()
        await _settled(again)
        await _settled(system)
        # Both sent it: the first may have died. Only the second, which has the lease, wrote the row.
        assert len(vendor.sent) == 2
        assert await _owed(system) == [("hms", 1)]

    async def test_what_finds_no_room_is_fetched_later(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        tokens = [(await _phone(system))[1] for _ in range(12)]
        system.lines.offer = lambda *_: None  # type: ignore[method-assign]
        await system.push_map(dict.fromkeys(tokens[:6], "k"), kind=ANDROID)
        await system.push_map(dict.fromkeys(tokens[6:], "k"), kind=ANDROID)
        system.clock.advance(LEASE_MS / 1000 + 1)
        while await system.lines.refill():
            pass
        await _settled(system)
        assert sorted(each.token for each in vendor.sent) == sorted(f"vendor-{token}" for token in tokens)

    async def test_two_processes_never_lease_the_same(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        tokens = [(await _phone(system))[1] for _ in range(20)]
        system.lines.offer = lambda *_: None  # type: ignore[method-assign]
        for start in range(0, 20, 10):
            await system.push_map(dict.fromkeys(tokens[start : start + 10], "k"), kind=ANDROID)
        again = await system.restarted(node=1)
        system.clock.advance(LEASE_MS / 1000 + 1)
        await asyncio.gather(system.lines.refill(), again.lines.refill())
        await _settled(again)
        await _settled(system)
        assert len(vendor.sent) == 20

    async def test_a_token_that_was_forgotten_meanwhile_leaves_the_link(self, system: System) -> None:
        system.channels.set_up(system.app.key, "hms")
        device, token = await _phone(system)
        system.lines.offer = lambda *_: None  # type: ignore[method-assign]
        await system.push(token, kind=ANDROID)
        await _forget_token(system, device)
        system.clock.advance(LEASE_MS / 1000 + 1)
        await system.lines.refill()
        await system.writer.drain()
        assert await _owed(system) == [("link", 0)]

    async def test_a_revoked_message_is_not_sent(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        _, token = await _phone(system)
        system.lines.offer = lambda *_: None  # type: ignore[method-assign]
        await system.push(token, kind=ANDROID)
        await system.revocations.revoke_message("app", "ws", "key", token)
        system.clock.advance(LEASE_MS / 1000 + 1)
        await system.lines.refill()
        assert vendor.sent == []
        assert await system.status(token) == MessageStatus.REVOKED


class TestChanges:
    async def test_what_waits_for_a_channel_that_is_gone_goes_to_the_link(self, system: System) -> None:
        system.channels.set_up(system.app.key, "hms")
        device, token = await _phone(system)
        system.lines.offer = lambda *_: None  # type: ignore[method-assign]
        await system.push(token, kind=ANDROID)
        system.channels.vendors.clear()
        await system.lines.refill()
        assert await _owed(system) == [("hms", 0)]  # a process may be at it
        system.clock.advance(LEASE_MS / 1000 + 1)
        await system.lines.refill()
        assert await _owed(system) == [("link", 0)]
        assert device in system.connections.woken

    async def test_new_settings_are_used_at_once(self, system: System) -> None:
        old, _ = await _pushed(system, Accepted("old"))
        new = system.channels.set_up(system.app.key, "hms")
        await system.lines.refill()
        _, token = await _phone(system)
        await system.push(token, kind=ANDROID)
        await _settled(system)
        assert (len(old.sent), len(new.sent)) == (1, 1)
