"""PushMultiple on both databases: a message of its own for each target, all checked before any is kept."""

from __future__ import annotations

import msgspec
import pytest

from clarion.delivery.accept import TargetType
from clarion.pushes.model import MultipleForm
from clarion.results import Refusal, ResultCode
from clarion.templates.model import TemplateText
from tests.store.system import System

TEXT = TemplateText(title="Hi #name#", content="You won #money#")


def _entry(target: str, name: str, **more: str) -> dict[str, str]:
    return {"Target": target, "MsgKey": "key", "TemplateKeyValue": f"{{'name': '{name}', 'money': 5}}", **more}


def _form(entries: list[dict[str, str]], **changes: object) -> MultipleForm:
    form = MultipleForm(
        app_id="app",
        workspace_id="ws",
        task_name="task",
        template_name="won",
        delivery_type=int(TargetType.USER),
        expired_seconds="600",
        extended_params='{"both": "task", "task": "1"}',
        target_msg=entries,
    )
    return msgspec.structs.replace(form, **changes)


async def _refused(system: System, form: MultipleForm) -> ResultCode:
    with pytest.raises(Refusal) as refused:
        await system.pushes.push_multiple(form, "REQUEST")
    return refused.value.result


async def test_each_target_has_its_own_message(system: System) -> None:
    await system.templates.create(system.app.key, "won", "d", TEXT)
    devices = {user: (await system.device(user, online=user == "ann"))[0] for user in ("bob", "ann")}
    entries = [_entry("bob", "Bob"), _entry("ann", "Ann", ExtendedParams='{"both": "own", "own": 2}')]
    receipt = await system.pushes.push_multiple(_form(entries), "REQUEST")
    assert receipt.targets == 2
    assert receipt.data is not None
    assert receipt.data.isdecimal()
    shown = {
        user: msgspec.json.decode((await system.inbox.owed(device, 0, 10))[0].frame)
        for user, device in devices.items()
    }
    assert {user: frame["title"] for user, frame in shown.items()} == {"bob": "Hi Bob", "ann": "Hi Ann"}
    assert shown["bob"]["params"] == {"both": "task", "task": "1"}
    assert shown["ann"]["params"] == {"both": "own", "task": "1", "own": 2}
    assert {frame["taskId"] for frame in shown.values()} == {receipt.data}
    again = await system.pushes.push_multiple(_form(entries), "AGAIN")
    assert (again.targets, again.repeated, again.data) == (0, 2, receipt.data)


async def test_as_many_as_allowed(system: System) -> None:
    await system.templates.create(system.app.key, "won", "d", TEXT)
    entries = [_entry(f"user{number}", "x") for number in range(400)]
    assert (await system.pushes.push_multiple(_form(entries), "REQUEST")).targets == 400
    assert (
        await _refused(system, _form([*entries, _entry("one", "x")])) is ResultCode.MULTIPLE_TARGET_NUMBER_TOO_MUCH
    )


@pytest.mark.parametrize(
    ("bad", "result"),
    [
        (_entry("", "x"), ResultCode.TOKEN_OR_USERID_NULL),
        ({"Target": "u"}, ResultCode.TOKEN_OR_USERID_NULL),
        ({"Target": "u", "MsgKey": "k"}, ResultCode.TEMPLATEKV_NOT_ENOUGH),
        (_entry("u", "x", ExtendedParams="no map"), ResultCode.INVALID_EXTEND_PARAM),
        (
            _entry("u", "x", ExtendedParams=msgspec.json.encode({f"k{n}": "v" for n in range(11)}).decode()),
            ResultCode.MULTIPLE_INNER_EXTEND_PARAM_TO_MUCH,
        ),
        (_entry("u", "x" * 2100), ResultCode.MSG_PAYLOAD_TOO_LONG),
    ],
)
async def test_one_bad_target_refuses_all(system: System, bad: dict[str, str], result: ResultCode) -> None:
    await system.templates.create(system.app.key, "won", "d", TEXT)
    assert await _refused(system, _form([_entry("bob", "Bob"), bad])) is result
    assert await system.count("messages") == 0


async def test_other_refusals(system: System) -> None:
    good = [_entry("bob", "Bob")]
    assert await _refused(system, _form(good)) is ResultCode.TEMPLATE_NOT_EXIST
    assert await _refused(system, _form(good, template_name="")) is ResultCode.NEED_TEMPLATE
    assert await _refused(system, _form([])) is ResultCode.TOKEN_OR_USERID_NULL
    assert await _refused(system, _form(good, delivery_type=4)) is ResultCode.DELIVERY_TYPE_NOT_SUPPORTED
