"""The packed form of a page: a thousand devices of a broadcast in one row. Pure.

Numbers of devices take 8 bytes each (little-endian, ascending), marks 1 byte (`delivery.series.Mark`), times
4 bytes (ms after the page's own time, at most 49 days).
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from clarion.delivery.series import Mark

PAGE_DEVICES = 1000
"""Most devices of a page."""

_LATEST = 0xFFFF_FFFF
_ARRIVED = int(Mark.ARRIVED)


def pack_numbers(devices: Sequence[int]) -> bytes:
    """Ascending numbers of devices as a page stores them."""
    return _bytes_of(array("q", devices))


def unpack_numbers(packed: bytes) -> array[int]:
    """The numbers that `pack_numbers` packed."""
    return _array("q", packed)


class Page:
    """A page as it was read.

    Args:
        first: its first device.
        last: its last one.
        at: when it was written, ms.
        devices: packed numbers.
        marks: packed marks.
        times: packed times.
    """

    __slots__ = ("_times", "at", "changed", "devices", "first", "last", "marks")

    def __init__(self, first: int, last: int, at: int, devices: bytes, marks: bytes, times: bytes) -> None:
        self.first, self.last, self.at = first, last, at
        self.devices = unpack_numbers(devices)
        self.marks = bytearray(marks)
        self._times = _array("I", times)
        self.changed = False

    @staticmethod
    def blank(count: int) -> tuple[bytes, bytes]:
        """Marks and times of a page of `count` devices of which nothing is known."""
        return bytes(count), bytes(4 * count)

    def index(self, device: int) -> int | None:
        """The place of a device, or None."""
        place = bisect_left(self.devices, device)
        return place if place < len(self.devices) and self.devices[place] == device else None

    def mark(self, place: int, mark: Mark, at: int) -> bool:
        """Mark the device at `place`; whether it had not been marked so. The time (ms) of an arrival is kept."""
        if self.marks[place] & mark:
            return False
        self.marks[place] |= mark
        if mark is Mark.ARRIVED:
            self._times[place] = min(max(at - self.at, 0), _LATEST)
        self.changed = True
        return True

    def arrived_at(self, place: int) -> int:
        """When the device at `place` acknowledged the broadcast, ms."""
        return self.at + self._times[place]

    @property
    def times(self) -> bytes:
        """The packed times."""
        return _bytes_of(self._times)

    def marked(self, mark: Mark) -> Iterator[int]:
        """Devices whose marks, as far as arrival and recall go, are just `mark`."""
        both = Mark.ARRIVED | Mark.RECALLED
        return (device for device, marks in zip(self.devices, self.marks, strict=True) if marks & both == mark)


def _array(kind: str, packed: bytes) -> array[int]:
    values = array(kind)
    values.frombytes(packed)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _bytes_of(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()
