"""Recorded requests of official SDKs, signed anew and sent to a real server: each gets its answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.contract.recorded import RecordedRequest, recorded_requests, request_name
from tests.contract.replay import KEY_ID, SECRET, signed_anew
from tests.contract.test_recorded_requests import request_of
from tests.support.client import Answer, Connection, form, sign
from tests.support.server import ServerProcess
from tests.support.tenants import Key, in_foundation

from clarion.foundation import Foundation
from clarion.tenants.model import Role

pytestmark = pytest.mark.real_process

APPS = (
    ("ONEX570DA89211721", "test"),
    ("ONEX570DA89211720", "test"),
    ("ONEX570DA89211721", "default"),
    ("ONEXPREF4F5C52081557", "default"),
)
TEMPLATES = {
    "template1024": "Hello #name#. Congratulations to you for winning RMB #money#.",
    "testTemplate": "Hello #name#.",
    "broadcastTemplate": "This is an announcement: #content#.",
    "bt": "#content#",
    "t": "Hello #name#.",
}

SUCCESS = {"OK", "100"}
OTHER: dict[str, tuple[str, ...]] = {
    "alibabacloud-mpaas20201028-PushSimple-POST": ("3028",),  # a timed push of 2021
    "alibabacloud-mpaas20201028-PushQueryDeviceState-POST": ("3028",),  # TargetType 3
    "alibabacloud-mpaas20201028-RevokePushTask-POST": ("3028",),
    "alibabacloud-mpaas20201028-QueryPushAnalysisTaskDetail-POST": ("3028",),
    "alibabacloud-mpaas20201028-DeleteTemplate-POST": ("3022",),  # the id belongs to no template
    "alibabacloud-mpaas20201028-GetTemplate-POST": ("3022",),
    "@alicloud/pop-core-PushMultiple-POST": ("3023", "OK"),  # the second target has no values
    "@alicloud/mpaas20190821-PushMultiple-POST": ("3023",),  # the second target has no values
    "@alicloud/mpaas20190821-PushTemplate-POST": ("3023",),  # `money` has no value
    "@alicloud/mpaas20201028-PushMultiple-POST": ("3023",),  # `name` has no value
    "@alicloud/mpaas20201028-PushQueryDeviceState-POST": ("3028",),
    "aliyun-java-sdk-core-PushSimple-POST": ("3028", "3019", "3019"),  # a cyclic push of 2021; no TaskName
    "aliyun-java-sdk-core-RevokePushMessage-POST": ("3028",),
    "aliyun-java-sdk-core-RevokePushTask-POST": ("3028",),
    "aliyun-java-sdk-core-QueryPushAnalysisTaskDetail-POST": ("3028",),
}
"""Requests that are refused, as they should be: most are about times, tasks or messages of long ago."""


def permanent(recorded: RecordedRequest) -> bool:
    """Whether it was signed with a permanent key."""
    if "bearer" in recorded.note:
        return False
    credentials = request_of(recorded).credentials()
    return credentials.key_id == KEY_ID and not credentials.temporary


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data_dir = tmp_path_factory.mktemp("replay") / "data"

    async def make(foundation: Foundation) -> None:
        for app_id, workspace_id in APPS:
            await foundation.tenants.create_app(app_id, workspace_id)
        await foundation.tenants.import_key(KEY_ID, SECRET.decode(), Role.PUSH)

    in_foundation(make, data_dir)
    with ServerProcess(data_dir) as running:
        yield running


async def make_templates(connection: Connection) -> None:
    key = Key(KEY_ID, SECRET.decode())
    for app_id, workspace_id in APPS[:2]:
        for name, content in TEMPLATES.items():
            parameters = {
                "AppId": app_id,
                "WorkspaceId": workspace_id,
                "TemplateName": name,
                "DescInfo": "recorded",
                "Title": "recorded",
                "Content": content,
            }
            answer = await connection.post(form(sign(key, "CreateTemplate", parameters)))
            assert answer.code == "100"


def code_of(answer: Answer) -> str:
    if answer.headers["content-type"].startswith("text/xml"):
        return answer.xml().findtext("ResultCode") or ""
    return answer.code


async def test_recorded_requests_are_answered(server: ServerProcess) -> None:
    """In their order, for some are about what earlier ones did."""
    replayed = [recorded for recorded in recorded_requests() if permanent(recorded)]
    assert len(replayed) == 58
    others = {name: iter(codes) for name, codes in OTHER.items()}
    wrong = []
    async with Connection(server.api) as connection:
        await make_templates(connection)
        for recorded in replayed:
            target, headers, body = signed_anew(recorded, str(server.api))
            answer = await connection.request(recorded.method, target, body, **headers)
            name = request_name(recorded)
            expected = {next(others[name])} if name in others else SUCCESS
            if answer.status != 200 or code_of(answer) not in expected:
                wrong.append((name, recorded.note, expected, answer.body.decode()[:300]))
    assert not wrong, "\n".join(map(str, wrong))
    assert [name for name, codes in others.items() if next(codes, None)] == []
