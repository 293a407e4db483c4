"""`clarion callback`: where an app's own server is told of statuses and receipts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from clarion.callbacks.model import Answer, Destination, LastResult, UrlError, trial_batch, without_query
from clarion.callbacks.service import CallbackEntry, CallbackService
from clarion.cli.context import (
    AppId,
    Config,
    DataDir,
    Json,
    WorkspaceId,
    fail,
    out,
    print_fields,
    print_json,
    settings_of,
    with_foundation,
)
from clarion.foundation import Foundation
from clarion.ids import first_id_at

commands = typer.Typer(
    help="Callbacks: tell an app's own server of statuses and receipts.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@commands.command("set")
def set_callback(
    app_id: AppId,
    workspace_id: WorkspaceId,
    url: Annotated[
        str | None,
        typer.Option(help="http(s) address that is called (default: as it is).", show_default=False),
    ] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Sign with a new key from now on.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Switch callbacks on, or change where they go. Prints the public key that verifies them."""

    async def work(foundation: Foundation) -> CallbackEntry:
        return await _service(foundation).set(app_id, workspace_id, url, new_key=new_key)

    try:
        entry = with_foundation(settings_of(data_dir, config), work)
    except UrlError as error:
        fail(str(error))
    _show(app_id, workspace_id, entry, "Callbacks are on", as_json=json)


@commands.command("show")
def show_callback(
    app_id: AppId, workspace_id: WorkspaceId, data_dir: DataDir = None, config: Config = None, json: Json = False
) -> None:
    """Show where callbacks go, what waits, and how the last call ended."""

    async def work(foundation: Foundation) -> CallbackEntry:
        return await _service(foundation).show(app_id, workspace_id)

    entry = with_foundation(settings_of(data_dir, config), work)
    _show(app_id, workspace_id, entry, "Callbacks", as_json=json)


@commands.command("off")
def switch_off(
    app_id: AppId, workspace_id: WorkspaceId, data_dir: DataDir = None, config: Config = None, json: Json = False
) -> None:
    """Switch callbacks off. The key stays, for when they are switched on again."""

    async def work(foundation: Foundation) -> None:
        await _service(foundation).off(app_id, workspace_id)

    with_foundation(settings_of(data_dir, config), work)
    if json:
        print_json({"appId": app_id, "workspaceId": workspace_id, "url": None})
    else:
        out.print("Callbacks are off.")


@commands.command("test")
def try_callback(
    app_id: AppId, workspace_id: WorkspaceId, data_dir: DataDir = None, config: Config = None, json: Json = False
) -> None:
    """Send one signed event of the type "test" now. Exit code 1 unless the server takes it."""
    settings = settings_of(data_dir, config)

    async def work(foundation: Foundation) -> tuple[Destination, Answer]:
        from clarion.callbacks.caller import HttpCaller

        destination = await _service(foundation).destination(app_id, workspace_id)
        caller = HttpCaller(foundation.clock, settings.callback_timeout, settings.callback_ca_file)
        now = foundation.clock.now_ms()
        try:
            return destination, await caller.call(
                destination, trial_batch(app_id, workspace_id, first_id_at(now), now)
            )
        finally:
            await caller.close()

    destination, answer = with_foundation(settings, work)
    body = answer.body.decode("utf-8", "replace")
    if json:
        print_json({"taken": answer.taken, "status": answer.status, "cause": answer.cause or None, "body": body})
        raise typer.Exit(int(not answer.taken))
    if not answer.taken:
        fail(f"{without_query(destination.url)} did not take the event: {answer.cause}\n{body}".rstrip())
    out.print(f"Taken: {without_query(destination.url)} answered {answer.status}.", markup=False)


def _service(foundation: Foundation) -> CallbackService:
    return CallbackService(foundation.database, foundation.vault)


def _show(app_id: str, workspace_id: str, entry: CallbackEntry, title: str, *, as_json: bool) -> None:
    if as_json:
        fields: dict[str, Any] = {"appId": app_id, "workspaceId": workspace_id, "url": entry.url}
        print_json({**fields, "publicKey": entry.public_key, "waiting": entry.waiting, "last": entry.last})
        return
    print_fields(
        title,
        {
            "url": entry.url or "off",
            "waiting": f"{entry.waiting} events",
            "last call": _told(entry.last),
        },
    )
    if entry.public_key:
        out.print(entry.public_key, end="", markup=False)


def _told(last: LastResult | None) -> str:
    if last is None:
        return "-"
    at = datetime.fromtimestamp(last.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"taken at {at}" if last.taken else f"failed at {at}: {last.cause} ({last.failures} in a row)"
