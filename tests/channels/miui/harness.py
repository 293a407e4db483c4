"""A channel to the simulator, and a short way to its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from clarion.channels.miui import MiuiChannel, open_channel, parse
from clarion.clock import ManualClock
from clarion.simulators.hall import Hall
from tests.channels.host import bodies, channel_file, gateway


@asynccontextmanager
async def opened(
    folder: Path, clock: ManualClock, *, seconds: float = 5.0, **changes: Any
) -> AsyncIterator[tuple[Hall, MiuiChannel]]:
    async with gateway("miui", folder, clock) as hall:
        channel = open_channel(parse(channel_file(hall, "miui", changes)), clock, seconds=seconds)
        try:
            yield hall, channel
        finally:
            await channel.close()


def forms(hall: Hall, path: str = "/v") -> list[dict[str, str]]:
    """The forms that arrived."""
    return [dict(parse_qsl(body)) for body in bodies(hall, path)]
