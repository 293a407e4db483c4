from __future__ import annotations

from typing import Any

import pytest

from clarion.openapi.envelopes import Envelope
from clarion.results import ResultCode


@pytest.mark.parametrize(
    ("envelope", "members", "answer"),
    [
        (
            Envelope.PUSH,
            {"Data": "20842863"},
            {
                "RequestId": "R",
                "ResultCode": "OK",
                "ResultMessage": "success",
                "PushResult": {"Success": True, "ResultMsg": "success", "Data": "20842863"},
            },
        ),
        (
            Envelope.PUSH,
            None,
            {
                "RequestId": "R",
                "ResultCode": "OK",
                "ResultMessage": "success",
                "PushResult": {"Success": True, "ResultMsg": "success"},
            },
        ),
        (
            Envelope.QUERY,
            {"ResultContent": {"Data": []}},
            {"RequestId": "R", "ResultCode": "OK", "ResultMessage": "success", "ResultContent": {"Data": []}},
        ),
        (
            Envelope.TEMPLATE,
            {"Data": "9108", "TotalSize": 1},
            {"RequestId": "R", "Success": True, "Code": "100", "Msg": "SUCCESS", "Data": "9108", "TotalSize": 1},
        ),
        (
            Envelope.DEVICE_STATE,
            {"Data": {"Statue": "ONLINE"}},
            {
                "RequestId": "R",
                "Success": True,
                "Code": "100",
                "Message": "SUCCESS",
                "Data": {"Statue": "ONLINE"},
            },
        ),
    ],
)
def test_success(envelope: Envelope, members: dict[str, Any] | None, answer: dict[str, Any]) -> None:
    built = envelope.success("R", members)
    assert built == answer
    assert next(iter(built)) == "RequestId"
    assert built.get("ResultCode", built.get("Code")) == envelope.success_code


@pytest.mark.parametrize(
    ("envelope", "answer"),
    [
        (
            Envelope.PUSH,
            {
                "RequestId": "R",
                "ResultCode": "3028",
                "ResultMessage": "param is invalid",
                "PushResult": {"Success": False, "ResultMsg": "param is invalid"},
            },
        ),
        (Envelope.QUERY, {"RequestId": "R", "ResultCode": "3028", "ResultMessage": "param is invalid"}),
        (Envelope.TEMPLATE, {"RequestId": "R", "Success": False, "Code": "3028", "Msg": "param is invalid"}),
        (
            Envelope.DEVICE_STATE,
            {"RequestId": "R", "Success": False, "Code": "3028", "Message": "param is invalid"},
        ),
    ],
)
def test_refusal(envelope: Envelope, answer: dict[str, Any]) -> None:
    assert envelope.refusal("R", ResultCode.INVALID_PARAM, "param is invalid") == answer


@pytest.mark.parametrize("envelope", [Envelope.PUSH, Envelope.QUERY])
def test_no_code_at_the_top(envelope: Envelope) -> None:
    assert "Code" not in envelope.success("R", None)
    assert "Code" not in envelope.refusal("R", ResultCode.SYSTEM_ERROR, "system error")
