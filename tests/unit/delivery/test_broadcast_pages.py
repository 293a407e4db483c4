"""The packed form of a page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.delivery.broadcasts.pages import Page, pack_numbers, unpack_numbers
from clarion.delivery.series import Mark

NUMBERS = st.lists(st.integers(1, (1 << 53) - 1), min_size=1, max_size=200, unique=True).map(sorted)
AT = 1_795_000_000_000


def page(*devices: int) -> Page:
    return Page(
        devices[0], devices[-1], AT, pack_numbers(devices), bytes(len(devices)), Page.no_times(len(devices))
    )


def again(written: Page) -> Page:
    """The page as it is read after it was written."""
    packed = pack_numbers(list(written.devices))
    return Page(written.first, written.last, written.at, packed, bytes(written.marks), written.times)


def marks_of(read: Page, device: int) -> Mark | None:
    index = read.index(device)
    return None if index is None else Mark(read.marks[index])


@given(NUMBERS)
def test_numbers_come_back(devices: list[int]) -> None:
    assert list(unpack_numbers(pack_numbers(devices))) == devices


def test_a_page_takes_13_bytes_a_device_whatever_the_machine() -> None:
    assert pack_numbers([1, 1 << 52]) == bytes.fromhex("0100000000000000 0000000000001000")
    assert len(Page.no_times(1000)) == 4000
    marked = page(1, 2)
    marked.mark(1, Mark.ARRIVED, AT + 258)
    assert (bytes(marked.marks), marked.times) == (b"\0\1", bytes.fromhex("00000000 02010000"))


@given(NUMBERS, st.integers(1, (1 << 53) - 1))
def test_a_device_is_found_just_where_it_is(devices: list[int], other: int) -> None:
    read = page(*devices)
    assert [read.index(device) for device in devices] == list(range(len(devices)))
    assert (read.index(other) is None) == (other not in devices)


def test_a_mark_is_new_once() -> None:
    written = page(5, 6, 7)
    assert not written.changed
    assert written.mark(1, Mark.ARRIVED, AT + 40)
    assert not written.mark(1, Mark.ARRIVED, AT + 90)
    read = again(written)
    assert not read.mark(1, Mark.ARRIVED, AT + 90)
    assert not read.changed
    assert [marks_of(read, device) for device in (5, 6, 7, 8)] == [Mark(0), Mark.ARRIVED, Mark(0), None]
    assert read.arrived_at(1) == AT + 40


def test_a_recall_keeps_the_time_of_arrival() -> None:
    written = page(5, 6)
    written.mark(0, Mark.ARRIVED, AT + 40)
    assert written.mark(0, Mark.RECALLED, AT + 5000)
    assert marks_of(again(written), 5) == Mark.ARRIVED | Mark.RECALLED
    assert again(written).arrived_at(0) == AT + 40


@pytest.mark.parametrize(("at", "kept"), [(AT - 5, AT), (AT + (1 << 33), AT + 0xFFFF_FFFF)])
def test_times_that_do_not_fit_are_cut(at: int, kept: int) -> None:
    written = page(5)
    written.mark(0, Mark.ARRIVED, at)
    assert again(written).arrived_at(0) == kept


def test_who_has_it_and_who_is_to_forget_it() -> None:
    written = page(1, 2, 3, 4)
    for place in (1, 2, 3):
        written.mark(place, Mark.ARRIVED, AT)
    written.mark(2, Mark.RECALLED, AT)
    written.mark(3, Mark.OPENED, AT)
    assert list(written.marked(Mark(0))) == [1]
    assert list(written.marked(Mark.ARRIVED)) == [2, 4]
