"""Targets of PushMultiple, each answered OK after its commit: 400 targets a request, on 8 keep-alive connections.

The server (SQLite with `synchronous=FULL`, log at info) has one core, the client another. The requests are signed
before the clock runs; every target has values of its own for the template's two placeholders. CPU is that of all
the server's threads, with what the kernel does on their behalf. Five rounds, of users without a device and of
devices that are offline (a hundred, each four times in a request, with keys of its own); of each the highest rate
and the least CPU are reported.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop

from benchmarks.figures import BenchmarkFailed, Figure, listed, percentile, run_script, stage
from benchmarks.pushes import closed_loop, rpc_request
from benchmarks.server import APP_ID, CLIENT_CORE, HOST, WORKSPACE_ID, BenchServer, pinned, running_server
from clarion.cli.rpc_client import call

TARGETS, WARM_UP, REQUESTS, ROUNDS, CONNECTIONS, DEVICES = 400, 10, 60, 5, 8, 100
_USERS, _TOKENS = 3, 1  # delivery types
_APP = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID, "TemplateName": "winners"}


@dataclass(frozen=True, slots=True)
class _Round:
    rate: float  # targets a second
    cpu: float  # µs a target
    p99: float  # ms a request
    others: float  # share of the server's core that other programs took


def measure() -> list[Figure]:
    """Run it; the figures."""
    with pinned(CLIENT_CORE), running_server(devices=DEVICES) as server:
        _make_template(server)
        _round(server, "warm", _USERS, WARM_UP)
        users, tokens = zip(*(_rounds(server, index) for index in range(ROUNDS)), strict=True)
        memory = server.rss() / 2**20
    return _figures(users, tokens, memory)


def _make_template(server: BenchServer) -> None:
    text = {"DescInfo": "benchmark", "Title": "Hi #name#", "Content": "恭喜 #name#: you won RMB #money#."}
    address = f"http://{HOST}:{server.api_port}"
    answer = call(address, server.key.key_id, server.key.secret.decode(), "CreateTemplate", {**_APP, **text})
    if answer.get("Code") != "100":
        raise BenchmarkFailed(f"no template: {answer}")


def _rounds(server: BenchServer, index: int) -> tuple[_Round, _Round]:
    stage(f"{REQUESTS * TARGETS:,} targets of each kind, round {index + 1} of {ROUNDS}")
    return (
        _round(server, f"users{index}", _USERS, REQUESTS),
        _round(server, f"tokens{index}", _TOKENS, REQUESTS),
    )


def _round(server: BenchServer, name: str, delivery_type: int, count: int) -> _Round:
    requests = [_request(server, f"{name}-{number}", delivery_type) for number in range(count)]
    before = server.reading()
    load = uvloop.run(closed_loop(server.api_port, requests, CONNECTIONS))
    after = server.reading()
    targets = count * TARGETS
    cpu = after.cpu_since(before) / targets * 1e6
    return _Round(targets / load.seconds, cpu, percentile(load.latencies, 0.99) * 1e3, after.others_since(before))


def _request(server: BenchServer, name: str, delivery_type: int) -> bytes:
    business = {**_APP, "TaskName": name, "DeliveryType": str(delivery_type), "ExpiredSeconds": "600"}
    for number in range(TARGETS):
        user = f"{name}-{number}"
        target = user if delivery_type == _USERS else server.devices[number % DEVICES].token
        entry = {
            "Target": target,
            "MsgKey": user,
            "TemplateKeyValue": json.dumps({"name": f"Bob {number}", "money": "200"}),
        }
        business |= {f"TargetMsg.{number + 1}.{field}": value for field, value in entry.items()}
    return rpc_request(server, "PushMultiple", business)


def _figures(users: Sequence[_Round], tokens: Sequence[_Round], memory: float) -> list[Figure]:
    best, offline = (max(rounds, key=lambda one: one.rate) for rounds in (users, tokens))
    cpu, offline_cpu = (min(one.cpu for one in rounds) for rounds in (users, tokens))
    return [
        Figure(
            name="targets of PushMultiple, one core", value=best.rate, unit="1/s", floor=25_000, aim=40_000,
            higher_is_better=True,
            notes=f"rounds {listed(r.rate for r in users)}; others had {best.others:.0%} of the core; "
            f"RSS at the end {memory:.0f} MB",
        ),
        Figure(
            name="CPU of a target", value=cpu, unit="µs", floor=1e6 / 25_000, aim=1e6 / 40_000,
            notes=f"rounds {listed(r.cpu for r in users)}",
        ),
        Figure(
            name="targets that are offline devices", value=offline.rate, unit="1/s", higher_is_better=True,
            notes=f"{offline_cpu:.0f} µs CPU; rounds {listed(r.rate for r in tokens)}",
        ),
        Figure(
            name="PushMultiple of 400, p99", value=best.p99, unit="ms",
            notes=f"{CONNECTIONS} at once; rounds {listed(r.p99 for r in users)}",
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    run_script(measure)
