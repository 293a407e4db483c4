"""`clarion app` and `clarion key`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any

import typer

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
from clarion.foundation import Foundation
from clarion.settings import Settings
from clarion.tenants.calendar import DEFAULT_TIME_ZONE
from clarion.tenants.model import MAX_RATE, AccessKey, App, Role
from clarion.tenants.service import AppChange, AppEntry, KeyEntry

apps = typer.Typer(help="Apps: make, list, change, delete.", no_args_is_help=True, rich_markup_mode=None)
keys = typer.Typer(help="Access keys: make, list, limit, disable.", no_args_is_help=True, rich_markup_mode=None)

KeyId = Annotated[str, typer.Argument(metavar="ACCESS_KEY_ID", help="The key.")]


class Switch(Enum):
    """Positions of a switch."""

    ON = "on"
    OFF = "off"


@apps.command("create")
def create_app(
    app_id: AppId,
    workspace_id: WorkspaceId,
    tenant_id: Annotated[
        str | None, typer.Option(help="TenantId that newer clients send.", show_default=False)
    ] = None,
    time_zone: Annotated[
        str, typer.Option(metavar="Z", help="Zone of its schedules and of the days of its statistics.")
    ] = DEFAULT_TIME_ZONE,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make an app. Its secret goes into the app, to register devices with."""

    async def work(foundation: Foundation) -> App:
        return await foundation.tenants.create_app(app_id, workspace_id, tenant_id, time_zone)

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
        print_json([_app_fields(entry) for entry in entries])
        return
    print_table(
        ("APP", "WORKSPACE", "TENANT", "PUSH API", "TIME ZONE", "REQUESTS/S", "CREATED"),
        [
            (
                entry.app_id,
                entry.workspace_id,
                entry.tenant_id or "-",
                _switch(entry.push_enabled),
                entry.time_zone,
                entry.requests_per_second or "-",
                _minute(entry.created_at),
            )
            for entry in entries
        ],
        "There is no app yet: clarion app create --app-id A --workspace-id W",
    )


@apps.command("show")
def show_app(
    app_id: AppId, workspace_id: WorkspaceId, data_dir: DataDir = None, config: Config = None, json: Json = False
) -> None:
    """Show the settings of an app."""

    async def work(foundation: Foundation) -> AppEntry:
        return await foundation.tenants.find_app(app_id, workspace_id)

    _print_app("App", with_foundation(settings_of(data_dir, config), work), as_json=json)


@apps.command("set")
def set_app(
    app_id: AppId,
    workspace_id: WorkspaceId,
    push_api: Annotated[
        Switch | None, typer.Option(help="Whether pushes are taken; off: result 3032.", show_default=False)
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            metavar="Z", help="Zone of its schedules and of the days of its statistics.", show_default=False
        ),
    ] = None,
    requests_per_second: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=MAX_RATE, help="Rate limit; 0 for the general one.", show_default=False
        ),
    ] = None,
    tenant_id: Annotated[
        str | None,
        typer.Option(metavar="T", help="TenantId that newer clients send; '' accepts any.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Change settings of an app; running servers follow within a second."""
    change = AppChange(
        tenant_id=tenant_id,
        push_enabled=None if push_api is None else push_api is Switch.ON,
        time_zone=time_zone,
        requests_per_second=requests_per_second,
    )
    if change == AppChange():
        raise typer.BadParameter(
            "say what to change: --push-api, --time-zone, --requests-per-second or --tenant-id"
        )

    async def work(foundation: Foundation) -> AppEntry:
        return await foundation.tenants.change_app(app_id, workspace_id, change)

    _print_app("App changed", with_foundation(settings_of(data_dir, config), work), as_json=json)


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
                    "requestsPerSecond": entry.requests_per_second,
                    "createdAt": entry.created_at,
                }
                for entry in entries
            ]
        )
        return
    print_table(
        ("ACCESS KEY", "ROLE", "APP", "STATE", "REQUESTS/S", "CREATED"),
        [
            (
                entry.key_id,
                entry.role.value,
                entry.app_id or "all",
                "enabled" if entry.enabled else "disabled",
                entry.requests_per_second or "-",
                _minute(entry.created_at),
            )
            for entry in entries
        ],
        "There is no access key yet: clarion key create",
    )


@keys.command("disable")
def disable_key(key_id: KeyId, data_dir: DataDir = None, config: Config = None, json: Json = False) -> None:
    """Refuse requests that are signed with a key. A running server follows within a second."""
    _set_enabled(key_id, settings_of(data_dir, config), enabled=False, as_json=json)


@keys.command("enable")
def enable_key(key_id: KeyId, data_dir: DataDir = None, config: Config = None, json: Json = False) -> None:
    """Accept a disabled key again."""
    _set_enabled(key_id, settings_of(data_dir, config), enabled=True, as_json=json)


@keys.command("limit")
def limit_key(
    key_id: KeyId,
    requests_per_second: Annotated[
        int, typer.Argument(metavar="N", min=0, max=MAX_RATE, help="Requests a second; 0 for the general limit.")
    ],
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Limit the rate of a key. Requests beyond it are refused with Throttling.User."""

    async def work(foundation: Foundation) -> None:
        await foundation.tenants.limit_key(key_id, requests_per_second)

    with_foundation(settings_of(data_dir, config), work)
    if json:
        print_json({"accessKeyId": key_id, "requestsPerSecond": requests_per_second})
    else:
        out.print(f"At most {requests_per_second} requests a second." if requests_per_second else "No own limit.")


def _set_enabled(key_id: str, settings: Settings, *, enabled: bool, as_json: bool) -> None:
    async def work(foundation: Foundation) -> None:
        await foundation.tenants.set_key_enabled(key_id, enabled=enabled)

    with_foundation(settings, work)
    if as_json:
        print_json({"accessKeyId": key_id, "enabled": enabled})
    else:
        out.print("Enabled." if enabled else "Disabled.")


def _app_fields(entry: AppEntry) -> dict[str, Any]:
    return {
        "appId": entry.app_id,
        "workspaceId": entry.workspace_id,
        "tenantId": entry.tenant_id,
        "pushEnabled": entry.push_enabled,
        "timeZone": entry.time_zone,
        "requestsPerSecond": entry.requests_per_second,
        "createdAt": entry.created_at,
    }


def _print_app(title: str, entry: AppEntry, *, as_json: bool) -> None:
    if as_json:
        print_json(_app_fields(entry))
        return
    limit = f"{entry.requests_per_second} requests a second" if entry.requests_per_second else "none of its own"
    print_fields(
        title,
        {
            "app": entry.app_id,
            "workspace": entry.workspace_id,
            "tenant": entry.tenant_id or "any",
            "push API": _switch(entry.push_enabled),
            "time zone": entry.time_zone,
            "rate limit": limit,
            "created": _minute(entry.created_at),
        },
    )


def _switch(enabled: bool) -> str:
    return "on" if enabled else "off"


def _minute(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
