"""The life of a broadcast: pages, those who come later, acks, crashes, expiry."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from itertools import product, starmap
from typing import TypeVar

import pytest
from sqlalchemy import bindparam, select

from clarion.channels.registry import Platform
from clarion.clock import ManualClock
from clarion.delivery.broadcasts.audience import BELONGS, span_parameters
from clarion.delivery.broadcasts.model import Audience, Reach, Standing, Window
from clarion.delivery.broadcasts.planner import Planner
from clarion.delivery.ledger import EventKind
from clarion.delivery.series import Mark
from clarion.store.database import Database, Transaction, Work
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.store.schema import devices
from tests.store.broadcasting import (
    acknowledge,
    announce,
    arrived,
    crowd,
    day_figures,
    figures,
    frames,
    marks_of,
    pages,
    planned,
    planner,
    push_broadcast,
)
from tests.store.system import System

T = TypeVar("T")

DAY = 24 * 3600.0
HOUR = 3600.0


async def _state(system: System, task: int) -> int:
    return int((await system.rows("SELECT state FROM broadcasts WHERE task = :task", task=task))[0][0])


async def test_accepting_writes_no_devices(system: System) -> None:
    await crowd(system, 50)
    task = await announce(system)
    assert (await system.count("tasks"), await system.count("broadcasts")) == (1, 1)
    assert (await system.count("broadcast_pages"), await system.count("messages")) == (0, 0)
    kind, answer, template = (await system.rows("SELECT kind, answer, template_name FROM tasks"))[0]
    assert (kind, answer, template) == (3, str(task), "sale")


async def test_every_member_has_its_place_in_a_page(system: System) -> None:
    members = await crowd(system, 600)
    await crowd(system, 700, platform=Platform.IOS)
    members += await crowd(system, 1500)
    await crowd(system, 100, users=False)
    task = await announce(system)
    await system.broadcasts.write_pages()
    assert await planned(system, task) == members
    assert [len(page.devices) for page in await pages(system, task)] == [1000, 1000, 100]
    assert await _state(system, task) == 1
    assert await figures(system, task) == (2100, 0, 0, 0, 0)
    assert await day_figures(system) == (2100, 0, 0, 0, 0)


async def test_pages_are_handed_to_the_devices_that_are_connected(system: System) -> None:
    numbers = await crowd(system, 1200)
    system.connections.connected = set(numbers[::7]) | {1}
    task = await announce(system)
    await system.broadcasts.write_pages()
    assert Counter(system.connections.delivered) == Counter((device, task) for device in numbers[::7])


async def test_few_members_among_many_devices(system: System) -> None:
    members = await crowd(system, 2)
    await crowd(system, 5500, users=False)
    members += await crowd(system, 1)
    await crowd(system, 5500, users=False)
    task = await announce(system)
    await planner(system).take_step(task)
    assert (await planned(system, task), await _state(system, task)) == (members[:2], 0)
    await system.broadcasts.write_pages()
    assert (await planned(system, task), await _state(system, task)) == (members, 1)


async def test_an_empty_audience(system: System) -> None:
    task = await announce(system)
    await system.broadcasts.write_pages()
    assert (await planned(system, task), await _state(system, task)) == ([], 1)


async def test_several_broadcasts_take_turns(system: System) -> None:
    numbers = await crowd(system, 2100)
    system.connections.connected = {numbers[0], numbers[1500]}
    first, second = await announce(system, "a"), await announce(system, "b")
    await system.broadcasts.write_pages()
    assert await planned(system, first) == await planned(system, second) == numbers
    assert [task for _, task in system.connections.delivered] == [first, second, first, second]


async def test_acks_are_counted_once(system: System) -> None:
    numbers = await crowd(system, 1500)
    task = await announce(system)
    await system.broadcasts.write_pages()
    got = numbers[5:1400:3]
    await acknowledge(system, task, got)
    await acknowledge(system, task, got[:50])
    assert await arrived(system, task) == got
    assert await figures(system, task) == await day_figures(system) == (1500, len(got), len(got), 0, 0)
    assert [await frames(system, device) for device in (got[0], numbers[0])] == [[], [("push", task)]]


async def test_the_time_of_an_ack_is_kept(system: System) -> None:
    (device,) = await crowd(system, 1)
    task = await announce(system)
    await system.broadcasts.write_pages()
    system.clock.advance(2.5)
    await acknowledge(system, task, [device])
    (page,) = await pages(system, task)
    assert (marks_of(page, device), page.arrived_at(0)) == (Mark.ARRIVED, page.at + 2500)


async def test_a_crash_between_pages(system: System) -> None:
    numbers = await crowd(system, 2500)
    task = await announce(system)
    await planner(system).take_step(task)
    await acknowledge(system, task, numbers[:10])
    after = await system.restarted()
    after.connections.connected = set(numbers[995:1005])
    assert await frames(after, numbers[0]) == []
    assert await frames(after, numbers[10]) == [("push", task)]
    await after.broadcasts.write_pages()
    assert await planned(after, task) == numbers
    assert await figures(after, task) == (2500, 10, 10, 0, 0)
    # Those of the first page asked for it when they connected.
    assert after.connections.delivered == [(device, task) for device in numbers[1000:1005]]


async def test_a_device_that_joins_later(system: System) -> None:
    await crowd(system, 3)
    task = await announce(system)
    await system.broadcasts.write_pages()
    late, token = await system.device()
    assert await frames(system, late) == []
    await system.bind(token, "eve")
    assert late in system.connections.woken
    assert await frames(system, late) == [("push", task)]
    await acknowledge(system, task, [late])
    await acknowledge(system, task, [late])
    assert await frames(system, late) == []
    assert await figures(system, task) == await day_figures(system) == (4, 1, 1, 0, 0)
    assert await arrived(system, task) == [late]


async def test_a_device_that_asks_before_its_page_asks_again_after_it(system: System) -> None:
    (device,) = await crowd(system, 1)
    task = await announce(system)
    assert await frames(system, device) == []
    await system.broadcasts.keep_up()
    assert system.connections.woken == []
    await system.broadcasts.write_pages()
    assert system.connections.woken == [device]
    assert await frames(system, device) == [("push", task)]


async def test_a_bind_between_the_look_up_and_the_commit_of_its_page(system: System) -> None:
    device, token = await system.device()
    task = await announce(system)
    held = _HeldWrites(system.database)
    writing = asyncio.create_task(_planner_on(held, system).take_step(task))
    await held.reached.wait()
    await system.bind(token, "eve")
    assert await frames(system, device) == []  # the page is not committed
    system.connections.woken.clear()
    held.released.set()
    await writing
    assert await planned(system, task) == []
    await system.broadcasts.keep_up()
    assert system.connections.woken == [device]
    assert await frames(system, device) == [("push", task)]


async def test_of_two_at_the_same_page_one_writes_it(system: System) -> None:
    numbers = await crowd(system, 1500)
    task = await announce(system)
    held = _HeldWrites(system.database)
    slower = asyncio.create_task(_planner_on(held, system).take_step(task))
    await held.reached.wait()
    assert await planner(system).take_step(task) is not None
    held.released.set()
    assert await slower is None
    assert await planned(system, task) == numbers[:1000]
    assert await figures(system, task) == (1000, 0, 0, 0, 0)


class _HeldWrites:
    """A database whose writes wait until they are released."""

    def __init__(self, database: Database) -> None:
        self.backend = database.backend
        self.read = database.read
        self.close = database.close
        self.reached, self.released = asyncio.Event(), asyncio.Event()
        self._write = database.write

    async def write(self, work: Work[T]) -> T:
        self.reached.set()
        await self.released.wait()
        return await self._write(work)


def _planner_on(database: Database, system: System) -> Planner:
    return Planner(database, GroupWriter(database), system.ledger, system.clock, system.channels, system.ids)


async def test_who_leaves_the_audience_after_its_page_gets_it_all_the_same(system: System) -> None:
    device, token = await system.device("bob")
    task = await announce(system)
    await system.broadcasts.write_pages()
    await system.unbind(token, "bob")
    assert await frames(system, device) == [("push", task)]


async def test_a_range_that_is_over_takes_nobody_later(system: System) -> None:
    now = system.clock.now_ms()
    (member,) = await crowd(system, 1, standing=Standing("bob", now - 50, None))
    task = await announce(system, time_mode=1, bind_start_time=now - 100, bind_end_time=now)
    await system.broadcasts.write_pages()
    system.clock.advance(1)
    late, _ = await system.device("eve")
    assert [await frames(system, device) for device in (member, late)] == [[("push", task)], []]


async def test_two_processes_write_each_page_once(database: Database, clock: ManualClock) -> None:
    here = await System(database, clock, node=0).open()
    numbers = await crowd(here, 5300)
    there = await System(database, clock, node=1).open()
    here.connections.connected, there.connections.connected = set(numbers[::2]), set(numbers[1::2])
    task = await announce(here)
    await asyncio.gather(here.broadcasts.write_pages(), there.broadcasts.write_pages())
    await here.broadcasts.keep_up()
    await there.broadcasts.keep_up()
    assert await planned(here, task) == numbers
    assert await figures(here, task) == (5300, 0, 0, 0, 0)
    for system in (here, there):
        assert Counter(system.connections.delivered) == Counter((d, task) for d in system.connections.connected)
        await system.writer.drain()


async def test_a_process_that_only_has_connections_hands_over_what_others_wrote(
    database: Database, clock: ManualClock
) -> None:
    worker = await System(database, clock, node=0).open()
    numbers = await crowd(worker, 1500)
    link = await System(database, clock, node=1).open()
    link.connections.connected = set(numbers)
    task = await announce(worker)
    await planner(worker).take_step(task)
    await acknowledge(worker, task, numbers[:2])
    await link.broadcasts.keep_up()
    assert link.connections.delivered == [(device, task) for device in numbers[2:1000]]
    await worker.broadcasts.write_pages()
    await link.broadcasts.keep_up()
    assert link.connections.delivered == [(device, task) for device in numbers[2:]]
    await acknowledge(link, task, numbers[2:3])
    assert await figures(link, task) == (1500, 3, 3, 0, 0)


async def test_expiry(system: System) -> None:
    numbers = await crowd(system, 1500)
    task = await announce(system, seconds=60)
    await planner(system).take_step(task)
    assert await frames(system, numbers[0]) == [("push", task)]
    system.clock.advance(60)
    assert await frames(system, numbers[0]) == []
    await system.broadcasts.write_pages()
    assert (await planned(system, task), await _state(system, task)) == (numbers[:1000], 1)
    await acknowledge(system, task, numbers[:1])  # it was on its way
    assert await figures(system, task) == (1000, 1, 1, 0, 0)
    system.clock.advance(2 * HOUR)
    await system.broadcasts.keep_up()
    assert system.broadcasts.inbox.idle
    assert not system.broadcasts.inbox.claims(task)


async def test_a_repeat_is_the_same_broadcast(system: System) -> None:
    first = await announce(system, "a")
    system.clock.advance(6 * DAY)
    assert await announce(system, "a", task_name="again") == first
    assert await system.count("tasks") == 1
    others = {await announce(system, "a", delivery_type=2), await announce(system, "b")}
    assert len({first, *others}) == 3
    system.clock.advance(1.1 * DAY)
    again = await announce(system, "a")
    assert again not in {first, *others}
    assert await announce(system, "a") == again


async def test_two_at_once_are_one(system: System) -> None:
    await announce(system, "other")
    tasks = await asyncio.gather(*(announce(system, "a") for _ in range(5)))
    assert len(set(tasks)) == 1
    assert await system.count("broadcasts") == 2


async def test_a_schedule_repeats_what_it_likes(system: System) -> None:
    first = await announce(system, "a")
    fixed = json.dumps({"fixedTime": system.clock.now_ms() // 1000 * 1000 + 60_000})
    await push_broadcast(system, "a", strategy_type=1, strategy_content=fixed)
    system.clock.advance(61)
    await system.scheduler.fire_due()
    rows = await system.rows("SELECT task, generation FROM broadcasts ORDER BY task")
    assert [tuple(row) for row in rows] == [(first, 0), (rows[1][0], rows[1][0])]
    assert await announce(system, "a") == first


async def test_reports(system: System) -> None:
    numbers = await crowd(system, 3)
    task = await announce(system)
    await system.broadcasts.write_pages()
    await acknowledge(system, task, numbers[:1])
    for _ in range(2):
        for device, kind in ((numbers[0], EventKind.OPEN), (numbers[1], EventKind.IGNORE)):
            await system.reports.reported(device, task, kind)
    # The second one's ack may be lost: its report says that it has the message.
    assert await figures(system, task) == await day_figures(system) == (3, 2, 2, 1, 1)
    assert await arrived(system, task) == numbers[:2]


async def test_a_report_that_is_faster_than_the_ack_of_a_device_that_joined(system: System) -> None:
    task = await announce(system)
    await system.broadcasts.write_pages()
    late, _ = await system.device("eve")
    reported = system.reports.reported(late, task, EventKind.OPEN)
    acknowledged = system.inbox.acked(late, [task])
    await asyncio.gather(reported, acknowledged)
    assert await figures(system, task) == (1, 1, 1, 1, 0)


async def test_a_report_before_the_page_is_not_taken(system: System) -> None:
    """An honest device cannot know of the broadcast yet."""
    (device,) = await crowd(system, 1)
    task = await announce(system)
    await system.reports.reported(device, task, EventKind.OPEN)
    await system.broadcasts.write_pages()
    assert await figures(system, task) == (1, 0, 0, 0, 0)
    assert await frames(system, device) == [("push", task)]


async def test_a_stranger_has_nothing_to_report(system: System) -> None:
    other = await system.tenants.create_app("other", "ws")
    (member,) = await crowd(system, 1)
    (left,) = await crowd(system, 1, users=False)
    task = await announce(system)
    await system.broadcasts.write_pages()
    token = (await system.devices.register(other.key, Platform.ANDROID)).token
    foreign = await system.devices.identify(other.key, token)
    assert foreign is not None
    for device in (left, foreign.device):
        await system.reports.reported(device, task, EventKind.OPEN)
    assert await figures(system, task) == (1, 0, 0, 0, 0)
    assert await frames(system, member) == [("push", task)]


async def test_a_device_is_not_compared_again_with_what_is_settled(system: System) -> None:
    (device,) = await crowd(system, 1)
    token = f"token-{device}"
    first = await announce(system, "a")
    await system.broadcasts.write_pages()
    await acknowledge(system, first, [device])
    system.clock.advance(100)
    second = await announce(system, "b")
    await system.broadcasts.write_pages()
    assert await frames(system, device) == [("push", second)]
    await system.broadcasts.keep_up()
    assert await _seen(system, device) == first
    assert await frames(system, device) == [("push", second)]
    await acknowledge(system, second, [device])
    assert await frames(system, device) == []
    await system.broadcasts.keep_up()
    # A broadcast with a smaller number may yet be committed by another node.
    assert first <= await _seen(system, device) < second
    system.clock.advance(100)
    assert await frames(system, device) == []
    await system.broadcasts.keep_up()
    assert await _seen(system, device) == second
    await system.unbind(token, f"user-{device}")
    assert await _seen(system, device) == 0


async def test_what_comes_after_something_unsettled_stays_open(system: System) -> None:
    (device,) = await crowd(system, 1)
    first, second = await announce(system, "a"), await announce(system, "b")
    await system.broadcasts.write_pages()
    await acknowledge(system, second, [device])
    system.clock.advance(100)
    assert await system.inbox.owed(device, first, 100) == []  # the second page of what it asks for
    assert await frames(system, device) == [("push", first)]
    await system.broadcasts.keep_up()
    assert await frames(system, device) == [("push", first)]


async def test_a_bind_is_not_undone_by_a_cursor_that_was_read_before_it(system: System) -> None:
    device, token = await system.device()
    system.clock.advance(100)
    task = await announce(system)
    await system.broadcasts.write_pages()
    system.clock.advance(100)
    assert await frames(system, device) == []  # everything is settled for it
    await system.bind(token, "eve")
    await system.broadcasts.keep_up()
    assert await _seen(system, device) == 0
    assert await frames(system, device) == [("push", task)]


async def _seen(system: System, device: int) -> int:
    rows = await system.rows("SELECT broadcasts_seen FROM devices WHERE device = :device", device=device)
    return int(rows[0][0])


async def test_a_deleted_app(system: System) -> None:
    numbers = await crowd(system, 1500)
    task = await announce(system)
    await planner(system).take_step(task)
    await system.tenants.delete_app("app", "ws")
    assert await frames(system, numbers[0]) == []
    await system.broadcasts.write_pages()
    assert await planned(system, task) == numbers[:1000]


async def test_retention(system: System) -> None:
    await crowd(system, 1500)
    old = await announce(system, "old")
    await system.broadcasts.write_pages()
    late, _ = await system.device("eve")
    await acknowledge(system, old, [late])
    await system.reports.reported(late, old, EventKind.OPEN)
    system.clock.advance(29 * DAY)
    young = await announce(system, "young")
    await system.broadcasts.write_pages()
    assert await system.broadcasts.retain() == 0
    system.clock.advance(1.1 * DAY)
    while await system.broadcasts.retain():
        pass
    kept = [await system.rows(f"SELECT DISTINCT task FROM {table}") for table in ("broadcasts", "broadcast_pages")]
    assert [[tuple(row) for row in rows] for rows in kept] == [[(young,)], [(young,)]]
    assert (await system.count("broadcast_joins"), await system.count("reports")) == (0, 0)


@pytest.mark.parametrize("reach", Reach)
async def test_audiences_are_the_same_in_sql_and_in_python(system: System, reach: Reach) -> None:
    now = system.clock.now_ms()
    week = 7 * 24 * 3600 * 1000
    moments = (None, 0, now - week - 1, now - week, now - 1, now, now + 1)
    windows = (
        Window(),
        Window(days=7),
        Window(since=0),
        Window(until=now - 1),
        Window(since=now - week, until=now),
    )
    standing: dict[int, Standing] = {}
    for one in starmap(Standing, product(("eve", None), moments, moments)):
        (device,) = await crowd(system, 1, standing=one)
        standing[device] = one
    for bound in windows:
        for unbound in windows:
            audience = Audience(reach, bound, unbound)
            assert await _members(system, audience, now) == [d for d, s in standing.items() if audience.has(s, now)]


_MEMBERS = Query(
    select(devices.c.device).where(devices.c.app == bindparam("app"), BELONGS).order_by(devices.c.device)
)


async def _members(system: System, audience: Audience, accepted_at: int) -> list[int]:
    async def work(transaction: Transaction) -> list[int]:
        rows = await transaction.fetch(_MEMBERS, app=system.app.key, **span_parameters(audience, accepted_at))
        return [device for (device,) in rows]

    return await system.database.read(work)
