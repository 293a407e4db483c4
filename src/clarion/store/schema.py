"""Tables, as they are after the last migration.

Times are milliseconds since 1970 (UTC). `app` and `device` are internal numbers. Hot tables have no foreign
keys: rows are written in bulk by code that has just made their parents, and retention deletes by id ranges.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, Table, Text, text

metadata = MetaData()

OPEN_STATUSES = "status IN (0, 1)"
"""Condition of the partial index over messages that may still be delivered (see `delivery.states`)."""


_KEY = BigInteger().with_variant(Integer, "sqlite")
"""SQLite keeps a table in the order of a primary key only if its type is called INTEGER."""


def _key(name: str) -> Column[int]:
    return Column(name, _KEY, primary_key=True, autoincrement=False)


def _number(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _bytes(name: str, *, null: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=null)


settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    _bytes("value"),
)
"""Facts about the installation: the check value of the master key, the hash key of nonces."""

catalog = Table(
    "catalog",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    _number("revision"),
)
"""One row; its revision grows with each change of apps or access keys, so that other processes reload them."""

apps = Table(
    "apps",
    metadata,
    _key("app"),
    _text("app_id"),
    _text("workspace_id"),
    _text("tenant_id", null=True),
    _bytes("secret"),
    Column("push_enabled", SmallInteger, nullable=False),
    _number("created_at"),
    Index("apps_by_name", "app_id", "workspace_id", unique=True),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    _bytes("secret"),
    _text("role"),
    _text("app_id", null=True),
    Column("enabled", SmallInteger, nullable=False),
    _number("created_at"),
)

devices = Table(
    "devices",
    metadata,
    _key("device"),
    _number("app"),
    _text("token"),
    _text("platform"),
    _bytes("secret", null=True),
    _text("user_id", null=True),
    _text("phone", null=True),
    _number("bound_at", null=True),
    _number("unbound_at", null=True),
    _text("channel", null=True),
    _text("vendor_token", null=True),
    _number("vendor_token_at", null=True),
    _text("details", null=True),
    _number("created_at"),
    _number("updated_at"),
    Index("devices_by_token", "app", "token", unique=True),
    Index(
        "devices_by_user",
        "app",
        "user_id",
        sqlite_where=text("user_id IS NOT NULL"),
        postgresql_where=text("user_id IS NOT NULL"),
    ),
)
"""A device has at most one user. `secret` is null for devices that only a back end reported.

`channel` and `vendor_token`: the vendor channel that the device reported; null for the own link alone.
`details`: model, app version and the like, as JSON.
"""

templates = Table(
    "templates",
    metadata,
    _key("template"),
    _number("app"),
    _text("name"),
    _text("description"),
    _text("variables"),
    _bytes("content"),
    _number("created_at"),
    _number("modified_at"),
    Index("templates_by_name", "app", "name", unique=True),
)
"""`content`: texts, style and pictures as JSON (`templates.model.TemplateText`)."""

tasks = Table(
    "tasks",
    metadata,
    _key("task"),
    _number("app"),
    Column("kind", SmallInteger, nullable=False),
    _text("name"),
    _bytes("content"),
    _text("answer", null=True),
    _text("request_id"),
    _number("created_at"),
    _number("expires_at"),
)
"""One accepted push. `content`: the immutable message as JSON; `answer`: what the API returned as Data."""

messages = Table(
    "messages",
    metadata,
    _key("message"),
    _number("task"),
    _number("app"),
    Column("target_type", SmallInteger, nullable=False),
    _text("target"),
    _text("msg_key"),
    _number("generation"),
    _number("status"),
    _number("status_at"),
    _number("expires_at"),
    _bytes("content", null=True),
    Index("messages_by_target", "app", "target", "msg_key", "target_type", "generation", unique=True),
    Index("messages_open", "expires_at", sqlite_where=text(OPEN_STATUSES), postgresql_where=text(OPEN_STATUSES)),
)
"""One target of a task. `generation` is 0 for the one message that a repeated (target, msgKey) means; when a
pair comes again after its idempotency window, the older row takes its own id as generation. `content` is null
where the message is the task's; a multiple push has one for each target."""

deliveries = Table(
    "deliveries",
    metadata,
    _key("device"),
    _key("message"),
    _number("app"),
    _text("channel"),
    Column("attempts", SmallInteger, nullable=False),
    _number("next_at"),
    _text("owner", null=True),
    _number("epoch"),
    _number("leased_until"),
    sqlite_with_rowid=False,
)
"""What is still owed: one row a (device, message), deleted in the transaction that records its outcome.

`owner`, `epoch`, `leased_until`: the worker that holds the row, fenced by its epoch; the own link needs no lease,
because the device's connection is the worker.
"""

hops = Table(
    "hops",
    metadata,
    _key("message"),
    _key("hop"),
    _number("at"),
    _number("device", null=True),
    _text("stage"),
    _text("outcome"),
    _text("code", null=True),
    _text("detail", null=True),
    sqlite_with_rowid=False,
)
"""The trace: what happened to a message, in order."""

reports = Table(
    "reports",
    metadata,
    _key("message"),
    _key("device"),
    Column("kind", Text, primary_key=True),
    _number("at"),
    sqlite_with_rowid=False,
)
"""What devices told about a message (open, ignore), each once."""

nonces = Table(
    "nonces",
    metadata,
    _key("page"),
    _number("at"),
    _bytes("hashes"),
)
"""Used signature nonces: one row a commit, 8 bytes a nonce, so that a restart forgets none."""

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    _text("owner"),
    _number("epoch"),
    _number("expires_at"),
)
"""Who does a job that one worker at a time may do; a holder whose epoch is old cannot write."""
