"""What devices call over HTTP: `POST /device/register` and `GET /device/link` (docs/link-protocol.md)."""

from __future__ import annotations

import msgspec

from clarion.channels.registry import PLATFORMS
from clarion.clock import Clock
from clarion.devices.service import DeviceService
from clarion.link.registration import (
    RegistrationAnswer,
    RegistrationFault,
    RegistrationRequest,
    verify_registration,
)
from clarion.openapi.nonces import NonceJournal, NonceMemory
from clarion.tenants.directory import Directory
from clarion.web.answers import BodyTooLarge, answer_json, header, read_body, refuse
from clarion.web.server import Receive, Scope, Send

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
        nonces: refuses a registration that comes twice.
        journal: makes those nonces last.
        clock: for the freshness of registrations.
        link: the address that devices are told.
        body_seconds: how long a client may take to send a body.
    """

    def __init__(
        self,
        directory: Directory,
        devices: DeviceService,
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request under `/device/`."""
        path, method = scope["path"], scope["method"]
        if path == "/device/link" and method == "GET":
            await answer_json(send, 200, {"link": self._link.for_request(scope)})
        elif path == "/device/register" and method == "POST":
            await self._register(scope, receive, send)
        elif path in ("/device/link", "/device/register"):
            await refuse(send, 405, "MethodNotAllowed", f"{path} does not take {method}")
        else:
            await refuse(send, 404, "NotFound", "there are /device/register (POST) and /device/link (GET)")

    async def _register(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = _decode(await read_body(receive, _MAX_BODY, self._body_seconds))
        except BodyTooLarge as error:
            await refuse(send, 413, "BodyTooLarge", str(error))
            return
        except TimeoutError:
            await refuse(send, 408, "RequestTimeout", "the body did not arrive in time")
            return
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            await refuse(send, 400, "InvalidRequest", str(error))
            return
        app = await self._directory.find_app(request.app_id, request.workspace_id)
        if app is None:
            await refuse(send, 404, "UnknownApp", "no app has this appId and workspaceId")
            return
        fault = verify_registration(request, app.secret, self._clock.now_ms())
        if fault is not None:
            await refuse(send, 403, _FAULTS[fault], fault.value)
            return
        nonce = self._nonces.claim(f"app/{app.key}", request.nonce)
        if nonce is None:
            await refuse(send, 403, "NonceUsed", "this registration came before; make a new nonce")
            return
        self._journal.note(nonce, self._clock.now_ms())
        made = await self._devices.register(app.key, PLATFORMS[request.platform.value])
        await answer_json(send, 200, RegistrationAnswer(made.token, made.secret, self._link.for_request(scope)))
