"""Opening a database by its URL."""

from __future__ import annotations

from pathlib import Path

from clarion.failures import ConfigurationError
from clarion.store.database import Database
from clarion.store.migrate import migrate


async def open_database(url: str) -> Database:
    """The database at `url`, brought to the current schema.

    Args:
        url: `sqlite:///path` (an absolute path has four slashes) or `postgresql://user:password@host:port/name`.

    Raises:
        ConfigurationError: another kind of URL, or a database of a newer version.
        StoreUnavailable: it cannot be reached or written.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("sqlite", "postgresql", "postgres"):
        raise ConfigurationError(
            f"unknown database URL {scheme!r}…: use sqlite:///path or postgresql://user:password@host:port/name"
        )
    if scheme == "sqlite":
        from clarion.store.sqlite import SqliteDatabase

        await migrate(url)
        return SqliteDatabase(Path(rest[1:]))
    from clarion.store.postgresql import PostgresqlDatabase

    url = f"postgresql://{rest}"
    await migrate(url)
    return PostgresqlDatabase(url)
