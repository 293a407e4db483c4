"""Memory of an idle device connection with its session, plain and over TLS, at 5,000 connections.

A real server with 5,000 registered devices in its store; each device opens a WebSocket, signs its hello and is
welcomed, 64 at a time. The first 200 stay as a warm-up; the growth of the server's resident memory over the others
(two seconds after the last welcome) is divided by their number. It holds everything the process takes for them: TLS
state, transport, session, and what the allocator keeps from the hellos; not the kernel's socket buffers.
"""

from __future__ import annotations

import asyncio

import uvloop

from benchmarks.devices import connect_devices
from benchmarks.figures import Figure, run_script, stage
from benchmarks.server import CLIENT_CORE, BenchServer, pinned, running_server

CONNECTIONS, WARM_UP, SETTLE_SECONDS = 5_000, 200, 2.0


def measure() -> list[Figure]:
    """Run it; the figures."""
    return [
        _figure("an idle connection", floor=16, aim=6, tls=False),
        _figure("an idle connection over TLS", floor=40, aim=28, tls=True),
    ]


def _figure(name: str, floor: float, aim: float, *, tls: bool) -> Figure:
    with pinned(CLIENT_CORE), running_server(devices=CONNECTIONS, tls=tls) as server:
        before, after = uvloop.run(_resident(server, tls=tls))
    return Figure(
        name=f"RSS of {name}",
        value=(after - before) / (CONNECTIONS - WARM_UP) / 1024,
        unit="KB",
        floor=floor,
        aim=aim,
        notes=f"server {before / 2**20:.0f} MB with {WARM_UP}, {after / 2**20:.0f} MB with {CONNECTIONS:,}",
    )


async def _resident(server: BenchServer, *, tls: bool) -> tuple[int, int]:
    """The server's resident memory after the warm-up, and with all connections."""
    devices = await connect_devices(server.link_port, server.devices[:WARM_UP], tls=tls)
    await asyncio.sleep(SETTLE_SECONDS)
    before = server.rss()
    stage(f"connecting {CONNECTIONS:,} devices{' over TLS' if tls else ''}")
    devices += await connect_devices(server.link_port, server.devices[WARM_UP:], tls=tls)
    await asyncio.sleep(SETTLE_SECONDS)
    after = server.rss()
    for device in devices:
        device.abort()
    return before, after


if __name__ == "__main__":
    run_script(measure)
