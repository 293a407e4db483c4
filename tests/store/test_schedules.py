"""Schedules on both databases: made once, carried out once, listed, cancelled, missed, forgotten."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from clarion.delivery.series import PushKind
from clarion.openapi.actions.schedules import schedule_actions
from clarion.openapi.envelopes import Envelope
from clarion.openapi.registry import Call
from clarion.openapi.render import Format, render
from clarion.pushes.model import MultipleForm, PushReceipt, SimpleForm
from clarion.results import Refusal, ResultCode
from clarion.schedules.listing import Entry
from clarion.schedules.model import FireState
from clarion.schedules.scheduler import LOOK_SECONDS, MAX_ATTEMPTS
from clarion.schedules.service import ScheduleService
from clarion.store.database import Transaction
from clarion.store.leases import LeaseLost
from clarion.store.queries import Query
from clarion.templates.model import TemplateText
from clarion.tenants.calendar import time_zone
from clarion.tenants.model import AccessKey, Role
from clarion.tenants.service import change_catalog
from tests.store.broadcasting import frames, push_broadcast
from tests.store.system import USER, System

SHANGHAI = time_zone("Asia/Shanghai")
HOUR = 3600


def soon(system: System, seconds: float) -> int:
    """A time from now, on a whole second."""
    return (system.clock.now_ms() + int(seconds * 1000)) // 1000 * 1000


def simple(system: System, **changes: Any) -> SimpleForm:
    form = SimpleForm(
        app_id="app",
        workspace_id="ws",
        task_name="task",
        delivery_type=USER,
        expired_seconds="3600",
        title="title",
        content="content",
        target_msgkey='{"user": "key"}',
        strategy_type=1,
        strategy_content=json.dumps({"fixedTime": soon(system, 60)}),
    )
    return msgspec.structs.replace(form, **changes)


async def timed(system: System, seconds: float = 60, **changes: Any) -> str:
    """Schedule a push; the id."""
    content = json.dumps({"fixedTime": soon(system, seconds)})
    return _id(await system.pushes.push_simple(simple(system, strategy_content=content, **changes), "REQUEST"))


async def cyclic(system: System, days: int = 3, **changes: Any) -> str:
    """Schedule a push for an hour from now and the days after; the id."""
    now = datetime.fromtimestamp(system.clock.now_ms() / 1000, SHANGHAI)
    at = now + timedelta(hours=1)
    assert at.date() == now.date(), "the clock of the test stands too late in the day"
    fields = {
        "startTime": system.clock.now_ms(),
        "endTime": system.clock.now_ms() + (days - 1) * 24 * HOUR * 1000,
        "circleType": 1,
        "time": at.strftime("%H:%M:%S"),
    }
    form = simple(system, strategy_type=2, strategy_content=json.dumps(fields), **changes)
    return _id(await system.pushes.push_simple(form, "REQUEST"))


def _id(receipt: PushReceipt) -> str:
    assert receipt.data is not None
    assert len(receipt.data) == 32
    return receipt.data


async def listed(system: System, **changes: Any) -> list[Entry]:
    return (await system.schedules.page(system.app.key, **changes))[0]


async def states(system: System) -> list[FireState]:
    """Of all fires, also cancelled ones."""
    return [entry.state for entry in await listed(system, states=tuple(FireState))]


async def refused(pending: Any) -> Refusal:
    with pytest.raises(Refusal) as found:
        await pending
    assert found.value.result is ResultCode.INVALID_PARAM
    return found.value


async def waiting(system: System) -> int:
    return int((await system.rows("SELECT coalesce(sum(waiting), 0) FROM schedules"))[0][0])


# --- carried out ---


async def test_a_timed_push_is_carried_out_when_it_is_due(system: System) -> None:
    device, _ = await system.device("user", online=True)
    schedule = await timed(system, 60)
    at = soon(system, 60)
    (entry,) = await listed(system)
    assert (entry.unique_id, entry.parent_id, entry.push_time) == (schedule, schedule, at)
    assert (entry.title, entry.content, entry.state) == ("title", "content", FireState.WAITING)
    assert await system.scheduler.fire_due() == LOOK_SECONDS
    assert await system.count("messages") == 0
    system.clock.advance((at - system.clock.now_ms()) / 1000)
    await system.scheduler.fire_due()
    assert len(system.connections.delivered) == 1
    assert await system.owed(device) == ["key"]
    ((created_at, expires_at),) = await system.rows("SELECT created_at, expires_at FROM tasks")
    assert (created_at, expires_at) == (at, at + HOUR * 1000)
    accepted = await system.rows("SELECT request_id FROM tasks JOIN fires ON fires.task = tasks.task")
    assert [tuple(row) for row in accepted] == [("REQUEST",)]
    assert await states(system) == [FireState.EXECUTED]
    assert await waiting(system) == 0
    assert system.fired == [("executed", 0.0)]
    await system.scheduler.fire_due()
    assert await system.count("messages") == 1


async def test_the_next_look_is_when_the_next_one_is_due(system: System) -> None:
    await timed(system, 10)
    system.clock.advance(9.7)
    (entry,) = await listed(system)
    assert await system.scheduler.fire_due() == (entry.push_time - system.clock.now_ms()) / 1000


async def test_each_time_of_a_cycle_has_a_message_of_its_own(system: System) -> None:
    device, _ = await system.device("user")
    schedule = await cyclic(system, 3)
    entries = await listed(system)
    assert {entry.parent_id for entry in entries} == {schedule}
    assert len({entry.unique_id for entry in entries} | {schedule}) == 4
    assert [b.push_time - a.push_time for a, b in pairwise(entries)] == [24 * HOUR * 1000] * 2
    system.clock.advance(2 * HOUR - 1800)
    for executed in (1, 2, 3):
        await system.scheduler.fire_due()
        assert (await states(system)).count(FireState.EXECUTED) == executed
        assert len(await system.owed(device)) == 1  # of the last days' only the valid one
        system.clock.advance(24 * HOUR)
    assert await system.count("messages") == 3
    assert await waiting(system) == 0


async def test_a_multiple_push_keeps_the_texts_that_its_template_had(system: System) -> None:
    made = await system.templates.create(system.app.key, "won", "d", TemplateText(title="Hi #name#", content="c"))
    entries = [
        {"Target": f"user{n}", "MsgKey": f"key{n}", "TemplateKeyValue": json.dumps({"name": n})} for n in range(400)
    ]
    form = MultipleForm(
        app_id="app",
        workspace_id="ws",
        task_name="task",
        template_name="won",
        delivery_type=USER,
        expired_seconds="600",
        target_msg=entries,
        strategy_type=1,
        strategy_content=json.dumps({"fixedTime": soon(system, 60)}),
    )
    schedule = _id(await system.pushes.push_multiple(form, "REQUEST"))
    device, _ = await system.device("user399", online=True)
    await system.templates.delete(system.app.key, made.template, None)
    system.clock.advance(61)
    await system.scheduler.fire_due()
    assert await system.count("messages") == 400
    (owed,) = await system.inbox.owed(device, 0, 10)
    frame = json.loads(owed.frame)
    assert (frame["title"], frame["msgKey"]) == ("Hi 399", "key399")
    (row,) = await listed(system, unique_id=schedule)
    assert (row.title, row.kind) == ("Hi 0", PushKind.MULTIPLE)


async def test_a_broadcast_is_a_new_one_each_time(system: System) -> None:
    device, _ = await system.device("user")
    now = system.clock.now_ms()
    days = {"startTime": now, "endTime": now + 24 * HOUR * 1000, "circleType": 1, "time": "23:59:59"}
    schedule = await push_broadcast(system, seconds=600, strategy_type=2, strategy_content=json.dumps(days))
    entries = await listed(system, kind=PushKind.BROADCAST)
    assert [entry.parent_id for entry in entries] == [schedule, schedule]
    for entry in entries:
        system.clock.advance((entry.push_time - system.clock.now_ms()) / 1000 + 1)
        await system.scheduler.fire_due()
        await system.broadcasts.write_pages()
        ((kind, _),) = await frames(system, device)
        assert kind == "push"
    assert await system.count("broadcasts") == 2


async def test_two_schedulers_at_once_fire_once(system: System) -> None:
    other = await system.restarted(node=1)
    for number in range(20):
        await timed(system, 60 + number % 3, target_msgkey=json.dumps({f"user{number}": "key"}))
    system.clock.advance(62)
    while (await states(system)).count(FireState.WAITING):
        await asyncio.gather(system.scheduler.fire_due(), other.scheduler.fire_due())
    assert await system.count("messages") == 20
    assert len(system.fired) + len(other.fired) == 20


async def test_one_that_lost_its_lease_fires_nothing(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    other = await system.restarted(node=1)
    await timed(system, 60)
    system.clock.advance(61)
    order = system.launcher.order
    rescued = []

    def stall(*arguments: Any, **named: Any) -> Any:
        # The process stood still between its look and its transaction; another one takes over meanwhile.
        system.clock.advance(30)
        rescued.append(asyncio.ensure_future(other.scheduler.fire_due()))
        return order(*arguments, **named)

    submit = system.writer.submit

    async def later(*arguments: Any) -> Any:
        await asyncio.gather(*rescued)
        return await submit(*arguments)

    monkeypatch.setattr(system.launcher, "order", stall)
    monkeypatch.setattr(system.writer, "submit", later)
    await system.scheduler.fire_due()
    assert (system.fired, [outcome for outcome, _ in other.fired]) == ([], ["executed"])
    assert await system.count("messages") == 1


async def test_a_lease_that_has_changed_hands_writes_nothing(system: System) -> None:
    other = await system.restarted(node=1)
    await timed(system, 60)
    system.clock.advance(61)
    (fire,) = await system.scheduler._waiting(-1, "")
    lost = await system.scheduler._lead()
    assert lost is not None
    assert await other.scheduler._lead() is None
    system.clock.advance(30)
    assert await other.scheduler._lead() is not None
    with pytest.raises(LeaseLost):
        await system.scheduler._carry_out(fire, lost)
    assert await states(system) == [FireState.WAITING]
    assert await system.count("messages") == 0


async def test_a_fire_that_another_took_is_left_alone(system: System) -> None:
    """Also without the lease, the row itself tells who was first."""
    await timed(system, 60)
    system.clock.advance(61)
    scheduler = system.scheduler
    (fire,) = await scheduler._waiting(-1, "")
    lease = await scheduler._lead()
    assert lease is not None
    await asyncio.gather(*(scheduler._carry_out(fire, lease) for _ in range(5)))
    assert await system.count("messages") == 1
    assert [outcome for outcome, _ in system.fired] == ["executed"]


# --- late ---


async def test_a_late_one_is_caught_up_with_the_rest_of_its_validity(system: System) -> None:
    await timed(system, 60, expired_seconds="3600")
    due = soon(system, 60)
    system = await system.restarted()
    system.clock.advance(60 + 3590)
    await system.scheduler.fire_due()
    ((expires_at,),) = await system.rows("SELECT expires_at FROM messages")
    assert expires_at == due + HOUR * 1000
    assert expires_at > system.clock.now_ms()


async def test_what_would_have_expired_is_missed(system: System) -> None:
    await timed(system, 60, expired_seconds="3600")
    system.clock.advance(60 + 3600)
    with capture_logs() as logs:
        await system.scheduler.fire_due()
    assert await system.count("messages") == 0
    assert await states(system) == [FireState.MISSED]
    assert await waiting(system) == 0
    assert [outcome for outcome, _ in system.fired] == ["missed"]
    assert [(line["event"], line["reason"]) for line in logs] == [("schedule_missed", "its validity is over")]
    assert "title" not in str(logs)


async def test_a_clock_that_jumps_ahead_makes_due_what_it_jumped_over(system: System) -> None:
    await cyclic(system, 4, expired_seconds=str(30 * HOUR))
    system.clock.jump(2 * 24 * HOUR + 2 * HOUR)
    await system.scheduler.fire_due()
    assert await states(system) == [FireState.MISSED, FireState.EXECUTED, FireState.EXECUTED, FireState.WAITING]


async def test_a_clock_that_jumps_back_repeats_nothing(system: System) -> None:
    await cyclic(system, 3)
    system.clock.advance(1.5 * HOUR)
    await system.scheduler.fire_due()
    system.clock.jump(-1 * HOUR)
    system.clock.advance(HOUR)
    await system.scheduler.fire_due()
    assert await system.count("messages") == 1
    assert (await states(system)).count(FireState.WAITING) == 2


async def test_a_lease_of_a_time_to_come_does_not_outlive_its_batch(system: System) -> None:
    await timed(system, 60)
    system.clock.advance(61)
    await system.scheduler.fire_due()
    system.clock.jump(-2 * HOUR)
    other = await system.restarted(node=1)
    await timed(other, 5, title="another")
    system.clock.advance(6)
    await other.scheduler.fire_due()
    assert [outcome for outcome, _ in other.fired] == ["executed"]


async def test_schedules_of_an_app_go_with_it(system: System) -> None:
    await timed(system, 60)
    await system.tenants.delete_app("app", "ws")
    await system.directory.refresh()
    system.clock.advance(61)
    await system.scheduler.fire_due()
    assert [await system.count(table) for table in ("schedules", "fires", "messages")] == [0, 0, 0]


async def test_an_app_that_is_not_known_yet_is_looked_for(system: System) -> None:
    other = System(system.database, system.clock, node=1)
    await timed(system, 60)
    system.clock.advance(61)
    await other.scheduler.fire_due()
    assert await states(system) == [FireState.EXECUTED]


async def test_a_push_api_that_is_switched_off_misses_them(system: System) -> None:
    await timed(system, 60)

    async def switch_off(transaction: Transaction) -> None:
        await transaction.execute(Query(text("UPDATE apps SET push_enabled = 0")))
        await change_catalog(transaction)

    await system.database.write(switch_off)
    await system.directory.refresh()
    system.clock.advance(61)
    with capture_logs() as logs:
        await system.scheduler.fire_due()
    assert await states(system) == [FireState.MISSED]
    assert "switched off" in logs[0]["reason"]


@pytest.mark.parametrize("step", ["order", "write"])
async def test_one_that_fails_blocks_no_other_and_is_given_up(
    system: System, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await timed(system, 60, title="bad")
    await timed(system, 61, title="good", target_msgkey='{"user": "other"}')
    sound = getattr(system.launcher, step)
    tries = []

    def fail(*arguments: Any, **named: Any) -> Any:
        if "bad" in str(arguments):
            tries.append(system.clock.monotonic())
            raise ZeroDivisionError("bad luck")
        return sound(*arguments, **named)

    monkeypatch.setattr(system.launcher, step, fail)
    system.clock.advance(62)
    with capture_logs() as logs:
        for _ in range(200):
            await system.scheduler.fire_due()
            system.clock.advance(0.5)
    assert await states(system) == [FireState.MISSED, FireState.EXECUTED]
    assert await system.count("messages") == 1
    assert len(tries) == MAX_ATTEMPTS
    assert [round(b - a) for a, b in pairwise(tries)] == [1, 2, 4, 8]
    assert "bad luck" not in str(logs)


async def test_many_that_are_due_at_once_are_all_carried_out(system: System) -> None:
    service = ScheduleService(system.database, system.writer, system.clock, most=1000)
    system.pushes._schedules = service
    await asyncio.gather(*(timed(system, 60, target_msgkey=json.dumps({f"u{n}": "k"})) for n in range(230)))
    system.clock.advance(61)
    await system.scheduler.fire_due()
    assert await system.count("messages") == 230
    assert await states(system) == [FireState.EXECUTED] * 230


async def test_a_new_schedule_wakes_the_scheduler(system: System) -> None:
    await system.scheduler.turn()
    system.scheduler._pause = 60.0  # so that only the new schedule can end it
    turn = asyncio.create_task(system.scheduler.turn())
    await timed(system, 60)
    assert system.due.is_set()
    system.clock.advance(61)
    await turn
    assert not system.due.is_set()
    assert system.fired


# --- made ---


async def test_a_repeated_request_is_the_same_schedule(system: System) -> None:
    at = json.dumps({"fixedTime": soon(system, 60)})
    form = simple(system, strategy_content=at)
    first = _id(await system.pushes.push_simple(form, "A"))
    later = f'{{"time": "x", "fixedTime": "{soon(system, 60)}"}}'  # the same, written otherwise
    again = msgspec.structs.replace(form, strategy_content=later)
    assert _id(await system.pushes.push_simple(again, "B")) == first
    for change in ({"title": "other"}, {"target_msgkey": '{"user": "key2"}'}, {"task_name": "other"}):
        assert _id(await system.pushes.push_simple(msgspec.structs.replace(form, **change), "C")) != first
    system.clock.advance(61)
    await system.scheduler.fire_due()
    assert _id(await system.pushes.push_simple(form, "D")) == first  # though its time is over
    assert await system.count("schedules") == 4


async def test_two_equal_requests_at_once_make_one_schedule(system: System) -> None:
    other = await system.restarted(node=1)
    form = simple(system)
    receipts = await asyncio.gather(
        *(each.pushes.push_simple(form, "A") for each in (system, other) for _ in range(10))
    )
    assert len({_id(receipt) for receipt in receipts}) == 1
    assert (await system.count("schedules"), await system.count("fires")) == (1, 1)


async def test_a_repeat_is_recognised_for_a_week(system: System) -> None:
    form = simple(system, strategy_content=json.dumps({"fixedTime": soon(system, 30 * 24 * HOUR)}))
    first = _id(await system.pushes.push_simple(form, "A"))
    system.clock.advance(7 * 24 * HOUR - 1)
    assert _id(await system.pushes.push_simple(form, "A")) == first
    system.clock.advance(1)
    assert _id(await system.pushes.push_simple(form, "A")) != first


async def test_what_was_cancelled_can_be_made_anew(system: System) -> None:
    first = await cyclic(system, 3)
    one, two, three = (entry.unique_id for entry in await listed(system))
    await system.schedules.cancel(system.app.key, [one], children=True)
    assert await cyclic(system, 3) == first
    await system.schedules.cancel(system.app.key, [two, three], children=True)
    assert await cyclic(system, 3) != first


async def test_only_times_to_come_are_scheduled(system: System) -> None:
    assert "past" in (await refused(timed(system, -5))).hint
    now = system.clock.now_ms()
    over = json.dumps({"startTime": now, "endTime": now, "circleType": 1, "time": "00:00:00"})
    form = simple(system, strategy_type=2, strategy_content=over)
    assert "no day" in (await refused(system.pushes.push_simple(form, "A"))).hint
    assert await system.count("schedules") == 0


async def test_an_app_has_so_many_schedules_to_come(system: System) -> None:
    system.pushes._schedules = ScheduleService(system.database, system.writer, system.clock, most=2)
    first = await timed(system, 60, title="1")
    await cyclic(system, 3, title="2")
    assert "2 are allowed" in (await refused(timed(system, 60, title="3"))).hint
    assert await timed(system, 60, title="1") == first  # a repeat is no further one
    await system.schedules.cancel(system.app.key, [first])
    await timed(system, 60, title="3")
    await refused(timed(system, 60, title="4"))
    system.clock.advance(61)
    await system.scheduler.fire_due()
    await timed(system, 60, title="4")


async def test_the_limit_holds_for_requests_at_once(system: System) -> None:
    other = await system.restarted(node=1)
    for each in (system, other):
        each.pushes._schedules = ScheduleService(each.database, each.writer, each.clock, most=5)
    forms = [timed(each, 60, title=f"{each is system}{n}") for n in range(10) for each in (system, other)]
    results = await asyncio.gather(*forms, return_exceptions=True)
    assert sum(isinstance(result, str) for result in results) == 5
    assert sum(isinstance(result, Refusal) for result in results) == 15
    assert await system.count("schedules") == 5


# --- listed ---


async def test_lists_are_narrowed(system: System) -> None:
    one, cycle = await timed(system, 120), await cyclic(system, 3)
    entries = await listed(system)
    assert [entry.parent_id for entry in entries] == [one, cycle, cycle, cycle]
    first, last = entries[0].push_time, entries[-1].push_time
    assert len(await listed(system, start=first, end=last)) == 4
    assert len(await listed(system, start=first + 1, end=last - 1)) == 2
    assert await listed(system, unique_id=cycle) == entries[1:]
    assert await listed(system, unique_id=entries[2].unique_id) == [entries[2]]
    assert await listed(system, unique_id=cycle, end=entries[2].push_time) == entries[1:3]
    for name in ("", "x", "0" * 32, one.upper()):
        assert await listed(system, unique_id=name) == []
    assert len(await listed(system, kind=PushKind.SIMPLE)) == 4
    assert await listed(system, kind=PushKind.BROADCAST) == []
    assert await system.schedules.page(system.app.key, number=2, size=3) == (entries[3:], 4)
    assert await system.schedules.page(system.app.key, number=3, size=3) == ([], 4)
    assert await system.schedules.page(system.app.key + 1, unique_id=cycle) == ([], 0)
    assert await system.schedules.page(system.app.key + 1) == ([], 0)


# --- cancelled ---


async def test_cancelling_a_schedule_leaves_what_was_executed(system: System) -> None:
    schedule = await cyclic(system, 3)
    system.clock.advance(1.5 * HOUR)
    await system.scheduler.fire_due()
    assert await system.schedules.cancel(system.app.key, [schedule]) == {schedule: True}
    assert await states(system) == [FireState.EXECUTED, FireState.CANCELLED, FireState.CANCELLED]
    assert [entry.state for entry in await listed(system)] == [FireState.EXECUTED]
    assert await system.schedules.cancel(system.app.key, [schedule]) == {schedule: False}
    system.clock.advance(72 * HOUR)
    await system.scheduler.fire_due()
    assert (await system.count("messages"), await waiting(system)) == (1, 0)


async def test_cancelling_one_time_leaves_the_others(system: System) -> None:
    schedule = await cyclic(system, 3)
    (_, second, _) = await listed(system)
    cancel = system.schedules.cancel
    assert await cancel(system.app.key, [second.unique_id]) == {second.unique_id: False}
    assert await cancel(system.app.key, [schedule], children=True) == {schedule: False}
    assert await cancel(system.app.key + 1, [second.unique_id], children=True) == {second.unique_id: False}
    names = [second.unique_id, "x", second.unique_id, "0" * 32]
    assert list((await cancel(system.app.key, names, children=True)).items()) == [
        (second.unique_id, True),
        ("x", False),
        ("0" * 32, False),
    ]
    assert second not in await listed(system)
    assert await waiting(system) == 2


@pytest.mark.parametrize("children", [False, True])
async def test_a_timed_push_is_both_parent_and_child(system: System, children: bool) -> None:
    schedule = await timed(system)
    assert await system.schedules.cancel(system.app.key, [schedule], children=children) == {schedule: True}
    assert await listed(system) == []


async def test_a_cancellation_and_a_fire_at_once(system: System) -> None:
    """Whoever is told that it is cancelled can rely on it, whoever is told that it is not gets the push."""
    other = await system.restarted(node=1)
    names = [await timed(system, 60, target_msgkey=json.dumps({f"u{n}": "k"})) for n in range(20)]
    system.clock.advance(61)
    _, done = await asyncio.gather(system.scheduler.fire_due(), other.schedules.cancel(system.app.key, names[::-1]))
    executed = {entry.unique_id for entry in await listed(system)}
    assert {name for name, cancelled in done.items() if cancelled} == set(names) - executed
    assert await system.count("messages") == len(executed) == len(system.fired)
    assert await waiting(system) == 0


# --- forgotten ---


async def test_retention_forgets_what_ended_long_ago(system: System) -> None:
    day = 24 * HOUR * 1000
    for number in range(7):
        await timed(system, 60, title=f"{number}")
    await cyclic(system, 180)
    system.clock.advance(61)
    assert await system.schedules.retain(10 * day) == 0
    await system.scheduler.fire_due()
    system.clock.advance(10 * day / 1000)
    assert [await system.schedules.retain(10 * day) for _ in range(3)] == [5, 2, 0]
    assert (await system.count("schedules"), await system.count("fires")) == (1, 180)


async def test_retention_leaves_what_nobody_has_looked_at_yet(system: System) -> None:
    await timed(system, 60)
    system.clock.advance(30 * 24 * HOUR)  # no scheduler was running
    assert await system.schedules.retain(10 * 24 * HOUR * 1000) == 0
    await system.scheduler.fire_due()
    assert await states(system) == [FireState.MISSED]
    assert await system.schedules.retain(10 * 24 * HOUR * 1000) == 1


# --- the actions ---


class Api:
    """The scheduler actions of a system."""

    def __init__(self, system: System) -> None:
        self._actions = {a.name: a for a in schedule_actions(system.directory, system.schedules)}

    async def answer(self, action: str, **sent: str) -> dict[str, Any]:
        served = self._actions[action]
        params = served.schema.read({"AppId": "app", "WorkspaceId": "ws", **sent})
        key = AccessKey("k", b"s", Role.ADMIN)
        members = await served.handler(Call(action, "2020-10-28", "R", key, params, 0, 0))
        return served.envelope.success("R", members)


async def test_the_list_has_the_documented_members(system: System) -> None:
    api = Api(system)
    schedule = await cyclic(system, 2)
    one, two = await listed(system)
    bounds = {"StartTime": str(one.push_time), "EndTime": str(two.push_time)}
    for action, sent in (("QueryPushSchedulerList", bounds), ("QueryMpsSchedulerList", {})):
        answer = await api.answer(action, **sent, Type="0", PageSize="1")
        assert list(answer) == ["RequestId", "ResultCode", "ResultMessage", "ResultContent"]
        assert answer["ResultContent"]["Data"] == {
            "TotalCount": 2,
            "List": [
                {
                    "UniqueId": one.unique_id,
                    "ParentId": schedule,
                    "PushTime": one.push_time,
                    "PushTitle": "title",
                    "PushContent": "content",
                    "Type": 0,
                    "DeliveryType": 3,
                    "StrategyType": 2,
                    "ExecutedStatus": "0",
                    "CreateType": 0,
                    "GmtCreate": system.clock.now_ms(),
                }
            ],
        }
    system.clock.advance(90 * 60)
    await system.scheduler.fire_due()
    system.clock.advance(48 * HOUR)
    await system.scheduler.fire_due()
    answer = await api.answer("QueryMpsSchedulerList", UniqueId=f" {schedule} ")
    assert [row["ExecutedStatus"] for row in answer["ResultContent"]["Data"]["List"]] == ["1", "0"]


async def test_an_empty_list_is_shown_in_xml(system: System) -> None:
    answer = await Api(system).answer("QueryPushSchedulerList", StartTime="0", EndTime="1")
    xml = render(Format.XML, "QueryPushSchedulerListResponse", answer).decode()
    assert "<ResultContent><Data><TotalCount>0</TotalCount><List></List></Data></ResultContent>" in xml
    await timed(system)
    answer = await Api(system).answer("QueryMpsSchedulerList")
    xml = render(Format.XML, "QueryMpsSchedulerListResponse", answer).decode()
    assert "<List><List><UniqueId>" in xml


async def test_a_cancellation_is_one_text(system: System) -> None:
    api = Api(system)
    one, two = await timed(system, title="1"), await timed(system, title="2")
    missing = "0" * 32
    for action, name in (("CancelPushScheduler", one), ("CancelMpsScheduler", two)):
        answer = await api.answer(action, UniqueIds=f"{name}, {missing} ,", Type="0")
        assert answer["ResultContent"] == f"{{{name}=1,{missing}=0}}"


@pytest.mark.parametrize(
    ("action", "sent"),
    [
        ("CancelPushScheduler", {"UniqueIds": ""}),
        ("CancelPushScheduler", {"UniqueIds": " , "}),
        ("CancelPushScheduler", {"UniqueIds": ",".join(f"{n:032x}" for n in range(31))}),
        ("CancelPushScheduler", {"UniqueIds": "x" * 65}),
        ("CancelPushScheduler", {"UniqueIds": "\ud800"}),
        ("CancelPushScheduler", {"UniqueIds": "a", "Type": "2"}),
        ("QueryMpsSchedulerList", {"StartTime": "2", "EndTime": "1"}),
        ("QueryMpsSchedulerList", {"Type": "4"}),
        ("QueryMpsSchedulerList", {"PageNumber": "0"}),
        ("QueryMpsSchedulerList", {"PageSize": "0"}),
        ("QueryMpsSchedulerList", {"PageSize": "501"}),
    ],
)
async def test_what_may_not_be_asked(system: System, action: str, sent: dict[str, str]) -> None:
    await refused(Api(system).answer(action, **sent))


async def test_thirty_ids_are_allowed_and_apps_are_told_apart(system: System) -> None:
    ids = [f"{n:032x}" for n in range(30)]
    answer = await Api(system).answer("CancelPushScheduler", UniqueIds=", ".join(ids))
    assert answer["ResultContent"] == "{" + ",".join(f"{one}=0" for one in ids) + "}"
    for action, sent in (("CancelPushScheduler", {"UniqueIds": "a"}), ("QueryMpsSchedulerList", {})):
        with pytest.raises(Refusal) as unknown:
            await Api(system).answer(action, **sent, WorkspaceId="other")
        assert unknown.value.result is ResultCode.APPID_WRONG


def test_the_answers_are_of_the_query_family() -> None:
    actions = schedule_actions(None, None)  # type: ignore[arg-type]
    assert {action.envelope for action in actions} == {Envelope.QUERY}
    assert [(a.name, a.role) for a in actions if a.role is Role.PUSH] == [
        ("CancelPushScheduler", Role.PUSH),
        ("CancelMpsScheduler", Role.PUSH),
    ]
