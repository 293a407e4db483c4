"""`clarion revoke`: take pushes back through the API, as an SDK does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from clarion.cli.context import AppId, Json, WorkspaceId, fail, out, print_json
from clarion.cli.push import KeyId, KeySecret, Server
from clarion.cli.rpc_client import RpcFault, call

commands = typer.Typer(help="Take pushes of the last seven days back.", no_args_is_help=True, rich_markup_mode=None)


@commands.command("message")
def message(
    app_id: AppId,
    workspace_id: WorkspaceId,
    target: Annotated[str, typer.Option(metavar="T", help="The target as it was pushed to: device id or user id.")],
    msg_key: Annotated[str, typer.Option(metavar="K", help="The message key of the push.")],
    access_key_id: KeyId,
    access_key_secret: KeySecret,
    server: Server = "http://127.0.0.1:8080",
    json: Json = False,
) -> None:
    """Take one message to one target back (RevokePushMessage)."""
    values = {"AppId": app_id, "WorkspaceId": workspace_id, "MessageId": msg_key, "TargetId": target}
    _revoke(server, access_key_id, access_key_secret, "RevokePushMessage", values, json=json)


@commands.command("task")
def task(
    app_id: AppId,
    workspace_id: WorkspaceId,
    task_id: Annotated[str, typer.Option(metavar="ID", help="What the push answered as Data.")],
    access_key_id: KeyId,
    access_key_secret: KeySecret,
    server: Server = "http://127.0.0.1:8080",
    json: Json = False,
) -> None:
    """Take all messages of a task back (RevokePushTask). It is a multiple push or a broadcast."""
    values = {"AppId": app_id, "WorkspaceId": workspace_id, "TaskId": task_id}
    _revoke(server, access_key_id, access_key_secret, "RevokePushTask", values, json=json)


def _revoke(server: str, key_id: str, secret: str, action: str, values: Mapping[str, str], *, json: bool) -> None:
    try:
        answer = call(server, key_id, secret, action, values)
    except RpcFault as fault:
        fail(str(fault))
    if json:
        print_json(answer)
    if answer.get("ResultCode") != "OK":
        fail(f"{answer.get('ResultCode')}: {answer.get('ResultMessage')}")
    if not json:
        out.print(answer["PushResult"]["ResultMsg"], markup=False)
