"""What the SMS service tells of SMS that it took: each report has its effect once, early, late or doubled.

A report names the task (`OutId`) and the number. It may come before the service's answer has been recorded: then
nothing is owed any more, and the answer finds nothing to send again.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, select

from clarion.channels.base import Receipt, ReceiptKind
from clarion.channels.sms.phones import normalised
from clarion.delivery.accept import TargetType
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.reports import INSERT_REPORTS
from clarion.delivery.sms.claims import NOBODY, phone_numbers
from clarion.delivery.sms.rules import SMS
from clarion.delivery.states import Outcome, Stage
from clarion.delivery.vendors.arrivals import ReceiptFate, Told
from clarion.delivery.vendors.intake import ReceiptRecorder
from clarion.ids import IdGenerator, id_time_ms
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema import hops, messages, tasks
from clarion.store.schema_vendors import supplements

_MAX_CODE = 64
_MAX_DETAIL = 300
_MAX_DIGITS = 16
_MOST_MESSAGES = 100
_HANDED_OVER = frozenset({Outcome.SMS_TAKEN.label, Outcome.SMS_IN_DOUBT.label})

_TASK = Query(
    select(tasks.c.first_message).where(tasks.c.task == bindparam("task"), tasks.c.app == bindparam("app"))
)
_MESSAGES = Query(
    select(messages.c.message, messages.c.target_type, messages.c.target, supplements.c.attempts)
    .join(supplements, supplements.c.message == messages.c.message, isouter=True)
    .where(
        messages.c.message >= bindparam("first"),
        messages.c.message < bindparam("task"),
        messages.c.task == bindparam("task"),
    )
    .order_by(messages.c.message)
    .limit(_MOST_MESSAGES)
)
_HOPS = Query(
    lambda terms: select(hops.c.message, hops.c.outcome).where(
        terms.any_of(hops.c.message, "messages"), hops.c.stage == Stage.SMS.value
    ),
    lists=("messages",),
)
_SETTLE = Query(
    lambda terms: delete(supplements).where(terms.any_of(supplements.c.message, "messages")), lists=("messages",)
)


class SmsReceipts:
    """Records reports of the SMS service, and leaves the receipts of other channels to `others`.

    Args:
        ids: numbers of hops.
        others: records those.
    """

    def __init__(self, ids: IdGenerator, others: ReceiptRecorder) -> None:
        self._ids = ids
        self._others = others

    async def record(self, transaction: Transaction, batch: Sequence[Told]) -> list[list[ReceiptFate]]:
        """Record receipts; a handler for `GroupWriter.submit`."""
        rest = iter(await self._others.record(transaction, [told for told in batch if told.channel != SMS]))
        return [
            [await self._record(transaction, told, receipt) for receipt in told.receipts]
            if told.channel == SMS
            else next(rest)
            for told in batch
        ]

    async def _record(self, transaction: Transaction, told: Told, receipt: Receipt) -> ReceiptFate:
        about = await _about(transaction, told.app, receipt)
        if not about:
            return ReceiptFate.UNKNOWN
        await transaction.execute(_SETTLE, messages=about)
        kind = f"{SMS}:{receipt.kind.value}"
        at = {message: min(told.now, max(id_time_ms(message), receipt.at)) for message in about}
        rows = await transaction.insert(INSERT_REPORTS, [(it, NOBODY, kind, at[it]) for it in about])
        outcome = Outcome.SMS_ARRIVED if receipt.kind is ReceiptKind.ARRIVED else Outcome.SMS_FAILED
        code, text = receipt.code[:_MAX_CODE] or None, receipt.text[:_MAX_DETAIL] or None
        await write_hops(
            transaction,
            [Hop(it, self._ids.next(), at[it], None, Stage.SMS, outcome, code, text) for it, _, _ in rows],
        )
        return ReceiptFate.NEWS if rows else ReceiptFate.REPEATED


async def _about(transaction: Transaction, app: int, receipt: Receipt) -> list[int]:
    """The messages that a report is about: those of the task whose SMS went to the number."""
    tag = receipt.tag
    if not (tag.isascii() and tag.isdigit() and len(tag) <= _MAX_DIGITS):
        return []
    task = await transaction.fetch_one(_TASK, task=int(tag), app=app)
    if task is None or task[0] is None:
        return []
    rows = await transaction.fetch(_MESSAGES, first=task[0], task=int(tag))
    said = await transaction.fetch(_HOPS, messages=[row[0] for row in rows])
    handed_over = {message for message, outcome in said if outcome in _HANDED_OVER}
    sent = [row for row in rows if row[0] in handed_over or row[3]]
    if len(rows) == 1:
        return [row[0] for row in sent]
    # The number may have been bound to another user since; then the report is nobody's.
    numbers = await phone_numbers(transaction, app, [(TargetType(kind), target) for _, kind, target, _ in sent])
    return [
        message
        for message, kind, target, _ in sent
        if normalised(numbers.get((TargetType(kind) is TargetType.USER, target), "")) == receipt.token
    ]
