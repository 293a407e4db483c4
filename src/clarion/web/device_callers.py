"""Who calls: requests that a device signs, each carried out once (docs/link-protocol.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from clarion.clock import Clock
from clarion.devices.reporting import DeviceReporting, Reporter
from clarion.link.reporting import ReportFault, SignedRequest
from clarion.openapi.nonces import NonceJournal, NonceMemory
from clarion.tenants.directory import Directory
from clarion.web.answers import HttpRefusal

R = TypeVar("R", bound=SignedRequest)
Verify = Callable[[R, bytes, int], ReportFault | None]
"""What is wrong with a request, by the secret that it must be signed with and the server's clock (ms)."""

_FAULTS = {ReportFault.EXPIRED: "TimestampExpired", ReportFault.BAD_SIGNATURE: "SignatureDoesNotMatch"}


class DeviceCallers:
    """Finds the device that signed a request.

    Args:
        directory: finds apps and their secrets.
        reporting: finds devices.
        nonces: refuses a request that comes twice.
        journal: makes those nonces last.
        clock: for the freshness of requests.
    """

    def __init__(
        self,
        directory: Directory,
        reporting: DeviceReporting,
        nonces: NonceMemory,
        journal: NonceJournal,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._reporting = reporting
        self._nonces = nonces
        self._journal = journal
        self._clock = clock

    async def admit(self, request: R, verify: Verify[R]) -> Reporter:
        """The device that sent a request, which is genuine and new.

        Raises:
            HttpRefusal: it is not, or there is no such app or device.
        """
        app = await self._directory.find_app(request.app_id, request.workspace_id)
        if app is None:
            raise HttpRefusal(404, "UnknownApp", "no app has this appId and workspaceId")
        reporter = await self._reporting.find(app.key, request.token)
        secret = reporter.secret if reporter is not None and reporter.secret is not None else app.secret
        fault = verify(request, secret, self._clock.now_ms())
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
        return reporter
