"""The longest texts and largest batches are taken by the simulators; one more is not sent."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clarion.channels.base import Accepted, PayloadError
from clarion.channels.message import PushContent
from clarion.channels.oppo import client as oppo_client
from clarion.clock import ManualClock
from tests.channels.every import TOKENS, envelopes, opened
from tests.channels.host import envelope

TEXTS: list[tuple[str, str, str, int, dict[str, Any]]] = [
    ("hms", "title", "t", 40, {}),
    ("hms", "content", "包", 1024, {}),
    ("miui", "title", "包", 49, {}),
    ("miui", "content", "包", 127, {}),
    ("oppo", "title", "包", 50, {}),
    ("oppo", "content", "包", 50, {}),
    ("oppo", "content", "包", 128, {"style": 1}),
    ("oppo", "uri", "https://e.com/u", 2000, {}),
    ("oppo", "uri", "com.example.A", 500, {"action": 1}),
    ("vivo", "title", "t", 40, {}),
    ("vivo", "title", "包", 20, {}),
    ("vivo", "content", "c", 100, {}),
    ("vivo", "content", "包", 50, {}),
    ("vivo", "uri", "https://e.com/u", 2048, {}),
]
"""Channel, member, its beginning (whose last character is repeated), its longest length, further members."""


@pytest.mark.parametrize(("label", "member", "begin", "limit", "more"), TEXTS)
async def test_the_longest_text(
    label: str, member: str, begin: str, limit: int, more: dict[str, Any], clock: ManualClock
) -> None:
    async with opened(label, clock) as (hall, channel):
        for over, kind in ((0, Accepted), (1, PayloadError)):
            hall.journal.clear()
            fields = {"title": "t", "content": "c", **more, member: begin.ljust(limit + over, begin[-1])}
            (outcome,) = await channel.send(envelopes(label, clock, 1, PushContent(**fields)))
            assert isinstance(outcome, kind), outcome
        assert len(hall.journal) == 0


BATCHES = [
    ("hms", 1000),
    ("harmony", 1000),
    ("honor", 1000),
    ("miui", 1000),
    ("oppo", 1000),
    ("vivo", 999),
    ("sms", 1000),
]


@pytest.mark.parametrize(("label", "first"), BATCHES)
async def test_the_largest_batch(
    label: str, first: int, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oppo_client, "MAX_BYTES", 10**7)
    async with opened(label, clock) as (hall, channel):
        (some,) = envelopes(label, clock)
        stem = TOKENS[label][0]
        many = [
            replace(some, token=f"{stem[:-4]}{number:04}", device=number)
            for number in range(first if label == "vivo" else 1000)
        ]
        extra = [replace(some, token=f"{stem[:-5]}9{number:04}", device=2000 + number) for number in (1, 2)]
        more = extra if label == "vivo" else extra[:1]
        outcomes = await channel.send([*many, *more])
        assert {type(outcome) for outcome in outcomes} == {Accepted}
        sizes = sorted(len(entry.tokens) for entry in hall.journal.entries(label) if entry.tokens)
        assert sizes == [len(more), first]


async def test_a_thousand_different_ones(clock: ManualClock) -> None:
    """Xiaomi takes different messages with one call."""
    async with opened("miui", clock) as (hall, channel):
        content = [PushContent(f"t{number}", "c") for number in range(1001)]
        outcomes = await channel.send(
            [
                envelope(f"token-{number}", clock.now_ms(), content=content[number], device=number)
                for number in range(1001)
            ]
        )
        assert {type(outcome) for outcome in outcomes} == {Accepted}
        sizes = sorted(len(entry.tokens) for entry in hall.journal.entries("miui"))
        assert sum(sizes) == 1001
        assert max(sizes) <= 1000
