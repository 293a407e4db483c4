"""Templates on both databases, and pushing with them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from clarion.delivery.accept import TargetType
from clarion.pushes.model import TemplateForm
from clarion.results import Refusal, ResultCode
from clarion.templates.model import MAX_TEMPLATES, TemplateText
from tests.store.system import System

TEXT = TemplateText(title="Hi #name#", content="You won #money#", uri="mpaas://#name#", style=1, silent=1)
GOOD = TemplateForm(
    app_id="app",
    workspace_id="ws",
    task_name="task",
    template_name="won ",
    template_key_value="{'name': 'Bob', 'money': 200}",
    delivery_type=int(TargetType.USER),
    expired_seconds="600",
    target_msgkey='{"bob": "key"}',
)


async def _refused(system: System, **changes: object) -> ResultCode:
    with pytest.raises(Refusal) as refused:
        await system.pushes.push_template(msgspec.structs.replace(GOOD, **changes), "REQUEST")
    return refused.value.result


async def test_create_get_list_delete(system: System) -> None:
    app, templates = system.app.key, system.templates
    made = await templates.create(app, " won ", "for winners", TEXT, "name,money")
    assert (made.name, made.text) == ("won", TEXT)
    assert await templates.get(app, made.template, None) == made
    assert await templates.get(app, None, "won ") == made
    assert await templates.get(app, made.template, "won") == made
    second = await templates.create(app, "second", "d", TEXT)
    assert await templates.page(app, 1, 10) == ([second, made], 2)
    assert await templates.page(app, 2, 1) == ([made], 2)
    await templates.delete(app, None, "won")
    assert await templates.page(app, 1, 10) == ([second], 1)
    for number, name in ((made.template, None), (None, "won"), (second.template, "other"), (None, None), (-1, "")):
        with pytest.raises(Refusal) as refused:
            await templates.get(app, number, name)
        assert refused.value.result is ResultCode.TEMPLATE_NOT_EXIST


async def test_a_name_is_taken_once(system: System) -> None:
    async def create() -> ResultCode | None:
        try:
            await system.templates.create(system.app.key, "same", "d", TEXT)
        except Refusal as refusal:
            return refusal.result
        return None

    results = await asyncio.gather(*(create() for _ in range(4)))
    assert sorted(map(str, results)) == sorted(["None", *[str(ResultCode.TEMPLATE_ALREADY_EXIST)] * 3])


async def test_an_app_has_a_hundred(system: System) -> None:
    for number in range(MAX_TEMPLATES):
        await system.templates.create(system.app.key, f"t{number}", "d", TEXT)
    with pytest.raises(Refusal) as refused:
        await system.templates.create(system.app.key, "one-more", "d", TEXT)
    assert refused.value.result is ResultCode.TEMPLATE_NUM_TOO_MUCH


async def test_a_push_has_the_texts_of_its_template(system: System) -> None:
    device, _ = await system.device("bob")
    await system.templates.create(system.app.key, "won", "d", TEXT)
    receipt = await system.pushes.push_template(GOOD, "REQUEST")
    assert (receipt.targets, receipt.data) == (1, None)
    ((_, frame),) = await system.inbox.owed(device, 0, 10)
    shown = msgspec.json.decode(frame)
    assert {name: shown[name] for name in ("title", "content", "uri", "style", "silent", "msgKey")} == {
        "title": "Hi Bob",
        "content": "You won 200",
        "uri": "mpaas://Bob",
        "style": 1,
        "silent": 1,
        "msgKey": "key",
    }
    assert (await system.pushes.push_template(GOOD, "REQUEST")).repeated == 1


async def test_the_request_goes_before_the_template(system: System) -> None:
    device, _ = await system.device("bob")
    await system.templates.create(system.app.key, "won", "d", TEXT)
    await system.pushes.push_template(msgspec.structs.replace(GOOD, silent=0, push_action=1), "REQUEST")
    shown = msgspec.json.decode((await system.inbox.owed(device, 0, 10))[0].frame)
    assert (shown["silent"], shown["action"]) == (0, 1)


async def test_refusals(system: System) -> None:
    assert await _refused(system) is ResultCode.TEMPLATE_NOT_EXIST
    await system.templates.create(system.app.key, "won", "d", TEXT)
    assert await _refused(system, template_name=" ") is ResultCode.NEED_TEMPLATE
    assert await _refused(system, template_key_value='{"name": "Bob"}') is ResultCode.TEMPLATEKV_NOT_ENOUGH
    assert await _refused(system, template_key_value=None) is ResultCode.TEMPLATEKV_NOT_ENOUGH
    assert await _refused(system, template_key_value="name=Bob") is ResultCode.INVALID_PARAM
    assert await _refused(system, task_name=None) is ResultCode.TASKNAME_NULL
    long = '{"name": "Bob", "money": "%s"}' % ("9" * 2100)
    assert await _refused(system, template_key_value=long) is ResultCode.SINGLE_PUSH_CONTENT_TOO_LONG


async def test_a_deleted_template_is_gone_at_once_and_a_new_one_there(system: System) -> None:
    await system.templates.create(system.app.key, "won", "d", TEXT)
    await system.pushes.push_template(GOOD, "REQUEST")
    await system.templates.delete(system.app.key, None, "won")
    assert await _refused(system, target_msgkey='{"bob": "2"}') is ResultCode.TEMPLATE_NOT_EXIST
    await system.templates.create(system.app.key, "won", "d", TemplateText(title="new", content="text"))
    assert (await system.pushes.push_template(GOOD, "REQUEST")).repeated == 1


async def test_another_node_notices(system: System) -> None:
    other = await system.restarted(node=1)
    await system.templates.create(system.app.key, "won", "d", TEXT)
    await other.pushes.push_template(GOOD, "REQUEST")
    await system.templates.delete(system.app.key, None, "won")
    await other.directory.refresh()
    assert await _refused(other, target_msgkey='{"bob": "2"}') is ResultCode.TEMPLATE_NOT_EXIST
