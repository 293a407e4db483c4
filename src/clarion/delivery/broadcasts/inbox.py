"""What connected devices are owed of broadcasts: the open log, compared with the rows that say who has what."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from clarion.delivery.broadcasts.log import OpenLog
from clarion.delivery.broadcasts.model import BroadcastState, Entry, Standing
from clarion.delivery.broadcasts.notes import Notes
from clarion.delivery.broadcasts.places import SETTLED, is_to_recall, place_of
from clarion.delivery.broadcasts.receipts import BroadcastReceipts
from clarion.delivery.inbox import Ack, OwedFrame
from clarion.delivery.series import Mark
from clarion.store.database import Transaction
from clarion.store.queries import Query
from clarion.store.schema import devices
from clarion.store.schema_campaigns import broadcasts

_DEVICE = Query(
    select(
        devices.c.app,
        devices.c.platform,
        devices.c.broadcasts_seen,
        devices.c.user_id,
        devices.c.bound_at,
        devices.c.unbound_at,
    ).where(devices.c.device == bindparam("device"))
)
_PROGRESS = Query(
    lambda terms: select(broadcasts.c.task, broadcasts.c.state, broadcasts.c.cursor).where(
        terms.any_of(broadcasts.c.task, "open")
    ),
    lists=("open",),
)


class _Asking(NamedTuple):
    """A device that asks what it is owed."""

    device: int
    platform: str
    standing: Standing
    now: int


class BroadcastInbox:
    """A `Source` of `delivery.inbox`.

    Args:
        log: the broadcasts that may be owed.
        receipts: records acks.
        notes: told of devices that ask before their page is written, and of those that have had everything.
    """

    def __init__(self, log: OpenLog, receipts: BroadcastReceipts, notes: Notes) -> None:
        self._log = log
        self._receipts = receipts
        self._notes = notes

    @property
    def idle(self) -> bool:
        """Whether there is no open broadcast."""
        return self._log.empty

    def claims(self, entry: int) -> bool:
        """Whether the id is that of a broadcast, or of its recall."""
        return self._log.find(entry) is not None

    async def settle(self, transaction: Transaction, acks: Sequence[Ack]) -> None:
        """Record acks of ids that were claimed."""
        await self._receipts.settle(transaction, acks)

    async def owed(
        self, transaction: Transaction, device: int, after: int, limit: int, now: int
    ) -> Sequence[OwedFrame]:
        """Up to `limit` frames of broadcasts and recalls that the device has not acknowledged."""
        row = await transaction.fetch_one(_DEVICE, device=device)
        if row is None:
            return ()
        app, platform, seen, *standing = row
        entries = self._log.of_app(app)
        entries = entries[bisect_right(entries, max(after, seen), key=_wire_id) :]
        if not entries:
            return ()
        asking = _Asking(device, platform, Standing(*standing), now)
        progress = {
            task: (BroadcastState(state), cursor)
            for task, state, cursor in await transaction.fetch(_PROGRESS, open=[entry.task for entry in entries])
        }
        owed: list[OwedFrame] = []
        settled_to = seen if after <= seen else None
        for entry in entries:
            settled = await self._is_settled(transaction, entry, asking, progress.get(entry.task))
            if settled is False:
                owed.append(OwedFrame(entry.wire_id, entry.frame))
            if settled is not True and settled_to is not None:
                self._note(asking, seen, settled_to)
                settled_to = None
            elif settled_to is not None:
                settled_to = entry.wire_id
            if len(owed) == limit:
                break
        if settled_to is not None:
            self._note(asking, seen, settled_to)
        return owed

    def _note(self, asking: _Asking, seen: int, settled_to: int) -> None:
        if settled_to > seen:
            self._notes.settled.append((asking.device, settled_to, asking.now))

    async def _is_settled(
        self, transaction: Transaction, entry: Entry, asking: _Asking, progress: tuple[BroadcastState, int] | None
    ) -> bool | None:
        """Whether the device is owed nothing of the entry, for good; None: nothing yet."""
        if entry.platform != asking.platform or entry.expires_at <= asking.now:
            return True
        if entry.revocation is not None:
            place = await place_of(transaction, entry.task, asking.device)
            return place is None or not is_to_recall(place.marks)
        if progress is None or progress[0] is BroadcastState.REVOKED:
            return None  # the log will know in a moment
        if progress[0] is BroadcastState.RUNNING and progress[1] < asking.device:
            self._notes.early(entry.task, asking.device)
            return None
        place = await place_of(transaction, entry.task, asking.device)
        if place is None:
            return not entry.audience.has(asking.standing, entry.accepted_at)
        return _has_it(place.marks)


def _has_it(marks: Mark) -> bool | None:
    if marks & SETTLED:
        return True
    # While a vendor tries, nothing is owed; it may come over to the own link yet.
    return None if Mark.VENDOR in marks else False


def _wire_id(entry: Entry) -> int:
    return entry.wire_id
