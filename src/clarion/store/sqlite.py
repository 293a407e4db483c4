"""SQLite: one writer thread, a few reader threads, WAL with full synchronisation.

Work is written as coroutines for both databases. Here it runs inside a thread, where no statement ever
suspends, so the coroutine is driven to its end in one step.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from clarion.failures import ConfigurationError, StoreUnavailable
from clarion.store.database import Row, Work
from clarion.store.queries import Backend, Insert, Query

T = TypeVar("T")

OLDEST_SQLITE = (3, 35, 0)
_BUSY_SECONDS = 5.0
_READERS = 2

# The database itself is sound and another attempt may succeed; anything else is an error of the statement.
_PASSING = ("full", "locked", "busy", "disk i/o", "unable to open", "readonly", "out of memory")


class SqliteTransaction:
    """`Transaction` on a sqlite3 connection; its coroutines never suspend."""

    backend = Backend.SQLITE

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    async def fetch(self, query: Query, /, **values: Any) -> Sequence[Row]:
        return self._execute(*query.prepare(Backend.SQLITE, values)).fetchall()

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        row: Row | None = self._execute(*query.prepare(Backend.SQLITE, values)).fetchone()
        return row

    async def execute(self, query: Query, /, **values: Any) -> int:
        return self._execute(*query.prepare(Backend.SQLITE, values)).rowcount

    async def insert(self, insert: Insert, rows: Sequence[Row]) -> Sequence[Row]:
        returned: list[Row] = []
        for statement, values in insert.statements(Backend.SQLITE, rows):
            returned += self._execute(statement, values).fetchall()
        return returned


class SqliteDatabase:
    """`Database` on one SQLite file.

    Args:
        path: the file; made if it is not there.
    """

    backend = Backend.SQLITE

    def __init__(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise ConfigurationError(
                f"this Python has SQLite {sqlite3.sqlite_version}; Clarion needs 3.35 or newer (or PostgreSQL)"
            )
        self._path = path
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._reader_threads = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-reader")
        self._writer: sqlite3.Connection | None = None
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._opened: list[sqlite3.Connection] = []

    async def read(self, work: Work[T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader_threads, self._read, work)

    async def write(self, work: Work[T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer_thread, self._write, work)

    async def close(self) -> None:
        for pool in (self._reader_threads, self._writer_thread):
            await asyncio.to_thread(pool.shutdown)
        for connection in self._opened:
            connection.close()
        self._opened.clear()

    def _read(self, work: Work[T]) -> T:
        try:
            reader = self._take_reader()
            try:
                reader.execute("BEGIN")
                return _drive(work, reader)
            finally:
                _leave(reader)
                self._readers.put(reader)
        except sqlite3.OperationalError as error:
            raise _translated(error) from error

    def _write(self, work: Work[T]) -> T:
        try:
            if self._writer is None:
                self._writer = self._connect(writable=True)
            writer = self._writer
            writer.execute("BEGIN IMMEDIATE")
            try:
                result = _drive(work, writer)
                writer.execute("COMMIT")
            finally:
                _leave(writer)
            return result
        except sqlite3.OperationalError as error:
            raise _translated(error) from error

    def _take_reader(self) -> sqlite3.Connection:
        try:
            return self._readers.get_nowait()
        except queue.Empty:
            return self._connect(writable=False)

    def _connect(self, *, writable: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            _set_up(connection, writable=writable)
        except BaseException:
            connection.close()
            raise
        self._opened.append(connection)
        return connection


def _drive(work: Work[T], connection: sqlite3.Connection) -> T:
    steps = work(SqliteTransaction(connection)).__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("work on SQLite awaited something that is not a statement of its transaction")


def _set_up(connection: sqlite3.Connection, *, writable: bool) -> None:
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -65536" if writable else "PRAGMA cache_size = -16384")
    if writable:
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        connection.execute("PRAGMA journal_size_limit = 67108864")
    else:
        connection.execute("PRAGMA query_only = ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    # Unlike other statements, the first change of the mode fails at once while another process is at the file.
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _leave(connection: sqlite3.Connection) -> None:
    # A full disk can end the transaction by itself, or leave it open; either way nothing of it stays.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _translated(error: sqlite3.OperationalError) -> Exception:
    text = str(error).lower()
    if any(passing in text for passing in _PASSING):
        return StoreUnavailable(str(error))
    return error
