"""What the upper rooms see of a database: transactions, reads, and the errors that they may meet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from clarion.store.queries import Backend, Insert, Query

T = TypeVar("T")
Row = Sequence[Any]


class Transaction(Protocol):
    """Statements inside one transaction."""

    backend: Backend

    async def fetch(self, query: Query, /, **values: Any) -> Sequence[Row]:
        """All rows of a query, or of a statement with RETURNING."""
        ...

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        """The first row, or None."""
        ...

    async def execute(self, query: Query, /, **values: Any) -> int:
        """Carry out a statement; the number of rows it touched."""
        ...

    async def insert(self, insert: Insert, rows: Sequence[Row]) -> Sequence[Row]:
        """Write many rows; what RETURNING gives."""
        ...


Work = Callable[[Transaction], Awaitable[T]]


class Database(Protocol):
    """A database of either kind.

    Every method raises `clarion.failures.StoreUnavailable` when the database cannot do its work just now;
    errors of the data itself (a value it cannot hold) come as the driver raised them.
    """

    backend: Backend

    async def read(self, work: Work[T]) -> T:
        """Run `work` on a consistent snapshot; it must not write."""
        ...

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction of its own and commit it durably."""
        ...

    async def close(self) -> None:
        """Release every connection."""
        ...
