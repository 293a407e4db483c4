"""A channel to the simulator, or to a peer that behaves as a test wants."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clarion.channels.base import Envelope
from clarion.channels.fcm import FcmChannel, open_channel, parse
from clarion.clock import ManualClock
from clarion.simulators.hall import Hall
from tests.channels.host import channel_file, envelope, gateway
from tests.unit.http2.peer import Behaviour, Peer
from tests.unit.http2.server import HOST, Server, serving

TOKEN = "dQw4w9WgXcQ:APA91b-x_y"


@cache
def key() -> rsa.RSAPrivateKey:
    """A service account's key."""
    return rsa.generate_private_key(65537, 2048)


def account(**changes: Any) -> dict[str, Any]:
    """A service account's key file; None takes a member out."""
    pem = key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    members = {
        "type": "service_account", "project_id": "a-project", "private_key_id": "kid1", "private_key": pem,
        "client_email": "push@a-project.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    } | changes  # fmt: skip
    return {name: value for name, value in members.items() if value is not None}


def settings_file(**changes: Any) -> bytes:
    """A channel file."""
    return json.dumps({"serviceAccount": account()} | changes).encode()


@asynccontextmanager
async def simulated(folder: Path, clock: ManualClock, **changes: Any) -> AsyncIterator[tuple[Hall, FcmChannel]]:
    """The simulator over TLS, and a channel to it."""
    async with gateway("fcm", folder, clock) as hall:
        hall.configure("fcm", {"strictKeys": True})
        channel = open_channel(parse(channel_file(hall, "fcm", changes)), clock)
        try:
            yield hall, channel
        finally:
            await channel.close()


class TokenDesk:
    """Gives out access tokens.

    Attributes:
        forms: what was asked.
        answers: what to answer next: status and JSON; a token when there is none.
    """

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.answers: list[tuple[int, Any]] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        status, value = 200, {"access_token": f"ya29.{len(self.forms)}", "expires_in": 3599}
        if self.answers:
            status, value = self.answers.pop(0)
        return web.json_response(value, status=status)


@asynccontextmanager
async def behaving(behaviour: Behaviour, clock: ManualClock) -> AsyncIterator[tuple[Server, TokenDesk, FcmChannel]]:
    """A peer that does as it is told, one that gives tokens, and a channel to them."""
    desk = TokenDesk()
    runner = web.ServerRunner(web.Server(desk.answer))
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    async with serving(behaviour) as server:
        changes = {
            "baseUrl": f"http://{HOST}:{server.port}", "tokenUrl": f"http://{HOST}:{runner.addresses[0][1]}/token",
        }  # fmt: skip
        channel = open_channel(parse(settings_file(**changes)), clock)
        try:
            yield server, desk, channel
        finally:
            await channel.close()
            await runner.cleanup()


def envelopes(count: int, clock: ManualClock, **members: Any) -> list[Envelope]:
    """Messages for as many devices, whose tokens end with their numbers."""
    return [envelope(f"{TOKEN}{device}", clock.now_ms(), device=device, **members) for device in range(count)]


def answer(peer: Peer, stream: int, status: int, value: Any, **headers: str) -> None:
    """Answer with JSON."""
    sent = [(b":status", str(status).encode()), (b"content-type", b"application/json; charset=UTF-8")]
    sent += [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    peer.connection.send_headers(stream, sent)
    peer.connection.send_data(stream, json.dumps(value).encode(), end_stream=True)


def take(peer: Peer, stream: int, *_: object) -> None:
    """Take a message."""
    answer(peer, stream, 200, {"name": f"projects/a-project/messages/{stream}"})
