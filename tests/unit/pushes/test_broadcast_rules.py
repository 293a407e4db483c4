"""The rules of PushBroadcast: each result code that it can give, and whom it is for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clarion.delivery.accept import TargetType
from clarion.delivery.broadcasts.model import Announcement, Audience, Reach, Window
from clarion.delivery.series import PushKind
from clarion.pushes.broadcast import check_broadcast
from clarion.pushes.model import BroadcastForm
from clarion.pushes.plan import Plan
from clarion.pushes.rules import Limits
from clarion.results import Refusal, ResultCode
from clarion.templates.model import Template, TemplateText

TEMPLATE = Template(7, "sale", "", "", TemplateText("Sale", "#what# for less", "http://shop/#what#"), 0, 0)
GOOD = BroadcastForm(
    app_id="app",
    workspace_id="ws",
    task_name="task",
    delivery_type=1,
    expired_seconds="3600",
    template_name="sale",
    template_key_value='{"what":"tea"}',
    msgkey="sale-1",
)


def plan(**fields: Any) -> Plan:
    return check_broadcast(msgspec.structs.replace(GOOD, **fields), TEMPLATE, Limits())


def code(template: Template | None = TEMPLATE, **fields: Any) -> str:
    """The result code of a request that differs from a good one in `fields`."""
    try:
        check_broadcast(msgspec.structs.replace(GOOD, **fields), template, Limits())
    except Refusal as refusal:
        return refusal.result.code
    return ResultCode.SUCCESS.code


def audience(**fields: Any) -> Audience:
    announcement = plan(**fields).announcement
    assert announcement is not None
    return announcement.audience


def test_a_good_request() -> None:
    made = plan()
    assert made.kind is PushKind.BROADCAST
    assert (made.task_name, made.target_type, made.validity_seconds) == ("task", TargetType.ANDROID, 3600)
    assert (made.contents[0].title, made.contents[0].content, made.contents[0].uri) == (
        "Sale",
        "tea for less",
        "http://shop/tea",
    )
    assert made.targets == ()
    assert (made.template, made.template_name) == (7, "sale")
    assert made.announcement == Announcement("sale-1", Audience())


def test_a_plan_can_be_kept() -> None:
    made = plan(push_status=1, un_bind_period=1)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


ALL, OUT = {"push_status": 1, "un_bind_period": 4}, {"push_status": 2, "un_bind_period": 4}
SELF_BUILT = (
    {"android_channel": 1},
    {"android_channel": "transparent"},
    {"android_channel": " Transparent "},
    {"notify_type": "transparent"},
)
CASES: list[tuple[str, dict[str, Any]]] = [
    ("3019", {"task_name": ""}),
    ("3025", {"template_name": " "}),
    ("3009", {"delivery_type": 0}),
    ("3009", {"delivery_type": 4}),
    ("3009", {"delivery_type": 8}),
    ("3030", {"delivery_type": 3}),
    ("3030", {"delivery_type": 5}),
    ("3030", {"delivery_type": 6}),
    ("OK", {"delivery_type": 2}),
    ("OK", {"delivery_type": 7}),
    ("3021", {"msgkey": ""}),
    ("3021", {"msgkey": " "}),
    ("OK", {"msgkey": "k" * 256}),
    ("3028", {"msgkey": "k" * 257}),
    ("3028", {"msgkey": "a\0b"}),
    ("3028", {"msgkey": "\ud800"}),
    ("3020", {"expired_seconds": "0"}),
    ("3026", {"expired_seconds": str(10**9)}),
    ("3028", {"push_status": 3}),
    ("3028", {"push_status": -1}),
    ("OK", {"push_status": 0}),
    ("3051", {"push_status": 1}),
    ("3051", {"push_status": 2}),
    ("OK", ALL),
    ("OK", OUT),
    ("3052", {"push_status": 1, "un_bind_period": 0}),
    ("3052", {"push_status": 2, "un_bind_period": 5}),
    ("OK", {"push_status": 0, "un_bind_period": 5}),
    ("OK", {"bind_period": 1}),
    ("OK", {"bind_period": 4}),
    ("3028", {"bind_period": 0}),
    ("3028", {"bind_period": 5}),
    ("3028", {**ALL, "bind_period": 5}),
    ("OK", {**OUT, "bind_period": 5}),
    ("3028", {"time_mode": 2}),
    ("OK", {"time_mode": 1}),
    ("OK", {"time_mode": 1, "bind_start_time": 5, "bind_end_time": 5}),
    ("3028", {"time_mode": 1, "bind_start_time": 6, "bind_end_time": 5}),
    ("3028", {"time_mode": 1, "bind_start_time": -1}),
    ("3028", {"time_mode": 1, "bind_end_time": 1 << 60}),
    ("OK", {"time_mode": 1, "bind_period": 9, "bind_start_time": 5}),
    ("OK", {"time_mode": 0, "bind_start_time": 6, "bind_end_time": 5}),
    ("3051", {"time_mode": 1, "push_status": 1, "un_bind_period": 1}),
    ("3052", {"time_mode": 1, "push_status": 2, "un_bind_start_time": 6, "un_bind_end_time": 5}),
    ("OK", {"time_mode": 1, "push_status": 2, "un_bind_end_time": 5}),
    *(("OK", {"android_channel": word}) for word in (None, "", 0, 1, 2, "transparent", "notify", "NOTIFY")),
    *(("3057", {"android_channel": word}) for word in (3, -1, "x", "1.0", "hms")),
    ("3057", {"delivery_type": 2, "android_channel": 3}),
    *(("OK", fields) for fields in SELF_BUILT),
    *(("3053", {**ALL, **fields}) for fields in SELF_BUILT),
    *(("3053", {**OUT, **fields}) for fields in SELF_BUILT),
    ("OK", {**ALL, "android_channel": 2}),
    ("OK", {**ALL, "delivery_type": 2, "android_channel": 1}),
    ("3028", {"strategy_type": 3}),
    ("3028", {"template_key_value": "{"}),
    ("3023", {"template_key_value": "{}"}),
    ("3023", {"template_key_value": None}),
    ("3035", {"extended_params": str({str(n): n for n in range(21)}).replace("'", '"')}),
    ("3044", {"extended_params": '{"taskId":"1"}'}),
    ("3028", {"notify_type": "x"}),
    ("3043", {"template_key_value": f'{{"what":"{"x" * 2048}"}}'}),
    ("3050", {"extended_params": f'{{"a":"{"x" * 2048}"}}'}),
]


@pytest.mark.parametrize(("expected", "fields"), CASES, ids=lambda value: str(value)[:60])
def test_result_codes(expected: str, fields: dict[str, Any]) -> None:
    assert code(**fields) == expected


def test_an_unknown_template_is_told_of_last() -> None:
    assert code(None) == "3022"
    assert code(None, push_status=1) == "3051"


ORDER: list[tuple[str, dict[str, Any]]] = [
    ("3019", {"task_name": ""}),
    ("3025", {"template_name": ""}),
    ("3030", {"delivery_type": 3}),
    ("3021", {"msgkey": ""}),
    ("3020", {"expired_seconds": ""}),
    ("3051", {"push_status": 1}),
    ("3057", {"android_channel": 9}),
    ("3023", {"template_key_value": "{}"}),
]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_first_of_several_mistakes_is_told_of(first: int) -> None:
    mistakes = {name: value for _, fields in ORDER[first:] for name, value in fields.items()}
    assert code(**mistakes) == ORDER[first][0]


def test_periods() -> None:
    assert audience(bind_period=1) == Audience(Reach.LOGGED_IN, Window(days=7))
    assert audience(bind_period=2).bound == Window(days=15)
    assert audience(bind_period=3).bound == Window(days=60)
    assert audience(bind_period=4).bound == Window()
    assert audience(push_status=2, un_bind_period=1, bind_period=2) == Audience(
        Reach.LOGGED_OUT, Window(), Window(days=7)
    )
    assert audience(push_status=1, un_bind_period=3) == Audience(Reach.ALL, Window(), Window(days=60))


def test_ranges() -> None:
    ranges = {"bind_start_time": 5, "bind_end_time": 6, "un_bind_start_time": 7, "un_bind_end_time": 8}
    assert audience(time_mode=1, push_status=1, **ranges) == Audience(
        Reach.ALL, Window(None, 5, 6), Window(None, 7, 8)
    )
    assert audience(time_mode=1, **ranges) == Audience(Reach.LOGGED_IN, Window(None, 5, 6))


@pytest.mark.parametrize(
    ("asked", "kept"), [(0, "transparent"), (1, "transparent"), ("notify", "notify"), (2, "notify")]
)
def test_the_android_channel_goes_before_the_notify_type(asked: object, kept: str) -> None:
    assert plan(android_channel=asked, notify_type="transparent").contents[0].notify_type == kept
