"""Queries and bulk inserts mean the same on both databases."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest
from sqlalchemy import Column, Table, bindparam, select

from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Backend, Insert, Query
from clarion.store.schema import devices, hops, messages, nonces
from tests.store.system import rows

LARGEST = 2**53 - 1

_HOPS = Insert(hops, ("message", "hop", "at", "device", "stage", "outcome", "code", "detail"))
_PAGES = Insert(nonces, ("page", "at", "hashes"))
_PAGES_ONCE = Insert(nonces, ("page", "at", "hashes"), on_conflict="DO NOTHING", returning=("page", "hashes"))


async def _insert(database: Database, insert: Insert, written: Sequence[Row]) -> list[tuple[object, ...]]:
    async def work(transaction: Transaction) -> Sequence[Row]:
        return await transaction.insert(insert, written)

    return [tuple(row) for row in await database.write(work)]


async def _fetch(database: Database, query: Query, **values: object) -> list[tuple[object, ...]]:
    async def work(transaction: Transaction) -> Sequence[Row]:
        return await transaction.fetch(query, **values)

    return sorted(tuple(row) for row in await database.read(work))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 127, 128, 129, 255, 256, 1000])
async def test_an_insert_of_any_length_writes_every_row_once(database: Database, count: int) -> None:
    written = [(n, 0, n * 10, None, "sent", "written", None, None) for n in range(count)]
    assert await _insert(database, _HOPS, written) == []
    found = await rows(database, "SELECT message, at FROM hops ORDER BY message")
    assert [tuple(row) for row in found] == [(n, n * 10) for n in range(count)]


@pytest.mark.parametrize("count", [1, 2000, 4097])
def test_statements_stay_under_the_parameters_that_sqlite_takes(count: int) -> None:
    statements = list(_HOPS.statements(Backend.SQLITE, [(0,) * 8] * count))
    assert sum(len(values) for _, values in statements) == 8 * count
    assert all(len(values) <= 2000 for _, values in statements)
    assert len({text for text, _ in statements}) <= 11


async def test_values_come_back_as_they_went(database: Database) -> None:
    text = "Grüße, 世界 🙂 'quoted' \"twice\" \\ $1 ? :name %s\n\t"
    written = [(LARGEST, LARGEST, LARGEST, LARGEST, text, "", None, text), (1, 0, 0, None, "", text, "", None)]
    await _insert(database, _HOPS, written)
    found = await rows(database, "SELECT message, hop, at, device, stage, outcome, code, detail FROM hops")
    assert sorted(tuple(row) for row in found) == sorted(written, key=lambda row: row[0])
    every_byte = bytes(range(256)) * 3
    await _insert(database, _PAGES, [(1, 1, every_byte), (2, 2, b"")])
    found = await rows(database, "SELECT page, hashes FROM nonces ORDER BY page")
    assert [(page, bytes(hashes)) for page, hashes in found] == [(1, every_byte), (2, b"")]


async def test_returning_names_the_rows_that_were_written(database: Database) -> None:
    assert await _insert(database, _PAGES_ONCE, [(1, 0, b"a"), (2, 0, b"b")]) == [(1, b"a"), (2, b"b")]
    again = await _insert(database, _PAGES_ONCE, [(n, 0, b"c") for n in range(1, 300)])
    assert sorted(again) == [(n, b"c") for n in range(3, 300)]


_TOKENS = Query(
    lambda terms: select(devices.c.token).where(
        devices.c.app == bindparam("app"), terms.any_of(devices.c.token, "tokens")
    ),
    lists=("tokens",),
)
_NUMBERS = Query(
    lambda terms: select(messages.c.message).where(terms.any_of(messages.c.message, "some")), lists=("some",)
)
_PAIRS = Query(
    lambda terms: select(hops.c.message, hops.c.hop).where(terms.pair_of(hops.c.message, hops.c.hop, "pairs")),
    pairs=("pairs",),
)


def _all_of(table: Table, values: dict[str, object]) -> tuple[Insert, list[tuple[object, ...]]]:
    names = [column.name for column in table.columns]
    return Insert(table, names), [tuple(values.get(name, _filler(table.c[name])) for name in names)]


def _filler(column: Column[object]) -> object:
    if column.nullable:
        return None
    return "" if column.type.python_type is str else b"" if column.type.python_type is bytes else 0


async def test_any_of(database: Database) -> None:
    for device, token in enumerate(["a", "b'", 'c"', "世", "null", "1"]):
        await _insert(database, *_all_of(devices, {"device": device, "app": 1, "token": token}))
    assert await _fetch(database, _TOKENS, app=1, tokens=["a", "a", "x", "世", 'c"', "1"]) == [
        ("1",), ("a",), ('c"',), ("世",),
    ]  # fmt: skip
    assert await _fetch(database, _TOKENS, app=2, tokens=["a"]) == []
    assert await _fetch(database, _TOKENS, app=1, tokens=[]) == []
    await _insert(database, *_all_of(messages, {"message": LARGEST}))
    assert await _fetch(database, _NUMBERS, some=[LARGEST, LARGEST - 1]) == [(LARGEST,)]
    assert await _fetch(database, _NUMBERS, some=[]) == []


async def test_pair_of(database: Database) -> None:
    for message, hop in [(1, 2), (2, 1), (LARGEST, LARGEST)]:
        await _insert(database, *_all_of(hops, {"message": message, "hop": hop}))
    assert await _fetch(database, _PAIRS, pairs=[(1, 2), (1, 1), (2, 2)]) == [(1, 2)]
    assert await _fetch(database, _PAIRS, pairs=[(LARGEST, LARGEST), (LARGEST, 1)]) == [(LARGEST, LARGEST)]
    assert await _fetch(database, _PAIRS, pairs=[]) == []


async def test_execute_counts_rows(database: Database) -> None:
    await _insert(database, _PAGES, [(n, n, b"") for n in range(5)])
    delete = Query(nonces.delete().where(nonces.c.at < bindparam("until")))

    async def work(transaction: Transaction) -> tuple[int, int]:
        return await transaction.execute(delete, until=3), await transaction.execute(delete, until=3)

    assert await database.write(work) == (3, 0)


async def test_what_failed_is_rolled_back(database: Database) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.insert(_PAGES, [(1, 1, b"")])
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)
    assert len(await rows(database, "SELECT * FROM nonces")) == 0
    await _insert(database, _PAGES, [(1, 1, b"")])  # the connection is fit for use


async def test_reading_cannot_write(database: Database) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.insert(_PAGES, [(1, 1, b"")])

    with pytest.raises(Exception, match=r"read.?only"):
        await database.read(work)
    assert len(await rows(database, "SELECT * FROM nonces")) == 0


async def test_a_read_sees_one_moment(database: Database) -> None:
    """Also when another connection commits between its statements."""
    count = Query(select(nonces.c.page))

    async def read(transaction: Transaction) -> tuple[int, int]:
        before = len(await transaction.fetch(count))
        if database.backend is Backend.SQLITE:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, _insert(database, _PAGES, [(1, 1, b"")])).result()
        else:
            await _insert(database, _PAGES, [(1, 1, b"")])
        return before, len(await transaction.fetch(count))

    assert await database.read(read) == (0, 0)
    assert len(await _fetch(database, count)) == 1


_ERRORS_OF_DATA = (ValueError, OverflowError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError)
"""Not `StoreUnavailable`, after which callers try again and again."""


@pytest.mark.parametrize("value", ["\ud800", 2**63, "text", None])
async def test_a_value_that_cannot_be_held_is_no_failing_database(database: Database, value: object) -> None:
    row = (1, 1, b"") if value is None else (1, value, b"")
    query = Query(select(nonces.c.page).where(nonces.c.at == bindparam("at")))
    if value == "text" and database.backend is Backend.SQLITE:
        return  # SQLite holds anything anywhere
    if value is None:
        await _insert(database, _PAGES, [row])
    with pytest.raises(_ERRORS_OF_DATA):
        await _insert(database, _PAGES, [row])
    if value is not None:
        with pytest.raises(_ERRORS_OF_DATA):
            await _fetch(database, query, at=value)
