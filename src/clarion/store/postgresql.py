"""PostgreSQL through asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from clarion.failures import StoreUnavailable
from clarion.store.database import Row, Work
from clarion.store.queries import Backend, Insert, Query

T = TypeVar("T")

_ACQUIRE_SECONDS = 5.0
_COMMAND_SECONDS = 30.0
_ROLLBACK_RETRIES = 3

# The server is away, restarting, out of room or of connections: the same work may succeed later.
_PASSING = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
)


class PostgresqlTransaction:
    """`Transaction` on an asyncpg connection."""

    backend = Backend.POSTGRESQL

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, query: Query, /, **values: Any) -> Sequence[Row]:
        statement, arguments = query.prepare(Backend.POSTGRESQL, values)
        rows: Sequence[Row] = await self._connection.fetch(statement, *arguments)
        return rows

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        statement, arguments = query.prepare(Backend.POSTGRESQL, values)
        row: Row | None = await self._connection.fetchrow(statement, *arguments)
        return row

    async def execute(self, query: Query, /, **values: Any) -> int:
        statement, arguments = query.prepare(Backend.POSTGRESQL, values)
        tag: str = await self._connection.execute(statement, *arguments)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def insert(self, insert: Insert, rows: Sequence[Row]) -> Sequence[Row]:
        returned: list[Row] = []
        for statement, values in insert.statements(Backend.POSTGRESQL, rows):
            returned += await self._connection.fetch(statement, *values)
        return returned


class PostgresqlDatabase:
    """`Database` on a PostgreSQL server.

    Args:
        url: `postgresql://user:password@host:port/database`.
        connections: the most connections to hold.
    """

    backend = Backend.POSTGRESQL

    def __init__(self, url: str, connections: int = 8) -> None:
        self._url = url
        self._connections = connections
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def read(self, work: Work[T]) -> T:
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await work(PostgresqlTransaction(connection))

    async def write(self, work: Work[T]) -> T:
        async with self._connection() as connection:
            for _ in range(_ROLLBACK_RETRIES):
                try:
                    async with connection.transaction():
                        return await work(PostgresqlTransaction(connection))
                except asyncpg.TransactionRollbackError:
                    continue  # the victim of a deadlock; nothing was written
            async with connection.transaction():
                return await work(PostgresqlTransaction(connection))

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            async with (await self._open_pool()).acquire(timeout=_ACQUIRE_SECONDS) as connection:
                yield connection
        except _PASSING as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error

    async def _open_pool(self) -> Any:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url, min_size=1, max_size=self._connections, command_timeout=_COMMAND_SECONDS
                )
        return self._pool
