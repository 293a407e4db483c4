"""Rate limits, the push API switch and other settings, on a running server that learns of them, with a real SDK."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_mpaas20201028 import models
from alibabacloud_mpaas20201028.client import Client
from alibabacloud_tea_openapi import utils_models
from alibabacloud_tea_openapi.exceptions import ThrottlingException

from clarion.foundation import Foundation
from clarion.tenants.model import Role
from clarion.tenants.service import AppChange
from tests.support.client import Connection, form, push_parameters, sign
from tests.support.server import ServerProcess, run_clarion
from tests.support.tenants import APP_ID, OTHER_APP_ID, WORKSPACE_ID, Key, Tenants, in_foundation, make_tenants

pytestmark = pytest.mark.real_process

APP = ("--app-id", APP_ID, "--workspace-id", WORKSPACE_ID)
NOTICE_SECONDS = 10.0
TEMPLATE = {"TemplateName": "won", "DescInfo": "d", "Title": "t", "Content": "c"}
NAMES = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID}
CALLS: dict[str, tuple[Any, Any]] = {
    "PushSimple": (Client.push_simple, models.PushSimpleRequest),
    "PushTemplate": (Client.push_template, models.PushTemplateRequest),
    "PushMultiple": (Client.push_multiple, models.PushMultipleRequest),
    "PushBind": (Client.push_bind, models.PushBindRequest),
    "CreateTemplate": (Client.create_template, models.CreateTemplateRequest),
    "ListTemplatePage": (Client.list_template_page, models.ListTemplatePageRequest),
}
PUSH = push_parameters("token", "key")
PUSHES: dict[str, dict[str, object]] = {
    "PushSimple": PUSH,
    "PushTemplate": {**PUSH, "TemplateName": "won"},
    "PushMultiple": {**PUSH, "TemplateName": "won", "TargetMsg": [{"Target": "token", "MsgKey": "key"}]},
}
BIND = {**NAMES, "DeliveryToken": "token", "UserId": "bob", "OsType": 1}
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits") / "data"


@pytest.fixture(scope="module")
def own_tenants(data_dir: Path) -> Tenants:
    return make_tenants(data_dir)


@pytest.fixture(scope="module")
def own_server(data_dir: Path, own_tenants: Tenants) -> Iterator[ServerProcess]:
    """A server of these tests, for they change what all others rely on; an app has 10,000 requests a second."""
    with ServerProcess(data_dir, app_requests_per_second=10_000) as running:
        yield running


@pytest.fixture
def ask(own_server: ServerProcess, own_tenants: Tenants) -> Ask:
    """Calls an action by the SDK; the answer."""

    def ask(action: str, parameters: dict[str, Any], key: Key = own_tenants.push) -> dict[str, Any]:
        method, model = CALLS[action]
        config = utils_models.Config(
            access_key_id=key.key_id, access_key_secret=key.secret, endpoint=str(own_server.api), protocol="HTTP"
        )
        body: dict[str, Any] = method(Client(config), model().from_map(parameters)).body.to_map()
        return body

    return ask


async def test_the_push_api_switch(ask: Ask, data_dir: Path) -> None:
    async def code() -> object:
        return (await asyncio.to_thread(ask, "PushSimple", PUSH))["ResultCode"]

    def switch(position: str) -> None:
        done = run_clarion(data_dir, "app", "set", *APP, "--push-api", position, "--json")
        assert json.loads(done.stdout)["pushEnabled"] is (position == "on")

    assert ask("CreateTemplate", {**NAMES, **TEMPLATE})["Code"] == "100"
    switch("off")
    await _until(code, "3032")
    for action, parameters in PUSHES.items():
        body = ask(action, parameters)
        assert (body["ResultCode"], body["ResultMessage"]) == ("3032", "rest api switch not open")
        assert body["PushResult"]["Success"] is False
    assert ask("PushBind", BIND)["ResultCode"] == "OK"
    assert ask("ListTemplatePage", NAMES)["Code"] == "100"
    assert ask("PushSimple", {**PUSH, "AppId": OTHER_APP_ID})["ResultCode"] == "OK"
    switch("on")
    await _until(code, "OK")


async def _flood(server: ServerProcess, key: Key, requests: int, app: str = APP_ID) -> set[tuple[int, str]]:
    """Statuses and codes of requests one after the other, as quickly as they are answered."""
    seen = set()
    async with Connection(server.api) as connection:
        for _ in range(requests):
            asked = {**NAMES, "AppId": app, "Target": "t", "TargetType": 1}
            answer = await connection.post(form(sign(key, "PushQueryDeviceState", asked)))
            if answer.code in ("8011", "Throttling.User"):
                assert 0 < int(answer.headers["x-acs-retry-after"]) <= 1000
                assert answer.headers["retry-after"] == "1"
            seen.add((answer.status, answer.code))
    return seen


async def _until(seen: Callable[[], Awaitable[object]], wanted: object) -> None:
    end = time.monotonic() + NOTICE_SECONDS
    while (found := await seen()) != wanted:
        assert time.monotonic() < end, found


async def test_a_limited_key(own_server: ServerProcess, own_tenants: Tenants, ask: Ask, data_dir: Path) -> None:
    async def make(foundation: Foundation) -> Key:
        made = await foundation.tenants.create_key(Role.PUSH)
        await foundation.tenants.limit_key(made.key_id, 1)
        return Key(made.key_id, made.secret.decode())

    async def free(foundation: Foundation) -> None:
        await foundation.tenants.limit_key(key.key_id, 0)

    async def pushed_at_once() -> object:
        await _flood(own_server, key, 12)
        try:
            return (await asyncio.to_thread(ask, "PushSimple", PUSH, key))["ResultCode"]
        except ThrottlingException as error:
            return error.code, error.status_code, 0 < error.retry_after <= 1000

    key = in_foundation(make, data_dir)
    await _until(lambda: _flood(own_server, key, 1), {(200, "100")})
    assert await _flood(own_server, key, 30) == {(200, "100"), (400, "Throttling.User")}
    await _until(pushed_at_once, ("Throttling.User", 400, True))
    assert await _flood(own_server, own_tenants.push, 30) == {(200, "100")}
    in_foundation(free, data_dir)
    await _until(lambda: _flood(own_server, key, 30), {(200, "100")})


async def test_a_limited_app(own_server: ServerProcess, own_tenants: Tenants, ask: Ask, data_dir: Path) -> None:
    def limit(rate: int) -> None:
        async def work(foundation: Foundation) -> None:
            await foundation.tenants.change_app(APP_ID, WORKSPACE_ID, AppChange(requests_per_second=rate))

        in_foundation(work, data_dir)

    async def pushed_at_once() -> object:
        await _flood(own_server, key, 12)
        body = await asyncio.to_thread(ask, "PushSimple", PUSH)
        text = body["PushResult"]["ResultMsg"]
        return body["ResultCode"], body["PushResult"]["Success"], text.startswith("flow control")

    key = own_tenants.push
    limit(1)
    await _until(lambda: _flood(own_server, key, 30), {(200, "100"), (200, "8011")})
    await _until(pushed_at_once, ("8011", False, True))
    assert await _flood(own_server, key, 30, OTHER_APP_ID) == {(200, "100")}
    limit(0)
    await _until(lambda: _flood(own_server, key, 30), {(200, "100")})
