"""Accepting broadcasts: two rows, whatever the size of the audience."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from clarion.delivery.accept import IDEMPOTENCY_MS, INSERT_TASKS, Accepted, NewTask, task_row
from clarion.delivery.broadcasts.model import Announcement, BroadcastState, encode_audience
from clarion.ids import id_time_ms
from clarion.store.database import Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema_campaigns import broadcasts

_INSERT = Insert(
    broadcasts,
    (
        "task",
        "app",
        "target_type",
        "msg_key",
        "generation",
        "audience",
        "state",
        "cursor",
        "created_at",
        "expires_at",
    ),
    on_conflict="DO NOTHING",
    returning=("task",),
)
_EARLIER = Query(
    select(broadcasts.c.task).where(
        broadcasts.c.app == bindparam("app"),
        broadcasts.c.msg_key == bindparam("msg_key"),
        broadcasts.c.target_type == bindparam("target_type"),
        broadcasts.c.generation == 0,
    )
)
_STEP_ASIDE = Query(
    update(broadcasts)
    .values(generation=broadcasts.c.task)
    .where(broadcasts.c.task == bindparam("earlier"), broadcasts.c.generation == 0)
)


async def accept_broadcasts(transaction: Transaction, batch: Sequence[NewTask]) -> list[Accepted]:
    """Write broadcasts; a repeated message key (of an app and platform) is answered as the first one was."""
    results = []
    for task in batch:
        earlier = await _write(transaction, task)
        if earlier is None:
            await transaction.insert(INSERT_TASKS, [task_row(task)])
            results.append(Accepted(task.answer))
        else:
            results.append(Accepted(str(earlier), repeated=1))
    return results


async def _write(transaction: Transaction, task: NewTask) -> int | None:
    """Write the row of a broadcast; if it repeats one, the task of that one instead."""
    announcement = task.announcement
    if announcement is None:
        raise ValueError("the task is no broadcast")
    for _ in range(3):  # another node may write the same key anew between two statements
        if await transaction.insert(_INSERT, [_row(task, announcement)]):
            return None
        row = await transaction.fetch_one(
            _EARLIER, app=task.app, msg_key=announcement.msg_key, target_type=int(task.target_type)
        )
        if row is not None:
            if task.created_at - id_time_ms(row[0]) <= IDEMPOTENCY_MS:
                return int(row[0])
            await transaction.execute(_STEP_ASIDE, earlier=row[0])
    raise RuntimeError(f"task number {task.task} is in use; do two nodes have the same number?")


def _row(task: NewTask, announcement: Announcement) -> tuple[object, ...]:
    return (
        task.task,
        task.app,
        int(task.target_type),
        announcement.msg_key,
        task.task if task.scheduled else 0,
        encode_audience(announcement.audience),
        int(BroadcastState.RUNNING),
        0,
        task.created_at,
        task.expires_at,
    )
