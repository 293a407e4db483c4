"""Live activities and every other carried field, from the official SDK's request to the stored message."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_mpaas20201028 import models
from alibabacloud_mpaas20201028.client import Client
from alibabacloud_tea_openapi import client as tea
from alibabacloud_tea_openapi.utils_models import Config

from clarion.channels.message import Activity, PushContent, Sms, decode_content
from clarion.clock import ManualClock
from clarion.openapi.actions.pushes import push_actions
from clarion.openapi.parameters import parse
from clarion.openapi.registry import Call, Registry
from clarion.results import Refusal
from clarion.templates.model import TemplateText
from clarion.tenants.model import AccessKey, Role
from tests.store.system import System

Send = Callable[[str, dict[str, Any]], dict[str, str]]
CALLS: dict[str, tuple[Any, Any]] = {
    "PushSimple": (Client.push_simple, models.PushSimpleRequest),
    "PushTemplate": (Client.push_template, models.PushTemplateRequest),
    "PushMultiple": (Client.push_multiple, models.PushMultipleRequest),
}
ACTIONS = sorted(CALLS)
TOKEN = "80ab" * 40
SHARED: dict[str, Any] = {
    "AppId": "app",
    "WorkspaceId": "ws",
    "TaskName": "match",
    "DeliveryType": 5,
    "ExpiredSeconds": 600,
}
STATE = {
    "score": 1,
    "progress": 0.5,
    "over": False,
    "teams": ["a", "b"],
    "place": {"row": 3, "name": "球场", "open": True},
    "code": "007",
    "since": 1_795_000_000_000,
}
"""A state whose types survive flattening."""
ENCODINGS: tuple[Callable[[Any], Any], ...] = (dict, json.dumps, str)
"""Flattened by the SDK, JSON text, and what a Python caller sends by mistake."""


def own(action: str, msg_key: str = "k") -> dict[str, Any]:
    """What only some actions take."""
    if action == "PushMultiple":
        return {"TemplateName": "goal", "TargetMsg": [{"Target": TOKEN, "MsgKey": msg_key}]}
    texts = {"Title": "Goal", "Content": "1:0"} if action == "PushSimple" else {"TemplateName": "goal"}
    return {**texts, "TargetMsgkey": json.dumps({TOKEN: msg_key})}


class _Sent(BaseException):
    """The SDK came to the point of sending; it catches every `Exception`."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Send:
    """What the SDK sends for a request: its form, as this server reads it."""
    bodies: list[bytes] = []

    def keep(request: Any, *_: Any) -> None:
        body = request.body
        bodies.append(body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else body.read())
        raise _Sent

    monkeypatch.setattr(tea.DaraCore, "do_action", staticmethod(keep))
    config = Config(access_key_id="k", access_key_secret="s", endpoint="127.0.0.1:1", protocol="HTTP")

    def send(action: str, parameters: dict[str, Any]) -> dict[str, str]:
        method, model = CALLS[action]
        with pytest.raises(_Sent):
            method(Client(config), model().from_map(parameters))
        form, is_unicode = parse(bodies.pop())
        assert is_unicode
        return form

    return send


@pytest.fixture
async def push(system: System, sent: Send) -> Any:
    """Sends a push as the SDK does and has it carried out; its stored message."""
    registry = Registry(push_actions(system.pushes))
    await system.templates.create(
        system.app.key,
        "goal",
        "d",
        TemplateText("Goal", "1:0", uri="u", style=2, icons={"i": "1"}, images={"p": "2"}),
    )

    async def push(action: str, **parameters: Any) -> PushContent:
        found = registry.find(action, "2020-10-28")
        form = sent(action, {**SHARED, **own(action), **parameters})
        key = AccessKey("k", b"s", Role.PUSH)
        await found.handler(Call(action, "2020-10-28", "R", key, found.schema.read(form), system.clock.now_ms(), 0))
        ((task, of_target),) = await system.rows(
            "SELECT tasks.content, messages.content FROM messages JOIN tasks ON tasks.task = messages.task "
            "ORDER BY messages.message DESC LIMIT 1"
        )
        if of_target is not None:
            assert bytes(of_target) == bytes(task)  # of a multiple push with one target
        return decode_content(bytes(task))

    return push


@pytest.mark.parametrize("action", ACTIONS)
async def test_an_update_however_it_is_encoded(push: Any, action: str) -> None:
    for kind in (5, 6):
        for number, encode in enumerate(ENCODINGS):
            state = {**STATE, "score": number}
            wanted = {"DeliveryType": kind, "ActivityEvent": "update", "ActivityContentState": encode(state)}
            stored = await push(action, **wanted, **own(action, f"{kind}-{number}"))
            assert stored.activity == Activity("update", state)
            assert json.dumps(stored.activity.state, sort_keys=True) == json.dumps(
                state, sort_keys=True
            )  # 1 or True


@pytest.mark.parametrize("action", ACTIONS)
async def test_an_end(push: Any, action: str) -> None:
    stored = await push(action, ActivityEvent="end", ActivityContentState={"score": 2}, DismissalDate=1_795_000_000)
    assert stored.activity == Activity("end", {"score": 2}, 1_795_000_000)


@pytest.mark.parametrize("action", ACTIONS)
async def test_the_date_of_an_update_is_kept_as_given(push: Any, action: str) -> None:
    stored = await push(action, ActivityEvent="update", DismissalDate=1_795_000_000)
    assert stored.activity == Activity("update", None, 1_795_000_000)


@pytest.mark.parametrize("action", ACTIONS)
async def test_without_an_event_it_is_an_update(push: Any, action: str) -> None:
    assert (await push(action)).activity == Activity("update")


HARD: dict[str, Any] = {"gate": "12", "gone": None, "none": {}, "empty": [], "a.b": 1, "big": 10**17, "small": 1e-7}
"""A state that flattening changes."""


async def test_json_text_keeps_what_flattening_loses(push: Any) -> None:
    assert (await push("PushSimple", ActivityContentState=json.dumps(HARD))).activity == Activity("update", HARD)


async def test_what_flattening_loses(push: Any) -> None:
    kept = {"gate": 12, "a": {"b": 1}, "big": str(10**17), "small": "1e-07"}
    assert (await push("PushSimple", ActivityContentState=HARD)).activity == Activity("update", kept)


WRONG: tuple[dict[str, Any], ...] = (
    {"ActivityEvent": "start"},
    {"ActivityEvent": "UPDATE"},
    {"ActivityContentState": "score"},
    {"ActivityContentState": "[1]"},
    {"ActivityContentState": "1"},
    {"ActivityEvent": "end", "DismissalDate": 0},
    {"ActivityEvent": "end", "DismissalDate": -5},
)


@pytest.mark.parametrize("action", ACTIONS)
async def test_what_is_refused(push: Any, system: System, action: str) -> None:
    for wrong in WRONG:
        with pytest.raises(Refusal) as refused:
            await push(action, **wrong)
        assert refused.value.result.code == "3028"
        assert next(iter(reversed(wrong))) in refused.value.message
    assert await system.count("messages") == 0


@pytest.mark.parametrize(
    ("kind", "outcome", "word", "status"),
    [(5, "no_channel", "APNs", "DeviceNotOnlineOrNoResponse"), (6, "no_activity", "push token", "NoBindInfo")],
)
async def test_its_trace_tells_what_it_waits_for(
    push: Any, system: System, clock: ManualClock, kind: int, outcome: str, word: str, status: str
) -> None:
    await push("PushSimple", DeliveryType=kind, ActivityEvent="end")
    found = await system.trace(TOKEN, "k")
    assert [hop.outcome for hop in found.hops] == ["on_disk", outcome]
    assert word in found.hops[1].cause
    assert "expires" in found.hops[1].next
    assert found.status_name == status
    clock.advance(601)
    assert (await system.trace(TOKEN, "k")).status_name == "MsgExpired"
    await system.maintenance.expire()
    found = await system.trace(TOKEN, "k")
    assert outcome == "no_channel" or found.hops[1].outcome == outcome  # the status does not tell any more


START = {"ActivityEvent": "start", "ActivityContentState": {"score": 0}}
KIND = {"attributes-type": "MatchAttributes", "attributes": {"home": "a", "n": 1}}


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_start(push: Any, action: str) -> None:
    stored = await push(action, **START, ExtendedParams=json.dumps({**KIND, "more": 1}))
    assert stored.activity == Activity(
        "start", {"score": 0}, attributes_type="MatchAttributes", attributes={"home": "a", "n": 1}
    )
    assert stored.params == {"more": 1}


@pytest.mark.parametrize(
    "missing",
    [
        {"ExtendedParams": json.dumps({"attributes": {}})},
        {"ExtendedParams": json.dumps({**KIND, "attributes": "{"})},
        {"ExtendedParams": json.dumps({**KIND, "attributes-type": 1})},
        {"ExtendedParams": json.dumps(KIND), "ActivityContentState": ""},
        {"ExtendedParams": json.dumps(KIND), "DeliveryType": 6},
        {"ExtendedParams": json.dumps(KIND), "DeliveryType": 2},
    ],
)
async def test_a_start_that_lacks_something(push: Any, missing: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        await push("PushSimple", **{**START, **missing})
    assert refused.value.result.code == "3028"
    assert "ActivityEvent" in refused.value.message


async def test_a_device_s_own_token_gets_no_live_activity(push: Any) -> None:
    """Apple would call the device's token wrong for such a message, and it would be forgotten."""
    stored = await push("PushSimple", DeliveryType=2, ActivityEvent="end", ExtendedParams=json.dumps(KIND))
    assert stored.activity is None
    assert stored.params == KIND


FIELDS: dict[str, Any] = {
    "ExtendedParams": json.dumps({"键": "值", "sound": "a.caf", "badge": 3}, ensure_ascii=False),
    "PushAction": 1,
    "Silent": 1,
    "NotifyType": "transparent",
    "Classification": "0",
    "ThirdChannelCategory": {"hms": "9", "vivo": "IM"},
    "NotifyLevel": {"hms": 2},
    "ChannelId": "orders",
    "MiChannelId": "mi-orders",
    "TransparentMessagePayload": {"a": "1", "b": {"c": "x"}},
    "TransparentMessageUrgency": "HIGH",
    "VendorTemplate": json.dumps({"honor": {"id": "7"}}),
    "ActivityEvent": "end",
    "ActivityContentState": {"score": 1},
    "DismissalDate": 1_795_000_000,
}
SMS = {
    "SmsStrategy": 2,
    "SmsSignName": "签名",
    "SmsTemplateCode": "SMS_1",
    "SmsTemplateParam": json.dumps({"code": "1"}),
}
MORE: dict[str, dict[str, Any]] = {
    "PushSimple": {"Uri": "u", "PushStyle": 2, "IconUrls": '{"i":"1"}', "ImageUrls": '{"p":"2"}', **SMS},
    "PushTemplate": SMS,
    "PushMultiple": {},
}


@pytest.mark.parametrize("action", ACTIONS)
async def test_every_field_is_stored(push: Any, action: str) -> None:
    stored = await push(action, **FIELDS, **MORE[action])
    assert stored == PushContent(
        title="Goal",
        content="1:0",
        uri="u",
        action=1,
        silent=1,
        style=2,
        icons={"i": "1"},
        images={"p": "2"},
        params={"键": "值", "sound": "a.caf", "badge": 3},
        notify_type="transparent",
        classification="0",
        category={"hms": "9", "vivo": "IM"},
        notify_level={"hms": 2},
        channel_id="orders",
        mi_channel_id="mi-orders",
        data_payload={"a": "1", "b": {"c": "x"}},
        data_urgency="HIGH",
        vendor_template={"honor": {"id": "7"}},
        activity=Activity("end", {"score": 1}, 1_795_000_000),
        sms=None if action == "PushMultiple" else Sms(2, "签名", "SMS_1", '{"code": "1"}'),
    )


async def test_every_parameter_of_the_sdk_is_among_them() -> None:
    for action, (_, model) in CALLS.items():
        known = {**SHARED, **own(action), **FIELDS, **MORE[action]}
        unset = {"StrategyType", "StrategyContent", "TenantId", "TemplateKeyValue"}
        request = model().from_map({**known, **dict.fromkeys(unset, "x")})
        assert [name for name, value in vars(request).items() if value is None] == []
