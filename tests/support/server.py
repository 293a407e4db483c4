"""Real `clarion serve` processes on free ports of this machine."""

from __future__ import annotations

import json
import os
import random
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import psutil

READY_SECONDS = 30.0
STOP_SECONDS = 30.0


class Address(NamedTuple):
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class ServerProcess:
    """A server process; `with ServerProcess(…) as server:` starts it and always ends it.

    Its ports are free ones; they stay the same after a restart.

    Args:
        data_dir: its data directory; made if it is not there.
        database: URL of a PostgreSQL database, or None for SQLite in `data_dir`.
        log_file: where its standard error goes; beside the data directory if None.
        settings: further settings by name, as `CLARION_…` variables have them.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        database: str | None = None,
        log_file: Path | None = None,
        **settings: object,
    ) -> None:
        self.data_dir = data_dir
        self.log_file = log_file or data_dir.with_name(f"{data_dir.name}.log")
        self._environment = clarion_environment(data_dir, database, settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._api, self._link = free_address(), free_address()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()

    @property
    def api(self) -> Address:
        """The API port."""
        return self._api

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://{self._api}"

    @property
    def link_url(self) -> str:
        """The device link's address."""
        return f"ws://{self._link}/link"

    @property
    def process(self) -> psutil.Process:
        """The running process."""
        return psutil.Process(self._running.pid)

    @property
    def log(self) -> str:
        """What it wrote to standard error, over all its runs."""
        return self.log_file.read_text("utf-8")

    def start(self) -> None:
        """Start it and wait for its ready line."""
        if self._process is not None:
            raise RuntimeError("the server is running")
        command = [sys.executable, "-m", "clarion", "serve", "--json"]
        command += ["--port", str(self._api.port), "--link-port", str(self._link.port)]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
            )
        try:
            ready = self._ready_line()
            assert ready == {"event": "ready", "api": self.url, "link": self.link_url}
        except BaseException:
            self.kill()
            raise

    def terminate(self) -> int:
        """Send SIGTERM and wait; the exit code."""
        self._running.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Send SIGKILL and wait."""
        self._running.kill()
        self.wait()

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        process = self._running
        code = process.wait(STOP_SECONDS)
        if process.stdout is not None:
            process.stdout.close()
        self._process = None
        return code

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process

    def _ready_line(self) -> dict[str, Any]:
        stdout = self._running.stdout
        assert stdout is not None
        readable, _, _ = select.select([stdout], [], [], READY_SECONDS)
        line = stdout.readline() if readable else b""
        if not line:
            raise AssertionError(f"the server did not get ready:\n{self.log[-4000:]}")
        ready: dict[str, Any] = json.loads(line)
        return ready


def free_address() -> Address:
    """A port that nobody listens on, below those that the system gives to clients.

    A client that tries again and again to reach such a port of its own machine can be given that very port,
    is then connected to itself, and the server cannot come back.
    """
    while True:
        address = Address("127.0.0.1", random.randrange(15_000, 32_000))
        with socket.socket() as probe:
            if probe.connect_ex(address) != 0:
                return address


def clarion_environment(
    data_dir: Path, database: str | None = None, settings: Mapping[str, object] | None = None
) -> dict[str, str]:
    """The environment of a `clarion` process: ours without its settings, with those given."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLARION_")}
    environment["CLARION_DATA_DIR"] = str(data_dir)
    if database is not None:
        environment["CLARION_DATABASE_URL"] = database
    return environment | {f"CLARION_{name.upper()}": str(value) for name, value in (settings or {}).items()}


def run_clarion(data_dir: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run a `clarion` command to its end, with `typed` on its standard input."""
    return subprocess.run(
        [sys.executable, "-m", "clarion", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=clarion_environment(data_dir) | {"COLUMNS": "200", "NO_COLOR": "1"},
    )


def set_file_limit(process: psutil.Process, size: int) -> None:
    """Let `process` write no file beyond `size` bytes; `resource.RLIM_INFINITY` takes the limit away."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
