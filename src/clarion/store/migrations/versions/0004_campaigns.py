"""broadcasts, schedules, revocations, statistics, callbacks, rate limits

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _key(name: str) -> "sa.Column[int]":
    return sa.Column(name, KEY, primary_key=True, autoincrement=False, nullable=False)


def _number(name: str, *, null: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _small(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.SmallInteger(), nullable=False)


def _text(name: str, *, null: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), nullable=null)


def _bytes(name: str, *, null: bool = False) -> "sa.Column[bytes]":
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))


def upgrade() -> None:
    _extend()
    _broadcasts()
    _schedules()
    _rest()


def _extend() -> None:
    op.add_column("apps", sa.Column("time_zone", sa.Text(), nullable=False, server_default="Asia/Shanghai"))
    op.add_column("apps", sa.Column("requests_per_second", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("apps", _text("callback_url", null=True))
    op.add_column("apps", _bytes("callback_key", null=True))
    op.add_column("apps", _text("callback_result", null=True))
    op.add_column("access_keys", sa.Column("requests_per_second", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("devices", sa.Column("broadcasts_seen", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("devices_by_number", "devices", ["app", "device"])
    op.add_column("tasks", _number("template", null=True))
    op.add_column("tasks", _text("template_name", null=True))
    op.add_column("tasks", _number("first_message", null=True))
    _partial("tasks_in_batches", "tasks", ["app", "task"], "kind IN (2, 3)")
    _partial("deliveries_due", "deliveries", ["app", "channel", "next_at"], "channel <> 'link'")
    op.add_column("messages", sa.Column("series", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("messages", sa.Column("marks", sa.SmallInteger(), nullable=False, server_default="0"))


def _broadcasts() -> None:
    op.create_table(
        "broadcasts",
        _key("task"),
        _number("app"),
        _small("target_type"),
        _text("msg_key"),
        _number("generation"),
        _text("audience"),
        _small("state"),
        _number("cursor"),
        _number("ended_at", null=True),
        _number("revocation", null=True),
        sa.Column("recalled", sa.BigInteger(), nullable=False, server_default="0"),
        _number("created_at"),
        _number("expires_at"),
    )
    op.create_index(
        "broadcasts_by_name", "broadcasts", ["app", "msg_key", "target_type", "generation"], unique=True
    )
    _partial("broadcasts_unfinished", "broadcasts", ["task"], "state = 0")
    op.create_index("broadcasts_by_end", "broadcasts", ["expires_at"])
    op.create_table(
        "broadcast_pages",
        _key("task"),
        _key("first"),
        _number("last"),
        _number("at"),
        _bytes("devices"),
        _bytes("marks"),
        _bytes("times"),
        _bytes("routes"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "broadcast_joins",
        _key("task"),
        _key("device"),
        _small("marks"),
        _small("route"),
        _number("at"),
        sqlite_with_rowid=False,
    )


def _schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("schedule", sa.Text(), primary_key=True, nullable=False),
        _number("app"),
        _small("kind"),
        _small("strategy"),
        _small("target_type"),
        _text("title"),
        _text("content"),
        _bytes("push"),
        _bytes("digest"),
        _text("request_id"),
        sa.Column("waiting", sa.Integer(), nullable=False),
        _number("created_at"),
        _number("ends_at"),
    )
    op.create_index("schedules_by_digest", "schedules", ["app", "digest"])
    _partial("schedules_waiting", "schedules", ["app"], "waiting > 0")
    op.create_index("schedules_by_end", "schedules", ["ends_at"])
    op.create_table(
        "fires",
        sa.Column("unique_id", sa.Text(), primary_key=True, nullable=False),
        _number("app"),
        _text("schedule"),
        _number("fire_at"),
        _small("state"),
        _number("task", null=True),
        _number("done_at", null=True),
    )
    op.create_index("fires_of_schedule", "fires", ["schedule", "fire_at"], unique=True)
    op.create_index("fires_of_app", "fires", ["app", "fire_at"])
    _partial("fires_waiting", "fires", ["fire_at"], "state = 0")


def _rest() -> None:
    op.create_table(
        "revocations",
        _key("device"),
        _key("revocation"),
        _number("app"),
        _number("message"),
        _text("msg_key"),
        _number("expires_at"),
        sqlite_with_rowid=False,
    )
    op.create_index("revocations_by_end", "revocations", ["expires_at"])
    figures = ("total", "success", "arrival", "opened", "ignored")
    op.create_table(
        "day_counters",
        _key("app"),
        _key("day"),
        _key("series"),
        *map(_number, figures),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "task_counters",
        _key("task"),
        _key("series"),
        *map(_number, figures),
        _number("changed_at"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "callbacks",
        _key("event"),
        _number("app"),
        _number("message"),
        _number("device", null=True),
        _text("kind"),
        _number("at"),
    )
    op.create_index("callbacks_of_app", "callbacks", ["app", "event"])
