"""When the one that takes receipts fails: vendors are asked to come again, and no address is logged."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from clarion.failures import StoreUnavailable
from clarion.web.application import Application
from clarion.web.server import Receive, Scope, Send


class _Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise self._error


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError(f"{scope['path']} is not for this one")


@pytest.mark.parametrize(
    ("error", "status"), [(StoreUnavailable("the disk is full"), 503), (RuntimeError("a fault"), 500)]
)
async def test_a_vendor_is_asked_to_come_again(error: Exception, status: int) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError

    application = Application(_nothing, _nothing, _Failing(error), None, {})
    with capture_logs() as logs:
        await application({"path": "/receipts/hms/1/the-secret", "method": "POST"}, receive, send)
    assert sent[0]["status"] == status
    assert "the-secret" not in str(logs)
