"""The composition root: what a server consists of, in the order in which it is built."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import structlog

from clarion.analytics.service import AnalyticsService
from clarion.callbacks.outbox import Outbox
from clarion.callbacks.sender import Sender
from clarion.channels.registry import Channel
from clarion.delivery.maintenance import Maintenance
from clarion.delivery.revocations import Revocations
from clarion.delivery.sms.receipts import SmsReceipts
from clarion.delivery.vendors.arrivals import Arrivals
from clarion.delivery.vendors.figures import line_figures
from clarion.delivery.vendors.intake import Intake
from clarion.delivery.vendors.lines import VendorRecaller
from clarion.devices.activities import ActivityService
from clarion.devices.reporting import DeviceReporting
from clarion.devices.service import DeviceService
from clarion.engine import Engine
from clarion.failures import ConfigurationError, StoreUnavailable
from clarion.foundation import Foundation, claim_data_directory
from clarion.ids import IdGenerator
from clarion.jobs import (
    Jobs,
    activity_job,
    background_jobs,
    broadcast_jobs,
    process_name,
    schedule_jobs,
    sms_job,
    vendor_jobs,
)
from clarion.link.gateway import StoreBackend
from clarion.link.hub import Hub
from clarion.link.limits import LinkLimits
from clarion.link.listener import LinkServer, serve
from clarion.observability.lines import LineCollector, LineFigures
from clarion.observability.metrics import Metrics
from clarion.openapi.actions.analytics import analytics_actions
from clarion.openapi.actions.devices import device_actions
from clarion.openapi.actions.pushes import push_actions
from clarion.openapi.actions.revocation import revocation_actions
from clarion.openapi.actions.schedules import schedule_actions
from clarion.openapi.actions.templates import template_actions
from clarion.openapi.authentication import Authenticator
from clarion.openapi.endpoint import RequestLog, RpcEndpoint
from clarion.openapi.nonces import NonceMemory
from clarion.openapi.registry import Registry
from clarion.openapi.throttle import Throttle
from clarion.pushes.launch import Launcher
from clarion.pushes.rules import Limits
from clarion.pushes.service import PushService
from clarion.receipts.desk import Desk
from clarion.revocation.service import RevocationService
from clarion.schedules.scheduler import Scheduler
from clarion.schedules.service import ScheduleService
from clarion.settings import PartOfServer
from clarion.store.facts import answers, largest_id
from clarion.store.group import GroupWriter
from clarion.store.nonces import NonceJournal, stored_nonces
from clarion.templates.service import TemplateService
from clarion.tenants.receipts import Recipients
from clarion.web.application import Application
from clarion.web.device_calls import DeviceCalls, LinkAddress
from clarion.web.protocol import HttpLimits
from clarion.web.server import HttpServer
from clarion.web.tls import server_tls
from clarion.web.vendor_receipts import VendorReceipts

log = structlog.get_logger(__name__)

_NONCE_SECONDS = 1800
_LINK_SPREAD_SECONDS = 2.0
_CALLBACK_DRAIN_SECONDS = 2.0  # a call that is cut off is made again


class Server:
    """A running node.

    Args:
        foundation: database and secrets; closed by `stop`.
        request_log: writes the line of each request; structlog by default.

    Attributes:
        http: the API port; None without the role `api`.
        link: the device link; None without the role `link`.
    """

    def __init__(self, foundation: Foundation, request_log: RequestLog | None = None) -> None:
        self._request_log = request_log
        settings, clock = foundation.settings, foundation.clock
        self._foundation = foundation
        self._owner = process_name()
        self.http: HttpServer | None = None
        self.link: LinkServer | None = None
        self._application: Application | None = None
        self._claim: int | None = None
        self._engine: Engine | None = None
        self._jobs = Jobs()

        self._writer = GroupWriter(foundation.database)
        self._directory = foundation.directory
        self._nonces = NonceMemory(clock, foundation.nonce_key, _NONCE_SECONDS)
        self._hub = Hub()
        self._ssl = server_tls(settings)
        self._link_address = LinkAddress(settings.public_link_url, secure=self._ssl is not None)

    async def start(self) -> None:
        """Recall what the last run left, then listen.

        Raises:
            ConfigurationError: a port or the data directory is in use, or a file is missing.
            StoreUnavailable: the database cannot be reached.
        """
        foundation, settings = self._foundation, self._foundation.settings
        database, vault, clock = foundation.database, foundation.vault, foundation.clock
        self._claim = claim_data_directory(Path(settings.data_dir))
        ids = IdGenerator(clock, floor=await largest_id(database))
        await self._directory.refresh()
        await self._restore_nonces()

        journal = NonceJournal(self._writer, ids, clock)
        engine = self._engine = Engine(foundation, self._directory, self._writer, self._hub, ids, self._owner)
        await engine.open()
        devices = DeviceService(
            database, self._writer, vault, ids, clock, self._hub, engine.binder, engine.broadcasts.joins
        )
        activities = ActivityService(self._writer, ids, clock, engine.binder)
        templates = TemplateService(database, self._directory, ids, clock)
        launcher = Launcher(self._writer, engine.acceptance, engine.dispatcher, engine.broadcasts, ids, clock)
        due = asyncio.Event()
        schedules = ScheduleService(database, self._writer, clock, due.set)
        pushes = PushService(
            self._directory, templates, launcher, schedules, Limits(settings.max_expired_seconds), clock
        )
        analytics = AnalyticsService(database, self._writer, clock)
        revocations = RevocationService(
            self._directory,
            database,
            clock,
            Revocations(self._writer, ids, clock, engine.ledger, self._hub, engine.recalls),
            {channel: VendorRecaller(engine.lines, channel.label) for channel in Channel},
            engine.broadcasts,
        )
        registry = Registry(
            [
                *push_actions(pushes),
                *revocation_actions(revocations),
                *device_actions(self._directory, devices),
                *template_actions(self._directory, templates),
                *schedule_actions(self._directory, schedules),
                *analytics_actions(self._directory, analytics),
            ]
        )
        metrics = Metrics(action.name for action in registry)
        self._add_gauges(metrics)

        if PartOfServer.API in settings.roles:
            rpc = RpcEndpoint(
                registry,
                Authenticator(self._directory, self._nonces, journal, clock),
                Throttle(
                    self._directory,
                    clock,
                    key_rate=settings.key_requests_per_second,
                    app_rate=settings.app_requests_per_second,
                ),
                clock,
                observe=metrics.observe_request,
                log=self._request_log,
                body_seconds=settings.body_timeout,
            )
            self._application = Application(
                rpc,
                DeviceCalls(
                    self._directory,
                    devices,
                    activities,
                    DeviceReporting(database, vault, engine.reports),
                    self._nonces,
                    journal,
                    clock,
                    self._link_address,
                    settings.body_timeout,
                ),
                VendorReceipts(self._receipt_desk(engine, ids, metrics), settings.body_timeout),
                metrics if settings.metrics else None,
                {"database": self._check_database, "writes": self._check_writes},
            )
            self.http = HttpServer(self._application, rpc, self._http_limits, clock)
        backend = StoreBackend(self._directory, devices, engine.inbox, engine.reports, metrics)
        maintenance = Maintenance(database, self._writer, self._hub, clock, engine.ledger, settings.retention_days)
        await self._listen(backend)
        self._jobs.start(
            background_jobs(
                maintenance,
                engine.recalls,
                analytics,
                self._directory,
                journal,
                self._hub,
                database,
                clock,
                metrics,
                self._callbacks(metrics),
            )
        )
        works = PartOfServer.WORKER in settings.roles
        self._jobs.start(broadcast_jobs(engine.broadcasts, works=works))
        if works:
            self._jobs.start(
                [
                    *vendor_jobs(engine.lines, engine.feeder, engine.broadcast_recalls),
                    sms_job(engine.supplements),
                    activity_job(activities),
                ]
            )
        if PartOfServer.SCHEDULER in settings.roles:
            scheduler = Scheduler(
                database, self._writer, launcher, self._directory, clock, self._owner, due, metrics.observe_fire
            )
            self._jobs.start(schedule_jobs(scheduler, schedules, settings.retention_days))

    async def stop(self) -> None:
        """Take no more work, finish what is in hand, put everything on disk."""
        drain = self._foundation.settings.drain_seconds
        if self._application is not None:
            self._application.draining = True
        if self.http is not None:
            await self.http.close(drain)
        if self.link is not None:
            await self.link.close(min(drain, _LINK_SPREAD_SECONDS))
        await self._jobs.stop()
        if self._engine is not None:
            await self._engine.close(drain)
        await self._writer.drain()
        await self._foundation.database.close()
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    @property
    def addresses(self) -> dict[str, str]:
        """What the ready line shows: addresses by name."""
        settings = self._foundation.settings
        scheme = "https" if self._ssl else "http"
        found = {}
        if self.http is not None:
            found["api"] = f"{scheme}://{_in_url(settings.host)}:{self.http.port}"
        if self.link is not None:
            host = _in_url(settings.link_host or settings.host)
            found["link"] = f"{'wss' if self._ssl else 'ws'}://{host}:{self.link.port}/link"
        return found

    async def _restore_nonces(self) -> None:
        since = self._foundation.clock.now_ms() - _NONCE_SECONDS * 1000
        for at, hashes in await stored_nonces(self._foundation.database, since):
            for nonce_hash in hashes:
                self._nonces.restore(nonce_hash, at)

    async def _listen(self, backend: StoreBackend) -> None:
        settings = self._foundation.settings
        try:
            if PartOfServer.LINK in settings.roles:
                limits = LinkLimits(
                    connections=settings.link_connections,
                    connections_per_address=settings.link_connections_per_address,
                )
                self.link = await serve(
                    self._hub,
                    backend,
                    settings.link_host or settings.host,
                    settings.link_port,
                    ssl=self._ssl,
                    limits=limits,
                    clock=self._foundation.clock,
                )
                self._link_address.port = self.link.port
            else:
                self._link_address.port = settings.link_port
            if self.http is not None:
                await self.http.start(settings.host, settings.port, self._ssl)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen: {error.strerror or error}. Is another server running? Choose other ports with "
                "--port and --link-port (0 takes a free one)"
            ) from error

    @property
    def _http_limits(self) -> HttpLimits:
        settings = self._foundation.settings
        return HttpLimits(
            connections=settings.http_connections,
            head_seconds=settings.head_timeout,
            body_seconds=settings.body_timeout,
            keep_alive_seconds=settings.keep_alive,
        )

    def _receipt_desk(self, engine: Engine, ids: IdGenerator, metrics: Metrics) -> Desk:
        foundation = self._foundation
        recipients = Recipients(foundation.receipt_addresses, self._directory, foundation.channels)
        intake = Intake(
            self._writer,
            SmsReceipts(ids, Arrivals(engine.ledger, ids, engine.broadcasts.receipts)),
            foundation.clock,
        )
        return Desk(recipients, intake, foundation.clock, metrics)

    def _callbacks(self, metrics: Metrics) -> Sender:
        # Here, because the library costs every command a tenth of a second to load.
        from clarion.callbacks.caller import HttpCaller

        settings, clock = self._foundation.settings, self._foundation.clock
        return Sender(
            Outbox(self._foundation.database, self._writer, self._foundation.vault),
            HttpCaller(clock, settings.callback_timeout, settings.callback_ca_file),
            self._directory,
            clock,
            metrics,
            keep_seconds=settings.callback_hours * 3600,
            drain_seconds=min(settings.drain_seconds, _CALLBACK_DRAIN_SECONDS),
        )

    def _add_gauges(self, metrics: Metrics) -> None:
        writer, hub = self._writer, self._hub
        metrics.gauge("clarion_link_connections", "Connected devices", lambda: hub.count)
        metrics.gauge("clarion_http_connections", "Open API connections", self._http_connections)
        metrics.gauge("clarion_store_transactions", "Group commits so far", lambda: writer.groups)
        metrics.gauge("clarion_store_writes", "Writes that they carried", lambda: writer.commands)
        metrics.gauge("clarion_store_waiting", "Writes that wait for a commit", lambda: writer.waiting)
        metrics.registry.register(LineCollector(self._line_figures))

    def _line_figures(self) -> Iterator[LineFigures]:
        def names(app: int) -> tuple[str, str] | None:
            found = self._directory.by_number(app)
            return None if found is None else (found.app_id, found.workspace_id)

        engine = self._engine
        if engine is None:
            return iter(())
        opened = {**engine.lines.opened, **engine.supplements.opened}
        return line_figures(opened, engine.lines.keeps_tokens, names, self._foundation.clock)

    def _http_connections(self) -> float:
        return self.http.connections if self.http is not None else 0

    async def _check_database(self) -> str | None:
        try:
            await answers(self._foundation.database)
        except StoreUnavailable as error:
            return self._unready("database", str(error))
        return None

    async def _check_writes(self) -> str | None:
        return self._unready("writes", self._writer.fault) if self._writer.fault else None

    def _unready(self, part: str, fault: str) -> str:
        # Anyone may ask /readyz; what a driver says of hosts and users is for the log.
        log.warning("not_ready", part=part, fault=fault)
        return "is not available; the server's log says why"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
