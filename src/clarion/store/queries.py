"""Statements written once and compiled for the database at hand.

SQLAlchemy Core is the language; the drivers are called directly with the compiled text and positional values,
because its own execution costs more than the statement does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    bindparam,
    func,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.engine import Dialect as SqlDialect
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.expression import Executable


class Backend(Enum):
    """The databases that Clarion runs on."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


_DIALECTS: dict[Backend, SqlDialect] = {
    Backend.SQLITE: sqlite.dialect(paramstyle="qmark"),
    Backend.POSTGRESQL: asyncpg.dialect(),  # type: ignore[no-untyped-call]
}

_PG_ARRAYS: dict[type, str] = {
    BigInteger: "bigint[]",
    Integer: "integer[]",
    SmallInteger: "smallint[]",
    Text: "text[]",
    LargeBinary: "bytea[]",
}


class Terms:
    """Conditions that the two databases say differently; handed to a query's builder."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def any_of(self, column: Column[Any], name: str) -> ColumnElement[bool]:
        """`column` is one of the values of the list parameter `name`."""
        if self.backend is Backend.SQLITE:
            values = func.json_each(bindparam(name, type_=Text)).table_valued("value")
            return column.in_(select(values.c.value))
        return column == func.any(bindparam(name, type_=postgresql.ARRAY(column.type)))

    def pair_of(self, first: Column[int], second: Column[int], name: str) -> ColumnElement[bool]:
        """`(first, second)` is one of the pairs of integers in the list parameter `name` (JSON text)."""
        rows = text(_PAIRS[self.backend].format(name=name)).columns(first=BigInteger, second=BigInteger)
        return tuple_(first, second).in_(rows)


_PAIRS = {
    Backend.SQLITE: "SELECT json_extract(value, '$[0]') AS first, json_extract(value, '$[1]') AS second "
    "FROM json_each(:{name})",
    Backend.POSTGRESQL: "SELECT (value->>0)::bigint AS first, (value->>1)::bigint AS second "
    "FROM jsonb_array_elements(CAST(:{name} AS jsonb)) AS pairs(value)",
}


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]


class Query:
    """A statement with named parameters, compiled on first use.

    Args:
        build: the statement, or a function that builds it from `Terms`.
        lists: names of the list parameters of `Terms.any_of`.
        pairs: names of the list parameters of `Terms.pair_of`.
    """

    def __init__(
        self,
        build: Executable | Callable[[Terms], Executable],
        *,
        lists: Sequence[str] = (),
        pairs: Sequence[str] = (),
    ) -> None:
        self._build = build
        self._as_json = {
            Backend.SQLITE: frozenset((*lists, *pairs)),
            Backend.POSTGRESQL: frozenset(pairs),
        }
        self._compiled: dict[Backend, _Compiled] = {}

    def prepare(self, backend: Backend, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """The statement's text for `backend`, and `values` in the order in which it takes them."""
        compiled = self._compiled.get(backend) or self._compile(backend)
        for name in self._as_json[backend]:
            values = {**values, name: msgspec.json.encode(values[name]).decode()}
        return compiled.sql, [
            values[name] if name in values else compiled.constants[name] for name in compiled.names
        ]

    def _compile(self, backend: Backend) -> _Compiled:
        statement = self._build(Terms(backend)) if callable(self._build) else self._build
        compiled = statement.compile(dialect=_DIALECTS[backend])  # type: ignore[attr-defined]
        names = tuple(compiled.positiontup or ())
        constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        result = self._compiled[backend] = _Compiled(str(compiled), names, constants)
        return result


class Insert:
    """A bulk insert: as few statements as the database allows, one step each.

    SQLite takes multi-row VALUES in chunks whose sizes are powers of two (so that few texts are prepared);
    PostgreSQL takes one array a column.

    Args:
        table: where to.
        columns: names of the columns, in the order of each row.
        on_conflict: what to say after `ON CONFLICT`, or None to fail.
        returning: names of columns to return for each row that was written.
    """

    _CHUNK_PARAMETERS = 2000

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        *,
        on_conflict: str | None = None,
        returning: Sequence[str] = (),
    ) -> None:
        self._head = f"INSERT INTO {table.name} ({', '.join(columns)}) "
        self._tail = f" ON CONFLICT {on_conflict}" if on_conflict else ""
        if returning:
            self._tail += f" RETURNING {', '.join(returning)}"
        self._width = len(columns)
        self._arrays = ", ".join(
            f"${n}::{_PG_ARRAYS[type(table.c[name].type)]}" for n, name in enumerate(columns, start=1)
        )
        self._max_rows = 1 << ((self._CHUNK_PARAMETERS // self._width).bit_length() - 1)

    def statements(self, backend: Backend, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, list[Any]]]:
        """Text and values of each statement that writes `rows`."""
        if not rows:
            return
        if backend is Backend.POSTGRESQL:
            yield f"{self._head}SELECT * FROM unnest({self._arrays}){self._tail}", _columns(rows)
            return
        start = 0
        while start < len(rows):
            count = min(self._max_rows, 1 << ((len(rows) - start).bit_length() - 1))
            yield self._values_text(count), list(chain.from_iterable(rows[start : start + count]))
            start += count

    def _values_text(self, count: int) -> str:
        row = f"({', '.join('?' * self._width)})"
        return f"{self._head}VALUES {', '.join([row] * count)}{self._tail}"


def _columns(rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [list(column) for column in zip(*rows, strict=True)]
