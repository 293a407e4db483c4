"""Callbacks that vendors make, as the simulators make them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
import structlog

from clarion.simulators.base import Receipt

log = structlog.get_logger(__name__)

MAX_WAITING = 100_000
_SECONDS = 10.0


class ReceiptSender:
    """Makes callbacks, once each, whatever is answered.

    Attributes:
        made: how many were answered with a status below 300.
        failed: how many were not.
    """

    def __init__(self) -> None:
        self.made = 0
        self.failed = 0
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, receipts: Sequence[Receipt]) -> None:
        """Make callbacks by and by; those above `MAX_WAITING` at once are not made."""
        for receipt in receipts:
            if len(self._tasks) >= MAX_WAITING:
                self.failed += 1
                continue
            task = asyncio.get_running_loop().create_task(self._later(receipt))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def deliver(self, receipts: Sequence[Receipt]) -> None:
        """Make callbacks now, and wait until they are answered."""
        for receipt in receipts:
            await self._make(receipt)

    async def close(self) -> None:
        """Make no more callbacks."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _later(self, receipt: Receipt) -> None:
        if receipt.after:
            await asyncio.sleep(receipt.after)
        await self._make(receipt)

    async def _make(self, receipt: Receipt) -> None:
        if self._session is None:
            # A server under test has what certificate it likes.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=50, ssl=False),
                timeout=aiohttp.ClientTimeout(total=_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._session.post(receipt.url, data=receipt.body, headers=receipt.headers) as answer:
                good = answer.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.info("a receipt was not taken", reason=type(error).__name__)
            good = False
        self.made += good
        self.failed += not good
