"""Tables of broadcasts, schedules, revocations, statistics and callbacks, as they are after the last migration."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table, Text, text

from clarion.store.schema import binary, key, metadata, number, text_column

__all__ = [
    "broadcast_joins",
    "broadcast_pages",
    "broadcasts",
    "callbacks",
    "day_counters",
    "fires",
    "metadata",
    "revocations",
    "schedules",
    "task_counters",
]

WAITING_FIRES = "state = 0"
"""Condition of the partial index over fires whose time has not come (see `schedules.model.FireState`)."""

UNFINISHED_BROADCASTS = "state = 0"
"""Condition of the partial index over broadcasts that still have pages to go (see `delivery.broadcasts`)."""

broadcasts = Table(
    "broadcasts",
    metadata,
    key("task"),
    number("app"),
    Column("target_type", SmallInteger, nullable=False),
    text_column("msg_key"),
    number("generation"),
    text_column("audience"),
    Column("state", SmallInteger, nullable=False),
    number("cursor"),
    number("ended_at", null=True),
    number("revocation", null=True),
    Column("recalled", BigInteger, nullable=False, server_default="0"),
    number("created_at"),
    number("expires_at"),
    Index("broadcasts_by_name", "app", "msg_key", "target_type", "generation", unique=True),
    Index(
        "broadcasts_unfinished",
        "task",
        sqlite_where=text(UNFINISHED_BROADCASTS),
        postgresql_where=text(UNFINISHED_BROADCASTS),
    ),
    Index("broadcasts_by_end", "expires_at"),
)
"""A broadcast, and how far it has got; its task has its content. The number of the task is its message id, too.

`audience`: who gets it, as JSON. `cursor`: every device up to this number has its place in a page.
`generation`: as for messages. `revocation`: the id of the revoke frame. `recalled`: once it is revoked, vendors
were asked to take it back from every device up to this number. `expires_at`: end of the validity, as the
task has it; of a revoked broadcast, until when devices are told of that.
"""

broadcast_pages = Table(
    "broadcast_pages",
    metadata,
    key("task"),
    key("first"),
    number("last"),
    number("at"),
    binary("devices"),
    binary("marks"),
    binary("times"),
    binary("routes"),
    sqlite_with_rowid=False,
)
"""About 1,000 devices of a broadcast: the range of their numbers, the numbers (8 bytes each, ascending), the marks
of each (1 byte), when each acknowledged it (4 bytes: ms after `at`), and the way that was planned for each (1 byte:
the channel's code; nothing at all where every device is on the own link)."""

broadcast_joins = Table(
    "broadcast_joins",
    metadata,
    key("task"),
    key("device"),
    Column("marks", SmallInteger, nullable=False),
    Column("route", SmallInteger, nullable=False),
    number("at"),
    sqlite_with_rowid=False,
)
"""Devices that came into the audience after their page was written, and acknowledged the broadcast, or are sent it
through a vendor. `at`: when they acknowledged it; until then, when they joined."""

schedules = Table(
    "schedules",
    metadata,
    Column("schedule", Text, primary_key=True),
    number("app"),
    Column("kind", SmallInteger, nullable=False),
    Column("strategy", SmallInteger, nullable=False),
    Column("target_type", SmallInteger, nullable=False),
    text_column("title"),
    text_column("content"),
    binary("push"),
    binary("digest"),
    text_column("request_id"),
    Column("waiting", Integer, nullable=False),
    number("created_at"),
    number("ends_at"),
    Index("schedules_by_digest", "app", "digest"),
    Index("schedules_waiting", "app", sqlite_where=text("waiting > 0"), postgresql_where=text("waiting > 0")),
    Index("schedules_by_end", "ends_at"),
)
"""A timed or cyclic push. `push`: what is done at each fire, as JSON; `digest`: names the request, so that a repeat
of it is recognised; `waiting`: how many of its fires have yet to come; `ends_at`: time of the last one."""

fires = Table(
    "fires",
    metadata,
    Column("unique_id", Text, primary_key=True),
    number("app"),
    text_column("schedule"),
    number("fire_at"),
    Column("state", SmallInteger, nullable=False),
    number("task", null=True),
    number("done_at", null=True),
    Index("fires_of_schedule", "schedule", "fire_at", unique=True),
    Index("fires_of_app", "app", "fire_at"),
    Index("fires_waiting", "fire_at", sqlite_where=text(WAITING_FIRES), postgresql_where=text(WAITING_FIRES)),
)
"""One time at which a schedule is due: there is one row for each (schedule, time), so it is carried out once."""

revocations = Table(
    "revocations",
    metadata,
    key("device"),
    key("revocation"),
    number("app"),
    number("message"),
    text_column("msg_key"),
    number("expires_at"),
    Index("revocations_by_end", "expires_at"),
    sqlite_with_rowid=False,
)
"""Revoke frames that devices on the link have yet to acknowledge."""

day_counters = Table(
    "day_counters",
    metadata,
    key("app"),
    key("day"),
    key("series"),
    number("total"),
    number("success"),
    number("arrival"),
    number("opened"),
    number("ignored"),
    sqlite_with_rowid=False,
)
"""Statistics of a day (days since 1970 in the app's zone) by series: kind, platform, channel."""

task_counters = Table(
    "task_counters",
    metadata,
    key("task"),
    key("series"),
    number("total"),
    number("success"),
    number("arrival"),
    number("opened"),
    number("ignored"),
    number("changed_at"),
    sqlite_with_rowid=False,
)
"""Statistics of a multiple or broadcast task by series; `changed_at`: of the last count."""

callbacks = Table(
    "callbacks",
    metadata,
    key("event"),
    number("app"),
    number("message"),
    number("device", null=True),
    text_column("kind"),
    number("at"),
    Index("callbacks_of_app", "app", "event"),
)
"""What the app's own server has yet to be told: a row goes when its call was answered."""
