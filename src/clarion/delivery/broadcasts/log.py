"""The open log: every broadcast that a device may still be owed, in memory.

Devices that connect are compared with it, so it holds what that takes, the encoded frame too. It is read from
several threads: what they see is replaced as a whole, never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import bindparam, select

from clarion.channels.message import LINK_ONLY, PushContent, decode_content
from clarion.channels.registry import Platform
from clarion.clock import Clock
from clarion.delivery.accept import NewTask, TargetType
from clarion.delivery.broadcasts.model import BroadcastState, Entry, decode_audience
from clarion.delivery.frames import push_frame
from clarion.delivery.recalls import revoke_frame
from clarion.delivery.routing import LINK
from clarion.delivery.series import PushKind, series_code
from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Query
from clarion.store.schema import tasks
from clarion.store.schema_campaigns import broadcasts

KEEP_MS = 3600 * 1000
"""How long an entry stays after its end: acks that are late still count."""

PLATFORM_OF: MappingProxyType[TargetType, str] = MappingProxyType(
    {
        TargetType.ANDROID: Platform.ANDROID.label,
        TargetType.IOS: Platform.IOS.label,
        TargetType.HARMONY: Platform.HARMONY.label,
    }
)
"""The platform whose devices a broadcast goes to, by what its targets are."""

_OPEN = Query(
    select(broadcasts.c.task, broadcasts.c.state, broadcasts.c.cursor, broadcasts.c.revocation).where(
        broadcasts.c.expires_at > bindparam("since")
    )
)
_LOAD = Query(
    lambda terms: (
        select(
            broadcasts.c.task,
            broadcasts.c.app,
            broadcasts.c.target_type,
            broadcasts.c.msg_key,
            broadcasts.c.audience,
            broadcasts.c.created_at,
            broadcasts.c.expires_at,
            broadcasts.c.revocation,
            tasks.c.content,
        )
        .join(tasks, tasks.c.task == broadcasts.c.task)
        .where(terms.any_of(broadcasts.c.task, "unknown"))
    ),
    lists=("unknown",),
)


class Progress(NamedTuple):
    """How far a broadcast was when the log was refreshed."""

    task: int
    state: BroadcastState
    cursor: int
    revocation: int | None


class _View(NamedTuple):
    """What readers see: the entries by task, by the ids of their frames, and by app in the order of those ids."""

    by_task: dict[int, Entry]
    by_id: dict[int, Entry]
    by_app: dict[int, Sequence[Entry]]
    end: int


class OpenLog:
    """The broadcasts that are neither over nor settled for everybody.

    Args:
        database: where they are kept.
        clock: tells which are over.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._view = _view(())

    @property
    def empty(self) -> bool:
        """Whether no device can be owed anything."""
        return self._view.end <= self._clock.now_ms()

    def find(self, wire_id: int) -> Entry | None:
        """The entry whose push or revoke frame has this id."""
        return self._view.by_id.get(wire_id)

    def get(self, task: int) -> Entry | None:
        """The entry of a task."""
        return self._view.by_task.get(task)

    def of_app(self, app: int) -> Sequence[Entry]:
        """Entries of an app in the order of their frames' ids."""
        return self._view.by_app.get(app, ())

    def put(self, entries: Iterable[Entry]) -> None:
        """Add entries, or put newer forms in their places."""
        known = self._view.by_task
        self._view = _view({**known, **{entry.task: entry for entry in entries}}.values())

    async def refresh(self) -> list[Progress]:
        """Read what other processes changed; how far each broadcast is."""
        before, since = self._view.by_task, self._clock.now_ms() - KEEP_MS

        async def work(transaction: Transaction) -> tuple[list[Progress], Sequence[Row]]:
            rows = await transaction.fetch(_OPEN, since=since)
            found = [Progress(row[0], BroadcastState(row[1]), row[2], row[3]) for row in rows]
            unknown = [one.task for one in found if not _is_known(before.get(one.task), one)]
            return found, await transaction.fetch(_LOAD, unknown=unknown) if unknown else ()

        found, rows = await self._database.read(work)
        gone = before.keys() - {one.task for one in found}
        if gone or rows:
            kept = {task: entry for task, entry in self._view.by_task.items() if task not in gone}
            for row in rows:
                kept[row[0]] = _loaded(row)
            self._view = _view(kept.values())
        return found


def entry_of(order: NewTask, content: PushContent) -> Entry:
    """The entry of a broadcast that was just accepted."""
    if order.announcement is None:
        raise ValueError("the task is no broadcast")
    platform, msg_key = PLATFORM_OF[order.target_type], order.announcement.msg_key
    return Entry(
        task=order.task,
        app=order.app,
        platform=platform,
        msg_key=msg_key,
        audience=order.announcement.audience,
        accepted_at=order.created_at,
        expires_at=order.expires_at,
        revocation=None,
        frame=push_frame(order.task, msg_key, order.task, order.expires_at, content),
        link_only=content.notify_type == LINK_ONLY,
    )


def broadcast_series(platform: str, channel: str = LINK) -> int:
    """What a broadcast to devices of a platform counts under, by the channel that was planned for them."""
    return series_code(PushKind.BROADCAST, platform, channel)


def _is_known(entry: Entry | None, progress: Progress) -> bool:
    return entry is not None and entry.revocation == progress.revocation


def _loaded(row: Row) -> Entry:
    task, app, target_type, msg_key, audience, accepted_at, expires_at, revocation, stored = row
    content = decode_content(stored)
    platform = PLATFORM_OF[TargetType(target_type)]
    return Entry(
        task=task,
        app=app,
        platform=platform,
        msg_key=msg_key,
        audience=decode_audience(audience),
        accepted_at=accepted_at,
        expires_at=expires_at,
        revocation=revocation,
        frame=push_frame(task, msg_key, task, expires_at, content)
        if revocation is None
        else revoke_frame(revocation, msg_key),
        link_only=content.notify_type == LINK_ONLY,
    )


def _view(entries: Iterable[Entry]) -> _View:
    ordered = sorted(entries, key=lambda entry: entry.wire_id)
    by_app: dict[int, list[Entry]] = {}
    by_id: dict[int, Entry] = {}
    for entry in ordered:
        by_app.setdefault(entry.app, []).append(entry)
        by_id[entry.task] = by_id[entry.wire_id] = entry
    end = max((entry.expires_at for entry in ordered), default=0)
    return _View({entry.task: entry for entry in ordered}, by_id, dict(by_app), end)
