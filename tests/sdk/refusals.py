"""Requests that the business rules turn down, for each action and each code that it can give.

A row is a code and what is changed in a good request. `tools/coverage_table.py` holds the rows to what an action
can give.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.sdk.cases import (
    APP,
    BIND,
    CREATE,
    EVERY,
    OTHER_TOKEN,
    REPORT,
    SIMPLE,
    STATE,
    TENANT,
    TOKEN,
    UNBIND,
    WINNER,
    WINNERS,
    Parameters,
    day,
)

OFF_APP_ID = "ONEX0000000000OFF"
"""An app whose push API is switched off."""
BUSY_APP_ID = "ONEX000000000BUSY"
"""An app whose rate limit is passed."""
FULL_APP_ID = "ONEX000000000FULL"
"""An app with as many templates as there may be."""


class Case(NamedTuple):
    """A request that the business rules turn down, and the code for it."""

    name: str
    action: str
    parameters: Parameters
    code: str
    changed: frozenset[str]


Change = tuple[str, dict[str, Any]]


def _cases(action: str, base: Parameters, *changes: Change) -> list[Case]:
    names: Counter[str] = Counter()
    cases = []
    for code, change in changes:
        name = "-".join((action, code, *change))
        names[name] += 1
        if names[name] > 1:
            name = f"{name}-{names[name]}"
        cases.append(Case(name, action, {**base, **change}, code, frozenset(change)))
    return cases


def _app(unknown: str) -> list[Change]:
    return [
        ("3003", {"AppId": ""}),
        ("3003", {"WorkspaceId": " "}),
        (unknown, {"AppId": "UNKNOWN"}),
        (unknown, {"WorkspaceId": "elsewhere"}),
    ]


_TENANT_CODES: list[Change] = [*_app("8012"), ("8013", {"TenantId": "ANOTHER"})]


def _extended(**params: object) -> dict[str, str]:
    return {"ExtendedParams": json.dumps(params)}


def _strategy(kind: int, **content: object) -> dict[str, Any]:
    return {"StrategyType": kind, "StrategyContent": json.dumps(content)}


_DAILY = {"startTime": day(0), "endTime": day(6), "circleType": 1, "time": "13:45:11"}
_STRATEGIES: list[Change] = [
    ("3028", {"StrategyType": 7}),
    ("3028", {"StrategyType": 1, "StrategyContent": ""}),
    ("3028", {"StrategyType": 1, "StrategyContent": "no map"}),
    ("3028", _strategy(1)),
    ("3028", _strategy(1, fixedTime=day(-1))),
    ("3028", _strategy(2, fixedTime=day(2))),
    ("3028", _strategy(2, **{**_DAILY, "circleType": 4})),
    ("3028", _strategy(2, **{**_DAILY, "circleType": 2})),
    ("3028", _strategy(2, **{**_DAILY, "circleType": 3, "circleValue": [32]})),
    ("3028", _strategy(2, **{**_DAILY, "time": "25:00:00"})),
    ("3028", _strategy(2, **{**_DAILY, "startTime": day(-1)})),
    ("3028", _strategy(2, **{**_DAILY, "endTime": day(-1)})),
    ("3028", _strategy(2, **{**_DAILY, "endTime": day(181)})),
]
_PUSH: list[Change] = [
    *_app("3007"),
    ("3009", {"DeliveryType": 4}),
    ("3019", {"TaskName": ""}),
    ("3020", {"ExpiredSeconds": 0}),
    ("3020", {"ExpiredSeconds": -1}),
    ("3026", {"ExpiredSeconds": 10_000_000}),
    ("3028", {"TaskName": "n" * 257}),
    ("3028", {"PushAction": 2}),
    ("3028", {"Silent": 2}),
    ("3028", {"NotifyType": "loud"}),
    ("3028", {"Classification": "2"}),
    ("3028", {"ThirdChannelCategory": ["IM"]}),
    ("3028", {"NotifyLevel": ["LOW"]}),
    ("3028", {"VendorTemplate": "no map"}),
    *_STRATEGIES,
    ("3032", {"AppId": OFF_APP_ID}),
    ("3035", _extended(**{f"key{n}": "v" for n in range(21)})),
    ("3044", {"ExtendedParams": "no map"}),
    ("3044", _extended(taskId="1")),
    ("3050", _extended(long="v" * 2048)),
    ("3058", _extended(badge_add_num=0, badge_class="c")),
    ("3059", _extended(badge_add_num=1)),
]
_ACTIVITY: list[Change] = [
    ("3028", {"ActivityEvent": "begin"}),
    ("3028", {"ActivityEvent": "update", "ActivityContentState": "no map"}),
]
_SMS: list[Change] = [
    ("3028", {"SmsStrategy": 3}),
    ("3028", {"SmsStrategy": 1, "SmsSignName": "s", "SmsTemplateCode": "t", "SmsTemplateParam": "no map"}),
    ("3028", {"SmsStrategy": 1, "SmsTemplateCode": "t", "SmsTemplateParam": "{}"}),
    ("3028", {"SmsStrategy": 1, "SmsSignName": "s", "SmsTemplateParam": "{}"}),
    ("3028", {"SmsStrategy": 1, "SmsSignName": "s", "SmsTemplateCode": "t"}),
]
_TARGETS: list[Change] = [
    ("3021", {"TargetMsgkey": "{}"}),
    ("3021", {"TargetMsgkey": json.dumps({TOKEN: ""})}),
    ("3021", {"TargetMsgkey": json.dumps({"": "k"})}),
    ("3028", {"TargetMsgkey": "no map"}),
    ("3028", {"TargetMsgkey": json.dumps({TOKEN: "k" * 257})}),
    ("3029", {"TargetMsgkey": json.dumps({f"{TOKEN[:-2]}{n:02}": "k" for n in range(11)})}),
    ("3054", {"TargetMsgkey": json.dumps({"no token": "k"})}),
]
_NAMED: list[Change] = [("3022", {"TemplateName": "nosuchtemplate"}), ("3025", {"TemplateName": ""})]
_VALUES: list[Change] = [
    ("3023", {"TemplateKeyValue": '{"name":"Bob"}'}),
    ("3023", {"TemplateKeyValue": ""}),
    ("3028", {"TemplateKeyValue": "no map"}),
    ("3043", {"TemplateKeyValue": json.dumps({"name": "Bob", "money": "9" * 2048})}),
]


def _entry(**changes: str) -> dict[str, Any]:
    good = {"Target": TOKEN, "MsgKey": "case", "TemplateKeyValue": WINNER}
    return {"TargetMsg": [good, {**good, "Target": OTHER_TOKEN, **changes}]}


_BASE = {**APP, "TaskName": "task", "DeliveryType": 1, "ExpiredSeconds": 600, "TemplateName": WINNERS}
_TEMPLATE = {**_BASE, "TemplateKeyValue": WINNER, "TargetMsgkey": SIMPLE["TargetMsgkey"]}
_BROADCAST = {**_BASE, "TemplateKeyValue": WINNER, "Msgkey": "case"}

_PUSHES = [
    *_cases(
        "PushSimple",
        SIMPLE,
        *_PUSH,
        *_TARGETS,
        *_ACTIVITY,
        *_SMS,
        ("3024", {"Title": ""}),
        ("3024", {"Content": ""}),
        ("3028", {"PushStyle": 9}),
        ("3028", {"ImageUrls": "no map"}),
        ("3028", {"IconUrls": '{"defaultUrl":1}'}),
        ("3043", {"Content": "长" * 700}),
    ),
    *_cases("PushTemplate", _TEMPLATE, *_PUSH, *_TARGETS, *_ACTIVITY, *_SMS, *_NAMED, *_VALUES),
    *_cases(
        "PushMultiple",
        {**_BASE, **_entry()},
        *_PUSH,
        *_ACTIVITY,
        *_NAMED,
        ("3021", _entry(Target="")),
        ("3021", _entry(MsgKey="")),
        ("3023", _entry(TemplateKeyValue='{"name":"Bob"}')),
        ("3028", _entry(TemplateKeyValue="no map")),
        ("3028", _entry(MsgKey="k" * 257)),
        ("3043", _entry(TemplateKeyValue=json.dumps({"name": "Bob", "money": "9" * 2048}))),
        ("3044", _entry(ExtendedParams="no map")),
        ("3044", _entry(ExtendedParams='{"silent":"1"}')),
        ("3049", _entry(ExtendedParams=json.dumps({f"key{n}": "v" for n in range(11)}))),
        ("3050", _entry(ExtendedParams=json.dumps({"long": "v" * 2048}))),
        ("3054", _entry(Target="no token")),
        ("3055", {"TargetMsg": [{"Target": f"{TOKEN[:-3]}{n:03}", "MsgKey": "k"} for n in range(401)]}),
        ("3058", _entry(ExtendedParams='{"badge_add_num":"x","badge_class":"c"}')),
        ("3059", _entry(ExtendedParams='{"badge_add_num":1}')),
    ),
    *_cases(
        "PushBroadcast",
        _BROADCAST,
        *_PUSH,
        *_NAMED,
        *_VALUES,
        ("3021", {"Msgkey": ""}),
        ("3028", {"Msgkey": "k" * 257}),
        ("3028", {"PushStatus": 3}),
        ("3028", {"BindPeriod": 5}),
        ("3028", {"TimeMode": 2}),
        ("3028", {"TimeMode": 1, "BindStartTime": day(1), "BindEndTime": day(0)}),
        *(("3030", {"DeliveryType": kind}) for kind in (3, 5, 6)),
        ("3051", {"PushStatus": 1}),
        ("3051", {"PushStatus": 2}),
        ("3052", {"PushStatus": 1, "UnBindPeriod": 5}),
        ("3052", {"PushStatus": 2, "TimeMode": 1, "UnBindStartTime": day(1), "UnBindEndTime": day(0)}),
        ("3053", {"PushStatus": 1, "UnBindPeriod": 1, "AndroidChannel": 1}),
        ("3053", {"PushStatus": 2, "UnBindPeriod": 1, "AndroidChannel": "transparent"}),
        ("3057", {"AndroidChannel": 9}),
    ),
]
_DEVICES = [
    *_cases(
        "PushBind",
        BIND,
        *_app("3007"),
        ("3001", {"DeliveryToken": ""}),
        ("3008", {"OsType": 4}),
        ("3012", {"UserId": ""}),
        ("3028", {"UserId": "u" * 257}),
        ("3028", {"PhoneNumber": "no number"}),
        ("3054", {"DeliveryToken": "no token"}),
    ),
    *_cases(
        "PushUnBind",
        UNBIND,
        *_app("3007"),
        ("3001", {"DeliveryToken": ""}),
        ("3012", {"UserId": ""}),
        ("3028", {"UserId": "u" * 257}),
        ("3054", {"DeliveryToken": "no token"}),
    ),
    *_cases(
        "PushReport",
        REPORT,
        *_app("3007"),
        ("3001", {"DeliveryToken": ""}),
        ("3008", {"OsType": 99}),
        ("3028", {"ThirdChannel": 99, "ThirdChannelDeviceToken": "t"}),
        *(
            ("3028", {name: "d" * 129})
            for name in ("AppVersion", "Channel", "ConnectType", "Imei", "Imsi", "Model", "PushVersion")
        ),
        ("3054", {"DeliveryToken": "no token"}),
    ),
    *_cases("PushQueryDeviceState", STATE, *_TENANT_CODES, ("3021", {"Target": ""}), ("3028", {"TargetType": 3})),
]
_REVOKE_MESSAGE = {**APP, "MessageId": "never pushed", "TargetId": TOKEN}
_REVOKE_TASK = {**APP, "TaskId": "1"}
_LATER = [
    *_cases(
        "RevokePushMessage",
        _REVOKE_MESSAGE,
        *_app("3007"),
        ("3028", {"MessageId": "never pushed"}),
        ("3028", {"MessageId": ""}),
        ("3028", {"TargetId": ""}),
    ),
    *_cases(
        "RevokePushTask",
        _REVOKE_TASK,
        *_app("3007"),
        ("3028", {"TaskId": "1"}),
        ("3028", {"TaskId": "no number"}),
        ("3028", {"TaskId": ""}),
    ),
    *_cases(
        "QueryPushAnalysisCoreIndex",
        {**APP, "StartTime": day(-1), "EndTime": day(0)},
        *_app("3007"),
        ("3028", {"StartTime": day(-91)}),
        ("3028", {"StartTime": day(1)}),
        ("3028", {"Platform": "DESKTOP"}),
        ("3028", {"Channel": "PIGEON"}),
        ("3028", {"Type": "URGENT"}),
        ("3028", {"TaskId": "no number"}),
    ),
    *_cases(
        "QueryPushAnalysisTaskList",
        {**APP, "StartTime": day(-1)},
        *_app("3007"),
        ("3028", {"TaskId": "no number"}),
        ("3028", {"PageNumber": 0}),
        ("3028", {"PageSize": 0}),
    ),
    *_cases(
        "QueryPushAnalysisTaskDetail",
        _REVOKE_TASK,
        *_app("3007"),
        ("3028", {"TaskId": "1"}),
        ("3028", {"TaskId": "no number"}),
    ),
    *(
        case
        for action in ("QueryPushSchedulerList", "QueryMpsSchedulerList")
        for case in _cases(
            action,
            {**APP, "StartTime": day(0), "EndTime": day(7)},
            *_app("3007"),
            ("3028", {"StartTime": day(8)}),
            ("3028", {"Type": 4}),
            ("3028", {"PageNumber": 0}),
            ("3028", {"PageSize": 0}),
        )
    ),
    *(
        case
        for action in ("CancelPushScheduler", "CancelMpsScheduler")
        for case in _cases(
            action,
            {**APP, "UniqueIds": "0" * 32},
            *_app("3007"),
            ("3028", {"UniqueIds": ",".join(f"{n:032x}" for n in range(31))}),
            ("3028", {"UniqueIds": " "}),
            ("3028", {"Type": 2}),
        )
    ),
]
_TEMPLATES = [
    *_cases(
        "CreateTemplate",
        {**CREATE, "TemplateName": "refused"},
        *_TENANT_CODES,
        ("3028", {"PushStyle": 3}),
        ("3028", {"ShowStyle": 2}),
        ("3028", {"JumpAction": 2}),
        ("3028", {"ImageUrls": "no map"}),
        ("3028", {"IconUrls": "no map"}),
        ("3036", {"TemplateName": WINNERS}),
        ("3037", {"TemplateName": ""}),
        ("3038", {"TemplateName": "a,b"}),
        ("3038", {"TemplateName": "n" * 201}),
        ("3039", {"Content": ""}),
        ("3040", {"Title": ""}),
        ("3041", {"DescInfo": ""}),
        ("3041", {"DescInfo": "d" * 201}),
        ("3042", {"Uri": "u" * 3000}),
        ("3056", {"AppId": FULL_APP_ID, "TenantId": ""}),
    ),
    *(
        case
        for action in ("GetTemplate", "DeleteTemplate")
        for case in _cases(
            action,
            {**TENANT, "TemplateName": WINNERS},
            *_TENANT_CODES,
            ("3022", {"TemplateName": "nosuchtemplate"}),
            ("3022", {"TemplateId": "1"}),
            ("3022", {"TemplateName": ""}),
        )
    ),
    *_cases("ListTemplatePage", TENANT, *_TENANT_CODES, ("3028", {"CurrentPage": 0}), ("3028", {"PageSize": 501})),
]


def _busy(actions: Iterable[str]) -> list[Case]:
    busy = {"AppId": BUSY_APP_ID}
    return [case for name in actions for case in _cases(name, {**EVERY[name], "TenantId": ""}, ("8011", busy))]


REFUSALS = [*_PUSHES, *_DEVICES, *_LATER, *_TEMPLATES, *_busy(EVERY)]
"""Every case. What no SDK can bring about is in `tools/coverage_table.py`."""


def case_name(case: Case) -> str:
    """For reports of tests."""
    return case.name
