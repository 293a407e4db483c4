"""The Node SDKs: `@alicloud/pop-core`, and the clients beneath and inside the mpaas packages."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.cases import BIND, CONTENT, FILLED, TITLE, Ask, check_members, code_of, fill, success_code
from tests.sdk.foreign import INSTALL_SECONDS, Outcome, every_request, job, refusals, run_jobs, whole_life
from tests.sdk.samples import SAMPLES, USER
from tests.support.devices import Device
from tests.support.server import ServerProcess
from tests.support.tenants import Tenants

pytestmark = [
    pytest.mark.foreign_sdk,
    pytest.mark.timeout(INSTALL_SECONDS),
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs node and npm"),
]

POP_GET, POP_POST = {"sdk": "pop-core", "options": {}}, {"sdk": "pop-core", "options": {"method": "POST"}}
ANY_ACTION = [POP_GET, POP_POST, {"sdk": "rpc-client"}, {"sdk": "openapi-core"}]
TYPED = {"mpaas20190821": "1.0.1", "mpaas20201028": "3.4.1"}
COMMAND = ("node", "sdk.js")


def name_of(sdk: dict[str, Any]) -> str:
    return str(sdk["sdk"]) + "-".join(sdk.get("options", {}).values())


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the program and the packages of its lock file."""
    directory = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "sdk.js"):
        shutil.copy(Path(__file__).with_name("node") / name, directory)
    _npm(directory, "ci", "--ignore-scripts").check_returncode()
    return directory


def _npm(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["npm", *arguments, "--no-audit", "--no-fund"]
    return subprocess.run(
        command, cwd=directory, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
    )


def check_answer(action: str, outcome: Outcome, code: str, *, pop: bool) -> None:
    if pop and "Code" in FILLED[action]:
        # pop-core takes any top-level Code that it does not know for an error, also the documented 100
        assert outcome["error"]["code"] == code
        return
    answer = outcome["answer"]
    assert code_of(answer) == code
    assert answer["RequestId"]


@pytest.mark.parametrize("sdk", ANY_ACTION, ids=name_of)
async def test_life_of_a_device(
    node: Path, server: ServerProcess, tenants: Tenants, device: Device, sdk: dict[str, Any]
) -> None:
    key = f"node {name_of(sdk)}"
    steps = whole_life(device.token, key)
    jobs = [job(server, tenants.push, action, values, "2020-10-28", **sdk) for action, values, _ in steps]
    outcomes = await asyncio.to_thread(run_jobs, COMMAND, node, jobs)
    for (action, _, code), outcome in zip(steps, outcomes, strict=True):
        check_answer(action, outcome, code, pop=sdk["sdk"] == "pop-core")
    push = await device.push(key)
    assert (push.title, push.content) == (TITLE, CONTENT)


@pytest.mark.parametrize("sdk", ANY_ACTION, ids=name_of)
def test_every_action(node: Path, server: ServerProcess, tenants: Tenants, ask: Ask, sdk: dict[str, Any]) -> None:
    requests = every_request(ask)
    jobs = [job(server, tenants.push, action, values, "2020-10-28", **sdk) for action, values in requests]
    for (action, _), outcome in zip(requests, run_jobs(COMMAND, node, jobs), strict=True):
        check_answer(action, outcome, success_code(action), pop=sdk["sdk"] == "pop-core")
        if "answer" in outcome:
            check_members(outcome["answer"], FILLED[action])


@pytest.mark.parametrize("sdk", [POP_GET, POP_POST], ids=name_of)
async def test_samples(
    node: Path, server: ServerProcess, tenants: Tenants, ask: Ask, device: Device, sdk: dict[str, Any]
) -> None:
    """The parameters of the documentation's samples, as objects and arrays: pop-core itself makes them flat."""
    key = f"node sample {name_of(sdk)}"
    bind = {**BIND, "DeliveryToken": device.token, "UserId": USER}
    jobs = [job(server, tenants.push, "PushBind", bind, "2019-08-21", **sdk)]
    for sample in SAMPLES:
        push = fill(sample.parameters, f"{key} {sample.action}")
        jobs.append({**job(server, tenants.push, sample.action, {}, "2019-08-21", **sdk), "parameters": push})
    outcomes = await asyncio.to_thread(run_jobs, COMMAND, node, jobs)
    assert [outcome["answer"]["ResultCode"] for outcome in outcomes] == ["OK"] * len(jobs)
    for sample in SAMPLES:
        arrived = await device.push(f"{key} {sample.action}")
        assert (arrived.title, arrived.content) == (sample.title, sample.content)


@pytest.mark.parametrize("sdk", ANY_ACTION, ids=name_of)
def test_gateway_errors(node: Path, server: ServerProcess, tenants: Tenants, sdk: dict[str, Any]) -> None:
    cases = refusals(tenants)
    jobs = [job(server, key, action, values, version, **sdk) for key, action, values, version, _ in cases]
    for (*_, code), outcome in zip(cases, run_jobs(COMMAND, node, jobs), strict=True):
        shown = outcome["error"]["code"]
        assert shown.removesuffix("Error") == code  # rpc-client adds the word


@pytest.mark.parametrize("package", TYPED)
async def test_package(node: Path, server: ServerProcess, tenants: Tenants, device: Device, package: str) -> None:
    installed = await asyncio.to_thread(
        _npm, node, "install", "--ignore-scripts", "--no-save", f"@alicloud/{package}@{TYPED[package]}"
    )
    if "E404" in installed.stderr:
        pytest.skip(f"this package index does not have @alicloud/{package}")
    installed.check_returncode()
    actions = ("PushSimple",) if package == "mpaas20190821" else None
    steps = [step for step in whole_life(device.token, package) if actions is None or step[0] in actions]
    jobs = [job(server, tenants.push, action, values, "", sdk=package) for action, values, _ in steps]
    outcomes = await asyncio.to_thread(run_jobs, COMMAND, node, jobs)
    for (action, _, code), outcome in zip(steps, outcomes, strict=True):
        check_answer(action, outcome, code, pop=False)
    assert (await device.push(package)).title == TITLE
