"""Lines that are closed, on both databases: what they did not send is sent by whoever comes next, at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import text

from clarion.channels.registry import Channel, Platform
from clarion.delivery.vendors.waiting import Waiting
from clarion.devices.model import DeviceDetails, VendorToken
from clarion.failures import StoreUnavailable
from clarion.store.database import Transaction
from clarion.store.queries import Query
from tests.store.broadcasting import announce, crowd, figures
from tests.store.system import ANDROID, System
from tests.store.vendors import FakeVendor

TWICE = "may have come twice"


async def _phones(system: System, count: int) -> list[int]:
    """Devices with tokens of HMS."""
    devices = await crowd(system, count)
    give = Query(text("UPDATE devices SET channel = 'hms', vendor_token = 'vendor-' || token, vendor_token_at = 1"))

    async def work(transaction: Transaction) -> None:
        await transaction.execute(give)

    await system.database.write(work)
    return devices


async def _sent(vendor: FakeVendor, count: int) -> None:
    async with asyncio.timeout(10):
        while len(vendor.sent) < count:  # noqa: ASYNC110 - a fine grain
            await asyncio.sleep(0.002)


async def _broadcast(system: System, vendor: FakeVendor, count: int) -> int:
    """A broadcast of which the vendor has one batch, unanswered, and the line the rest."""
    system.lines._limits = replace(system.lines._limits, window=3, reserved=2)
    vendor.gate.clear()
    await _phones(system, count)
    task = await announce(system)
    await system.broadcasts.write_pages()
    await system.feeder.work()
    await _sent(vendor, vendor.batch)
    return task


async def _next(system: System, vendor: FakeVendor, count: int) -> System:
    """Another process, in no time; it sends so many devices the rest."""
    again = await system.restarted()
    before = len(vendor.sent)
    again.parts_due.add(system.app.key, ["hms"])
    await again.feeder.work()
    await again.lines.refill()
    await _sent(vendor, before + count)
    await again.lines.close(0.05)
    await again.writer.drain()
    return again


async def _owners(system: System, table: str) -> list[tuple[str | None, int]]:
    rows = await system.rows(f"SELECT owner, leased_until FROM {table}")
    return [(owner, int(leased_until)) for owner, leased_until in rows]


async def test_the_rest_of_a_broadcast_is_given_back_and_goes_on(system: System) -> None:
    vendor = system.channels.set_up(system.app.key, "hms")
    task = await _broadcast(system, vendor, 250)
    await system.lines.close(0.05)  # the vendor answers now
    assert await _owners(system, "broadcast_parts") == [(None, 0)]
    assert len(vendor.sent) == 100
    again = await _next(system, vendor, 150)
    assert len({each.device for each in vendor.sent}) == len(vendor.sent) == 250
    assert await figures(again, task) == (250, 250, 0, 0, 0)
    trace = await again.trace(f"token-{vendor.sent[-1].device}", "sale")
    assert (trace.hops[-1].outcome, TWICE in trace.hops[-1].cause) == ("taken", False)


async def test_what_was_sent_and_not_recorded_stays_doubtful(system: System) -> None:
    vendor = system.channels.set_up(system.app.key, "hms")
    task = await _broadcast(system, vendor, 150)

    async def away(*_: Sequence[Waiting] | object) -> None:
        raise StoreUnavailable("away")

    for line in system.lines._lines.values():
        line._record = away
    await system.lines.close(0.05)
    assert await _owners(system, "broadcast_parts") == [(system.lines.owner, 0)]
    again = await _next(system, vendor, 150)
    assert await figures(again, task) == (150, 150, 0, 0, 0)
    trace = await again.trace(f"token-{vendor.sent[-1].device}", "sale")
    assert (trace.hops[-1].outcome, TWICE in trace.hops[-1].cause) == ("taken", True)


async def test_single_pushes_that_waited_are_given_back(system: System) -> None:
    system.lines._limits = replace(system.lines._limits, window=1)
    vendor = system.channels.set_up(system.app.key, "hms")
    vendor.gate.clear()
    tokens = []
    for number in range(3):
        _, token = await system.device()
        phone = VendorToken(Channel.HMS, f"vendor-{token}")
        await system.devices.report(system.app.key, token, Platform.ANDROID, phone, DeviceDetails())
        await system.push(token, key=f"key-{number}", kind=ANDROID)
        tokens.append(token)
    await _sent(vendor, 1)
    await system.lines.close(0.05)
    assert await _owners(system, "deliveries") == [(None, 0)] * 2
    again = await _next(system, vendor, 2)
    assert [len(vendor.sent), len({each.device for each in vendor.sent})] == [3, 3]
    for number, token in enumerate(tokens):
        trace = await again.trace(token, f"key-{number}")
        assert [hop.outcome for hop in trace.hops] == ["on_disk", "taken"]
        assert TWICE not in trace.hops[-1].cause


async def test_other_settings_make_nothing_wait(system: System) -> None:
    vendor = system.channels.set_up(system.app.key, "hms")
    task = await _broadcast(system, vendor, 250)
    newer = system.channels.set_up(system.app.key, "hms")
    vendor.gate.set()
    await system.lines.refill()  # which notices, and closes the line
    async with asyncio.timeout(10):
        while system.lines._closing:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    system.parts_due.add(system.app.key, ["hms"])
    await system.feeder.work()
    await _sent(newer, 150)
    await system.lines.close(0.05)
    assert len(vendor.sent) == 100
    assert await figures(system, task) == (250, 250, 0, 0, 0)
