"""Any order of broadcasts, pages, binds, acks, recalls, restarts and passing time, against a simple model."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
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

from clarion.clock import ManualClock
from clarion.delivery.broadcasts import planner as planner_module
from clarion.delivery.broadcasts.model import Audience, Reach, Standing, Window
from clarion.store.opening import open_database
from tests.store.broadcasting import announce, figures, frames, planned, planner
from tests.store.system import System

PAGE = 2
WEEK_MS = 7 * 24 * 3600 * 1000
MOST_DEVICES = 7
MOST_BROADCASTS = 5


@dataclass
class Broadcast:
    """What the model knows of a broadcast. Devices go by their places in the list of all."""

    task: int
    audience: Audience
    accepted_at: int
    expires_at: int
    pages: list[int] = field(default_factory=list)
    reached: int = -1
    done: bool = False
    has: set[int] = field(default_factory=set)
    recall_until: int | None = None
    recalled: set[int] = field(default_factory=set)

    def is_open(self, now: int) -> bool:
        return self.recall_until is None and self.expires_at > now


class Broadcasting(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.devices: list[tuple[int, str]] = []
        self.standing: list[Standing] = []
        self.broadcasts: list[Broadcast] = []

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @property
    def now(self) -> int:
        return self.clock.now_ms()

    @initialize()
    def open(self) -> None:
        async def build() -> None:
            database = await open_database(f"sqlite:///{Path(self.directory.name) / 'a.db'}")
            self.system = await System(database, self.clock).open()

        self.run(build())
        for _ in range(3):
            self.register()

    def teardown(self) -> None:
        async def close() -> None:
            await self.system.writer.drain()
            await self.system.database.close()

        self.run(close())
        self.runner.close()
        self.directory.cleanup()

    @precondition(lambda self: len(self.devices) < MOST_DEVICES)
    @rule()
    def register(self) -> None:
        self.devices.append(self.run(self.system.device()))
        self.standing.append(Standing(None, None, None))

    @rule(place=st.integers(0, MOST_DEVICES), user=st.sampled_from(["bob", "eve"]))
    def bind(self, place: int, user: str) -> None:
        place %= len(self.devices)
        self.run(self.system.bind(self.devices[place][1], user))
        self.standing[place] = Standing(user, self.now, None)  # the same user again is a login of now, too

    @rule(place=st.integers(0, MOST_DEVICES))
    def unbind(self, place: int) -> None:
        place %= len(self.devices)
        user, bound_at, _ = self.standing[place]
        if user is not None:
            self.run(self.system.unbind(self.devices[place][1], user))
            self.standing[place] = Standing(None, bound_at, self.now)

    @precondition(lambda self: len(self.broadcasts) < MOST_BROADCASTS)
    @rule(
        reach=st.sampled_from(Reach),
        period=st.sampled_from([1, 4]),
        seconds=st.sampled_from([100, 600_000]),
    )
    def announce(self, reach: Reach, period: int, seconds: int) -> None:
        key = f"key-{len(self.broadcasts)}"
        fields = {"push_status": int(reach), "bind_period": period, "un_bind_period": period}
        task = self.run(announce(self.system, key, seconds, **fields))
        window = Window(days=7 if period == 1 else None)
        audience = Audience(reach, window, window)
        self.broadcasts.append(Broadcast(task, audience, self.now, self.now + seconds * 1000))

    def page(self, broadcast: Broadcast) -> None:
        """What the next page has to be."""
        if broadcast.done or broadcast.recall_until is not None:
            return
        if broadcast.expires_at <= self.now:
            broadcast.done = True
            return
        members = [
            place
            for place, standing in enumerate(self.standing)
            if place > broadcast.reached and broadcast.audience.has(standing, broadcast.accepted_at)
        ]
        broadcast.pages += members[:PAGE]
        broadcast.done = len(members) < PAGE
        broadcast.reached = MOST_DEVICES if broadcast.done else members[PAGE - 1]

    @precondition(lambda self: self.broadcasts)
    @rule(which=st.integers(0, MOST_BROADCASTS))
    def write_one_page(self, which: int) -> None:
        broadcast = self.broadcasts[which % len(self.broadcasts)]
        self.run(planner(self.system).take_step(broadcast.task))
        self.page(broadcast)

    @rule()
    def write_all_pages(self) -> None:
        self.run(self.system.broadcasts.write_pages())
        for broadcast in self.broadcasts:
            while not broadcast.done and broadcast.recall_until is None:
                self.page(broadcast)

    @rule(place=st.integers(0, MOST_DEVICES), skip=st.integers(0, 2), most=st.integers(1, 3))
    def acknowledge(self, place: int, skip: int, most: int) -> None:
        place %= len(self.devices)
        device = self.devices[place][0]
        owed = self.run(frames(self.system, device))[skip : skip + most]

        async def ack() -> None:
            await self.system.inbox.acked(device, [wire_id for _, wire_id in owed])

        if not owed:
            return
        self.run(ack())
        recalls = self.recalls()
        for kind, wire_id in owed:
            if kind == "push":
                next(b for b in self.broadcasts if b.task == wire_id).has.add(place)
            else:
                recalls[wire_id].recalled.add(place)

    @precondition(lambda self: self.broadcasts)
    @rule(which=st.integers(0, MOST_BROADCASTS))
    def revoke(self, which: int) -> None:
        broadcast = self.broadcasts[which % len(self.broadcasts)]
        got = self.run(self.system.broadcasts.revoke(self.system.app.key, broadcast.task))
        if broadcast.recall_until is None:
            waiting = set(broadcast.pages) - broadcast.has
            assert got == (len(waiting), len(broadcast.has), 0)
            broadcast.recall_until = self.now + WEEK_MS
        else:
            assert got == (0, 0, 0)

    @rule(seconds=st.sampled_from([1, 70, 300_000, 400_000]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def keep_up(self) -> None:
        self.run(self.system.broadcasts.keep_up())

    @rule()
    def restart(self) -> None:
        self.system = self.run(self.system.restarted())

    def recalls(self) -> dict[int, Broadcast]:
        """Revoked broadcasts by the ids of their recalls."""
        rows = self.run(self.system.rows("SELECT task, revocation FROM broadcasts WHERE revocation IS NOT NULL"))
        by_task = {broadcast.task: broadcast for broadcast in self.broadcasts}
        return {revocation: by_task[task] for task, revocation in rows}

    def is_owed(self, place: int, broadcast: Broadcast) -> bool:
        if not broadcast.is_open(self.now) or place in broadcast.has:
            return False
        covered = broadcast.done or place <= broadcast.reached
        joins = covered and broadcast.audience.has(self.standing[place], broadcast.accepted_at)
        return place in broadcast.pages or joins

    @invariant()
    def devices_are_owed_what_the_model_says(self) -> None:
        if not hasattr(self, "system"):
            return
        recalls = self.recalls()
        for place, (device, _) in enumerate(self.devices):
            pushes = [("push", b.task) for b in self.broadcasts if self.is_owed(place, b)]
            back = [
                ("revoke", recall)
                for recall, b in recalls.items()
                if place in b.has - b.recalled and (b.recall_until or 0) > self.now
            ]
            owed = sorted(pushes + back, key=lambda frame: frame[1])
            assert self.run(frames(self.system, device)) == owed

    @invariant()
    def pages_and_figures_are_those_of_the_model(self) -> None:
        for broadcast in self.broadcasts:
            numbers = [self.devices[place][0] for place in broadcast.pages]
            assert self.run(planned(self.system, broadcast.task)) == numbers
            total, success, arrival, _, _ = self.run(figures(self.system, broadcast.task))
            assert total == len(broadcast.has | set(broadcast.pages))
            assert success == arrival == len(broadcast.has)


def test_any_order_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner_module, "PAGE_DEVICES", PAGE)
    run_state_machine_as_test(
        Broadcasting,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
