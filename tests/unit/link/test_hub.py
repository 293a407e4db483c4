from __future__ import annotations

import pytest
from tests.unit.link.fakes import World, push

from clarion.link.hub import Hub
from clarion.link.session import State


async def test_broadcast_reaches_those_that_are_connected() -> None:
    world = World()
    transports = {device: (await world.ready(str(device)))[1] for device in (1, 2, 3)}
    for device in range(1, 6):
        world.backend.put(device, 9)
    assert world.hub.broadcast(range(1, 6), 9, push(9)) == 3
    assert [transport.pushed() for transport in transports.values()] == [[9], [9], [9]]
    assert world.hub.count == 3


async def test_an_unknown_device_is_not_connected() -> None:
    hub = Hub()
    assert not hub.online(1)
    assert not hub.deliver(1, 1, push(1))
    assert hub.broadcast([1, 2], 1, push(1)) == 0
    assert list(hub.slices()) == []


async def test_slices_pass_over_devices_that_leave() -> None:
    world = World()
    sessions = {device: (await world.ready(str(device)))[0] for device in range(1, 6)}
    seen = []
    for part in world.hub.slices(2):
        seen.append(part)
        sessions[4].on_lost()
    assert seen == [[1, 2], [3], [5]]


async def test_close_all_tells_each_when_to_come_back() -> None:
    world = World()
    ends = [await world.ready(str(device)) for device in range(1, 46)]
    await world.hub.close_all(over=0.0)
    assert world.hub.count == 0
    assert all(session.state is State.CLOSING for session, _ in ends)
    reasons = [transport.closed[1] for _, transport in ends if transport.closed is not None]
    assert len(reasons) == 45
    assert len(set(reasons)) > 1
    assert all(reason.startswith("going away; retry-after=") for reason in reasons)


@pytest.mark.parametrize("device", [1, 2])
async def test_registering_the_same_session_again_keeps_it(device: int) -> None:
    world = World()
    session, transport = await world.ready(str(device))
    world.hub.register(session)
    assert transport.closed is None
    assert world.hub.online(device)
