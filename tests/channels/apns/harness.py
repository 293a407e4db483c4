"""A channel to the simulator, or to a peer that behaves as a test wants."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clarion.channels.apns import ApnsChannel, open_channel, parse
from clarion.channels.base import Envelope
from clarion.clock import ManualClock
from clarion.simulators.hall import Hall
from tests.channels.host import channel_file, envelope, gateway
from tests.unit.http2.peer import Behaviour, Peer
from tests.unit.http2.server import HOST, Server, serving

TOKEN = "ab" * 32


@cache
def key_pem() -> str:
    """A team's key, as Apple gives it."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def settings_file(**changes: Any) -> bytes:
    """A channel file with a key; None takes a member out."""
    members = {
        "teamId": "TEAM000001", "keyId": "KEY0000001", "privateKey": key_pem(), "bundleId": "com.example.app",
    } | changes  # fmt: skip
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


@asynccontextmanager
async def simulated(
    folder: Path, clock: ManualClock, label: str = "apns", **changes: Any
) -> AsyncIterator[tuple[Hall, ApnsChannel]]:
    """The simulator over TLS, and a channel to it."""
    async with gateway("apns", folder, clock) as hall:
        hall.configure("apns", {"strictKeys": True})
        channel = open_channel(parse(channel_file(hall, label, changes)), clock)
        try:
            yield hall, channel
        finally:
            await channel.close()


@asynccontextmanager
async def behaving(
    behaviour: Behaviour, clock: ManualClock, settings: dict[Any, int] | None = None
) -> AsyncIterator[tuple[Server, ApnsChannel]]:
    """A peer that does as it is told, and a channel to it."""
    async with serving(behaviour, settings=settings) as server:
        channel = open_channel(parse(settings_file(baseUrl=f"http://{HOST}:{server.port}")), clock)
        try:
            yield server, channel
        finally:
            await channel.close()


def envelopes(count: int, clock: ManualClock, **members: Any) -> list[Envelope]:
    """Messages for as many devices, whose tokens end with their numbers."""
    return [
        envelope(f"{'ab' * 28}{device:08x}", clock.now_ms(), device=device, **members) for device in range(count)
    ]


def refuse(peer: Peer, stream: int, status: int, reason: str, **more: Any) -> None:
    """Answer as Apple does."""
    peer.connection.send_headers(stream, [(b":status", str(status).encode()), (b"apns-id", b"x")])
    peer.connection.send_data(stream, json.dumps({"reason": reason, **more}).encode(), end_stream=True)
