"""Both official SDKs of Python, called with an action and parameters by wire names."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

from alibabacloud_mpaas20201028 import models
from alibabacloud_mpaas20201028.client import Client
from alibabacloud_tea_openapi import utils_models
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
from darabonba.runtime import RuntimeOptions  # type: ignore[import-untyped]

from tests.sdk.cases import flat
from tests.support.server import Address
from tests.support.tenants import Key

NEWEST = "2020-10-28"
REGION = "cn-hongkong"
PACKAGED = ("PushSimple", "PushTemplate", "PushMultiple", "PushBroadcast")
"""The actions that `aliyun-python-sdk-mpaas` has classes for."""


def common(action: str, parameters: dict[str, Any], version: str = NEWEST) -> CommonRequest:
    """A request of the core's own, for any action."""
    request = CommonRequest(version=version, action_name=action, product="mPaaS")
    request.set_method("POST")
    for name, value in flat(parameters).items():
        request.add_body_params(name, value)
    return request


def packaged(action: str, parameters: dict[str, Any]) -> Any:
    """A request of the class that the package has for an action, through its setters."""
    module = importlib.import_module(f"aliyunsdkmpaas.request.v20190821.{action}Request")
    request = getattr(module, f"{action}Request")()
    for name, value in parameters.items():
        getattr(request, f"set_{name}s" if name == "TargetMsg" else f"set_{name}")(value)
    return request


def setters(action: str) -> set[str]:
    """The parameters that the package's class has."""
    names = {name.removeprefix("set_") for name in vars(type(packaged(action, {}))) if name.startswith("set_")}
    return {"TargetMsg" if name == "TargetMsgs" else name for name in names}


def send(api: Address, key: Key, request: Any) -> dict[str, Any]:
    """Send a request of the core or the package; the answer."""
    request.set_endpoint(str(api))
    client = AcsClient(key.key_id, key.secret, REGION, auto_retry=False)
    answer: dict[str, Any] = json.loads(client.do_action_with_exception(request))
    return answer


def tea_client(api: Address, key: Key, **config: Any) -> Client:
    """A client of `alibabacloud_mpaas20201028`."""
    options = {"access_key_id": key.key_id, "access_key_secret": key.secret, **config}
    return Client(utils_models.Config(endpoint=str(api), protocol="HTTP", **options))


def tea_request(action: str, parameters: dict[str, Any]) -> Any:
    """The typed request of an action."""
    return getattr(models, f"{action}Request")().from_map(parameters)


def tea_send(client: Client, action: str, parameters: dict[str, Any]) -> Any:
    """Send a typed request; the typed body of the answer."""
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()
    return getattr(client, method)(tea_request(action, parameters)).body


def tea_send_untyped(client: Client, action: str, version: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Send a request as the packages of other versions do; the body of the answer."""
    params = utils_models.Params(
        action=action,
        version=version,
        protocol="HTTP",
        pathname="/",
        method="POST",
        auth_type="AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    answer = client.call_api(params, utils_models.OpenApiRequest(body=parameters), RuntimeOptions())
    body: dict[str, Any] = answer["body"]
    return body
