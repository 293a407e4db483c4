"""What Honor alone has: the time of a request, no recall, a check without a message."""

from __future__ import annotations

from pathlib import Path

from clarion.channels.base import Accepted, ConfigError, NotRecallable, VendorCopy
from clarion.clock import ManualClock
from tests.channels.host import envelope
from tests.channels.multicast.harness import opened, sent


async def test_the_time_is_in_milliseconds(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("honor", tmp_path, clock) as (hall, channel):
        (outcome,) = await channel.send([envelope("t1", clock.now_ms())])
        assert isinstance(outcome, Accepted)
        assert hall.journal.entries()[-1].headers["timestamp"] == str(clock.now_ms())


async def test_an_app_that_honor_does_not_know(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("honor", tmp_path, clock, appId="1") as (_, channel):
        (outcome,) = await channel.send([envelope("t1", clock.now_ms())])
        assert isinstance(outcome, ConfigError)
        assert outcome.code == "10205"


async def test_check_sends_nothing(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("honor", tmp_path, clock) as (hall, channel):
        assert (await channel.check()).ok
        assert not sent(hall, "honor")


async def test_no_recall(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("honor", tmp_path, clock) as (hall, channel):
        (outcome,) = await channel.recall([VendorCopy(1, 1, "t", "r", "k")])
        assert isinstance(outcome, NotRecallable)
        assert not hall.journal.entries()
