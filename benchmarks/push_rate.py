"""Signed PushSimple requests, each answered OK after its commit, in a closed loop on 64 keep-alive connections.

The server (SQLite with `synchronous=FULL`, log at info) has one core, the client another. The requests are signed
before the clock runs and carry one target each. CPU is that of all the server's threads, with what the kernel does
on their behalf. Three rounds; the one with the least CPU a push is reported. The peer is `/healthz` of the same
server under the same load: what an empty answer costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from benchmarks.figures import Figure, listed, percentile, run_script, stage
from benchmarks.pushes import ACCEPTED, closed_loop, get_request, push_request
from benchmarks.server import CLIENT_CORE, BenchServer, pinned, running_server

WARM_UP, REQUESTS, ROUNDS, CONNECTIONS, DEVICES = 2_000, 10_000, 3, 64, 100
_HEALTHY = b'"status":"ok"'
_USERS, _TOKENS = 3, 1  # delivery types


@dataclass(frozen=True, slots=True)
class _Round:
    rate: float
    cpu: float  # µs a request
    p50: float  # ms
    p99: float  # ms


def measure() -> list[Figure]:
    """Run it; the figures."""
    with pinned(CLIENT_CORE), running_server(devices=DEVICES) as server:
        _round(server, [push_request(server, _USERS, f"warm{n}", f"key{n}") for n in range(WARM_UP)], ACCEPTED)
        users = _rounds(
            "pushes to users", server, lambda name, n: push_request(server, _USERS, f"{name}-{n}", "key")
        )
        tokens = _rounds("pushes to offline devices", server, lambda name, n: push_request(
            server, _TOKENS, server.devices[n % DEVICES].token, f"key{name}-{n}"
        ))  # fmt: skip
        empty = _rounds("empty answers", server, lambda _, __: get_request(server, "/healthz"), _HEALTHY)
        memory = server.rss() / 2**20
    best, offline, peer = _best(users), _best(tokens), _best(empty)
    return [
        Figure(
            name="durable PushSimple, one core", value=best.rate, unit="1/s", floor=6_000, aim=10_000,
            higher_is_better=True,
            notes=f"best of rounds {listed(r.rate for r in users)}; RSS at the end {memory:.0f} MB",
        ),
        Figure(
            name="CPU of a PushSimple", value=best.cpu, unit="µs", floor=1e6 / 6_000, aim=1e6 / 10_000,
            notes=f"rounds {listed(r.cpu for r in users)}",
        ),
        Figure(name="PushSimple, p50", value=best.p50, unit="ms", notes=f"{CONNECTIONS} at once"),
        Figure(name="PushSimple, p99", value=best.p99, unit="ms", notes=f"rounds {listed(r.p99 for r in users)}"),
        Figure(
            name="PushSimple to an offline device", value=offline.rate, unit="1/s", higher_is_better=True,
            notes=f"{DEVICES} devices by token; {offline.cpu:.0f} µs CPU; rounds {listed(r.rate for r in tokens)}",
        ),
        Figure(
            name="empty answer (/healthz), one core", value=peer.rate, unit="1/s", higher_is_better=True,
            notes=f"{peer.cpu:.0f} µs CPU; rounds {listed(r.rate for r in empty)}",
        ),
        Figure(name="CPU of a PushSimple, in empty answers", value=best.cpu / peer.cpu, unit="×"),
    ]  # fmt: skip


def _rounds(
    what: str, server: BenchServer, request: Callable[[str, int], bytes], expected: bytes = ACCEPTED
) -> list[_Round]:
    """Some rounds of the requests that `request` makes of the round's name and a number."""
    rounds = []
    for index in range(ROUNDS):
        stage(f"{what}, round {index + 1} of {ROUNDS}")
        rounds.append(_round(server, [request(f"round{index}", n) for n in range(REQUESTS)], expected))
    return rounds


def _round(server: BenchServer, requests: list[bytes], expected: bytes) -> _Round:
    before = server.cpu_seconds()
    load = uvloop.run(closed_loop(server.api_port, requests, CONNECTIONS, expected))
    cpu = (server.cpu_seconds() - before) / len(requests) * 1e6
    p50, p99 = (percentile(load.latencies, share) * 1e3 for share in (0.50, 0.99))
    return _Round(len(requests) / load.seconds, cpu, p50, p99)


def _best(rounds: list[_Round]) -> _Round:
    return min(rounds, key=lambda one: one.cpu)


if __name__ == "__main__":
    run_script(measure)
