"""From an accepted push to its ack, on both databases."""

from __future__ import annotations

import asyncio
import json

import pytest

from clarion.clock import ManualClock
from clarion.delivery.accept import IDEMPOTENCY_MS, NewMessage, NewTask, TargetType
from clarion.delivery.ledger import EventKind
from clarion.delivery.states import MessageStatus
from clarion.store.opening import open_database
from tests.store.system import ANDROID, USER, System

OFFLINE = int(MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE)
UNBOUND = int(MessageStatus.NO_BIND_INFO)
ACKED = int(MessageStatus.ACKED)
DAY = 24 * 3600


async def test_a_message_waits_in_its_devices_inbox(system: System) -> None:
    device, token = await system.device()
    receipt = await system.push(token, kind=ANDROID)
    assert (receipt.targets, receipt.repeated, receipt.data) == (1, 0, None)
    assert await system.status(token) == OFFLINE
    (entry,) = await system.inbox.owed(device, 0, 10)
    frame = json.loads(entry.frame)
    assert frame["id"] == str(entry.message)
    assert (frame["type"], frame["msgKey"], frame["title"], frame["content"]) == ("push", "key", "title", "content")
    assert frame["expire"] == system.clock.now_ms() + 3_600_000
    assert await system.owed(device, after=entry.message) == []


async def test_the_inbox_is_in_order_and_in_pages(system: System) -> None:
    device, token = await system.device("bob")
    for n in range(5):
        await system.push("bob", key=f"user{n}")
        await system.push(token, key=f"device{n}", kind=ANDROID)
    keys = [f"{kind}{n}" for n in range(5) for kind in ("user", "device")]
    assert await system.owed(device) == keys
    first = await system.inbox.owed(device, 0, 4)
    second = await system.inbox.owed(device, first[-1].message, 100)
    assert [json.loads(entry.frame)["msgKey"] for entry in (*first, *second)] == keys
    assert [entry.message for entry in (*first, *second)] == sorted(entry.message for entry in (*first, *second))


async def test_connected_devices_are_offered_the_message_after_the_commit(system: System) -> None:
    online, token = await system.device("bob", online=True)
    await system.device("bob")
    await system.push("bob")
    await system.push(token, kind=ANDROID)
    assert [device for device, _ in system.connections.delivered] == [online, online]
    assert [message for _, message in system.connections.delivered] == await system.owed_ids(online)


async def test_an_ack_settles_the_message(system: System) -> None:
    device, token = await system.device()
    await system.push(token, kind=ANDROID)
    await system.ack(device)
    assert await system.status(token) == ACKED
    assert await system.owed(device) == []
    assert await system.count("deliveries") == 0


async def test_acks_of_what_is_not_owed_are_ignored(system: System) -> None:
    mine, token = await system.device()
    other, _ = await system.device()
    await system.push(token, kind=ANDROID)
    (message,) = await system.owed_ids(mine)
    await system.inbox.acked(other, [message])
    await system.inbox.acked(mine, [message + 1, 0, 2**53])
    await system.inbox.acked(mine, [])
    assert await system.status(token) == OFFLINE
    assert await system.owed(mine) == ["key"]
    await system.inbox.acked(mine, [message, message, 7])
    await system.inbox.acked(mine, [message])
    assert await system.status(token) == ACKED
    assert [stage for stage, _ in await system.steps(token)].count("acked") == 1


async def test_many_acks_in_one_transaction(system: System) -> None:
    devices = [await system.device() for _ in range(4)]
    for n in range(3):
        await system.push_map({token: f"key{n}" for _, token in devices}, kind=ANDROID)
    owed = {device: await system.owed_ids(device) for device, _ in devices}
    await asyncio.gather(*(system.inbox.acked(device, owed[device][:2]) for device, _ in devices))
    assert [await system.owed(device) for device, _ in devices] == [["key2"]] * 4


async def test_every_device_of_a_user_gets_the_message(system: System) -> None:
    phone, _ = await system.device("bob")
    tablet, _ = await system.device("bob")
    stranger, _ = await system.device("eve")
    await system.push("bob")
    assert [await system.owed(device) for device in (phone, tablet, stranger)] == [["key"], ["key"], []]
    await system.ack(phone)
    assert await system.status("bob") == ACKED
    assert await system.owed(tablet) == ["key"]  # what the phone got, the tablet is still to get
    await system.ack(tablet)
    assert await system.status("bob") == ACKED
    acks = [hop.device for hop in (await system.trace("bob")).hops if hop.stage == "acked"]
    assert len(set(acks)) == 2


async def test_names_of_other_apps_mean_others(system: System) -> None:
    device, token = await system.device("bob")
    await system.tenants.create_app("app2", "ws")
    await system.directory.refresh()
    other = await system.directory.find_app("app2", "ws")
    assert other is not None
    mine, system.app = system.app, other
    stranger, _ = await system.device("bob")
    system.app = mine
    await system.push("bob")
    await system.push(token, kind=ANDROID)
    assert await system.owed(stranger) == []
    assert len(await system.owed(device)) == 2


class TestIdempotency:
    async def test_a_repeat_is_not_delivered_again(self, system: System) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        again = await system.push(token, kind=ANDROID)
        assert (again.targets, again.repeated) == (0, 1)
        assert await system.owed(device) == ["key"]
        await system.ack(device)
        await system.push(token, kind=ANDROID)
        assert await system.owed(device) == []
        assert await system.count("tasks") == 1

    async def test_within_one_batch(self, system: System) -> None:
        device, token = await system.device()
        receipts = await asyncio.gather(*(system.push(token, kind=ANDROID) for _ in range(5)))
        assert sorted(receipt.repeated for receipt in receipts) == [0, 1, 1, 1, 1]
        assert system.writer.groups < 5
        assert await system.owed(device) == ["key"]

    async def test_after_a_restart(self, system: System) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        later = await system.restarted()
        assert (await later.push(token, kind=ANDROID)).repeated == 1
        assert await later.owed(device) == ["key"]

    async def test_some_targets_are_new(self, system: System) -> None:
        first, token1 = await system.device()
        second, token2 = await system.device()
        await system.push(token1, kind=ANDROID)
        receipt = await system.push_map({token1: "key", token2: "key"}, kind=ANDROID)
        assert (receipt.targets, receipt.repeated) == (1, 1)
        assert await system.owed(first) == await system.owed(second) == ["key"]
        assert await system.count("tasks") == 2

    async def test_another_target_type_is_another_message(self, system: System) -> None:
        device, token = await system.device()
        await system.bind(token, token)
        for kind in (ANDROID, USER):
            assert (await system.push(token, kind=kind)).repeated == 0
        assert await system.owed(device) == ["key", "key"]

    async def test_another_key_is_another_message(self, system: System) -> None:
        device, token = await system.device()
        for key in ("a", "A", " a", "a "):
            assert (await system.push(token, key=key, kind=ANDROID)).repeated == 0
        assert await system.owed(device) == ["a", "A", " a", "a "]

    @pytest.mark.parametrize("acknowledged", [True, False])
    async def test_it_lasts_seven_days(self, system: System, clock: ManualClock, acknowledged: bool) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        if acknowledged:
            await system.ack(device)
        clock.advance(IDEMPOTENCY_MS / 1000)
        assert (await system.push(token, kind=ANDROID)).repeated == 1
        clock.advance(0.001)
        assert (await system.push(token, kind=ANDROID)).repeated == 0
        assert (await system.push(token, kind=ANDROID)).repeated == 1
        assert await system.owed(device) == ["key"]
        assert await system.count("messages") == 2
        assert await system.status(token) == OFFLINE
        clock.advance(8 * DAY)
        results = await asyncio.gather(*(system.push(token, kind=ANDROID) for _ in range(3)))
        assert sorted(receipt.repeated for receipt in results) == [0, 1, 1]
        assert await system.count("messages") == 3

    async def test_the_repeat_is_answered_as_the_first_was(self, system: System) -> None:
        """Also when both are in one batch."""
        now = system.clock.now_ms()

        def task(answer: str) -> NewTask:
            number = system.ids.next()
            messages = [NewMessage(system.ids.next(), "bob", "key")]
            content = b'{"title":"t","content":"c"}'
            return NewTask(
                number, system.app.key, 2, "n", TargetType.USER, content, answer, "r", now, now + 1000, messages
            )

        batch = [system.writer.submit(system.acceptance.accept, task(answer)) for answer in ("one", "two")]
        assert [accepted.answer for accepted in await asyncio.gather(*batch)] == ["one", "one"]
        assert (await system.writer.submit(system.acceptance.accept, task("three"))).answer == "one"

    async def test_numbers_that_collide_lose_no_message(self, system: System) -> None:
        """Two nodes with the same number by mistake: an error is better than a lost message."""
        await system.push("bob", key="first")
        ((number,),) = await system.rows("SELECT message FROM messages")
        now = system.clock.now_ms()
        messages = [NewMessage(number, "eve", "second")]
        task = NewTask(1, system.app.key, 0, "n", TargetType.USER, b"{}", None, "r", now, now + 1000, messages)
        with pytest.raises(RuntimeError, match="same number"):
            await system.writer.submit(system.acceptance.accept, task)
        assert await system.count("messages") == await system.count("tasks") == 1


class TestBinding:
    async def test_a_bind_brings_what_waits(self, system: System) -> None:
        device, token = await system.device()
        await system.push("bob", key="a")
        await system.push("bob", key="b")
        assert await system.status("bob", "a") == UNBOUND
        await system.bind(token, "bob")
        assert system.connections.woken == [device]
        assert await system.owed(device) == ["a", "b"]
        assert await system.status("bob", "a") == OFFLINE
        await system.ack(device)
        assert await system.status("bob", "b") == ACKED

    async def test_a_second_device_gets_what_is_not_acknowledged(self, system: System) -> None:
        first, _ = await system.device("bob")
        await system.push("bob", key="a")
        await system.ack(first)
        await system.push("bob", key="b")
        second, _ = await system.device("bob")
        assert await system.owed(second) == ["b"]

    async def test_binding_twice_changes_nothing(self, system: System) -> None:
        device, token = await system.device("bob")
        await system.push("bob")
        await system.bind(token, "bob")
        assert await system.owed(device) == ["key"]
        assert "bound" not in [stage for stage, _ in await system.steps("bob")]
        await system.ack(device)
        await system.bind(token, "bob")
        assert await system.owed(device) == []

    async def test_the_next_user_does_not_read_what_was_for_the_last(self, system: System) -> None:
        device, token = await system.device("bob")
        await system.push("bob")
        await system.push(token, key="device", kind=ANDROID)
        await system.push("eve", key="eves")
        await system.bind(token, "eve")
        assert await system.owed(device) == ["device", "eves"]
        assert await system.status("bob") == UNBOUND
        assert await system.status(token, "device") == OFFLINE
        await system.bind(token, "bob")
        assert await system.owed(device) == ["key", "device"]

    async def test_a_push_beside_a_bind_is_not_sent_to_the_next_user(self, system: System) -> None:
        """One transaction carries both, the push first; what it planned is sent after the bind is committed."""
        device, token = await system.device("bob", online=True)
        before = system.writer.groups
        await asyncio.gather(
            system.push("bob"), system.push("ann"), system.bind(token, "ann"), system.push("ann", key="later")
        )
        assert system.writer.groups == before + 1
        assert await system.owed(device) == ["key", "later"]
        assert [message for _, message in system.connections.delivered] == await system.owed_ids(device)
        assert await system.status("bob") == UNBOUND
        system.connections.delivered.clear()
        await asyncio.gather(system.push("ann", key="last"), system.unbind(token, "ann"))
        assert system.connections.delivered == []
        assert await system.status("ann", "last") == UNBOUND

    async def test_another_device_keeps_the_message_open(self, system: System) -> None:
        first, token = await system.device("bob")
        second, _ = await system.device("bob")
        await system.push("bob")
        await system.unbind(token, "bob")
        assert await system.status("bob") == OFFLINE
        assert await system.owed(first) == []
        assert await system.owed(second) == ["key"]

    async def test_unbind(self, system: System) -> None:
        device, token = await system.device("bob")
        await system.push("bob")
        await system.unbind(token, "eve")
        assert await system.owed(device) == ["key"]
        await system.unbind("no-such-token", "bob")
        await system.unbind(token, "bob")
        assert await system.status("bob") == UNBOUND
        assert await system.owed(device) == []
        await system.push("bob", key="later")
        assert await system.status("bob", "later") == UNBOUND
        state = await system.devices.state_of_device(system.app.key, token)
        assert state is not None
        assert state.user_id is None

    async def test_an_acknowledged_message_stays_so(self, system: System) -> None:
        device, token = await system.device("bob")
        second, _ = await system.device("bob")
        await system.push("bob")
        await system.ack(second)
        await system.unbind(token, "bob")
        assert await system.status("bob") == ACKED
        assert await system.owed(device) == []

    async def test_what_expired_is_not_brought(self, system: System, clock: ManualClock) -> None:
        await system.push("bob", seconds=10)
        clock.advance(10)
        device, _ = await system.device("bob")
        assert await system.owed(device) == []
        assert await system.count("deliveries") == 0

    async def test_binds_of_one_device_in_one_batch(self, system: System) -> None:
        device, token = await system.device()
        await system.push("a", key="a")
        await system.push("b", key="b")
        await asyncio.gather(*(system.bind(token, user) for user in ("a", "b", "a", "b")))
        assert await system.owed(device) == ["b"]
        assert await system.status("a", "a") == UNBOUND


class TestReports:
    async def test_a_report_is_kept_once(self, system: System) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        (message,) = await system.owed_ids(device)
        await system.reports.reported(device + 1, message, EventKind.OPEN)
        assert await system.count("reports") == 0  # not a message of that device
        await system.ack(device)
        await asyncio.gather(*(system.reports.reported(device, message, EventKind.OPEN) for _ in range(3)))
        await system.reports.reported(device, message, EventKind.IGNORE)
        await system.reports.reported(device, message, EventKind.OPEN)
        assert await system.count("reports") == 2
        assert (await system.steps(token))[-2:] == [("opened", "reported"), ("ignored", "reported")]


class TestRace:
    """Two nodes on one PostgreSQL."""

    @pytest.fixture
    async def nodes(self, postgresql_url: str, clock: ManualClock) -> tuple[System, System]:
        first = await System(await open_database(postgresql_url), clock, node=0).open()
        return first, await System(await open_database(postgresql_url), clock, node=1).open()

    async def test_a_bind_and_a_push_never_miss_each_other(self, nodes: tuple[System, System]) -> None:
        one, two = nodes
        devices = [await one.device() for _ in range(50)]
        for n, (_, token) in enumerate(devices):
            push, bind = one.push(f"user{n}"), two.bind(token, f"user{n}")
            await asyncio.gather(*((push, bind) if n % 2 else (bind, push)))
        for device, _ in devices:
            assert await one.owed(device) == ["key"]
        found = await one.rows("SELECT DISTINCT status FROM messages")
        assert [status for (status,) in found] == [OFFLINE]
        await self._close(nodes)

    async def test_a_push_never_reaches_the_next_user(self, nodes: tuple[System, System]) -> None:
        one, two = nodes
        devices = [await one.device(f"bob{n}") for n in range(50)]
        for n, (_, token) in enumerate(devices):
            push, bind = one.push(f"bob{n}"), two.bind(token, f"eve{n}")
            await asyncio.gather(*((push, bind) if n % 2 else (bind, push)))
        for device, _ in devices:
            assert await one.owed(device) == []
        found = await one.rows("SELECT DISTINCT status FROM messages")
        assert [status for (status,) in found] == [UNBOUND]
        await self._close(nodes)

    async def test_a_push_and_its_retry_are_one(self, nodes: tuple[System, System], clock: ManualClock) -> None:
        one, two = nodes
        device, _ = await one.device("bob")
        for n in range(20):
            results = await asyncio.gather(one.push("bob", key=f"{n}"), two.push("bob", key=f"{n}"))
            assert sorted(receipt.repeated for receipt in results) == [0, 1]
        clock.advance(8 * DAY)
        for n in range(20):
            results = await asyncio.gather(one.push("bob", key=f"{n}"), two.push("bob", key=f"{n}"))
            assert sorted(receipt.repeated for receipt in results) == [0, 1]
        assert sorted(map(int, await one.owed(device))) == list(range(20))
        assert await one.count("deliveries") == 40
        await self._close(nodes)

    async def test_two_users_for_one_device(self, nodes: tuple[System, System]) -> None:
        one, two = nodes
        device, token = await one.device("bob")
        for n in range(20):
            await one.push_map({"bob": f"b{n}", "eve": f"e{n}", "amy": f"a{n}"})
            await asyncio.gather(one.bind(token, "eve"), two.bind(token, "amy"))
            state = await one.devices.state_of_device(one.app.key, token)
            assert state is not None
            winner, loser = ("e", "amy") if state.user_id == "eve" else ("a", "eve")
            assert {key[0] for key in await one.owed(device)} == {winner}
            assert await one.status(loser, f"{loser[0]}{n}") == UNBOUND
            await one.bind(token, "bob")
        await self._close(nodes)

    async def _close(self, nodes: tuple[System, System]) -> None:
        for node in nodes:
            await node.writer.drain()
            await node.database.close()


async def test_a_writer_can_be_shared_by_all(system: System) -> None:
    """Pushes, binds and acks of one moment share a transaction and see each other."""
    device, token = await system.device()
    groups = system.writer.groups
    await asyncio.gather(system.push("bob"), system.bind(token, "bob"), system.push(token, kind=ANDROID))
    assert system.writer.groups == groups + 1
    assert len(await system.owed(device)) == 2
