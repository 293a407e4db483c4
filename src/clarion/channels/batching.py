"""Messages into calls: who goes together, how many calls at once, whom a refused batch was refused for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TypeVar

from clarion.channels.base import InvalidToken, SendOutcome

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

Deliver = Callable[[Sequence[T]], Awaitable[SendOutcome | list[SendOutcome]]]
"""Sends messages with one call; one outcome for the call as a whole, or one for each message."""


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """The items with the same key, in their order."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def chunked(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """Parts of at most `most` items."""
    return [items[start : start + most] for start in range(0, len(items), most)]


def packed(items: Sequence[T], most: int, size: Callable[[T], int], most_bytes: int) -> list[Sequence[T]]:
    """Parts of at most `most` items that have at most `most_bytes` together; what alone is larger goes alone."""
    parts: list[Sequence[T]] = []
    start = room = 0
    for place, item in enumerate(items):
        needed = size(item)
        if place and (needed > room or place - start >= most):
            parts.append(items[start:place])
            start = place
        if place == start:
            room = most_bytes
        room -= needed
    if items:
        parts.append(items[start:])
    return parts


async def bounded(calls: Sequence[Callable[[], Awaitable[None]]], at_once: int) -> None:
    """Make all calls, at most `at_once` of them at a time."""
    if len(calls) == 1:
        await calls[0]()
        return
    waiting = iter(calls)

    async def work() -> None:
        for call in waiting:
            await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, len(calls))):
            group.create_task(work())


Blames = Callable[[Sequence[T], SendOutcome], bool]
"""Whether a batch was refused as a whole for what may be the fault of some of its messages."""


def blames_a_token(_: Sequence[T], outcome: SendOutcome) -> bool:
    """Whether a batch was refused for a token of it."""
    return isinstance(outcome, InvalidToken)


async def told_apart(
    items: Sequence[T], deliver: Deliver[T], blames: Blames[T] = blames_a_token
) -> list[SendOutcome]:
    """Send a batch; an outcome for each message.

    A batch that is refused as a whole was not carried out: when some of its messages may be to blame, it is halved
    until they are found.
    """
    outcome = await deliver(items)
    if isinstance(outcome, list):
        return outcome
    if len(items) == 1 or not blames(items, outcome):
        return [outcome] * len(items)
    middle = len(items) // 2
    first, second = await asyncio.gather(
        told_apart(items[:middle], deliver, blames), told_apart(items[middle:], deliver, blames)
    )
    return first + second


class Underway:
    """What is under way, so that an end can wait for it: `with underway:` around each piece of work."""

    def __init__(self) -> None:
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __enter__(self) -> None:
        self._count += 1
        self._idle.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._count -= 1
        if not self._count:
            self._idle.set()

    async def ended(self, seconds: float) -> None:
        """Wait until nothing is under way, or for so many seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)
