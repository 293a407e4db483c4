"""The Java SDK: `aliyun-java-sdk-core` with JSON, XML and header signatures, and `aliyun-java-sdk-mpaas` 3.0.10."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.cases import CONTENT, SIMPLE, TITLE
from tests.sdk.foreign import INSTALL_SECONDS, job, refusals, run_jobs, whole_life
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
async def test_every_action(
    java: list[str], server: ServerProcess, tenants: Tenants, device: Device, way: str, tmp_path: Path
) -> None:
    key = f"java {way}"
    steps = whole_life(device.token, key)
    jobs = [
        job(server, tenants.push, action, values, "2020-10-28", sdk="common", **WAYS[way])
        for action, values, _ in steps
    ]
    outcomes = await asyncio.to_thread(run_jobs, java, tmp_path, jobs)
    assert [_code(outcome["answer"], way) for outcome in outcomes] == [code for *_, code in steps]
    push = await device.push(key)
    assert (push.title, push.content) == (TITLE, CONTENT)


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
