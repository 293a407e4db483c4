"""What all commands share: options, opening the foundation, printing results, exit codes.

Exit codes: 0 done; 1 it could not be done (the text says why); 2 wrong usage.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from clarion.foundation import Foundation, open_foundation
from clarion.settings import Settings, load_settings

T = TypeVar("T")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="DIR", help="Where data is kept (default ./clarion-data).", show_default=False
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings in a TOML file.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AppId = Annotated[str, typer.Option("--app-id", metavar="A", help="AppId of the API.")]
WorkspaceId = Annotated[str, typer.Option("--workspace-id", metavar="W", help="WorkspaceId of the API.")]

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Fault(Exception):
    """The command cannot do what was asked; its text is for the person who asked."""


def settings_of(data_dir: Path | None, config: Path | None, **overrides: Any) -> Settings:
    """The settings, with what the command line says."""
    return load_settings({"data_dir": str(data_dir) if data_dir else None, **overrides}, file=config)


def with_foundation(settings: Settings, work: Callable[[Foundation], Awaitable[T]]) -> T:
    """Run `work` on the database, and close it."""

    async def main() -> T:
        foundation = await open_foundation(settings)
        try:
            return await work(foundation)
        finally:
            await foundation.database.close()

    return asyncio.run(main())


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def print_fields(title: str, fields: dict[str, Any]) -> None:
    """A small two-column table under a title."""
    out.print(f"[bold]{title}[/bold]")
    width = max(map(len, fields))
    for name, value in fields.items():
        out.print(f"  {name.ljust(width)}  ", end="")
        out.print(str(value), markup=False)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
    """A table, or the sentence `empty` when there are no rows."""
    if not rows:
        out.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    out.print(table)


def fail(text: str) -> NoReturn:
    """Say why it cannot be done, and exit 1."""
    raise Fault(text)
