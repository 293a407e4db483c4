"""Bringing a database to the current schema."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarion.failures import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

HEAD = "0005"
"""The newest migration; a test holds it against the files."""

_WAIT_SECONDS = 30


async def migrate(url: str) -> None:
    """Apply the migrations that the database at `url` has not had.

    Args:
        url: `sqlite:///path` or `postgresql://…`.

    Raises:
        ConfigurationError: the database was written by a newer version of Clarion.
        StoreUnavailable: the database cannot be reached.
    """
    from sqlalchemy.exc import SQLAlchemyError

    scheme, _, rest = url.partition("://")
    try:
        if scheme == "sqlite":
            await asyncio.to_thread(_migrate_sqlite, rest[1:])
        else:
            await _migrate_postgresql(url)
    except (OSError, SQLAlchemyError) as error:
        raise StoreUnavailable(f"cannot open the database: {error}") from error


def _migrate_sqlite(path: str) -> None:
    from sqlalchemy import URL, create_engine, event
    from sqlalchemy.pool import NullPool

    engine = create_engine(
        URL.create("sqlite", database=path),  # a path may have characters that mean something in a URL
        poolclass=NullPool,
        connect_args={"timeout": _WAIT_SECONDS, "isolation_level": None},
    )
    # sqlite3 by itself opens no transaction for DDL. With this one, processes that start together migrate one
    # after the other, and a migration that is cut off leaves nothing.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.connect() as connection:
        _upgrade(connection)


async def _migrate_postgresql(url: str) -> None:
    import asyncpg
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    # Connects as `PostgresqlDatabase` does, so that both read the URL alike.
    async def connect() -> Any:
        try:
            return await asyncpg.connect(url)
        except (asyncpg.PostgresError, ValueError) as error:
            raise OSError(str(error)) from error

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            # Nodes that start together migrate one after the other.
            await connection.execute(text("SELECT pg_advisory_lock(4201)"))
            await connection.commit()
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    current = _current(connection)
    if current == HEAD:
        return
    from alembic import command
    from alembic.util import CommandError

    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigurationError(
            f"the database is at schema {current}, which this version of Clarion does not know; "
            "run the version that wrote it, or a newer one"
        ) from error
    connection.commit()


def _current(connection: Connection) -> str | None:
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    return config
