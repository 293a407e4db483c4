"""What transactions leave for the event loop: they run in threads (SQLite), where nobody may be woken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

_MOST_SETTLED = 20_000


class Notes:
    """Notes that any thread may write; the event loop reads them.

    Attributes:
        settled: `(device, id, at)`: at that time (ms) every entry up to the id was settled for the device.
    """

    def __init__(self) -> None:
        self._early: dict[tuple[int, int], None] = {}  # each once, however often it asks
        self._recalled: deque[int] = deque()
        self.settled: deque[tuple[int, int, int]] = deque(maxlen=_MOST_SETTLED)

    def early(self, task: int, device: int) -> None:
        """The device asked for a broadcast whose page is not written; it shall ask again when it is."""
        self._early[task, device] = None

    def recalled(self, device: int) -> None:
        """The device told that it has a broadcast that was revoked meanwhile; it shall ask for the recall."""
        self._recalled.append(device)

    def ready(self, is_covered: Callable[[int, int], bool]) -> list[int]:
        """Take the devices that shall ask again now.

        Args:
            is_covered: whether the pages of a task have passed a device.
        """
        found = [self._recalled.popleft() for _ in range(len(self._recalled))]
        for task, device in list(self._early):
            if is_covered(task, device):
                del self._early[task, device]
                found.append(device)
        return found
