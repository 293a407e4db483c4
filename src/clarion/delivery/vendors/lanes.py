"""What waits for a line: three lanes, so that a broadcast of millions does not hold up a one-time password."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Generic, TypeVar

from clarion.delivery.series import PushKind

T = TypeVar("T")


class Lane(IntEnum):
    """The lanes, the most urgent first."""

    SINGLE = 0
    MULTIPLE = 1
    BROADCAST = 2


LANE_OF = {
    PushKind.SIMPLE: Lane.SINGLE,
    PushKind.TEMPLATE: Lane.SINGLE,
    PushKind.MULTIPLE: Lane.MULTIPLE,
    PushKind.BROADCAST: Lane.BROADCAST,
}
_TURN_OF_OTHERS = 8


class Lanes(Generic[T]):
    """Items by lane.

    The most urgent lane goes first; every eighth time a lower one has its turn, so that a stream of single pushes
    does not end all campaigns.

    Args:
        limit: most items of each lane; what is beyond stays in the database and is fetched later.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lanes: tuple[deque[T], ...] = tuple(deque() for _ in Lane)
        self._turns = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    @property
    def ready(self) -> int:
        """How many items the most urgent lane has that has any."""
        return next((len(queue) for queue in self._lanes if queue), 0)

    @property
    def urgent(self) -> Lane | None:
        """The most urgent lane that has any item."""
        return next((lane for lane in Lane if self._lanes[lane]), None)

    def room(self, lane: Lane) -> int:
        """How many items a lane takes still."""
        return self._limit - len(self._lanes[lane])

    def put(self, lane: Lane, items: Iterable[T]) -> int:
        """Put items at the end of a lane; how many it took, from the first on."""
        taken = 0
        queue, room = self._lanes[lane], self.room(lane)
        for item in items:
            if taken >= room:
                break
            queue.append(item)
            taken += 1
        return taken

    def drop(self, lane: Lane, unwanted: Callable[[T], bool]) -> None:
        """Drop items of a lane."""
        queue = self._lanes[lane]
        kept = [item for item in queue if not unwanted(item)]
        queue.clear()
        queue.extend(kept)

    def clear(self) -> list[T]:
        """Take all items, of all lanes."""
        items = [item for queue in self._lanes for item in queue]
        for queue in self._lanes:
            queue.clear()
        return items

    def take(self, most: int) -> list[T]:
        """Take up to `most` items of one lane."""
        filled = [queue for queue in self._lanes if queue]
        if not filled or most <= 0:
            return []
        self._turns += 1
        queue = filled[0]
        if len(filled) > 1 and self._turns % _TURN_OF_OTHERS == 0:
            queue = filled[1 + (self._turns // _TURN_OF_OTHERS) % (len(filled) - 1)]
        return [queue.popleft() for _ in range(min(most, len(queue)))]
