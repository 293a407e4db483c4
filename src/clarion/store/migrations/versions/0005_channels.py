"""vendor channels of apps, broadcasts through vendors

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
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


def upgrade() -> None:
    op.add_column("hops", _text("channel", null=True))
    op.add_column("deliveries", sa.Column("repeats", sa.SmallInteger(), nullable=False, server_default="0"))
    op.create_table(
        "channels",
        _key("app"),
        sa.Column("channel", sa.Text(), primary_key=True, nullable=False),
        _bytes("settings"),
        _small("enabled"),
        _number("revision"),
        _number("created_at"),
        _number("updated_at"),
        sqlite_with_rowid=False,
    )
    _broadcasts()
    _pacing()
    _activities()
    op.create_index(
        "devices_by_vendor_token",
        "devices",
        ["app", "channel", "vendor_token"],
        sqlite_where=sa.text("vendor_token IS NOT NULL"),
        postgresql_where=sa.text("vendor_token IS NOT NULL"),
    )
    _sms()


def _broadcasts() -> None:
    op.create_table(
        "broadcast_parts",
        _key("part"),
        _number("task"),
        _number("page"),
        _number("app"),
        _text("channel"),
        _bytes("devices"),
        _small("attempts"),
        _number("next_at"),
        _text("owner", null=True),
        _number("epoch"),
        _number("leased_until"),
    )
    op.create_index("broadcast_parts_due", "broadcast_parts", ["app", "channel", "next_at"])
    op.create_index("broadcast_parts_of_task", "broadcast_parts", ["task"])
    op.create_table(
        "broadcast_sends",
        _key("task"),
        _key("page"),
        _key("send"),
        _number("at"),
        _text("channel"),
        _small("attempt"),
        _bytes("outcomes"),
        sqlite_with_rowid=False,
    )


def _pacing() -> None:
    op.create_table(
        "channel_notices",
        _key("app"),
        sa.Column("channel", sa.Text(), primary_key=True, nullable=False),
        sa.Column("kind", sa.Text(), primary_key=True, nullable=False),
        _number("revision"),
        _number("until"),
        _text("code"),
        _text("reason"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "channel_days",
        _key("app"),
        sa.Column("channel", sa.Text(), primary_key=True, nullable=False),
        _key("day"),
        _number("targets"),
        sqlite_with_rowid=False,
    )


def _activities() -> None:
    op.create_table(
        "activities",
        _key("activity"),
        _number("app"),
        _text("activity_id"),
        _number("device"),
        _text("push_token"),
        _number("reported_at"),
    )
    op.create_index("activities_by_id", "activities", ["app", "activity_id", "device"], unique=True)
    op.create_index("activities_of_device", "activities", ["device"])
    op.create_index("activities_by_age", "activities", ["reported_at"])


def _sms() -> None:
    op.create_table(
        "phones",
        _key("app"),
        sa.Column("user_id", sa.Text(), primary_key=True, nullable=False),
        _text("number"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO phones (app, user_id, number) SELECT all_of.app, all_of.user_id, max(all_of.phone) "
        "FROM devices AS all_of JOIN (SELECT app, user_id, max(bound_at) AS last FROM devices "
        "WHERE user_id IS NOT NULL AND phone IS NOT NULL GROUP BY app, user_id) AS newest "
        "ON newest.app = all_of.app AND newest.user_id = all_of.user_id AND newest.last = all_of.bound_at "
        "WHERE all_of.phone IS NOT NULL GROUP BY all_of.app, all_of.user_id"
    )
    op.create_table(
        "supplements",
        _key("message"),
        _number("app"),
        _number("due_at"),
        _small("strategy"),
        _small("attempts"),
        _small("doubts"),
        _text("owner", null=True),
    )
    op.create_index("supplements_due", "supplements", ["due_at", "app"])
