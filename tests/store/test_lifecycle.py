"""The end of a message: expiry, sweep, retention, recovery; and the trace of every way that it can go."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from clarion.clock import ManualClock
from clarion.delivery.ledger import EventKind
from clarion.delivery.maintenance import STEP_ROWS, Maintenance
from clarion.delivery.states import MessageStatus
from clarion.delivery.trace import trace
from clarion.store.database import Transaction
from clarion.store.queries import Query
from tests.store.system import ANDROID, System

EXPIRED = int(MessageStatus.MSG_EXPIRED)
DAY = 24 * 3600
ACCEPTED = ("accepted", "on_disk")
QUEUED = ("planned", "queued")
NO_BINDING = ("planned", "no_binding")
TOO_LATE = ("expired", "too_late")


class TestExpiry:
    async def test_at_the_boundary(self, system: System, clock: ManualClock) -> None:
        device, token = await system.device("bob")
        await system.push("bob", seconds=60)
        await system.push("nobody", seconds=60)
        await system.push(token, kind=ANDROID, seconds=61)
        clock.advance(59.999)
        assert await system.maintenance.expire() == 0
        assert await system.owed(device) == ["key", "key"]
        assert (await system.trace("bob")).status == 0
        clock.advance(0.001)
        assert await system.owed(device) == ["key"]
        assert (await system.trace("bob")).status == EXPIRED  # before the database says so
        assert await system.status("bob") == 0
        assert await system.maintenance.expire() == 2
        assert await system.status("bob") == await system.status("nobody") == EXPIRED
        assert await system.status(token) == 0
        assert await system.maintenance.expire() == 0

    async def test_an_acknowledged_message_does_not_expire(self, system: System, clock: ManualClock) -> None:
        device, _ = await system.device("bob")
        await system.push("bob", seconds=60)
        await system.ack(device)
        clock.advance(DAY)
        assert await system.maintenance.expire() == 0
        assert (await system.trace("bob")).status == int(MessageStatus.ACKED)

    async def test_an_expired_message_stays_so(self, system: System, clock: ManualClock) -> None:
        device, token = await system.device("bob")
        await system.push("bob", seconds=60)
        owed = await system.owed_ids(device)
        clock.advance(60)
        await system.maintenance.expire()
        await system.inbox.acked(device, owed)
        await system.unbind(token, "bob")
        await system.bind(token, "bob")
        assert await system.status("bob") == EXPIRED
        assert await system.owed(device) == []

    async def test_by_steps(self, system: System, clock: ManualClock) -> None:
        for n in range(0, STEP_ROWS + 10, 10):
            await system.push_map({f"user{n + i}": "key" for i in range(10)}, seconds=10)
        clock.advance(10)
        assert [await system.maintenance.expire() for _ in range(3)] == [STEP_ROWS, 10, 0]

    async def test_the_sweep_drops_what_is_not_owed_any_more(self, system: System, clock: ManualClock) -> None:
        device, _ = await system.device("bob")
        await system.push("bob", key="short", seconds=60)
        await system.push("bob", key="long", seconds=120)
        clock.advance(60)
        assert await system.maintenance.sweep() == 1
        assert await system.maintenance.sweep() == 0
        assert await system.owed(device) == ["long"]
        assert await system.count("deliveries") == 1

    async def test_the_sweep_walks_the_whole_table(self, system: System, clock: ManualClock) -> None:
        for n in range(60):
            await system.device(f"user{n % 10}")
        for n in range(10):
            await system.push_map({f"user{i}": f"key{n}" for i in range(10)}, seconds=60 + n % 2 * 60)
        assert await system.count("deliveries") == 600
        clock.advance(60)
        assert sum([await system.maintenance.sweep() for _ in range(2)]) == 300
        assert await system.count("deliveries") == 300


class TestRetention:
    async def test_old_messages_go_with_their_traces(self, system: System, clock: ManualClock) -> None:
        device, _ = await system.device("bob")
        await system.push("bob", key="old")
        (message,) = await system.owed_ids(device)
        await system.inbox.sent(device, [message])
        await system.ack(device)
        await system.reports.reported(device, message, EventKind.OPEN)
        clock.advance(30 * DAY)
        await system.push("bob", key="young")
        assert await system.maintenance.retain() == 0
        clock.advance(120)
        assert [await system.maintenance.retain() for _ in range(3)] == [1, 1, 0]  # the message, its task
        for table in ("hops", "reports"):
            assert await system.count(table) == 0
        assert await system.count("messages") == await system.count("tasks") == 1
        assert await system.owed(device) == ["young"]

    async def test_by_steps(self, system: System, clock: ManualClock) -> None:
        for n in range(0, STEP_ROWS + 10, 10):
            await system.push_map({f"user{n + i}": "key" for i in range(10)}, seconds=10)
        clock.advance(31 * DAY)
        assert [await system.maintenance.retain() for _ in range(4)] == [STEP_ROWS, 10, 51, 0]
        assert await system.count("messages") == await system.count("tasks") == 0

    async def test_what_is_valid_or_a_repeat_is_kept(self, system: System, clock: ManualClock) -> None:
        maintenance = Maintenance(
            system.database, system.writer, system.connections, clock, system.ledger, retention_days=1
        )
        device, _ = await system.device("bob")
        await system.push("bob", key="long", seconds=7 * DAY)
        await system.push("bob", key="short", seconds=60)
        clock.advance(6.9 * DAY)
        assert [await maintenance.retain() for _ in range(2)] == [0, 0]
        assert await system.owed(device) == ["long"]
        assert (await system.push("bob", key="short")).repeated == 1
        clock.advance(0.2 * DAY)
        assert await maintenance.retain() == 2

    async def test_an_open_message_outlives_retention(self, system: System, clock: ManualClock) -> None:
        device, _ = await system.device("bob")
        await system.push("bob")

        async def prolong(transaction: Transaction) -> None:
            for table in ("messages", "tasks"):
                query = Query(text(f"UPDATE {table} SET expires_at = :at"))
                await transaction.execute(query, at=clock.now_ms() + 40 * DAY * 1000)

        await system.database.write(prolong)
        clock.advance(39 * DAY)
        assert [await system.maintenance.retain() for _ in range(2)] == [0, 0]
        assert await system.owed(device) == ["key"]


class TestRecovery:
    async def test_only_devices_that_are_owed_are_woken(self, system: System, clock: ManualClock) -> None:
        owed, _ = await system.device("bob", online=True)
        done, _ = await system.device("eve", online=True)
        await system.device("bob")
        await system.push_map({"bob": "key", "eve": "key"})
        await system.ack(done)
        system.connections.woken.clear()
        assert await system.maintenance.recover([owed, done]) == 0  # too young
        clock.advance(11)
        assert await system.maintenance.recover([owed, done]) == 1
        assert await system.maintenance.recover([]) == 0
        assert system.connections.woken == [owed]

    async def test_every_message_of_a_crashed_server_is_found(self, system: System, clock: ManualClock) -> None:
        device, _ = await system.device("bob")
        await system.push("bob")
        later = await system.restarted()
        clock.advance(11)
        assert await later.maintenance.recover([device]) == 1
        assert await later.owed(device) == ["key"]


class TestTrace:
    async def test_of_an_unknown_message(self, system: System) -> None:
        assert await trace(system.database, system.clock, system.app.key, "bob", "key") is None

    async def test_of_the_whole_way(self, system: System, clock: ManualClock) -> None:
        device, token = await system.device()
        start = clock.now_ms()
        await system.push(token, kind=ANDROID)
        clock.advance(1)
        (message,) = await system.owed_ids(device)
        await system.inbox.sent(device, [message])
        assert (await system.trace(token)).hops[1].next
        clock.advance(1)
        await system.inbox.acked(device, [message])
        clock.advance(1)
        await system.reports.reported(device, message, EventKind.OPEN)
        found = await system.trace(token)
        assert [(hop.at - start, hop.stage, hop.outcome) for hop in found.hops] == [
            (0, "accepted", "on_disk"),
            (1000, "sent", "written"),
            (2000, "acked", "delivered"),
            (3000, "opened", "reported"),
        ]
        assert [hop.device for hop in found.hops] == [None, token, token, token]
        assert all(hop.cause for hop in found.hops)
        assert not found.hops[1].next, "an acknowledged frame needs nothing more"
        assert (found.target, found.msg_key, found.status, found.status_name) == (token, "key", 2, "Acked")
        assert (found.message_id, found.task_name, found.expire) == (str(message), "task", start + 3_600_000)

    async def test_of_a_queued_message(self, system: System) -> None:
        _, token = await system.device("bob")
        await system.push("bob")
        await system.push(token, kind=ANDROID)
        assert await system.steps("bob") == await system.steps(token) == [ACCEPTED, QUEUED]
        assert (await system.trace("bob")).status_name == "DeviceNotOnlineOrNoResponse"

    async def test_of_a_user_without_a_device(self, system: System, clock: ManualClock) -> None:
        await system.push("bob", seconds=60)
        found = await system.trace("bob")
        assert found.status_name == "NoBindInfo"
        assert (found.hops[1].outcome, bool(found.hops[1].next)) == ("no_binding", True)
        clock.advance(60)
        steps = [ACCEPTED, NO_BINDING, TOO_LATE]
        assert await system.steps("bob") == steps
        await system.maintenance.expire()
        assert await system.steps("bob") == steps  # also when its status is lost
        assert (await system.trace("bob")).status_name == "MsgExpired"

    async def test_of_a_device_that_nobody_knows(self, system: System, clock: ManualClock) -> None:
        await system.push("unknown-token", kind=ANDROID, seconds=60)
        assert await system.steps("unknown-token") == [ACCEPTED, ("planned", "no_device")]
        clock.advance(60)
        assert await system.steps("unknown-token") == [ACCEPTED, ("planned", "no_device"), TOO_LATE]

    @pytest.mark.parametrize(("kind", "outcome"), [(5, "no_channel"), (6, "no_activity")])
    async def test_of_a_channel_that_is_not_there(self, system: System, kind: int, outcome: str) -> None:
        await system.push("activity", kind=kind)
        assert await system.steps("activity") == [ACCEPTED, ("planned", outcome)]

    async def test_of_a_late_device(self, system: System, clock: ManualClock) -> None:
        await system.push("bob")
        device, _ = await system.device("bob")
        await system.ack(device)
        assert await system.steps("bob") == [ACCEPTED, ("bound", "queued"), ("acked", "delivered")]

    async def test_of_an_unbound_device(self, system: System, clock: ManualClock) -> None:
        _, token = await system.device("bob")
        await system.push("bob", seconds=60)
        await system.unbind(token, "bob")
        steps = [ACCEPTED, ("unbound", "withdrawn")]
        assert await system.steps("bob") == steps
        assert (await system.trace("bob")).hops[1].next
        clock.advance(60)
        await system.maintenance.expire()
        assert await system.steps("bob") == [*steps, TOO_LATE]

    async def test_of_an_ack_that_came_too_late(self, system: System, clock: ManualClock) -> None:
        device, _ = await system.device("bob")
        await system.push("bob", seconds=60)
        owed = await system.owed_ids(device)
        await system.inbox.sent(device, owed)
        clock.advance(61)
        await system.maintenance.expire()
        await system.inbox.acked(device, owed)
        found = await system.trace("bob")
        assert [hop.at for hop in found.hops] == sorted(hop.at for hop in found.hops)
        assert await system.steps("bob") == [ACCEPTED, ("sent", "written"), TOO_LATE, ("acked", "delivered")]
        assert found.status == EXPIRED

    async def test_is_of_the_newest_push(self, system: System, clock: ManualClock) -> None:
        await system.push("bob", seconds=60)
        clock.advance(8 * DAY)
        await system.push("bob", seconds=60)
        assert (await system.trace("bob")).expire == clock.now_ms() + 60_000
