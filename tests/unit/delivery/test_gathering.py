"""Parcels of commands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from clarion.delivery.gathering import Gathering, Parcel
from clarion.failures import StoreUnavailable
from clarion.store.group import GroupWriter


class _Writer:
    """Keeps what is submitted until a test carries it out."""

    def __init__(self) -> None:
        self.submitted: list[tuple[Parcel[int], asyncio.Future[None]]] = []
        self.fault: Exception | None = None

    def submit(self, _: object, parcel: Parcel[int], *, urgent: bool) -> asyncio.Future[None]:
        assert not urgent
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.fault is not None:
            future.set_exception(self.fault)
        self.submitted.append((parcel, future))
        return future

    def carry_out(self) -> list[list[int]]:
        carried = [list(parcel.open()) for parcel, _ in self.submitted]
        for _, future in self.submitted:
            future.set_result(None)
        self.submitted.clear()
        return carried


async def _handler(_: Any, batch: Sequence[Parcel[int]]) -> Sequence[None]:
    raise AssertionError(batch)


def _gathering(writer: _Writer, limit: int) -> Gathering[int]:
    whole: Any = writer
    kept: GroupWriter = whole
    return Gathering(kept, _handler, limit)


async def test_items_share_a_command_and_its_future() -> None:
    writer = _Writer()
    gathering = _gathering(writer, 100)
    futures = [gathering.submit(item) for item in range(5)]
    assert all(future is futures[0] for future in futures)
    assert writer.carry_out() == [[0, 1, 2, 3, 4]]
    assert futures[0].done()


async def test_a_parcel_has_a_limit() -> None:
    writer = _Writer()
    gathering = _gathering(writer, 2)
    futures = [gathering.submit(item) for item in range(5)]
    assert len({id(future) for future in futures}) == 3
    assert writer.carry_out() == [[0, 1], [2, 3], [4]]


async def test_what_comes_while_a_parcel_is_carried_out_is_in_the_next() -> None:
    writer = _Writer()
    gathering = _gathering(writer, 100)
    first = gathering.submit(1)
    parcel = writer.submitted[0][0]
    assert list(parcel.open()) == [1]
    second = gathering.submit(2)
    assert second is not first
    assert list(parcel.open()) == [1], "it may be carried out again"
    assert writer.carry_out() == [[1], [2]]


async def test_a_refused_parcel_takes_nothing_more() -> None:
    writer = _Writer()
    writer.fault = StoreUnavailable("too much")
    gathering = _gathering(writer, 100)
    refused = gathering.submit(1)
    assert isinstance(refused.exception(), StoreUnavailable)
    writer.fault = None
    writer.submitted.clear()
    assert not gathering.submit(2).done()
    assert writer.carry_out() == [[2]]
