from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from clarion.clock import ManualClock
from clarion.delivery.inbox import Ack
from clarion.delivery.ledger import EventKind
from clarion.delivery.reports import KINDS, Report, Reports
from clarion.ids import IdGenerator

NOW = 1_795_000_000_000


class Writer:
    """Carries out each command alone, at once."""

    def __init__(self) -> None:
        self.commands: list[Report] = []

    def submit(self, handler: Any, command: Report, *, urgent: bool) -> asyncio.Future[Any]:
        assert not urgent
        self.commands.append(command)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def carry_out() -> None:
            (result,) = await handler(Nothing(), [command])
            future.set_result(result)

        self.task = asyncio.create_task(carry_out())
        return future


class Nothing:
    """A transaction that finds nothing."""

    async def fetch(self, *_: object, **__: object) -> Sequence[Any]:
        return []


class Inbox:
    """Keeps the acks."""

    def __init__(self) -> None:
        self.acks: list[Ack] = []

    async def settle(self, _: object, acks: Sequence[Ack]) -> None:
        self.acks += acks


class Broadcasts:
    """Knows message 5."""

    def __init__(self) -> None:
        self.told: list[Report] = []

    async def known(self, _: object, entries: Sequence[int]) -> frozenset[int]:
        return frozenset(entries) & {5}

    async def record(self, _: object, told: Sequence[Report]) -> None:
        self.told += told


class Bench:
    """Reports with everything around them replaced."""

    def __init__(self) -> None:
        clock = ManualClock(NOW)
        self.writer, self.inbox, self.broadcasts = Writer(), Inbox(), Broadcasts()
        self.ids = IdGenerator(clock)
        parts = cast(Any, (self.writer, self.ids, clock, None, self.inbox, self.broadcasts))
        self.reports = Reports(*parts)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_every_kind_of_report_has_a_meaning() -> None:
    assert set(KINDS) == set(EventKind) - {EventKind.STATUS, EventKind.ENDED}


async def test_broadcasts_record_their_own(bench: Bench) -> None:
    assert await bench.reports.reported(1, 5, EventKind.OPEN)
    assert [(report.device, report.message) for report in bench.broadcasts.told] == [(1, 5)]
    assert bench.inbox.acks == []


async def test_a_direct_message_may_be_acknowledged_by_it(bench: Bench) -> None:
    message = bench.ids.next()
    assert await bench.reports.reported(1, message, EventKind.OPEN, NOW - 5) is False
    assert bench.broadcasts.told == []
    assert [(ack.device, ack.entry, ack.at) for ack in bench.inbox.acks] == [(1, message, NOW)]


@pytest.mark.parametrize(("told", "kept"), [(None, 0), (-10, -10), (-99, -50), (99, 0)])
async def test_its_time_is_within_the_message_s_life(bench: Bench, told: int | None, kept: int) -> None:
    message = IdGenerator(ManualClock(NOW - 50)).next()
    await bench.reports.reported(1, message, EventKind.OPEN, None if told is None else NOW + told)
    (report,) = bench.writer.commands
    assert report.at == NOW + kept
