"""What became of a broadcast on one device, for the trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from clarion.channels.registry import Channel
from clarion.delivery.accept import TargetType
from clarion.delivery.broadcasts.log import PLATFORM_OF
from clarion.delivery.broadcasts.model import BroadcastState, Standing, decode_audience
from clarion.delivery.broadcasts.places import Place, place_of
from clarion.delivery.broadcasts.sends import Said, said_of
from clarion.delivery.series import Mark
from clarion.delivery.states import OUTCOMES, MessageStatus, Outcome, Stage
from clarion.store.database import Row, Transaction
from clarion.store.queries import Query
from clarion.store.schema import devices, reports, tasks
from clarion.store.schema_campaigns import broadcasts

_DEVICES_OF_USER = 20

_BROADCASTS = Query(
    select(
        broadcasts.c.task,
        broadcasts.c.target_type,
        broadcasts.c.audience,
        broadcasts.c.state,
        broadcasts.c.cursor,
        broadcasts.c.ended_at,
        broadcasts.c.created_at,
        tasks.c.expires_at,
        tasks.c.name,
    )
    .join(tasks, tasks.c.task == broadcasts.c.task)
    .where(broadcasts.c.app == bindparam("app"), broadcasts.c.msg_key == bindparam("msg_key"))
    .order_by(broadcasts.c.task.desc())
    .limit(len(PLATFORM_OF) * 10)
)
_DEVICE_COLUMNS = (
    devices.c.device,
    devices.c.token,
    devices.c.platform,
    devices.c.user_id,
    devices.c.bound_at,
    devices.c.unbound_at,
)
_DEVICE = Query(
    select(*_DEVICE_COLUMNS).where(devices.c.app == bindparam("app"), devices.c.token == bindparam("target"))
)
_DEVICES = Query(
    select(*_DEVICE_COLUMNS)
    .where(devices.c.app == bindparam("app"), devices.c.user_id == bindparam("target"))
    .order_by(devices.c.device)
    .limit(_DEVICES_OF_USER)
)
_REPORTS = Query(
    select(reports.c.kind, reports.c.at)
    .where(reports.c.message == bindparam("task"), reports.c.device == bindparam("device"))
    .order_by(reports.c.at)
)
_OF_RECALLS = frozenset({Outcome.RECALLED, Outcome.NOT_RECALLABLE, Outcome.RECALL_UNKNOWN})
_REPORTED = {"open": Stage.OPENED, "ignore": Stage.IGNORED}


class Moment(NamedTuple):
    """Something that happened.

    Attributes:
        at: when, ms.
        stage: what.
        outcome: how it ended.
        token: of the device on which it happened.
        code: the vendor's own code.
        detail: the vendor's own words, and what was done.
        channel: label of the vendor's channel.
    """

    at: int
    stage: Stage
    outcome: Outcome
    token: str | None = None
    code: str | None = None
    detail: str | None = None
    channel: str | None = None


class History(NamedTuple):
    """The way of a broadcast to one device, or to where it stands.

    Attributes:
        task: the broadcast's task, its message id too.
        name: the caller's name for it.
        status: as messages have it; NONE when the device is not in the audience.
        expires_at: end of its validity, ms.
        moments: oldest first.
    """

    task: int
    name: str
    status: MessageStatus
    expires_at: int
    moments: Sequence[Moment]


class _Device(NamedTuple):
    device: int
    token: str
    platform: str
    standing: Standing


class _Broadcast(NamedTuple):
    task: int
    target_type: int
    audience: str
    state: int
    cursor: int
    ended_at: int | None
    created_at: int
    expires_at: int
    name: str

    @property
    def platform(self) -> str:
        return PLATFORM_OF[TargetType(self.target_type)]


async def history(transaction: Transaction, app: int, target: str, msg_key: str, now: int) -> History | None:
    """What became of the newest broadcast with this message key in which the target has a place, else of the newest
    one; None when there is none.

    Args:
        transaction: read from.
        app: internal number of the app.
        target: a device's token, or the id of a user whose devices it may have gone to.
        msg_key: the caller's message key.
        now: tells what is over, ms.
    """
    found = [_Broadcast(*row) for row in await transaction.fetch(_BROADCASTS, app=app, msg_key=msg_key)]
    if not found:
        return None
    rows = await transaction.fetch(_DEVICE, app=app, target=target)
    known = [_device(row) for row in rows or await transaction.fetch(_DEVICES, app=app, target=target)]
    pairs = [
        (broadcast, device) for broadcast in found for device in known if device.platform == broadcast.platform
    ]
    for broadcast, device in pairs:
        place = await place_of(transaction, broadcast.task, device.device)
        if place is not None:
            told = await transaction.fetch(_REPORTS, task=broadcast.task, device=device.device)
            said = await said_of(transaction, broadcast.task, place.page, place.slot)
            return _placed(broadcast, device, place, told, said, now)
    return _unplaced(*pairs[0], now) if pairs else _unplaced(found[0], None, now)


def _device(row: Row) -> _Device:
    device, token, platform, *standing = row
    return _Device(device, token, platform, Standing(*standing))


def _placed(
    broadcast: _Broadcast, device: _Device, place: Place, told: Sequence[Row], said: Sequence[Said], now: int
) -> History:
    moments = [_accepted(broadcast)]
    planned_at = place.planned_at or place.arrived_at or broadcast.created_at
    planned = Outcome.QUEUED if place.route == Channel.LINK.third_channel else Outcome.VENDOR_QUEUED
    moments.append(Moment(planned_at, Stage.PLANNED, planned, device.token))
    moments += [_said(each, device.token) for each in said]
    if place.arrived_at is not None:
        # Nobody else tells of a message that the own link did not bring, unless the device itself did.
        by_vendor = Mark.VENDOR in place.marks and not told
        heard = (Stage.ARRIVED, Outcome.CONFIRMED) if by_vendor else (Stage.ACKED, Outcome.DELIVERED)
        moments.append(Moment(place.arrived_at, *heard, device.token))
    moments += [
        Moment(at, _REPORTED[kind], Outcome.REPORTED, device.token) for kind, at in told if kind in _REPORTED
    ]
    has_it = bool(place.marks & (Mark.ARRIVED | Mark.TAKEN))
    if not any(moment.stage is Stage.RECALLED for moment in moments):
        moments += _end(broadcast, now, place.marks)
    if has_it:
        status = MessageStatus.ACKED
    elif Mark.ENDED in place.marks:
        status = MessageStatus.EXCEPTION
    else:
        status = _open_status(broadcast, now)
    return _history(broadcast, status, moments)


def _said(said: Said, token: str) -> Moment:
    outcome = OUTCOMES[said.word.outcome]
    stage = Stage.RECALLED if outcome in _OF_RECALLS else Stage.SENT
    return Moment(said.at, stage, outcome, token, said.word.code or None, said.word.text or None, said.channel)


def _unplaced(broadcast: _Broadcast, device: _Device | None, now: int) -> History:
    moments = [_accepted(broadcast)]
    status = _open_status(broadcast, now)
    if device is None:
        outcome, status = Outcome.NO_DEVICE_OF_PLATFORM, MessageStatus.NONE
    elif not decode_audience(broadcast.audience).has(device.standing, broadcast.created_at):
        outcome, status = Outcome.NOT_IN_AUDIENCE, MessageStatus.NONE
    elif broadcast.state == BroadcastState.RUNNING and broadcast.cursor < device.device:
        outcome = Outcome.PAGE_TO_COME
    else:
        outcome = Outcome.QUEUED
    moments.append(Moment(broadcast.created_at, Stage.PLANNED, outcome, device.token if device else None))
    return _history(broadcast, status, [*moments, *_end(broadcast, now, Mark(0))])


def _accepted(broadcast: _Broadcast) -> Moment:
    return Moment(broadcast.created_at, Stage.ACCEPTED, Outcome.ON_DISK)


def _end(broadcast: _Broadcast, now: int, marks: Mark) -> Iterator[Moment]:
    has_it = bool(marks & (Mark.ARRIVED | Mark.TAKEN))
    if broadcast.state == BroadcastState.REVOKED:
        revoked_at = broadcast.ended_at or broadcast.created_at
        if Mark.RECALLED in marks:
            yield Moment(revoked_at, Stage.RECALLED, Outcome.RECALLED)
        elif has_it or Mark.ENDED not in marks:
            yield Moment(revoked_at, Stage.REVOKED, Outcome.RECALL_OWED if has_it else Outcome.REVOKED)
    elif not has_it and Mark.ENDED not in marks and broadcast.expires_at <= now:
        yield Moment(broadcast.expires_at, Stage.EXPIRED, Outcome.TOO_LATE)


def _open_status(broadcast: _Broadcast, now: int) -> MessageStatus:
    if broadcast.state == BroadcastState.REVOKED:
        return MessageStatus.REVOKED
    if broadcast.expires_at <= now:
        return MessageStatus.MSG_EXPIRED
    return MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE


def _history(broadcast: _Broadcast, status: MessageStatus, moments: list[Moment]) -> History:
    moments.sort(key=lambda moment: moment.at)
    return History(broadcast.task, broadcast.name, status, broadcast.expires_at, moments)
