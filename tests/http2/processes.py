"""Servers that others wrote, as child processes on free ports of this machine."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clarion.http2.origin import Origin, client_tls
from clarion.http2.pool import Pool, PoolLimits
from tests.unit.http2.server import HOST

START_SECONDS, STOP_SECONDS = 30.0, 10.0


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        process: the child process.
        port: where it listens.
        folder: its files; the certificate is `cert.pem`.
    """

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @asynccontextmanager
    async def pool(self, **limits: Any) -> AsyncIterator[Pool]:
        """A pool of the sender to it, over TLS."""
        known = {"connections": 2, "request_timeout": 20.0, "backoff": 0.1, **limits}
        pool = Pool(Origin(HOST, self.port, client_tls(str(self.folder / "cert.pem"))), PoolLimits(**known))
        try:
            yield pool
        finally:
            await pool.close(1.0)


@contextmanager
def child(command: Sequence[str], port: int, folder: Path, **options: Any) -> Iterator[Server]:
    """A server until the end of the block; afterwards nobody listens on its port.

    Args:
        command: what starts it, in the foreground.
        port: where it will listen.
        folder: where it runs, and where its output goes (`output.txt`).
        options: further ones of `Popen`.
    """
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, **options)
    try:
        _wait(process, port, folder)
        yield Server(process, port, folder)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
    assert not _listening(port)


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _listening(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError((folder / "output.txt").read_text("utf-8", "replace"))
        time.sleep(0.02)


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
