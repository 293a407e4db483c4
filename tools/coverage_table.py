"""Which test tries which action, version, parameter and result code.

Which codes an action can give is said here; which tests try them follows from the data that the tests are made of
(`tests/sdk/cases.py`, `tests/sdk/refusals.py`). `tests/unit/test_coverage.py` finds what no test tries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.sdk.cases import EVERY
from tests.sdk.refusals import REFUSALS

from clarion.openapi.registry import VERSIONS
from clarion.results import ResultCode

_ALL = tuple(EVERY)
_PUSHES = ("PushSimple", "PushTemplate", "PushMultiple", "PushBroadcast")
_FILLED = _PUSHES[1:]
_TARGETED = _PUSHES[:3]
_DEVICES = ("PushBind", "PushUnBind", "PushReport")
_TEMPLATES = ("CreateTemplate", "DeleteTemplate", "GetTemplate", "ListTemplatePage")
_INSTANCES = (*_TEMPLATES, "PushQueryDeviceState")
_APPS = tuple(action for action in _ALL if action not in _INSTANCES)

GIVEN: Mapping[ResultCode, tuple[str, ...]] = {
    ResultCode.SUCCESS: _ALL,
    ResultCode.NEED_DELIVERYTOKEN: _DEVICES,
    ResultCode.NEED_APPID_WORKSPACEID: _ALL,
    ResultCode.APPID_WRONG: _APPS,
    ResultCode.OS_TYPE_NOT_SUPPORTED: ("PushBind", "PushReport"),
    ResultCode.DELIVERY_TYPE_NOT_SUPPORTED: _PUSHES,
    ResultCode.NEED_USERID: ("PushBind", "PushUnBind"),
    ResultCode.TASKNAME_NULL: _PUSHES,
    ResultCode.EXPIREDSECONDS_WRONG: _PUSHES,
    ResultCode.TOKEN_OR_USERID_NULL: (*_PUSHES, "PushQueryDeviceState"),
    ResultCode.TEMPLATE_NOT_EXIST: (*_FILLED, "DeleteTemplate", "GetTemplate"),
    ResultCode.TEMPLATEKV_NOT_ENOUGH: _FILLED,
    ResultCode.PAYLOAD_NOT_ENOUGH: ("PushSimple",),
    ResultCode.NEED_TEMPLATE: _FILLED,
    ResultCode.EXPIREDTIME_TOO_LONG: _PUSHES,
    ResultCode.INVALID_PARAM: tuple(a for a in _ALL if a not in ("DeleteTemplate", "GetTemplate")),
    ResultCode.SINGLE_PUSH_TARGET_TOO_MUCH: ("PushSimple", "PushTemplate"),
    ResultCode.BROADCAST_ONLY_SUPPORT_BY_DEVICE: ("PushBroadcast",),
    ResultCode.REQUEST_SHOULD_BE_UTF8: _ALL,
    ResultCode.REST_API_SWITCH_NOT_OPEN: _PUSHES,
    ResultCode.EXTEND_PARAM_TO_MUCH: _PUSHES,
    ResultCode.TEMPLATE_ALREADY_EXIST: ("CreateTemplate",),
    ResultCode.TEMPLATE_NAME_NULL: ("CreateTemplate",),
    ResultCode.TEMPLATE_NAME_INVALID: ("CreateTemplate",),
    ResultCode.TEMPLATE_CONTENT_INVALID: ("CreateTemplate",),
    ResultCode.TEMPLATE_TITLE_INVALID: ("CreateTemplate",),
    ResultCode.TEMPLATE_DESC_INFO_INVALID: ("CreateTemplate",),
    ResultCode.TEMPLATE_URI_INVALID: ("CreateTemplate",),
    ResultCode.SINGLE_PUSH_CONTENT_TOO_LONG: _PUSHES,
    ResultCode.INVALID_EXTEND_PARAM: _PUSHES,
    ResultCode.MULTIPLE_INNER_EXTEND_PARAM_TO_MUCH: ("PushMultiple",),
    ResultCode.MSG_PAYLOAD_TOO_LONG: _PUSHES,
    ResultCode.BROADCAST_ALL_USER_NEED_UNBIND_PERIOD: ("PushBroadcast",),
    ResultCode.BROADCAST_ALL_USER_UNBIND_PERIOD_INVALID: ("PushBroadcast",),
    ResultCode.BROADCAST_ALL_USER_NOT_SUPPORT_SELFCHANNEL_ANDROID: ("PushBroadcast",),
    ResultCode.DELIVERYTOKEN_INVALID: (*_TARGETED, *_DEVICES),
    ResultCode.MULTIPLE_TARGET_NUMBER_TOO_MUCH: ("PushMultiple",),
    ResultCode.TEMPLATE_NUM_TOO_MUCH: ("CreateTemplate",),
    ResultCode.ANDROID_CHANNEL_PARAM_INVALID: ("PushBroadcast",),
    ResultCode.BADGE_ADD_NUM_INVALID: _PUSHES,
    ResultCode.BADGE_ADD_NUM_NEED_BADGE_CLASS: _PUSHES,
    ResultCode.FLOW_CONTROL_ERROR: _ALL,
    ResultCode.INVALID_INSTANCE_ID: _INSTANCES,
    ResultCode.INVALID_TENANT_ID: _INSTANCES,
    ResultCode.SYSTEM_ERROR: _ALL,
}
"""The actions that can give a code. A code that is not here is given by none."""

FILE = "tests/sdk/test_every_action.py"
_OF_ALL: Mapping[ResultCode, tuple[str, ...]] = {
    ResultCode.SUCCESS: (f"{FILE}::test_typed_request_and_answer",),
    ResultCode.REQUEST_SHOULD_BE_UTF8: (f"{FILE}::test_text_that_is_not_utf8",),
    ResultCode.SYSTEM_ERROR: ("tests/contract/test_store_away.py::test_system_error",),
}
"""Tests that try a code with every action."""


def codes_of(action: str) -> list[ResultCode]:
    """The codes that an action can give, in the order of the table of codes."""
    return [code for code in ResultCode if action in GIVEN.get(code, ())]


def tests_of_version(action: str, version: str) -> list[str]:
    """The tests that try an action under a version of the API."""
    return [f"{FILE}::test_version[{action}-{version}]"] if action in EVERY and version in VERSIONS else []


def tests_of_parameter(action: str, parameter: str) -> list[str]:
    """The tests that send a parameter of an action: the one in which all is well, then those that are refused."""
    if parameter not in EVERY.get(action, {}):
        return []
    refused = (case.name for case in REFUSALS if case.action == action and parameter in case.changed)
    return [f"{FILE}::test_typed_request_and_answer[{action}]", *_refusals(refused)]


def tests_of_code(action: str, code: ResultCode) -> list[str]:
    """The tests in which an action gives a code."""
    refused = (case.name for case in REFUSALS if (case.action, case.code) == (action, code.code))
    return [*(f"{test}[{action}]" for test in _OF_ALL.get(code, ())), *_refusals(refused)]


def _refusals(names: Iterator[str]) -> list[str]:
    # test_typed_refusal has the same names.
    return [f"{FILE}::test_refusal[{name}]" for name in names]
