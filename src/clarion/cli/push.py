"""`clarion push`: call the API as an SDK does."""

from __future__ import annotations

import json as jsonlib
import time
from typing import Annotated, Any

import typer

from clarion.cli.context import AppId, Json, WorkspaceId, fail, out, print_json
from clarion.cli.rpc_client import RpcFault, call

commands = typer.Typer(
    help="Pushes: sign and call the API, as an SDK does.", no_args_is_help=True, rich_markup_mode=None
)

Server = Annotated[str, typer.Option(metavar="URL", envvar="CLARION_SERVER", help="The API's address.")]
KeyId = Annotated[str, typer.Option("--access-key-id", envvar="CLARION_ACCESS_KEY_ID", help="Access key.")]
KeySecret = Annotated[
    str,
    typer.Option("--access-key-secret", envvar="CLARION_ACCESS_KEY_SECRET", help="Its secret.", show_default=False),
]


@commands.command("simple")
def simple(
    app_id: AppId,
    workspace_id: WorkspaceId,
    target: Annotated[list[str], typer.Option(metavar="T", help="Device id or user id; up to ten times.")],
    title: Annotated[str, typer.Option(help="Title.")],
    content: Annotated[str, typer.Option(help="Text.")],
    access_key_id: KeyId,
    access_key_secret: KeySecret,
    server: Server = "http://127.0.0.1:8080",
    msg_key: Annotated[
        str | None,
        typer.Option(
            metavar="K", help="Message key (default: the time); several targets get K-1, K-2 …", show_default=False
        ),
    ] = None,
    delivery_type: Annotated[
        int, typer.Option(help="What the target is: 1 Android device, 2 iOS device, 3 user, 7 HarmonyOS device.")
    ] = 3,
    expired_seconds: Annotated[int, typer.Option(help="Validity in seconds.")] = 600,
    task_name: Annotated[str, typer.Option(help="Name of the task.")] = "clarion push",
    uri: Annotated[str | None, typer.Option(help="Where a tap leads.", show_default=False)] = None,
    extended_params: Annotated[
        str | None, typer.Option(metavar="JSON", help="Extension parameters.", show_default=False)
    ] = None,
    silent: Annotated[bool, typer.Option("--silent", help="Ask the client to show nothing.")] = False,
    json: Json = False,
) -> None:
    """Push one message to each target (PushSimple)."""
    key = msg_key or f"cli-{time.time_ns() // 1_000_000}"
    keys = {name: key if len(target) == 1 else f"{key}-{n}" for n, name in enumerate(target, start=1)}
    parameters: dict[str, Any] = {
        "AppId": app_id,
        "WorkspaceId": workspace_id,
        "TaskName": task_name,
        "Title": title,
        "Content": content,
        "DeliveryType": delivery_type,
        "ExpiredSeconds": expired_seconds,
        "TargetMsgkey": jsonlib.dumps(keys, ensure_ascii=False),
        "Uri": uri,
        "ExtendedParams": extended_params,
        "Silent": int(silent),
    }
    try:
        answer = call(server, access_key_id, access_key_secret, "PushSimple", parameters)
    except RpcFault as fault:
        fail(str(fault))
    if json:
        print_json({**answer, "TargetMsgkey": keys})
    if answer.get("ResultCode") != "OK":
        fail(f"{answer.get('ResultCode')}: {answer.get('ResultMessage')}")
    if not json:
        out.print(f"OK  request {answer['RequestId']}", markup=False)
        for name, its_key in keys.items():
            out.print(
                f"  follow it: clarion trace --app-id {app_id} --workspace-id {workspace_id} "
                f"--target {name} --msg-key {its_key}",
                markup=False,
            )
