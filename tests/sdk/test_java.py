"""The Java SDK: `aliyun-java-sdk-core` with JSON, XML and header signatures, and `aliyun-java-sdk-mpaas` 3.0.10."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.cases import APP, BIND, CONTENT, EVERY, FILLED, SIMPLE, TITLE, Ask, Parameters, day, fill, leaves
from tests.sdk.foreign import INSTALL_SECONDS, every_request, job, refusals, run_jobs, whole_life
from tests.sdk.samples import SAMPLES, STRATEGY, USER
from tests.support.devices import Device
from tests.support.server import ServerProcess
from tests.support.tenants import Key, Tenants

pytestmark = [
    pytest.mark.foreign_sdk,
    pytest.mark.timeout(INSTALL_SECONDS),
    pytest.mark.skipif(shutil.which("mvn") is None or shutil.which("java") is None, reason="needs java and mvn"),
]

WAYS: dict[str, dict[str, Any]] = {"json": {}, "xml": {"format": "XML"}, "v3": {"v3": True}}


def _class_path(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(Path(__file__).with_name("java") / "pom.xml", directory)
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"
    command = ["mvn", "--quiet", "--batch-mode", *options, goal, "-Dmdep.outputFile=class-path"]
    return subprocess.run(
        command, cwd=directory, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
    )


def _command(directory: Path) -> list[str]:
    source = Path(__file__).with_name("java") / "Sdk.java"
    return ["java", "-cp", (directory / "class-path").read_text(), str(source)]


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the program with the SDK's core."""
    directory = tmp_path_factory.mktemp("java")
    found = _class_path(directory)
    assert found.returncode == 0, found.stdout
    return _command(directory)


@pytest.fixture(scope="session")
def typed_java(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the program with the package of typed requests."""
    directory = tmp_path_factory.mktemp("typed-java")
    found = _class_path(directory, "--activate-profiles", "typed")
    if found.returncode != 0 and "com.aliyun:aliyun-java-sdk-mpaas:jar:3.0.10" in found.stdout:
        pytest.skip("this package index does not have com.aliyun:aliyun-java-sdk-mpaas")
    assert found.returncode == 0, found.stdout
    return _command(directory)


def _code(answer: str, way: str) -> str | None:
    if way == "xml":
        root = ET.fromstring(answer)
        return root.findtext("ResultCode") or root.findtext("Code")
    value = json.loads(answer)
    return str(value.get("ResultCode") or value["Code"])


@pytest.mark.parametrize("way", WAYS)
async def test_life_of_a_device(
    java: list[str], server: ServerProcess, tenants: Tenants, device: Device, way: str, tmp_path: Path
) -> None:
    """And the documentation's samples, which arrive at the device."""
    key = f"java {way}"
    steps = whole_life(device.token, key)
    steps.append(("PushBind", {**BIND, "DeliveryToken": device.token, "UserId": USER}, "OK"))
    for sample in SAMPLES:
        push = fill(sample.parameters, f"{key} {sample.action}")
        steps += [(sample.action, push, "OK"), (sample.action, {**push, **STRATEGY}, "OK")]
    jobs = [
        job(server, tenants.push, action, values, "2020-10-28", sdk="common", **WAYS[way])
        for action, values, _ in steps
    ]
    outcomes = await asyncio.to_thread(run_jobs, java, tmp_path, jobs)
    assert [_code(outcome["answer"], way) for outcome in outcomes] == [code for *_, code in steps]
    first = await device.push(key)
    assert (first.title, first.content) == (TITLE, CONTENT)
    for sample in SAMPLES:
        arrived = await device.push(f"{key} {sample.action}")
        assert (arrived.title, arrived.content) == (sample.title, sample.content)


def _members(answer: str, paths: Mapping[str, type], way: str) -> dict[str, Any]:
    """What is at the paths of an answer; all entries of a list together."""
    if way == "xml":
        return {path: _in_xml(ET.fromstring(answer), path, kind) for path, kind in paths.items()}
    found: dict[str, Any] = {path: [] for path in paths if "[]" in path}
    for path, value in leaves(json.loads(answer)):
        if "[]" in path:
            found[path].append(value)
        else:
            found[path] = value
    return found


def _in_xml(root: ET.Element, path: str, kind: type) -> Any:
    def value(text: str | None) -> Any:
        return text == "true" if kind is bool else kind(text or "")

    before, is_list, after = path.partition("[].")
    if not is_list:
        return value(root.findtext(before.replace(".", "/")))
    # An entry has the name of its list, so that a list of one is told from an object.
    *_, name = before.split(".")
    entries = root.findall(f"{before.replace('.', '/')}/{name}")
    return [value(entry.findtext(after)) for entry in entries]


def _reading_job(server: ServerProcess, key: Key, action: str, values: Parameters, way: str) -> dict[str, Any]:
    paths = {path: kind.__name__ for path, kind in FILLED[action].items()}
    return job(server, key, action, values, "2020-10-28", sdk="common", paths=paths, **WAYS[way])


@pytest.mark.parametrize("way", WAYS)
def test_every_action(
    java: list[str], server: ServerProcess, tenants: Tenants, ask: Ask, way: str, tmp_path: Path
) -> None:
    """The reader of the SDK finds every member of every answer."""
    requests = every_request(ask)
    jobs = [_reading_job(server, tenants.push, action, values, way) for action, values in requests]
    for (action, _), outcome in zip(requests, run_jobs(java, tmp_path, jobs), strict=True):
        assert _code(outcome["answer"], way) in ("OK", "100")
        assert outcome["members"] == _members(outcome["answer"], FILLED[action], way)
        assert None not in outcome["members"].values(), action


def _pages(ask: Ask, count: int) -> dict[str, Parameters]:
    """Requests whose answers hold a list of `count` entries, by action; the entries are made."""
    name = uuid.uuid4().hex
    daily = {"startTime": day(1), "endTime": day(count), "circleType": 1, "time": "13:45:11"}
    schedule = "0" * 32
    if count:
        cyclic = {"StrategyType": 2, "StrategyContent": json.dumps(daily)}
        schedule = ask("PushSimple", {**fill(SIMPLE, name), **cyclic, "TaskName": name})["PushResult"]["Data"]
    for number in range(count):
        ask("PushMultiple", {**fill(EVERY["PushMultiple"], f"{name}{number}"), "TaskName": name})
    page = {"CurrentPage": 1, "PageSize": count} if count else {"CurrentPage": 1000}
    fires = {**APP, "StartTime": day(0), "EndTime": day(9), "UniqueId": schedule}
    return {
        "ListTemplatePage": {**APP, **page},
        "QueryPushAnalysisTaskList": {**APP, "StartTime": day(-1), "TaskName": name},
        "QueryPushSchedulerList": fires,
    }


LISTS = {
    "ListTemplatePage": "Data[].Id",
    "QueryPushAnalysisTaskList": "ResultContent.Data[].TaskId",
    "QueryPushSchedulerList": "ResultContent.Data.List[].UniqueId",
}


@pytest.mark.parametrize("way", ["json", "xml"])
def test_lists_of_none_one_and_three(
    java: list[str], server: ServerProcess, tenants: Tenants, ask: Ask, way: str, tmp_path: Path
) -> None:
    """The reader of the SDK finds each entry, also where there is but one or none."""
    asked = [(count, *request) for count in (0, 1, 3) for request in _pages(ask, count).items()]
    jobs = [_reading_job(server, tenants.push, action, values, way) for _, action, values in asked]
    for (count, action, _), outcome in zip(asked, run_jobs(java, tmp_path, jobs), strict=True):
        members = outcome["members"]
        assert members == _members(outcome["answer"], FILLED[action], way)
        assert len(members[LISTS[action]]) == count


@pytest.mark.parametrize("way", WAYS)
def test_gateway_errors(java: list[str], server: ServerProcess, tenants: Tenants, way: str, tmp_path: Path) -> None:
    cases = refusals(tenants)
    jobs = [
        job(server, key, action, values, version, sdk="common", **WAYS[way])
        for key, action, values, version, _ in cases
    ]
    for (*_, code), outcome in zip(cases, run_jobs(java, tmp_path, jobs), strict=True):
        assert (outcome["error"]["code"], outcome["error"]["kind"]) == (code, "ClientException")


@pytest.mark.parametrize("way", ["json", "xml"])
def test_wrong_secret_is_told_by_the_sdk(
    java: list[str], server: ServerProcess, tenants: Tenants, way: str, tmp_path: Path
) -> None:
    wrong = Key(tenants.push.key_id, "wrong")
    request = job(server, wrong, "PushSimple", SIMPLE, "2020-10-28", sdk="acs", **WAYS[way])
    (outcome,) = run_jobs(java, tmp_path, [request])
    assert outcome["error"]["code"] == "SDK.InvalidAccessKeySecret"


@pytest.mark.parametrize("way", WAYS)
async def test_package(
    typed_java: list[str], server: ServerProcess, tenants: Tenants, device: Device, way: str, tmp_path: Path
) -> None:
    key = f"java typed {way}"
    steps = whole_life(device.token, key)
    jobs = [job(server, tenants.push, action, values, "", sdk="typed", **WAYS[way]) for action, values, _ in steps]
    outcomes = await asyncio.to_thread(run_jobs, typed_java, tmp_path, jobs)
    for (action, _, code), outcome in zip(steps, outcomes, strict=True):
        answer = outcome["answer"]
        assert answer["requestId"]
        if action == "PushQueryDeviceState":
            assert (answer["code"], answer["data"]["statue"]) == (code, "ONLINE")
        else:
            assert answer["resultCode"] == code
            assert answer["pushResult"]["success"] == (code == "OK")
            assert answer["pushResult"]["resultMsg"] == answer["resultMessage"]
    assert (await device.push(key)).content == CONTENT
