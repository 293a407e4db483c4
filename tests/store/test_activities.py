"""Pushes to live activities (DeliveryType 5 and 6) on both databases: found, late, several, dead, ended, swept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from clarion.channels.base import Accepted, ConfigError, InvalidToken, Retry, Superseded
from clarion.channels.registry import Platform
from clarion.delivery.accept import LEASE_MS
from clarion.delivery.states import MessageStatus
from clarion.devices.activities import LIFE_MS, MAX_ACTIVITIES, MAX_DEVICES, STEP_ROWS
from clarion.pushes.model import SimpleForm
from clarion.results import Refusal
from clarion.store.database import Transaction
from clarion.store.queries import Query
from tests.store.system import System
from tests.store.vendors import FakeVendor

BY_TOKEN, BY_ID = 5, 6
ACKED, WAITING = int(MessageStatus.ACKED), int(MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE)
UNKNOWN, FAILED = int(MessageStatus.NO_BIND_INFO), int(MessageStatus.EXCEPTION)
TOKEN, OTHER = "ab" * 80, "cd" * 80
MATCH = "6B29FC40-CA47-1067-B31D-00DD010662DA"


@pytest.fixture
def apple(system: System) -> FakeVendor:
    return system.channels.set_up(system.app.key, "apns")


async def _settled(system: System) -> None:
    """Fetch what is due, and wait until no line has had anything to do for a while."""
    await system.lines.refill()
    quiet = 0
    while quiet < 5:
        await asyncio.sleep(0.004)
        busy = any(line.waiting or line.in_flight for line in system.lines._lines.values())
        quiet = 0 if busy else quiet + 1
    await system.writer.drain()


async def _phone(system: System) -> int:
    registered = await system.devices.register(system.app.key, Platform.IOS)
    number = await system.devices.number_of(system.app.key, registered.token)
    assert number is not None
    return number


async def _report(system: System, push_token: str = TOKEN, device: int | None = None, name: str = MATCH) -> int:
    """A device reports an activity's token; its number."""
    device = await _phone(system) if device is None else device
    await system.activities.report(system.app.key, device, name, push_token)
    return device


async def _push(system: System, *targets: str, key: str = "key", kind: int = BY_ID, **fields: Any) -> None:
    form = SimpleForm(
        app_id="app",
        workspace_id="ws",
        task_name="task",
        delivery_type=kind,
        expired_seconds="3600",
        title="title",
        content="content",
        target_msgkey=str(dict.fromkeys(targets or (MATCH,), key)),
        activity_event=fields.pop("event", "update"),
        activity_content_state={"score": key},
        **fields,
    )
    await system.pushes.push_simple(form, "request")


async def _owed(system: System) -> list[tuple[str, int]]:
    rows = await system.rows("SELECT channel, attempts FROM deliveries ORDER BY device, message")
    return [(str(channel), int(attempts)) for channel, attempts in rows]


async def _set_up(system: System) -> None:
    """The row that an app's channel has, which the trace looks at."""
    row = Query(
        text(
            "INSERT INTO channels (app, channel, settings, enabled, revision, created_at, updated_at) "
            "VALUES (:number, 'apns', '', 1, 0, 0, 0)"
        )
    )

    async def work(transaction: Transaction) -> None:
        await transaction.execute(row, number=system.app.key)

    await system.database.write(work)


class TestAToken:
    async def test_it_is_the_target(self, system: System, apple: FakeVendor) -> None:
        await _push(system, TOKEN, OTHER, kind=BY_TOKEN)
        await _settled(system)
        assert sorted(each.token for each in apple.sent) == [TOKEN, OTHER]
        assert await system.status(TOKEN) == ACKED
        assert await _owed(system) == []
        assert await system.steps(TOKEN) == [("accepted", "on_disk"), ("sent", "taken")]

    async def test_two_pushes_of_one_commit(self, system: System, apple: FakeVendor) -> None:
        await asyncio.gather(*(_push(system, TOKEN, key=key, kind=BY_TOKEN) for key in "ab"))
        await _settled(system)
        assert sorted(each.msg_key for each in apple.sent) == ["a", "b"]

    async def test_it_is_not_for_the_link(self, system: System, apple: FakeVendor) -> None:
        await _push(system, TOKEN, kind=BY_TOKEN, notify_type="transparent")
        await _settled(system)
        assert [each.token for each in apple.sent] == [TOKEN]

    async def test_a_dead_one_ends_in_a_named_state(self, system: System, apple: FakeVendor) -> None:
        apple.answer = lambda _: InvalidToken(code="Unregistered")
        await _push(system, TOKEN, kind=BY_TOKEN)
        await _settled(system)
        assert await system.status(TOKEN) == FAILED
        assert (await system.steps(TOKEN))[-1] == ("sent", "invalid_token")

    async def test_trouble_is_tried_again_later(self, system: System, apple: FakeVendor) -> None:
        apple.answer = lambda _: Retry(code="ServiceUnavailable")
        await _push(system, TOKEN, kind=BY_TOKEN)
        await _settled(system)
        assert await _owed(system) == [("apns", 1)]
        apple.answer = lambda _: Accepted("taken")
        system.clock.advance(5)
        await _settled(system)
        assert [(each.token, each.attempt) for each in apple.sent] == [(TOKEN, 1), (TOKEN, 2)]
        assert await system.status(TOKEN) == ACKED


class TestWithoutTheChannel:
    @pytest.mark.parametrize("kind", [BY_TOKEN, BY_ID])
    async def test_it_waits_until_there_is_one(self, system: System, kind: int) -> None:
        target = TOKEN if kind == BY_TOKEN else MATCH
        await _report(system)
        await _push(system, target, kind=kind)
        await _settled(system)
        assert await _owed(system) == [("apns", 0)]
        assert (await system.steps(target))[-1] == ("planned", "no_channel")
        apple = system.channels.set_up(system.app.key, "apns")
        await _set_up(system)
        assert (await system.steps(target))[-1] == ("planned", "vendor_queued")
        await _settled(system)
        assert [each.token for each in apple.sent] == [TOKEN]
        assert await system.status(target) == ACKED

    async def test_it_expires_while_it_waits(self, system: System) -> None:
        await _push(system, TOKEN, kind=BY_TOKEN)
        system.clock.advance(3601)
        system.channels.set_up(system.app.key, "apns")
        await _settled(system)
        assert await system.maintenance.expire() == 1
        assert (await system.trace(TOKEN)).status_name == "MsgExpired"
        await system.maintenance.sweep()
        assert await system.count("deliveries") == 0

    async def test_a_channel_that_goes_leaves_nothing_to_the_link(self, system: System, apple: FakeVendor) -> None:
        apple.answer = lambda _: Retry()
        await _push(system, TOKEN, kind=BY_TOKEN)
        await _settled(system)
        system.channels.vendors.clear()
        await _settled(system)
        system.clock.advance(LEASE_MS / 1000 + 1)
        await _settled(system)
        assert await _owed(system) == [("apns", 1)]

    async def test_a_report_says_so(self, system: System) -> None:
        await _push(system)
        await _report(system)
        assert (await system.steps(MATCH))[-1] == ("bound", "no_channel")

    async def test_a_certificate_is_no_reason_to_stop_alerts(self, system: System, apple: FakeVendor) -> None:
        apple.answer = lambda each: (
            ConfigError("", "a key", whole=False) if each.token == TOKEN else Accepted("taken")
        )
        await system.devices.bind(system.app.key, "f" * 64, "bob", Platform.IOS)
        for number in range(12):
            await _push(system, TOKEN, key=str(number), kind=BY_TOKEN)
            await _settled(system)
        await system.push("bob")
        await _settled(system)
        assert await system.status("bob") == ACKED
        assert await system.status(TOKEN, "0") == WAITING
        assert (await system.steps(TOKEN, "0"))[-1] == ("sent", "misconfigured")


class TestAnId:
    async def test_it_means_the_token_that_was_reported(self, system: System, apple: FakeVendor) -> None:
        device = await _report(system)
        await _push(system, key="1")
        await _report(system, OTHER, device)
        await _push(system, key="2")
        await _settled(system)
        assert [(each.msg_key, each.token) for each in apple.sent] == [("1", TOKEN), ("2", OTHER)]
        assert await system.status(MATCH, "1") == ACKED
        assert await system.count("activities") == 1

    async def test_its_trace_names_the_device(self, system: System, apple: FakeVendor) -> None:
        registered = await system.devices.register(system.app.key, Platform.IOS)
        await _report(system, device=await system.devices.number_of(system.app.key, registered.token))
        await _push(system)
        await _settled(system)
        hop = (await system.trace(MATCH)).hops[-1]
        assert (hop.outcome, hop.device) == ("taken", registered.token)
        assert len(apple.sent) == 1

    async def test_of_another_app_it_is_unknown(self, system: System, apple: FakeVendor) -> None:
        await system.activities.report(system.app.key + 1, await _phone(system), MATCH, TOKEN)
        await _push(system)
        await _settled(system)
        assert apple.sent == []

    async def test_a_later_report_sends_what_waits(self, system: System, apple: FakeVendor) -> None:
        await _push(system, key="1")
        await _push(system, key="2")
        await _settled(system)
        assert await system.status(MATCH, "1") == UNKNOWN
        hop = (await system.trace(MATCH, "1")).hops[-1]
        assert (hop.stage, hop.outcome) == ("planned", "no_activity")
        assert "/device/activity" in hop.next
        await _report(system)
        assert await system.status(MATCH, "1") == WAITING
        await _settled(system)
        assert [each.msg_key for each in apple.sent] == ["1", "2"]
        assert await system.status(MATCH, "2") == ACKED
        assert await system.steps(MATCH, "2") == [
            ("accepted", "on_disk"), ("bound", "vendor_queued"), ("sent", "taken"),
        ]  # fmt: skip

    async def test_a_report_that_comes_too_late(self, system: System, apple: FakeVendor) -> None:
        await _push(system)
        system.clock.advance(3601)
        await _report(system)
        await _settled(system)
        assert apple.sent == []
        await system.maintenance.expire()
        assert await system.steps(MATCH) == [
            ("accepted", "on_disk"), ("planned", "no_activity"), ("expired", "too_late"),
        ]  # fmt: skip

    async def test_what_is_superseded_ends_in_a_named_state(self, system: System, apple: FakeVendor) -> None:
        apple.answer = lambda each: Superseded() if each.msg_key == "1" else Accepted("taken")
        await _report(system)
        for key in "12":
            await _push(system, key=key)
        await _settled(system)
        assert (await system.status(MATCH, "1"), await system.status(MATCH, "2")) == (FAILED, ACKED)
        assert (await system.steps(MATCH, "1"))[-1] == ("sent", "superseded")
        assert await _owed(system) == []

    async def test_it_counts_once_and_as_apns(self, system: System, apple: FakeVendor) -> None:
        await _push(system)
        await _report(system)
        await _settled(system)
        rows = await system.rows("SELECT series & 255, total, success FROM day_counters WHERE total <> 0")
        assert [(int(series) >> 4, *map(int, sums)) for series, *sums in rows] == [(2, 1, 1)]
        assert len(apple.sent) == 1


class TestSeveralDevices:
    async def test_each_gets_it(self, system: System, apple: FakeVendor) -> None:
        for push_token in (TOKEN, OTHER):
            await _report(system, push_token)
        await _push(system)
        await _settled(system)
        assert sorted(each.token for each in apple.sent) == [TOKEN, OTHER]

    async def test_one_dead_token_does_not_fail_the_others(self, system: System, apple: FakeVendor) -> None:
        for push_token in (TOKEN, OTHER):
            await _report(system, push_token)
        apple.answer = lambda each: InvalidToken() if each.token == TOKEN else Retry()
        await _push(system)
        await _settled(system)
        assert await system.status(MATCH) == WAITING
        assert [row[0] for row in await system.rows("SELECT push_token FROM activities")] == [OTHER]
        apple.answer = lambda _: InvalidToken()
        system.clock.advance(5)
        await _settled(system)
        assert await system.status(MATCH) == FAILED
        assert await system.count("activities") == 0

    async def test_no_more_than_are_allowed(self, system: System) -> None:
        devices = [await _report(system) for _ in range(MAX_DEVICES)]
        with pytest.raises(Refusal, match="devices"):
            await _report(system)
        await _report(system, OTHER, devices[0])  # known ones may go on
        await system.activities.end(system.app.key, devices[1], MATCH)
        await _report(system)
        assert await system.count("activities") == MAX_DEVICES

    async def test_no_more_of_one_device_than_are_allowed(self, system: System) -> None:
        device = await _phone(system)
        for number in range(MAX_ACTIVITIES):
            await _report(system, device=device, name=f"match-{number}")
        with pytest.raises(Refusal, match="activities"):
            await _report(system, device=device)
        await system.activities.end(system.app.key, device, "match-0")
        await _report(system, device=device)
        assert await system.count("activities") == MAX_ACTIVITIES


class TestTheEnd:
    async def test_what_waits_for_an_activity_that_ends_waits_for_its_report(self, system: System) -> None:
        device = await _report(system)
        await _push(system)
        await system.activities.end(system.app.key, device, MATCH)
        assert await _owed(system) == []
        assert await system.status(MATCH) == UNKNOWN
        assert (await system.steps(MATCH))[-1] == ("unbound", "activity_ended")
        apple = system.channels.set_up(system.app.key, "apns")
        await _report(system, OTHER)
        await _settled(system)
        assert [each.token for each in apple.sent] == [OTHER]
        assert await system.status(MATCH) == ACKED

    async def test_one_of_several_ends(self, system: System) -> None:
        device = await _report(system)
        await _report(system, OTHER)
        await _push(system)
        await system.activities.end(system.app.key, device, MATCH)
        assert await system.status(MATCH) == WAITING
        apple = system.channels.set_up(system.app.key, "apns")
        await _settled(system)
        assert [each.token for each in apple.sent] == [OTHER]

    async def test_another_device_s_end_is_none(self, system: System) -> None:
        await _report(system)
        await system.activities.end(system.app.key, await _phone(system), MATCH)
        await system.activities.end(system.app.key, await _phone(system), "another")
        assert await system.count("activities") == 1

    async def test_a_dead_token_takes_what_waits_with_it(self, system: System, apple: FakeVendor) -> None:
        device = await _report(system)
        apple.answer = lambda _: Retry()
        await _push(system, key="1")
        await _settled(system)
        apple.answer = lambda _: InvalidToken(code="Unregistered")
        await _push(system, key="2")
        await _settled(system)
        assert await system.count("activities") == 0
        assert (await system.status(MATCH, "1"), await system.status(MATCH, "2")) == (UNKNOWN, FAILED)
        apple.answer = lambda _: Accepted("taken")
        await _report(system, OTHER, device)
        await _settled(system)
        assert await system.status(MATCH, "1") == ACKED

    async def test_a_token_that_was_reported_after_apple_s_time_stays(
        self, system: System, apple: FakeVendor
    ) -> None:
        since = system.clock.now_ms() - 1000
        apple.answer = lambda _: InvalidToken(since=since, code="Unregistered")
        await _report(system)
        await _push(system)
        await _settled(system)
        assert await system.count("activities") == 1

    async def test_a_device_s_token_stays_when_an_activity_s_is_dead(
        self, system: System, apple: FakeVendor
    ) -> None:
        await system.devices.bind(system.app.key, "f" * 64, "bob", Platform.IOS)
        device = await system.devices.number_of(system.app.key, "f" * 64)
        await _report(system, device=device)
        apple.answer = lambda _: InvalidToken()
        await _push(system)
        await _settled(system)
        state = await system.devices.state_of_device(system.app.key, "f" * 64)
        assert state is not None
        assert state.vendor_token == "f" * 64

    async def test_old_ones_are_swept(self, system: System) -> None:
        first = await _report(system)
        await _push(system)
        for number in range(STEP_ROWS):
            await system.activities.report(system.app.key, first + number, f"more-{number}", TOKEN)
        system.clock.advance(LIFE_MS / 1000)
        assert await system.activities.sweep() == 0
        system.clock.advance(1)
        await _report(system, device=first, name="more-0")
        assert await system.activities.sweep() == STEP_ROWS
        assert await system.activities.sweep() == 0
        assert await system.count("activities") == 1
        assert await system.count("deliveries") == 0


class TestOtherChanges:
    @pytest.mark.parametrize("kind", [BY_TOKEN, BY_ID])
    async def test_what_was_revoked_is_not_sent(self, system: System, kind: int) -> None:
        target = TOKEN if kind == BY_TOKEN else MATCH
        await _report(system)
        await _push(system, target, kind=kind)
        revoked = await system.revocations.revoke_message("app", "ws", "key", target)
        assert revoked.withdrawn == 1
        assert await _owed(system) == []
        apple = system.channels.set_up(system.app.key, "apns")
        await _settled(system)
        assert apple.sent == []

    async def test_what_was_sent_is_not_recallable(self, system: System, apple: FakeVendor) -> None:
        await _report(system)
        await _push(system)
        await _settled(system)
        await system.revocations.revoke_message("app", "ws", "key", MATCH)
        assert (await system.steps(MATCH))[-1] == ("recalled", "not_recallable")
        assert len(apple.sent) == 1

    async def test_numbers_do_not_come_again(self, system: System) -> None:
        device = await _phone(system)
        system.clock.advance(5)
        await _report(system, device=device)
        before = (await system.rows("SELECT max(activity) FROM activities"))[0][0]
        system.clock.advance(-10)
        again = await system.restarted()
        assert again.ids.next() > before

    async def test_a_deleted_app_takes_its_activities_with_it(self, system: System) -> None:
        await _report(system)
        await system.tenants.delete_app("app", "ws")
        assert await system.count("activities") == 0

    async def test_what_was_never_sent_is_sent_by_the_next_process(self, system: System, apple: FakeVendor) -> None:
        await _report(system)
        system.lines.offer = lambda *_: None  # type: ignore[method-assign]
        await _push(system)
        await _push(system, TOKEN, kind=BY_TOKEN)
        again = await system.restarted()
        system.clock.advance(LEASE_MS / 1000 + 1)
        await _settled(again)
        assert [each.token for each in apple.sent] == [TOKEN, TOKEN]

    async def test_pushes_and_reports_at_once(self, system: System, apple: FakeVendor) -> None:
        devices = [await _phone(system) for _ in range(3)]
        await asyncio.gather(
            *(_push(system, key=str(number)) for number in range(20)),
            *(_report(system, f"{number:02x}" * 40, device) for number, device in enumerate(devices)),
        )
        await _settled(system)
        for number in range(20):
            assert await system.status(MATCH, str(number)) == ACKED
