"""Revoking broadcasts: nobody else gets them, and those who have them are told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from clarion.clock import ManualClock
from clarion.delivery.broadcasts.courier import Courier
from clarion.delivery.broadcasts.log import OpenLog
from clarion.delivery.broadcasts.notes import Notes
from clarion.delivery.ledger import EventKind
from clarion.delivery.series import Mark
from clarion.store.database import Database
from tests.store.broadcasting import (
    acknowledge,
    announce,
    arrived,
    crowd,
    figures,
    frames,
    marks_of,
    pages,
    planned,
    planner,
)
from tests.store.system import FakeConnections, System

DAY = 24 * 3600.0


async def _recall_of(system: System, task: int) -> int:
    return int((await system.rows("SELECT revocation FROM broadcasts WHERE task = :task", task=task))[0][0])


async def _delivered(system: System, numbers: list[int], got: int) -> int:
    """A finished broadcast that the first `got` of the devices have."""
    task = await announce(system)
    await system.broadcasts.write_pages()
    await acknowledge(system, task, numbers[:got])
    return task


async def test_what_a_revocation_says(system: System) -> None:
    numbers = await crowd(system, 1200)
    task = await _delivered(system, numbers, 700)
    assert await system.broadcasts.revoke(system.app.key, task) == (500, 700, 0)
    first = await _recall_of(system, task)
    assert await system.broadcasts.revoke(system.app.key, task) == (0, 0, 0)
    assert await _recall_of(system, task) == first


async def test_what_is_not_there_is_not_revoked(system: System) -> None:
    task = await announce(system)
    other = await system.tenants.create_app("other", "ws")
    assert await system.broadcasts.revoke(other.key, task) is None
    assert await system.broadcasts.revoke(system.app.key, task + 1) is None
    assert await _state(system, task) == 0


async def _state(system: System, task: int) -> int:
    return int((await system.rows("SELECT state FROM broadcasts WHERE task = :task", task=task))[0][0])


async def test_connected_devices_that_have_it_are_told_at_once(system: System) -> None:
    numbers = await crowd(system, 1500)
    task = await _delivered(system, numbers, 1200)
    late, _ = await system.device("eve")
    await acknowledge(system, task, [late])
    system.connections.connected = {numbers[3], numbers[1100], numbers[1300], late}
    await system.broadcasts.revoke(system.app.key, task)
    await system.broadcasts.keep_up()
    recall = await _recall_of(system, task)
    assert system.connections.delivered == [(numbers[3], recall), (numbers[1100], recall), (late, recall)]
    await system.broadcasts.keep_up()
    assert len(system.connections.delivered) == 3


async def test_others_are_told_when_they_connect_for_a_week(system: System) -> None:
    numbers = await crowd(system, 3)
    task = await _delivered(system, numbers, 2)
    late, _ = await system.device("eve")
    await acknowledge(system, task, [late])
    await system.broadcasts.revoke(system.app.key, task)
    recall = await _recall_of(system, task)
    after = await system.restarted()
    assert [await frames(after, d) for d in (*numbers, late)] == [
        [("revoke", recall)],
        [("revoke", recall)],
        [],
        [("revoke", recall)],
    ]
    await acknowledge(after, recall, [numbers[0], late])
    assert [await frames(after, d) for d in (numbers[0], late)] == [[], []]
    (page,) = await pages(after, task)
    assert [marks_of(page, d) for d in numbers] == [Mark.ARRIVED | Mark.RECALLED, Mark.ARRIVED, Mark(0)]
    after.clock.advance(6.9 * DAY)
    assert await frames(after, numbers[1]) == [("revoke", recall)]
    after.clock.advance(0.2 * DAY)
    assert await frames(after, numbers[1]) == []


async def test_a_revocation_stops_the_pages(system: System) -> None:
    numbers = await crowd(system, 2500)
    task = await announce(system)
    await planner(system).take_step(task)
    system.connections.connected = set(numbers)
    assert await system.broadcasts.revoke(system.app.key, task) == (1000, 0, 0)
    await system.broadcasts.write_pages()
    await system.broadcasts.keep_up()
    assert await planned(system, task) == numbers[:1000]
    assert system.connections.delivered == []
    assert [await frames(system, device) for device in (numbers[0], numbers[2000])] == [[], []]


async def test_a_revocation_while_pages_are_being_written(system: System) -> None:
    numbers = await crowd(system, 6000)
    system.connections.connected = set(numbers)
    task = await announce(system)
    writing = asyncio.create_task(system.broadcasts.write_pages())
    while not system.connections.delivered:  # noqa: ASYNC110 - nothing else tells of the first page
        await asyncio.sleep(0)
    await system.broadcasts.revoke(system.app.key, task)
    handed = len(system.connections.delivered)
    await writing
    assert 0 < handed < 6000
    assert len(system.connections.delivered) == handed
    assert await figures(system, task) == (len(await planned(system, task)), 0, 0, 0, 0)


async def test_the_rest_of_a_page_is_not_offered_once_it_is_revoked(system: System) -> None:
    numbers = await crowd(system, 500)
    task = await announce(system)
    log = OpenLog(system.database, system.clock)
    await log.refresh()

    class Revoking(FakeConnections):
        def broadcast(self, devices: Iterable[int], message: int, frame: bytes) -> int:
            entry = log.get(task)
            assert entry is not None
            log.put([entry._replace(revocation=task + 1)])
            return super().broadcast(devices, message, frame)

    connections = Revoking()
    connections.connected = set(numbers)
    step = await planner(system).take_step(task)
    assert step is not None
    await Courier(system.database, log, connections, Notes()).hand_over(step)
    assert 0 < len(connections.delivered) < 500


async def test_an_ack_that_was_on_its_way_is_answered_with_the_recall(system: System) -> None:
    numbers = await crowd(system, 2)
    task = await _delivered(system, numbers, 0)
    await system.broadcasts.revoke(system.app.key, task)
    await system.broadcasts.keep_up()
    await acknowledge(system, task, numbers[:1])
    await system.reports.reported(numbers[1], task, EventKind.OPEN)
    await system.broadcasts.keep_up()
    assert sorted(system.connections.woken) == numbers
    recall = await _recall_of(system, task)
    assert [await frames(system, device) for device in numbers] == [[("revoke", recall)]] * 2
    assert await figures(system, task) == (2, 2, 2, 1, 0)


async def test_another_process_revokes(database: Database, clock: ManualClock) -> None:
    here, there = await System(database, clock, node=0).open(), await System(database, clock, node=1).open()
    numbers = await crowd(here, 10)
    task = await _delivered(here, numbers, 5)
    await there.broadcasts.keep_up()
    here.connections.connected = set(numbers)
    await there.broadcasts.revoke(here.app.key, task)
    assert await frames(here, numbers[6]) == []
    await here.broadcasts.keep_up()
    recall = await _recall_of(here, task)
    assert here.connections.delivered == [(device, recall) for device in numbers[:5]]
    assert await arrived(here, task) == numbers[:5]


async def test_a_revoked_key_is_still_a_repeat(system: System) -> None:
    task = await announce(system, "a")
    await system.broadcasts.revoke(system.app.key, task)
    assert await announce(system, "a") == task


async def test_the_api_revokes_a_broadcast(system: System) -> None:
    numbers = await crowd(system, 4)
    task = await _delivered(system, numbers, 1)
    revoked = await system.revocations.revoke_task("app", "ws", str(task))
    assert (revoked.withdrawn, revoked.recalled, revoked.unrecalled) == (3, 1, 0)
