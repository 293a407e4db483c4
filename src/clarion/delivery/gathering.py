"""One command of many: what nobody waits for alone goes to the group writer in parcels.

After a broadcast tens of thousands of acks come within a second; a command for each would cost more than what is
recorded, and would leave no room for pushes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from threading import Lock
from typing import Generic, TypeVar

from clarion.store.group import GroupWriter, Handler

T = TypeVar("T")


class Parcel(Generic[T]):
    """Items for one command; it takes more until the command is carried out (in whatever thread)."""

    def __init__(self, limit: int) -> None:
        self._items: list[T] = []
        self._limit = limit
        self._sealed = False
        self._lock = Lock()

    def add(self, item: T) -> bool:
        """Put `item` in; False when it is too late for that, or there is no room."""
        with self._lock:
            if self._sealed or len(self._items) == self._limit:
                return False
            self._items.append(item)
            return True

    def open(self) -> Sequence[T]:
        """Seal it; what is in it, the same at every call."""
        with self._lock:
            self._sealed = True
            return self._items


class Gathering(Generic[T]):
    """Parcels on their way to a handler.

    Args:
        writer: carries commands out.
        handler: takes parcels; it may be called again with the same ones.
        limit: most items of a parcel.
    """

    def __init__(self, writer: GroupWriter, handler: Handler[Parcel[T], None], limit: int = 250) -> None:
        self._writer = writer
        self._handler = handler
        self._limit = limit
        self._parcel: Parcel[T] | None = None
        self._future: asyncio.Future[None] | None = None

    def submit(self, item: T) -> asyncio.Future[None]:
        """Have `item` carried out; the future, which others share, is done when it is durable."""
        if self._parcel is None or self._future is None or self._future.done() or not self._parcel.add(item):
            self._parcel = Parcel(self._limit)
            self._parcel.add(item)
            self._future = self._writer.submit(self._handler, self._parcel, urgent=False)
        return self._future
