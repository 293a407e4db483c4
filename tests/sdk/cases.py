"""What every SDK is asked to do: for each action a request with every parameter, and what its answer holds.

Texts in these requests may hold `FRESH`, `DATA` and `TOKEN`, which `fill` replaces when the request is made.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from clarion.link.protocol import Push
from tests.support.tenants import APP_ID, TENANT_ID, WORKSPACE_ID

Parameters = dict[str, Any]
Ask = Callable[[str, Parameters], dict[str, Any]]
"""Makes a request: action, parameters; the answer by wire names."""

FRESH = "<fresh>"
"""A text that no other request has."""
DATA = "<data>"
"""Data of the answer to the last request in `BEFORE`."""
TOKEN = "0123456789abcdef0123456789abcdef01234567"
OTHER_TOKEN = TOKEN[::-1]
"""Devices that are not there."""

TITLE = "标题 😀 a+b ~ c*d 100% 'x' \"y\" (z)! /?&=#"
CONTENT = "内容 🚀\n第二行 + ~ * % \\ <b>&amp;</b>"
IMAGES = json.dumps({"defaultUrl": "https://example.com/image.png"})
ICONS = json.dumps({"defaultUrl": "https://example.com/icon.png"})

_TODAY = datetime.now(ZoneInfo("Asia/Shanghai")).replace(hour=0, minute=0, second=0, microsecond=0)


def day(number: int) -> int:
    """Midnight (ms) of a day of the service's calendar; 0 is today."""
    return int((_TODAY + timedelta(days=number)).timestamp() * 1000)


TIMED = {"StrategyType": 1, "StrategyContent": json.dumps({"fixedTime": day(2)})}
CYCLIC = {
    "StrategyType": 2,
    "StrategyContent": json.dumps(
        {"startTime": day(0), "endTime": day(6), "circleType": 2, "circleValue": [1, 7], "time": "13:45:11"}
    ),
}

APP = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
TENANT = {**APP, "TenantId": TENANT_ID}
WINNERS = "winners"
"""A template with the placeholders `name` and `money` in title, content and address."""
WINNER = json.dumps({"name": "Bob", "money": "200"})

SIMPLE: Parameters = {
    **APP,
    "TaskName": "task",
    "Title": TITLE,
    "Content": CONTENT,
    "DeliveryType": 1,
    "ExpiredSeconds": 600,
    "TargetMsgkey": json.dumps({TOKEN: "case"}),
}
BIND: Parameters = {**APP, "UserId": "user", "DeliveryToken": TOKEN, "OsType": 1}
UNBIND: Parameters = {**APP, "UserId": "user", "DeliveryToken": TOKEN}
REPORT: Parameters = {**APP, "DeliveryToken": TOKEN, "OsType": 1}
STATE: Parameters = {**TENANT, "Target": TOKEN, "TargetType": 1}

_SHARED: Parameters = {
    **TENANT,
    "TaskName": "task",
    "DeliveryType": 1,
    "ExpiredSeconds": 600,
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
}
_ACTIVITY: Parameters = {
    "ActivityEvent": "update",
    "ActivityContentState": {"score": 1, "teams": ["a", "b"]},
    "DismissalDate": 1_795_000_000,
}
_SMS: Parameters = {
    "SmsStrategy": 1,
    "SmsSignName": "签名",
    "SmsTemplateCode": "SMS_1",
    "SmsTemplateParam": json.dumps({"code": "1"}),
}
_ONE_TARGET = {"TargetMsgkey": json.dumps({TOKEN: FRESH})}
FULL: Parameters = {
    **_SHARED,
    **_ACTIVITY,
    **_SMS,
    **_ONE_TARGET,
    "Title": TITLE,
    "Content": CONTENT,
    "PushStyle": 2,
    "Uri": "https://example.com/a?b=c&d=%20",
    "ImageUrls": IMAGES,
    "IconUrls": ICONS,
}
FULL_TEMPLATE: Parameters = {
    **_SHARED,
    **_ACTIVITY,
    **_SMS,
    **_ONE_TARGET,
    "TemplateName": WINNERS,
    "TemplateKeyValue": WINNER,
}
FULL_MULTIPLE: Parameters = {
    **_SHARED,
    **_ACTIVITY,
    "TemplateName": WINNERS,
    "TargetMsg": [
        {
            "Target": TOKEN,
            "MsgKey": FRESH,
            "TemplateKeyValue": WINNER,
            "ExtendedParams": json.dumps({"own": "yes"}),
        }
    ],
}
FULL_BROADCAST: Parameters = {
    **_SHARED,
    "TemplateName": WINNERS,
    "TemplateKeyValue": WINNER,
    "Msgkey": FRESH,
    "PushStatus": 0,
    "BindPeriod": 4,
    "UnBindPeriod": 4,
    "TimeMode": 0,
    "BindStartTime": day(-7),
    "BindEndTime": day(1),
    "UnBindStartTime": day(-7),
    "UnBindEndTime": day(1),
    "AndroidChannel": 1,
}
CREATE: Parameters = {
    **TENANT,
    "TemplateName": f"t{FRESH}",
    "DescInfo": "for winners",
    "Title": "Hi #name#",
    "Content": "恭喜 #name#: #money#",
    "Uri": "http://www.example.com/#name#",
    "Variables": "name,money",
    "PushStyle": 2,
    "ShowStyle": 1,
    "JumpAction": 1,
    "ImageUrls": IMAGES,
    "IconUrls": ICONS,
}
_DETAILS = dict.fromkeys(("AppVersion", "Channel", "ConnectType", "Imei", "Imsi", "Model", "PushVersion"), "x")
_NAMED = {**TENANT, "TemplateId": DATA, "TemplateName": f"t{FRESH}"}
_FIRES = {
    **APP,
    "StartTime": day(0),
    "EndTime": day(7),
    "Type": 0,
    "UniqueId": DATA,
    "PageNumber": 1,
    "PageSize": 10,
}
_CANCEL = {**TENANT, "UniqueIds": DATA, "Type": 0}

EVERY: Mapping[str, Parameters] = {
    "PushSimple": FULL,
    "PushTemplate": FULL_TEMPLATE,
    "PushMultiple": FULL_MULTIPLE,
    "PushBroadcast": FULL_BROADCAST,
    "PushBind": {**BIND, "TenantId": TENANT_ID, "PhoneNumber": "13800000000"},
    "PushUnBind": {**UNBIND, "DeliveryToken": OTHER_TOKEN, "TenantId": TENANT_ID},
    "PushReport": {
        **REPORT,
        **_DETAILS,
        "TenantId": TENANT_ID,
        "ThirdChannel": 5,
        "ThirdChannelDeviceToken": "hms-1",
    },
    "PushQueryDeviceState": STATE,
    "RevokePushMessage": {**TENANT, "MessageId": FRESH, "TargetId": TOKEN},
    "RevokePushTask": {**TENANT, "TaskId": DATA},
    "QueryPushAnalysisCoreIndex": {
        **TENANT,
        "StartTime": day(-1),
        "EndTime": day(0),
        "Platform": "ANDROID",
        "Channel": "ANDROID",
        "Type": "MULTIPLE",
        "TaskId": DATA,
    },
    "QueryPushAnalysisTaskList": {
        **TENANT,
        "StartTime": day(-1),
        "TaskId": DATA,
        "TaskName": "task",
        "PageNumber": 1,
        "PageSize": 10,
    },
    "QueryPushAnalysisTaskDetail": {**TENANT, "TaskId": DATA},
    "QueryPushSchedulerList": {**_FIRES, "TenantId": TENANT_ID},
    "QueryMpsSchedulerList": _FIRES,
    "CancelPushScheduler": _CANCEL,
    "CancelMpsScheduler": _CANCEL,
    "CreateTemplate": CREATE,
    "DeleteTemplate": _NAMED,
    "GetTemplate": _NAMED,
    "ListTemplatePage": {**TENANT, "CurrentPage": 1, "PageSize": 1},
}
"""For each action a request with every parameter."""

_MULTIPLE = (("PushMultiple", FULL_MULTIPLE),)
_TIMED = (("PushSimple", {**FULL, **TIMED}),)
_CREATED = (("CreateTemplate", CREATE),)
BEFORE: Mapping[str, tuple[tuple[str, Parameters], ...]] = {
    "PushUnBind": (("PushBind", {**BIND, "DeliveryToken": OTHER_TOKEN}),),
    "PushQueryDeviceState": (("PushReport", EVERY["PushReport"]), ("PushBind", BIND)),
    "RevokePushMessage": (("PushSimple", FULL),),
    "RevokePushTask": _MULTIPLE,
    "QueryPushAnalysisCoreIndex": _MULTIPLE,
    "QueryPushAnalysisTaskList": _MULTIPLE,
    "QueryPushAnalysisTaskDetail": _MULTIPLE,
    "QueryPushSchedulerList": _TIMED,
    "QueryMpsSchedulerList": _TIMED,
    "CancelPushScheduler": _TIMED,
    "CancelMpsScheduler": _TIMED,
    "DeleteTemplate": _CREATED,
    "GetTemplate": _CREATED,
    "ListTemplatePage": _CREATED,
}
"""What is asked before the request of `EVERY`, so that it finds what it is about."""


def _typed(kind: type, names: str, prefix: str = "") -> dict[str, type]:
    return {prefix + name: kind for name in names.split()}


_PUSH = _typed(str, "RequestId ResultCode ResultMessage PushResult.ResultMsg") | {"PushResult.Success": bool}
_TASK = _PUSH | {"PushResult.Data": str}
_QUERY = _typed(str, "RequestId ResultCode ResultMessage")
_TEMPLATE = _typed(str, "RequestId Code Msg") | {"Success": bool}
_STATE = _typed(str, "RequestId Code Message") | {"Success": bool}
_TEMPLATE_DATA = (
    "Id Name DescInfo Title Content Uri Variables PushStyle ShowStyle Action ImageUrls IconUrls GmtCreate "
    "GmtModified"
)
_FIRE_LIST = (
    _QUERY
    | {"ResultContent.Data.TotalCount": int}
    | _typed(str, "UniqueId ParentId PushTitle PushContent ExecutedStatus", "ResultContent.Data.List[].")
    | _typed(int, "PushTime Type DeliveryType StrategyType CreateType GmtCreate", "ResultContent.Data.List[].")
)
REFUSED: Mapping[str, Mapping[str, type]] = {
    **dict.fromkeys(EVERY, _PUSH),
    **{name: _QUERY for name in EVERY if "Analysis" in name or "Scheduler" in name},
    **{name: _TEMPLATE for name in EVERY if "Template" in name and not name.startswith("Push")},
    "PushQueryDeviceState": _STATE,
}
"""What an answer to a request that the business rules turn down holds: paths of members with their JSON type."""
FILLED: Mapping[str, Mapping[str, type]] = {
    **REFUSED,
    "PushMultiple": _TASK,
    "PushBroadcast": _TASK,
    "PushQueryDeviceState": _STATE
    | _typed(str, "UserId DeviceId DeliveryToken ThirdToken Platform Manufacturer Statue", "Data."),
    "QueryPushAnalysisCoreIndex": _QUERY
    | _typed(
        float,
        "PushTotalNum PushNum ArrivalNum ArrivalRate OpenNum OpenRate IgnoreNum IgnoreRate",
        "ResultContent.Data.",
    ),
    "QueryPushAnalysisTaskList": _QUERY
    | _typed(str, "TaskId TaskName TemplateId TemplateName", "ResultContent.Data[].")
    | _typed(int, "Type GmtCreate", "ResultContent.Data[]."),
    "QueryPushAnalysisTaskDetail": _QUERY
    | _typed(float, "PushNum PushSuccessNum PushArrivalNum", "ResultContent.Data.")
    | _typed(int, "TaskId StartTime EndTime", "ResultContent.Data.")
    | {"ResultContent.Data.Duration": str},
    "QueryPushSchedulerList": _FIRE_LIST,
    "QueryMpsSchedulerList": _FIRE_LIST,
    "CancelPushScheduler": _QUERY | {"ResultContent": str},
    "CancelMpsScheduler": _QUERY | {"ResultContent": str},
    "CreateTemplate": _TEMPLATE | {"Data": str},
    "GetTemplate": _TEMPLATE | _typed(str, _TEMPLATE_DATA, "Data."),
    "ListTemplatePage": _TEMPLATE
    | _typed(str, _TEMPLATE_DATA, "Data[].")
    | _typed(int, "CurrentPage PageSize TotalSize"),
}
"""What an answer to the request of `EVERY` holds, likewise."""


def fill(value: Any, fresh: str, data: str = "") -> Any:
    """A request, or a part of one, with its `FRESH` and `DATA` replaced."""
    if isinstance(value, str):
        return value.replace(FRESH, fresh).replace(DATA, data)
    if isinstance(value, dict):
        return {name: fill(member, fresh, data) for name, member in value.items()}
    if isinstance(value, list):
        return [fill(member, fresh, data) for member in value]
    return value


def prepared(ask: Ask, action: str) -> Parameters:
    """The request of `EVERY` for an action, after those in `BEFORE` were made."""
    fresh, data = uuid.uuid4().hex, ""
    for earlier, parameters in BEFORE.get(action, ()):
        answer = ask(earlier, fill(parameters, fresh))
        assert code_of(answer) in ("OK", "100"), answer
        data = answer.get("Data") or answer.get("PushResult", {}).get("Data", "")
    filled: Parameters = fill(EVERY[action], fresh, data)
    return filled


def flat(parameters: Parameters) -> dict[str, Any]:
    """A request as it goes over the wire: `TargetMsg.1.Target` …, maps as JSON."""
    sent: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for number, entry in enumerate(value, 1):
                sent |= {f"{name}.{number}.{field}": member for field, member in entry.items()}
        else:
            sent[name] = json.dumps(value) if isinstance(value, dict | list) else value
    return sent


def code_of(answer: Mapping[str, Any]) -> str:
    """The result code, of either form of answer."""
    return str(answer.get("ResultCode") or answer["Code"])


def success_code(action: str) -> str:
    """The code of an answer when all is well: the two forms of answer have two."""
    return "100" if "Code" in FILLED[action] else "OK"


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Paths and values of the members of an answer; all entries of a list have the path `…[]`."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for member in value:
            yield from leaves(member, f"{path}[]")
    elif value not in (None, []):
        yield path, value


def check_members(answer: Mapping[str, Any], expected: Mapping[str, type]) -> None:
    """Whether an answer has just these members, of these types (a whole number may be a float's)."""
    found = list(leaves(answer))
    assert {path for path, _ in found} == expected.keys()
    for path, value in found:
        kinds = (int, float) if expected[path] is float else (expected[path],)
        assert type(value) in kinds, (path, value)
        assert value != "", path


def check_full(push: Push, *, newer: bool) -> None:
    """Whether a device got what `FULL` asks for; with `newer`, also what version 2019-08-21 does not have."""
    assert (push.title, push.content) == (TITLE, CONTENT)
    assert (push.uri, push.action, push.silent) == (FULL["Uri"], 1, 1)
    assert (push.notify_type, push.params) == ("transparent", {"键": "值", "k": "v"})
    if newer:
        assert (push.style, push.channel_id) == (2, "orders")
        assert push.image == "https://example.com/image.png"
        assert push.icon == "https://example.com/icon.png"
