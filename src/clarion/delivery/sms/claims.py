"""SMS that are due, leased to this process; what is not needed any more, or cannot be sent, is struck off.

While a row is leased, `due_at` is the end of its lease. A lease that ended without an outcome leaves the fate of
the SMS in doubt: the process may have been killed just after the service took it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, case, delete, func, select, update

from clarion.channels.base import Envelope
from clarion.channels.message import PushContent, decode_content
from clarion.delivery.accept import DEVICE_TYPES, TargetType
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.sms.rules import MOST_DOUBTS, SmsStrategy, obstacle
from clarion.delivery.states import Outcome, Stage
from clarion.delivery.vendors.lanes import Lane
from clarion.delivery.vendors.waiting import Waiting
from clarion.ids import IdGenerator
from clarion.store.database import Row, Transaction
from clarion.store.queries import Query
from clarion.store.schema import devices, messages, tasks
from clarion.store.schema_vendors import phones, supplements

SMS_LEASE_MS = 60_000
"""How long a process has an SMS before others may look after it."""
STEP_ROWS = 500
"""Most SMS that one transaction leases."""
NOBODY = 0
"""The device of an envelope that goes to a phone number."""

_DUE = Query(
    select(
        supplements.c.message,
        supplements.c.strategy,
        case((supplements.c.owner.is_not(None), supplements.c.doubts + 1), else_=supplements.c.doubts),
    )
    .where(supplements.c.due_at <= bindparam("now"), supplements.c.app == bindparam("app"))
    .order_by(supplements.c.due_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_LEASE = Query(
    lambda terms: (
        update(supplements)
        .values(
            owner=bindparam("by"),
            due_at=bindparam("until"),
            attempts=supplements.c.attempts + 1,
            doubts=case((supplements.c.owner.is_not(None), supplements.c.doubts + 1), else_=supplements.c.doubts),
        )
        .where(terms.any_of(supplements.c.message, "messages"))
    ),
    lists=("messages",),
)
_STRIKE_OFF = Query(
    lambda terms: delete(supplements).where(terms.any_of(supplements.c.message, "messages")), lists=("messages",)
)
_MESSAGES = Query(
    lambda terms: (
        select(
            messages.c.message,
            messages.c.target_type,
            messages.c.target,
            messages.c.msg_key,
            messages.c.task,
            messages.c.status,
            messages.c.expires_at,
            func.coalesce(messages.c.content, tasks.c.content),
        )
        .join(tasks, tasks.c.task == messages.c.task)
        .where(terms.any_of(messages.c.message, "messages"))
    ),
    lists=("messages",),
)
_OF_USERS = Query(
    lambda terms: select(phones.c.user_id, phones.c.number).where(
        phones.c.app == bindparam("app"), terms.any_of(phones.c.user_id, "targets")
    ),
    lists=("targets",),
)
_OF_TOKENS = Query(
    lambda terms: (
        select(devices.c.token, func.coalesce(devices.c.phone, phones.c.number))
        .join(phones, (phones.c.app == devices.c.app) & (phones.c.user_id == devices.c.user_id), isouter=True)
        .where(devices.c.app == bindparam("app"), terms.any_of(devices.c.token, "targets"))
    ),
    lists=("targets",),
)


class ClaimSms(NamedTuple):
    """What a process asks for.

    Attributes:
        app: internal number of the app.
        limit: most SMS.
        owner: this process.
        now: ms.
        can_send: whether the app has a channel for them; if not, they are struck off.
    """

    app: int
    limit: int
    owner: str
    now: int
    can_send: bool


class ClaimedSms(NamedTuple):
    """What it got: SMS to send, and how many rows it was in all."""

    waiting: Sequence[Waiting]
    rows: int


class _Struck(NamedTuple):
    message: int
    outcome: Outcome


class Claims:
    """Leases SMS.

    Args:
        ids: numbers of hops.
    """

    def __init__(self, ids: IdGenerator) -> None:
        self._ids = ids

    async def claim(self, transaction: Transaction, batch: Sequence[ClaimSms]) -> list[ClaimedSms]:
        """Lease what is due; a handler for `GroupWriter.submit`."""
        return [await self._claim(transaction, each) for each in batch]

    async def _claim(self, transaction: Transaction, asked: ClaimSms) -> ClaimedSms:
        rows = await transaction.fetch(_DUE, app=asked.app, now=asked.now, limit=asked.limit)
        due = {message: (SmsStrategy(strategy), doubts) for message, strategy, doubts in rows}
        if not due:
            return ClaimedSms((), 0)
        found = await transaction.fetch(_MESSAGES, messages=sorted(due))
        numbers = await phone_numbers(transaction, asked.app, ((TargetType(row[1]), row[2]) for row in found))
        waiting, struck = [], []
        contents: dict[bytes, PushContent] = {}
        for row in found:
            message, kind, target, msg_key, task, status, expires_at, stored = row
            strategy, doubts = due[message]
            number = numbers.get((TargetType(kind) is TargetType.USER, target))
            outcome = obstacle(strategy, status, expires_at, asked.now) or _missing(asked, number, doubts)
            if outcome is not None or number is None:
                struck.append(_Struck(message, outcome or Outcome.SMS_NO_NUMBER))
                continue
            stored = bytes(stored)
            content = contents.get(stored)
            if content is None:  # one object for all that share it: they share a call
                content = contents[stored] = decode_content(stored)
            # Of an SMS, an attempt is one that may have reached the service.
            envelope = Envelope(message, NOBODY, number, msg_key, task, expires_at, content, doubts + 1)
            waiting.append(Waiting(envelope, Lane.SINGLE, asked.now + SMS_LEASE_MS))
        await self._settle(transaction, asked, due, waiting, struck)
        return ClaimedSms(waiting, len(rows))

    async def _settle(
        self,
        transaction: Transaction,
        asked: ClaimSms,
        due: Iterable[int],
        waiting: Sequence[Waiting],
        struck: Sequence[_Struck],
    ) -> None:
        leased = {each.envelope.message for each in waiting}
        if leased:
            until = asked.now + SMS_LEASE_MS
            await transaction.execute(_LEASE, messages=sorted(leased), by=asked.owner, until=until)
        if rest := sorted(set(due) - leased):  # also those whose message was deleted with its app
            await transaction.execute(_STRIKE_OFF, messages=rest)
        await write_hops(
            transaction,
            [Hop(each.message, self._ids.next(), asked.now, None, Stage.SMS, each.outcome) for each in struck],
        )


def _missing(asked: ClaimSms, number: str | None, doubts: int) -> Outcome | None:
    if not asked.can_send:
        return Outcome.SMS_NO_CHANNEL
    if number is None:
        return Outcome.SMS_NO_NUMBER
    return Outcome.SMS_IN_DOUBT if doubts >= MOST_DOUBTS else None


async def phone_numbers(
    transaction: Transaction, app: int, targets: Iterable[tuple[TargetType, str]]
) -> dict[tuple[bool, str], str]:
    """Phone numbers, as they were bound, by (whether the target is a user, target); for those that have one."""
    wanted: dict[bool, set[str]] = {True: set(), False: set()}
    for kind, target in targets:
        if kind is TargetType.USER or kind in DEVICE_TYPES:
            wanted[kind is TargetType.USER].add(target)
    found: dict[tuple[bool, str], str] = {}
    for is_user, query in ((True, _OF_USERS), (False, _OF_TOKENS)):
        if wanted[is_user]:
            rows: Sequence[Row] = await transaction.fetch(query, app=app, targets=sorted(wanted[is_user]))
            found |= {(is_user, target): number for target, number in rows if number}
    return found
