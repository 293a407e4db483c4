"""Signed PushSimple requests, each answered OK after its commit, in a closed loop on 64 keep-alive connections.

The server (SQLite with `synchronous=FULL`, log at info) has one core, the client another. The requests are signed
before the clock runs and carry one target each. CPU is that of all the server's threads, with what the kernel does
on their behalf. Six rounds, of users without a device and of 100 registered devices that are offline; of each the
highest rate, with its latencies, and the least CPU are reported. The peer is `/healthz` of the same server under
the same load: what an empty answer costs. The rounds take turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import uvloop

from benchmarks.figures import Figure, listed, percentile, run_script, stage
from benchmarks.pushes import ACCEPTED, closed_loop, get_request, push_request
from benchmarks.server import CLIENT_CORE, BenchServer, pinned, running_server

WARM_UP, REQUESTS, ROUNDS, CONNECTIONS, DEVICES = 2_000, 10_000, 6, 64, 100
_HEALTHY = b'"status":"ok"'
_USERS, _TOKENS = 3, 1  # delivery types


@dataclass(frozen=True, slots=True)
class _Round:
    rate: float
    cpu: float  # µs a request
    p50: float  # ms
    p99: float  # ms
    others: float  # share of the server's core that other programs took


def measure() -> list[Figure]:
    """Run it; the figures."""
    with pinned(CLIENT_CORE), running_server(devices=DEVICES) as server:
        _round(server, [_to_user(server, "warm", n) for n in range(WARM_UP)], ACCEPTED)
        users, tokens, empty = zip(*(_rounds(server, index) for index in range(ROUNDS)), strict=True)
        memory = server.rss() / 2**20
    return _figures(users, tokens, empty, memory)


def _rounds(server: BenchServer, index: int) -> tuple[_Round, _Round, _Round]:
    """One round of each load: pushes to users, pushes to offline devices, empty answers."""
    stage(f"{REQUESTS:,} requests of each kind, round {index + 1} of {ROUNDS}")
    name = f"round{index}"
    return (
        _round(server, [_to_user(server, name, n) for n in range(REQUESTS)], ACCEPTED),
        _round(server, [_to_device(server, name, n) for n in range(REQUESTS)], ACCEPTED),
        _round(server, [get_request(server, "/healthz")] * REQUESTS, _HEALTHY),
    )


def _round(server: BenchServer, requests: list[bytes], expected: bytes) -> _Round:
    before = server.reading()
    load = uvloop.run(closed_loop(server.api_port, requests, CONNECTIONS, expected))
    after = server.reading()
    p50, p99 = (percentile(load.latencies, share) * 1e3 for share in (0.50, 0.99))
    cpu = after.cpu_since(before) / len(requests) * 1e6
    return _Round(len(requests) / load.seconds, cpu, p50, p99, after.others_since(before))


def _to_user(server: BenchServer, name: str, number: int) -> bytes:
    return push_request(server, _USERS, f"{name}-{number}", "key")


def _to_device(server: BenchServer, name: str, number: int) -> bytes:
    return push_request(server, _TOKENS, server.devices[number % DEVICES].token, f"{name}-{number}")


def _figures(
    users: Sequence[_Round], tokens: Sequence[_Round], empty: Sequence[_Round], memory: float
) -> list[Figure]:
    best, offline, peer = (max(rounds, key=lambda one: one.rate) for rounds in (users, tokens, empty))
    cpu, offline_cpu, peer_cpu = (min(one.cpu for one in rounds) for rounds in (users, tokens, empty))
    ratio = median(push.cpu / nothing.cpu for push, nothing in zip(users, empty, strict=True))
    return [
        Figure(
            name="durable PushSimple, one core", value=best.rate, unit="1/s", floor=6_000, aim=10_000,
            higher_is_better=True,
            notes=f"rounds {listed(r.rate for r in users)}; others had {best.others:.0%} of the core; "
            f"RSS at the end {memory:.0f} MB",
        ),
        Figure(
            name="CPU of a PushSimple", value=cpu, unit="µs", floor=1e6 / 6_000, aim=1e6 / 10_000,
            notes=f"rounds {listed(r.cpu for r in users)}",
        ),
        Figure(name="PushSimple, p50", value=best.p50, unit="ms", notes=f"{CONNECTIONS} at once"),
        Figure(name="PushSimple, p99", value=best.p99, unit="ms", notes=f"rounds {listed(r.p99 for r in users)}"),
        Figure(
            name="PushSimple to offline devices", value=offline.rate, unit="1/s", higher_is_better=True,
            notes=f"{offline_cpu:.0f} µs CPU; rounds {listed(r.rate for r in tokens)}",
        ),
        Figure(
            name="empty answer (/healthz)", value=peer.rate, unit="1/s", higher_is_better=True,
            notes=f"{peer_cpu:.0f} µs CPU; rounds {listed(r.rate for r in empty)}",
        ),
        Figure(name="a PushSimple in empty answers", value=ratio, unit="×", notes="of CPU; median of the rounds"),
    ]  # fmt: skip


if __name__ == "__main__":
    run_script(measure)
