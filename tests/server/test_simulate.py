"""`clarion simulate`: a process with all vendors, what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clarion.simulators import registry
from tests.support.server import clarion_environment, free_address, run_clarion
from tests.unit.simulators.wire import DEVICE, connected, provider_token

pytestmark = pytest.mark.real_process

FEW = ("--port", "0", "--channels", "apns, fcm")
BODY = b'{"aps":{"alert":"a"}}'


@contextmanager
def simulating(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process; it has to end with 0 at SIGTERM."""
    command = [sys.executable, "-m", "clarion", "simulate", *arguments]
    environment = clarion_environment(folder / "data") | {"COLUMNS": "200", "NO_COLOR": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def output(process: subprocess.Popen[bytes], last: str) -> list[str]:
    """What it prints, up to a line that begins with `last`."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.decode().strip())
        if lines[-1].startswith(last):
            break
    return lines


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def notify(urls: dict[str, Any], credentials: dict[str, str]) -> int:
    """Send a notification; the status of its answer."""
    token = provider_token(credentials, time.time())
    headers = {"authorization": f"bearer {token}", "apns-topic": "com.example.app", "apns-push-type": "alert"}
    async with connected(urls["apns"], urls["caFile"]) as wire:
        return (await wire.answer(wire.post(f"/3/device/{DEVICE}", BODY, headers)))[0]


async def test_a_process_with_all_vendors(tmp_path: Path, client: aiohttp.ClientSession) -> None:
    folder = tmp_path / "credentials"
    with simulating(tmp_path, "--port", "0", "--json", "--credentials", str(folder)) as process:
        (line,) = output(process, "{")
        urls = json.loads(line)
        assert set(urls) == {*registry.available(), "caFile", "control"}
        assert Path(urls["caFile"]) == (folder / "ca.pem").resolve()
        for label in registry.available():
            credentials = json.loads((folder / f"{label}.json").read_bytes())
            assert credentials["baseUrl"] == urls[label]
            assert credentials.get("caFile") == (urls["caFile"] if urls[label].startswith("https:") else None)
        assert await notify(urls, json.loads((folder / "apns.json").read_bytes())) == 200
        async with client.get(f"{urls['control']}/journal?channel=apns") as answer:
            (entry,) = await answer.json()
        assert (entry["body"], entry["tokens"], entry["outcome"]) == (BODY.decode(), [DEVICE], "accepted")
        fault = {"channel": "apns", "kind": "status", "status": 500}
        assert (await client.post(f"{urls['control']}/faults", json=fault)).status == 200
        async with connected(urls["apns"], urls["caFile"]) as wire:
            assert (await wire.answer(wire.post("/", BODY, {})))[0] == 500


async def test_ports_and_keys_of_ones_own(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "AuthKey.p8").write_bytes(pem)
    (tmp_path / "settings.json").write_text('{"apns": {"maxStreams": 3}}')
    port = free_address().port
    arguments = [
        "--strict",
        "--channels",
        "apns,fcm",
        "--port",
        str(port),
        "--settings",
        str(tmp_path / "settings.json"),
    ]
    arguments += [
        "--apns-key",
        str(tmp_path / "AuthKey.p8"),
        "--apns-key-id",
        "KEY0000001",
        "--apns-team-id",
        "TEAM000001",
    ]
    with simulating(tmp_path, *arguments) as process:
        shown = output(process, "certificate authority")
        table = dict(line.split() for line in shown[1:-1])
        assert urlsplit(table["control"]).port == port
        assert urlsplit(table["apns"]).port == port + 1
        assert urlsplit(table["fcm"]).port == port + 2
        urls = {**table, "caFile": shown[-1].split(": ")[1]}
        mine = {"keyId": "KEY0000001", "teamId": "TEAM000001", "privateKey": pem.decode()}
        assert await notify(urls, mine) == 200
        assert await notify(urls, {**mine, "keyId": "KEY0000002"}) == 403


def test_what_cannot_be_done(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"

    def complaint(text: str) -> str:
        settings.write_text(text)
        done = run_clarion(tmp_path / "data", "simulate", *FEW, "--settings", str(settings))
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "settings.json" in complaint("{")
    assert "nobody" in complaint('{"nobody": {}}')
    assert "maxStreams" in complaint('{"apns": {"maxStreams": 0}}')
    missing = run_clarion(tmp_path / "data", "simulate", *FEW, "--apns-key", str(tmp_path / "none"))
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "apns.json").write_text('{"teamId":"T","keyId":"K","privateKey":"none","bundleId":"b"}')
    broken = run_clarion(tmp_path / "data", "simulate", *FEW, "--credentials", str(damaged))
    assert (broken.returncode, "damaged" in broken.stderr, "Traceback" in broken.stderr) == (1, True, False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        full = run_clarion(tmp_path / "data", "simulate", "--channels", "apns", "--port", port)
    assert (full.returncode, "cannot listen" in full.stderr) == (1, True)
    unknown = run_clarion(tmp_path / "data", "simulate", "--channels", "nobody")
    assert (unknown.returncode, "'nobody'" in unknown.stderr) == (1, True)
    assert (missing.returncode, "No such file" in missing.stderr) == (1, True)
