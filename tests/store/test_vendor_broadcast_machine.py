"""Any order of broadcasts, feeding, answers, receipts, crashes and changed channels, against a simple model."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from clarion.channels.base import Accepted, Envelope, InvalidToken, PayloadError, Retry, SendOutcome, Unknown
from clarion.channels.registry import Channel, Platform
from clarion.clock import ManualClock
from clarion.delivery.broadcasts import planner as planner_module
from clarion.delivery.ledger import EventKind
from clarion.delivery.series import Mark
from clarion.delivery.states import MessageStatus
from clarion.delivery.vendors.lines import LineName
from clarion.delivery.vendors.reclaim import reclaim
from clarion.devices.model import DeviceDetails, VendorToken
from clarion.store.opening import open_database
from tests.store.broadcasting import announce, figures, frames, pages, planner
from tests.store.system import System
from tests.store.vendors import FakeVendor

PAGE = 2
DEVICES = 5
MOST_BROADCASTS = 3
LOG_SECONDS = 3500
CHANNELS = [Channel.HMS, Channel.APNS]  # with the own link beside it, and without
ANSWERS: dict[str, SendOutcome] = {
    "accepted": Accepted("id"),
    "retry": Retry(),
    "invalid": InvalidToken(),
    "rejected": PayloadError(),
    "unknown": Unknown(),
}
_PLACES = st.integers(0, DEVICES - 1)
_TASKS = st.integers(0, MOST_BROADCASTS - 1)
_CHANNELS = st.sampled_from(CHANNELS)
_ANSWERS = st.sampled_from(["accepted", "accepted", *ANSWERS])


@dataclass
class Copy:
    """What the model knows of a broadcast on a device; `way`: "vendor", "link" or "ended"."""

    channel: Channel | None
    way: str
    taken: bool = False
    arrived: bool = False
    opened: bool = False
    sent: bool = False
    may_be_sent: bool = True
    may_leave: bool = False
    """Whether what was to come by a vendor may go over to the own link or end: its token or channel is gone."""

    @property
    def settled(self) -> bool:
        return self.taken or self.arrived or self.way == "ended"


@dataclass
class Broadcast:
    task: int
    key: str
    expires_at: int
    revoked: bool = False


class Vendor(FakeVendor):
    """Tells the model what it was sent, and what it answers."""

    batch = 2

    def __init__(self, machine: Broadcasting, channel: Channel) -> None:
        super().__init__()
        self.machine, self.channel = machine, channel

    async def send(self, envelopes: Sequence[Envelope]) -> Sequence[SendOutcome]:
        for each in envelopes:
            self.machine.on_sent(self.channel, each)
        await self.gate.wait()
        outcomes = [ANSWERS[self.machine.answer]] * len(envelopes)
        for each, outcome in zip(envelopes, outcomes, strict=True):
            self.machine.on_answer(self.channel, each, outcome)
        return outcomes


class Broadcasting(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.answer = "accepted"
        self.broadcasts: list[Broadcast] = []
        self.copies: dict[tuple[int, int], Copy] = {}
        self.reports: dict[int, Channel | None] = {}
        self.faults: list[str] = []
        self.crashing = False

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def open(self) -> None:
        async def build() -> None:
            database = await open_database(f"sqlite:///{Path(self.directory.name) / 'a.db'}")
            self.system = await System(database, self.clock).open()
            for channel in CHANNELS:
                self.set_up(channel)
            self.devices = [await self.system.device(f"user-{place}") for place in range(DEVICES)]

        self.run(build())
        self.reports = {number: None for number, _ in self.devices}
        for place, channel in zip(range(DEVICES - 1), CHANNELS * 2, strict=True):
            self.report(place, channel)
        self.announce(500_000)
        self.run(self.system.broadcasts.write_pages())

    def teardown(self) -> None:
        async def close() -> None:
            for name in self.system.channels.vendors:
                self.system.channels.vendors[name].gate.set()
            await self.system.lines.close(1.0)
            await self.system.writer.drain()
            await self.system.database.close()

        self.run(close())
        self.runner.close()
        self.directory.cleanup()

    # What vendors tell the model.

    def on_sent(self, channel: Channel, envelope: Envelope) -> None:
        copy = self.copies.setdefault((envelope.task, envelope.device), Copy(channel, "vendor"))
        if not copy.may_be_sent or copy.taken or copy.way != "vendor" or copy.channel is not channel:
            self.faults.append(f"sent though it must not be: {envelope.device} {copy}")
        if envelope.expires_at <= self.clock.now_ms():
            self.faults.append("sent after its validity")
        copy.may_be_sent, copy.sent = False, True

    def on_answer(self, channel: Channel, envelope: Envelope, outcome: SendOutcome) -> None:
        copy = self.copies[envelope.task, envelope.device]
        if self.crashing:
            return
        if isinstance(outcome, InvalidToken) and self.reports[envelope.device] is channel:
            self.forget(envelope.device)
        if isinstance(outcome, Accepted):
            copy.taken, copy.way = True, "vendor"
        elif copy.settled or self.broadcast(envelope.task).revoked:
            return
        elif isinstance(outcome, Retry):
            copy.may_be_sent = True
            copy.may_leave |= envelope.expires_at - self.clock.now_ms() < 400_000
        else:
            linked = channel is Channel.HMS and not isinstance(outcome, Unknown)
            copy.way = "link" if linked else "ended"

    def broadcast(self, task: int) -> Broadcast:
        return next(each for each in self.broadcasts if each.task == task)

    def forget(self, device: int) -> None:
        """The device's token is gone, or another one: what is still to come by its channel goes another way."""
        self.reports[device] = None
        self.let_leave(lambda number, _: number == device)

    def let_leave(self, concerns: Callable[[int, Copy], bool]) -> None:
        for (_, device), copy in self.copies.items():
            if copy.way == "vendor" and concerns(device, copy):
                copy.may_leave = True

    def set_up(self, channel: Channel) -> None:
        channels = self.system.channels
        channels.set_up(self.system.app.key, channel.label)
        channels.vendors[LineName(self.system.app.key, channel.label)] = Vendor(self, channel)

    # The rules.

    @precondition(lambda self: len(self.broadcasts) < MOST_BROADCASTS)
    @rule(seconds=st.sampled_from([60, 500_000, 500_000]))
    def announce(self, seconds: int) -> None:
        key = f"key-{len(self.broadcasts)}"
        task = self.run(announce(self.system, key, seconds))
        self.broadcasts.append(Broadcast(task, key, self.clock.now_ms() + seconds * 1000))

    @rule(alone=st.booleans())
    def write_pages(self, *, alone: bool) -> None:
        """All that are to be written; or a single one, with nothing after its commit."""
        if alone:
            self.run(planner(self.system).take_step(self.broadcasts[-1].task))
        else:
            self.run(self.system.broadcasts.write_pages())

    @rule(answer=_ANSWERS, waits=st.booleans())
    def feed(self, answer: str, *, waits: bool) -> None:
        """Send what is due; the vendors answer at once, or only when they are told to."""
        self.answer = answer
        for vendor in self.system.channels.vendors.values():
            if waits:
                vendor.gate.clear()
        self.run(self.fed())

    async def fed(self) -> None:
        for name in self.system.channels.configured():
            self.system.parts_due.add(name.app, [name.channel])
        await self.system.feeder.work() if self.system.channels.vendors else None
        await self.quiet()

    async def quiet(self) -> None:
        """Wait until nothing moves."""
        before, still = (-1, -1, -1), 0
        while still < 3:
            await asyncio.sleep(0.001)
            opened = self.system.lines.opened.values()
            now = (sum(line.in_flight for line in opened), sum(line.waiting for line in opened), len(self.copies))
            held = not all(vendor.gate.is_set() for vendor in self.system.channels.vendors.values())
            still = still + 1 if now == before and (held or not now[0]) else 0
            before = now
        await self.system.writer.drain()

    @rule(answer=_ANSWERS)
    def answered(self, answer: str) -> None:
        self.answer = answer
        for vendor in self.system.channels.vendors.values():
            vendor.gate.set()
        self.run(self.quiet())

    def known(self, which: int, place: int) -> tuple[Broadcast, int, Copy] | None:
        """A broadcast that the device may have."""
        device = self.devices[place][0]
        broadcast = self.broadcasts[which % len(self.broadcasts)]
        copy = self.copies.get((broadcast.task, device))
        if copy is None or not (copy.sent or copy.way == "link"):
            return None
        return broadcast, device, copy

    @rule(which=_TASKS, place=_PLACES, how=st.sampled_from(["ack", "receipt", "open"]))
    def arrives(self, which: int, place: int, how: str) -> None:
        known = self.known(which, place)
        if known is None or (how == "ack" and known[0].expires_at + LOG_SECONDS * 1000 < self.clock.now_ms()):
            return
        broadcast, device, copy = known
        task = broadcast.task

        async def tell() -> None:
            if how == "ack":
                await self.system.inbox.acked(device, [task])
            elif how == "open":
                await self.system.reports.reported(device, task, EventKind.OPEN)
            else:
                arrived, now = self.system.broadcasts.receipts.arrived, self.clock.now_ms()
                await self.system.database.write(lambda transaction: arrived(transaction, task, {device: now}))

        self.run(tell())
        copy.arrived = True
        copy.opened |= how == "open"

    @rule(answer=_ANSWERS, arrives=st.booleans(), outlasts=st.booleans())
    def answered_late(self, answer: str, *, arrives: bool, outlasts: bool) -> None:
        """Vendors answer after devices told that they have it, or after the leases have ended."""
        self.feed(answer, waits=True)
        if arrives:
            for which, place in product(range(len(self.broadcasts)), range(DEVICES)):
                self.arrives(which, place, "receipt")
        if outlasts:
            self.clock.advance(130)
            self.run(self.fed())
        self.answered(answer)

    @rule(place=_PLACES, bound=st.booleans())
    def bind(self, place: int, *, bound: bool) -> None:
        change = self.system.bind if bound else self.system.unbind
        self.run(change(self.devices[place][1], f"user-{place}"))

    @rule(place=_PLACES, channel=_CHANNELS)
    def report(self, place: int, channel: Channel) -> None:
        device, token = self.devices[place]
        if self.reports[device] is not channel:
            self.forget(device)
            self.reports[device] = channel
        vendor = VendorToken(channel, f"{channel.label}-{token}")
        details = DeviceDetails()
        self.run(self.system.devices.report(self.system.app.key, token, Platform.ANDROID, vendor, details))

    @rule(seconds=st.sampled_from([1, 5, 130, 400]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def keep_up(self) -> None:
        self.run(self.system.broadcasts.keep_up())

    @rule(how=st.sampled_from(["stop", "crash", "crash after the answers"]))
    def restart(self, how: str) -> None:
        self.run(self.stopped() if how == "stop" else self.crashed(answered=how != "crash"))

    async def crashed(self, *, answered: bool) -> None:
        self.crashing = True
        lines = list(self.system.lines.opened.values())
        for line in lines:
            line._record = _never
            if line._running is not None:
                line._running.cancel()
        if answered:
            for vendor in self.system.channels.vendors.values():
                vendor.gate.set()
            await asyncio.sleep(0.002)
        for line in lines:
            for task, batch in list(line._sending.items()):
                for each in batch:  # nobody knows whether the vendor has it
                    self.copies[each.envelope.task, each.envelope.device].may_be_sent = True
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        for vendor in self.system.channels.vendors.values():
            vendor.gate.set()
        self.system = await self.system.restarted()
        await self.system.database.write(reclaim)
        self.crashing = False

    async def stopped(self) -> None:
        await self.system.lines.close(0.05)
        self.system = await self.system.restarted()
        for vendor in self.system.channels.vendors.values():
            vendor.gate.set()

    @rule(channel=_CHANNELS)
    def change_channel(self, channel: Channel) -> None:
        """It is deleted, or set up again; lines notice."""
        self.answered(self.answer)  # lines that are closed would wait for it
        name = LineName(self.system.app.key, channel.label)
        if name in self.system.channels.vendors:
            del self.system.channels.vendors[name]
            self.let_leave(lambda _, copy: copy.channel is channel)
        else:
            self.set_up(channel)

        async def notice() -> None:
            await self.system.lines.refill()
            while self.system.lines._closing:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await self.system.lines.refill()
            await self.quiet()

        self.run(notice())

    @rule(which=_TASKS)
    def revoke(self, which: int) -> None:
        broadcast = self.broadcasts[which % len(self.broadcasts)]
        self.run(self.system.broadcasts.revoke(self.system.app.key, broadcast.task))
        self.run(self.system.broadcasts.keep_up())
        broadcast.revoked = True

    @rule()
    def finish(self) -> None:
        """With vendors that take everything nothing is left over."""
        self.answered("accepted")
        for _ in range(3):
            self.run(self.system.broadcasts.write_pages())
            self.run(self.system.broadcasts.keep_up())
            self.feed("accepted", waits=False)
            self.clock.advance(400)
        self.feed("accepted", waits=False)
        owed = self.run(self.system.rows("SELECT channel, task FROM broadcast_parts"))
        configured = {name.channel for name in self.system.channels.configured()}
        assert [row for row in owed if row[0] in configured] == []

    # What has to be so after each of them.

    @invariant()
    def the_database_agrees(self) -> None:
        if not hasattr(self, "devices"):
            return
        assert self.faults == []
        for broadcast in self.broadcasts:
            placed = self.run(self.placed(broadcast.task))
            for device, (marks, route) in placed.items():
                self.compare(broadcast, device, marks, route)
            mine = [copy for (task, _), copy in self.copies.items() if task == broadcast.task]
            assert len(mine) == len(placed)
            had = sum(copy.taken or copy.arrived for copy in mine)
            arrived, opened = sum(copy.arrived for copy in mine), sum(copy.opened for copy in mine)
            assert self.run(figures(self.system, broadcast.task)) == (len(placed), had, arrived, opened, 0)
        self.the_own_link_agrees()

    async def placed(self, task: int) -> dict[int, tuple[Mark, int]]:
        found: dict[int, tuple[Mark, int]] = {}
        for page in await pages(self.system, task):
            for slot, device in enumerate(page.devices):
                found[device] = Mark(page.marks[slot]), page.route(slot)
        sql = "SELECT device, marks, route FROM broadcast_joins WHERE task = :task"
        for device, marks, route in await self.system.rows(sql, task=task):
            assert device not in found
            found[device] = Mark(marks), route
        return found

    def compare(self, broadcast: Broadcast, device: int, marks: Mark, route: int) -> None:
        way = "ended" if Mark.ENDED in marks else "vendor" if Mark.VENDOR in marks else "link"
        channel = next((each for each in CHANNELS if each.third_channel == route), None)
        copy = self.copies.setdefault((broadcast.task, device), Copy(channel, way, arrived=Mark.ARRIVED in marks))
        if copy.channel is not None and self.reports[device] is not copy.channel:
            copy.may_leave = True
        assert (Mark.TAKEN in marks, Mark.ARRIVED in marks) == (copy.taken, copy.arrived)
        assert channel is copy.channel
        if way != copy.way:
            assert copy.may_leave
            assert copy.way == "vendor"
            assert not copy.settled
            copy.way = way

    def the_own_link_agrees(self) -> None:
        now = self.clock.now_ms()
        for device, _ in self.devices:
            owed = {task for kind, task in self.run(frames(self.system, device)) if kind == "push"}
            for broadcast in self.broadcasts:
                copy = self.copies.get((broadcast.task, device))
                if copy is not None:
                    is_open = broadcast.expires_at > now and not broadcast.revoked
                    expected = is_open and copy.way == "link" and not copy.arrived
                    assert (broadcast.task in owed) == expected, (device, copy)

    @rule()
    def traces_agree(self) -> None:
        now = self.clock.now_ms()
        tokens = dict(self.devices)
        for (task, device), copy in self.copies.items():
            broadcast = self.broadcast(task)
            if copy.taken or copy.arrived:
                expected = MessageStatus.ACKED
            elif copy.way == "ended":
                expected = MessageStatus.EXCEPTION
            elif broadcast.revoked:
                expected = MessageStatus.REVOKED
            elif broadcast.expires_at <= now:
                expected = MessageStatus.MSG_EXPIRED
            else:
                expected = MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE
            found = self.run(self.system.trace(tokens[device], broadcast.key))
            assert found.status_name == expected.label, copy


async def _never(*_: object) -> None:
    await asyncio.Event().wait()


def test_every_order_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner_module, "PAGE_DEVICES", PAGE)
    run_state_machine_as_test(
        Broadcasting,
        settings=settings(
            max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
