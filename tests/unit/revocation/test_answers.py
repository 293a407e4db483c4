"""What the caller of a revocation is told."""

from __future__ import annotations

from typing import Any, cast

import pytest

from clarion.openapi.actions.revocation import revocation_actions
from clarion.openapi.registry import Action, Call
from clarion.revocation.service import Revocation, RevocationService
from clarion.tenants.model import AccessKey, Role


class FakeService:
    """Notes what is to be revoked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    async def revoke_message(self, *names: str) -> Revocation:
        self.asked.append(names)
        return Revocation(1, 2, 0)

    async def revoke_task(self, *names: str) -> Revocation:
        self.asked.append(names)
        return Revocation(3, 1, 4)


def actions(service: FakeService) -> dict[str, Action]:
    return {action.name: action for action in revocation_actions(cast(RevocationService, service))}


@pytest.mark.parametrize(
    ("name", "own", "asked", "said"),
    [
        (
            "RevokePushMessage",
            {"MessageId": "k", "TargetId": "bob"},
            ("a", "w", "k", "bob"),
            "success: 1 withdrawn before delivery, recall sent to 2 devices, 0 could not be recalled",
        ),
        (
            "RevokePushTask",
            {"TaskId": "20842863"},
            ("a", "w", "20842863"),
            "success: 3 withdrawn before delivery, recall sent to 1 device, 4 could not be recalled",
        ),
    ],
)
async def test_answers(name: str, own: dict[str, Any], asked: tuple[str, ...], said: str) -> None:
    service = FakeService()
    action = actions(service)[name]
    params = {"AppId": "a", "WorkspaceId": "w", "TenantId": "t", **own}
    call = Call(name, "2020-10-28", "R", AccessKey("k", b"s", Role.PUSH), params, 0, 0)
    assert action.envelope.success("R", await action.handler(call)) == {
        "RequestId": "R",
        "ResultCode": "OK",
        "ResultMessage": "success",
        "PushResult": {"Success": True, "ResultMsg": said},
    }
    assert service.asked == [asked]


def test_parameters() -> None:
    for action in actions(FakeService()).values():
        required = {p.name for p in action.schema.parameters if p.required}
        assert {p.name for p in action.schema.parameters} - required == {"TenantId"}
        assert action.versions == ("2020-07-10", "2020-10-28")
        assert action.role is Role.PUSH


def test_nothing_left_to_do_is_a_success_too() -> None:
    assert Revocation().text.endswith("; it had been revoked before, or had expired")
    assert Revocation().text.startswith("success: 0 withdrawn")


def test_steps_add_up() -> None:
    assert Revocation(1, 2, 0).plus(Revocation(1, 1, 1)) == Revocation(2, 3, 1)
