"""Accepting pushes: the transaction after which OK may be said.

For a batch of tasks it resolves targets to devices, writes messages, tasks and the deliveries that are owed, and
leaves out what was pushed before: a repeated (target, msgKey) is answered as the first one was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from clarion.channels.registry import Platform
from clarion.delivery.activities import ACTIVITIES_BY_ID, reachable
from clarion.delivery.broadcasts.model import Announcement
from clarion.delivery.ledger import Count, Figure, Ledger
from clarion.delivery.routing import LINK, Reachable, Routes, way_to
from clarion.delivery.series import series_code
from clarion.delivery.sms.owed import OwedSms, owe
from clarion.delivery.sms.rules import SmsStrategy, due_at
from clarion.delivery.states import MessageStatus, Outcome
from clarion.ids import id_time_ms
from clarion.store.database import Transaction
from clarion.store.gates import pass_together
from clarion.store.queries import Insert, Query
from clarion.store.schema import deliveries, devices, messages, tasks

LEASE_MS = 120_000
"""How long a process has a delivery through a vendor before others may take it."""

IDEMPOTENCY_MS = 7 * 24 * 3600 * 1000
"""How long a repeated (target, msgKey) means the same message."""


class TargetType(IntEnum):
    """What a target names (`DeliveryType` of the API)."""

    ANDROID = 1
    IOS = 2
    USER = 3
    ACTIVITY_TOKEN = 5
    ACTIVITY_ID = 6
    HARMONY = 7


DEVICE_TYPES = frozenset({TargetType.ANDROID, TargetType.IOS, TargetType.HARMONY})
ACTIVITY_TYPES = frozenset({TargetType.ACTIVITY_TOKEN, TargetType.ACTIVITY_ID})
UNBOUND = {TargetType.USER: Outcome.NO_BINDING, TargetType.ACTIVITY_ID: Outcome.NO_ACTIVITY}
"""Targets that are names, which devices take and give up: what the trace says of one that nothing has."""
_PLATFORM_OF: dict[TargetType, str | None] = {
    TargetType.ANDROID: Platform.ANDROID.label,
    TargetType.IOS: Platform.IOS.label,
    TargetType.USER: None,
    TargetType.ACTIVITY_TOKEN: Platform.IOS.label,
    TargetType.ACTIVITY_ID: Platform.IOS.label,
    TargetType.HARMONY: Platform.HARMONY.label,
}


class NewMessage(NamedTuple):
    """One target of a task: internal message id, target, the caller's message key.

    `content` is the stored form of the message where it differs from the task's (a multiple push).
    """

    message: int
    target: str
    msg_key: str
    content: bytes | None = None


class NewTask(NamedTuple):
    """A push that passed all rules.

    Attributes:
        task: task id.
        app: internal number of the app.
        kind: 0 simple, 1 template, 2 multiple, 3 broadcast.
        name: the caller's name for the task.
        target_type: what the targets name.
        content: the stored form of the message.
        answer: what the API returns as Data.
        request_id: id of the request that brought it.
        created_at: acceptance, ms.
        expires_at: end of validity, ms.
        messages: one for each target, their numbers ascending and below the task's.
        template: id of the template that it was made with.
        template_name: its name.
        scheduled: whether a schedule brought it; a (target, msgKey) of its own each time it is due.
        link_only: whether vendors must not be used (`NotifyType` is `transparent`).
        announcement: what makes it a broadcast; it has no messages then.
        sms: when an SMS goes with it.
    """

    task: int
    app: int
    kind: int
    name: str
    target_type: TargetType
    content: bytes
    answer: str | None
    request_id: str
    created_at: int
    expires_at: int
    messages: Sequence[NewMessage]
    template: int | None = None
    template_name: str | None = None
    scheduled: bool = False
    link_only: bool = False
    announcement: Announcement | None = None
    sms: SmsStrategy = SmsStrategy.NONE


class Planned(NamedTuple):
    """A message and a device that is to get it now.

    Attributes:
        message: the message.
        device: internal number of the device.
        channel: label of the way to it.
        vendor_token: its token there, if that is a vendor.
    """

    message: NewMessage
    device: int
    channel: str
    vendor_token: str | None


@dataclass(slots=True)
class Accepted:
    """What became of a task.

    Attributes:
        answer: Data of the API's answer (of the first push, when all targets are repeats).
        planned: what is to be delivered now.
        leased_until: until when (ms) the deliveries through vendors belong to this process.
        repeated: messages that were left out because their (target, msgKey) was pushed before.
    """

    answer: str | None
    planned: list[Planned] = field(default_factory=list)
    repeated: int = 0
    leased_until: int = 0


_REACHABLE = (devices.c.device, devices.c.platform, devices.c.channel, devices.c.vendor_token)
_DEVICES_BY_TOKEN = Query(
    lambda terms: select(devices.c.token, *_REACHABLE).where(
        devices.c.app == bindparam("app"), terms.any_of(devices.c.token, "targets")
    ),
    lists=("targets",),
)
_DEVICES_BY_USER = Query(
    lambda terms: select(devices.c.user_id, *_REACHABLE).where(
        devices.c.app == bindparam("app"), terms.any_of(devices.c.user_id, "targets")
    ),
    lists=("targets",),
)
_LOOKUPS: dict[TargetType, Query] = {
    **dict.fromkeys(DEVICE_TYPES, _DEVICES_BY_TOKEN),
    TargetType.USER: _DEVICES_BY_USER,
    TargetType.ACTIVITY_ID: ACTIVITIES_BY_ID,
}
"""What finds the devices of a target; a push token needs no looking up."""
_EARLIER = Query(
    select(messages.c.message, messages.c.task, tasks.c.answer)
    .join(tasks, tasks.c.task == messages.c.task, isouter=True)
    .where(
        messages.c.app == bindparam("app"),
        messages.c.target == bindparam("target"),
        messages.c.msg_key == bindparam("msg_key"),
        messages.c.target_type == bindparam("target_type"),
        messages.c.generation == 0,
    )
)
_STEP_ASIDE = Query(
    update(messages)
    .values(generation=messages.c.message)
    .where(messages.c.message == bindparam("earlier"), messages.c.generation == 0)
)
_INSERT_MESSAGES = Insert(
    messages,
    (
        "message",
        "task",
        "app",
        "target_type",
        "target",
        "msg_key",
        "generation",
        "status",
        "status_at",
        "expires_at",
        "series",
        "content",
    ),
    on_conflict="DO NOTHING",
    returning=("message",),
)
INSERT_TASKS = Insert(
    tasks,
    (
        "task",
        "app",
        "kind",
        "name",
        "content",
        "answer",
        "request_id",
        "template",
        "template_name",
        "first_message",
        "created_at",
        "expires_at",
    ),
)
DELIVERY_COLUMNS = ("device", "message", "app", "channel", "attempts", "next_at", "owner", "epoch", "leased_until")
"""What a `delivery_row` holds."""
_INSERT_DELIVERIES = Insert(deliveries, DELIVERY_COLUMNS, on_conflict="DO NOTHING")


class _Earlier(NamedTuple):
    """The task that pushed a pair first, and its answer."""

    task: int
    answer: str | None


_Resolved = dict[tuple[int, Query, str], list[Reachable]]
"""Devices by (app, what found them, target)."""


class Acceptance:
    """Writes tasks.

    Args:
        ledger: counts their messages.
        routes: the vendor channels that apps have set up.
        owner: this process, which leases the deliveries through vendors that it writes.
        sms_seconds: how long a push has to reach a device before an SMS takes its place.
    """

    def __init__(self, ledger: Ledger, routes: Routes, owner: str, sms_seconds: float = 30.0) -> None:
        self._sms_window = int(sms_seconds * 1000)
        self._ledger = ledger
        self._routes = routes
        self._owner = owner

    async def accept(self, transaction: Transaction, batch: Sequence[NewTask]) -> list[Accepted]:
        """Write a batch of tasks; a handler for `GroupWriter.submit`."""
        resolved = await _resolve(transaction, batch)
        written = await self._insert_messages(transaction, batch, resolved)
        answers = {task.task: task.answer for task in batch}
        results: list[Accepted] = []
        counts: list[Count] = []
        task_rows, delivery_rows, sms = [], [], []
        for task in batch:
            result = Accepted(task.answer, leased_until=task.created_at + LEASE_MS)
            configured = self._routes.channels(task.app)
            fresh: list[NewMessage] = []
            for message in task.messages:
                earlier = None
                if message.message not in written:
                    earlier = await self._earlier(transaction, task, message, resolved)
                if earlier is None:
                    fresh.append(message)
                else:
                    result.repeated += 1
                    result.answer = answers.get(earlier.task, earlier.answer)
            for message in fresh:
                found = _devices(resolved, task, message)
                counts.append(Count(task.app, task.task, message.message, self._series(task, found), Figure.TOTAL))
                for device in found:
                    way = way_to(device, configured, link_only=task.link_only)
                    if way == LINK or way in configured:
                        result.planned.append(Planned(message, device.device, way, device.vendor_token))
                    delivery_rows.append(self._delivery_row(device.device, message.message, task, way, configured))
            if fresh:
                result.answer = task.answer
                task_rows.append(task_row(task))
                if task.sms:
                    sms += [self._sms(task, message, _devices(resolved, task, message)) for message in fresh]
            results.append(result)
        await transaction.insert(INSERT_TASKS, task_rows)
        await transaction.insert(_INSERT_DELIVERIES, delivery_rows)
        if sms:
            await owe(transaction, sms)
        await self._ledger.count(transaction, counts, batch[-1].created_at)
        return results

    def _sms(self, task: NewTask, message: NewMessage, found: Sequence[Reachable]) -> OwedSms:
        at = due_at(task.sms, task.created_at, task.expires_at, self._sms_window, reachable=bool(found))
        return OwedSms(message.message, task.app, at, task.sms)

    def _delivery_row(
        self, device: int, message: int, task: NewTask, way: str, configured: frozenset[str]
    ) -> tuple[object, ...]:
        if way not in configured:
            return delivery_row(device, message, task.app, task.created_at, way)
        until = task.created_at + LEASE_MS
        return (device, message, task.app, way, 0, task.created_at, self._owner, 0, until)

    def _series(self, task: NewTask, found: Sequence[Reachable]) -> int:
        if found:
            way = way_to(found[0], self._routes.channels(task.app), link_only=task.link_only)
            return series_code(task.kind, found[0].platform, way)
        return series_code(task.kind, _PLATFORM_OF[task.target_type], None)

    async def _insert_messages(
        self, transaction: Transaction, batch: Iterable[NewTask], resolved: _Resolved
    ) -> frozenset[int]:
        rows = [self._message_row(task, message, resolved) for task in batch for message in task.messages]
        return frozenset(row[0] for row in await transaction.insert(_INSERT_MESSAGES, rows))

    async def _earlier(
        self, transaction: Transaction, task: NewTask, message: NewMessage, resolved: _Resolved
    ) -> _Earlier | None:
        """The push that a pair in the store repeats; None if its window is over and it was written anew."""
        for _ in range(2):  # another node may write the same pair anew between the two statements
            row = await transaction.fetch_one(
                _EARLIER,
                app=task.app,
                target=message.target,
                msg_key=message.msg_key,
                target_type=task.target_type,
            )
            if row is not None:
                if task.created_at - id_time_ms(row[0]) <= IDEMPOTENCY_MS:
                    return _Earlier(row[1], row[2])
                await transaction.execute(_STEP_ASIDE, earlier=row[0])
            if await transaction.insert(_INSERT_MESSAGES, [self._message_row(task, message, resolved)]):
                return None
        raise RuntimeError(f"message number {message.message} is in use; do two nodes have the same number?")

    def _message_row(self, task: NewTask, message: NewMessage, resolved: _Resolved) -> tuple[object, ...]:
        found = _devices(resolved, task, message)
        bound = found or task.target_type not in UNBOUND
        status = MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE if bound else MessageStatus.NO_BIND_INFO
        return (
            message.message,
            task.task,
            task.app,
            int(task.target_type),
            message.target,
            message.msg_key,
            message.message if task.scheduled else 0,
            int(status),
            task.created_at,
            task.expires_at,
            self._series(task, found),
            message.content,
        )


def delivery_row(device: int, message: int, app: int, now: int, channel: str = LINK) -> tuple[object, ...]:
    """A message that is owed to a device from `now` (ms) on, and in nobody's hands."""
    return (device, message, app, channel, 0, now, None, 0, 0)


async def _resolve(transaction: Transaction, batch: Sequence[NewTask]) -> _Resolved:
    wanted: dict[tuple[int, Query], set[str]] = defaultdict(set)
    for task in batch:
        if lookup := _LOOKUPS.get(task.target_type):
            wanted[task.app, lookup].update(message.target for message in task.messages)
    await pass_together(transaction, ((app, name) for (app, _), names in wanted.items() for name in names))
    resolved: _Resolved = defaultdict(list)
    for (app, lookup), names in wanted.items():
        for target, *device in await transaction.fetch(lookup, app=app, targets=sorted(names)):
            resolved[app, lookup, target].append(Reachable(*device))
    return resolved


def _devices(resolved: _Resolved, task: NewTask, message: NewMessage) -> list[Reachable]:
    if lookup := _LOOKUPS.get(task.target_type):
        return resolved.get((task.app, lookup, message.target), [])
    return [reachable(message.message, message.target)]


def task_row(task: NewTask) -> tuple[object, ...]:
    """A row for `INSERT_TASKS`."""
    return (
        task.task,
        task.app,
        task.kind,
        task.name,
        task.content,
        task.answer,
        task.request_id,
        task.template,
        task.template_name,
        task.messages[0].message if task.messages else None,
        task.created_at,
        task.expires_at,
    )
