"""Moving devices' cursors in the open log: what is settled for a device is not compared with it again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, update

from clarion.clock import Clock
from clarion.delivery.broadcasts.notes import Notes
from clarion.ids import first_id_at
from clarion.store.database import Transaction
from clarion.store.group import GroupWriter
from clarion.store.queries import Query
from clarion.store.schema import devices

STEP_DEVICES = 500
"""Most devices of one step."""

MARGIN_MS = 60_000
"""How late a broadcast may become visible after its number was given out, with the clocks of several nodes; and how
long a device that was just bound, for which the log begins anew, is left alone."""

_MOVE = Query(
    lambda terms: (
        update(devices)
        .values(broadcasts_seen=bindparam("seen"))
        .where(
            terms.any_of(devices.c.device, "devices"),
            devices.c.broadcasts_seen < bindparam("seen"),
            devices.c.updated_at < bindparam("before"),
        )
    ),
    lists=("devices",),
)


class SeenCursors:
    """Writes what `Notes.settled` has, now and then.

    Args:
        writer: shares its transactions with others.
        clock: tells what is old enough.
        notes: what is settled.
    """

    def __init__(self, writer: GroupWriter, clock: Clock, notes: Notes) -> None:
        self._writer = writer
        self._clock = clock
        self._settled = notes.settled

    async def flush(self) -> int:
        """Move the cursors of up to `STEP_DEVICES` devices; how many notes were taken."""
        now = self._clock.now_ms()
        safe = first_id_at(now - MARGIN_MS)
        by_cursor: dict[int, list[int]] = {}
        taken = 0
        while self._settled and taken < STEP_DEVICES:
            device, settled_to, at = self._settled.popleft()
            taken += 1
            if now - at < MARGIN_MS // 2:
                by_cursor.setdefault(min(settled_to, safe), []).append(device)
        if by_cursor:
            await self._writer.submit(self._move, by_cursor, urgent=False)
        return taken

    async def _move(self, transaction: Transaction, batch: Sequence[dict[int, list[int]]]) -> list[None]:
        before = self._clock.now_ms() - MARGIN_MS
        for by_cursor in batch:
            for seen, numbers in sorted(by_cursor.items()):
                await transaction.execute(_MOVE, seen=seen, devices=sorted(numbers), before=before)
        return [None] * len(batch)
