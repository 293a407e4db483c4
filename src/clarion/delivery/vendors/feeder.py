"""Keeping lines filled with the parts of broadcasts that are due: fetched when a line has room for them."""

from __future__ import annotations

from collections.abc import Collection

from clarion.channels.base import InvalidToken
from clarion.clock import Clock
from clarion.delivery.broadcasts.parts import PartsDue
from clarion.delivery.vendors.lanes import Lane
from clarion.delivery.vendors.line import Line
from clarion.delivery.vendors.lines import ChannelSource, LineName, Lines
from clarion.delivery.vendors.part_claims import ANY_DUE, PartClaim, PartClaims
from clarion.delivery.vendors.waiting import Unsent
from clarion.ids import IdGenerator
from clarion.store.database import Database, Transaction
from clarion.store.group import GroupWriter

POLL_SECONDS = 2.0
"""How long a part that a crash or a pause left may go unnoticed once it is due."""

STEP = 2_000
"""Most devices that are leased in one transaction, so that single pushes need not wait long for theirs."""

_GONE = InvalidToken(text="The device's vendor token was forgotten before it was sent.")


class Feeder:
    """Fetches parts.

    Args:
        lines: get them.
        source: the channels that apps have set up.
        database: asked whether anything is due.
        writer: leases.
        due: says where there are parts, and where there is room again.
        ids: numbers of parts that are split.
        clock: tells what is due.
    """

    def __init__(
        self,
        lines: Lines,
        source: ChannelSource,
        database: Database,
        writer: GroupWriter,
        due: PartsDue,
        ids: IdGenerator,
        clock: Clock,
    ) -> None:
        self._lines = lines
        self._source = source
        self._database = database
        self._writer = writer
        self._due = due
        self._clock = clock
        self._claims = PartClaims(ids)
        self._polled_at = clock.monotonic()

    async def work(self) -> bool:
        """Wait for parts, for `POLL_SECONDS` at most; then fetch what there is room for."""
        ways = {LineName(*way) for way in await self._due.heard(POLL_SECONDS)}
        for task in self._due.take_stopped():
            self._lines.forget(task)
        now = self._clock.monotonic()
        if now - self._polled_at >= POLL_SECONDS:
            self._polled_at = now
            ways.update(await self._found())
        for name in sorted(ways):
            line = await self._lines.line(name)
            if line is not None:
                await self._fill(name, line)
        return False

    async def _found(self) -> Collection[LineName]:
        names, now = sorted(self._source.configured()), self._clock.now_ms()

        async def work(transaction: Transaction) -> list[LineName]:
            return [
                name
                for name in names
                if await transaction.fetch_one(ANY_DUE, app=name.app, way=name.channel, now=now)
            ]

        return await self._database.read(work)

    async def _fill(self, name: LineName, line: Line) -> None:
        """Fetch parts as long as there are some and the line has room; it says itself when it has room again."""
        more = True
        while more and not line.rests and line.wants:
            room = min(line.room(Lane.BROADCAST), STEP)
            asked = PartClaim(name.app, name.channel, room, self._lines.owner, self._clock.now_ms())
            claimed = await self._writer.submit(self._claims.claim, asked)
            more = claimed.more
            taken = line.offer(Lane.BROADCAST, claimed.waiting)
            if rest := claimed.waiting[taken:]:  # the line was closed meanwhile
                await self._lines.give_back(Unsent(rest, frozenset()))
                more = False
            if claimed.lost:
                await self._lines.record(name, claimed.lost, [_GONE] * len(claimed.lost))
