"""The samples of the API's documentation: their parameters, and the Python ones as they stand.

What a reader of the documentation would change is changed: keys and endpoint; dates of 2021 are moved to this week.
"""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

from aliyunsdkcore.client import AcsClient
from aliyunsdkmpaas.request.v20190821 import (
    PushBroadcastRequest,
    PushMultipleRequest,
    PushSimpleRequest,
    PushTemplateRequest,
)

from tests.sdk.cases import FRESH, Parameters, day
from tests.support.tenants import APP_ID

USER = "userid1024"
"""The user of the samples; some say `user1024`, but a device has one user."""
_APP = {"AppId": APP_ID, "WorkspaceId": "test"}
_CYCLIC = (
    f'{{"fixedTime":1630303126000,"startTime":{day(0)},"endTime":{day(30)},'
    '"circleType":1,"circleValue":[1, 7],"time":"13:45:11"}'
)
STRATEGY: Parameters = {"StrategyType": 2, "StrategyContent": _CYCLIC}
"""What the Java samples add to each push."""


def _pictures(*channels: str) -> str:
    return json.dumps(dict.fromkeys(channels, "https://pre-mpaas.oss-cn-hangzhou.aliyuncs.com/tmp/test.png"))


class Sample(NamedTuple):
    """A push of the documentation.

    Attributes:
        action: what is called.
        parameters: with `FRESH` for the message's key.
        title: of the message that a device gets.
        content: likewise.
    """

    action: str
    parameters: Parameters
    title: str
    content: str


SAMPLES = (
    Sample(
        "PushSimple",
        {
            **_APP,
            "TaskName": "Test task",
            "Title": "Test",
            "Content": "Test",
            "DeliveryType": 3,
            "ExtendedParams": json.dumps({"key1": "value1"}),
            "ExpiredSeconds": 300,
            "PushStyle": 2,
            "ImageUrls": _pictures("defaultUrl", "oppoUrl", "miuiUrl", "fcmUrl", "iosUrl"),
            "IconUrls": _pictures("defaultUrl", "hmsUrl", "oppoUrl", "miuiUrl"),
            "TargetMsgkey": json.dumps({USER: FRESH}),
        },
        "Test",
        "Test",
    ),
    Sample(
        "PushTemplate",
        {
            **_APP,
            "TemplateName": "testTemplate",
            "TemplateKeyValue": json.dumps({"name": " Bob", "money": "200"}),
            "ExpiredSeconds": 600,
            "TaskName": "templateTest",
            "DeliveryType": 3,
            "TargetMsgkey": json.dumps({USER: FRESH}),
        },
        "sample",
        "Hello  Bob. Congratulations to you for winning RMB 200.",
    ),
    Sample(
        "PushMultiple",
        {
            **_APP,
            "DeliveryType": 3,
            "TaskName": "multipleTest",
            "TemplateName": "testTemplate",
            "TargetMsg": [
                {
                    "Target": USER,
                    "MsgKey": FRESH,
                    "TemplateKeyValue": json.dumps({"name": "Bob", "money": "200"}),
                }
            ],
            "ExpiredSeconds": 600,
        },
        "sample",
        "Hello Bob. Congratulations to you for winning RMB 200.",
    ),
    Sample(
        "PushBroadcast",
        {
            **_APP,
            "DeliveryType": 1,
            "Msgkey": FRESH,
            "ExpiredSeconds": 600,
            "TaskName": "broadcastTest ",
            "TemplateName": "broadcastTemplate ",
            "TemplateKeyValue": json.dumps({"content": " The content of the announcement "}),
        },
        "sample",
        "This is an announcement:  The content of the announcement .",
    ),
)

Sent = tuple[Any, str]
"""The answer, and the message's key."""


def push_simple(client: AcsClient, endpoint: str) -> Sent:
    request = PushSimpleRequest.PushSimpleRequest()
    request.set_endpoint(endpoint)
    request.set_AppId("ONEX570DA89211721")
    request.set_WorkspaceId("test")
    request.set_Title("Python test")
    request.set_Content("Test 2")
    request.set_DeliveryType(3)
    request.set_TaskName("The test task of Python template push")
    request.set_ExpiredSeconds(600)
    target = {"user1024": str(time.time())}
    request.set_TargetMsgkey(json.dumps(target))
    return client.do_action_with_exception(request), target["user1024"]


def push_template(client: AcsClient, endpoint: str) -> Sent:
    request = PushTemplateRequest.PushTemplateRequest()
    request.set_endpoint(endpoint)
    request.set_AppId("ONEX570DA89211721")
    request.set_WorkspaceId("test")
    request.set_TemplateName("template1024")
    templatekv = {"name": "Bob", "money": "200"}
    request.set_TemplateKeyValue(json.dumps(templatekv))
    request.set_DeliveryType(3)
    request.set_TaskName("The test task of Python template push")
    request.set_ExpiredSeconds(600)
    target = {"userid1024": str(time.time())}
    request.set_TargetMsgkey(json.dumps(target))
    return client.do_action_with_exception(request), target["userid1024"]


def push_multiple(client: AcsClient, endpoint: str) -> Sent:
    request = PushMultipleRequest.PushMultipleRequest()
    request.set_endpoint(endpoint)
    request.set_AppId("ONEX570DA89211721")
    request.set_WorkspaceId("test")
    request.set_TemplateName("template1024")
    request.set_DeliveryType(3)
    request.set_TaskName("The test task of Python template push")
    request.set_ExpiredSeconds(600)
    msgkey = str(time.time())
    targets = [
        {
            "Target": "user1024",
            "MsgKey": msgkey,
            "TemplateKeyValue": {
                "name": "Bob",
                "money": "200",
            },
        }
    ]
    request.set_TargetMsgs(targets)
    return client.do_action_with_exception(request), msgkey


def push_broadcast(client: AcsClient, endpoint: str) -> Sent:
    request = PushBroadcastRequest.PushBroadcastRequest()
    request.set_endpoint(endpoint)
    request.set_AppId("ONEX570DA89211721")
    request.set_WorkspaceId("test")
    request.set_TemplateName("broadcastTemplate")
    templatekv = {"content": "This is an announcement"}
    request.set_TemplateKeyValue(json.dumps(templatekv))
    request.set_DeliveryType(1)
    request.set_TaskName("The test task of Python broadcast push")
    request.set_ExpiredSeconds(600)
    msgkey = str(time.time())
    request.set_Msgkey(msgkey)
    return client.do_action_with_exception(request), msgkey


PYTHON = {
    push_simple: ("user1024", "Test 2"),
    push_template: ("userid1024", "Hello Bob. Congratulations to you for winning RMB 200."),
    push_multiple: ("user1024", "Hello Bob. Congratulations to you for winning RMB 200."),
    push_broadcast: ("user1024", "This is an announcement: This is an announcement."),
}
"""The Python samples, with the user and the content of the message that arrives."""
