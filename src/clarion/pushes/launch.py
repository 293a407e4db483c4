"""Carrying plans out: committing them and handing them to delivery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from clarion.channels.message import PushContent
from clarion.clock import Clock
from clarion.delivery.accept import Acceptance, Accepted, NewTask
from clarion.delivery.broadcasts.acceptance import accept_broadcasts
from clarion.delivery.dispatch import Dispatcher
from clarion.ids import IdGenerator
from clarion.pushes.model import PushReceipt
from clarion.pushes.plan import Plan
from clarion.store.database import Transaction
from clarion.store.group import GroupWriter


class Announcer(Protocol):
    """Sees to broadcasts that were committed."""

    def announce(self, order: NewTask, content: PushContent, accepted: Accepted) -> None:
        """Begin with one; must not block."""
        ...


class Launcher:
    """Carries plans out, in three steps: an order, its transaction, and what follows the commit.

    `launch` takes all three for a push that is wanted at once; a schedule takes them with its own transaction.

    Args:
        writer: commits orders; many share one transaction.
        acceptance: writes them.
        dispatcher: sends what was committed.
        announcer: sees to broadcasts.
        ids: numbers of tasks and messages.
        clock: time of acceptance.
    """

    def __init__(
        self,
        writer: GroupWriter,
        acceptance: Acceptance,
        dispatcher: Dispatcher,
        announcer: Announcer,
        ids: IdGenerator,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._acceptance = acceptance
        self._dispatcher = dispatcher
        self._announcer = announcer
        self._ids = ids
        self._clock = clock

    async def launch(self, app: int, plan: Plan, request_id: str) -> PushReceipt:
        """Carry a plan out now; it is on disk when this returns.

        Raises:
            StoreUnavailable: it could not be committed; nothing was accepted.
        """
        order = self.order(app, plan, request_id, self._clock.now_ms())
        accepted: Accepted = await self._writer.submit(self.write, order)
        self.hand_over(order, plan, accepted)
        return PushReceipt(accepted.answer, max(0, len(order.messages) - accepted.repeated), accepted.repeated)

    def order(self, app: int, plan: Plan, request_id: str, created_at: int, *, scheduled: bool = False) -> NewTask:
        """What is to be written for a plan; `Plan.task` says what the arguments are."""
        return plan.task(app, request_id, self._ids, created_at, scheduled=scheduled)

    async def write(self, transaction: Transaction, orders: Sequence[NewTask]) -> list[Accepted]:
        """Write a batch of orders; a handler for `GroupWriter.submit`."""
        direct = [order for order in orders if order.announcement is None]
        announced = [order for order in orders if order.announcement is not None]
        of_direct = iter(await self._acceptance.accept(transaction, direct) if direct else ())
        of_announced = iter(await accept_broadcasts(transaction, announced))
        return [next(of_direct if order.announcement is None else of_announced) for order in orders]

    def hand_over(self, order: NewTask, plan: Plan, accepted: Accepted) -> None:
        """Let delivery begin; the order is committed."""
        if order.announcement is None:
            self._dispatcher.dispatch(order, plan.contents[0], accepted)
        else:
            self._announcer.announce(order, plan.contents[0], accepted)
