"""Why did this target get the message, or not: every hop of one message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Column, bindparam, exists, func, select

from clarion.clock import Clock
from clarion.delivery.accept import ACTIVITY_TYPES, UNBOUND, TargetType
from clarion.delivery.activities import ONLY_WAY
from clarion.delivery.broadcasts.history import History, history
from clarion.delivery.routing import LINK
from clarion.delivery.sms.owed import owed_sms
from clarion.delivery.states import LEFT_TO_LINK, OPEN, OUTCOMES, MessageStatus, Outcome, Stage
from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Query
from clarion.store.schema import channels, deliveries, devices, hops, messages, tasks
from clarion.store.schema_vendors import activities


class TraceHop(msgspec.Struct, frozen=True):
    """One hop: when (ms), what, how it ended, the channel's own code, why in plain language, what to do.

    `device`: token of the device, where it concerns one. `channel`: label of the vendor's channel, where the vendor
    said so.
    """

    at: int
    stage: str
    outcome: str
    code: str | None
    cause: str
    next: str
    device: str | None = None
    channel: str | None = None


class Trace(msgspec.Struct, frozen=True, rename="camel"):
    """The whole way of one message.

    Attributes:
        target: as the caller named it.
        msg_key: the caller's message key.
        status: status code (`delivery.states.MessageStatus`).
        status_name: its documented name.
        message_id: internal id, as the device saw it.
        task_id: the task that it belongs to.
        task_name: the caller's name for it.
        expire: end of validity, ms.
        hops: oldest first.
    """

    target: str
    msg_key: str
    status: int
    status_name: str
    message_id: str
    task_id: str
    task_name: str
    expire: int
    hops: list[TraceHop]


_MESSAGE = Query(
    select(
        messages.c.message,
        messages.c.target_type,
        messages.c.status,
        messages.c.expires_at,
        messages.c.task,
        tasks.c.name,
        tasks.c.created_at,
    )
    .join(tasks, tasks.c.task == messages.c.task)
    .where(
        messages.c.app == bindparam("app"),
        messages.c.target == bindparam("target"),
        messages.c.msg_key == bindparam("msg_key"),
    )
    .order_by(messages.c.message.desc())
    .limit(1)
)
_WITH_ACTIVITY = devices.alias("with_activity")
_HOPS = Query(
    select(
        hops.c.at,
        hops.c.stage,
        hops.c.outcome,
        hops.c.code,
        hops.c.detail,
        func.coalesce(
            devices.c.token,
            select(_WITH_ACTIVITY.c.token)
            .join(activities, activities.c.device == _WITH_ACTIVITY.c.device)
            .where(activities.c.activity == hops.c.device)
            .scalar_subquery(),
        ),
        hops.c.channel,
    )
    .join(devices, devices.c.device == hops.c.device, isouter=True)
    .where(hops.c.message == bindparam("message"))
    .order_by(hops.c.hop)
    .limit(1000)
)
_HAS_CHANNEL = Query(
    select(channels.c.app).where(
        channels.c.app == bindparam("app"), channels.c.channel == bindparam("way"), channels.c.enabled == 1
    )
)
_DEVICE = Query(
    select(devices.c.device).where(devices.c.app == bindparam("app"), devices.c.token == bindparam("token"))
)


def _at_vendor(column: Column[Any]) -> Query:
    return Query(
        select(deliveries.c.channel)
        .select_from(devices.join(deliveries, deliveries.c.device == devices.c.device))
        .where(
            devices.c.app == bindparam("app"),
            column == bindparam("target"),
            deliveries.c.message == bindparam("message"),
            deliveries.c.channel != LINK,
        )
        .limit(1)
    )


_AT_VENDOR = {True: _at_vendor(devices.c.user_id), False: _at_vendor(devices.c.token)}
"""Whether a message waits for a vendor, by whether its target is a user."""


def _unused_token(column: Column[Any]) -> Query:
    is_on = exists().where(
        channels.c.app == devices.c.app, channels.c.channel == devices.c.channel, channels.c.enabled != 0
    )
    return Query(
        select(devices.c.channel)
        .where(
            devices.c.app == bindparam("app"),
            column == bindparam("target"),
            devices.c.vendor_token.is_not(None),
            ~is_on,
        )
        .limit(1)
    )


_UNUSED_TOKEN = {True: _unused_token(devices.c.user_id), False: _unused_token(devices.c.token)}
"""Whether a device has a vendor's token whose channel the app does not have, by whether the target is a user."""


async def trace(database: Database, clock: Clock, app: int, target: str, msg_key: str) -> Trace | None:
    """The trace of the newest message with this target and key, else of such a broadcast; or None.

    Args:
        database: where it is read.
        clock: tells whether an open message has expired.
        app: internal number of the app.
        target: device id, user id or other target of the push.
        msg_key: the caller's message key.
    """

    now = clock.now_ms()

    async def work(
        transaction: Transaction,
    ) -> tuple[Row, Sequence[Row], Outcome | None, Row | None] | History | None:
        found = await transaction.fetch_one(_MESSAGE, app=app, target=target, msg_key=msg_key)
        if found is None:
            return await history(transaction, app, target, msg_key, now)
        steps = await transaction.fetch(_HOPS, message=found[0])
        planned = None
        if all(stage == Stage.SMS.value for _, stage, *_ in steps):
            planned = await _planned(transaction, app, target, *found[:3])
        return found, steps, planned, await owed_sms(transaction, found[0])

    rows = await database.read(work)
    if rows is None:
        return None
    if isinstance(rows, History):
        return _of_broadcast(rows, target, msg_key)
    (message, _, status, expires_at, task, name, created_at), hop_rows, planned, sms = rows
    current = MessageStatus(status)
    if current in OPEN and expires_at <= now:
        current = MessageStatus.MSG_EXPIRED
    steps = [_hop(created_at, Stage.ACCEPTED, Outcome.ON_DISK)]
    if planned is not None:
        steps.append(_hop(created_at, Stage.PLANNED, planned))
    if sms is not None and sms[1] == 0:
        steps.append(_hop(created_at, Stage.SMS, Outcome.SMS_QUEUED if sms[0] <= now else Outcome.SMS_WAITING))
    steps += _read_hops(hop_rows)
    if current is MessageStatus.MSG_EXPIRED:
        steps.append(_hop(expires_at, Stage.EXPIRED, Outcome.TOO_LATE))
        steps.sort(key=lambda step: step.at)  # a device may tell of the message later than that
    return Trace(
        target=target,
        msg_key=msg_key,
        status=int(current),
        status_name=current.label,
        message_id=str(message),
        task_id=str(task),
        task_name=name,
        expire=expires_at,
        hops=steps,
    )


def _of_broadcast(found: History, target: str, msg_key: str) -> Trace:
    done = {Outcome.QUEUED, Outcome.VENDOR_QUEUED} if found.status is MessageStatus.ACKED else ()
    return Trace(
        target=target,
        msg_key=msg_key,
        status=int(found.status),
        status_name=found.status.label,
        message_id=str(found.task),
        task_id=str(found.task),
        task_name=found.name,
        expire=found.expires_at,
        hops=[
            TraceHop(
                at,
                stage.value,
                o.label,
                code,
                f"{o.cause} {detail}" if detail else o.cause,
                "" if o in done or LEFT_TO_LINK in (detail or "") else o.next_step,
                token,
                channel,
            )
            for at, stage, o, token, code, detail, channel in found.moments
        ],
    )


async def _planned(
    transaction: Transaction, app: int, target: str, message: int, target_type: int, status: int
) -> Outcome:
    """What was planned for a message of which nothing else is known yet."""
    kind = TargetType(target_type)
    if kind in UNBOUND and status == MessageStatus.NO_BIND_INFO:
        return UNBOUND[kind]
    if kind in ACTIVITY_TYPES:
        is_set_up = await transaction.fetch_one(_HAS_CHANNEL, app=app, way=ONLY_WAY)
        return Outcome.NO_CHANNEL if is_set_up is None else Outcome.VENDOR_QUEUED
    if kind is not TargetType.USER and await transaction.fetch_one(_DEVICE, app=app, token=target) is None:
        return Outcome.NO_DEVICE
    by_user = kind is TargetType.USER
    if await transaction.fetch_one(_AT_VENDOR[by_user], app=app, target=target, message=message) is not None:
        return Outcome.VENDOR_QUEUED
    unused = await transaction.fetch_one(_UNUSED_TOKEN[by_user], app=app, target=target)
    return Outcome.QUEUED if unused is None else Outcome.CHANNEL_OFF


def _hop(at: int, stage: Stage, outcome: Outcome) -> TraceHop:
    return TraceHop(at, stage.value, outcome.label, None, outcome.cause, outcome.next_step)


_UNTIL_REVOKED = frozenset({Outcome.QUEUED, Outcome.WRITTEN, *UNBOUND.values()})


def _read_hops(rows: Sequence[Sequence[Any]]) -> Iterator[TraceHop]:
    reached = {token for _, stage, _, _, _, token, _ in rows if stage in (Stage.SENT.value, Stage.ACKED.value)}
    acknowledged = {token for _, stage, _, _, _, token, _ in rows if stage == Stage.ACKED.value}
    recalled = {token for _, stage, _, _, _, token, _ in rows if stage == Stage.RECALLED.value}
    revoked = any(stage == Stage.REVOKED.value for _, stage, *_ in rows)
    for at, stage, label, code, detail, token, channel in rows:
        outcome = OUTCOMES[label]
        cause = f"{outcome.cause} {detail}" if detail else outcome.cause
        done = token in {
            Outcome.WRITTEN: acknowledged,
            Outcome.QUEUED: reached,
            Outcome.VENDOR_QUEUED: reached,
            Outcome.RECALL_OWED: recalled,
            Outcome.RECALL_UNKNOWN: recalled,
        }.get(outcome, ())
        done |= revoked and outcome in _UNTIL_REVOKED
        done |= bool(detail) and LEFT_TO_LINK in detail
        yield TraceHop(at, stage, label, code, cause, "" if done else outcome.next_step, token, channel)
