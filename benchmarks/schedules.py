"""A hundred schedules due at the same second, while 200 PushSimple a second go on.

A real server on one core; on another 100 connected devices, that acknowledge what they get, and the requests. First
the pushes alone; then while 100 timed pushes of one target each come due, all at one second; then while 100 timed
PushMultiple of 400 targets each do (one of them connected, the others registered but offline). Lateness is from the
planned time to the arrival at the device, by the wall clock; the latency of a PushSimple is from the time at which
it was due to its answer, over four seconds around that second. Every schedule has to arrive exactly once.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import uvloop

from benchmarks.devices import Device, connect_devices
from benchmarks.figures import BenchmarkFailed, Figure, percentile, run_script, stage
from benchmarks.pushes import closed_loop, open_loop, push_request
from benchmarks.server import APP_ID, CLIENT_CORE, HOST, WORKSPACE_ID, BenchServer, pinned, running_server
from clarion.cli.rpc_client import signed
from clarion.link.protocol import Push

SCHEDULES, RATE, SECONDS, TARGETS = 100, 200, 4, 400
CONNECTED, OFFLINE = 100, TARGETS - 1
_BEFORE, _AFTER = 2, 30.0
_CONNECTIONS = 32
_SHARED = {
    "AppId": APP_ID,
    "WorkspaceId": WORKSPACE_ID,
    "TaskName": "bench",
    "DeliveryType": "1",
    "ExpiredSeconds": "600",
}

Schedule = Callable[[BenchServer, str, int, int], bytes]
"""Makes the request of one schedule: server, message key, number, planned time (ms)."""


@dataclass(frozen=True, slots=True)
class _Round:
    late: list[float]  # s, from planned to the device
    answered: list[float]  # s, from due to the answer


class Arrivals:
    """Notes when each schedule's push reached its device, and acknowledges everything."""

    def __init__(self) -> None:
        self.expected: set[str] = set()
        self.at: dict[str, float] = {}
        self.complete = asyncio.Event()

    def expect(self, keys: Sequence[str]) -> None:
        """Begin anew."""
        self.expected, self.at = set(keys), {}
        self.complete.clear()

    def on_push(self, device: Device, push: Push) -> None:
        """A push arrived."""
        device.acknowledge(push)
        if push.msg_key not in self.expected:
            return
        if push.msg_key in self.at:
            raise BenchmarkFailed(f"{push.msg_key} arrived twice")
        self.at[push.msg_key] = time.time()
        if len(self.at) == len(self.expected):
            self.complete.set()


def measure() -> list[Figure]:
    """Run it; the figures."""
    with pinned(CLIENT_CORE), running_server(devices=CONNECTED + OFFLINE) as server:
        return uvloop.run(_measure(server))


async def _measure(server: BenchServer) -> list[Figure]:
    arrivals = Arrivals()
    devices = await connect_devices(server.link_port, server.devices[:CONNECTED], on_push=arrivals.on_push)
    template = _request(server, "CreateTemplate", TemplateName="bench", DescInfo="d", Title="#t#", Content="c")
    await closed_loop(server.api_port, [template], 1, b'"Code":"100"')
    chance = random.Random(1)
    await _pushes(server, chance, "warm", time.perf_counter() + _BEFORE, 2)
    stage(f"{RATE} pushes a second alone")
    calm = await _pushes(server, chance, "calm", time.perf_counter() + _BEFORE, SECONDS)
    stage(f"{SCHEDULES} schedules of 1 target at once")
    small = await _round(server, arrivals, chance, "small", _simple, 3)
    stage(f"{SCHEDULES} schedules of {TARGETS} targets at once")
    large = await _round(server, arrivals, chance, "large", _multiple, 10)
    for device in devices:
        device.abort()
    return _figures(calm, small, large)


async def _round(
    server: BenchServer, arrivals: Arrivals, chance: random.Random, name: str, schedule: Schedule, making: int
) -> _Round:
    """Make the schedules, which takes up to `making` seconds, and push while they are due."""
    keys = [f"{name}-{n}" for n in range(SCHEDULES)]
    arrivals.expect(keys)
    planned = int(time.time()) + making + _BEFORE
    requests = [schedule(server, key, n, planned * 1000) for n, key in enumerate(keys)]
    await closed_loop(server.api_port, requests, 4)
    begin = time.perf_counter() + planned - _BEFORE - time.time()
    if begin < time.perf_counter():
        raise BenchmarkFailed("making the schedules took too long")
    answered = await _pushes(server, chance, name, begin, SECONDS)
    try:
        async with asyncio.timeout(_AFTER):
            await arrivals.complete.wait()
    except TimeoutError:
        raise BenchmarkFailed(f"{SCHEDULES - len(arrivals.at)} schedules did not reach their devices") from None
    return _Round([at - planned for at in arrivals.at.values()], answered)


async def _pushes(server: BenchServer, chance: random.Random, name: str, begin: float, seconds: int) -> list[float]:
    """Latencies of PushSimple at `RATE` for a while."""
    due, requests = begin, []
    for number in range(RATE * seconds):
        due += chance.expovariate(RATE)
        target = server.devices[number % CONNECTED].token
        requests.append((due, push_request(server, 1, target, f"push-{name}-{number}")))
    return (await open_loop(server.api_port, requests, _CONNECTIONS)).latencies


def _simple(server: BenchServer, key: str, number: int, at: int) -> bytes:
    targets = json.dumps({server.devices[number % CONNECTED].token: key})
    return _request(server, "PushSimple", **_SHARED, **_timed(at), Title="t", Content="c", TargetMsgkey=targets)


def _multiple(server: BenchServer, key: str, number: int, at: int) -> bytes:
    chosen = [server.devices[number % CONNECTED], *server.devices[CONNECTED:]]
    entries = {}
    for index, device in enumerate(chosen, start=1):
        entries[f"TargetMsg.{index}.Target"] = device.token
        entries[f"TargetMsg.{index}.MsgKey"] = key if index == 1 else f"{key}-{index}"
        entries[f"TargetMsg.{index}.TemplateKeyValue"] = f'{{"t":"hello {index}"}}'
    return _request(server, "PushMultiple", **_SHARED, **_timed(at), TemplateName="bench", **entries)


def _timed(at: int) -> dict[str, str]:
    return {"StrategyType": "1", "StrategyContent": json.dumps({"fixedTime": at})}


def _request(server: BenchServer, action: str, **parameters: str) -> bytes:
    values = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID, **parameters}
    body = urlencode(signed(server.key.key_id, server.key.secret.decode(), action, values, "POST")).encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: {HOST}:{server.api_port}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _figures(calm: list[float], small: _Round, large: _Round) -> list[Figure]:
    alone = max(calm) * 1e3
    figures = [Figure(name="PushSimple alone, p99", value=percentile(calm, 0.99) * 1e3, unit="ms")]
    for one, kind, floor, aim in ((small, "1 target", 1000, 500), (large, f"{TARGETS} targets", 10_000, 5_000)):
        figures += [
            Figure(
                name=f"{SCHEDULES} schedules of {kind}, the latest", value=max(one.late) * 1e3, unit="ms",
                floor=floor, aim=aim, notes=f"p50 {percentile(one.late, 0.5) * 1e3:.0f} ms",
            ),
            Figure(
                name=f"PushSimple meanwhile ({kind}), longest", value=max(one.answered) * 1e3, unit="ms",
                floor=alone + 100, aim=alone + 50, notes=f"alone {alone:.0f} ms",
            ),
            Figure(
                name=f"PushSimple meanwhile ({kind}), p99", value=percentile(one.answered, 0.99) * 1e3, unit="ms",
            ),
        ]  # fmt: skip
    return figures


if __name__ == "__main__":
    run_script(measure)
