"""RevokePushMessage and RevokePushTask.

Source: request parameters of these actions; `MessageId` is the caller's message key.
"""

from __future__ import annotations

from typing import Any

from clarion.openapi.envelopes import Envelope
from clarion.openapi.registry import Action, Call
from clarion.openapi.schema import Parameter
from clarion.revocation.service import Revocation, RevocationService
from clarion.tenants.model import Role

_VERSIONS = ("2020-07-10", "2020-10-28")
_APP = (Parameter("AppId", required=True), Parameter("WorkspaceId", required=True))
_TENANT = Parameter("TenantId")
_MESSAGE = (*_APP, Parameter("MessageId", required=True), Parameter("TargetId", required=True), _TENANT)
_TASK = (*_APP, Parameter("TaskId", required=True), _TENANT)


def revocation_actions(revocations: RevocationService) -> list[Action]:
    """The actions that take pushes back.

    Args:
        revocations: does the work.
    """

    async def message(call: Call) -> dict[str, Any]:
        values = call.params
        return _said(
            await revocations.revoke_message(
                values["AppId"], values["WorkspaceId"], values["MessageId"], values["TargetId"]
            )
        )

    async def task(call: Call) -> dict[str, Any]:
        values = call.params
        return _said(await revocations.revoke_task(values["AppId"], values["WorkspaceId"], values["TaskId"]))

    rows = (("RevokePushMessage", _MESSAGE, message), ("RevokePushTask", _TASK, task))
    return [
        Action(name, _VERSIONS, Role.PUSH, Envelope.PUSH, parameters, handler) for name, parameters, handler in rows
    ]


def _said(revocation: Revocation) -> dict[str, Any]:
    return {"ResultMsg": revocation.text}
