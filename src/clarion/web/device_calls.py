"""What devices call over HTTP (docs/link-protocol.md): the paths, and registration."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from clarion.channels.registry import PLATFORMS
from clarion.clock import Clock
from clarion.devices.activities import ActivityService
from clarion.devices.reporting import DeviceReporting
from clarion.devices.service import DeviceService
from clarion.link.registration import (
    RegistrationAnswer,
    RegistrationFault,
    RegistrationRequest,
    verify_registration,
)
from clarion.openapi.nonces import NonceJournal, NonceMemory
from clarion.tenants.directory import Directory
from clarion.web.answers import HttpRefusal, answer_json, header, read_json, refuse
from clarion.web.device_activities import DeviceActivities
from clarion.web.device_callers import DeviceCallers
from clarion.web.device_reports import DeviceReports
from clarion.web.server import AsgiApp, Receive, Scope, Send

_MAX_BODY = 16 * 1024
_FAULTS = {RegistrationFault.EXPIRED: "TimestampExpired", RegistrationFault.BAD_SIGNATURE: "SignatureDoesNotMatch"}
_decode = msgspec.json.Decoder(RegistrationRequest).decode


class LinkAddress:
    """Where devices connect: the configured address, or the host of the request with the link's port.

    Args:
        configured: `ws://…` or `wss://…`; empty to derive it.
        secure: whether the link port speaks TLS.
    """

    def __init__(self, configured: str, *, secure: bool) -> None:
        self._configured = configured
        self._scheme = "wss" if secure else "ws"
        self.port = 0

    def for_request(self, scope: Scope) -> str:
        """The address to give to the client of this request."""
        if self._configured:
            return self._configured
        host = header(scope, b"host") or "127.0.0.1"
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return f"{self._scheme}://{name}:{self.port}/link"


class DeviceCalls:
    """Serves the paths under `/device/`.

    Args:
        directory: finds apps and their secrets.
        devices: registers devices.
        activities: keeps the push tokens of live activities.
        reporting: finds devices, and records what they tell of messages.
        nonces: refuses a request that comes twice.
        journal: makes those nonces last.
        clock: for the freshness of requests.
        link: the address that devices are told.
        body_seconds: how long a client may take to send a body.
    """

    def __init__(
        self,
        directory: Directory,
        devices: DeviceService,
        activities: ActivityService,
        reporting: DeviceReporting,
        nonces: NonceMemory,
        journal: NonceJournal,
        clock: Clock,
        link: LinkAddress,
        body_seconds: float,
    ) -> None:
        self._directory = directory
        self._devices = devices
        self._nonces = nonces
        self._journal = journal
        self._clock = clock
        self._link = link
        self._body_seconds = body_seconds
        callers = DeviceCallers(directory, reporting, nonces, journal, clock)
        reports = DeviceReports(callers, reporting, body_seconds)
        self._paths: Mapping[str, tuple[str, AsgiApp]] = {
            "/device/register": ("POST", self._register),
            "/device/report": ("POST", reports),
            "/device/activity": ("POST", DeviceActivities(callers, activities, body_seconds)),
            "/device/link": ("GET", self._tell_link),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request under `/device/`."""
        try:
            await self._serve(scope, receive, send)
        except HttpRefusal as refusal:
            await refuse(send, refusal.status, refusal.code, refusal.message)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path not in self._paths:
            known = ", ".join(f"{path} ({method})" for path, (method, _) in self._paths.items())
            raise HttpRefusal(404, "NotFound", f"there are {known}")
        taken, serve = self._paths[path]
        if method != taken:
            raise HttpRefusal(405, "MethodNotAllowed", f"{path} does not take {method}")
        await serve(scope, receive, send)

    async def _tell_link(self, scope: Scope, _: Receive, send: Send) -> None:
        await answer_json(send, 200, {"link": self._link.for_request(scope)})

    async def _register(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await read_json(receive, _MAX_BODY, self._body_seconds, _decode)
        app = await self._directory.find_app(request.app_id, request.workspace_id)
        if app is None:
            raise HttpRefusal(404, "UnknownApp", "no app has this appId and workspaceId")
        fault = verify_registration(request, app.secret, self._clock.now_ms())
        if fault is not None:
            raise HttpRefusal(403, _FAULTS[fault], fault.value)
        nonce = self._nonces.claim(f"app/{app.key}", request.nonce)
        if nonce is None:
            raise HttpRefusal(403, "NonceUsed", "this registration came before; make a new nonce")
        self._journal.note(nonce, self._clock.now_ms())
        made = await self._devices.register(app.key, PLATFORMS[request.platform.value])
        await answer_json(send, 200, RegistrationAnswer(made.token, made.secret, self._link.for_request(scope)))
