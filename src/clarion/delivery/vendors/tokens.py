"""Forgetting vendors' tokens that are nobody's any more."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, update

from clarion.delivery.vendors.wording import Judged
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema import devices

DROP_TOKEN = Query(
    update(devices)
    .values(vendor_token=None, channel=None)
    .where(
        devices.c.device == bindparam("id"),
        devices.c.vendor_token == bindparam("address"),
        devices.c.vendor_token_at < bindparam("before"),
    )
)
"""Forget a device's token if it still has it, and had it before a moment (ms)."""


async def drop_tokens(transaction: Transaction, judged: Iterable[Judged], now: int) -> None:
    """Forget the tokens that the verdicts name, unless their devices reported them again since (`now`: ms)."""
    for each in judged:
        if each.verdict.drop_token:
            since = each.verdict.since
            await transaction.execute(
                DROP_TOKEN,
                id=each.waiting.envelope.device,
                address=each.waiting.envelope.token,
                before=now + 1 if since is None else since,
            )
