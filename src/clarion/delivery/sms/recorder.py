"""Making the SMS service's answers durable: what is still owed, and the trace, in one transaction.

A row is changed only while this process has the lease with which the SMS was sent. One that is not its own any more
was cancelled by a revocation, or leased by another process; then only the trace is written. The status of the
message and the statistics are about the push and stay as they are.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select, update

from clarion.channels.base import Accepted, InvalidToken, SendOutcome, Unknown
from clarion.delivery.hops import Hop, write_hops
from clarion.delivery.sms.rules import SMS, Attempt, Verdict, verdict
from clarion.delivery.states import Outcome, Stage
from clarion.delivery.vendors.quota import count_targets, taken
from clarion.delivery.vendors.waiting import Waiting
from clarion.delivery.vendors.wording import MAX_DETAIL, OUTCOME_OF
from clarion.ids import IdGenerator
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema_vendors import supplements

SMS_OUTCOMES: Mapping[type, Outcome] = {
    **OUTCOME_OF,
    Accepted: Outcome.SMS_TAKEN,
    InvalidToken: Outcome.SMS_WRONG_NUMBER,
    Unknown: Outcome.SMS_IN_DOUBT,
}
"""What the trace calls the service's answer."""

_OWN = Query(
    lambda terms: (
        select(supplements.c.message, supplements.c.attempts, supplements.c.doubts)
        .where(
            terms.pair_of(supplements.c.message, supplements.c.due_at, "pairs"),
            supplements.c.owner == bindparam("by"),
        )
        .order_by(supplements.c.message)
        .with_for_update()
    ),
    pairs=("pairs",),
)
_SETTLE = Query(
    lambda terms: delete(supplements).where(terms.any_of(supplements.c.message, "messages")), lists=("messages",)
)
_POSTPONE = Query(
    lambda terms: (
        update(supplements)
        .values(due_at=bindparam("at"), owner=None, doubts=supplements.c.doubts + bindparam("more"))
        .where(terms.any_of(supplements.c.message, "messages"))
    ),
    lists=("messages",),
)


class SmsBatch(NamedTuple):
    """Answers to one call.

    Attributes:
        app: internal number of the app.
        owner: the process that sent it.
        now: ms.
        sent: what was sent, and what the service said.
    """

    app: int
    owner: str
    now: int
    sent: Sequence[tuple[Waiting, SendOutcome]]


class SmsRecorder:
    """Records answers.

    Args:
        ids: numbers of hops.
        rng: spreads pauses.
    """

    def __init__(self, ids: IdGenerator, rng: random.Random | None = None) -> None:
        self._ids = ids
        self._random = rng or random.Random()  # noqa: S311 - spreads load, hides nothing

    async def record(self, transaction: Transaction, batches: Sequence[SmsBatch]) -> list[None]:
        """Record batches; a handler for `GroupWriter.submit`."""
        for batch in batches:
            await self._record(transaction, batch)
        if batches:
            counts = [(batch.app, SMS, taken(outcome for _, outcome in batch.sent)) for batch in batches]
            await count_targets(transaction, counts, batches[-1].now)
        return [None] * len(batches)

    async def _record(self, transaction: Transaction, batch: SmsBatch) -> None:
        # The end of the lease tells this attempt from any other of the same process.
        pairs = [(waiting.envelope.message, waiting.leased_until) for waiting, _ in batch.sent]
        rows = await transaction.fetch(_OWN, pairs=pairs, by=batch.owner)
        own = {message: (attempts, doubts) for message, attempts, doubts in rows}
        settled: list[int] = []
        later: dict[tuple[int, bool], list[int]] = defaultdict(list)
        trace = []
        for waiting, outcome in batch.sent:
            message = waiting.envelope.message
            attempts, doubts = own.get(message, (1, 0))
            attempt = Attempt(attempts, doubts, waiting.envelope.expires_at, batch.now, self._random.random())
            found = verdict(outcome, attempt)
            trace.append(self._hop(batch.now, message, outcome, found))
            if message not in own:
                continue
            if found.at is None:
                settled.append(message)
            else:
                later[found.at, found.doubtful].append(message)
        if settled:
            await transaction.execute(_SETTLE, messages=sorted(settled))
        for (at, doubtful), some in later.items():
            await transaction.execute(_POSTPONE, messages=sorted(some), at=at, more=int(doubtful))
        await write_hops(transaction, trace)

    def _hop(self, now: int, message: int, outcome: SendOutcome, found: Verdict) -> Hop:
        if isinstance(outcome, Accepted):
            code, text = outcome.vendor_id, ""
        else:
            code, text = outcome.code, outcome.text
        detail = f"{text} {found.note}".strip()[:MAX_DETAIL]
        name = SMS_OUTCOMES[type(outcome)]
        return Hop(message, self._ids.next(), now, None, Stage.SMS, name, code or None, detail or None)
