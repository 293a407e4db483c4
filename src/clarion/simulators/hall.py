"""The host of all simulators: ports, certificates, credentials, journal and faults."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, cast

from aiohttp import web

from clarion.clock import Clock, SystemClock
from clarion.simulators import registry
from clarion.simulators.authority import Authority
from clarion.simulators.base import Accredited, Configurable, Simulator, Surroundings
from clarion.simulators.control import Control
from clarion.simulators.credentials import Credentials
from clarion.simulators.desk import Desk
from clarion.simulators.faults import FaultBook
from clarion.simulators.http1 import serve
from clarion.simulators.http2 import Http2Protocol
from clarion.simulators.journal import Journal
from clarion.simulators.receipts import ReceiptSender

_STOP_SECONDS = 1.0


class Hall:
    """Simulators on sockets; `async with Hall() as hall:` starts and ends them.

    The ones that speak HTTP/1.1 are below `/<label>` on the common port, without TLS; each that speaks HTTP/2 has a
    port of its own with TLS, whose certificate an authority signed that is made for this purpose.

    Args:
        host: address to listen on.
        port: the common port; those with TLS take the ones after it. 0: free ones.
        labels: which simulators; all that there are if None.
        folder: where the authority and the credentials are kept, and found again by a later hall; None for a
            temporary folder.
        strict: whether senders have to use the credentials in that folder, or others that were registered.
        clock: time.

    Attributes:
        journal: what arrived.
        faults: what goes wrong.
        simulators: by label.
        urls: base URLs by label; there after the start.
        receipts: makes the simulators' callbacks.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        labels: Iterable[str] | None = None,
        folder: Path | None = None,
        strict: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._clock = clock or SystemClock()
        self._temporary = TemporaryDirectory(prefix="clarion-simulate-") if folder is None else None
        self.folder = folder or Path(self._temporary.name if self._temporary else "")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._credentials = Credentials(self.folder)
        self._authority = Authority(self.folder, datetime.now(UTC))  # TLS goes by the machine's clock
        self.journal = Journal(self._clock)
        self.faults = FaultBook()
        self.receipts = ReceiptSender()
        self.simulators: dict[str, Simulator] = {
            label: registry.create(
                label, Surroundings(self._clock, self.faults, self._credentials.read(label), strict)
            )
            for label in (registry.available() if labels is None else labels)
        }
        self.urls: dict[str, str] = {}
        self._desks = {label: Desk(it, self.faults, self.journal) for label, it in self.simulators.items()}
        self._connections: set[Http2Protocol] = set()
        self._runners: list[web.AppRunner] = []
        self._servers: list[asyncio.Server] = []
        self._handlers: list[web.Server] = []

    @property
    def ca_file(self) -> Path:
        """PEM of the authority that clients have to trust."""
        return self._authority.ca_file

    @property
    def control(self) -> str:
        """URL of the host's own calls."""
        return f"http://{_bracketed(self._host)}:{self._port}"

    def url(self, label: str) -> str:
        """Base URL of a simulator."""
        return self.urls[label]

    def credentials(self, label: str) -> dict[str, Any]:
        """The contents of a channel file that a simulator accepts; as it was written at the start."""
        return self._credentials.read(label)

    def configure(self, label: str, settings: Mapping[str, Any]) -> None:
        """Set a simulator while it runs; for its connections too.

        Raises:
            ValueError: it has no such settings.
        """
        simulator = self.simulators[label]
        if not isinstance(simulator, Configurable):
            raise ValueError(f"the simulator {label!r} has no settings")  # noqa: TRY004
        simulator.configure(settings)
        for connection in tuple(self._connections):
            connection.refresh_limit()

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: an address is taken.
        """
        port = self._port
        await self._serve_common()
        for label in self.simulators:
            entry = registry.SIMULATORS[label]
            if entry.protocols:
                port = port + 1 if port else 0
                await self._serve_tls(label, entry, port)
            else:
                self.urls[label] = f"{self.control}/{label}"
        for label, simulator in self.simulators.items():
            if isinstance(simulator, Accredited):
                tls = self.urls[label].startswith("https:")
                self._credentials.write(
                    label, simulator.credentials(self.urls[label]), self.ca_file if tls else None
                )
                if registry.SIMULATORS[label].certificates:
                    self._credentials.write_certificate(label, self._authority)

    async def stop(self) -> None:
        """End all connections and listen no more."""
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections):
            connection.close()
        for handler in self._handlers:
            await handler.shutdown(_STOP_SECONDS)
        for runner in self._runners:
            await runner.cleanup()
        await self.receipts.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def _serve_common(self) -> None:
        application = web.Application()
        application.add_routes(Control(self).routes())
        application.router.add_route("*", "/{label}{path:(/.*)?}", self._answer)
        runner = web.AppRunner(
            application, handler_cancellation=True, access_log=None, shutdown_timeout=_STOP_SECONDS
        )
        self._runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._port)
        await site.start()
        self._port = runner.addresses[0][1]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        label = request.match_info["label"]
        desk = self._desks.get(label)
        if desk is None or registry.SIMULATORS[label].protocols:
            raise web.HTTPNotFound(text=f"no simulator is here; see {self.control}/")
        return await serve(request, request.path.removeprefix(f"/{label}") or "/", desk, self.receipts)

    async def _serve_tls(self, label: str, entry: registry.Entry, port: int) -> None:
        desk = self._desks[label]
        factories: dict[str, Callable[[], asyncio.Protocol]] = {
            "h2": lambda: Http2Protocol(desk, self.receipts, self._connections)
        }
        if "http/1.1" in entry.protocols:

            async def answer(request: web.BaseRequest) -> web.StreamResponse:
                return await serve(request, request.path, desk, self.receipts)

            handler = web.Server(answer, handler_cancellation=True, access_log=None)
            self._handlers.append(handler)
            factories["http/1.1"] = handler
        context = self._authority.server_context(self._host, entry.protocols, certificates=entry.certificates)
        server = await asyncio.get_running_loop().create_server(
            lambda: _Negotiated(factories, entry.protocols[-1]), self._host, port, ssl=context
        )
        self._servers.append(server)
        self.urls[label] = f"https://{_bracketed(self._host)}:{server.sockets[0].getsockname()[1]}"


class _Negotiated(asyncio.Protocol):
    """Hands a connection to the protocol that was chosen in the TLS handshake, or to `default` if none was.

    Some senders choose none and speak HTTP/2 all the same, and APNs does not mind.
    """

    def __init__(self, factories: Mapping[str, Callable[[], asyncio.Protocol]], default: str) -> None:
        self._factories = factories
        self._default = default

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        session: ssl.SSLObject = transport.get_extra_info("ssl_object")
        protocol = self._factories[session.selected_alpn_protocol() or self._default]()
        cast(asyncio.Transport, transport).set_protocol(protocol)
        protocol.connection_made(transport)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
