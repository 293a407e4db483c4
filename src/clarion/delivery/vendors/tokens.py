"""Forgetting vendors' tokens that are nobody's any more."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace
from sqlalchemy import bindparam, select, update

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


_HELD = Query(
    select(devices.c.device).where(
        devices.c.device == bindparam("id"), devices.c.vendor_token == bindparam("address")
    )
)


async def drop_tokens(transaction: Transaction, judged: Sequence[Judged], now: int) -> Sequence[Judged]:
    """Forget the tokens that the verdicts name, unless their devices reported them again since (`now`: ms).

    Returns:
        The same, without `drop_token` where the device has the token still.
    """
    known: dict[tuple[int, str, int], bool] = {}
    said = list(judged)
    for place, each in enumerate(judged):
        if not each.verdict.drop_token:
            continue
        device, address, since = each.waiting.envelope.device, each.waiting.envelope.token, each.verdict.since
        key = device, address, now + 1 if since is None else since
        if key not in known:
            known[key] = await _is_kept(transaction, *key)
        if known[key]:
            said[place] = replace(each, verdict=each.verdict._replace(drop_token=False))
    return said


async def _is_kept(transaction: Transaction, device: int, address: str, before: int) -> bool:
    if await transaction.execute(DROP_TOKEN, id=device, address=address, before=before):
        return False
    return await transaction.fetch_one(_HELD, id=device, address=address) is not None
