"""A channel to the simulator, and a short way to its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from clarion.channels.vivo import VivoChannel, open_channel, parse
from clarion.clock import ManualClock
from clarion.simulators.hall import Hall
from clarion.simulators.vivo import VivoSimulator
from tests.channels.host import bodies, channel_file, gateway


@asynccontextmanager
async def opened(
    folder: Path, clock: ManualClock, *, seconds: float = 5.0, **changes: Any
) -> AsyncIterator[tuple[Hall, VivoChannel]]:
    async with gateway("vivo", folder, clock) as hall:
        channel = open_channel(parse(channel_file(hall, "vivo", changes)), clock, seconds=seconds)
        try:
            yield hall, channel
        finally:
            await channel.close()


def simulator(hall: Hall) -> VivoSimulator:
    found = hall.simulators["vivo"]
    assert isinstance(found, VivoSimulator)
    return found


def sent(hall: Hall, path: str) -> list[Any]:
    """What arrived at a path."""
    return [msgspec.json.decode(body) for body in bodies(hall, path)]
