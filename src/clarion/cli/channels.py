"""`clarion channel`: the vendor channels of an app, and whether the vendors take their credentials."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from clarion.channels.base import Check
from clarion.channels.opening import FOLDERS, MAX_FILE, WrongSettings, receiving
from clarion.cli.channel_files import explain
from clarion.cli.context import (
    AppId,
    Config,
    DataDir,
    Json,
    WorkspaceId,
    err,
    fail,
    out,
    print_fields,
    print_json,
    print_table,
    settings_of,
    with_foundation,
)
from clarion.delivery.vendors.quota import NoticeKind
from clarion.foundation import Foundation
from clarion.settings import Settings
from clarion.tenants.channels import ChannelEntry, ChannelSettingsService, days_left

commands = typer.Typer(
    help="Vendor channels: set up, list, check, disable, delete.", no_args_is_help=True, rich_markup_mode=None
)
T = TypeVar("T")


def _known(label: str | None) -> str | None:
    if label is not None and label not in FOLDERS:
        raise typer.BadParameter(f"{label!r} is not one of {', '.join(FOLDERS)}")
    return label


_HELP = f"One of {', '.join(FOLDERS)}."
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help=_HELP, callback=_known)]


@commands.command("set")
def set_channel(
    app_id: AppId,
    workspace_id: WorkspaceId,
    channel: Channel,
    file: Annotated[
        Path, typer.Option(metavar="FILE", help="The channel file, JSON (see docs/channels); - for standard input.")
    ],
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not ask the vendor whether it takes the credentials.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Store the file even if the vendor refuses the credentials.")
    ] = False,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Set a channel up, or change it. Running servers use it within a second."""
    content = _with_absolute_paths(_read(file))

    async def work(channels: ChannelSettingsService, app: int) -> tuple[ChannelEntry, Check | None]:
        channels.validate(channel, content)
        check = None if no_check else await channels.try_file(channel, content)
        if check is not None and not check.ok and check.reached and not force:
            fail(
                f"{check.text}. Nothing was changed; --force takes the file all the same. "
                f"More on codes and members: docs/channels/{channel}.md"
            )
        return await channels.set(app, channel, content), check

    try:
        entry, check = _run(settings_of(data_dir, config), app_id, workspace_id, work)
    except WrongSettings as error:
        fail(f"{_name(file)}: {explain(channel, content, str(error))}")
    if json:
        fields = _entry_fields(entry)
        print_json(
            {"appId": app_id, "workspaceId": workspace_id, **fields, "check": check and _check_fields(check)}
        )
        return
    print_fields("Channel set", {"channel": channel, "fingerprint": entry.fingerprint})
    _show_receipts([entry])
    if check is None:
        out.print("The credentials were not tried; clarion channel check tries them.")
        return
    _show_check(channel, check)
    if not check.ok:
        _warn("the channel is stored all the same; look at it with clarion channel check")


@commands.command("list")
def list_channels(
    app_id: AppId, workspace_id: WorkspaceId, data_dir: DataDir = None, config: Config = None, json: Json = False
) -> None:
    """List the channels of an app; no credentials. Addresses for receipts are for the vendors' eyes alone."""

    async def work(channels: ChannelSettingsService, app: int) -> Sequence[ChannelEntry]:
        return await channels.list(app)

    entries = _run(settings_of(data_dir, config), app_id, workspace_id, work)
    if json:
        print_json([_entry_fields(entry) | _standing_fields(entry) for entry in entries])
        return
    print_table(
        ("CHANNEL", "STATE", "TODAY", "CHANGED (UTC)", "FINGERPRINT"),
        [
            (entry.label, _state(entry), f"{entry.targets:,}", _moment(entry.updated_at), entry.fingerprint)
            for entry in entries
        ],
        "There is no channel yet: clarion channel set --app-id A --workspace-id W CHANNEL --file FILE",
    )
    _show_receipts(entries)
    for entry in entries:
        for notice in entry.notices:
            until = f" until {_moment(notice.until)} UTC" if notice.kind is NoticeKind.PAUSED else ""
            _warn(f"{entry.label} {notice.kind.value.replace('_', ' ')}{until}: {notice.code} {notice.reason}")


@commands.command("check")
def check_channels(
    app_id: AppId,
    workspace_id: WorkspaceId,
    channel: Annotated[
        str | None,
        typer.Argument(
            metavar="CHANNEL",
            help="Only this one (default: all enabled ones).",
            callback=_known,
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Try the credentials, without reaching any device. Exit code 1 if a vendor does not take them."""

    async def work(
        channels: ChannelSettingsService, app: int
    ) -> tuple[Sequence[tuple[str, Check]], Sequence[ChannelEntry]]:
        entries = await channels.list(app)
        labels = [channel] if channel else [entry.label for entry in entries if entry.enabled]
        checks = await channels.check_all([(app, label) for label in labels])
        return checks, [entry for entry in entries if entry.label in labels]

    checks, entries = _run(settings_of(data_dir, config), app_id, workspace_id, work)
    if json:
        receipts = {entry.label: _receipt_fields(entry) for entry in entries}
        print_json([{"channel": label, **_check_fields(check), **receipts[label]} for label, check in checks])
    elif not checks:
        out.print("There is no enabled channel: clarion channel list")
    else:
        for label, check in checks:
            _show_check(label, check)
        for entry in entries:
            if not entry.enabled:
                _warn(f"{entry.label} is disabled: no message goes through it until clarion channel enable")
    if not all(check.ok for _, check in checks):
        raise SystemExit(1)


@commands.command("disable")
def disable_channel(
    app_id: AppId,
    workspace_id: WorkspaceId,
    channel: Channel,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Let no more messages go through a channel; its settings stay."""
    _switch(settings_of(data_dir, config), app_id, workspace_id, channel, enabled=False, as_json=json)


@commands.command("enable")
def enable_channel(
    app_id: AppId,
    workspace_id: WorkspaceId,
    channel: Channel,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Let messages go through a disabled channel again."""
    _switch(settings_of(data_dir, config), app_id, workspace_id, channel, enabled=True, as_json=json)


@commands.command("delete")
def delete_channel(
    app_id: AppId,
    workspace_id: WorkspaceId,
    channel: Channel,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Forget a channel with its credentials."""
    if not yes and not json:
        typer.confirm(f"Delete the channel {channel} of app {app_id}, with its credentials?", abort=True)

    async def work(channels: ChannelSettingsService, app: int) -> None:
        await channels.delete(app, channel)

    _run(settings_of(data_dir, config), app_id, workspace_id, work)
    if json:
        print_json({"appId": app_id, "workspaceId": workspace_id, "channel": channel, "deleted": True})
    else:
        out.print("Deleted.")


def _switch(
    settings: Settings, app_id: str, workspace_id: str, channel: str, *, enabled: bool, as_json: bool
) -> None:
    async def work(channels: ChannelSettingsService, app: int) -> None:
        await channels.set_enabled(app, channel, enabled=enabled)

    _run(settings, app_id, workspace_id, work)
    if as_json:
        print_json({"appId": app_id, "workspaceId": workspace_id, "channel": channel, "enabled": enabled})
    else:
        out.print("Enabled." if enabled else "Disabled.")


def _run(
    settings: Settings,
    app_id: str,
    workspace_id: str,
    work: Callable[[ChannelSettingsService, int], Awaitable[T]],
) -> T:
    """Run `work` on the channels of an app, whose internal number it gets."""

    async def inner(foundation: Foundation) -> T:
        directory = foundation.directory
        app = await directory.find_app(app_id, workspace_id)
        if app is None:
            fail(f"no app {app_id} in workspace {workspace_id}; `clarion app list` shows what there is")
        return await work(foundation.channels, app.key)

    return with_foundation(settings, inner)


def _read(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(MAX_FILE + 1)
        with file.open("rb") as opened:
            return opened.read(MAX_FILE + 1)
    except OSError as error:
        fail(f"cannot read {_name(file)}: {error.strerror}")


def _name(file: Path) -> str:
    return "standard input" if str(file) == "-" else str(file)


def _with_absolute_paths(content: bytes) -> bytes:
    """The file that it names is looked for by servers, too, whose working directory is another one."""
    try:
        values = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return content
    path = values.get("caFile")
    if not isinstance(path, str) or not path:
        return content
    return msgspec.json.encode({**values, "caFile": str(Path(path).absolute())})


def _entry_fields(entry: ChannelEntry) -> dict[str, Any]:
    return {
        "channel": entry.label,
        "enabled": entry.enabled,
        "createdAt": entry.created_at,
        "updatedAt": entry.updated_at,
        "fingerprint": entry.fingerprint,
        **_receipt_fields(entry),
    }


def _receipt_fields(entry: ChannelEntry) -> dict[str, Any]:
    return {"receiptUrl": entry.receipts or None}


def _show_receipts(entries: Sequence[ChannelEntry]) -> None:
    """Where vendors send receipts, and how they come to know it."""
    shown = [entry for entry in entries if entry.receipts]
    if not shown:
        return
    out.print("Receipts come to these addresses, which nobody else should know:")
    for entry in shown:
        out.print(f"  {entry.label:9}{entry.receipts}", markup=False)
    if any(entry.receipts.startswith("/") for entry in shown):
        out.print("These are paths on the API port: set public_url to see the whole addresses.")
        return
    for told, how in ((False, "Enter in the vendor's console"), (True, "Told to the vendor with each message")):
        if labels := [entry.label for entry in shown if _is_told(entry) is told]:
            out.print(f"{how}: {', '.join(labels)}.", markup=False)


def _is_told(entry: ChannelEntry) -> bool:
    """Whether messages tell the vendor where to send receipts."""
    return len(entry.receipts.encode()) <= receiving(entry.label).url_bytes


def _standing_fields(entry: ChannelEntry) -> dict[str, Any]:
    return {
        "targetsToday": entry.targets,
        "notices": [
            {"kind": each.kind.value, "until": each.until, "code": each.code, "text": each.reason}
            for each in entry.notices
        ],
    }


def _state(entry: ChannelEntry) -> str:
    if not entry.enabled:
        return "disabled"
    return "paused" if any(each.kind is NoticeKind.PAUSED for each in entry.notices) else "on"


def _check_fields(check: Check) -> dict[str, Any]:
    return {
        "ok": check.ok,
        "reached": check.reached,
        "text": check.text,
        "expiresAt": check.expires_at,
        "warning": expiry_warning(check),
    }


def _show_check(label: str, check: Check) -> None:
    sign, style = ("✓", "green") if check.ok else ("✗", "red") if check.reached else ("!", "yellow")
    out.print(sign, style=style, end="  ")
    out.print(f"{label:9}{check.text}", markup=False)
    if warning := expiry_warning(check):
        _warn(f"{label}: {warning}")


def expiry_warning(check: Check) -> str | None:
    """What to say of a certificate that ends soon, or has ended; None if that is far off."""
    days = days_left(check, int(datetime.now(UTC).timestamp() * 1000))
    if days is None or check.expires_at is None:
        return None
    day = _moment(check.expires_at)
    return f"the certificate ended at {day} UTC" if days < 0 else f"the certificate ends in {days} days, {day} UTC"


def _warn(text: str) -> None:
    err.print("warning: ", style="bold yellow", end="")
    err.print(text, markup=False)


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
