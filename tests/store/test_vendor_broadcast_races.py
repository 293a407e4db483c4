"""Broadcasts through vendors when two things happen at once: nothing is lost, doubled, or left with the vendor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from clarion.channels.base import Accepted, Recalled, RecallOutcome, Retry, Unknown, VendorCopy
from clarion.delivery.accept import LEASE_MS
from clarion.delivery.broadcasts import joins as joins_module
from clarion.delivery.ledger import EventKind
from clarion.delivery.vendors.lanes import Lane
from clarion.delivery.vendors.lines import LineName
from clarion.failures import StoreUnavailable
from clarion.store.facts import largest_id
from clarion.store.queries import Query
from tests.store.broadcasting import acknowledge, announce, crowd, figures, frames, planner
from tests.store.system import System
from tests.store.vendors import FakeVendor


async def _phones(system: System, count: int, *, users: bool = True) -> list[int]:
    """Devices with tokens of HMS."""
    devices = await crowd(system, count, users=users)
    give = Query(text("UPDATE devices SET channel = 'hms', vendor_token = 'vendor-' || token, vendor_token_at = 1"))
    await system.database.write(lambda transaction: transaction.execute(give))
    return devices


async def _feed(system: System) -> None:
    """Let the feeder look for what is due, and wait until all that was sent is recorded."""
    system.parts_due.add(system.app.key, ["hms"])
    await system.feeder.work()
    await _recorded(system)


async def _recorded(system: System) -> None:
    async with asyncio.timeout(10):
        while any(line.waiting or line.in_flight for line in system.lines.opened.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    await system.writer.drain()


async def _under_way(system: System, vendor: FakeVendor, devices: int = 1) -> int:
    """A broadcast that the vendor has got for so many devices, and has not answered."""
    vendor.gate.clear()
    task = await announce(system)
    await system.broadcasts.write_pages()
    await system.feeder.work()
    async with asyncio.timeout(10):
        while len(vendor.sent) < devices:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    return task


async def _recall(system: System) -> None:
    for _ in range(20):
        if not await system.vendor_recalls.work():
            return
    raise AssertionError("the recall does not end")


class _Unhurried(FakeVendor):
    """Answers what it was sent while it is asked to take it back."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self.system = system
        self.regret = lambda _: Recalled()

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        self.gate.set()
        await _recorded(self.system)
        return await super().recall(copies)


class TestRecalls:
    async def test_what_is_taken_while_its_page_is_recalled(self, system: System) -> None:
        vendor = _Unhurried(system)
        system.channels.set_up(system.app.key, "hms")
        system.channels.vendors[LineName(system.app.key, "hms")] = vendor
        vendor.batch = 1
        devices = await _phones(system, 2)
        task = await _under_way(system, vendor, 2)
        # One was taken before the revocation, the other is while the vendor is asked for the first.
        take = Query(text("UPDATE broadcast_pages SET marks = :marks"))
        await system.database.write(lambda transaction: transaction.execute(take, marks=bytes([96, 32])))
        await system.broadcasts.revoke(system.app.key, task)
        await _recall(system)
        assert {copy.device for copy in vendor.asked} == set(devices)
        for device in devices:
            assert (await system.steps(f"token-{device}", "sale"))[-1] == ("recalled", "recalled")

    async def test_what_arrived_before_its_answer_and_after_the_recall_of_its_page(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        vendor.regret = lambda _: Recalled()
        (device,) = await _phones(system, 1)
        task = await _under_way(system, vendor)
        await system.broadcasts.revoke(system.app.key, task)
        await _recall(system)
        await acknowledge(system, task, [device])
        assert vendor.asked == []
        vendor.gate.set()
        await _recorded(system)
        await _recall(system)
        assert [copy.device for copy in vendor.asked] == [device]

    async def test_what_is_known_to_have_arrived_without_an_answer(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        vendor.answer, vendor.regret = (lambda _: Unknown()), (lambda _: Recalled())
        (device,) = await _phones(system, 1)
        (late,) = await _phones(system, 1, users=False)
        task = await announce(system)
        await system.broadcasts.write_pages()
        await system.bind(f"token-{late}", "alice")
        await _feed(system)
        await acknowledge(system, task, [device, late])
        await system.broadcasts.revoke(system.app.key, task)
        await _recall(system)
        assert sorted(copy.device for copy in vendor.asked) == [device, late]

    async def test_the_own_link_leaves_to_the_vendor_what_the_vendor_brought_late(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        vendor.regret = lambda _: Recalled()
        (late,) = await _phones(system, 1, users=False)
        task = await announce(system)
        await system.broadcasts.write_pages()
        await system.bind(f"token-{late}", "alice")
        await _feed(system)
        system.connections.connected.add(late)
        await system.broadcasts.revoke(system.app.key, task)
        await system.broadcasts.keep_up()
        assert system.connections.delivered == []
        await _recall(system)
        assert [copy.device for copy in vendor.asked] == [late]


class TestLeases:
    async def test_what_is_under_way_is_not_fetched_again(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        await _phones(system, 1)
        task = await _under_way(system, vendor)
        system.clock.advance(LEASE_MS / 1000 + 1)  # the vendor is slow, or the clock jumped
        system.parts_due.add(system.app.key, ["hms"])
        await system.feeder.work()
        await system.lines.refill()
        vendor.gate.set()
        await _recorded(system)
        await _feed(system)
        assert len(vendor.sent) == 1
        assert await figures(system, task) == (1, 1, 0, 0, 0)
        assert await system.count("broadcast_parts") == 0

    async def test_what_was_taken_too_late_is_not_sent_a_third_time(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        devices = await _phones(system, 2)
        task = await _under_way(system, vendor, 2)
        system.clock.advance(LEASE_MS / 1000 + 1)
        again = await system.restarted(node=1)
        again.channels = system.channels
        other = FakeVendor()
        other.answer = lambda _: Retry(after=60.0)
        again.channels.vendors[LineName(system.app.key, "hms")] = other
        await _feed(again)
        assert len(other.sent) == 2
        vendor.answer = lambda each: Accepted("id") if each.device == devices[0] else Retry()
        vendor.gate.set()
        await _recorded(system)
        other.answer = lambda _: Accepted("id")
        again.clock.advance(100)
        await _feed(again)
        assert [each.device for each in other.sent[2:]] == [devices[1]]
        assert await figures(again, task) == (2, 2, 0, 0, 0)
        assert await system.count("broadcast_parts") == 0

    async def test_a_late_device_that_opened_it_is_not_sent_it_again(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        vendor.answer = lambda _: Retry()
        (late,) = await _phones(system, 1, users=False)
        task = await announce(system)
        await system.broadcasts.write_pages()
        await system.bind(f"token-{late}", "alice")
        await _feed(system)
        assert await system.reports.reported(late, task, EventKind.OPEN)
        system.clock.advance(5)
        await _feed(system)
        assert len(vendor.sent) == 1
        assert await system.count("broadcast_parts") == 0

    async def test_a_line_that_is_closed_while_parts_are_fetched_for_it(self, system: System) -> None:
        before = system.channels.set_up(system.app.key, "hms")
        (device,) = await _phones(system, 1)
        task = await announce(system)
        await system.broadcasts.write_pages()
        name = LineName(system.app.key, "hms")
        line = await system.lines.line(name)
        assert line is not None
        after = system.channels.set_up(system.app.key, "hms")
        await system.lines.refill()  # which closes it
        await line.close(1.0)
        await system.feeder._fill(name, line)
        assert line.waiting == 0
        await _feed(system)
        assert before.sent == []
        assert [each.device for each in after.sent] == [device]
        assert await figures(system, task) == (1, 1, 0, 0, 0)
        assert "twice" not in ((await system.trace(f"token-{device}", "sale")).hops[-1].cause or "")

    async def test_nothing_is_sent_whose_validity_ended_while_it_waited(self, system: System) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        vendor.batch = 1
        system.lines._limits = system.lines._limits.__class__(window=1)
        await _phones(system, 2)
        vendor.gate.clear()
        await announce(system, seconds=30)
        await system.broadcasts.write_pages()
        await system.feeder.work()
        await asyncio.sleep(0.01)
        system.clock.advance(31)
        vendor.gate.set()
        await _recorded(system)
        first = vendor.sent[0].device
        assert [each.device for each in vendor.sent] == [first]
        assert next(iter(system.lines.opened.values())).room(Lane.BROADCAST) == 10_000


class TestJoins:
    async def _early(self, system: System) -> tuple[int, int, FakeVendor]:
        """A device that was bound after its page was looked up, and before it was written."""
        vendor = system.channels.set_up(system.app.key, "hms")
        (device,) = await _phones(system, 1, users=False)
        task = await announce(system)
        step = await system.database.read(lambda transaction: planner(system)._look_up(transaction, task))
        assert step is not None
        await system.bind(f"token-{device}", "alice")
        assert await system.writer.submit(planner(system)._write, step)
        return task, device, vendor

    async def test_who_came_early_is_looked_at_again_until_that_is_on_disk(
        self, system: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task, device, vendor = await self._early(system)
        admit = system.broadcasts.joins.admit

        async def away(*_: object) -> None:
            raise StoreUnavailable("away")

        monkeypatch.setattr(system.broadcasts.joins, "admit", away)
        with pytest.raises(StoreUnavailable):
            await system.broadcasts.keep_up()
        monkeypatch.setattr(system.broadcasts.joins, "admit", admit)
        await system.broadcasts.keep_up()
        await _feed(system)
        assert [each.device for each in vendor.sent] == [device]
        assert await figures(system, task) == (1, 1, 0, 0, 0)
        assert system.broadcasts.joins.covered(lambda *_: True) == []

    async def test_who_acknowledges_it_elsewhere_at_the_same_moment_is_counted_once(
        self, system: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vendor = system.channels.set_up(system.app.key, "hms")
        (device,) = await _phones(system, 1, users=False)
        task = await announce(system)
        await system.broadcasts.write_pages()
        await acknowledge(system, task, [device])

        async def not_there_yet(*_: object) -> None:
            return None

        monkeypatch.setattr(joins_module, "place_of", not_there_yet)
        await system.bind(f"token-{device}", "alice")
        await _feed(system)
        assert vendor.sent == []
        assert await figures(system, task) == (1, 1, 1, 0, 0)


async def test_numbers_go_on_after_those_of_parts(system: System) -> None:
    system.channels.set_up(system.app.key, "hms")
    await _phones(system, 1)
    await announce(system)
    system.clock.advance(60)
    await system.broadcasts.write_pages()
    ((part,),) = await system.rows("SELECT part FROM broadcast_parts")
    assert await largest_id(system.database) == part


async def test_numbers_go_on_after_those_of_recalls(system: System) -> None:
    task = await announce(system)
    system.clock.advance(60)
    await system.broadcasts.revoke(system.app.key, task)
    system.clock.jump(-120)
    later = await announce(await system.restarted(), "later")
    # Devices remember up to which number they have been told all; a smaller one would be passed over.
    ((revocation,),) = await system.rows("SELECT revocation FROM broadcasts WHERE task = :task", task=task)
    assert later > revocation


async def test_a_deleted_app_leaves_no_parts(system: System) -> None:
    system.channels.set_up(system.app.key, "hms")
    (device,) = await _phones(system, 1)
    await announce(system)
    await system.broadcasts.write_pages()
    await system.tenants.delete_app("app", "ws")
    assert await system.count("broadcast_parts") == 0
    assert await frames(system, device) == []
