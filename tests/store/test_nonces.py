"""The nonce journal: what was noted is on disk with the next commit, whatever happens to that commit's commands."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from clarion.clock import ManualClock
from clarion.failures import StoreUnavailable
from clarion.store.database import Database, Transaction
from clarion.store.nonces import NonceJournal, forget_nonces, stored_nonces
from tests.store.system import System


async def _nothing(_: Transaction, commands: Sequence[None]) -> Sequence[None]:
    return commands


async def _fail(_: Transaction, commands: Sequence[None]) -> Sequence[None]:
    raise LookupError


async def _cannot(_: Transaction, commands: Sequence[None]) -> Sequence[None]:
    raise StoreUnavailable("no")


@pytest.fixture
def journal(system: System) -> NonceJournal:
    return NonceJournal(system.writer, system.ids, system.clock)


async def _hashes(database: Database, since: int = 0) -> list[int]:
    return [value for _, page in await stored_nonces(database, since) for value in page]


async def test_they_go_along_with_the_next_commit(system: System, journal: NonceJournal) -> None:
    hashes = [0, 1, 2**64 - 1, 2**63]
    for value in hashes:
        journal.note(value, system.clock.now_ms())
    assert await _hashes(system.database) == []
    await system.writer.submit(_nothing, None)
    assert await _hashes(system.database) == hashes
    await system.writer.submit(_nothing, None)
    assert await system.count("nonces") == 1


async def test_flush_commits_without_other_work(system: System, journal: NonceJournal) -> None:
    await journal.flush()
    assert system.writer.groups == 0
    journal.note(7, system.clock.now_ms())
    await journal.flush()
    assert await _hashes(system.database) == [7]


async def test_they_survive_the_rollback_of_their_group(system: System, journal: NonceJournal) -> None:
    for failing, error in ((_fail, LookupError), (_cannot, StoreUnavailable)):
        journal.note(7, system.clock.now_ms())
        with pytest.raises(error):
            await system.writer.submit(failing, None)
        assert await _hashes(system.database) == []
        await journal.flush()
        assert await _hashes(system.database) == [7]
        await forget_nonces(system.database, system.clock.now_ms() + 1)


async def test_what_is_noted_during_a_commit_is_in_the_next_one(system: System, journal: NonceJournal) -> None:
    journal.note(1, 0)

    async def note(_: Transaction, commands: Sequence[None]) -> Sequence[None]:
        journal.note(2, 0)
        return commands

    await system.writer.submit(note, None)
    assert await _hashes(system.database) == [1]
    await journal.flush()
    assert await _hashes(system.database) == [1, 2]


async def test_old_pages_are_left_out_and_forgotten(
    system: System, journal: NonceJournal, clock: ManualClock
) -> None:
    for value in range(3):
        journal.note(value, clock.now_ms())
        await journal.flush()
        clock.advance(10)
    start = clock.now_ms() - 30_000
    assert [at for at, _ in await stored_nonces(system.database, 0)] == [start, start + 10_000, start + 20_000]
    assert await _hashes(system.database, start + 10_000) == [1, 2]
    assert await _hashes(system.database, start + 10_001) == [2]
    assert await forget_nonces(system.database, start + 10_000) == 1
    assert await forget_nonces(system.database, start + 10_000) == 0
    assert await _hashes(system.database) == [1, 2]


async def test_pages_have_numbers_of_their_own_after_a_restart(system: System, journal: NonceJournal) -> None:
    journal.note(1, 0)
    await journal.flush()
    system.clock.jump(-3600)
    later = await system.restarted()
    second = NonceJournal(later.writer, later.ids, later.clock)
    second.note(2, 0)
    await second.flush()
    assert await _hashes(system.database) == [1, 2]
