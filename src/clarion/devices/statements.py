"""The statements of `devices.service`: compiled once."""

from __future__ import annotations

from sqlalchemy import Text, bindparam, case, func, select, update

from clarion.store.queries import Insert, Query
from clarion.store.schema import devices
from clarion.store.schema_vendors import phones

INSERT = Insert(
    devices,
    (
        "device",
        "app",
        "token",
        "platform",
        "secret",
        "channel",
        "vendor_token",
        "vendor_token_at",
        "created_at",
        "updated_at",
    ),
    on_conflict="(app, token) DO NOTHING",  # a number that is taken is an error, not a device that was there
    returning=("device",),
)
BY_TOKEN = (devices.c.app == bindparam("app"), devices.c.token == bindparam("token"))
# Locked on PostgreSQL: the user that is found is the one that the transaction changes.
FIND = Query(
    select(
        devices.c.user_id,
        devices.c.bound_at,
        devices.c.unbound_at,
        devices.c.device,
        devices.c.platform,
        devices.c.channel,
        devices.c.vendor_token,
    )
    .where(*BY_TOKEN)
    .with_for_update()
)
IDENTIFY = Query(select(devices.c.device, devices.c.secret, devices.c.user_id).where(*BY_TOKEN))
STATE_COLUMNS = (
    devices.c.device,
    devices.c.token,
    devices.c.user_id,
    devices.c.vendor_token,
    devices.c.platform,
    devices.c.channel,
)
STATE_BY_TOKEN = Query(select(*STATE_COLUMNS).where(*BY_TOKEN))
STATE_BY_USER = Query(
    select(*STATE_COLUMNS)
    .where(devices.c.app == bindparam("app"), devices.c.user_id == bindparam("user_id"))
    .order_by(devices.c.bound_at.desc())
    .limit(1)
)
TOKEN_OF = Query(select(devices.c.app, devices.c.token).where(devices.c.device == bindparam("device")))
SET_USER = Query(
    update(devices)
    .values(
        user_id=bindparam("user"),
        phone=func.coalesce(
            bindparam("number", type_=Text), case((devices.c.user_id == bindparam("user"), devices.c.phone))
        ),
        bound_at=bindparam("at"),
        unbound_at=None,
        broadcasts_seen=0,  # the device may be in the audience of some now
        updated_at=bindparam("at"),
    )
    .where(devices.c.device == bindparam("id"))
)
CLEAR_USER = Query(
    update(devices)
    .values(user_id=None, phone=None, unbound_at=bindparam("at"), broadcasts_seen=0, updated_at=bindparam("at"))
    .where(devices.c.device == bindparam("id"))
)
SET_PHONE = Insert(
    phones, ("app", "user_id", "number"), on_conflict="(app, user_id) DO UPDATE SET number = excluded.number"
)
SET_VENDOR = Query(
    update(devices)
    .values(
        channel=bindparam("way"),
        vendor_token=bindparam("address"),
        vendor_token_at=bindparam("at"),
        updated_at=bindparam("at"),
    )
    .where(devices.c.device == bindparam("id"))
)
SET_DETAILS = Query(
    update(devices)
    .values(details=bindparam("text"), updated_at=bindparam("at"))
    .where(devices.c.device == bindparam("id"))
)
