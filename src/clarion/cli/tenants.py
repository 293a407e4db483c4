"""`clarion app` and `clarion key`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from clarion.app import Foundation
from clarion.cli.context import (
    AppId,
    Config,
    DataDir,
    Json,
    WorkspaceId,
    err,
    out,
    print_fields,
    print_json,
    print_table,
    settings_of,
    with_foundation,
)
from clarion.settings import Settings
from clarion.tenants.model import AccessKey, App, Role
from clarion.tenants.service import AppEntry, KeyEntry

apps = typer.Typer(help="Apps: make, list, delete.", no_args_is_help=True, rich_markup_mode=None)
keys = typer.Typer(help="Access keys: make, list, disable.", no_args_is_help=True, rich_markup_mode=None)

KeyId = Annotated[str, typer.Argument(metavar="ACCESS_KEY_ID", help="The key.")]


@apps.command("create")
def create_app(
    app_id: AppId,
    workspace_id: WorkspaceId,
    tenant_id: Annotated[
        str | None, typer.Option(help="TenantId that newer clients send.", show_default=False)
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make an app. Its secret goes into the app, to register devices with."""

    async def work(foundation: Foundation) -> App:
        return await foundation.tenants.create_app(app_id, workspace_id, tenant_id)

    app = with_foundation(settings_of(data_dir, config), work)
    fields = {"appId": app.app_id, "workspaceId": app.workspace_id, "appSecret": app.secret.decode()}
    if json:
        print_json(fields)
    else:
        print_fields("App created", fields)


@apps.command("list")
def list_apps(data_dir: DataDir = None, config: Config = None, json: Json = False) -> None:
    """List the apps."""

    async def work(foundation: Foundation) -> list[AppEntry]:
        return await foundation.tenants.list_apps()

    entries = with_foundation(settings_of(data_dir, config), work)
    if json:
        print_json(
            [
                {
                    "appId": entry.app_id,
                    "workspaceId": entry.workspace_id,
                    "tenantId": entry.tenant_id,
                    "pushEnabled": entry.push_enabled,
                    "createdAt": entry.created_at,
                }
                for entry in entries
            ]
        )
        return
    print_table(
        ("APP", "WORKSPACE", "TENANT", "PUSH API", "CREATED"),
        [
            (e.app_id, e.workspace_id, e.tenant_id or "-", "on" if e.push_enabled else "off", _day(e.created_at))
            for e in entries
        ],
        "There is no app yet: clarion app create --app-id A --workspace-id W",
    )


@apps.command("delete")
def delete_app(
    app_id: AppId,
    workspace_id: WorkspaceId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Delete an app with its devices and undelivered messages."""
    if not yes and not json:
        typer.confirm(f"Delete app {app_id} in workspace {workspace_id}, with all its devices?", abort=True)

    async def work(foundation: Foundation) -> None:
        await foundation.tenants.delete_app(app_id, workspace_id)

    with_foundation(settings_of(data_dir, config), work)
    if json:
        print_json({"appId": app_id, "workspaceId": workspace_id, "deleted": True})
    else:
        out.print("Deleted.")


@keys.command("create")
def create_key(
    role: Annotated[Role, typer.Option(help="What the key may do.")] = Role.ADMIN,
    app: Annotated[
        str | None, typer.Option(metavar="APP_ID", help="Only this app (default: all).", show_default=False)
    ] = None,
    access_key_id: Annotated[
        str | None,
        typer.Option(help="Take over an existing key: its id (the secret is asked for).", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make an access key. Its secret is shown this once."""
    secret = typer.prompt("AccessKeySecret", hide_input=True) if access_key_id else ""

    async def work(foundation: Foundation) -> AccessKey:
        if app and all(entry.app_id != app for entry in await foundation.tenants.list_apps()):
            err.print(f"note: there is no app {app} yet; the key is of no use before", style="yellow")
        if access_key_id:
            await foundation.tenants.import_key(access_key_id, secret, role, app)
            return AccessKey(access_key_id, secret.encode(), role, app)
        return await foundation.tenants.create_key(role, app)

    key = with_foundation(settings_of(data_dir, config), work)
    fields = {"accessKeyId": key.key_id, "accessKeySecret": key.secret.decode(), "role": role.value}
    if app:
        fields["app"] = app
    if json:
        print_json(fields)
    else:
        print_fields("Access key created; the secret is not shown again", fields)


@keys.command("list")
def list_keys(data_dir: DataDir = None, config: Config = None, json: Json = False) -> None:
    """List the access keys, without their secrets."""

    async def work(foundation: Foundation) -> list[KeyEntry]:
        return await foundation.tenants.list_keys()

    entries = with_foundation(settings_of(data_dir, config), work)
    if json:
        print_json(
            [
                {
                    "accessKeyId": entry.key_id,
                    "role": entry.role.value,
                    "app": entry.app_id,
                    "enabled": entry.enabled,
                    "createdAt": entry.created_at,
                }
                for entry in entries
            ]
        )
        return
    print_table(
        ("ACCESS KEY", "ROLE", "APP", "STATE", "CREATED"),
        [
            (e.key_id, e.role.value, e.app_id or "all", "enabled" if e.enabled else "disabled", _day(e.created_at))
            for e in entries
        ],
        "There is no access key yet: clarion key create",
    )


@keys.command("disable")
def disable_key(key_id: KeyId, data_dir: DataDir = None, config: Config = None, json: Json = False) -> None:
    """Refuse requests that are signed with a key, from the next second on."""
    _set_enabled(key_id, settings_of(data_dir, config), enabled=False, as_json=json)


@keys.command("enable")
def enable_key(key_id: KeyId, data_dir: DataDir = None, config: Config = None, json: Json = False) -> None:
    """Accept a disabled key again."""
    _set_enabled(key_id, settings_of(data_dir, config), enabled=True, as_json=json)


def _set_enabled(key_id: str, settings: Settings, *, enabled: bool, as_json: bool) -> None:
    async def work(foundation: Foundation) -> None:
        await foundation.tenants.set_key_enabled(key_id, enabled=enabled)

    with_foundation(settings, work)
    if as_json:
        print_json({"accessKeyId": key_id, "enabled": enabled})
    else:
        out.print("Enabled." if enabled else "Disabled.")


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
