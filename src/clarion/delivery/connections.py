"""What delivery needs of the devices' connections; the link provides it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Connections(Protocol):
    """Devices that are connected here, by internal number."""

    def online(self, device: int) -> bool:
        """Whether the device has a live session."""
        ...

    def deliver(self, device: int, message: int, frame: bytes) -> bool:
        """Hand a frame to the device's session; False when it is not connected."""
        ...

    def broadcast(self, devices: Iterable[int], message: int, frame: bytes) -> int:
        """Hand one frame to many devices; how many of them are connected."""
        ...

    def wake(self, device: int) -> bool:
        """Have the device's session look into its inbox again; False when it is not connected."""
        ...
