"""The samples of the API's documentation, with the SDKs of Python: each is answered OK and arrives at a device."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

import pytest
from aliyunsdkcore.client import AcsClient

from tests.sdk.cases import APP, BIND, EVERY, FULL, SIMPLE, WINNERS, Ask, Parameters, code_of, day, fill, prepared
from tests.sdk.python import REGION
from tests.sdk.samples import PYTHON, SAMPLES, STRATEGY, USER, Sample
from tests.support.devices import Device, register_many
from tests.support.server import ServerProcess
from tests.support.tenants import Tenants

pytestmark = pytest.mark.real_process

PATIENCE = 20.0
VALUES = '{"name":"Bob","money":"200"}'
MULTIPLE = {**APP, "TaskName": "task", "TemplateName": WINNERS, "DeliveryType": 1, "ExpiredSeconds": 600}

by_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.action)


async def bind(ask: Ask, device: Device, user: str) -> None:
    """Give the device its user, so that pushes to the user, and broadcasts to all users, arrive at it."""
    await asyncio.to_thread(ask, "PushBind", {**BIND, "DeliveryToken": device.token, "UserId": user})


@pytest.mark.parametrize("sample", PYTHON, ids=lambda sample: sample.__name__)
async def test_python_sample(
    server: ServerProcess, tenants: Tenants, ask: Ask, device: Device, sample: Any
) -> None:
    """As it stands in the documentation."""
    user, content = PYTHON[sample]
    await bind(ask, device, user)
    client = AcsClient(tenants.push.key_id, tenants.push.secret, REGION)
    answer, msg_key = await asyncio.to_thread(sample, client, str(server.api))
    assert code_of(json.loads(answer)) == "OK"
    assert (await device.push(msg_key)).content == content


@by_sample
async def test_parameters_of_the_java_sample(ask: Ask, device: Device, sample: Sample) -> None:
    await bind(ask, device, USER)
    msg_key = uuid.uuid4().hex
    answer = await asyncio.to_thread(ask, sample.action, fill(sample.parameters, msg_key))
    assert code_of(answer) == "OK"
    push = await device.push(msg_key)
    assert (push.title, push.content) == (sample.title, sample.content)


@by_sample
def test_strategy_of_the_java_sample(ask: Ask, sample: Sample) -> None:
    """Its strategy has the fields of all kinds of strategy; it is daily."""
    answer = ask(sample.action, {**fill(sample.parameters, uuid.uuid4().hex), **STRATEGY})
    assert code_of(answer) == "OK"
    schedule = answer["PushResult"]["Data"]
    assert len(schedule) == 32
    found = ask("QueryPushSchedulerList", {**EVERY["QueryPushSchedulerList"], **_fires(sample, schedule)})
    fires = found["ResultContent"]["Data"]
    assert fires["TotalCount"] >= 6  # today's may be over
    assert {fire["ParentId"] for fire in fires["List"]} == {schedule}
    assert ask("CancelPushScheduler", {**APP, "UniqueIds": schedule})["ResultContent"] == f"{{{schedule}=1}}"


def _fires(sample: Sample, schedule: str) -> Parameters:
    kinds = [each.action for each in SAMPLES]
    return {"UniqueId": schedule, "Type": kinds.index(sample.action)}


async def test_timed_push_arrives_when_it_is_due(ask: Ask, device: Device) -> None:
    due = (int(time.time()) + 2) * 1000
    timed = {"StrategyType": 1, "StrategyContent": json.dumps({"fixedTime": due})}
    parameters = {**SIMPLE, **timed, "TargetMsgkey": json.dumps({device.token: "timed"})}
    answer = await asyncio.to_thread(ask, "PushSimple", parameters)
    assert code_of(answer) == "OK"
    await device.push("timed")
    assert time.time() * 1000 >= due


async def test_what_is_revoked_does_not_arrive(server: ServerProcess, tenants: Tenants, ask: Ask) -> None:
    """A device that was away gets what was not revoked, and nothing else."""
    (identity,) = await register_many(server.api, tenants.app_secret, 1)
    token = identity.delivery_token

    def push_and_revoke() -> None:
        for key in ("revoked", "kept"):
            ask("PushSimple", {**SIMPLE, "TargetMsgkey": json.dumps({token: key})})
        targets = [{"Target": token, "MsgKey": "revoked task", "TemplateKeyValue": VALUES}]
        task = ask("PushMultiple", {**MULTIPLE, "TargetMsg": targets})["PushResult"]["Data"]
        for _ in range(2):  # a message can be revoked again
            message = {**APP, "MessageId": "revoked", "TargetId": token}
            assert code_of(ask("RevokePushMessage", message)) == "OK"
            assert code_of(ask("RevokePushTask", {**APP, "TaskId": task})) == "OK"

    await asyncio.to_thread(push_and_revoke)
    async with Device(server.link_url, identity) as device:
        await device.has({"kept"})
        await asyncio.to_thread(ask, "PushSimple", {**SIMPLE, "TargetMsgkey": json.dumps({token: "last"})})
        await device.has({"last"})
        assert not {"revoked", "revoked task"} & device.received.keys()


async def test_analyses_count_what_arrived(ask: Ask, device: Device) -> None:
    """A multiple push to a device that is there and to one that is not, as the three analyses show it."""
    name = uuid.uuid4().hex
    targets = [{"Target": target, "MsgKey": name, "TemplateKeyValue": VALUES} for target in (device.token, name)]
    push = {**MULTIPLE, "TaskName": name, "TargetMsg": targets}
    task = {**APP, "TaskId": (await asyncio.to_thread(ask, "PushMultiple", push))["PushResult"]["Data"]}
    await device.push(name)

    def analyses() -> tuple[Any, Any, Any]:
        deadline = time.monotonic() + PATIENCE
        days = {"StartTime": day(-1), "EndTime": day(0)}
        while True:  # the ack is committed soon after the push has come
            detail = ask("QueryPushAnalysisTaskDetail", task)["ResultContent"]["Data"]
            if detail["PushArrivalNum"] or time.monotonic() > deadline:
                break
        index = ask("QueryPushAnalysisCoreIndex", {**task, **days})["ResultContent"]["Data"]
        (row,) = ask("QueryPushAnalysisTaskList", {**APP, **days, "TaskName": name})["ResultContent"]["Data"]
        return detail, index, row

    detail, index, row = await asyncio.to_thread(analyses)
    assert (detail["PushNum"], detail["PushSuccessNum"], detail["PushArrivalNum"]) == (2, 1, 1)
    assert (index["PushTotalNum"], index["PushNum"], index["ArrivalNum"], index["ArrivalRate"]) == (2, 1, 1, 100)
    assert (row["TaskId"], row["TaskName"], row["TemplateName"], row["Type"]) == (task["TaskId"], name, WINNERS, 2)
    assert detail["TaskId"] == int(task["TaskId"])


def test_a_request_with_every_parameter_can_be_put_off(ask: Ask) -> None:
    """Title and content of a simple push are in the list; its time is the one that was asked for."""
    parameters = prepared(ask, "QueryPushSchedulerList")
    (fire,) = ask("QueryPushSchedulerList", parameters)["ResultContent"]["Data"]["List"]
    assert (fire["PushTitle"], fire["PushContent"]) == (FULL["Title"], FULL["Content"])
    assert (fire["StrategyType"], fire["ExecutedStatus"], fire["CreateType"]) == (1, "0", 0)
    assert fire["UniqueId"] == fire["ParentId"] == parameters["UniqueId"]
