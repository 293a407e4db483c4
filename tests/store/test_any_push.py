"""Whatever a caller sends is refused with a code, or stored and comes back as it was."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from clarion.channels.message import decode_content, encode_content
from clarion.delivery.trace import trace
from clarion.devices.model import check_user
from clarion.pushes.model import SimpleForm
from clarion.pushes.rules import Limits, check_simple
from clarion.results import Refusal
from tests.store.system import System

_TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=30)
_HOSTILE = st.text(max_size=30) | st.sampled_from(
    ["a\0b", "\ud800", "\x7f\u2028", "\\u0000", "{'a': 1}", '{"a":"b"}']
)
_MAPS = st.dictionaries(_TEXT, _TEXT | st.integers() | st.floats() | st.none(), max_size=3)
_MAP_TEXTS = _MAPS.map(json.dumps) | _MAPS.map(str)
_GOOD = st.fixed_dictionaries(
    {
        "task_name": _TEXT,
        "title": _TEXT,
        "content": _TEXT,
        "expired_seconds": st.sampled_from(["1", "3600", "604800"]),
        "delivery_type": st.just(3),
        "target_msgkey": st.dictionaries(_TEXT, _TEXT | st.integers(), min_size=1, max_size=3).map(json.dumps),
    },
    optional={
        "uri": _TEXT,
        "extended_params": _MAP_TEXTS,
        "vendor_template": _MAP_TEXTS,
        "channel_id": _TEXT,
        "image_urls": st.dictionaries(_TEXT, _TEXT, max_size=2).map(str),
        "transparent_message_payload": _TEXT | _MAPS,
    },
)
_ODD = st.dictionaries(
    st.sampled_from(["task_name", "title", "content", "target_msgkey", "extended_params", "image_urls", "uri"]),
    _HOSTILE,
    max_size=1,
)
_FORMS = st.builds(lambda good, odd: SimpleForm(app_id="app", workspace_id="ws", **good | odd), _GOOD, _ODD)


@given(_FORMS)
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_a_push_is_refused_or_kept(system: System, form: SimpleForm) -> None:
    try:
        push = check_simple(form, Limits())
    except Refusal:
        reject()  # the test fails if that is nearly all
    receipt = await system.pushes.push_simple(form, "request")
    assert receipt.targets + receipt.repeated == len(push.targets)
    for target in push.targets:
        found = await trace(system.database, system.clock, system.app.key, target.target, target.msg_key)
        assert found is not None
        if not receipt.repeated:
            assert found.task_name == push.task_name
            ((stored,),) = await system.rows(
                "SELECT content FROM tasks WHERE task = :task", task=int(found.task_id)
            )
            assert encode_content(decode_content(bytes(stored))) == encode_content(push.contents[0])


@given(_TEXT | _HOSTILE)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_user_is_refused_or_bound(system: System, user: str) -> None:
    try:
        check_user(user)
    except Refusal:
        return
    await system.bind("token", user)
    state = await system.devices.state_of_user(system.app.key, user)
    assert state is not None
    assert state.user_id == user
