"""What every SDK is asked to do: parameters by wire name, and the codes that answer them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from clarion.link.protocol import Push
from tests.support.tenants import APP_ID, TENANT_ID, WORKSPACE_ID

TITLE = "标题 😀 a+b ~ c*d 100% 'x' \"y\" (z)! /?&=#"
CONTENT = "内容 🚀\n第二行 + ~ * % \\ <b>&amp;</b>"
APP = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
TOKEN = "0123456789abcdef0123456789abcdef01234567"

SIMPLE: dict[str, Any] = {
    **APP,
    "TaskName": "task",
    "Title": TITLE,
    "Content": CONTENT,
    "DeliveryType": 1,
    "ExpiredSeconds": 600,
    "TargetMsgkey": json.dumps({TOKEN: "case"}),
}
BIND: dict[str, Any] = {**APP, "UserId": "user", "DeliveryToken": TOKEN, "OsType": 1}
UNBIND: dict[str, Any] = {**APP, "UserId": "user", "DeliveryToken": TOKEN}
REPORT: dict[str, Any] = {**APP, "DeliveryToken": TOKEN, "OsType": 1}
STATE: dict[str, Any] = {**APP, "TenantId": TENANT_ID, "Target": TOKEN, "TargetType": 1}


class Case(NamedTuple):
    """A request that the business rules turn down, and the code for it."""

    action: str
    parameters: dict[str, Any]
    code: str


def _extended(**params: object) -> dict[str, str]:
    return {"ExtendedParams": json.dumps(params)}


def _cases(action: str, base: dict[str, Any], *changes: tuple[str, dict[str, Any]]) -> list[Case]:
    return [Case(action, {**base, **change}, code) for code, change in changes]


BUSINESS = [
    *_cases(
        "PushSimple",
        SIMPLE,
        ("3003", {"AppId": ""}),
        ("3003", {"WorkspaceId": " "}),
        ("3007", {"WorkspaceId": "elsewhere"}),
        ("3009", {"DeliveryType": 4}),
        ("3019", {"TaskName": ""}),
        ("3020", {"ExpiredSeconds": 0}),
        ("3021", {"TargetMsgkey": "{}"}),
        ("3021", {"TargetMsgkey": json.dumps({TOKEN: ""})}),
        ("3024", {"Title": ""}),
        ("3024", {"Content": ""}),
        ("3026", {"ExpiredSeconds": 10_000_000}),
        ("3028", {"TargetMsgkey": "no map"}),
        ("3028", {"PushStyle": 9}),
        ("3028", {"StrategyType": 7}),
        ("3029", {"TargetMsgkey": json.dumps({f"{TOKEN[:-2]}{n:02}": "k" for n in range(11)})}),
        ("3035", _extended(**{f"key{n}": "v" for n in range(21)})),
        ("3043", {"Content": "长" * 700}),
        ("3044", {"ExtendedParams": "no map"}),
        ("3044", _extended(taskId="1")),
        ("3050", {"Content": "c" * 1500, **_extended(long="v" * 700)}),
        ("3054", {"TargetMsgkey": json.dumps({"no token": "k"})}),
        ("3058", _extended(badge_add_num=0, badge_class="c")),
        ("3059", _extended(badge_add_num=1)),
    ),
    *_cases(
        "PushBind",
        BIND,
        ("3001", {"DeliveryToken": ""}),
        ("3003", {"AppId": ""}),
        ("3007", {"AppId": "UNKNOWN"}),
        ("3008", {"OsType": 4}),
        ("3012", {"UserId": ""}),
        ("3028", {"PhoneNumber": "no number"}),
        ("3054", {"DeliveryToken": "no token"}),
    ),
    *_cases(
        "PushUnBind",
        UNBIND,
        ("3001", {"DeliveryToken": ""}),
        ("3007", {"AppId": "UNKNOWN"}),
        ("3012", {"UserId": ""}),
        ("3054", {"DeliveryToken": "no token"}),
    ),
    *_cases(
        "PushReport",
        REPORT,
        ("3001", {"DeliveryToken": ""}),
        ("3007", {"AppId": "UNKNOWN"}),
        ("3008", {"OsType": 99}),
        ("3028", {"ThirdChannel": 99, "ThirdChannelDeviceToken": "t"}),
        ("3054", {"DeliveryToken": "no token"}),
    ),
    *_cases(
        "PushQueryDeviceState",
        STATE,
        ("3003", {"AppId": ""}),
        ("3021", {"Target": ""}),
        ("3028", {"TargetType": 3}),
        ("8012", {"AppId": "UNKNOWN"}),
        ("8013", {"TenantId": "ANOTHER"}),
    ),
]
"""Every business code that these actions can give, but 3031 and 3032, which no SDK can bring about, and 9000."""


def case_name(case: Case) -> str:
    """For reports of tests."""
    return f"{case.action}-{case.code}"


FULL: dict[str, Any] = {
    **SIMPLE,
    "TenantId": TENANT_ID,
    "ExtendedParams": json.dumps({"键": "值", "k": "v"}, ensure_ascii=False),
    "PushAction": 1,
    "Silent": 1,
    "NotifyType": "transparent",
    "StrategyType": 0,
    "StrategyContent": "{}",
    "Classification": "0",
    "ThirdChannelCategory": {"hms": "IM"},
    "NotifyLevel": {"oppo": "2"},
    "ChannelId": "orders",
    "MiChannelId": "mi-orders",
    "TransparentMessagePayload": {"a": "b"},
    "TransparentMessageUrgency": "HIGH",
    "VendorTemplate": json.dumps({"t": "1"}),
    "ActivityEvent": "update",
    "ActivityContentState": {"score": 1, "teams": ["a", "b"]},
    "DismissalDate": 1_795_000_000,
    "SmsStrategy": 1,
    "SmsSignName": "签名",
    "SmsTemplateCode": "SMS_1",
    "SmsTemplateParam": json.dumps({"code": "1"}),
    "PushStyle": 2,
    "Uri": "https://example.com/a?b=c&d=%20",
    "ImageUrls": json.dumps({"defaultUrl": "https://example.com/image.png"}),
    "IconUrls": json.dumps({"defaultUrl": "https://example.com/icon.png"}),
}
"""Every parameter of PushSimple."""


def check_full(push: Push, *, newer: bool) -> None:
    """Whether a device got what `FULL` asks for; with `newer`, also what version 2019-08-21 does not have."""
    assert (push.title, push.content) == (TITLE, CONTENT)
    assert (push.uri, push.action, push.silent) == (FULL["Uri"], 1, 1)
    assert (push.notify_type, push.params) == ("transparent", {"键": "值", "k": "v"})
    if newer:
        assert (push.style, push.channel_id) == (2, "orders")
        assert push.image == "https://example.com/image.png"
        assert push.icon == "https://example.com/icon.png"
