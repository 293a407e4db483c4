"""A channel whose vendor refuses every token: tokens are kept, and an operator sees it in each place."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from clarion.channels.registry import Channel
from clarion.simulators.faults import Fault, FaultKind
from clarion.simulators.hall import Hall
from tests.server.test_vendors import APP, SECONDS, Caller, caller, hall, set_up, traced
from tests.support.client import Connection, push_parameters
from tests.support.server import ServerProcess, run_clarion

pytestmark = pytest.mark.real_process
__all__ = ["caller", "hall"]  # fixtures

PHONES = 80


async def test_tokens_are_kept_when_all_are_refused(
    server: ServerProcess, caller: Caller, hall: Hall, tmp_path: Path
) -> None:
    await set_up(server, hall, tmp_path, "hms")
    for number in range(PHONES):
        await caller(
            "PushReport",
            DeliveryToken=f"guarded-{number}",
            OsType=1,
            ThirdChannel=Channel.HMS.third_channel,
            ThirdChannelDeviceToken=f"hms-token-{number:032}",
        )
    hall.faults.set([Fault(channel="hms", kind=FaultKind.CODE, code="80300007")])
    for start in range(0, PHONES, 10):
        keys = json.dumps({f"guarded-{number}": "key" for number in range(start, start + 10)})
        await caller("PushSimple", **push_parameters("guarded-0", "key", TargetMsgkey=keys))

    counted = 'clarion_vendor_targets_total{app="%s",channel="hms",outcome="invalid_token",workspace="%s"}'
    found: dict[str, float] = {}
    async with Connection(server.api) as connection, asyncio.timeout(SECONDS):
        while found.get(counted % (APP[1], APP[3]), 0.0) < PHONES:
            found = await series(connection)
    labels = f'app="{APP[1]}",channel="hms"'
    assert found[f'clarion_vendor_tokens_kept{{{labels},workspace="{APP[3]}"}}'] == 1
    assert found[f'clarion_vendor_breaker{{{labels},state="closed",workspace="{APP[3]}"}}'] == 1
    assert found[f'clarion_vendor_rate{{{labels},workspace="{APP[3]}"}}'] == 6000

    async with asyncio.timeout(SECONDS):
        while (await traced(server, f"guarded-{PHONES - 1}", "key", 0))["hops"][-1]["outcome"] != "token_kept":
            pass
    done = await asyncio.to_thread(run_clarion, server.data_dir, "channel", "list", *APP, "--json")
    (entry,) = [entry for entry in json.loads(done.stdout) if entry["channel"] == "hms"]
    (notice,) = entry["notices"]
    assert notice["kind"] == "tokens_kept"
    assert "sandbox and production" in notice["text"]
    states = [await caller("PushQueryDeviceState", Target=f"guarded-{n}", TargetType=1) for n in range(PHONES)]
    kept = sum("ThirdToken" in state["Data"] for state in states)
    assert PHONES - 49 <= kept < PHONES  # those before the fiftieth outcome say nothing yet


async def series(connection: Connection) -> dict[str, float]:
    """All series of the server."""
    text = (await connection.request("GET", "/metrics")).body.decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}
