"""Why a device got a broadcast, or not."""

from __future__ import annotations

from clarion.channels.registry import Platform
from clarion.delivery.ledger import EventKind
from clarion.delivery.states import MessageStatus
from tests.store.broadcasting import acknowledge, announce, crowd, planner
from tests.store.system import System

ACCEPTED, QUEUED = ("accepted", "on_disk"), ("planned", "queued")


async def _told(system: System, target: str) -> tuple[list[tuple[str, str]], int]:
    found = await system.trace(target, "sale")
    return [(hop.stage, hop.outcome) for hop in found.hops], found.status


async def test_a_device_that_has_it(system: System) -> None:
    (device,) = await crowd(system, 1)
    task = await announce(system)
    accepted_at = system.clock.now_ms()
    system.clock.advance(1)
    await system.broadcasts.write_pages()
    system.clock.advance(2)
    await acknowledge(system, task, [device])
    system.clock.advance(3)
    await system.reports.reported(device, task, EventKind.OPEN)
    for target in (f"token-{device}", f"user-{device}"):
        found = await system.trace(target, "sale")
        assert [(hop.at - accepted_at, hop.stage, hop.device) for hop in found.hops] == [
            (0, "accepted", None),
            (1000, "planned", f"token-{device}"),
            (3000, "acked", f"token-{device}"),
            (6000, "opened", f"token-{device}"),
        ]
        assert (found.status, found.message_id, found.task_name) == (2, str(task), "autumn")
        assert all(hop.next == "" for hop in found.hops)


async def test_a_device_that_is_offline(system: System) -> None:
    (device,) = await crowd(system, 1)
    await announce(system, seconds=60)
    await system.broadcasts.write_pages()
    assert await _told(system, f"token-{device}") == ([ACCEPTED, QUEUED], 0)
    assert (await system.trace(f"token-{device}", "sale")).hops[1].next
    system.clock.advance(60)
    expired = ("expired", "too_late")
    assert await _told(system, f"token-{device}") == ([ACCEPTED, QUEUED, expired], MessageStatus.MSG_EXPIRED)


async def test_a_device_that_joined(system: System) -> None:
    task = await announce(system)
    await system.broadcasts.write_pages()
    device, token = await system.device("eve")
    assert await _told(system, token) == ([ACCEPTED, QUEUED], 0)
    await acknowledge(system, task, [device])
    assert await _told(system, token) == ([ACCEPTED, QUEUED, ("acked", "delivered")], 2)


async def test_devices_that_do_not_get_it(system: System) -> None:
    (left,) = await crowd(system, 1, users=False)
    (ios,) = await crowd(system, 1, platform=Platform.IOS)
    await announce(system)
    await system.broadcasts.write_pages()
    nothing = MessageStatus.NONE
    assert await _told(system, f"token-{left}") == ([ACCEPTED, ("planned", "not_in_audience")], nothing)
    for target in (f"token-{ios}", f"user-{ios}", "nobody"):
        assert await _told(system, target) == ([ACCEPTED, ("planned", "no_device_of_platform")], nothing)


async def test_a_device_whose_page_is_to_come(system: System) -> None:
    numbers = await crowd(system, 1001)
    task = await announce(system)
    await planner(system).take_step(task)
    assert await _told(system, f"token-{numbers[999]}") == ([ACCEPTED, QUEUED], 0)
    assert await _told(system, f"token-{numbers[1000]}") == ([ACCEPTED, ("planned", "page_to_come")], 0)


async def test_a_revoked_broadcast(system: System) -> None:
    numbers = await crowd(system, 3)
    task = await announce(system)
    await system.broadcasts.write_pages()
    await acknowledge(system, task, numbers[:2])
    system.clock.advance(5)
    await system.broadcasts.revoke(system.app.key, task)
    (recall,) = (await system.rows("SELECT revocation FROM broadcasts"))[0]
    await acknowledge(system, recall, numbers[:1])
    told = [await _told(system, f"token-{device}") for device in numbers]
    acked = ("acked", "delivered")
    assert told == [
        ([ACCEPTED, QUEUED, acked, ("recalled", "recalled")], 2),
        ([ACCEPTED, QUEUED, acked, ("revoked", "recall_owed")], 2),
        ([ACCEPTED, QUEUED, ("revoked", "revoked")], MessageStatus.REVOKED),
    ]


async def test_the_newest_broadcast_that_concerns_the_device(system: System) -> None:
    (android,) = await crowd(system, 1)
    (ios,) = await crowd(system, 1, platform=Platform.IOS)
    tasks = [await announce(system, delivery_type=kind) for kind in (1, 2)]
    await system.broadcasts.write_pages()
    found = [await system.trace(f"token-{device}", "sale") for device in (android, ios)]
    assert [trace.task_id for trace in found] == list(map(str, tasks))


async def test_a_direct_message_goes_first(system: System) -> None:
    (device,) = await crowd(system, 1)
    await announce(system)
    await system.push(f"user-{device}", key="sale")
    assert (await system.trace(f"user-{device}", "sale")).task_name == "task"
