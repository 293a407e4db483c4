"""What Huawei alone has: looking at a message without sending it, no recall."""

from __future__ import annotations

from pathlib import Path

from clarion.channels.base import NotRecallable, VendorCopy
from clarion.clock import ManualClock
from tests.channels.multicast.harness import opened, sent


async def test_check_sends_nothing(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("hms", tmp_path, clock) as (hall, channel):
        assert (await channel.check()).ok
        (message,) = sent(hall, "hms")
        assert message["validate_only"] is True


async def test_check_of_another_app(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("hms", tmp_path, clock, appId="1") as (_, channel):
        check = await channel.check()
        assert not check.ok
        assert "20041" in check.text


async def test_no_recall(tmp_path: Path, clock: ManualClock) -> None:
    async with opened("hms", tmp_path, clock) as (hall, channel):
        outcomes = await channel.recall([VendorCopy(1, 1, "t", "r", "k")] * 2)
        assert [type(outcome) for outcome in outcomes] == [NotRecallable] * 2
        assert not hall.journal.entries()
