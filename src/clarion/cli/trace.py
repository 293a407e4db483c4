"""`clarion trace`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

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


def trace(
    app_id: AppId,
    workspace_id: WorkspaceId,
    target: Annotated[str, typer.Option(metavar="T", help="The target as it was pushed to: device id or user id.")],
    msg_key: Annotated[str, typer.Option(metavar="K", help="The message key of the push.")],
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show every hop of one message to one target: what happened, why, and what to do."""

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
    out.print(f"[bold]{found.status_name}[/bold] (status {found.status})  ", end="")
    out.print(f"task {found.task_id} {found.task_name!r}  message {found.message_id}", markup=False)
    zone = datetime.now().astimezone().tzname()
    out.print(f"  times in {zone}", style="dim")
    for hop in found.hops:
        at = datetime.fromtimestamp(hop.at / 1000).astimezone()
        out.print(f"  {at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}  ", end="")
        out.print(f"{hop.stage:9}", style="cyan", end=" ")
        out.print(hop.cause + (f" [{hop.code}]" if hop.code else ""), markup=False)
        if hop.device:
            out.print(f"{'':36}device {hop.device}", style="dim", markup=False)
        if hop.next:
            out.print(f"{'':36}→ {hop.next}", style="yellow", markup=False)
