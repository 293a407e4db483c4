"""Every action with both official SDKs of Python: every parameter, every version, every code that it can give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_mpaas20201028.client import Client

from clarion.openapi.registry import VERSIONS
from tests.sdk.cases import EVERY, FILLED, REFUSED, Ask, check_members, code_of, flat, prepared, success_code
from tests.sdk.python import PACKAGED, common, packaged, send, setters, tea_client, tea_request, tea_send
from tests.sdk.python import tea_send_untyped as untyped
from tests.sdk.refusals import REFUSALS, Case, case_name
from tests.support.client import Connection, form, sign
from tests.support.server import ServerProcess
from tests.support.tenants import Tenants

pytestmark = pytest.mark.real_process

BUSY_ATTEMPTS = 40
MIDDLE = "2020-07-10"
UNTYPED = "CancelMpsScheduler"
"""The one action that `alibabacloud_mpaas20201028` does not have."""

by_version = pytest.mark.parametrize(
    ("action", "version"), [pytest.param(a, v, id=f"{a}-{v}") for a in EVERY for v in VERSIONS]
)
by_action = pytest.mark.parametrize("action", EVERY)
by_case = pytest.mark.parametrize("case", REFUSALS, ids=case_name)


@pytest.fixture
def client(server: ServerProcess, tenants: Tenants) -> Client:
    return tea_client(server.api, tenants.push)


@pytest.fixture
def tea(client: Client) -> Ask:
    """Sends a typed request; the typed answer, by wire names."""

    def ask(action: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if action == UNTYPED:
            return untyped(client, action, MIDDLE, parameters)
        body: dict[str, Any] = tea_send(client, action, parameters).to_map()
        return body

    return ask


@by_version
def test_version(server: ServerProcess, tenants: Tenants, ask: Ask, action: str, version: str) -> None:
    """`aliyun-python-sdk-core` asks for the action in this version; the answer is the same in each."""
    answer = send(server.api, tenants.push, common(action, prepared(ask, action), version))
    check_members(answer, FILLED[action])
    assert code_of(answer) == success_code(action)


@by_action
def test_typed_request_and_answer(tea: Ask, action: str) -> None:
    """`alibabacloud_mpaas20201028` sends every parameter of its request class, and finds every member it knows."""
    parameters = prepared(tea, action)
    if action != UNTYPED:
        request = tea_request(action, parameters)
        assert [name for name, value in vars(request).items() if value is None] == []
    answer = tea(action, parameters)
    check_members(answer, FILLED[action])
    assert code_of(answer) == success_code(action)


@pytest.mark.parametrize("action", PACKAGED)
def test_packaged_request(server: ServerProcess, tenants: Tenants, ask: Ask, action: str) -> None:
    """`aliyun-python-sdk-mpaas` sends every parameter of its request class."""
    parameters = prepared(ask, action)
    request = packaged(action, {name: parameters[name] for name in setters(action)})
    check_members(send(server.api, tenants.push, request), FILLED[action])


def _refused(ask: Callable[[], dict[str, Any]], code: str) -> dict[str, Any]:
    """The answer with this code: at once, but for a rate limit, which has to be passed first."""
    for _ in range(BUSY_ATTEMPTS if code == "8011" else 1):
        answer = ask()
        if code_of(answer) == code:
            break
    return answer


def _check_refused(answer: dict[str, Any], case: Case) -> None:
    assert code_of(answer) == case.code, answer
    check_members(answer, REFUSED[case.action])
    if "PushResult" in answer:
        assert answer["PushResult"]["ResultMsg"] == answer["ResultMessage"]
    assert answer.get("PushResult", answer).get("Success", False) is False


@by_case
def test_refusal(ask: Ask, case: Case) -> None:
    """With `aliyun-python-sdk-core`."""
    _check_refused(_refused(lambda: ask(case.action, case.parameters), case.code), case)


@by_case
def test_typed_refusal(tea: Ask, case: Case) -> None:
    """With `alibabacloud_mpaas20201028`."""
    _check_refused(_refused(lambda: tea(case.action, case.parameters), case.code), case)


@by_action
async def test_text_that_is_not_utf8(server: ServerProcess, tenants: Tenants, action: str) -> None:
    """No SDK sends it, so this is signed by hand."""
    texts = {**flat(EVERY[action]), "WorkspaceId": "\udcd6\udcd0"}
    async with Connection(server.api) as connection:
        answer = await connection.post(form(sign(tenants.push, action, texts)))
    assert (answer.status, answer.code) == (200, "3031")
    check_members(answer.json(), REFUSED[action])
