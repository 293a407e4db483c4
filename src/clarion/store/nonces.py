"""Used signature nonces on disk, so that a captured request cannot be replayed after a restart."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, delete, select

from clarion.clock import Clock
from clarion.ids import IdGenerator
from clarion.store.database import Database, Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Insert, Query
from clarion.store.schema import nonces

_WRITE_PAGE = Insert(nonces, ("page", "at", "hashes"))
_READ_PAGES = Query(select(nonces.c.at, nonces.c.hashes).where(nonces.c.at >= bindparam("since")))
_DELETE_PAGES = Query(delete(nonces).where(nonces.c.at < bindparam("until")))


class NonceJournal:
    """Writes noted nonces with the next commit, one row for all of them.

    A request that changes something submits its own command after its nonce was noted, so both are in the same
    transaction or the nonce is in an earlier one.
    """

    def __init__(self, writer: GroupWriter, ids: IdGenerator, clock: Clock) -> None:
        self._writer = writer
        self._ids = ids
        self._clock = clock
        self._noted: list[int] = []
        writer.ride(self._write)

    def note(self, nonce_hash: int, at_ms: int) -> None:  # noqa: ARG002 - a page has the time of its commit
        """Remember a 64-bit hash with the next commit."""
        self._noted.append(nonce_hash)

    async def flush(self) -> None:
        """Commit what was noted, if anything was."""
        if self._noted:
            await self._writer.submit(_nothing, None)

    async def _write(self, transaction: Transaction) -> Callable[[], None]:
        count = len(self._noted)
        if count:
            page = array("Q", self._noted[:count])
            await transaction.insert(_WRITE_PAGE, [(self._ids.next(), self._clock.now_ms(), page.tobytes())])

        def written() -> None:
            del self._noted[:count]

        return written


async def _nothing(_: Transaction, commands: Sequence[None]) -> Sequence[None]:
    return commands


async def stored_nonces(database: Database, since_ms: int) -> list[tuple[int, array[int]]]:
    """Pages of nonce hashes that were committed since `since_ms`: `(time in ms, hashes)`."""

    async def work(transaction: Transaction) -> list[tuple[int, array[int]]]:
        rows = await transaction.fetch(_READ_PAGES, since=since_ms)
        return [(at, array("Q", bytes(hashes))) for at, hashes in rows]

    return await database.read(work)


async def forget_nonces(database: Database, until_ms: int) -> int:
    """Delete the pages that are older than `until_ms`; the number deleted."""

    async def work(transaction: Transaction) -> int:
        return await transaction.execute(_DELETE_PAGES, until=until_ms)

    return await database.write(work)
