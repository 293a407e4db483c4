"""Numbers and names for new things."""

from __future__ import annotations

import os
import secrets
import threading

from clarion.clock import Clock

_EPOCH_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z
_NODE_BITS = 4
_SEQUENCE_BITS = 8
MAX_NODE = (1 << _NODE_BITS) - 1


class IdGenerator:
    """Decimal ids that grow with time: 41 bits of milliseconds, 4 of node, 8 of sequence.

    Task ids are a `long` for some official SDKs and a JavaScript number for others, so an id
    stays below 2**53. Ids of one node never repeat and never go back, also when the wall clock does:
    more than 256 in a millisecond borrow from the next one.

    Args:
        clock: source of wall time.
        node: number of this node, 0 to `MAX_NODE`; nodes that share a database need different ones.
        floor: no id at or below this is given out (the largest one in the store, at start).

    Attributes:
        node: the node's number.
    """

    def __init__(self, clock: Clock, node: int = 0, floor: int = 0) -> None:
        if not 0 <= node <= MAX_NODE:
            raise ValueError(f"node must be 0 to {MAX_NODE}, not {node}")
        self.node = node
        self._clock = clock
        self._lock = threading.Lock()
        self._tick = max(0, floor >> (_NODE_BITS + _SEQUENCE_BITS))
        self._sequence = (1 << _SEQUENCE_BITS) - 1 if floor else -1

    def next(self) -> int:
        """A new id, larger than every one before; may be called from any thread."""
        tick = self._clock.now_ms() - _EPOCH_MS
        with self._lock:
            if tick > self._tick:
                self._tick, self._sequence = tick, 0
            elif self._sequence + 1 < 1 << _SEQUENCE_BITS:
                self._sequence += 1
            else:
                self._tick, self._sequence = self._tick + 1, 0
            return ((self._tick << _NODE_BITS) | self.node) << _SEQUENCE_BITS | self._sequence


def id_time_ms(identifier: int) -> int:
    """The wall-clock time (ms) at which `identifier` was made, to the accuracy of its generator."""
    return (identifier >> (_NODE_BITS + _SEQUENCE_BITS)) + _EPOCH_MS


def first_id_at(now_ms: int) -> int:
    """The smallest id that any node can make at `now_ms`; a boundary for range queries."""
    return max(0, now_ms - _EPOCH_MS) << (_NODE_BITS + _SEQUENCE_BITS)


def request_id() -> str:
    """An upper-case UUID (version 4), as every answer of the API carries one (docs/errors.md)."""
    digits = os.urandom(16).hex().upper()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-A{digits[17:20]}-{digits[20:]}"


def schedule_id() -> str:
    """32 lower-case hexadecimal characters, the form of scheduled-task ids."""
    return secrets.token_hex(16)


def access_key_id() -> str:
    """A new access-key id: `CL` and 22 letters and digits."""
    return "CL" + _letters(22)


def access_key_secret() -> str:
    """A new access-key secret of 190 random bits."""
    return _letters(32)


def app_secret() -> str:
    """A new app secret: 256 random bits as hexadecimal text."""
    return secrets.token_hex(32)


def delivery_token() -> str:
    """A new device token (the "Ad-token" of the self-built channel): 160 random bits as hexadecimal text."""
    return secrets.token_hex(20)


def device_secret() -> str:
    """A new device secret: 256 random bits as hexadecimal text."""
    return secrets.token_hex(32)


_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"


def _letters(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))
