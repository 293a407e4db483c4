"""What arrived at the simulators, for those who count."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

import msgspec

from clarion.clock import Clock
from clarion.simulators.base import Received, Reply

MAX_ENTRIES = 200_000
MAX_BYTES = 256 << 20

SECRET_HEADERS = frozenset(("authorization", "authtoken", "auth-token", "proxy-authorization", "cookie"))
"""Their values are shown as a hash."""


class Entry(msgspec.Struct, omit_defaults=True):
    """A request that a simulator answered.

    Attributes:
        channel: label of the simulator.
        at: when, ms.
        path: as the vendor's own server would see it, with the query.
        headers: by lower-case name; secrets as the start of their SHA-256.
        body: its text; empty if it held credentials.
        tokens: the devices that it named.
        outcome: `accepted`, or the vendor's code.
        detail: why, for people; absent when there is nothing to say.
    """

    channel: str
    at: int
    path: str
    headers: dict[str, str]
    body: str
    tokens: list[str]
    outcome: str
    detail: str = ""


class _Kept(NamedTuple):
    at: int
    channel: str
    text: bytes


class Journal:
    """The latest requests; the oldest make room for new ones.

    Args:
        clock: for their time.
        entries: most of them.
        size: most bytes of all together.
    """

    def __init__(self, clock: Clock, entries: int = MAX_ENTRIES, size: int = MAX_BYTES) -> None:
        self._clock = clock
        self._entries = entries
        self._size = size
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._encode = msgspec.json.Encoder().encode

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, channel: str, request: Received, reply: Reply) -> None:
        """Write down a request and what became of it."""
        now = self._clock.now_ms()
        headers = dict(request.headers)
        for name in SECRET_HEADERS.intersection(headers):
            headers[name] = _shortened(headers[name])
        entry = Entry(
            channel,
            now,
            f"{request.path}?{request.query}" if request.query else request.path,
            headers,
            "" if reply.secret else request.body.decode("utf-8", "replace"),
            list(reply.tokens),
            reply.outcome,
            reply.detail,
        )
        # One JSON text is a third of the objects' size, and nothing for the collector of garbage to walk through.
        text = self._encode(entry)
        self._kept.append(_Kept(now, channel, text))
        self._bytes += len(text)
        while len(self._kept) > self._entries or self._bytes > self._size:
            self._bytes -= len(self._kept.popleft().text)

    def texts(self, channel: str | None = None, since: int = 0, limit: int | None = None) -> Iterator[bytes]:
        """JSON objects of the entries, oldest first.

        Args:
            channel: only those of this simulator.
            since: only those of then (ms) and later.
            limit: at most so many.
        """
        found = (
            kept.text
            for kept in tuple(self._kept)
            if kept.at >= since and (channel is None or kept.channel == channel)
        )
        return islice(found, limit)

    def entries(self, channel: str | None = None, since: int = 0, limit: int | None = None) -> list[Entry]:
        """The entries, oldest first; arguments as of `texts`."""
        return [msgspec.json.decode(text, type=Entry) for text in self.texts(channel, since, limit)]

    def clear(self, channel: str | None = None) -> None:
        """Forget all entries, or those of one simulator."""
        self._kept = deque(kept for kept in self._kept if channel is not None and kept.channel != channel)
        self._bytes = sum(len(kept.text) for kept in self._kept)


@lru_cache(maxsize=1024)
def _shortened(value: str) -> str:
    return f"sha256:{sha256(value.encode()).hexdigest()[:16]}"
