"""Delivery as a whole: all that takes an accepted push to its devices, in the order in which it is built."""

from __future__ import annotations

import asyncio

from clarion.delivery.accept import Acceptance
from clarion.delivery.binding import Binder
from clarion.delivery.broadcasts.broadcaster import Broadcasts
from clarion.delivery.broadcasts.parts import PartsDue
from clarion.delivery.connections import Connections
from clarion.delivery.dispatch import Dispatcher
from clarion.delivery.inbox import Inbox
from clarion.delivery.ledger import Ledger
from clarion.delivery.recalls import Recalls
from clarion.delivery.reports import Reports
from clarion.delivery.sms.claims import Claims
from clarion.delivery.sms.owed import reclaim_sms
from clarion.delivery.sms.recorder import SmsRecorder
from clarion.delivery.sms.supplements import Supplements
from clarion.delivery.vendors.broadcast_recalls import BroadcastRecalls
from clarion.delivery.vendors.feeder import Feeder
from clarion.delivery.vendors.lines import Lines
from clarion.delivery.vendors.part_recorder import PartRecorder
from clarion.delivery.vendors.reclaim import reclaim
from clarion.delivery.vendors.recorder import Recorder
from clarion.foundation import Foundation
from clarion.ids import IdGenerator
from clarion.store.group import GroupWriter
from clarion.store.queries import Backend
from clarion.tenants.directory import Directory
from clarion.tenants.ways import Ways


class Engine:
    """Delivery of one node.

    Args:
        foundation: settings, clock and database.
        directory: apps and their channels.
        writer: shared by all that writes.
        connections: the devices that are connected here.
        ids: numbers of everything that is written.
        owner: name of this process, which no other has.

    Attributes:
        ledger: the accounts.
        recalls: recalls on the own link.
        broadcasts: broadcasts.
        inbox: what devices on the own link are owed.
        reports: what devices tell.
        lines: the ways to vendors.
        feeder: keeps them filled with parts of broadcasts.
        broadcast_recalls: asks vendors to take revoked broadcasts back.
        supplements: SMS beside pushes.
        dispatcher: hands over what was just accepted.
        binder: finds what waits for a device.
        acceptance: writes pushes.
    """

    def __init__(
        self,
        foundation: Foundation,
        directory: Directory,
        writer: GroupWriter,
        connections: Connections,
        ids: IdGenerator,
        owner: str,
    ) -> None:
        settings, clock, database = foundation.settings, foundation.clock, foundation.database
        self._database, self._clock = database, clock
        ledger = self.ledger = Ledger(directory, ids)
        self.recalls = Recalls(database, writer, ids, clock, connections)
        due = PartsDue()
        self.broadcasts = Broadcasts(
            database, writer, connections, ledger, ids, clock, directory, due, settings.retention_days
        )
        self.inbox = Inbox(database, writer, ids, clock, ledger, [self.recalls, self.broadcasts.inbox])
        self.reports = Reports(writer, ids, clock, ledger, self.inbox, self.broadcasts.receipts)
        ways = Ways(directory, foundation.channels)
        recorder, parts = Recorder(ledger, ids), PartRecorder(ledger, ids)
        self.lines = Lines(ways, writer, recorder, parts, due, connections, clock, owner)
        self.feeder = Feeder(self.lines, ways, database, writer, due, ids, clock)
        self.broadcast_recalls = BroadcastRecalls(database, writer, self.lines, ids, clock)
        self.supplements = Supplements(database, ways, writer, Claims(ids), SmsRecorder(ids), clock, owner)
        self.dispatcher = Dispatcher(connections, self.lines, self.supplements)
        self.binder = Binder(ledger, directory)
        self.acceptance = Acceptance(ledger, directory, owner, settings.sms_supplement_seconds)

    async def open(self) -> None:
        """Take up what the last run left; to be done before the first device connects.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """
        if self._database.backend is Backend.SQLITE:  # which belongs to one server alone
            await self._database.write(reclaim)
            await self._database.write(lambda transaction: reclaim_sms(transaction, self._clock.now_ms()))
        await self.recalls.refresh()
        await self.broadcasts.open()

    async def close(self, seconds: float) -> None:
        """Send no more; wait for what is under way, for some seconds at most."""
        await asyncio.gather(self.lines.close(seconds), self.supplements.close(seconds))
