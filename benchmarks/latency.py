"""From a push request to its arrival at the device, at 500 pushes a second.

A real server on one core, 100 connected devices that acknowledge what they get, and one client process with the
devices and the requests on another core. The requests (signed beforehand, one device token each) are due at random
times (a Poisson process with a fixed seed), whether or not earlier ones are answered. A latency counts from the
time at which its request was due, so that waiting in the client counts too, up to the frame's arrival at the
device. Every push has to arrive exactly once. Two rounds of 20 seconds; the one with the lower p99 is reported.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

import uvloop

from benchmarks.devices import Device, connect_devices
from benchmarks.figures import BenchmarkFailed, Figure, listed, percentile, run_script, stage
from benchmarks.pushes import open_loop, push_request
from benchmarks.server import CLIENT_CORE, BenchServer, pinned, running_server
from clarion.link.protocol import Push

RATE, SECONDS, ROUNDS, DEVICES, CONNECTIONS = 500, 20, 2, 100, 64
_WARM_UP_SECONDS, _HEAD_START, _LAST_SECONDS = 2, 0.05, 10.0
_TOKENS = 1  # delivery type


@dataclass(frozen=True, slots=True)
class _Round:
    arrived: list[float]  # s, from due to the device
    answered: list[float]  # s, from due to the answer
    cpu: float  # µs a push
    others: float  # share of the server's core that other programs took


def measure() -> list[Figure]:
    """Run it; the figures."""
    with pinned(CLIENT_CORE), running_server(devices=DEVICES) as server:
        rounds = uvloop.run(_rounds(server))
    best = min(rounds, key=lambda one: percentile(one.arrived, 0.99))
    p99 = [percentile(one.arrived, 0.99) * 1e3 for one in rounds]
    return [
        Figure(
            name="push to device, p99", value=min(p99), unit="ms", floor=50, aim=15,
            notes=f"rounds {listed(p99)}; longest {max(best.arrived) * 1e3:.0f} ms; "
            f"others had {best.others:.0%} of the core",
        ),
        Figure(name="push to device, p50", value=percentile(best.arrived, 0.50) * 1e3, unit="ms"),
        Figure(name="push to its answer, p99", value=percentile(best.answered, 0.99) * 1e3, unit="ms"),
        Figure(name="push to its answer, p50", value=percentile(best.answered, 0.50) * 1e3, unit="ms"),
        Figure(
            name="CPU of a push with its ack", value=min(one.cpu for one in rounds), unit="µs",
            notes=f"at {RATE} pushes a second, where few share a commit",
        ),
    ]  # fmt: skip


class Arrivals:
    """Notes when each push reached its device, and acknowledges it."""

    def __init__(self) -> None:
        self.due: dict[str, float] = {}
        self.latencies: list[float] = []
        self.complete = asyncio.Event()

    def expect(self, due: dict[str, float]) -> None:
        """Begin anew: the times at which the pushes are due, by msgKey."""
        self.due, self.latencies = due, []
        self.complete.clear()

    def on_push(self, device: Device, push: Push) -> None:
        """A push arrived."""
        due = self.due.pop(push.msg_key, None)
        if due is None:
            raise BenchmarkFailed(f"{push.msg_key} arrived twice")
        self.latencies.append(time.perf_counter() - due)
        device.acknowledge(push)
        if not self.due:
            self.complete.set()


async def _rounds(server: BenchServer) -> list[_Round]:
    arrivals = Arrivals()
    devices = await connect_devices(server.link_port, server.devices, on_push=arrivals.on_push)
    chance = random.Random(1)
    await _round(server, arrivals, chance, "warm", _WARM_UP_SECONDS)
    rounds = []
    for index in range(ROUNDS):
        stage(f"{RATE} pushes a second for {SECONDS} s, round {index + 1} of {ROUNDS}")
        rounds.append(await _round(server, arrivals, chance, f"round{index}", SECONDS))
    for device in devices:
        device.abort()
    return rounds


async def _round(server: BenchServer, arrivals: Arrivals, chance: random.Random, name: str, seconds: int) -> _Round:
    keys = [f"{name}-{n}" for n in range(RATE * seconds)]
    requests = [push_request(server, _TOKENS, server.devices[n % DEVICES].token, key) for n, key in enumerate(keys)]
    due = time.perf_counter() + _HEAD_START
    times = []
    for _ in keys:
        due += chance.expovariate(RATE)
        times.append(due)
    arrivals.expect(dict(zip(keys, times, strict=True)))
    before = server.reading()
    load = await open_loop(server.api_port, list(zip(times, requests, strict=True)), CONNECTIONS)
    try:
        async with asyncio.timeout(_LAST_SECONDS):
            await arrivals.complete.wait()
    except TimeoutError:
        raise BenchmarkFailed(f"{len(arrivals.due)} pushes did not reach their devices") from None
    after = server.reading()
    cpu = after.cpu_since(before) / len(keys) * 1e6
    return _Round(arrivals.latencies, load.latencies, cpu, after.others_since(before))


if __name__ == "__main__":
    run_script(measure)
