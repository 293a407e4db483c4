"""From an SDK's request through a real server to every vendor's simulator, and back into the trace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clarion.channels.registry import Channel
from clarion.simulators.faults import Fault, FaultKind
from clarion.simulators.hall import Hall
from tests.support.client import Connection, form, push_parameters, sign
from tests.support.server import ServerProcess, run_clarion
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants

pytestmark = pytest.mark.real_process

APP = ("--app-id", APP_ID, "--workspace-id", WORKSPACE_ID)
NAMES = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
SECONDS = 20.0
IOS_TOKEN = "ab" * 32
VENDORS = [channel for channel in Channel if channel is not Channel.LINK]
OS_TYPES = {Channel.APNS: 2, Channel.HARMONY: 7}
TOKENS = {Channel.HONOR: "honor-token-1", Channel.OPPO: "OPPO_CN_" + "0" * 32, Channel.VIVO: "1" * 23}


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    async with Hall(folder=tmp_path / "credentials") as opened:
        yield opened


@pytest.fixture
def caller(server: ServerProcess, tenants: Tenants) -> Caller:
    return Caller(server, tenants)


class Caller:
    """A back end."""

    def __init__(self, server: ServerProcess, tenants: Tenants) -> None:
        self._server = server
        self._key = tenants.push

    async def __call__(self, action: str, **parameters: object) -> dict[str, Any]:
        async with Connection(self._server.api) as connection:
            answer = (await connection.post(form(sign(self._key, action, {**NAMES, **parameters})))).json()
        assert answer.get("ResultCode", answer.get("Code")) in ("OK", "100"), answer
        return answer

    async def report(self, channel: Channel) -> str:
        """Tell of a device with a token of a vendor; its own token."""
        if channel is Channel.APNS:
            await self("PushReport", DeliveryToken=IOS_TOKEN, OsType=2)
            return IOS_TOKEN
        token = f"device-{channel.label}"
        await self(
            "PushReport",
            DeliveryToken=token,
            OsType=OS_TYPES.get(channel, 1),
            ThirdChannel=channel.third_channel,
            ThirdChannelDeviceToken=TOKENS.get(channel, f"{channel.label}-vendor-token-0123456789abcdef"),
        )
        return token


async def set_up(server: ServerProcess, hall: Hall, tmp_path: Path, *labels: str) -> None:
    """`clarion channel set` with the files that the simulators know."""
    for label in labels:
        file = tmp_path / f"{label}.json"
        await asyncio.to_thread(file.write_text, json.dumps(hall.credentials(label)))
        command = ("channel", "set", *APP, label, "--file", str(file))
        done = await asyncio.to_thread(run_clarion, server.data_dir, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    await asyncio.sleep(1.0)  # a running server knows it within a second


async def traced(server: ServerProcess, target: str, msg_key: str, status: int) -> dict[str, Any]:
    """The trace, once the message has the status."""
    async with asyncio.timeout(SECONDS):
        while True:
            command = ("trace", "--json", *APP, "--target", target, "--msg-key", msg_key)
            done = await asyncio.to_thread(run_clarion, server.data_dir, *command)
            found: dict[str, Any] = json.loads(done.stdout)
            if found["status"] == status:
                return found


async def test_a_push_through_every_vendor(
    server: ServerProcess, caller: Caller, hall: Hall, tmp_path: Path
) -> None:
    await set_up(server, hall, tmp_path, *(channel.label for channel in VENDORS))
    for channel in VENDORS:
        token = await caller.report(channel)
        kind = {1: 1, 2: 2, 7: 7}[OS_TYPES.get(channel, 1)]
        await caller("PushSimple", **push_parameters(token, f"to-{channel.label}", DeliveryType=kind))
        found = await traced(server, token, f"to-{channel.label}", 2)
        assert [hop["outcome"] for hop in found["hops"]] == ["on_disk", "taken"], channel
        pushed = [entry for entry in hall.journal.entries(channel.label) if "content" in entry.body]
        assert [(len(entry.tokens), entry.outcome) for entry in pushed] == [(1, "accepted")], channel


async def test_a_token_that_a_vendor_does_not_know_leaves_the_link(
    server: ServerProcess, caller: Caller, hall: Hall, tmp_path: Path
) -> None:
    await set_up(server, hall, tmp_path, "hms")
    token = await caller.report(Channel.HMS)
    hall.faults.set([Fault(channel="hms", kind=FaultKind.CODE, code="80300007")])
    await caller("PushSimple", **push_parameters(token, "stale"))
    async with asyncio.timeout(SECONDS):
        while (found := await traced(server, token, "stale", 0))["hops"][-1]["outcome"] != "invalid_token":
            pass
    state = await caller("PushQueryDeviceState", Target=token, TargetType=1)
    assert "ThirdToken" not in state["Data"]
    assert "device link" in found["hops"][-1]["cause"]


async def test_vendors_that_fail_hold_up_nobody_else(
    server: ServerProcess, caller: Caller, hall: Hall, tmp_path: Path
) -> None:
    await set_up(server, hall, tmp_path, "hms", "miui")
    sick, well = await caller.report(Channel.HMS), await caller.report(Channel.MIUI)
    hall.faults.set([Fault(channel="hms", kind=FaultKind.STALL)])
    for number in range(5):
        await caller("PushSimple", **push_parameters(sick, f"sick-{number}"))
        await caller("PushSimple", **push_parameters(well, f"well-{number}"))
    for number in range(5):
        await traced(server, well, f"well-{number}", 2)
    assert (await traced(server, sick, "sick-0", 0))["hops"][-1]["outcome"] == "vendor_queued"
