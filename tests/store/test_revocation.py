"""Revoking on both databases: what nobody has is withdrawn, what somebody has is recalled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from clarion.callbacks.service import CallbackService
from clarion.channels.base import NotRecallable, Recalled, RecallOutcome, RecallUnknown, VendorCopy
from clarion.channels.registry import Channel
from clarion.clock import ManualClock
from clarion.delivery.accept import TargetType
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.recalls import STEP_ROWS
from clarion.delivery.states import MessageStatus, Outcome, Stage
from clarion.pushes.model import MultipleForm
from clarion.results import Refusal, ResultCode
from clarion.revocation.service import Revocation, RevocationService
from clarion.store.database import Transaction
from clarion.store.opening import open_database
from clarion.store.queries import Insert, Query
from clarion.store.schema_campaigns import revocations
from clarion.templates.model import TemplateText
from tests.store.system import ANDROID, USER, System

ACKED, EXPIRED, REVOKED = (
    int(status) for status in (MessageStatus.ACKED, MessageStatus.MSG_EXPIRED, MessageStatus.REVOKED)
)
DAY = 24 * 3600
NOTHING = Revocation()


async def revoke(system: System, target: str, key: str = "key") -> Revocation:
    return await system.revocations.revoke_message("app", "ws", key, target)


async def frames(system: System, device: int) -> list[tuple[str, str]]:
    """Type and message key of each frame that a device is owed."""
    found = [json.loads(entry.frame) for entry in await system.inbox.owed(device, 0, 100)]
    return [(frame["type"], frame["msgKey"]) for frame in found]


async def sent(system: System, device: int) -> None:
    """Write to the device all that it is owed."""
    await system.inbox.sent(device, await system.owed_ids(device))


async def refused(system: System, target: str, key: str = "key") -> str:
    with pytest.raises(Refusal) as refusal:
        await revoke(system, target, key)
    assert refusal.value.result is ResultCode.INVALID_PARAM
    return refusal.value.hint


class TestMessage:
    async def test_what_nobody_has_is_withdrawn(self, system: System) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        assert await revoke(system, token) == Revocation(withdrawn=1)
        assert await frames(system, device) == []
        assert await system.count("deliveries") == await system.count("revocations") == 0
        assert await system.status(token) == REVOKED
        trace = await system.trace(token)
        assert (trace.status, trace.status_name) == (REVOKED, "Revoked")
        assert [(hop.stage, hop.outcome) for hop in trace.hops] == [("accepted", "on_disk"), ("revoked", "revoked")]

    async def test_a_bind_brings_nothing_back(self, system: System) -> None:
        await system.push("bob")
        assert await revoke(system, "bob") == Revocation(withdrawn=1)
        device, token = await system.device("bob")
        assert await frames(system, device) == []
        await system.unbind(token, "bob")
        assert await system.status("bob") == REVOKED
        assert await system.count("deliveries") == 0

    async def test_every_device_that_has_it_is_asked_to_remove_it(self, system: System) -> None:
        phone, _ = await system.device("bob", online=True)
        tablet, _ = await system.device("bob")
        watch, _ = await system.device("bob")
        await system.push("bob")
        for device in (phone, tablet):
            await system.ack(device)
        system.connections.delivered.clear()
        assert await revoke(system, "bob") == Revocation(recalled=2)
        assert await system.status("bob") == ACKED
        assert [await frames(system, device) for device in (phone, tablet, watch)] == [
            [("revoke", "key")],
            [("revoke", "key")],
            [],
        ]
        assert system.connections.delivered == [(phone, (await system.owed_ids(phone))[0])]
        for device in (phone, tablet):
            await system.ack(device)
        assert await system.count("revocations") == 0
        steps = await system.steps("bob")
        assert steps.count(("revoked", "recall_owed")) == steps.count(("recalled", "recalled")) == 2
        assert steps.count(("revoked", "revoked")) == 1  # the watch, which shall not get it any more
        assert not [hop.next for hop in (await system.trace("bob")).hops if hop.next]

    async def test_what_was_written_may_be_on_the_screen(self, system: System) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        (push,) = await system.owed_ids(device)
        await sent(system, device)
        assert await revoke(system, token) == Revocation(withdrawn=1, recalled=1)
        assert await frames(system, device) == [("revoke", "key")]
        await system.inbox.acked(device, [push])  # late: it stays revoked
        assert await system.status(token) == REVOKED
        assert ("acked", "delivered") not in await system.steps(token)
        assert [hop.outcome for hop in (await system.trace(token)).hops if hop.next] == ["recall_owed"]
        await system.ack(device)
        assert await frames(system, device) == []
        assert not [hop for hop in (await system.trace(token)).hops if hop.next]

    async def test_what_is_on_its_way_to_a_connected_device_is_recalled(self, system: System) -> None:
        """Its "sent" is not written yet, nor was its frame when the delivery was withdrawn."""
        device, token = await system.device(online=True)
        await system.push(token, kind=ANDROID)
        assert await revoke(system, token) == Revocation(withdrawn=1, recalled=1)
        push, recall = (message for _, message in system.connections.delivered)
        assert push < recall
        assert await system.owed_ids(device) == [recall]

    async def test_a_device_that_was_written_to_and_left_meanwhile(
        self, system: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its page of the inbox was read before the revocation, and its "sent" is noted after it."""
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        read = await system.owed_ids(device)

        def gone(device: int) -> bool:
            system.inbox.sent(device, read)
            return False

        monkeypatch.setattr(system.connections, "online", gone)
        assert await revoke(system, token) == Revocation(withdrawn=1, recalled=1)
        assert await frames(system, device) == [("revoke", "key")]

    async def test_revoking_again_changes_nothing(self, system: System) -> None:
        device, token = await system.device()
        for key in ("acked", "owed"):
            await system.push(token, key=key, kind=ANDROID)
        await system.inbox.acked(device, (await system.owed_ids(device))[:1])
        for key, first in (("acked", Revocation(recalled=1)), ("owed", Revocation(withdrawn=1))):
            assert await revoke(system, token, key) == first
            steps = await system.steps(token, key)
            assert await revoke(system, token, key) == NOTHING
            assert await system.steps(token, key) == steps
        assert await frames(system, device) == [("revoke", "acked")]
        await system.ack(device)
        assert await revoke(system, token, "acked") == NOTHING
        assert await frames(system, device) == []

    async def test_all_matches_are_revoked(self, system: System, clock: ManualClock) -> None:
        """Whatever kind of target the name meant, and however often it was pushed to."""
        device, token = await system.device()
        await system.bind(token, token)
        for kind in (ANDROID, USER):
            await system.push(token, kind=kind)
        assert await revoke(system, token) == Revocation(withdrawn=2)
        assert await frames(system, device) == []

    async def test_others_keep_theirs(self, system: System) -> None:
        device, token = await system.device("bob")
        other, _ = await system.device("eve")
        await system.push_map({"bob": "a", "eve": "a"})
        await system.push("bob", key="b")
        await system.push(token, key="c", kind=ANDROID)
        assert await revoke(system, "bob", "a") == Revocation(withdrawn=1)
        assert await frames(system, device) == [("push", "b"), ("push", "c")]
        assert await frames(system, other) == [("push", "a")]

    async def test_what_has_expired_stays_so(self, system: System, clock: ManualClock) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID, seconds=10)
        clock.advance(10)
        assert await revoke(system, token) == NOTHING
        await system.maintenance.expire()
        assert await system.status(token) == EXPIRED
        assert await frames(system, device) == []

    async def test_seven_days(self, system: System, clock: ManualClock) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        await system.ack(device)
        clock.advance(7 * DAY - 1)
        assert await revoke(system, token) == Revocation(recalled=1)
        clock.advance(2)
        assert "7 days" in await refused(system, token)

    @pytest.mark.parametrize(("target", "key"), [("bob", "other"), ("eve", "key"), ("", "key"), ("bob", "")])
    async def test_unknown_ones_are_refused(self, system: System, target: str, key: str) -> None:
        await system.push("bob")
        assert await refused(system, target, key)

    async def test_messages_of_other_apps_are_unknown(self, system: System) -> None:
        await system.push("bob")
        await system.tenants.create_app("app2", "ws")
        await system.directory.refresh()
        for app_id, result in (("app2", ResultCode.INVALID_PARAM), ("app3", ResultCode.APPID_WRONG)):
            with pytest.raises(Refusal) as refusal:
                await system.revocations.revoke_message(app_id, "ws", "key", "bob")
            assert refusal.value.result is result
        assert await system.status("bob") != REVOKED

    @pytest.mark.parametrize("kind", [int(TargetType.ACTIVITY_TOKEN), int(TargetType.HARMONY)])
    async def test_targets_that_no_device_has(self, system: System, kind: int) -> None:
        await system.push("somewhere", kind=kind)
        assert await revoke(system, "somewhere") == Revocation(withdrawn=1)
        assert await system.status("somewhere") == REVOKED

    async def test_app_servers_are_told_of_what_was_withdrawn(self, system: System) -> None:
        await CallbackService(system.database, system.vault).set("app", "ws", "https://back-end.example/told")
        await system.directory.refresh()
        device, token = await system.device()
        for key in ("acked", "owed"):
            await system.push(token, key=key, kind=ANDROID)
        await system.inbox.acked(device, (await system.owed_ids(device))[:1])
        before = await system.count("callbacks")
        for key in ("acked", "owed", "owed"):
            await revoke(system, token, key)
        told = await system.rows(
            "SELECT kind, device, msg_key FROM callbacks JOIN messages ON messages.message = callbacks.message "
            "WHERE status = 8020"
        )
        assert [tuple(row) for row in told] == [("status", None, "owed")]
        assert await system.count("callbacks") == before + 1

    async def test_a_repeat_of_a_revoked_push_is_not_delivered(self, system: System) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        await revoke(system, token)
        assert (await system.push(token, kind=ANDROID)).repeated == 1
        assert await frames(system, device) == []


class TestTask:
    async def _push(self, system: System, *users: str) -> str:
        await system.templates.create(system.app.key, "t", "d", TemplateText(title="t", content="c"))
        entries = [{"Target": user, "MsgKey": "key"} for user in users]
        form = MultipleForm(
            app_id="app",
            workspace_id="ws",
            task_name="task",
            template_name="t",
            delivery_type=USER,
            expired_seconds="600",
            target_msg=entries,
        )
        task = (await system.pushes.push_multiple(form, "REQUEST")).data
        assert task is not None
        return task

    async def _revoke(self, system: System, task: str) -> Revocation:
        return await system.revocations.revoke_task("app", "ws", task)

    async def test_all_messages_of_a_multiple_push(self, system: System) -> None:
        bob, _ = await system.device("bob")
        ann, _ = await system.device("ann")
        await system.push("ann", key="before")
        task = await self._push(system, "bob", "ann", "nobody")
        await system.push("ann", key="after")
        await system.ack(bob)
        assert await self._revoke(system, task) == Revocation(withdrawn=2, recalled=1)
        assert [await system.status(user) for user in ("bob", "ann", "nobody")] == [ACKED, REVOKED, REVOKED]
        assert await frames(system, bob) == [("revoke", "key")]
        assert await frames(system, ann) == [("push", "before"), ("push", "after")]
        assert await self._revoke(system, task) == NOTHING

    async def test_in_steps(self, system: System, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("clarion.revocation.service.STEP_MESSAGES", 2)
        task = await self._push(system, *(f"user{n}" for n in range(5)))
        before = system.writer.groups
        assert await self._revoke(system, task) == Revocation(withdrawn=5)
        assert system.writer.groups - before == 3

    async def test_a_task_of_an_older_version(self, system: System) -> None:
        """It did not write down where its messages begin."""
        await system.push("bob", key="another")
        task = await self._push(system, "bob", "ann")
        await system.writer.submit(_forget_first, None)
        assert await self._revoke(system, task) == Revocation(withdrawn=2)
        assert await system.status("bob", "another") != REVOKED

    async def test_refusals(self, system: System, clock: ManualClock) -> None:
        task = await self._push(system, "bob")
        await system.push("bob", key="simple")
        ((simple,),) = await system.rows("SELECT task FROM tasks WHERE kind = 0")
        await system.tenants.create_app("app2", "ws")
        await system.directory.refresh()
        for app, number in [
            ("app", ""),
            ("app", "x"),
            ("app", "-1"),
            ("app", "٣"),
            ("app", "9" * 16),
            ("app", "9" * 17),
            ("app", str(simple)),
            ("app", "0123456789abcdef0123456789abcdef"),
            ("app2", task),
        ]:
            with pytest.raises(Refusal) as refusal:
                await system.revocations.revoke_task(app, "ws", number)
            assert refusal.value.result is ResultCode.INVALID_PARAM
            assert refusal.value.hint
        clock.advance(7 * DAY + 1)
        with pytest.raises(Refusal, match="7 days"):
            await self._revoke(system, task)
        assert await system.status("bob") != REVOKED

    async def test_broadcasts_are_revoked_elsewhere(self, system: System) -> None:
        class Broadcasts:
            async def revoke(self, app: int, task: int) -> tuple[int, int, int] | None:
                return (1, 2, 3) if app == system.app.key else None

        task = await self._push(system, "bob")
        await system.writer.submit(_make_broadcast, None)
        with pytest.raises(Refusal, match="no multiple push or broadcast"):
            await self._revoke(system, task)
        service = RevocationService(
            system.directory, system.database, system.clock, system.revocations._revocations, {}, Broadcasts()
        )
        assert await service.revoke_task("app", "ws", task) == Revocation(1, 2, 3)


async def _forget_first(transaction: Transaction, batch: Sequence[None]) -> list[None]:
    return await _change_tasks(transaction, "first_message = NULL")


async def _make_broadcast(transaction: Transaction, batch: Sequence[None]) -> list[None]:
    return await _change_tasks(transaction, "kind = 3")


async def _change_tasks(transaction: Transaction, change: str) -> list[None]:
    await transaction.execute(Query(text(f"UPDATE tasks SET {change}")))
    return [None]


class FakeVendor:
    """A vendor that answers a recall as it is told."""

    def __init__(self, answer: RecallOutcome | Exception | None) -> None:
        self.answer = answer
        self.asked: list[VendorCopy] = []

    async def recall(self, app: int, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        self.asked += copies
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is not None
        return [self.answer] * len(copies)


class TestVendors:
    @pytest.fixture
    async def token(self, system: System) -> str:
        """A device that got a message through a vendor."""
        token = (await system.device())[1]
        await system.writer.submit(_report_token, token)
        await system.push(token, kind=ANDROID)
        ((message, device),) = await system.rows("SELECT message, device FROM deliveries")
        await system.writer.submit(_taken, Hop(message, 1, 5, device, Stage.SENT, Outcome.TAKEN, "vendor-id"))
        return token

    async def test_the_vendor_is_asked(self, system: System, token: str) -> None:
        vendor = FakeVendor(Recalled())
        system.recallers[Channel.HMS] = vendor
        assert await revoke(system, token) == Revocation(withdrawn=1, recalled=1)
        (copy,) = vendor.asked
        assert (copy.token, copy.vendor_id, copy.msg_key) == ("vendor-token", "vendor-id", "key")
        assert (await system.steps(token))[-1] == ("recalled", "recalled")
        assert await system.count("revocations") == 0
        assert await revoke(system, token) == NOTHING
        assert len(vendor.asked) == 1

    async def test_it_can_not(self, system: System, token: str) -> None:
        system.recallers[Channel.HMS] = FakeVendor(NotRecallable("80300007", "too late"))
        assert await revoke(system, token) == Revocation(withdrawn=1, unrecalled=1)
        hop = (await system.trace(token)).hops[-1]
        assert (hop.stage, hop.outcome, hop.code) == ("recalled", "not_recallable", "80300007")
        assert "too late" in hop.cause
        assert await revoke(system, token) == NOTHING

    async def test_nobody_can(self, system: System, token: str) -> None:
        assert await revoke(system, token) == Revocation(withdrawn=1, unrecalled=1)
        hop = (await system.trace(token)).hops[-1]
        assert (hop.outcome, "hms" in hop.cause) == ("not_recallable", True)

    @pytest.mark.parametrize("answer", [None, RuntimeError("a bug"), RecallUnknown("503", "busy")])
    async def test_it_does_not_say(
        self, system: System, token: str, answer: RecallOutcome | Exception | None
    ) -> None:
        """No answer in time, a failure, an answer that says nothing: the next revocation asks again."""
        vendor = system.recallers[Channel.HMS] = FakeVendor(answer)
        system.revocations._vendor_seconds = 0.01
        assert await revoke(system, token) == Revocation(withdrawn=1, unrecalled=1)
        assert (await system.steps(token))[-1] == ("recalled", "recall_unknown")
        vendor.answer = Recalled()
        assert await revoke(system, token) == Revocation(recalled=1)
        hops = (await system.trace(token)).hops
        assert [hop.outcome for hop in hops[-2:]] == ["recall_unknown", "recalled"]
        assert not hops[-2].next


_INSERT_RECALLS = Insert(revocations, ("device", "revocation", "app", "message", "msg_key", "expires_at"))


async def _report_token(transaction: Transaction, batch: Sequence[str]) -> list[None]:
    await transaction.execute(Query(text("UPDATE devices SET channel = 'hms', vendor_token = 'vendor-token'")))
    return [None]


async def _taken(transaction: Transaction, batch: Sequence[Hop]) -> list[None]:
    await write_hops(transaction, batch)
    return [None]


class TestUpkeep:
    async def test_recalls_expire_in_small_steps(self, system: System, clock: ManualClock) -> None:
        now = clock.now_ms()

        async def write(transaction: Transaction, batch: Sequence[None]) -> list[None]:
            rows = [(device, 1, 1, 1, "key", now + 1000 + device % 2) for device in range(STEP_ROWS + 10)]
            await transaction.insert(_INSERT_RECALLS, rows)
            return [None]

        await system.writer.submit(write, None)
        assert await system.recalls.expire() == 0
        clock.advance(1)
        half = STEP_ROWS // 2 + 5
        assert await system.recalls.expire() == half
        assert await frames(system, 1) == [("revoke", "key")]
        clock.advance(0.001)
        assert await frames(system, 1) == []
        assert await system.recalls.expire() == half
        await system.recalls.refresh()
        assert system.recalls.idle

    async def test_an_offline_device_is_asked_for_a_week(self, system: System, clock: ManualClock) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        await system.ack(device)
        await revoke(system, token)
        later = await system.restarted()
        clock.advance(7 * DAY - 1)
        await later.recalls.refresh()
        assert not later.recalls.idle
        assert await frames(later, device) == [("revoke", "key")]
        clock.advance(1)
        assert await frames(later, device) == []

    async def test_a_lost_hand_over_is_found_again(self, system: System, clock: ManualClock) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        await system.ack(device)
        await system.recalls.refresh()
        assert system.recalls.idle
        assert await system.recalls.recover([device]) == 0
        other = await System(system.database, clock, node=1).open()
        await revoke(other, token)
        clock.advance(11)
        await system.recalls.refresh()
        assert await system.recalls.recover([device, device + 1]) == 1
        assert system.connections.woken[-1] == device
        await system.ack(device)
        assert await system.recalls.recover([device]) == 0
        await other.writer.drain()

    async def test_ids_are_forgotten_when_they_are_settled(self, system: System, clock: ManualClock) -> None:
        device, token = await system.device()
        for key in ("a", "b"):
            await system.push(token, key=key, kind=ANDROID)
        await system.ack(device)
        for key in ("a", "b"):
            await revoke(system, token, key)
        rows = await system.rows("SELECT revocation FROM revocations ORDER BY revocation")
        assert not any(system.recalls.claims(entry) for (entry,) in rows)  # none was handed out
        first, second = await system.owed_ids(device)
        await system.inbox.acked(device, [first])
        system.recalls.forget()
        assert system.recalls.claims(first)
        system.recalls.forget()
        assert [system.recalls.claims(entry) for entry in (first, second)] == [False, True]
        clock.advance(8 * DAY)
        system.recalls.forget()
        assert not system.recalls.claims(second)

    async def test_they_go_with_their_app(self, system: System) -> None:
        device, token = await system.device()
        await system.push(token, kind=ANDROID)
        await system.ack(device)
        await revoke(system, token)
        await system.tenants.delete_app("app", "ws")
        assert await system.count("revocations") == 0

    async def test_idle_sources_cost_no_query(self, system: System) -> None:
        device, token = await system.device()
        await system.recalls.refresh()
        assert system.recalls.idle
        await system.push(token, kind=ANDROID)
        await system.ack(device)
        await revoke(system, token)
        assert not system.recalls.idle


class TestAtOnce:
    async def test_two_revocations(self, system: System) -> None:
        device, token = await system.device()
        await system.push(token, key="owed", kind=ANDROID)
        await system.push(token, key="acked", kind=ANDROID)
        await system.inbox.acked(device, (await system.owed_ids(device))[1:])
        for key, first in (("owed", Revocation(withdrawn=1)), ("acked", Revocation(recalled=1))):
            results = await asyncio.gather(*(revoke(system, token, key) for _ in range(3)))
            assert sorted(results) == sorted([NOTHING, NOTHING, first])
        assert await frames(system, device) == [("revoke", "acked")]

    async def test_an_ack_in_the_same_transaction(self, system: System) -> None:
        device, token = await system.device(online=True)
        for n in range(2):
            await system.push(token, key=f"{n}", kind=ANDROID)
            (push,) = await system.owed_ids(device)
            ack, taken = system.inbox.acked(device, [push]), revoke(system, token, f"{n}")
            await asyncio.gather(*((ack, taken) if n else (taken, ack)))
            assert (await frames(system, device))[-1] == ("revoke", f"{n}")
            await system.ack(device)


class TestRace:
    """Two nodes on one PostgreSQL."""

    @pytest.fixture
    async def nodes(self, postgresql_url: str, clock: ManualClock) -> tuple[System, System]:
        first = await System(await open_database(postgresql_url), clock, node=0).open()
        return first, await System(await open_database(postgresql_url), clock, node=1).open()

    async def _close(self, nodes: tuple[System, System]) -> None:
        for node in nodes:
            await node.writer.drain()
            await node.database.close()

    async def test_an_ack_and_a_revocation(self, nodes: tuple[System, System]) -> None:
        """Whichever is first: the device is asked to remove what it acknowledged, and nothing is left owed."""
        one, two = nodes
        devices = [await one.device() for _ in range(30)]
        for n, (device, token) in enumerate(devices):
            await one.push(token, kind=ANDROID)
            owed = await one.owed_ids(device)
            await one.inbox.sent(device, owed)
            ack, taken = one.inbox.acked(device, owed), revoke(two, token)
            await asyncio.gather(*((ack, taken) if n % 2 else (taken, ack)))
            assert await one.status(token) in (ACKED, REVOKED)
            assert await frames(one, device) == [("revoke", "key")]
        assert await one.count("deliveries") == 0
        await self._close(nodes)

    async def test_a_bind_and_a_revocation(self, nodes: tuple[System, System]) -> None:
        one, two = nodes
        devices = [await one.device() for _ in range(30)]
        for n, (device, token) in enumerate(devices):
            await one.push(f"user{n}")
            bind, taken = one.bind(token, f"user{n}"), revoke(two, f"user{n}")
            await asyncio.gather(*((bind, taken) if n % 2 else (taken, bind)))
            assert await one.status(f"user{n}") == REVOKED
            assert await frames(one, device) == []
        assert await one.count("deliveries") == 0
        await self._close(nodes)

    async def test_two_revocations_of_one_message(self, nodes: tuple[System, System]) -> None:
        one = nodes[0]
        device, token = await one.device()
        for n in range(30):
            await one.push(token, key=f"{n}", kind=ANDROID)
        await one.ack(device)
        for n in range(30):
            results = await asyncio.gather(*(revoke(node, token, f"{n}") for node in nodes))
            assert sorted(results) == [NOTHING, Revocation(recalled=1)]
        assert await one.count("revocations") == 30
        await self._close(nodes)

    async def test_many_revocations_of_the_same_messages(
        self, nodes: tuple[System, System], clock: ManualClock
    ) -> None:
        """One of them does it; nobody waits in a circle, and nothing is asked twice."""
        one, two = nodes
        await one.templates.create(one.app.key, "t", "d", TemplateText(title="t", content="c"))
        devices = [await one.device(f"user{n}") for n in range(20)]
        for turn in range(5):
            clock.advance(1)
            form = MultipleForm(
                app_id="app",
                workspace_id="ws",
                task_name="task",
                template_name="t",
                delivery_type=USER,
                expired_seconds="600",
                target_msg=[{"Target": f"user{n}", "MsgKey": f"{turn}"} for n in range(20)],
            )
            task = (await one.pushes.push_multiple(form, "REQUEST")).data
            assert task is not None
            for device, _ in devices[::2]:
                await one.inbox.acked(device, (await one.owed_ids(device))[-1:])
            results = await asyncio.gather(*(n.revocations.revoke_task("app", "ws", task) for n in (one, two) * 2))
            total = Revocation(*map(sum, zip(*results, strict=True)))
            assert total == Revocation(withdrawn=10, recalled=10)
        assert await one.count("revocations") == 50
        await self._close(nodes)
