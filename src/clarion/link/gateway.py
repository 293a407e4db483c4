"""The link's backend over the capabilities: devices and their inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from clarion.channels.registry import BY_LABEL, Channel
from clarion.delivery.inbox import Inbox
from clarion.delivery.ledger import EventKind as Told
from clarion.delivery.reports import Reports
from clarion.delivery.states import Stage
from clarion.devices.model import DeviceDetails, check_phone, check_user, vendor_token
from clarion.devices.service import DeviceService
from clarion.link.backend import DeviceIdentity, EventKind, InboxEntry, VendorReport
from clarion.observability.metrics import Metrics
from clarion.results import Refusal, ResultCode
from clarion.tenants.directory import Directory
from clarion.text import is_text

log = structlog.get_logger(__name__)

_TOLD = {EventKind.OPEN: Told.OPEN, EventKind.IGNORE: Told.IGNORE}


class StoreBackend:
    """`LinkBackend` over the store.

    Args:
        directory: finds apps.
        devices: identifies and binds devices.
        inbox: what devices are owed.
        reports: records what users did with their messages.
        metrics: counts messages.
    """

    def __init__(
        self, directory: Directory, devices: DeviceService, inbox: Inbox, reports: Reports, metrics: Metrics
    ) -> None:
        self._directory = directory
        self._devices = devices
        self._inbox = inbox
        self._reports = reports
        self._metrics = metrics

    async def identify(self, app_id: str, workspace_id: str, token: str) -> DeviceIdentity | None:
        app = await self._directory.find_app(app_id, workspace_id)
        if app is None or not is_text(token):
            return None
        found = await self._devices.identify(app.key, token)
        return DeviceIdentity(found.device, found.app, found.secret, found.user_id) if found else None

    async def inbox(self, device: int, after: int, limit: int) -> Sequence[InboxEntry]:
        return [InboxEntry(*owed) for owed in await self._inbox.owed(device, after, limit)]

    def acked(self, device: int, messages: Sequence[int]) -> asyncio.Future[None]:
        self._metrics.link_acked.inc(len(messages))
        return self._inbox.acked(device, messages)

    async def event(self, device: int, message: int, kind: EventKind) -> None:
        await self._reports.reported(device, message, _TOLD[kind])

    async def bind(self, device: int, user_id: str, phone: str | None) -> None:
        await self._devices.bind_device(device, check_user(user_id), check_phone(phone))

    async def unbind(self, device: int, user_id: str) -> None:
        await self._devices.unbind_device(device, check_user(user_id))

    async def report(self, device: int, report: VendorReport) -> None:
        channel = BY_LABEL.get(report.channel)
        if channel is None or channel is Channel.LINK:
            known = ", ".join(label for label in BY_LABEL if label != Channel.LINK.label)
            raise Refusal(ResultCode.INVALID_PARAM, f"channel must be one of {known}")
        address = vendor_token(channel.third_channel, report.vendor_token)
        details = DeviceDetails(
            model=report.model or "", app_version=report.app_version or "", os_version=report.os_version or ""
        )
        await self._devices.report_device(device, address, details)

    def sent(self, device: int, messages: Sequence[int]) -> None:
        self._metrics.link_sent.inc(len(messages))
        # Only the trace waits for it; a lost "sent" is no lost message.
        self._inbox.sent(device, messages).add_done_callback(_note_failure)


def _note_failure(future: asyncio.Future[None]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.warning("trace_not_written", stage=Stage.SENT.value, error=type(error).__name__)
