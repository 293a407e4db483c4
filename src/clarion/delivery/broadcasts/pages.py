"""The packed form of a page: a thousand devices of a broadcast in one row. Pure.

Numbers of devices take 8 bytes each (little-endian, ascending), marks 1 byte (`delivery.series.Mark`), times
4 bytes (ms after the page's own time, at most 49 days), routes 1 byte (the channel's code; no byte at all in a page
whose devices are all on the own link).
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from clarion.delivery.series import Mark

PAGE_DEVICES = 1000
"""Most devices of a page."""

_LATEST = 0xFFFF_FFFF
_ON_LINK = int(Mark.ARRIVED | Mark.RECALLED | Mark.VENDOR)
_AT_VENDOR = int(Mark.RECALLED | Mark.VENDOR)
_BROUGHT = int(Mark.TAKEN | Mark.ARRIVED)


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
        routes: packed routes.
    """

    __slots__ = ("_times", "at", "changed", "devices", "first", "last", "marks", "routes")

    def __init__(
        self, first: int, last: int, at: int, devices: bytes, marks: bytes, times: bytes, routes: bytes = b""
    ) -> None:
        self.first, self.last, self.at = first, last, at
        self.devices = unpack_numbers(devices)
        self.marks = bytearray(marks)
        self.routes = bytes(routes)
        self._times = _array("I", times)
        self.changed = False

    @staticmethod
    def no_times(count: int) -> bytes:
        """Times of a page of `count` devices none of which has it."""
        return bytes(4 * count)

    def index(self, device: int) -> int | None:
        """The place of a device, or None."""
        place = bisect_left(self.devices, device)
        return place if place < len(self.devices) and self.devices[place] == device else None

    def places(self) -> Mapping[int, int]:
        """The places of all devices; worth it for those who look for many."""
        return {device: place for place, device in enumerate(self.devices)}

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

    def route(self, place: int) -> int:
        """The code of the channel that was planned for the device at `place`."""
        return self.routes[place] if self.routes else 0

    def change(self, place: int, add: int, remove: int = 0) -> None:
        """Change the marks (`Mark`, or plain numbers, which are faster) of the device at `place`."""
        before = self.marks[place]
        after = before & ~remove | add
        if after != before:
            self.marks[place] = after
            self.changed = True

    def marked(self, mark: Mark) -> Iterator[int]:
        """Devices on the own link whose marks, as far as arrival and recall go, are just `mark`."""
        return (device for device, marks in zip(self.devices, self.marks, strict=True) if marks & _ON_LINK == mark)

    def taken(self) -> Iterator[tuple[int, int, int]]:
        """Devices to which a vendor brought it, unless it was recalled; channel codes and places."""
        for place, marks in enumerate(self.marks):
            if marks & _BROUGHT and marks & _AT_VENDOR == Mark.VENDOR:
                yield self.devices[place], self.route(place), place


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
