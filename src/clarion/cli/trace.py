"""`clarion trace`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.text import Text

from clarion.cli.context import (
    AppId,
    Config,
    DataDir,
    Json,
    WorkspaceId,
    fail,
    out,
    print_json,
    settings_of,
    with_foundation,
)
from clarion.delivery.trace import Trace
from clarion.delivery.trace import trace as read_trace
from clarion.foundation import Foundation

_INDENT = 37
_NARROWEST = 40


def trace(
    app_id: AppId,
    workspace_id: WorkspaceId,
    target: Annotated[str, typer.Option(metavar="T", help="The target as it was pushed to: device id or user id.")],
    msg_key: Annotated[str, typer.Option(metavar="K", help="The message key of the push.")],
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show what became of one message to one target, and why. Each hop has its cause, and what to do about it."""

    async def work(foundation: Foundation) -> Trace | None:
        directory = foundation.directory
        await directory.refresh()
        app = await directory.find_app(app_id, workspace_id)
        if app is None:
            fail(f"no app {app_id} in workspace {workspace_id}; `clarion app list` shows what there is")
        return await read_trace(foundation.database, foundation.clock, app.key, target, msg_key)

    found = with_foundation(settings_of(data_dir, config), work)
    if found is None:
        fail(
            f"no message to {target!r} with key {msg_key!r} in the last 30 days. Was the push answered OK? "
            "Target and key must be exactly those of TargetMsgkey."
        )
    if json:
        print_json(found)
    else:
        _show(found)


def _show(found: Trace) -> None:
    out.print(f"[bold]{found.status_name}[/bold] (status {found.status})")
    out.print(f"  message {found.message_id}, task {found.task_id} {found.task_name!r}", markup=False)
    zone = datetime.now().astimezone().tzname()
    out.print(f"  times in {zone}", style="dim")
    for hop in found.hops:
        at = datetime.fromtimestamp(hop.at / 1000).astimezone()
        out.print(f"  {at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}  ", end="")
        out.print(f"{hop.stage:9}", style="cyan", end=" ")
        first, *rest = _lines(hop.cause + (f" [{hop.code}]" if hop.code else ""))
        out.print(first, markup=False)
        _print_below(rest)
        where = [f"channel {hop.channel}"] if hop.channel else []
        if hop.device:
            where.append(f"device {hop.device}")
        if where:
            _print_below([", ".join(where)], style="dim")
        if hop.next:
            step, *rest = _lines(f"→ {hop.next}")
            _print_below([step, *(f"  {line}" for line in rest)], style="yellow")


def _lines(text: str) -> list[str]:
    """A text as a terminal has room for it beside the times; one line where there is no terminal."""
    if not out.is_terminal:
        return [text]
    room = max(out.width - _INDENT - 2, _NARROWEST)
    return [line.plain.rstrip() for line in Text(text).wrap(out, room)]


def _print_below(lines: Sequence[str], style: str = "") -> None:
    for line in lines:
        out.print(f"{'':{_INDENT}}{line}", style=style, markup=False)
