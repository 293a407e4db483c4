"""Taking pushes back: which messages a request means, in which steps they are revoked, what is asked of vendors."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import structlog
from sqlalchemy import bindparam, select

from clarion.channels.base import NotRecallable, Recalled, Recaller, RecallOutcome, RecallUnknown, VendorCopy
from clarion.channels.registry import BY_LABEL, Channel
from clarion.clock import Clock
from clarion.delivery.recalls import REVOCABLE_MS
from clarion.delivery.revocations import Revocable, Revocations
from clarion.delivery.series import PushKind
from clarion.delivery.states import Outcome
from clarion.delivery.vendors.wording import recall_wording
from clarion.ids import first_id_at
from clarion.pushes.service import require_app
from clarion.results import Refusal, ResultCode
from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Query
from clarion.store.schema import messages, tasks
from clarion.tenants.directory import Directory

log = structlog.get_logger(__name__)

STEP_MESSAGES = 400
"""Most messages that one transaction revokes."""

_VENDOR_SECONDS = 5.0
_ID_DIGITS = 16
_DAYS = REVOCABLE_MS // (24 * 3600 * 1000)


class Revocation(NamedTuple):
    """What a revocation came to.

    Attributes:
        withdrawn: messages (of a broadcast: devices) that were taken back before they were delivered.
        recalled: devices that have been, or will be, asked to remove what they have.
        unrecalled: devices on which it stays.
    """

    withdrawn: int = 0
    recalled: int = 0
    unrecalled: int = 0

    def plus(self, other: Revocation) -> Revocation:
        """The sum of two."""
        return Revocation(*map(sum, zip(self, other, strict=True)))

    @property
    def text(self) -> str:
        """In words, for the caller."""
        said = (
            f"success: {self.withdrawn} withdrawn before delivery, "
            f"recall sent to {self.recalled} {'device' if self.recalled == 1 else 'devices'}, "
            f"{self.unrecalled} could not be recalled"
        )
        return said if any(self) else f"{said}; it had been revoked before, or had expired"


class BroadcastRevoker(Protocol):
    """Revokes broadcasts."""

    async def revoke(self, app: int, task: int) -> tuple[int, int, int] | None:
        """Revoke the broadcast of an app; the numbers of a `Revocation`, or None if there is no such broadcast."""
        ...


_MATCHES = Query(
    select(messages.c.message, messages.c.target_type, messages.c.target, messages.c.msg_key)
    .where(
        messages.c.app == bindparam("app"),
        messages.c.target == bindparam("target"),
        messages.c.msg_key == bindparam("msg_key"),
        messages.c.message > bindparam("after"),
    )
    .order_by(messages.c.message)
    .limit(bindparam("limit"))
)
_TASK = Query(
    select(tasks.c.app, tasks.c.kind, tasks.c.first_message, tasks.c.created_at).where(
        tasks.c.task == bindparam("task")
    )
)
_OF_TASK = Query(
    select(messages.c.message, messages.c.target_type, messages.c.target, messages.c.msg_key)
    .where(
        messages.c.message > bindparam("after"),
        messages.c.message < bindparam("task"),
        messages.c.task == bindparam("task"),
    )
    .order_by(messages.c.message)
    .limit(bindparam("limit"))
)


class RevocationService:
    """Revokes messages and tasks of the last seven days.

    Args:
        directory: finds the app.
        database: to read from.
        clock: for the age of pushes.
        revocations: does it.
        recallers: the channels that can take messages back.
        broadcasts: revokes broadcasts; None while there are none.
        vendor_seconds: how long vendors may take to answer.
    """

    def __init__(
        self,
        directory: Directory,
        database: Database,
        clock: Clock,
        revocations: Revocations,
        recallers: Mapping[Channel, Recaller],
        broadcasts: BroadcastRevoker | None = None,
        vendor_seconds: float = _VENDOR_SECONDS,
    ) -> None:
        self._directory = directory
        self._database = database
        self._clock = clock
        self._revocations = revocations
        self._recallers = recallers
        self._broadcasts = broadcasts
        self._vendor_seconds = vendor_seconds
        self._one_at_a_time = asyncio.Lock()

    async def revoke_message(self, app_id: str, workspace_id: str, message_id: str, target: str) -> Revocation:
        """Revoke every message that was pushed to this target under this message key.

        Raises:
            Refusal: 3003 or 3007 for the app; 3028 when there is no such message of the last seven days.
            StoreUnavailable: it could not be committed, or not all of it; revoking again does the rest.
        """
        app = await require_app(self._directory, app_id, workspace_id)
        for name, value in (("MessageId", message_id), ("TargetId", target)):
            if not value:
                raise Refusal(ResultCode.INVALID_PARAM, f"{name} is empty")
        revoked = await self._in_steps(app.key, _MATCHES, self._oldest, target=target, msg_key=message_id)
        if revoked is None:
            raise Refusal(
                ResultCode.INVALID_PARAM,
                f"no message of the last {_DAYS} days has this MessageId (the message key of the push) and this "
                "TargetId; broadcasts are revoked by their task",
            )
        return revoked

    async def revoke_task(self, app_id: str, workspace_id: str, task_id: str) -> Revocation:
        """Revoke all messages of a multiple push, or a broadcast.

        Raises:
            Refusal: 3003 or 3007 for the app; 3028 when there is no such task of the last seven days.
            StoreUnavailable: it could not be committed, or not all of it; revoking again does the rest.
        """
        app = await require_app(self._directory, app_id, workspace_id)
        task = _number(task_id)
        kind, first = await self._find_task(app.key, task)
        revoked: Revocation | None = None
        if kind is PushKind.MULTIPLE:
            revoked = await self._in_steps(app.key, _OF_TASK, first - 1, task=task)
        elif kind is PushKind.BROADCAST and self._broadcasts is not None:
            counts = await self._broadcasts.revoke(app.key, task)
            revoked = Revocation(*counts) if counts is not None else None
        elif kind in (PushKind.SIMPLE, PushKind.TEMPLATE):
            raise Refusal(ResultCode.INVALID_PARAM, "this push is revoked message by message: RevokePushMessage")
        if revoked is None:
            raise Refusal(
                ResultCode.INVALID_PARAM,
                f"no multiple push or broadcast of the last {_DAYS} days has this TaskId",
            )
        return revoked

    @property
    def _oldest(self) -> int:
        return first_id_at(self._clock.now_ms() - REVOCABLE_MS)

    async def _find_task(self, app: int, task: int) -> tuple[PushKind | None, int]:
        """Kind of a recent task of the app, and where its messages begin; no kind when there is none."""

        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(_TASK, task=task)

        row = await self._database.read(work)
        if row is None or row[0] != app or task < self._oldest:
            return None, 0
        _, kind, first, created_at = row
        return PushKind(kind), first_id_at(created_at) if first is None else first

    async def _in_steps(self, app: int, query: Query, after: int, **values: object) -> Revocation | None:
        """Revoke all that `query` finds with an id over `after`; None if that is nothing."""
        total: Revocation | None = None
        while True:
            page = await self._page(query, after, app=app, **values)
            if not page:
                return total
            total = (await self._revoke(app, page)).plus(total or Revocation())
            if len(page) < STEP_MESSAGES:
                return total
            after = page[-1].message

    async def _page(self, query: Query, after: int, **values: object) -> list[Revocable]:
        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(query, after=after, limit=STEP_MESSAGES, **values)

        return [Revocable(*row) for row in await self._database.read(work)]

    async def _revoke(self, app: int, page: Sequence[Revocable]) -> Revocation:
        if len(page) == 1:
            revoked = await self._revocations.revoke(app, page)
        else:
            # Many at once would share one transaction, and pushes would wait for it.
            async with self._one_at_a_time:
                revoked = await self._revocations.revoke(app, page)
        answers = await self._ask_vendors(app, revoked.copies)
        taken_back = sum(isinstance(answer, Recalled) for answer in answers)
        return Revocation(revoked.withdrawn, len(revoked.recalls) + taken_back, len(answers) - taken_back)

    async def _ask_vendors(self, app: int, copies: Sequence[tuple[str, VendorCopy]]) -> list[RecallOutcome]:
        """Have vendors take messages back, all at the same time, and note what they say."""
        by_channel: dict[str, list[VendorCopy]] = defaultdict(list)
        for label, copy in copies:
            by_channel[label].append(copy)
        said = await asyncio.gather(*(self._ask(app, label, its) for label, its in by_channel.items()))
        pairs = [
            pair
            for its, answers in zip(by_channel.values(), said, strict=True)
            for pair in zip(its, answers, strict=True)
        ]
        if pairs:
            await self._revocations.record([_step(copy, answer) for copy, answer in pairs])
        return [answer for _, answer in pairs]

    async def _ask(self, app: int, label: str, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        channel = BY_LABEL.get(label)
        recaller = self._recallers.get(channel) if channel is not None else None
        if recaller is None:
            return [NotRecallable(text=f"Channel {label or 'unknown'} cannot take messages back.")] * len(copies)
        try:
            async with asyncio.timeout(self._vendor_seconds):
                return await recaller.recall(app, copies)
        except TimeoutError:
            text = f"No answer within {self._vendor_seconds:g} seconds."
        except Exception as error:
            # A channel raises nothing; should one do so, the messages are revoked all the same.
            log.exception("recall_failed", channel=label)
            text = type(error).__name__
        return [RecallUnknown(text=text)] * len(copies)


def _step(copy: VendorCopy, answer: RecallOutcome) -> tuple[VendorCopy, Outcome, str, str]:
    said = recall_wording(answer)
    return copy, said.outcome, said.code, said.detail


def _number(task_id: str) -> int:
    text = task_id.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS):
        raise Refusal(
            ResultCode.INVALID_PARAM,
            "TaskId is not the number that PushMultiple or PushBroadcast answered as Data; "
            "a push that is still to come is cancelled with CancelPushScheduler",
        )
    return int(text)
