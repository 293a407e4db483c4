"""What tests of channels share: messages, and a hall of simulators to send them to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from clarion.channels.base import Envelope
from clarion.channels.message import PushContent
from clarion.clock import Clock
from clarion.simulators.faults import Fault
from clarion.simulators.hall import Hall

CONTENT = PushContent("Parcel", "It waits for you", uri="https://example.com/p/1")


def envelope(
    token: str,
    now_ms: int,
    *,
    content: PushContent = CONTENT,
    message: int = 247462019072001,
    msg_key: str = "order-1",
    seconds: float = 7200,
    attempt: int = 1,
    device: int = 7,
) -> Envelope:
    """A message on its way; `seconds` before its end."""
    return Envelope(
        message, device, token, msg_key, 247462019071745, now_ms + int(seconds * 1000), content, attempt
    )


@asynccontextmanager
async def gateway(label: str, folder: Path, clock: Clock) -> AsyncIterator[Hall]:
    """A hall with one vendor's simulator."""
    async with Hall(labels=[label], folder=folder, clock=clock) as hall:
        yield hall


def channel_file(hall: Hall, label: str, changes: Mapping[str, Any]) -> bytes:
    """A channel file that the simulator accepts, with further members."""
    return msgspec.json.encode({**hall.credentials(label), **changes})


def fault(hall: Hall, channel: str, kind: str, **members: Any) -> None:
    """Set a fault; members as in JSON."""
    hall.faults.set([msgspec.convert({"channel": channel, "kind": kind, **members}, Fault)])


def bodies(hall: Hall, path: str = "") -> Sequence[str]:
    """What arrived at a path that begins so."""
    return [entry.body for entry in hall.journal.entries() if entry.path.startswith(path)]
