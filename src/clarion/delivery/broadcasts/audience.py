"""Audiences in SQL: which devices belong, `PAGE_DEVICES` at a time, in order of their numbers."""

from __future__ import annotations

from sqlalchemy import BigInteger, and_, bindparam, func, or_, select
from sqlalchemy.sql.elements import BindParameter

from clarion.delivery.broadcasts.model import NEVER, Audience
from clarion.store.queries import Query
from clarion.store.schema import devices

SCAN_DEVICES = 5000
"""Most devices that are looked at for one page, so that few who belong do not hold up the writer."""


def _moment(name: str) -> BindParameter[int]:
    return bindparam(name, type_=BigInteger)


BELONGS = or_(
    and_(
        devices.c.user_id.is_not(None),
        func.coalesce(devices.c.bound_at, NEVER).between(_moment("bound_first"), _moment("bound_last")),
    ),
    and_(
        devices.c.user_id.is_(None),
        func.coalesce(devices.c.unbound_at, NEVER).between(_moment("unbound_first"), _moment("unbound_last")),
    ),
)
"""Whether a device of the platform belongs; `Audience.has` is the same in Python."""

STRIDE = Query(
    select(devices.c.device)
    .where(devices.c.app == bindparam("app"), devices.c.device > bindparam("after"))
    .order_by(devices.c.device)
    .limit(1)
    .offset(SCAN_DEVICES - 1)
)
"""The last device that one page may look at; nothing when fewer are left."""

MEMBERS = Query(
    select(devices.c.device, devices.c.platform, devices.c.channel, devices.c.vendor_token)
    .where(
        devices.c.app == bindparam("app"),
        devices.c.device > bindparam("after"),
        devices.c.device <= bindparam("upto"),
        devices.c.platform == bindparam("platform"),
        BELONGS,
    )
    .order_by(devices.c.device)
    .limit(bindparam("limit"))
)
"""The first `limit` devices of an audience after one number and up to another, as `routing.Reachable` has them."""


def span_parameters(audience: Audience, accepted_at: int) -> dict[str, int]:
    """Values for `BELONGS`."""
    bound, unbound = audience.spans(accepted_at)
    return {
        "bound_first": bound.first,
        "bound_last": bound.last,
        "unbound_first": unbound.first,
        "unbound_last": unbound.last,
    }
