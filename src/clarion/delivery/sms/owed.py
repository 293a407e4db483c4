"""The SMS that are owed: written with the push, changed with what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select, update

from clarion.delivery.sms.rules import RECORDS_APPEAR, SmsStrategy
from clarion.store.database import Row, Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema_vendors import supplements


class OwedSms(NamedTuple):
    """An SMS that may have to be sent: message, internal number of its app, when it is due (ms), strategy."""

    message: int
    app: int
    due_at: int
    strategy: SmsStrategy


_INSERT = Insert(supplements, ("message", "app", "due_at", "strategy", "attempts", "doubts"))
_HASTEN = Query(
    lambda terms: (
        update(supplements)
        .values(due_at=bindparam("now"))
        .where(
            terms.any_of(supplements.c.message, "ended"),
            supplements.c.attempts == 0,
            supplements.c.due_at > bindparam("now"),
        )
    ),
    lists=("ended",),
)
_RECLAIM = Query(
    update(supplements)
    .values(due_at=bindparam("at"))
    .where(supplements.c.due_at > bindparam("at"), supplements.c.owner.is_not(None))
)
_CANCEL = Query(
    lambda terms: (
        delete(supplements).where(terms.any_of(supplements.c.message, "messages")).returning(supplements.c.message)
    ),
    lists=("messages",),
)
_OWED = Query(
    select(supplements.c.due_at, supplements.c.attempts).where(supplements.c.message == bindparam("message"))
)


async def owe(transaction: Transaction, wanted: Sequence[OwedSms]) -> None:
    """Owe SMS for messages that the transaction writes."""
    await transaction.insert(_INSERT, [(*each, 0, 0) for each in wanted])


async def hasten(transaction: Transaction, ended: Sequence[int], now: int) -> None:
    """Let the SMS of messages that no device can get be due `now` (ms)."""
    await transaction.execute(_HASTEN, ended=ended, now=now)


async def cancel(transaction: Transaction, messages: Sequence[int]) -> list[int]:
    """Owe no SMS for messages that the transaction revokes; for which of them one was owed."""
    return [message for (message,) in await transaction.fetch(_CANCEL, messages=messages)]


async def owed_sms(transaction: Transaction, message: int) -> Row | None:
    """When the SMS of a message is due (ms), and how often it was tried; None if none is owed."""
    return await transaction.fetch_one(_OWED, message=message)


async def reclaim_sms(transaction: Transaction, now: int) -> int:
    """End the leases of all processes soon after `now` (ms); how many there were.

    Only for a process that knows that it is alone. The rows keep their owners' names: what they had may be with the
    service, which is asked first.
    """
    return await transaction.execute(_RECLAIM, at=now + int(RECORDS_APPEAR * 1000))
