"""Programs of other languages that run SDK jobs, and the jobs that all of them are given."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.sdk.cases import BIND, EVERY, REPORT, SIMPLE, STATE, UNBIND, Ask, Parameters, flat, prepared
from tests.support.server import ServerProcess
from tests.support.tenants import Key, Tenants

Job = dict[str, Any]
Outcome = dict[str, Any]

INSTALL_SECONDS = 400


def job(
    server: ServerProcess, key: Key, action: str, parameters: dict[str, Any], version: str, **options: Any
) -> Job:
    """A job; values are texts, as all SDKs take them."""
    texts = {name: str(value) for name, value in flat(parameters).items()}
    common = {"endpoint": str(server.api), "keyId": key.key_id, "secret": key.secret, "version": version}
    return {**common, "action": action, "parameters": texts, **options}


def run_jobs(command: Sequence[str], directory: Path, jobs: Sequence[Job]) -> list[Outcome]:
    """Run jobs with a program; their outcomes in order."""
    done = subprocess.run(
        command, cwd=directory, input=json.dumps(jobs), capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    outcomes: list[Outcome] = json.loads(done.stdout)
    assert len(outcomes) == len(jobs)
    return outcomes


def whole_life(token: str, user: str) -> list[tuple[str, dict[str, Any], str]]:
    """What becomes of a device and its user: action, parameters, code of the answer."""
    own, target = {"DeliveryToken": token}, {"TargetMsgkey": json.dumps({token: user})}
    return [
        ("PushSimple", {**SIMPLE, **target}, "OK"),
        ("PushBind", {**BIND, **own, "UserId": user}, "OK"),
        ("PushReport", {**REPORT, **own, "ThirdChannel": 5, "ThirdChannelDeviceToken": "t"}, "OK"),
        ("PushQueryDeviceState", {**STATE, "Target": user, "TargetType": 2}, "100"),
        ("PushUnBind", {**UNBIND, **own, "UserId": user}, "OK"),
        ("PushSimple", {**SIMPLE, "Title": ""}, "3024"),
    ]


def every_request(ask: Ask) -> list[tuple[str, Parameters]]:
    """The request of `EVERY` for each action, after what has to go before it."""
    return [(action, prepared(ask, action)) for action in EVERY]


def refusals(tenants: Tenants) -> list[tuple[Key, str, dict[str, Any], str, str]]:
    """Requests that the gateway turns down: key, action, parameters, version, code."""
    newest = "2020-10-28"
    untitled = {name: value for name, value in SIMPLE.items() if name != "Title"}
    return [
        (Key("nobody", "secret"), "PushSimple", SIMPLE, newest, "InvalidAccessKeyId.NotFound"),
        (tenants.disabled, "PushSimple", SIMPLE, newest, "InvalidAccessKeyId.Inactive"),
        (Key(tenants.push.key_id, "wrong"), "PushSimple", SIMPLE, newest, "SignatureDoesNotMatch"),
        (tenants.push, "PushNothing", SIMPLE, newest, "InvalidAction.NotFound"),
        (tenants.push, "PushSimple", SIMPLE, "2018-01-01", "InvalidVersion"),
        (tenants.push, "PushSimple", untitled, newest, "MissingTitle"),
        (tenants.push, "PushSimple", {**SIMPLE, "DeliveryType": "x"}, newest, "InvalidDeliveryType"),
        (tenants.read, "PushSimple", SIMPLE, newest, "Forbidden.RAM"),
        (tenants.other, "PushSimple", SIMPLE, newest, "Forbidden.RAM"),
    ]
