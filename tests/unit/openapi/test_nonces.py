from __future__ import annotations

import random

import pytest

from clarion.clock import ManualClock
from clarion.openapi.nonces import NonceMemory

SECRET = b"key of the hash"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def memory(clock: ManualClock) -> NonceMemory:
    return NonceMemory(clock, SECRET)


def test_a_nonce_is_claimed_once(memory: NonceMemory) -> None:
    first = memory.claim("key", "nonce")
    assert first is not None
    assert 0 < first < 1 << 64
    assert memory.claim("key", "nonce") is None
    assert memory.claim("key", "nonce") is None


def test_nonces_of_other_keys_are_others(memory: NonceMemory) -> None:
    hashes = {memory.claim("key", "nonce"), memory.claim("other", "nonce"), memory.claim("key", "other")}
    assert len(hashes) == 3
    assert None not in hashes


def test_the_hash_depends_on_the_secret(clock: ManualClock, memory: NonceMemory) -> None:
    assert NonceMemory(clock, SECRET).claim("key", "n") == memory.claim("key", "n")
    assert NonceMemory(clock, b"other").claim("key", "n") != NonceMemory(clock, SECRET).claim("key", "n")


def test_any_text_is_a_nonce(memory: NonceMemory) -> None:
    for nonce in ("", "中", "\udcff", "n" * 100_000, "0", "00"):
        assert memory.claim("key", nonce) is not None
        assert memory.claim("key", nonce) is None


@pytest.mark.parametrize("offset", [0, 1, 450, 899, 900, 901])
def test_a_nonce_is_remembered_for_half_an_hour(offset: int) -> None:
    clock = ManualClock(1_795_000_500_000 + offset * 1000)
    memory = NonceMemory(clock, SECRET)
    assert memory.claim("key", "nonce") is not None
    for _ in range(18):
        clock.advance(100)
        memory.claim("key", f"other {clock.now_ms()}")
        assert memory.claim("key", "nonce") is None
    clock.advance(901)
    assert memory.claim("key", "nonce") is not None


def test_a_clock_set_back_forgets_nothing(clock: ManualClock, memory: NonceMemory) -> None:
    memory.claim("key", "nonce")
    clock.jump(-7200)
    assert memory.claim("key", "nonce") is None
    clock.jump(7200 + 1000)
    assert memory.claim("key", "nonce") is None


def test_a_clock_that_jumps_ahead_and_back_forgets_nothing(clock: ManualClock, memory: NonceMemory) -> None:
    memory.claim("key", "nonce")
    clock.jump(3600)
    memory.claim("key", "other")
    clock.jump(-3600)
    assert memory.claim("key", "nonce") is None


def test_restored_nonces_are_used(clock: ManualClock, memory: NonceMemory) -> None:
    claimed = []
    for number in range(40):
        nonce_hash = memory.claim("key", str(number))
        assert nonce_hash is not None
        claimed.append((nonce_hash, clock.now_ms()))
        clock.advance(100)
    later = NonceMemory(clock, SECRET)
    for nonce_hash, at_ms in claimed:
        later.restore(nonce_hash, at_ms)
        later.restore(nonce_hash, at_ms)
    for number in range(22, 40):  # those of the last half hour
        assert later.claim("key", str(number)) is None
    assert later.claim("key", "0") is not None
    clock.advance(2701)
    later.claim("key", "the next generation begins")
    clock.advance(2701)
    assert later.claim("key", "39") is not None


def test_restoring_out_of_order_forgets_nothing(clock: ManualClock) -> None:
    memory = NonceMemory(clock, SECRET)
    now_ms = clock.now_ms()
    entries = [(number + 1, now_ms - number * 1000) for number in range(1800)]
    random.Random(7).shuffle(entries)
    for nonce_hash, at_ms in entries:
        memory.restore(nonce_hash, at_ms)
    assert all(not memory._insert(nonce_hash) for nonce_hash, _ in entries)


def test_a_future_entry_is_restored_as_of_now(clock: ManualClock, memory: NonceMemory) -> None:
    memory.restore(5, clock.now_ms() + 10**9)
    clock.advance(1799)
    memory.claim("key", "other")
    assert not memory._insert(5)


def test_many_nonces_take_few_bytes(clock: ManualClock, memory: NonceMemory) -> None:
    """Three quarters of an hour at a changing rate; the bound holds whenever the tables are not nearly empty."""
    per_span = 60_000
    for span in range(3):
        for number in range(per_span):
            assert memory.claim("key", f"{span} {number}") is not None
        used = per_span * (span + 1)
        assert memory.size / used <= 25
        clock.advance(900)
    assert memory.claim("key", "2 59999") is None


def test_growing_keeps_every_nonce(memory: NonceMemory) -> None:
    memory.claim("key", "first")
    source = random.Random(1)
    numbers = {source.randrange(1, 1 << 64) for _ in range(100_000)}
    for number in numbers:
        assert memory._insert(number)
    assert len(memory._tables) > 1
    assert not any(memory._insert(number) for number in numbers)


def test_colliding_slots_are_told_apart(memory: NonceMemory) -> None:
    memory.claim("key", "first")
    numbers = [(number << 32) | 0xFFFF for number in range(1, 200)]
    assert all(memory._insert(number) for number in numbers)
    assert not any(memory._insert(number) for number in numbers)
