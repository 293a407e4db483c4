"""`clarion device`: register a device, and be one."""

from __future__ import annotations

import asyncio
import json as jsonlib
import urllib.request
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from clarion.channels.registry import BY_LABEL as CHANNELS
from clarion.channels.registry import PLATFORMS
from clarion.cli.context import (
    AppId,
    Config,
    DataDir,
    Json,
    WorkspaceId,
    fail,
    print_fields,
    print_json,
    settings_of,
    with_foundation,
)
from clarion.delivery.binding import Binder
from clarion.delivery.ledger import Ledger
from clarion.devices.activities import ActivityService
from clarion.devices.model import Registration, VendorToken, vendor_token
from clarion.devices.service import DeviceService
from clarion.foundation import Foundation
from clarion.ids import MAX_NODE, IdGenerator
from clarion.link.activities import ActivityId, PushToken
from clarion.link.client import Closed, CredentialsRejected, LinkClient, LinkLost
from clarion.link.client_registration import RegistrationFailed, register_device
from clarion.link.hub import Hub
from clarion.link.protocol import Push, Revoke, Welcome
from clarion.link.registration import Platform
from clarion.results import Refusal
from clarion.store.facts import largest_id
from clarion.store.group import GroupWriter
from clarion.tenants.model import App

commands = typer.Typer(
    help="Devices: register one, or be one in the terminal.", no_args_is_help=True, rich_markup_mode=None
)

_SECONDS = 10.0


class Vendor(Enum):
    """Channels that a device can have a token of."""

    APNS = "apns"
    FCM = "fcm"
    HMS = "hms"
    HARMONY = "harmony"
    HONOR = "honor"
    MIUI = "miui"
    OPPO = "oppo"
    VIVO = "vivo"


@commands.command("register")
def register(
    app_id: AppId,
    workspace_id: WorkspaceId,
    platform: Annotated[Platform, typer.Option(help="The device's system.")] = Platform.ANDROID,
    user: Annotated[
        str | None, typer.Option(metavar="U", help="Bind the device to this user.", show_default=False)
    ] = None,
    channel: Annotated[
        Vendor | None, typer.Option(help="Vendor channel of the device.", show_default=False)
    ] = None,
    vendor: Annotated[
        str | None,
        typer.Option("--vendor-token", metavar="T", help="Its token at that channel.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Register a device without a phone: prints its token and secret."""
    if (channel is None) != (vendor is None):
        raise typer.BadParameter("--channel and --vendor-token go together")

    async def work(foundation: Foundation) -> Registration:
        return await _register(foundation, app_id, workspace_id, platform, user, _address(channel, vendor))

    try:
        made = with_foundation(settings_of(data_dir, config), work)
    except Refusal as refusal:
        fail(refusal.message)
    fields = {
        "deliveryToken": made.token,
        "deviceSecret": made.secret,
        "appId": app_id,
        "workspaceId": workspace_id,
        "platform": platform.value,
    }
    if user:
        fields["userId"] = user
    if channel is not None:
        fields["channel"] = channel.value
    if json:
        print_json(fields)
    else:
        print_fields("Device registered; the secret is not shown again", fields)


@commands.command("activity")
def activity(
    app_id: AppId,
    workspace_id: WorkspaceId,
    token: Annotated[str, typer.Option("--token", "--delivery-token", metavar="T", help="The device's token.")],
    activity_id: Annotated[str, typer.Option(metavar="A", help="Id of its live activity (iOS).")],
    push_token: Annotated[
        str | None,
        typer.Option(metavar="P", help="Push token of the activity, hexadecimal.", show_default=False),
    ] = None,
    ended: Annotated[bool, typer.Option("--ended", help="The activity has ended.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Report a live activity in place of its device. Pushes to the activity id go to the push token."""
    if (push_token is None) is not ended:
        raise typer.BadParameter("give either --push-token or --ended")
    for name, value, form in (
        ("activity-id", activity_id, ActivityId),
        ("push-token", push_token, PushToken | None),
    ):
        try:
            msgspec.convert(value, form)
        except msgspec.ValidationError:
            raise typer.BadParameter(f"--{name} has not the form of one") from None

    async def work(foundation: Foundation) -> int | None:
        known = await _devices(foundation, app_id, workspace_id)
        device = await known.service.number_of(known.app.key, token)
        if device is None:
            fail("no device of the app has this token; `clarion device register` makes one")
        if push_token is None:
            await known.activities.end(known.app.key, device, activity_id)
            return None
        return await known.activities.report(known.app.key, device, activity_id, push_token)

    try:
        expires_at = with_foundation(settings_of(data_dir, config), work)
    except Refusal as refusal:
        fail(refusal.message)
    fields = {"activityId": activity_id, "expiresAt": expires_at}
    if json:
        print_json(fields)
    else:
        print_fields("Live activity reported" if push_token else "Live activity forgotten", fields)


def _address(channel: Vendor | None, token: str | None) -> VendorToken | None:
    return vendor_token(CHANNELS[channel.value].third_channel, token) if channel is not None else None


@dataclass(frozen=True, slots=True)
class _Devices:
    """An app's devices and their live activities."""

    app: App
    service: DeviceService
    activities: ActivityService


async def _devices(foundation: Foundation, app_id: str, workspace_id: str) -> _Devices:
    directory = foundation.directory
    await directory.refresh()
    app = await directory.find_app(app_id, workspace_id)
    if app is None:
        fail(f"no app {app_id} in workspace {workspace_id}; make it with `clarion app create`")
    database, clock = foundation.database, foundation.clock
    ids = IdGenerator(clock, node=MAX_NODE, floor=await largest_id(database))
    writer, binder = GroupWriter(database), Binder(Ledger(directory, ids), directory)
    service = DeviceService(database, writer, foundation.vault, ids, clock, Hub(), binder)
    return _Devices(app, service, ActivityService(writer, ids, clock, binder))


async def _register(
    foundation: Foundation,
    app_id: str,
    workspace_id: str,
    platform: Platform,
    user: str | None,
    vendor: VendorToken | None,
) -> Registration:
    known, system = await _devices(foundation, app_id, workspace_id), PLATFORMS[platform.value]
    made = await known.service.register(known.app.key, system, vendor)
    if user:
        await known.service.bind(known.app.key, made.token, user, system)
    return made


@dataclass(frozen=True, slots=True)
class _Listening:
    """What a listening device does with its messages."""

    user: str | None
    ack: bool
    open: bool
    count: int | None
    seconds: float | None


@commands.command("listen")
def listen(
    server: Annotated[
        str,
        typer.Option(
            metavar="URL", help="The server: http://host:8080 (API) or ws://host:8081/link (device link)."
        ),
    ],
    app_id: Annotated[str | None, typer.Option(metavar="A", help="AppId of the API.", show_default=False)] = None,
    workspace_id: Annotated[
        str | None, typer.Option(metavar="W", help="WorkspaceId of the API.", show_default=False)
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", "--delivery-token", metavar="T", help="The device's token.", show_default=False),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option("--secret", "--device-secret", metavar="S", help="The device's secret.", show_default=False),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The output of `device register --json`, instead of the four above.",
            show_default=False,
        ),
    ] = None,
    app_secret: Annotated[
        str | None,
        typer.Option(
            envvar="CLARION_APP_SECRET",
            metavar="S",
            help="Register a new device with this app secret (default: the one in the data directory).",
            show_default=False,
        ),
    ] = None,
    platform: Annotated[Platform, typer.Option(help="System of a newly registered device.")] = Platform.ANDROID,
    user: Annotated[
        str | None, typer.Option(metavar="U", help="Bind the device to this user.", show_default=False)
    ] = None,
    no_ack: Annotated[bool, typer.Option("--no-ack", help="Do not acknowledge messages.")] = False,
    open_each: Annotated[bool, typer.Option("--open", help="Report each message as opened.")] = False,
    count: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop after N messages.", show_default=False)
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="S", help="Stop after S seconds; 1 if --count was not reached.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,  # noqa: ARG001 - what is printed is JSON anyway
) -> None:
    """Be a device: connect, acknowledge, and print what comes. Each event is one JSON object on a line."""
    device = _device_fields(credentials, app_id=app_id, workspace_id=workspace_id, token=token, secret=secret)
    for name in ("app_id", "workspace_id"):
        if not device[name]:
            raise typer.BadParameter(f"--{name.replace('_', '-')} is missing (or give --credentials FILE)")
    if bool(device["token"]) != bool(device["secret"]):
        raise typer.BadParameter("--token and --secret go together (both come from `device register`)")
    if not device["token"] and not app_secret:
        app_secret = with_foundation(
            settings_of(data_dir, config), lambda f: _app_secret(f, device["app_id"], device["workspace_id"])
        )
    plan = _Listening(user, not no_ack, open_each, count, timeout)
    try:
        asyncio.run(_listen(server, device, app_secret, platform, plan))
    except RegistrationFailed as error:
        fail(str(error))
    except LinkLost as error:
        fail(f"the connection was lost before the user was bound: {error}")
    except CredentialsRejected as error:
        fail(f"the server does not accept this device: {error}")


def _device_fields(file: Path | None, **given: str | None) -> dict[str, str]:
    fields = {name: value or "" for name, value in given.items()}
    if file is None:
        return fields
    try:
        stored = jsonlib.loads(file.read_text("utf-8"))
        names = {
            "app_id": "appId",
            "workspace_id": "workspaceId",
            "token": "deliveryToken",
            "secret": "deviceSecret",
        }
        return {name: fields[name] or str(stored.get(key, "")) for name, key in names.items()}
    except (OSError, ValueError, AttributeError) as error:
        fail(f"cannot read {file}: {error}; it should be the output of `clarion device register --json`")


async def _app_secret(foundation: Foundation, app_id: str, workspace_id: str) -> str:
    directory = foundation.directory
    await directory.refresh()
    app = await directory.find_app(app_id, workspace_id)
    if app is None:
        fail(
            f"no app {app_id} in workspace {workspace_id} in this data directory; "
            "give --app-secret, or --token and --secret of a registered device"
        )
    return app.secret.decode()


async def _listen(
    server: str, device: dict[str, str], app_secret: str | None, platform: Platform, plan: _Listening
) -> None:
    link = server if server.startswith(("ws://", "wss://")) else await asyncio.to_thread(_link_of, server)
    token, secret = device["token"], device["secret"]
    if not token:
        if server.startswith(("ws://", "wss://")):
            fail("a new device registers over HTTP: give --server http://… (or --token and --secret)")
        made = await register_device(server, device["app_id"], device["workspace_id"], app_secret or "", platform)
        token, secret, link = made.delivery_token, made.device_secret, made.link
    client = LinkClient(link, device["app_id"], device["workspace_id"], token, secret, auto_ack=plan.ack)
    try:
        async with asyncio.timeout(plan.seconds), client:
            await _print_events(client, token, plan)
    except TimeoutError:
        if plan.count is not None:
            fail(f"fewer than {plan.count} messages in {plan.seconds:g} s")


async def _print_events(client: LinkClient, token: str, plan: _Listening) -> None:
    left = plan.count
    async for event in client:
        print_json(_as_line(event, token))
        if isinstance(event, Welcome) and plan.user and event.user_id != plan.user:
            result = await client.bind(plan.user)
            print_json({"event": "bound", "userId": plan.user, "code": result.code, "message": result.message})
        elif isinstance(event, Push):
            if plan.open:
                await client.opened(event.id)
            if left is not None:
                left -= 1
                if left == 0:
                    return


def _as_line(event: Welcome | Push | Revoke | Closed, token: str) -> dict[str, Any]:
    if isinstance(event, Closed):
        return {"event": "closed", "code": event.code, "reason": event.reason, "retryIn": event.retry_in}
    fields: dict[str, Any] = msgspec.to_builtins(event)
    kind = fields.pop("type")
    line = {"event": kind, **fields}
    if isinstance(event, Welcome):
        line["deliveryToken"] = token
    return line


def _link_of(server: str) -> str:
    if not server.startswith(("http://", "https://")):
        raise typer.BadParameter("--server must begin with http://, https://, ws:// or wss://")
    url = f"{server.rstrip('/')}/device/link"
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as response:  # noqa: S310 - the scheme is checked
            return str(jsonlib.load(response)["link"])
    except (OSError, ValueError, KeyError) as error:
        fail(f"no Clarion server answers at {server}: {error}")
