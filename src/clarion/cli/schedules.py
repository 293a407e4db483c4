"""`clarion schedule`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from clarion.cli.context import (
    AppId,
    Config,
    DataDir,
    Json,
    WorkspaceId,
    print_json,
    print_table,
    settings_of,
    with_foundation,
)
from clarion.foundation import Foundation
from clarion.schedules.listing import Entry
from clarion.schedules.model import FireState
from clarion.schedules.service import ScheduleService
from clarion.store.group import GroupWriter
from clarion.tenants.calendar import time_zone
from clarion.tenants.model import App
from clarion.tenants.service import NotThere

commands = typer.Typer(help="Timed and cyclic pushes: list, cancel.", no_args_is_help=True, rich_markup_mode=None)

_PAGE = 500


@commands.command("list")
def list_schedules(
    app_id: AppId,
    workspace_id: WorkspaceId,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that were carried out, missed or cancelled.")
    ] = False,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """List the pushes to come, in the order in which they are due."""
    states = tuple(FireState) if every else (FireState.WAITING,)

    async def work(foundation: Foundation) -> tuple[App, list[Entry]]:
        app = await _app(foundation, app_id, workspace_id)
        service, entries, number = _service(foundation), [], 1
        while page := (await service.page(app.key, number=number, size=_PAGE, states=states))[0]:
            entries += page
            number += 1
        return app, entries

    app, entries = with_foundation(settings_of(data_dir, config), work)
    if json:
        print_json([_fields(entry) for entry in entries])
        return
    zone = time_zone(app.time_zone)
    print_table(
        (f"DUE ({app.time_zone})", "STATE", "KIND", "STRATEGY", "TITLE", "ID", "PARENT"),
        [
            (
                datetime.fromtimestamp(e.push_time / 1000, zone).strftime("%Y-%m-%d %H:%M:%S"),
                e.state.label,
                e.kind.name.lower(),
                e.strategy.name.lower(),
                e.title,
                e.unique_id,
                "" if e.parent_id == e.unique_id else e.parent_id,
            )
            for e in entries
        ],
        "Nothing is scheduled: a push with StrategyType 1 or 2 is",
    )


@commands.command("cancel")
def cancel_schedules(
    app_id: AppId,
    workspace_id: WorkspaceId,
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Of a schedule, or of one of its pushes.")],
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Cancel pushes that were not carried out yet. Exits 1 when there was nothing to cancel under some id."""

    async def work(foundation: Foundation) -> dict[str, bool]:
        app = await _app(foundation, app_id, workspace_id)
        service = _service(foundation)
        done = await service.cancel(app.key, ids)
        return done | await service.cancel(app.key, [one for one in ids if not done[one]], children=True)

    done = with_foundation(settings_of(data_dir, config), work)
    if json:
        print_json(done)
    else:
        rows = [(name, "cancelled" if success else "nothing to cancel") for name, success in done.items()]
        print_table(("ID", "RESULT"), rows, "")
    if not all(done.values()):
        raise typer.Exit(1)


def _service(foundation: Foundation) -> ScheduleService:
    return ScheduleService(foundation.database, GroupWriter(foundation.database), foundation.clock)


async def _app(foundation: Foundation, app_id: str, workspace_id: str) -> App:
    app = await foundation.directory.find_app(app_id, workspace_id)
    if app is None:
        raise NotThere(f"no app {app_id} in workspace {workspace_id}; `clarion app list` shows what there is")
    return app


def _fields(entry: Entry) -> dict[str, Any]:
    return {
        "uniqueId": entry.unique_id,
        "parentId": entry.parent_id,
        "pushTime": entry.push_time,
        "title": entry.title,
        "content": entry.content,
        "kind": entry.kind.name.lower(),
        "strategy": entry.strategy.name.lower(),
        "state": entry.state.label,
        "createdAt": entry.created_at,
    }
