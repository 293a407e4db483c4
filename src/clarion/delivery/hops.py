"""Writing the trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from clarion.delivery.states import Outcome, Stage
from clarion.store.database import Transaction
from clarion.store.queries import Insert
from clarion.store.schema import hops


class Hop(NamedTuple):
    """One step of one message.

    Attributes:
        message: internal message id.
        hop: number that orders the hops of a message; unique within it.
        at: time, ms.
        device: internal number of the device, or None when the step concerns no single one.
        stage: what the service was doing.
        outcome: how it ended.
        code: a vendor's or device's own code, verbatim.
        detail: a vendor's or device's own text.
        channel: label of the vendor's channel, when it is the vendor who said so.
    """

    message: int
    hop: int
    at: int
    device: int | None
    stage: Stage
    outcome: Outcome
    code: str | None = None
    detail: str | None = None
    channel: str | None = None


_INSERT = Insert(
    hops,
    ("message", "hop", "at", "device", "stage", "outcome", "code", "detail", "channel"),
    on_conflict="DO NOTHING",
)


async def write_hops(transaction: Transaction, steps: Sequence[Hop]) -> None:
    """Add steps to the trace."""
    await transaction.insert(
        _INSERT,
        [
            (s.message, s.hop, s.at, s.device, s.stage.value, s.outcome.label, s.code, s.detail, s.channel)
            for s in steps
        ],
    )
