"""A channel to the simulator, and a short way to its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from clarion.channels.oppo import OppoChannel, open_channel, parse
from clarion.clock import ManualClock
from clarion.simulators.hall import Hall
from clarion.simulators.oppo import OppoSimulator
from tests.channels.host import bodies, channel_file, gateway

MESSAGE = "/server/v1/message"


@asynccontextmanager
async def opened(
    folder: Path, clock: ManualClock, *, seconds: float = 5.0, **changes: Any
) -> AsyncIterator[tuple[Hall, OppoChannel]]:
    async with gateway("oppo", folder, clock) as hall:
        channel = open_channel(parse(channel_file(hall, "oppo", changes)), clock, seconds=seconds)
        try:
            yield hall, channel
        finally:
            await channel.close()


def simulator(hall: Hall) -> OppoSimulator:
    found = hall.simulators["oppo"]
    assert isinstance(found, OppoSimulator)
    return found


def regid(number: int) -> str:
    """A registration id of the usual form."""
    return f"OPPO_CN_{number:032x}"


def sent(hall: Hall) -> list[list[Any]]:
    """The messages of each call, decoded."""
    found = []
    for body in bodies(hall, MESSAGE):
        form = dict(parse_qsl(body))
        several = "messages" in form
        value = msgspec.json.decode(form["messages" if several else "message"])
        found.append(value if several else [value])
    return found
