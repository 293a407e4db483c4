"""The way of receipts to the database: those of many callbacks share a transaction, and no transaction is large."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from clarion.channels.base import Receipt
from clarion.clock import Clock
from clarion.delivery.vendors.arrivals import ReceiptFate, Told
from clarion.failures import StoreUnavailable
from clarion.store.database import Transaction
from clarion.store.group import GroupWriter

AT_ONCE = 250
"""About how many receipts a transaction takes."""
MAX_WAITING = 50_000
"""Most receipts that wait; a vendor that has more is asked to come again."""


class ReceiptRecorder(Protocol):
    """Records receipts; `delivery.vendors.arrivals` does, for deliveries to devices."""

    async def record(self, transaction: Transaction, batch: Sequence[Told]) -> list[list[ReceiptFate]]:
        """What became of each receipt, in their order; a handler for `GroupWriter.submit`."""
        ...


class _Waiting(NamedTuple):
    told: Told
    done: asyncio.Future[list[ReceiptFate]]


class Intake:
    """Records receipts, in the order in which they came.

    Args:
        writer: to write with.
        recorder: records them.
        clock: when they came.
    """

    def __init__(self, writer: GroupWriter, recorder: ReceiptRecorder, clock: Clock) -> None:
        self._writer = writer
        self._recorder = recorder
        self._clock = clock
        self._queue: deque[_Waiting] = deque()
        self._size = 0
        self._running: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Receipts that no transaction has taken yet."""
        return self._size

    async def told(self, app: int, channel: str, receipts: Sequence[Receipt]) -> list[ReceiptFate]:
        """Record the receipts of a callback. On disk when this returns; what became of each, in their order.

        Args:
            app: internal number of the app.
            channel: label of the channel.
            receipts: what the vendor told; if this fails it tells them again, those that were recorded too.

        Raises:
            StoreUnavailable: they could not be committed, or not all of them, or too many wait.
        """
        if self._size + len(receipts) > MAX_WAITING:
            raise StoreUnavailable(f"{self._size} receipts are waiting")
        now = self._clock.now_ms()
        fit = [receipt for receipt in receipts if _storable(receipt)]
        parts = [fit[start : start + AT_ONCE] for start in range(0, len(fit), AT_ONCE)]
        results = await asyncio.gather(*(self._put(Told(app, channel, now, part)) for part in parts))
        fates = chain.from_iterable(results)
        return [next(fates) if _storable(receipt) else ReceiptFate.UNKNOWN for receipt in receipts]

    def _put(self, told: Told) -> asyncio.Future[list[ReceiptFate]]:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(told, loop.create_future())
        self._queue.append(waiting)
        self._size += len(told.receipts)
        if self._running is None:
            self._running = loop.create_task(self._run(), name="receipts")
        return waiting.done

    async def _run(self) -> None:
        try:
            while batch := self._take():
                await self._record(batch)
        finally:
            self._running = None

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].told.receipts) <= AT_ONCE):
            batch.append(self._queue.popleft())
            size += len(batch[-1].told.receipts)
        self._size -= size
        return batch

    async def _record(self, batch: Sequence[_Waiting]) -> None:
        # One command each: one that fails for its own reasons does not take the others with it.
        results = await asyncio.gather(
            *(self._writer.submit(self._recorder.record, waiting.told) for waiting in batch), return_exceptions=True
        )
        for waiting, result in zip(batch, results, strict=True):
            if waiting.done.done():
                continue  # whoever waited for it is gone
            if isinstance(result, BaseException):
                waiting.done.set_exception(result)
            else:
                waiting.done.set_result(result)


def _storable(receipt: Receipt) -> bool:
    """PostgreSQL has no NUL in texts; nor has any token or id of a vendor."""
    return not any(
        "\0" in part for part in (receipt.token, receipt.vendor_id, receipt.code, receipt.text, receipt.tag)
    )
