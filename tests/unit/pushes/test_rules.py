"""The rules of PushSimple: each result code that it can give, and each limit on both sides of its edge."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from clarion.channels.message import Activity, encode_content
from clarion.delivery.accept import TargetType
from clarion.pushes.content import MAX_MESSAGE_BYTES, SYSTEM_PARAMS
from clarion.pushes.model import SimpleForm
from clarion.pushes.plan import Target
from clarion.pushes.rules import Limits, check_simple
from clarion.results import Refusal, ResultCode

GOOD = SimpleForm(
    app_id="app",
    workspace_id="ws",
    task_name="task",
    delivery_type=3,
    expired_seconds="3600",
    title="title",
    content="content",
    target_msgkey='{"bob":"key"}',
)
SMS = {"sms_strategy": 1, "sms_sign_name": "n", "sms_template_code": "c", "sms_template_param": "{}"}


def form(**fields: Any) -> SimpleForm:
    return msgspec.structs.replace(GOOD, **fields)


def code(**fields: Any) -> str:
    """The result code of a request that differs from a good one in `fields`."""
    try:
        check_simple(form(**fields), Limits())
    except Refusal as refusal:
        return refusal.result.code
    return ResultCode.SUCCESS.code


def targets(count: int) -> str:
    return json.dumps({f"user{n}": f"key{n}" for n in range(count)})


def params(count: int, **more: object) -> str:
    return json.dumps({f"p{n}": n for n in range(count)} | more)


def test_a_good_request() -> None:
    push = check_simple(GOOD, Limits())
    assert (push.task_name, push.target_type, push.validity_seconds) == ("task", TargetType.USER, 3600)
    assert push.targets == (Target("bob", "key"),)
    assert json.loads(encode_content(push.contents[0])) == {"title": "title", "content": "content"}


BADGES: dict[str, tuple[object, ...]] = {
    "OK": (1, "1", 10**8, "007"),
    "3058": (0, "0", -1, 1.5, "x", "", True, [], 10**30, "9" * 5000, "٣", "²"),
}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("3019", {"task_name": None}),
    ("3019", {"task_name": ""}),
    ("3019", {"task_name": " \t"}),
    ("OK", {"task_name": "n" * 256}),
    ("3028", {"task_name": "n" * 257}),
    ("3028", {"task_name": "a\0b"}),
    ("3028", {"task_name": "\ud800"}),
    ("3024", {"title": ""}),
    ("3024", {"title": " "}),
    ("3024", {"content": ""}),
    ("3024", {"content": "\n"}),
    ("3031", {"title": "\ud800"}),
    ("3031", {"content": "\udfff"}),
    ("3031", {"uri": "\ud800"}),
    ("OK", {"content": "世界 🙂\0\x01"}),
    *(("OK", {"delivery_type": kind, "target_msgkey": '{"token":"k"}'}) for kind in (1, 2, 3, 5, 6, 7)),
    *(("3009", {"delivery_type": kind}) for kind in (-1, 0, 4, 8, 33, 10**12)),
    ("3021", {"target_msgkey": ""}),
    ("3021", {"target_msgkey": " "}),
    ("3021", {"target_msgkey": "{}"}),
    ("3021", {"target_msgkey": '{"":"key"}'}),
    ("3021", {"target_msgkey": '{" ":"key"}'}),
    ("3021", {"target_msgkey": '{"bob":""}'}),
    ("3021", {"target_msgkey": '{"bob":null}'}),
    ("3028", {"target_msgkey": "bob"}),
    ("3028", {"target_msgkey": '["bob"]'}),
    ("3028", {"target_msgkey": '"bob"'}),
    ("3028", {"target_msgkey": '{"bob":["key"]}'}),
    ("3028", {"target_msgkey": '{"bob":true}'}),
    ("3028", {"target_msgkey": '{"bob":"key"'}),
    ("3028", {"target_msgkey": '{"bob":"a\\u0000b"}'}),
    ("3028", {"target_msgkey": '{"b\\u0000b":"key"}'}),
    ("3028", {"target_msgkey": '{"bob":"\\ud800"}'}),
    ("OK", {"target_msgkey": targets(1)}),
    ("OK", {"target_msgkey": targets(10)}),
    ("3029", {"target_msgkey": targets(11)}),
    ("3029", {"target_msgkey": targets(5000)}),
    ("OK", {"target_msgkey": json.dumps({"bob": "k" * 256})}),
    ("3028", {"target_msgkey": json.dumps({"bob": "k" * 257})}),
    ("OK", {"target_msgkey": json.dumps({"u" * 256: "key"})}),
    ("3028", {"target_msgkey": json.dumps({"u" * 257: "key"})}),
    ("OK", {"target_msgkey": json.dumps({"t" * 512: "key"}), "delivery_type": 1}),
    ("3054", {"target_msgkey": json.dumps({"t" * 513: "key"}), "delivery_type": 1}),
    ("3054", {"target_msgkey": '{"to ken":"key"}', "delivery_type": 1}),
    ("3054", {"target_msgkey": '{"token\\n":"key"}', "delivery_type": 1}),
    ("3054", {"target_msgkey": '{"世界":"key"}', "delivery_type": 2}),
    ("OK", {"target_msgkey": '{"世界":"键"}'}),
    ("OK", {"expired_seconds": "\x1c5"}),
    ("3020", {"expired_seconds": None}),
    ("3020", {"expired_seconds": ""}),
    ("3020", {"expired_seconds": "0"}),
    ("3020", {"expired_seconds": "-1"}),
    ("3020", {"expired_seconds": "soon"}),
    ("3020", {"expired_seconds": "1.5"}),
    ("3020", {"expired_seconds": "1e3"}),
    ("3020", {"expired_seconds": "1_000"}),
    ("3020", {"expired_seconds": "٣"}),
    ("3020", {"expired_seconds": "9" * 5000}),
    ("OK", {"expired_seconds": "1"}),
    ("OK", {"expired_seconds": " 60 "}),
    ("OK", {"expired_seconds": "604800"}),
    ("3026", {"expired_seconds": "604801"}),
    ("3026", {"expired_seconds": "9" * 18}),
    *(("OK", {"strategy_type": kind}) for kind in (0, 1, 2)),
    *(("3028", {"strategy_type": kind}) for kind in (-1, 3)),
    *(("OK", {"push_style": style}) for style in (0, 1, 2)),
    *(("3028", {"push_style": style}) for style in (-1, 3)),
    *((result, {name: n}) for name in ("push_action", "silent") for n, result in enumerate(("OK", "OK", "3028"))),
    *(("OK", {"notify_type": kind}) for kind in ("", "notify", "transparent")),
    ("3028", {"notify_type": "Notify"}),
    *(("OK", {"classification": kind}) for kind in ("", "0", "1")),
    ("3028", {"classification": "2"}),
    *(
        (result, {name: text})
        for name in ("third_channel_category", "notify_level", "vendor_template", "image_urls", "icon_urls")
        for texts, result in ((("", "{}", '{"hms":"9"}', "{'hms': '9'}"), "OK"), (("[]", "{", "x", "1"), "3028"))
        for text in texts
    ),
    ("3028", {"image_urls": '{"defaultUrl":1}'}),
    ("OK", {"image_urls": json.dumps({"defaultUrl": "u" * 2038})}),
    ("3028", {"image_urls": json.dumps({"defaultUrl": "u" * 2039})}),
    ("OK", {"icon_urls": json.dumps({str(n): "u" * 2000 for n in range(20)})}),
    ("3028", {"icon_urls": json.dumps({str(n): "u" for n in range(21)})}),
    ("OK", {"extended_params": ""}),
    ("OK", {"extended_params": params(20)}),
    ("3035", {"extended_params": params(21)}),
    ("3044", {"extended_params": "[]"}),
    ("3044", {"extended_params": "key=value"}),
    *(("3044", {"extended_params": json.dumps({key: 1})}) for key in sorted(SYSTEM_PARAMS)),
    *(
        (result, {"extended_params": params(1, badge_class="c", badge_add_num=number)})
        for result, numbers in BADGES.items()
        for number in numbers
    ),
    ("OK", {"extended_params": params(1, badge_add_num=None)}),
    ("3059", {"extended_params": params(1, badge_add_num=1)}),
    ("3059", {"extended_params": params(1, badge_add_num=1, badge_class="")}),
    ("OK", {"activity_event": "update", "activity_content_state": {"a": [1, {"b": None}]}}),
    ("OK", {"activity_event": "end", "dismissal_date": 1}),
    ("3028", {"activity_event": "begin"}),
    ("3028", {"activity_event": "Update"}),
    ("3028", {"activity_event": "update", "activity_content_state": "state"}),
    ("3028", {"activity_event": "update", "activity_content_state": "[1]"}),
    ("3028", {"activity_event": "update", "activity_content_state": [1]}),
    ("3028", {"activity_content_state": "state"}),
    ("OK", {"activity_event": "update", "activity_content_state": "{'a': 1}"}),
    ("OK", {"activity_event": "", "activity_content_state": " "}),
    ("3028", {"activity_event": "end", "dismissal_date": 0}),
    ("3028", {"activity_event": "update", "dismissal_date": -1}),
    ("3028", {"delivery_type": 5, "target_msgkey": '{"t":"k"}', "activity_event": "begin"}),
    ("OK", {"delivery_type": 5, "target_msgkey": '{"t":"k"}'}),
    ("3050", {"delivery_type": 5, "activity_event": "update", "activity_content_state": {"a": "x" * 5000}}),
    ("OK", SMS),
    ("OK", {"sms_strategy": 0}),
    ("OK", SMS | {"sms_strategy": 2}),
    ("3028", SMS | {"sms_strategy": 3}),
    ("3028", SMS | {"sms_template_param": "x"}),
    *(("3028", SMS | {name: ""}) for name in ("sms_sign_name", "sms_template_code", "sms_template_param")),
    ("3043", {"content": "c" * (MAX_MESSAGE_BYTES + 1)}),
    ("3043", {"content": "世" * (MAX_MESSAGE_BYTES // 3 + 1)}),
    ("3050", {"content": "c" * MAX_MESSAGE_BYTES}),
    ("3050", {"title": "t" * 5000}),
    ("3050", {"extended_params": json.dumps({"a": "x" * 5000})}),
    ("3050", {"transparent_message_payload": {"a": ["x" * 5000]}}),
    ("3031", {"transparent_message_payload": {"a": ["\ud800"]}}),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "fields"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_result(expected: str, fields: dict[str, Any]) -> None:
    assert code(**fields) == expected


def test_the_whole_message_may_have_two_kilobytes() -> None:
    overhead = len(encode_content(check_simple(form(content="c"), Limits()).contents[0])) - 1
    assert code(content="c" * (MAX_MESSAGE_BYTES - overhead)) == "OK"
    assert code(content="c" * (MAX_MESSAGE_BYTES - overhead + 1)) == "3050"


def test_pictures_do_not_count() -> None:
    overhead = len(encode_content(check_simple(form(content="c"), Limits()).contents[0])) - 1
    pictures = json.dumps({"defaultUrl": "https://example.com/" + "p" * 500, "fcmUrl": "https://example.com/世"})
    text = "c" * (MAX_MESSAGE_BYTES - overhead - 30)
    assert code(content=text, image_urls=pictures, icon_urls=pictures) == "OK"


def test_the_maximum_of_validity_is_the_operators() -> None:
    with pytest.raises(Refusal, match="at most 60"):
        check_simple(form(expired_seconds="61"), Limits(max_expired_seconds=60))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{'bob': 'key'}", ("bob", "key")),
        ("{'bob': \"it's\"}", ("bob", "it's")),
        ('{"bob": 123}', ("bob", "123")),
        ('{"bob": 1.5}', ("bob", "1.5")),
        ("{123: 456}", None),
        ("{123: '456'}", ("123", "456")),
        (' {"bob":"key"}\n', ("bob", "key")),
        ("{'bob': 'a', 'bob': 'b'}", ("bob", "b")),
    ],
)
def test_targets_as_callers_send_them(text: str, expected: tuple[str, str] | None) -> None:
    if expected is None:
        assert code(target_msgkey=text) == "3028"
    else:
        assert check_simple(form(target_msgkey=text), Limits()).targets == (Target(*expected),)


TO_ACTIVITY = {"delivery_type": 5, "target_msgkey": '{"t":"k"}'}


@pytest.mark.parametrize(
    ("fields", "activity"),
    [
        ({}, None),
        ({"activity_event": "", "activity_content_state": ""}, None),
        ({"activity_event": "end"}, None),
        ({**TO_ACTIVITY, "activity_content_state": {}}, Activity("update", {})),
        ({**TO_ACTIVITY, "activity_content_state": "{'a': True}"}, Activity("update", {"a": True})),
        ({**TO_ACTIVITY, "dismissal_date": 1}, Activity("update", None, 1)),
        (TO_ACTIVITY, Activity("update")),
        ({"delivery_type": 6, "target_msgkey": '{"t":"k"}', "activity_event": "end"}, Activity("end")),
    ],
)
def test_the_live_activity_of_a_message(fields: dict[str, Any], activity: Activity | None) -> None:
    assert check_simple(form(**fields), Limits()).contents[0].activity == activity


def test_every_field_reaches_the_message() -> None:
    push = check_simple(
        form(
            uri="u", push_style=2, push_action=1, silent=1, notify_type="transparent", classification="0",
            icon_urls='{"a":"b"}', image_urls='{"c":"d"}', extended_params="{'e': 'f'}", channel_id="g",
            third_channel_category='{"hms":"9"}', notify_level='{"hms":1}', mi_channel_id="h",
            transparent_message_payload=[1], transparent_message_urgency="HIGH", vendor_template='{"i":{}}',
            activity_event="end", activity_content_state={"j": 1}, dismissal_date=7, **TO_ACTIVITY, **SMS,
        ),
        Limits(),
    )  # fmt: skip
    assert json.loads(encode_content(push.contents[0])) == {
        "title": "title", "content": "content", "uri": "u", "action": 1, "silent": 1, "style": 2,
        "icons": {"a": "b"}, "images": {"c": "d"}, "params": {"e": "f"}, "notify_type": "transparent",
        "classification": "0", "category": {"hms": "9"}, "notify_level": {"hms": 1}, "channel_id": "g",
        "mi_channel_id": "h", "data_payload": [1], "data_urgency": "HIGH", "vendor_template": {"i": {}},
        "activity": {"event": "end", "state": {"j": 1}, "dismissal": 7},
        "sms": {"strategy": 1, "sign_name": "n", "template_code": "c", "template_params": "{}"},
    }  # fmt: skip
