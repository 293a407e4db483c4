"""Tables of deliveries through vendors, as they are after the last migration."""

from __future__ import annotations

from sqlalchemy import Column, Index, SmallInteger, Table, Text

from clarion.store.schema import binary, key, number, text_column
from clarion.store.schema_campaigns import metadata

__all__ = [
    "activities",
    "broadcast_parts",
    "broadcast_sends",
    "channel_days",
    "channel_notices",
    "metadata",
    "phones",
    "supplements",
]

broadcast_parts = Table(
    "broadcast_parts",
    metadata,
    key("part"),
    number("task"),
    number("page"),
    number("app"),
    text_column("channel"),
    binary("devices"),
    Column("attempts", SmallInteger, nullable=False),
    number("next_at"),
    text_column("owner", null=True),
    number("epoch"),
    number("leased_until"),
    Index("broadcast_parts_due", "app", "channel", "next_at"),
    Index("broadcast_parts_of_task", "task"),
)
"""Devices of one page of a broadcast, or one that joined later, to which a vendor still has to take it: their
numbers, 8 bytes each, ascending. `page`: the page's first device. The row goes with its last device.

`owner`, `epoch`, `leased_until`: as for deliveries.
"""

broadcast_sends = Table(
    "broadcast_sends",
    metadata,
    key("task"),
    key("page"),
    key("send"),
    number("at"),
    text_column("channel"),
    Column("attempt", SmallInteger, nullable=False),
    binary("outcomes"),
    sqlite_with_rowid=False,
)
"""What a vendor said of devices of one page of a broadcast: outcome, code and text, with the places of the devices
in the page (`delivery.broadcasts.sends`)."""

channel_notices = Table(
    "channel_notices",
    metadata,
    key("app"),
    Column("channel", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    number("revision"),
    number("until"),
    text_column("code"),
    text_column("reason"),
    sqlite_with_rowid=False,
)
"""What a line has to remember, and an operator wants to see (`delivery.vendors.notices`), until `until`.

`revision`: the channel's; a notice of other settings does not count any more.
"""

channel_days = Table(
    "channel_days",
    metadata,
    key("app"),
    Column("channel", Text, primary_key=True),
    key("day"),
    number("targets"),
    sqlite_with_rowid=False,
)
"""How many targets a vendor took, or may have taken, on a day (days since 1970, where the vendors are)."""

activities = Table(
    "activities",
    metadata,
    key("activity"),
    number("app"),
    text_column("activity_id"),
    number("device"),
    text_column("push_token"),
    number("reported_at"),
    Index("activities_by_id", "app", "activity_id", "device", unique=True),
    Index("activities_of_device", "device"),
    Index("activities_by_age", "reported_at"),
)
"""The push token of a live activity, as its device reported it last. `activity`: its number, which stands for a
device's in the deliveries and traces of what is pushed to it; no device has the same one."""

phones = Table(
    "phones",
    metadata,
    key("app"),
    Column("user_id", Text, primary_key=True),
    text_column("number"),
    sqlite_with_rowid=False,
)
"""The phone number that a user was bound with last, on whichever device; it outlives the binding."""

supplements = Table(
    "supplements",
    metadata,
    key("message"),
    number("app"),
    number("due_at"),
    Column("strategy", SmallInteger, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("doubts", SmallInteger, nullable=False),
    text_column("owner", null=True),
    Index("supplements_due", "due_at", "app"),
)
"""SMS that are owed, or will be unless the push arrives: a row goes with its outcome.

`due_at`: when it is looked at; while `owner` has it leased, the end of the lease. `attempts`: how often it was
leased; `doubts`: after how many of those the service may have had it.
"""
