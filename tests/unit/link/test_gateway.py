from __future__ import annotations

from typing import Any, cast

from clarion.channels.registry import Channel
from clarion.devices.model import DeviceDetails, VendorToken
from clarion.link.backend import VendorReport
from clarion.link.gateway import StoreBackend


class Devices:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.reports: list[tuple[Any, ...]] = []

    async def report_device(self, *report: Any) -> None:
        self.reports.append(report)


class Apps:
    """Knows every app."""

    async def find_app(self, *_: str) -> object:
        return object()


async def test_a_token_that_no_database_can_hold_is_nobody_s() -> None:
    backend = StoreBackend(cast(Any, Apps()), cast(Any, None), cast(Any, None), cast(Any, None), cast(Any, None))
    assert await backend.identify("app", "ws", "\0") is None


async def test_a_report_is_handed_on_whole() -> None:
    devices = Devices()
    backend = StoreBackend(cast(Any, None), cast(Any, devices), cast(Any, None), cast(Any, None), cast(Any, None))
    report = VendorReport(channel="hms", vendor_token="t", model="P60", app_version="2.1", os_version="4.2")
    await backend.report(7, report)
    details = DeviceDetails(model="P60", app_version="2.1", os_version="4.2")
    assert devices.reports == [(7, VendorToken(Channel.HMS, "t"), details)]
