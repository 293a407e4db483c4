"""What devices tell over HTTP of messages that they have: `POST /device/report` (docs/link-protocol.md)."""

from __future__ import annotations

import msgspec

from clarion.clock import Clock
from clarion.delivery.ledger import EventKind
from clarion.devices.reporting import DeviceReporting, ToldEvent
from clarion.link.reporting import (
    ReportAnswer,
    ReportedEvent,
    ReportedKind,
    ReportFault,
    ReportRequest,
    verify_report,
)
from clarion.openapi.nonces import NonceJournal, NonceMemory
from clarion.tenants.directory import Directory
from clarion.web.answers import HttpRefusal, answer_json, read_json
from clarion.web.server import Receive, Scope, Send

_MAX_BODY = 64 * 1024
_FAULTS = {ReportFault.EXPIRED: "TimestampExpired", ReportFault.BAD_SIGNATURE: "SignatureDoesNotMatch"}
_KINDS = {
    ReportedKind.ARRIVE: EventKind.ARRIVE,
    ReportedKind.OPEN: EventKind.OPEN,
    ReportedKind.IGNORE: EventKind.IGNORE,
}
_decode = msgspec.json.Decoder(ReportRequest).decode


class DeviceReports:
    """Serves `/device/report`.

    Args:
        directory: finds apps and their secrets.
        reporting: finds devices, and records.
        nonces: refuses a request that comes twice.
        journal: makes those nonces last.
        clock: for the freshness of requests.
        body_seconds: how long a client may take to send a body.
    """

    def __init__(
        self,
        directory: Directory,
        reporting: DeviceReporting,
        nonces: NonceMemory,
        journal: NonceJournal,
        clock: Clock,
        body_seconds: float,
    ) -> None:
        self._directory = directory
        self._reporting = reporting
        self._nonces = nonces
        self._journal = journal
        self._clock = clock
        self._body_seconds = body_seconds

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            HttpRefusal: it is turned down.
        """
        request = await read_json(receive, _MAX_BODY, self._body_seconds, _decode)
        app = await self._directory.find_app(request.app_id, request.workspace_id)
        if app is None:
            raise HttpRefusal(404, "UnknownApp", "no app has this appId and workspaceId")
        reporter = await self._reporting.find(app.key, request.token)
        secret = reporter.secret if reporter is not None and reporter.secret is not None else app.secret
        fault = verify_report(request, secret, self._clock.now_ms())
        if fault is not None:
            raise HttpRefusal(403, _FAULTS[fault], fault.value)
        if reporter is None:
            raise HttpRefusal(
                404, "UnknownDevice", "no device of the app has this token; register or report it first"
            )
        nonce = self._nonces.claim(f"device/{reporter.device}", request.nonce)
        if nonce is None:
            raise HttpRefusal(403, "NonceUsed", "this report came before; make a new nonce")
        self._journal.note(nonce, self._clock.now_ms())
        recorded = await self._reporting.record(reporter, [_told(event) for event in request.events])
        await answer_json(send, 200, ReportAnswer(recorded))


def _told(event: ReportedEvent) -> ToldEvent:
    message = None if event.id is None else int(event.id)
    return ToldEvent(_KINDS[event.kind], message, event.msg_key, event.at)
