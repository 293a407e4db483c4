"""Servers of HTTP/2 that others wrote; what is not installed is skipped by name."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http2.application import JOURNAL
from tests.http2.processes import Server, child
from tests.support.server import free_address
from tests.unit.http2.server import HOST, certificate

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("real_process")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a certificate and its key."""
    certificate(tmp_path)
    return tmp_path


@pytest.fixture
def hypercorn(folder: Path) -> Iterator[Server]:
    """hypercorn with the application, which says goodbye after 1,000 requests of a connection."""
    port = free_address().port
    command = [
        sys.executable, "-m", "hypercorn", "--bind", f"{HOST}:{port}",
        "--certfile", "cert.pem", "--keyfile", "key.pem",
        "--workers", "0", "--graceful-timeout", "1", "tests.http2.application:app",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), JOURNAL: str(folder / "journal.txt")}
    with child(command, port, folder, env=environment) as server:
        yield server


def installed(name: str) -> str:
    """The path of a program; the test is skipped if there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found
