"""The capabilities on a database, with a clock that is moved by hand and devices that are switched on and off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from itertools import count
from secrets import token_hex
from typing import Any

from sqlalchemy import text

from clarion.analytics.service import AnalyticsService
from clarion.channels.base import Recaller
from clarion.channels.registry import Channel, Platform
from clarion.clock import ManualClock
from clarion.delivery.accept import Acceptance, TargetType
from clarion.delivery.binding import Binder
from clarion.delivery.broadcasts.broadcaster import Broadcasts
from clarion.delivery.broadcasts.parts import PartsDue
from clarion.delivery.dispatch import Dispatcher
from clarion.delivery.inbox import Inbox, Source
from clarion.delivery.ledger import Ledger
from clarion.delivery.maintenance import Maintenance
from clarion.delivery.recalls import Recalls
from clarion.delivery.reports import Reports
from clarion.delivery.revocations import Revocations
from clarion.delivery.sms.claims import Claims
from clarion.delivery.sms.recorder import SmsRecorder
from clarion.delivery.sms.supplements import Supplements
from clarion.delivery.trace import Trace, trace
from clarion.delivery.vendors.broadcast_recalls import BroadcastRecalls
from clarion.delivery.vendors.feeder import Feeder
from clarion.delivery.vendors.lines import Lines
from clarion.delivery.vendors.part_recorder import PartRecorder
from clarion.delivery.vendors.recorder import Recorder
from clarion.devices.activities import ActivityService
from clarion.devices.reporting import DeviceReporting
from clarion.devices.service import DeviceService
from clarion.ids import IdGenerator
from clarion.pushes.launch import Launcher
from clarion.pushes.model import PushReceipt, SimpleForm
from clarion.pushes.rules import Limits
from clarion.pushes.service import PushService
from clarion.revocation.service import RevocationService
from clarion.schedules.scheduler import Scheduler
from clarion.schedules.service import ScheduleService
from clarion.store.database import Database, Row, Transaction
from clarion.store.facts import largest_id
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.templates.service import TemplateService
from clarion.tenants.directory import Directory
from clarion.tenants.model import App
from clarion.tenants.service import TenantService
from clarion.vault import Vault
from tests.store.vendors import FakeChannels

_PROCESSES = count(1)
KEY = bytes(range(32))
USER = int(TargetType.USER)
ANDROID = int(TargetType.ANDROID)


class FakeConnections:
    """Devices are online when a test says so; what they are handed is kept."""

    def __init__(self) -> None:
        self.connected: set[int] = set()
        self.delivered: list[tuple[int, int]] = []
        self.woken: list[int] = []

    def online(self, device: int) -> bool:
        return device in self.connected

    def deliver(self, device: int, message: int, frame: bytes) -> bool:
        if device in self.connected:
            self.delivered.append((device, message))
        return device in self.connected

    def broadcast(self, devices: Iterable[int], message: int, frame: bytes) -> int:
        return sum(self.deliver(device, message, frame) for device in devices)

    def wake(self, device: int) -> bool:
        self.woken.append(device)
        return device in self.connected


class System:
    """What a server is made of, without its ports; `restarted` gives the next process on the same database."""

    def __init__(
        self,
        database: Database,
        clock: ManualClock,
        *,
        node: int = 0,
        floor: int = 0,
        channels: FakeChannels | None = None,
    ) -> None:
        self.database, self.clock = database, clock
        self.vault = Vault(KEY)
        self.writer = GroupWriter(database)
        self.ids = IdGenerator(clock, node, floor)
        self.connections = FakeConnections()
        self.directory = Directory(database, self.vault, clock)
        self.tenants = TenantService(database, self.vault, clock)
        self.ledger = Ledger(self.directory, self.ids)
        self.channels, self.owner = channels or FakeChannels(), f"process-{next(_PROCESSES)}"
        self.acceptance = Acceptance(self.ledger, self.channels, self.owner)
        self.recalls = Recalls(database, self.writer, self.ids, clock, self.connections)
        self.parts_due = PartsDue()
        self.broadcasts = Broadcasts(
            database, self.writer, self.connections, self.ledger, self.ids, clock, self.channels, self.parts_due
        )
        sources: list[Source] = [self.recalls, self.broadcasts.inbox]
        self.inbox = Inbox(database, self.writer, self.ids, clock, self.ledger, sources)
        self.reports = Reports(self.writer, self.ids, clock, self.ledger, self.inbox, self.broadcasts.receipts)
        self.maintenance = Maintenance(database, self.writer, self.connections, clock, self.ledger)
        binder = Binder(self.ledger, self.channels)
        self.devices = DeviceService(
            database,
            self.writer,
            self.vault,
            self.ids,
            clock,
            self.connections,
            binder,
            self.broadcasts.joins,
        )
        self.activities = ActivityService(self.writer, self.ids, clock, binder)
        self.templates = TemplateService(database, self.directory, self.ids, clock)
        recorder = Recorder(self.ledger, self.ids)
        parts = PartRecorder(self.ledger, self.ids)
        self.lines = Lines(
            self.channels, self.writer, recorder, parts, self.parts_due, self.connections, clock, self.owner
        )
        self.vendor_recalls = BroadcastRecalls(database, self.writer, self.lines, self.ids, clock)
        self.feeder = Feeder(self.lines, self.channels, database, self.writer, self.parts_due, self.ids, clock)
        self.supplements = Supplements(
            database, self.channels, self.writer, Claims(self.ids), SmsRecorder(self.ids), clock, self.owner
        )
        dispatcher = Dispatcher(self.connections, self.lines, self.supplements)
        self.launcher = Launcher(self.writer, self.acceptance, dispatcher, self.broadcasts, self.ids, clock)
        self.due = asyncio.Event()
        self.schedules = ScheduleService(database, self.writer, clock, self.due.set)
        self.scheduler = Scheduler(
            database, self.writer, self.launcher, self.directory, clock, token_hex(4), self.due, self.on_fire
        )
        self.fired: list[tuple[str, float]] = []
        self.pushes = PushService(self.directory, self.templates, self.launcher, self.schedules, Limits(), clock)
        self.reporting = DeviceReporting(database, self.vault, self.reports)
        self.analytics = AnalyticsService(database, self.writer, clock)
        self.recallers: dict[Channel, Recaller] = {}
        self.revocations = RevocationService(
            self.directory,
            database,
            clock,
            Revocations(self.writer, self.ids, clock, self.ledger, self.connections, self.recalls),
            self.recallers,
            self.broadcasts,
        )
        self.app: App

    async def open(self) -> System:
        """Find the app, or make it."""
        found = await self.directory.find_app("app", "ws")
        self.app = found or await self.tenants.create_app("app", "ws")
        await self.directory.refresh()
        await self.broadcasts.open()
        return self

    def on_fire(self, outcome: str, late: float) -> None:
        """A schedule was due."""
        self.fired.append((outcome, late))

    async def restarted(self, *, node: int = 0) -> System:
        await self.writer.drain()
        floor = await largest_id(self.database)
        return await System(self.database, self.clock, node=node, floor=floor, channels=self.channels).open()

    async def device(self, user: str | None = None, *, online: bool = False) -> tuple[int, str]:
        """A registered Android device: its number and token."""
        token = (await self.devices.register(self.app.key, Platform.ANDROID)).token
        if user is not None:
            await self.bind(token, user)
        identity = await self.devices.identify(self.app.key, token)
        assert identity is not None
        if online:
            self.connections.connected.add(identity.device)
        return identity.device, token

    async def bind(self, token: str, user: str) -> None:
        await self.devices.bind(self.app.key, token, user, Platform.ANDROID)

    async def unbind(self, token: str, user: str) -> None:
        await self.devices.unbind(self.app.key, token, user)

    async def push(self, *targets: str, key: str = "key", **options: Any) -> PushReceipt:
        """Push to `targets`, each under the message key `key`; `options` as of `push_map`."""
        return await self.push_map(dict.fromkeys(targets, key), **options)

    async def push_map(
        self,
        keys: dict[str, str],
        *,
        kind: int = USER,
        seconds: int = 3600,
        title: str = "title",
        notify_type: str | None = None,
        **more: Any,
    ) -> PushReceipt:
        form = SimpleForm(
            app_id="app",
            workspace_id="ws",
            task_name="task",
            delivery_type=kind,
            expired_seconds=str(seconds),
            title=title,
            content="content",
            target_msgkey=json.dumps(keys),
            notify_type=notify_type,
            **more,
        )
        return await self.pushes.push_simple(form, "request")

    async def owed(self, device: int, after: int = 0, limit: int = 100) -> list[str]:
        """Message keys owed to a device, in order."""
        return [json.loads(entry.frame)["msgKey"] for entry in await self.inbox.owed(device, after, limit)]

    async def owed_ids(self, device: int) -> list[int]:
        return [entry.message for entry in await self.inbox.owed(device, 0, 100)]

    async def ack(self, device: int) -> None:
        """Acknowledge all that the device is owed."""
        await self.inbox.acked(device, await self.owed_ids(device))

    async def status(self, target: str, key: str = "key") -> int:
        """The status in the database, whatever the clock says."""
        rows = await self.rows(
            "SELECT status FROM messages WHERE app = :app AND target = :target AND msg_key = :key "
            "ORDER BY message DESC",
            app=self.app.key,
            target=target,
            key=key,
        )
        return int(rows[0][0])

    async def trace(self, target: str, key: str = "key") -> Trace:
        found = await trace(self.database, self.clock, self.app.key, target, key)
        assert found is not None
        return found

    async def steps(self, target: str, key: str = "key") -> list[tuple[str, str]]:
        """Stage and outcome of each hop."""
        return [(hop.stage, hop.outcome) for hop in (await self.trace(target, key)).hops]

    async def rows(self, sql: str, **values: Any) -> Sequence[Row]:
        """What `sql` finds, on either database."""
        return await rows(self.database, sql, **values)

    async def count(self, table: str) -> int:
        return int((await self.rows(f"SELECT count(*) FROM {table}"))[0][0])


async def rows(database: Database, sql: str, **values: Any) -> Sequence[Row]:
    query = Query(text(sql))

    async def work(transaction: Transaction) -> Sequence[Row]:
        return await transaction.fetch(query, **values)

    return await database.read(work)
