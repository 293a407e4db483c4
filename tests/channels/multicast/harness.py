"""The channels of Huawei, HarmonyOS and Honor, with and without HTTP between them and their simulators."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import msgspec

from clarion.channels import harmony, hms, honor
from clarion.channels.harmony.signing import Signer
from clarion.channels.message import PushContent
from clarion.channels.multicast import Multicast, Rendered, Stamp
from clarion.clock import ManualClock
from clarion.simulators import registry
from clarion.simulators.base import Received, Reply, Simulator, Surroundings
from clarion.simulators.faults import Fault, FaultBook
from clarion.simulators.hall import Hall
from tests.channels.host import channel_file, gateway

MODULES: Mapping[str, ModuleType] = {"hms": hms, "harmony": harmony, "honor": honor}
LABELS = list(MODULES)
OAUTH = ("hms", "honor")
"""Those that fetch their access tokens."""

STAMP = Stamp(task=247462019071745, msg_key="order-1", ttl=7200)
SENDING = {"hms": "/v1/", "harmony": "/v3/", "honor": "/api/v1/"}


@cache
def known(label: str) -> dict[str, Any]:
    """Credentials that all tests share, as a new key takes its time."""
    simulator: Any = registry.create(label, Surroundings(ManualClock(), FaultBook()))
    return dict(simulator.credentials("http://127.0.0.1:1"))


@cache
def settings_of(label: str) -> Any:
    """Settings of these credentials."""
    return MODULES[label].parse(msgspec.json.encode(known(label)))


@asynccontextmanager
async def opened(
    label: str, folder: Path, clock: ManualClock, *, seconds: float = 5.0, **changes: Any
) -> AsyncIterator[tuple[Hall, Multicast]]:
    """A channel to its simulator over HTTP; `changes` are members of the channel file."""
    (folder / f"{label}.json").write_bytes(msgspec.json.encode(known(label)))
    async with gateway(label, folder, clock) as hall:
        module = MODULES[label]
        settings = module.parse(channel_file(hall, label, changes))
        channel: Multicast = module.open_channel(settings, clock, seconds=seconds)
        try:
            yield hall, channel
        finally:
            await channel.close()


def token_calls(hall: Hall) -> int:
    """How often an access token was asked for."""
    return sum("token" in entry.path for entry in hall.journal.entries())


def sent(hall: Hall, label: str) -> list[dict[str, Any]]:
    """Messages that arrived, taken or not."""
    return [
        msgspec.json.decode(entry.body)
        for entry in hall.journal.entries()
        if entry.path.startswith(SENDING[label]) and entry.path.endswith(("messages:send", "sendMessage"))
    ]


class Gate:
    """A simulator that is asked directly, by one who is let in."""

    def __init__(self, label: str, **changes: Any) -> None:
        self.clock = ManualClock()
        self.faults = FaultBook()
        self.label = label
        self.simulator: Simulator = registry.create(label, Surroundings(self.clock, self.faults, known(label)))
        self.settings = (
            MODULES[label].parse(msgspec.json.encode({**known(label), **changes}))
            if changes
            else settings_of(label)
        )
        self.path = {
            "hms": f"/v1/{known(label).get('appId')}/messages:send",
            "harmony": f"/v3/{known(label).get('projectId')}/messages:send",
            "honor": f"/api/v1/{known(label).get('appId')}/sendMessage",
        }[label]
        self.access = ""

    async def headers(self) -> dict[str, str]:
        """Of a request that is right."""
        if not self.access:
            self.access = await self._access()
        return {
            "content-type": "application/json",
            "authorization": f"Bearer {self.access}",
            "timestamp": str(self.clock.now_ms()),
            "push-type": "0",
        }

    async def post(self, body: bytes, path: str = "", **headers: str | None) -> Reply:
        """Send a body; headers besides the right ones, None for one that is left out."""
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        merged = {**(await self.headers()), **changed}
        named = {name: value for name, value in merged.items() if value is not None}
        return self.simulator.handle(Received("POST", path or self.path, "", named, body))

    async def send(self, form: Rendered, *tokens: str) -> dict[str, Any]:
        """Send a form; the answer."""
        headers = {name.replace("-", "_"): value for name, value in form.headers.items()}
        reply = await self.post(form.body(tokens or ("token-1",)), **headers)
        answer: dict[str, Any] = msgspec.json.decode(reply.body)
        return answer

    def login(self, **form: str) -> Reply:
        """Ask for an access token."""
        file = known(self.label)
        fields = {
            "grant_type": "client_credentials",
            "client_id": file.get("clientId", file.get("appId")),
            "client_secret": file.get("clientSecret", file.get("appSecret")),
            **form,
        }
        path = "/" + file["tokenUrl"].split("/", 3)[3]
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self.simulator.handle(Received("POST", path, "", headers, urlencode(fields).encode()))

    def fault(self, kind: str, **members: Any) -> None:
        """Set a fault; members as in JSON."""
        self.faults.set([msgspec.convert({"channel": self.label, "kind": kind, **members}, Fault)])

    async def _access(self) -> str:
        if self.label in OAUTH:
            return str(msgspec.json.decode(self.login().body)["access_token"])
        return (await Signer(self.settings.service_account, self.clock).fetch()).value


def decoded(form: Rendered) -> dict[str, Any]:
    """A form without tokens as a JSON value."""
    value: dict[str, Any] = msgspec.json.decode(form.body(()))
    return value


def found(value: Any, path: str) -> Any:
    """The member of a JSON value at a path with dots; None if it is not there."""
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def push(**fields: Any) -> PushContent:
    """A content with a title and text."""
    return PushContent(**{"title": "Parcel", "content": "It waits for you", **fields})
