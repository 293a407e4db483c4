"""Tables, as they are after the last migration.

Times are milliseconds since 1970 (UTC). `app` and `device` are internal numbers. Hot tables have no foreign
keys: rows are written in bulk by code that has just made their parents, and retention deletes by id ranges.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, Table, Text, text

metadata = MetaData()

BATCHES = "kind IN (2, 3)"
"""Condition of the partial index over tasks that statistics list: multiple and broadcast pushes."""

DUE_FROM_VENDORS = "channel <> 'link'"
"""Condition of the partial index over deliveries that vendors' lines take."""

OPEN_STATUSES = "status IN (0, 1)"
"""Condition of the partial index over messages that may still be delivered (see `delivery.states`)."""


_KEY = BigInteger().with_variant(Integer, "sqlite")
"""SQLite keeps a table in the order of a primary key only if its type is called INTEGER."""


def key(name: str) -> Column[int]:
    """A column of a primary key of whole numbers."""
    return Column(name, _KEY, primary_key=True, autoincrement=False)


def number(name: str, *, null: bool = False) -> Column[int]:
    """A column of 64-bit numbers."""
    return Column(name, BigInteger, nullable=null)


def text_column(name: str, *, null: bool = False) -> Column[str]:
    """A column of texts."""
    return Column(name, Text, nullable=null)


def binary(name: str, *, null: bool = False) -> Column[bytes]:
    """A column of bytes."""
    return Column(name, LargeBinary, nullable=null)


settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    binary("value"),
)
"""Facts about the installation: the check value of the master key, the hash key of nonces."""

catalog = Table(
    "catalog",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    number("revision"),
)
"""One row; its revision grows with each change of apps, channels or keys, so that other processes reload them."""

apps = Table(
    "apps",
    metadata,
    key("app"),
    text_column("app_id"),
    text_column("workspace_id"),
    text_column("tenant_id", null=True),
    binary("secret"),
    Column("push_enabled", SmallInteger, nullable=False),
    Column("time_zone", Text, nullable=False, server_default="Asia/Shanghai"),
    Column("requests_per_second", Integer, nullable=False, server_default="0"),
    text_column("callback_url", null=True),
    binary("callback_key", null=True),
    text_column("callback_result", null=True),
    number("created_at"),
    Index("apps_by_name", "app_id", "workspace_id", unique=True),
)

"""`time_zone`: of schedules and of the days of statistics. `requests_per_second`: 0 for no limit.

`callback_url`: where the app's server is told of statuses and receipts; null: nowhere. `callback_key`: the sealed
private key that signs those calls. `callback_result`: how the last of them ended, as JSON
(`callbacks.model.LastResult`).
"""

channels = Table(
    "channels",
    metadata,
    key("app"),
    Column("channel", Text, primary_key=True),
    binary("settings"),
    Column("enabled", SmallInteger, nullable=False),
    number("revision"),
    number("created_at"),
    number("updated_at"),
    sqlite_with_rowid=False,
)
"""What an app has for a vendor: `settings` is its channel file, sealed. `revision`: the catalog's, when the row was
last changed."""

access_keys = Table(
    "access_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    binary("secret"),
    text_column("role"),
    text_column("app_id", null=True),
    Column("enabled", SmallInteger, nullable=False),
    Column("requests_per_second", Integer, nullable=False, server_default="0"),
    number("created_at"),
)

devices = Table(
    "devices",
    metadata,
    key("device"),
    number("app"),
    text_column("token"),
    text_column("platform"),
    binary("secret", null=True),
    text_column("user_id", null=True),
    text_column("phone", null=True),
    number("bound_at", null=True),
    number("unbound_at", null=True),
    text_column("channel", null=True),
    text_column("vendor_token", null=True),
    number("vendor_token_at", null=True),
    text_column("details", null=True),
    Column("broadcasts_seen", BigInteger, nullable=False, server_default="0"),
    number("created_at"),
    number("updated_at"),
    Index("devices_by_token", "app", "token", unique=True),
    Index("devices_by_number", "app", "device"),
    Index(
        "devices_by_user",
        "app",
        "user_id",
        sqlite_where=text("user_id IS NOT NULL"),
        postgresql_where=text("user_id IS NOT NULL"),
    ),
    Index(
        "devices_by_vendor_token",
        "app",
        "channel",
        "vendor_token",
        sqlite_where=text("vendor_token IS NOT NULL"),
        postgresql_where=text("vendor_token IS NOT NULL"),
    ),
)
"""A device has at most one user. `secret` is null for devices that only a back end reported.

`channel` and `vendor_token`: the vendor channel that the device reported; null for the own link alone.
`details`: model, app version and the like, as JSON. `broadcasts_seen`: every broadcast of the app up to this
number is settled for the device; it need not look at them again.
"""

templates = Table(
    "templates",
    metadata,
    key("template"),
    number("app"),
    text_column("name"),
    text_column("description"),
    text_column("variables"),
    binary("content"),
    number("created_at"),
    number("modified_at"),
    Index("templates_by_name", "app", "name", unique=True),
)
"""`content`: texts, style and pictures as JSON (`templates.model.TemplateText`)."""

tasks = Table(
    "tasks",
    metadata,
    key("task"),
    number("app"),
    Column("kind", SmallInteger, nullable=False),
    text_column("name"),
    binary("content"),
    text_column("answer", null=True),
    text_column("request_id"),
    number("template", null=True),
    text_column("template_name", null=True),
    number("first_message", null=True),
    number("created_at"),
    number("expires_at"),
    Index("tasks_in_batches", "app", "task", sqlite_where=text(BATCHES), postgresql_where=text(BATCHES)),
)
"""One accepted push. `content`: the immutable message as JSON; `answer`: what the API returned as Data.

`first_message`: its messages have numbers from this one up to the task's own; null for a broadcast.
"""

messages = Table(
    "messages",
    metadata,
    key("message"),
    number("task"),
    number("app"),
    Column("target_type", SmallInteger, nullable=False),
    text_column("target"),
    text_column("msg_key"),
    number("generation"),
    number("status"),
    number("status_at"),
    number("expires_at"),
    Column("series", SmallInteger, nullable=False, server_default="0"),
    Column("marks", SmallInteger, nullable=False, server_default="0"),
    binary("content", null=True),
    Index("messages_by_target", "app", "target", "msg_key", "target_type", "generation", unique=True),
    Index("messages_open", "expires_at", sqlite_where=text(OPEN_STATUSES), postgresql_where=text(OPEN_STATUSES)),
)
"""One target of a task. `generation` is 0 for the one message that a repeated (target, msgKey) means; when a
pair comes again after its idempotency window, the older row takes its own id as generation. `content` is null
where the message is the task's; a multiple push has one for each target.

`series`: what the message counts under in the statistics (`delivery.series`); `marks`: which of its receipts were
counted (`delivery.series.Mark`).
"""

deliveries = Table(
    "deliveries",
    metadata,
    key("device"),
    key("message"),
    number("app"),
    text_column("channel"),
    Column("attempts", SmallInteger, nullable=False),
    number("next_at"),
    text_column("owner", null=True),
    number("epoch"),
    number("leased_until"),
    Column("repeats", SmallInteger, nullable=False, server_default="0"),
    Index(
        "deliveries_due",
        "app",
        "channel",
        "next_at",
        sqlite_where=text(DUE_FROM_VENDORS),
        postgresql_where=text(DUE_FROM_VENDORS),
    ),
    sqlite_with_rowid=False,
)
"""What is still owed: one row a (device, message), deleted in the transaction that records its outcome.

`owner`, `epoch`, `leased_until`: the worker that holds the row, fenced by its epoch; the own link needs no lease,
because the device's connection is the worker. `repeats`: how often it was sent again although its vendor may have
had it.
"""

hops = Table(
    "hops",
    metadata,
    key("message"),
    key("hop"),
    number("at"),
    number("device", null=True),
    text_column("stage"),
    text_column("outcome"),
    text_column("code", null=True),
    text_column("detail", null=True),
    text_column("channel", null=True),
    sqlite_with_rowid=False,
)
"""The trace: what happened to a message, in order. `channel`: of a vendor's answers and receipts."""

reports = Table(
    "reports",
    metadata,
    key("message"),
    key("device"),
    Column("kind", Text, primary_key=True),
    number("at"),
    sqlite_with_rowid=False,
)
"""What devices told about a message (open, ignore), and vendors in their receipts, each once."""

nonces = Table(
    "nonces",
    metadata,
    key("page"),
    number("at"),
    binary("hashes"),
)
"""Used signature nonces: one row a commit, 8 bytes a nonce, so that a restart forgets none."""

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    text_column("owner"),
    number("epoch"),
    number("expires_at"),
)
"""Who does a job that one worker at a time may do; a holder whose epoch is old cannot write."""
