"""A sender that somebody else wrote in another language talks to the simulator of APNs: `@parse/node-apn`."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from clarion.simulators.faults import Fault, FaultKind
from clarion.simulators.hall import Hall
from tests.sdk.foreign import INSTALL_SECONDS

pytestmark = [
    pytest.mark.foreign_sdk,
    pytest.mark.timeout(INSTALL_SECONDS),
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs node and npm"),
]

GONE_SINCE = 1_700_000_000_000


@pytest.fixture(scope="module")
def apn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the program and the package of its lock file."""
    directory = tmp_path_factory.mktemp("apn")
    for name in ("package.json", "package-lock.json", "apn.js"):
        shutil.copy(Path(__file__).with_name("apn") / name, directory)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=directory, capture_output=True, check=True, timeout=INSTALL_SECONDS)
    return directory


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    async with Hall(labels=["apns"], folder=tmp_path) as opened:
        yield opened


async def send(directory: Path, hall: Hall, devices: Sequence[str], **changes: str) -> dict[str, Any]:
    """What node-apn says of notifications for some devices."""
    where, file = urlsplit(hall.url("apns")), hall.credentials("apns") | changes
    token = {"key": file["privateKey"], "keyId": file["keyId"], "teamId": file["teamId"]}
    job = {
        "address": where.hostname, "port": where.port, "ca": str(file["caFile"]), "token": token,
        "topic": file["bundleId"], "devices": list(devices),
    }  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, ["node", "apn.js"], cwd=directory, input=json.dumps(job), capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


async def test_notifications_are_taken(apn: Path, hall: Hall) -> None:
    devices = [f"{number:064x}" for number in range(500)]
    result = await send(apn, hall, devices)
    assert sorted(result["sent"]) == devices
    assert result["failed"] == []
    assert sorted(entry.tokens[0] for entry in hall.journal.entries("apns")) == devices


async def test_refusals_are_understood(apn: Path, hall: Hall) -> None:
    gone = f"{7:064x}"
    fault = Fault(channel="apns", kind=FaultKind.CODE, code="Unregistered", token=gone, since=GONE_SINCE)
    hall.faults.set([fault])
    result = await send(apn, hall, [f"{8:064x}", gone, "12"])
    assert result["sent"] == [f"{8:064x}"]
    failed = {one["device"]: (one["status"], one["response"]["reason"]) for one in result["failed"]}
    assert failed == {gone: (410, "Unregistered"), "12": (400, "BadDeviceToken")}
