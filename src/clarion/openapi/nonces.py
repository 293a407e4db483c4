"""A memory of used nonces, so that a request can be carried out once only.

A nonce is kept as a keyed 64-bit hash of (key id, nonce): nobody without the key can make two of them
collide, and by chance one in 10¹² fresh requests is refused when ten million are remembered.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import Protocol, TypeAlias

from clarion.clock import Clock

_SPANS = 2
_SMALLEST = 1 << 17
_LARGEST = 1 << 26
_Table: TypeAlias = "tuple[array[int], int]"
"""The slots, and the mask that makes an index of a hash."""
_NO_SLOTS: array[int] = array("Q")


class NonceJournal(Protocol):
    """Where claimed nonces are written down, so that a restart does not forget them."""

    def note(self, nonce_hash: int, at_ms: int) -> None:
        """Take `nonce_hash` into the next commit; returns at once."""
        ...


class NonceMemory:
    """Used nonces of the last `keep_seconds` and up to half as long again, in 12 to 24 bytes each.

    They stand in tables with open addressing: an array of 64-bit numbers, 0 where a slot is free, filled to
    two thirds. A full table gets a sibling as large as all tables of its generation together, so nothing
    is ever moved and no claim takes long. A generation spans half of `keep_seconds`; old ones fall out whole.

    Time is the wall clock that requests' timestamps are held against. When that is set back, nonces are
    kept for longer; when it jumps ahead, they stay until the monotonic clock has moved on as far too.

    Args:
        clock: source of wall time.
        secret: key of the hash, best of 32 bytes; the same one after a restart, or `restore` is of no use.
        keep_seconds: how long a nonce is surely remembered: twice the tolerance for timestamps.
    """

    def __init__(self, clock: Clock, secret: bytes, keep_seconds: int = 1800) -> None:
        self._clock = clock
        # A secret before the text keys BLAKE2 safely, and in one block instead of two.
        self._keyed = hashlib.blake2b(secret, digest_size=8)
        self._keep_seconds = keep_seconds
        self._span_ms = keep_seconds * 1000 // _SPANS
        self._ended: dict[int, float] = {}
        self._generations: dict[int, list[_Table]] = {}
        self._tables: list[_Table] = []  # those of all generations; the last one is being filled
        self._room = 0
        self._next_ms = 0

    @property
    def size(self) -> int:
        """Bytes that the tables take."""
        return sum(slots.itemsize * len(slots) for slots, _ in self._tables)

    def claim(self, key_id: str, nonce: str) -> int | None:
        """Remember `nonce` as used by `key_id`.

        Returns:
            The hash to write down, 1 to 2**64 - 1; None when the nonce was used before.
        """
        now_ms = self._clock.now_ms()
        if now_ms >= self._next_ms:
            self._begin(now_ms // self._span_ms)
        keyed = self._keyed.copy()
        keyed.update(f"{key_id}\n{nonce}".encode(errors="surrogateescape"))
        nonce_hash = int.from_bytes(keyed.digest()) or 1
        return nonce_hash if self._insert(nonce_hash) else None

    def restore(self, nonce_hash: int, at_ms: int) -> None:
        """Remember, at start, what `claim` returned at `at_ms`; call it oldest first, before any claim.

        What is too old is passed over. Out of order, a nonce is merely remembered for longer.
        """
        now_ms = self._clock.now_ms()
        at_ms = min(at_ms, now_ms)
        if at_ms // self._span_ms < now_ms // self._span_ms - _SPANS:
            return
        if at_ms >= self._next_ms:
            self._begin(at_ms // self._span_ms)
        self._insert(nonce_hash)

    def _insert(self, nonce_hash: int) -> bool:
        index, slots = 0, _NO_SLOTS
        low = nonce_hash & (_LARGEST - 1)  # a small number is quicker to mask again
        for slots, mask in self._tables:
            index = low & mask
            while found := slots[index]:
                if found == nonce_hash:
                    return False
                index = (index + 1) & mask
        slots[index] = nonce_hash  # the free slot at which the search of the last table ended
        self._room -= 1
        if not self._room:
            newest = max(self._generations)
            self._add_table(newest, min(_LARGEST, sum(len(table) for table, _ in self._generations[newest])))
        return True

    def _begin(self, number: int) -> None:
        """Begin the generation `number`, about as large as the one before; what is too old falls out."""
        now = self._clock.monotonic()
        if self._generations:
            self._ended.setdefault(max(self._generations), now)
        before = sum(_room(mask) for _, mask in self._generations.get(number - 1, [])) - self._room
        self._generations = {
            kept: tables
            for kept, tables in self._generations.items()
            if kept >= number - _SPANS or now - self._ended.get(kept, now) < self._keep_seconds
        }
        self._ended = {kept: at for kept, at in self._ended.items() if kept in self._generations}
        self._next_ms = (number + 1) * self._span_ms
        self._generations[number] = []
        self._add_table(number, min(_LARGEST, max(_SMALLEST, before * 3 // 2)))

    def _add_table(self, number: int, size: int) -> None:
        size = 1 << (size - 1).bit_length()
        self._generations[number].append((array("Q", bytes(8)) * size, size - 1))
        self._tables = [table for tables in self._generations.values() for table in tables]
        self._room = _room(size - 1)


def _room(mask: int) -> int:
    """How many entries a table may hold."""
    return (mask + 1) * 2 // 3
