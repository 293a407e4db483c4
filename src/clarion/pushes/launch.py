"""Carrying plans out: committing them and handing them to delivery."""

from __future__ import annotations

from clarion.clock import Clock
from clarion.delivery.accept import Acceptance, Accepted
from clarion.delivery.dispatch import Dispatcher
from clarion.ids import IdGenerator
from clarion.pushes.model import PushReceipt
from clarion.pushes.plan import Plan
from clarion.store.group import GroupWriter


class Launcher:
    """Carries plans out.

    Args:
        writer: commits tasks; many share one transaction.
        acceptance: writes them.
        dispatcher: sends what was committed.
        ids: numbers of tasks and messages.
        clock: time of acceptance.
    """

    def __init__(
        self,
        writer: GroupWriter,
        acceptance: Acceptance,
        dispatcher: Dispatcher,
        ids: IdGenerator,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._acceptance = acceptance
        self._dispatcher = dispatcher
        self._ids = ids
        self._clock = clock

    async def launch(self, app: int, plan: Plan, request_id: str) -> PushReceipt:
        """Carry a plan out now; it is on disk when this returns.

        Raises:
            StoreUnavailable: it could not be committed; nothing was accepted.
        """
        task = plan.task(app, request_id, self._ids, self._clock.now_ms())
        accepted: Accepted = await self._writer.submit(self._acceptance.accept, task)
        self._dispatcher.dispatch(task, plan.contents[0], accepted)
        return PushReceipt(accepted.answer, len(task.messages) - accepted.repeated, accepted.repeated)
