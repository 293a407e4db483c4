"""What devices tell over HTTP of messages that they have: `POST /device/report` (docs/link-protocol.md)."""

from __future__ import annotations

import msgspec

from clarion.delivery.ledger import EventKind
from clarion.devices.reporting import DeviceReporting, ToldEvent
from clarion.link.reporting import ReportAnswer, ReportedEvent, ReportedKind, ReportRequest, verify_report
from clarion.web.answers import answer_json, read_json
from clarion.web.device_callers import DeviceCallers
from clarion.web.server import Receive, Scope, Send

_MAX_BODY = 64 * 1024
_KINDS = {
    ReportedKind.ARRIVE: EventKind.ARRIVE,
    ReportedKind.OPEN: EventKind.OPEN,
    ReportedKind.IGNORE: EventKind.IGNORE,
}
_decode = msgspec.json.Decoder(ReportRequest).decode


class DeviceReports:
    """Serves `/device/report`.

    Args:
        callers: finds who calls.
        reporting: records.
        body_seconds: how long a client may take to send a body.
    """

    def __init__(self, callers: DeviceCallers, reporting: DeviceReporting, body_seconds: float) -> None:
        self._callers = callers
        self._reporting = reporting
        self._body_seconds = body_seconds

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            HttpRefusal: it is turned down.
        """
        request = await read_json(receive, _MAX_BODY, self._body_seconds, _decode)
        reporter = await self._callers.admit(request, verify_report)
        recorded = await self._reporting.record(reporter, [_told(event) for event in request.events])
        await answer_json(send, 200, ReportAnswer(recorded))


def _told(event: ReportedEvent) -> ToldEvent:
    message = None if event.id is None else int(event.id)
    return ToldEvent(_KINDS[event.kind], message, event.msg_key, event.at)
