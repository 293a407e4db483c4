"""The shapes of answers: which members say how it went, in the four families of actions.

`PUSH` and `QUERY` answers never have a member `Code` at the top: one SDK would take it for an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from clarion.results import ResultCode

Members = Mapping[str, Any]
_NONE: Members = {}


class Envelope(Enum):
    """A family of answers; the value is its name in documents."""

    PUSH = "push"
    """`ResultCode`, `ResultMessage`, `PushResult {Success, ResultMsg, Data}`: push, bind, revoke."""
    QUERY = "query"
    """`ResultCode`, `ResultMessage`, `ResultContent`: analysis and schedules."""
    TEMPLATE = "template"
    """`Success`, `Code`, `Msg`, `Data` …: templates."""
    DEVICE_STATE = "device state"
    """`Success`, `Code`, `Message`, `Data`: the state of a device."""

    __hash__ = object.__hash__  # members are single; an Enum's own hash is computed in Python

    def success(self, request_id: str, members: Members | None) -> dict[str, Any]:
        """The answer to a request that was carried out.

        Args:
            request_id: stands first in the answer.
            members: what the action adds: for `PUSH` to `PushResult`, else at the top level.
        """
        return _BUILDERS[self](request_id, _SUCCESS_CODES[self], _SUCCESS_TEXTS[self], members or _NONE)

    def refusal(self, request_id: str, result: ResultCode, message: str) -> dict[str, Any]:
        """The answer, with HTTP status 200, to a request that business rules turned down."""
        return _BUILDERS[self](request_id, result.code, message, None)

    @property
    def success_code(self) -> str:
        """The code of a request that was carried out: `OK` or `100`."""
        return _SUCCESS_CODES[self]


def _push(request_id: str, code: str, text: str, members: Members | None) -> dict[str, Any]:
    return {
        "RequestId": request_id,
        "ResultCode": code,
        "ResultMessage": text,
        "PushResult": {"Success": members is not None, "ResultMsg": text, **(members or _NONE)},
    }


def _query(request_id: str, code: str, text: str, members: Members | None) -> dict[str, Any]:
    return {"RequestId": request_id, "ResultCode": code, "ResultMessage": text, **(members or _NONE)}


def _template(request_id: str, code: str, text: str, members: Members | None) -> dict[str, Any]:
    success = members is not None
    return {"RequestId": request_id, "Success": success, "Code": code, "Msg": text, **(members or _NONE)}


def _device_state(request_id: str, code: str, text: str, members: Members | None) -> dict[str, Any]:
    success = members is not None
    return {"RequestId": request_id, "Success": success, "Code": code, "Message": text, **(members or _NONE)}


_BUILDERS = {
    Envelope.PUSH: _push,
    Envelope.QUERY: _query,
    Envelope.TEMPLATE: _template,
    Envelope.DEVICE_STATE: _device_state,
}
_SUCCESS_CODES = {
    Envelope.PUSH: ResultCode.SUCCESS.code,
    Envelope.QUERY: ResultCode.SUCCESS.code,
    Envelope.TEMPLATE: "100",
    Envelope.DEVICE_STATE: "100",
}
_SUCCESS_TEXTS = {
    Envelope.PUSH: ResultCode.SUCCESS.text,
    Envelope.QUERY: ResultCode.SUCCESS.text,
    Envelope.TEMPLATE: "SUCCESS",
    Envelope.DEVICE_STATE: "SUCCESS",
}
