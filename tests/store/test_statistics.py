"""Statistics on both databases: every count is that of the messages, by day, kind, platform and channel."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any

import msgspec
import pytest
from alibabacloud_mpaas20201028 import models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from clarion.analytics.model import CoreIndex, Page, Selection, Sums, TaskDetail
from clarion.analytics.service import KEEP_DAYS, STEP_ROWS
from clarion.channels.registry import Channel, Platform
from clarion.clock import ManualClock
from clarion.delivery.ledger import Count, EventKind, Figure
from clarion.delivery.series import PushKind, Series
from clarion.delivery.states import MessageStatus
from clarion.devices.model import DeviceDetails
from clarion.devices.reporting import ToldEvent
from clarion.ids import id_time_ms
from clarion.openapi.actions.analytics import analytics_actions
from clarion.openapi.envelopes import Envelope
from clarion.openapi.registry import Call, Registry
from clarion.openapi.render import Format, render
from clarion.pushes.model import MultipleForm
from clarion.results import Refusal, ResultCode
from clarion.store.database import Database, Transaction
from clarion.store.opening import open_database
from clarion.store.queries import Query
from clarion.templates.model import TemplateText
from clarion.tenants.calendar import day_of
from clarion.tenants.model import AccessKey, Role
from tests.store.broadcasting import announce, crowd
from tests.store.system import ANDROID, System

HOUR, DAY = 3600, 24 * 3600
EVERY = Selection()
SERIES = [Series(*fields) for fields in product(PushKind, (None, *Platform), (None, *Channel))]


async def _index(system: System, selection: Selection = EVERY, *, task: int | None = None) -> CoreIndex:
    """The figures of the last 90 days."""
    now = system.clock.now_ms()
    return await system.analytics.core_index(system.app, now - 90 * DAY * 1000, now, selection, task)


async def _sums(system: System, selection: Selection = EVERY) -> tuple[int, ...]:
    return tuple((await _index(system, selection)).sums)


async def _write(database: Database, sql: str, **values: Any) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.execute(Query(text(sql)), **values)

    await database.write(work)


async def _count(system: System, *counts: Count) -> None:
    async def work(transaction: Transaction) -> None:
        await system.ledger.count(transaction, counts, system.clock.now_ms())

    await system.database.write(work)


async def _message(system: System, target: str) -> int:
    found = await system.rows("SELECT max(message) FROM messages WHERE target = :target", target=target)
    return int(found[0][0])


async def _multiple(system: System, *users: str, name: str = "task", key: str = "key") -> int:
    """A multiple push to users; its task."""
    if await system.count("templates") == 0:
        await system.templates.create(system.app.key, "won", "d", TemplateText(title="Hi", content="You won"))
    form = MultipleForm(
        app_id="app",
        workspace_id="ws",
        task_name=name,
        template_name="won",
        delivery_type=3,
        expired_seconds=str(7 * DAY),
        target_msg=[{"Target": user, "MsgKey": key} for user in users],
    )
    receipt = await system.pushes.push_multiple(form, "REQUEST")
    assert receipt.data is not None
    return int(receipt.data)


async def _broadcast(system: System, *, ended_at: int | None = None) -> int:
    """The rows that a broadcast leaves; its task."""
    task, now = system.ids.next(), system.clock.now_ms()
    await _write(
        system.database,
        "INSERT INTO tasks (task, app, kind, name, content, request_id, created_at, expires_at) "
        "VALUES (:task, :app, 3, 'all', '', 'r', :now, :now)",
        task=task, app=system.app.key, now=now,
    )  # fmt: skip
    await _write(
        system.database,
        "INSERT INTO broadcasts (task, app, target_type, msg_key, generation, audience, state, cursor, ended_at, "
        "created_at, expires_at) VALUES (:task, :app, 1, 'k', :task, '{}', :state, 0, :ended, :now, :now)",
        task=task, app=system.app.key, state=int(ended_at is not None), ended=ended_at, now=now,
    )  # fmt: skip
    return task


class TestOnce:
    async def test_from_push_to_open(self, system: System) -> None:
        device, _ = await system.device("bob")
        await system.push("bob")
        assert await _sums(system) == (1, 0, 0, 0, 0)
        (message,) = await system.owed_ids(device)
        for _ in range(2):
            await system.inbox.acked(device, [message])
        assert await _sums(system) == (1, 1, 1, 0, 0)
        for kind in (EventKind.OPEN, EventKind.IGNORE, EventKind.OPEN, EventKind.ARRIVE, EventKind.IGNORE):
            await system.reports.reported(device, message, kind)
        assert await _sums(system) == (1, 1, 1, 1, 1)
        assert (await system.push("bob")).repeated == 1
        assert await _sums(system) == (1, 1, 1, 1, 1)

    async def test_a_user_with_two_devices_counts_once(self, system: System) -> None:
        devices = [(await system.device("bob"))[0] for _ in range(2)]
        await system.push("bob")
        (message,) = await system.owed_ids(devices[0])
        await asyncio.gather(*(system.inbox.acked(device, [message]) for device in devices))
        await asyncio.gather(*(system.reports.reported(device, message, EventKind.OPEN) for device in devices))
        assert await _sums(system) == (1, 1, 1, 1, 0)

    async def test_a_push_that_finds_its_device_later_moves_there(self, system: System, clock: ManualClock) -> None:
        await system.push("bob", seconds=7 * DAY)
        nowhere, link = Selection(), Selection(Platform.ANDROID, Channel.LINK)
        assert await _sums(system, link) == (0, 0, 0, 0, 0)
        pushed_at = clock.now_ms()
        clock.advance(2 * DAY)
        device, _ = await system.device("bob")
        await system.ack(device)
        assert await _sums(system, nowhere) == await _sums(system, link) == (1, 1, 1, 0, 0)
        then = await system.analytics.core_index(system.app, pushed_at, pushed_at, link)
        assert then.sums == Sums(1, 1, 1)
        ((lowest,),) = await system.rows("SELECT min(total) FROM day_counters")
        assert lowest == 0
        await system.device("bob")
        assert await _sums(system) == (1, 1, 1, 0, 0)

    async def test_of_a_token_that_nobody_knew(self, system: System) -> None:
        await system.push("ios-token", kind=2)
        ios = Selection(platform=Platform.IOS)
        assert await _sums(system, ios) == (1, 0, 0, 0, 0)
        await system.devices.report(system.app.key, "ios-token", Platform.IOS, None, DeviceDetails())
        assert await _sums(system, ios) == await _sums(system) == (1, 0, 0, 0, 0)

    async def test_what_expired_counts_in_the_total_alone(self, system: System, clock: ManualClock) -> None:
        device, _ = await system.device("bob")
        await system.push("bob", seconds=10)
        (message,) = await system.owed_ids(device)
        await system.inbox.sent(device, [message])
        clock.advance(11)
        await system.maintenance.expire()
        await system.inbox.acked(device, [message])
        assert await _sums(system) == (1, 0, 0, 0, 0)
        await system.reports.reported(device, message, EventKind.OPEN)
        assert await _sums(system) == (1, 0, 1, 1, 0)  # it had arrived after all
        assert (await _index(system)).open_rate == 100.0

    async def test_what_was_opened_has_arrived(self, system: System) -> None:
        device, token = await system.device("bob")
        await system.push("bob")
        (message,) = await system.owed_ids(device)
        await system.inbox.sent(device, [message])
        await system.unbind(token, "bob")
        await system.reports.reported(device, message, EventKind.IGNORE)
        assert await _sums(system) == (1, 0, 1, 0, 1)
        second, _ = await system.device("bob")
        await system.ack(second)
        assert await _sums(system) == (1, 1, 1, 0, 1)

    async def test_no_report_is_lost_in_one_transaction(self, system: System) -> None:
        """In a group each handler has its turn once, so a report may come before the ack and "sent"."""
        (first, _), (second, _) = await system.device("ann"), await system.device("bob")
        await system.push("ann", "bob")
        (one,), (two,) = await system.owed_ids(first), await system.owed_ids(second)
        await system.ack(first)
        groups = system.writer.groups
        await asyncio.gather(
            system.reports.reported(first, one, EventKind.OPEN),
            system.inbox.sent(second, [two]),
            system.inbox.acked(second, [two]),
            system.reports.reported(second, two, EventKind.OPEN),
        )
        assert system.writer.groups == groups + 1
        assert await _sums(system) == (2, 2, 2, 2, 0)
        assert await system.steps("bob") == [
            ("accepted", "on_disk"),
            ("sent", "written"),
            ("acked", "delivered"),
            ("opened", "reported"),
        ]

    async def test_a_repeated_ack_of_a_lost_transaction_counts_once(self, system: System) -> None:
        device, _ = await system.device("bob")
        await system.push("bob")
        (message,) = await system.owed_ids(device)

        async def lost(transaction: Transaction, batch: Sequence[int]) -> Sequence[None]:
            raise ValueError("the process ends before the commit")

        results = await asyncio.gather(
            system.inbox.acked(device, [message]), system.writer.submit(lost, 0), return_exceptions=True
        )
        assert isinstance(results[1], ValueError)
        assert results[0] is None  # it was tried again alone
        again = await system.restarted()
        await again.inbox.acked(device, [message])
        assert await _sums(again) == (1, 1, 1, 0, 0)


class TestTold:
    """What devices tell without a connection."""

    async def _tell(self, system: System, token: str, *events: ToldEvent) -> int:
        reporter = await system.reporting.find(system.app.key, token)
        assert reporter is not None
        return await system.reporting.record(reporter, events)

    async def test_by_id_and_by_key(self, system: System) -> None:
        device, token = await system.device("bob")
        await system.push("bob", key="a")
        await system.push(token, key="b", kind=ANDROID)
        by_key = [ToldEvent(EventKind.OPEN, None, key, None) for key in ("a", "b", "c", "a\0")]
        by_id = ToldEvent(EventKind.OPEN, await _message(system, "bob"), None, None)
        assert await self._tell(system, token, *by_key, by_id) == 2
        assert await self._tell(system, token, *by_key, by_id) == 0
        assert await _sums(system) == (2, 2, 2, 2, 0)
        assert await system.owed(device) == []

    async def test_the_newest_message_of_a_key_is_meant(self, system: System, clock: ManualClock) -> None:
        _, token = await system.device("bob")
        await system.push("bob", seconds=HOUR)
        clock.advance(8 * DAY)
        await system.push("bob", seconds=HOUR)
        assert await self._tell(system, token, ToldEvent(EventKind.ARRIVE, None, "key", None)) == 1
        newest = await _message(system, "bob")
        assert list(await system.rows("SELECT message FROM reports")) == [(newest,)]
        assert await system.status("bob") == MessageStatus.ACKED

    async def test_a_broadcast_is_that_to_the_device_s_platform(self, system: System) -> None:
        _, token = await system.device("bob")
        task = await announce(system, "sale")
        ios = await announce(system, "sale", delivery_type=2)
        await system.broadcasts.write_pages()
        assert await self._tell(system, token, ToldEvent(EventKind.OPEN, None, "sale", None)) == 1
        assert ios > task
        assert (await _index(system, task=task)).sums == Sums(1, 1, 1, 1)
        assert await _sums(system, Selection(kind=PushKind.BROADCAST)) == (1, 1, 1, 1, 0)

    async def test_an_arrival_is_an_ack_of_what_is_owed(self, system: System) -> None:
        _, token = await system.device("bob")
        await system.push("bob")
        assert await self._tell(system, token, ToldEvent(EventKind.ARRIVE, None, "key", None)) == 1
        assert await system.status("bob") == MessageStatus.ACKED
        assert await system.count("deliveries") == 0
        assert await _sums(system) == (1, 1, 1, 0, 0)

    async def test_nobody_tells_of_the_messages_of_others(self, system: System) -> None:
        _, token = await system.device("bob")
        await system.device("eve")
        await system.push("eve")
        message = await _message(system, "eve")
        told = [ToldEvent(EventKind.OPEN, message, None, None), ToldEvent(EventKind.OPEN, None, "key", None)]
        assert await self._tell(system, token, *told, ToldEvent(EventKind.OPEN, 12345, None, None)) == 0
        assert await _sums(system) == (1, 0, 0, 0, 0)
        assert await system.reporting.find(system.app.key, "unknown") is None
        assert await system.reporting.find(system.app.key, "\0") is None

    async def test_a_number_of_the_future_moves_no_time(self, system: System) -> None:
        _, token = await system.device("bob")
        task = await _multiple(system, "bob")
        future = ToldEvent(EventKind.OPEN, 9_999_999_999_999_999, None, 1 << 52)
        assert await self._tell(system, token, future, ToldEvent(EventKind.OPEN, None, "key", 1 << 52)) == 1
        assert (await system.analytics.task_detail(system.app, task)).ended_at == system.clock.now_ms()
        assert list(await system.rows("SELECT at FROM reports")) == [(system.clock.now_ms(),)]

    async def test_the_device_s_time_is_kept_within_the_message_s_life(
        self, system: System, clock: ManualClock
    ) -> None:
        _, token = await system.device("bob")
        await system.push("bob", seconds=7 * DAY)
        pushed = id_time_ms(await _message(system, "bob"))
        clock.advance(DAY)
        now = clock.now_ms()
        for kind, at in ((EventKind.ARRIVE, 0), (EventKind.OPEN, now - 5), (EventKind.IGNORE, now + 5)):
            assert await self._tell(system, token, ToldEvent(kind, None, "key", at)) == 1
        found = dict([tuple(row) for row in await system.rows("SELECT kind, at FROM reports")])
        assert found == {"arrive": pushed, "open": now - 5, "ignore": now}
        assert list(await system.rows("SELECT status_at FROM messages")) == [(now,)]


class TestDays:
    @pytest.mark.parametrize(
        ("zone", "midnight"),
        [
            ("Asia/Shanghai", datetime(2026, 11, 24, 16, tzinfo=UTC)),
            ("Europe/Berlin", datetime(2027, 3, 27, 23, tzinfo=UTC)),  # a day of 23 hours begins
            ("Europe/Berlin", datetime(2027, 10, 30, 22, tzinfo=UTC)),  # a day of 25 hours begins
        ],
    )
    async def test_a_day_is_one_of_the_app_s_zone(
        self, system: System, clock: ManualClock, zone: str, midnight: datetime
    ) -> None:
        await _write(system.database, "UPDATE apps SET time_zone = :zone", zone=zone)
        await _write(system.database, "UPDATE catalog SET revision = revision + 1")
        await system.directory.refresh()
        app = await system.directory.find_app("app", "ws")
        assert app is not None
        begin = int(midnight.timestamp() * 1000)
        clock.advance((begin - clock.now_ms()) / 1000 - 0.5)
        await system.push("bob", key="the day before", seconds=7 * DAY)
        before = clock.now_ms()
        clock.advance(1)
        await system.push("bob", key="first", seconds=7 * DAY)
        clock.advance(22.5 * HOUR)
        await system.push("bob", key="last", seconds=7 * DAY)
        day = clock.now_ms()
        clock.advance(3 * HOUR)
        await system.push("bob", key="the day after", seconds=7 * DAY)
        after = clock.now_ms()
        device, _ = await system.device("bob")
        await system.ack(device)

        async def total(first: int, last: int) -> int:
            index = await system.analytics.core_index(app, first, last, EVERY)
            assert index.sums.success == index.sums.total  # an ack counts on the day of its push
            return index.sums.total

        assert [await total(at, at) for at in (before, day, after)] == [1, 2, 1]
        assert await total(before, day) == 3
        assert await total(begin, after) == 3
        assert await total(before, after) == 4

    async def test_the_limits_of_a_question(self, system: System, clock: ManualClock) -> None:
        now = clock.now_ms()
        for start, end in ((now, now - 1), (now - 91 * DAY * 1000, now), (-1, now)):
            with pytest.raises(Refusal) as refused:
                await system.analytics.core_index(system.app, start, end, EVERY)
            assert refused.value.result is ResultCode.INVALID_PARAM


class TestSelection:
    async def test_each_figure_by_each_filter(self, system: System) -> None:
        counts = [
            Count(system.app.key, 1, system.ids.next(), series.code, figure, 1 + number % 7 + figure)
            for number, series in enumerate(SERIES)
            for figure in Figure
        ]
        await _count(system, *counts)
        await _count(system, Count(system.app.key + 1, 2, system.ids.next(), 0, Figure.TOTAL, 1000))
        selections = product((None, *Platform), (None, *Channel), (None, *PushKind))
        for selection in (Selection(*fields) for fields in selections):
            wanted = [0] * len(Figure)
            for count in counts:
                series = Series.of(count.series)
                parts = zip((selection.kind, selection.platform, selection.channel), series, strict=True)
                if all(part is None or part is own for part, own in parts):
                    wanted[count.figure] += count.by
            assert await _sums(system, selection) == tuple(wanted)

    async def test_of_ios_what_was_delivered_is_the_base_of_the_open_rate(self, system: System) -> None:
        for platform, channel in ((Platform.IOS, Channel.APNS), (Platform.ANDROID, Channel.LINK)):
            series = Series(PushKind.SIMPLE, platform, channel).code
            figures = Sums(10, 8, 0, 2, 0) if platform is Platform.IOS else Sums(10, 9, 8, 4, 0)
            for figure, by in zip(Figure, figures, strict=True):
                await _count(system, Count(system.app.key, 1, system.ids.next(), series, figure, by))
        rates = [
            (await _index(system, Selection(platform=platform))).open_rate
            for platform in (Platform.IOS, Platform.ANDROID, None, Platform.HARMONY)
        ]
        assert rates == [25.0, 50.0, 37.5, 0.0]

    async def test_one_task(self, system: System) -> None:
        device, _ = await system.device("bob")
        other = await _multiple(system, "eve", key="other")
        task = await _multiple(system, "bob", "ann")
        await system.push("bob", key="simple")
        await system.ack(device)
        index = await _index(system, task=task)
        assert (index.sums, index.arrival_rate) == (Sums(2, 1, 1), 100.0)
        assert (await _index(system, Selection(channel=Channel.LINK), task=task)).sums == Sums(1, 1, 1)
        assert (await _index(system, Selection(kind=PushKind.SIMPLE), task=task)).sums == Sums()
        assert (await _index(system, task=other)).sums == Sums(1)

    async def test_a_task_of_another_day(self, system: System, clock: ManualClock) -> None:
        task = await _multiple(system, "bob")
        clock.advance(2 * DAY)
        now = clock.now_ms()
        assert (await system.analytics.core_index(system.app, now, now, EVERY, task)).sums == Sums()

    @pytest.mark.parametrize("which", ["unknown", "simple", "foreign"])
    async def test_no_task(self, system: System, which: str) -> None:
        task = 12345
        if which == "simple":
            await system.push("bob")
            task = int((await system.rows("SELECT task FROM tasks"))[0][0])
        if which == "foreign":
            task = await _multiple(system, "bob")
            system.app = await system.tenants.create_app("other", "ws")
        assert (await _index(system, task=task)).sums == Sums()
        with pytest.raises(Refusal) as refused:
            await system.analytics.task_detail(system.app, task)
        assert refused.value.result is ResultCode.INVALID_PARAM


class TestTasks:
    async def test_list(self, system: System, clock: ManualClock) -> None:
        await system.push("bob")
        old = await _multiple(system, "bob", key="1")
        clock.advance(HOUR)
        since = clock.now_ms()
        tasks = [
            await _multiple(system, "bob", key="2", name=" sale "),
            await _multiple(system, "bob", key="3", name="news"),
            await _broadcast(system),
        ]

        async def listed(since: int = since, page: Page | None = None, **more: Any) -> list[int]:
            found = await system.analytics.tasks(system.app, since, page or Page(), **more)
            return [entry.task for entry in found]

        assert await listed() == tasks[::-1]
        assert await listed(0) == [*tasks[::-1], old]
        assert await listed(page=Page(2, 2)) == [tasks[0]]
        assert await listed(page=Page(3, 2)) == []
        assert await listed(name=" sale") == [tasks[0]]
        assert await listed(name="sal") == []
        assert await listed(task=tasks[1]) == await listed(task=tasks[1], name="news") == [tasks[1]]
        assert await listed(task=tasks[1], name="sale") == await listed(task=old) == await listed(task=1) == []
        entries = {entry.task: entry for entry in await system.analytics.tasks(system.app, since, Page())}
        sale = entries[tasks[0]]
        assert (sale.name, sale.kind, sale.created_at) == ("sale", PushKind.MULTIPLE, since)
        template = await system.templates.find(system.app.key, "won")
        assert template is not None
        assert (sale.template, sale.template_name) == (template.template, "won")
        assert entries[tasks[2]].kind is PushKind.BROADCAST

    async def test_a_multiple_push(self, system: System, clock: ManualClock) -> None:
        device, _ = await system.device("bob")
        start = clock.now_ms()
        task = await _multiple(system, "bob", "ann")
        (message,) = await system.owed_ids(device)
        assert await system.analytics.task_detail(system.app, task) == TaskDetail(task, Sums(2), start, start)
        clock.advance(96)
        await system.ack(device)
        clock.advance(DAY)
        await system.reports.reported(device, message, EventKind.OPEN)  # looking at it is no delivery
        detail = await system.analytics.task_detail(system.app, task)
        assert detail == TaskDetail(task, Sums(2, 1, 1, 1), start, start + 96_000)
        assert detail.duration == "00 hour 01 minute 36 seconds"

    async def test_a_broadcast_goes_on_until_it_ends(self, system: System, clock: ManualClock) -> None:
        task, start = await _broadcast(system), clock.now_ms()
        clock.advance(10)
        detail = await system.analytics.task_detail(system.app, task)
        assert (detail.started_at, detail.ended_at) == (start, start + 10_000)
        await _write(system.database, "UPDATE broadcasts SET ended_at = :at", at=start + 5_000)
        assert (await system.analytics.task_detail(system.app, task)).ended_at == start + 5_000
        series = Series(PushKind.BROADCAST, Platform.ANDROID, Channel.LINK).code
        await _count(system, Count(system.app.key, task, task, series, Figure.SUCCESS))
        assert (await system.analytics.task_detail(system.app, task)).ended_at == start + 10_000

    async def test_a_broadcast_from_its_acceptance_to_its_last_ack(
        self, system: System, clock: ManualClock
    ) -> None:
        numbers, start = await crowd(system, 20), clock.now_ms()
        task = await announce(system)
        assert (await system.analytics.task_detail(system.app, task)).sums == Sums()
        clock.advance(5)
        await system.broadcasts.write_pages()
        assert await system.analytics.task_detail(system.app, task) == TaskDetail(
            task, Sums(20), start, start + 5_000
        )
        clock.advance(5)
        await system.inbox.acked(numbers[0], [task])
        detail = await system.analytics.task_detail(system.app, task)
        assert detail == TaskDetail(task, Sums(20, 1, 1), start, start + 10_000)


class TestNodes:
    async def test_two_nodes_count_together(self, system: System, clock: ManualClock) -> None:
        device, _ = await system.device("bob")
        task = await _multiple(system, "bob", "ann")
        other = await system.restarted(node=3)
        clock.advance(5)
        await other.ack(device)
        for node in (system, other):
            assert await _sums(node) == (2, 1, 1, 0, 0)
            detail = await node.analytics.task_detail(node.app, task)
            assert detail.sums == Sums(2, 1, 1)
            assert detail.ended_at == clock.now_ms()

    async def test_nodes_do_not_wait_for_each_other(self, postgresql_url: str, clock: ManualClock) -> None:
        one = await System(await open_database(postgresql_url), clock, node=0).open()
        two = await System(await open_database(postgresql_url), clock, node=1).open()
        count = Count(one.app.key, 1, one.ids.next(), 0, Figure.TOTAL)
        own, entered = asyncio.Event(), asyncio.Event()

        async def work(transaction: Transaction) -> None:
            await one.ledger.count(transaction, [count], 0)
            entered.set()
            await own.wait()

        holder = asyncio.create_task(one.database.write(work))
        await entered.wait()
        async with asyncio.timeout(20):
            await _count(two, count)
        own.set()
        await holder
        assert await _sums(one) == (2, 0, 0, 0, 0)
        for node in (one, two):
            await node.database.close()


class TestRetention:
    async def test_days_are_kept_for_more_than_a_year(self, system: System, clock: ManualClock) -> None:
        await system.push("bob")
        clock.advance((KEEP_DAYS - 1) * DAY)
        await system.push("bob", key="young")
        assert await system.analytics.forget() == 0
        clock.advance(3 * DAY)
        assert await system.analytics.forget() == 1
        assert await system.analytics.forget() == 0
        assert await _sums(system) == (1, 0, 0, 0, 0)

    async def test_in_steps_and_of_every_app(self, system: System, clock: ManualClock) -> None:
        app, first = system.app.key, system.ids.next()
        clock.advance(300 * DAY)
        young = system.ids.next()
        codes = [series.code for series in SERIES]
        many = [
            Count(app, 1, first + (day * DAY * 1000 << 12), code, Figure.TOTAL)
            for day in range(5)
            for code in codes
        ]
        deleted = app + 1000
        await _count(
            system, *many, Count(app, 1, young, 0, Figure.TOTAL), Count(deleted, 1, first, 0, Figure.TOTAL)
        )
        clock.advance(200 * DAY)
        assert STEP_ROWS < len(many) < 2 * STEP_ROWS
        assert await system.analytics.forget() == STEP_ROWS + 1
        assert await system.analytics.forget() == len(many) - STEP_ROWS
        assert await system.analytics.forget() == 0
        assert await system.count("day_counters") == 1

    async def test_those_of_a_task_go_with_it(self, system: System, clock: ManualClock) -> None:
        old = await _multiple(system, "bob")
        clock.advance(31 * DAY)
        await system.push("bob", key="single")
        while await system.maintenance.retain():
            pass
        assert await system.count("messages") == 1
        assert (await system.analytics.task_detail(system.app, old)).sums.total == 1
        clock.advance(62 * DAY)
        await _multiple(system, "bob", key="young")
        while await system.maintenance.retain():
            assert await system.count("task_counters") >= await system.count("tasks WHERE kind = 2")
        assert await system.count("task_counters") == await system.count("tasks") == 1
        assert await _sums(system) == (2, 0, 0, 0, 0)


_USERS = st.sampled_from(["bob", "eve"])
_DEVICES = st.integers(0, 2)
_EVENTS = st.one_of(
    st.tuples(st.just("push"), _USERS, st.sampled_from([HOUR, 3 * DAY])),
    st.tuples(st.just("multiple"), _USERS, st.just(0)),
    st.tuples(st.just("bind"), _USERS, _DEVICES),
    st.tuples(st.just("unbind"), _USERS, _DEVICES),
    st.tuples(st.sampled_from(["sent", "ack", "open", "ignore", "arrive"]), _DEVICES, st.integers(0, 9)),
    st.tuples(st.just("wait"), st.just(0), st.sampled_from([60, 5 * HOUR, DAY])),
    st.tuples(st.sampled_from(["expire", "sweep"]), st.just(0), st.just(0)),
)


class _Play:
    """Carries out events on a system with three devices."""

    def __init__(self, system: System, devices: Sequence[tuple[int, str]], seen: list[list[int]]) -> None:
        self.system, self.devices, self.seen = system, devices, seen

    async def step(self, what: str, who: Any, how: Any) -> None:
        system, key = self.system, str(self.system.ids.next())
        if what == "push":
            await system.push(who, key=key, seconds=how)
        elif what == "multiple":
            await _multiple(system, who, key=key)
        elif what in ("bind", "unbind"):
            await getattr(system, what)(self.devices[how][1], who)
        elif what == "wait":
            system.clock.advance(how)
        elif what in ("expire", "sweep"):
            await getattr(system.maintenance, what)()
        else:
            await self.tell(what, who, how)

    async def tell(self, what: str, who: int, how: int) -> None:
        """Of a message that the device was sent at some time, or is owed."""
        device = self.devices[who][0]
        self.seen[who] += await self.system.owed_ids(device)
        if not self.seen[who]:
            return
        message = self.seen[who][-1 - how % len(self.seen[who])]
        if what == "sent":
            await self.system.inbox.sent(device, [message])
        elif what == "ack":
            await self.system.inbox.acked(device, [message])
        else:
            await self.system.reports.reported(device, message, EventKind(what))


async def _recount(system: System, group: Callable[[int, int], int]) -> Counter[tuple[int, int, Figure]]:
    """The statistics as messages and their traces have them, by what `group` makes of a message and its task."""
    stages: dict[int, set[str]] = {}
    for message, stage in await system.rows("SELECT message, stage FROM hops"):
        stages.setdefault(message, set()).add(stage)
    found: Counter[tuple[int, int, Figure]] = Counter()
    for message, task, series, status in await system.rows("SELECT message, task, series, status FROM messages"):
        told, place = stages.get(message, set()), group(message, task)
        success = status == MessageStatus.ACKED
        found[place, series, Figure.TOTAL] += 1
        found[place, series, Figure.SUCCESS] += success
        found[place, series, Figure.ARRIVAL] += success or not told.isdisjoint({"arrived", "opened", "ignored"})
        found[place, series, Figure.OPENED] += "opened" in told
        found[place, series, Figure.IGNORED] += "ignored" in told
    return +found


async def _counted(system: System, table: str, group: str) -> Counter[tuple[int, int, Figure]]:
    names = ", ".join(Sums._fields)
    found: Counter[tuple[int, int, Figure]] = Counter()
    for place, series, *figures in await system.rows(f"SELECT {group}, series, {names} FROM {table}"):
        for figure, number in zip(Figure, figures, strict=True):
            assert number >= 0
            found[place, series, figure] += number
    return +found


@given(st.lists(_EVENTS, max_size=25))
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
async def test_any_order_of_events_is_counted_as_it_was(system: System, events: list[tuple[str, Any, Any]]) -> None:
    devices = [await system.device() for _ in range(3)]
    play = _Play(system, devices, [[], [], []])
    for event in events:
        await play.step(*event)
    zone = system.directory.zone(system.app.key)
    by_day = await _recount(system, lambda message, _: day_of(id_time_ms(message), zone))
    assert await _counted(system, "day_counters", "day") == by_day
    batches = await _recount(system, lambda _, task: task)
    kinds = {(PushKind.MULTIPLE)}
    batches = Counter({key: n for key, n in batches.items() if Series.of(key[1]).kind in kinds})
    assert await _counted(system, "task_counters", "task") == batches


class TestAnswers:
    """The shapes of the answers, as JSON, XML and in the models of the SDK for Python."""

    async def _ask(self, system: System, action: str, params: dict[str, str], form: Format = Format.JSON) -> Any:
        registry = Registry(analytics_actions(system.directory, system.analytics))
        found = registry.find(action, "2020-10-28")
        assert (found.role, found.envelope) == (Role.READ, Envelope.QUERY)
        values = found.schema.read({"AppId": "app", "WorkspaceId": "ws"} | params)
        call = Call(action, "2020-10-28", "ID", AccessKey("key", b"", Role.READ), values, 0, 0)
        body = render(form, f"{action}Response", Envelope.QUERY.success("ID", await found.handler(call)))
        return msgspec.json.decode(body) if form is Format.JSON else body.decode()

    async def test_core_index(self, system: System, clock: ManualClock) -> None:
        device, _ = await system.device("bob")
        await system.push("bob", "eve", "ann", "joe")
        (message,) = await system.owed_ids(device)
        await system.ack(device)
        await system.reports.reported(device, message, EventKind.OPEN)
        now = str(clock.now_ms())
        answer = await self._ask(
            system, "QueryPushAnalysisCoreIndex", {"StartTime": now, "EndTime": now, "TaskId": " "}
        )
        figures = {
            "PushTotalNum": 4.0, "PushNum": 1.0, "ArrivalNum": 1.0, "ArrivalRate": 100.0,
            "OpenNum": 1.0, "OpenRate": 100.0, "IgnoreNum": 0.0, "IgnoreRate": 0.0,
        }  # fmt: skip
        assert answer == {
            "RequestId": "ID",
            "ResultCode": "OK",
            "ResultMessage": "success",
            "ResultContent": {"Data": figures},
        }
        assert {type(value) for value in answer["ResultContent"]["Data"].values()} == {float}
        body = models.QueryPushAnalysisCoreIndexResponseBody().from_map(answer)
        data = body.result_content.data
        assert (data.push_total_num, data.push_num, data.open_rate) == (4.0, 1.0, 100.0)
        assert None not in vars(data).values()

    async def test_task_list(self, system: System) -> None:
        first, second = await _multiple(system, "bob"), await _multiple(system, "eve")
        answer = await self._ask(system, "QueryPushAnalysisTaskList", {"StartTime": "0", "PageSize": "2"})
        listed = answer["ResultContent"]["Data"]
        assert [entry["TaskId"] for entry in listed] == [str(second), str(first)]
        assert listed[0] == {
            "TaskId": str(second), "TaskName": "task", "TemplateId": listed[0]["TemplateId"], "TemplateName": "won",
            "Type": 2, "GmtCreate": system.clock.now_ms(), "List": [],
        }  # fmt: skip
        assert listed[0]["TemplateId"].isdecimal()
        body = models.QueryPushAnalysisTaskListResponseBody().from_map(answer)
        (entry, _) = body.result_content.data
        assert (entry.task_id, entry.type, entry.gmt_create) == (str(second), 2, system.clock.now_ms())
        xml = await self._ask(system, "QueryPushAnalysisTaskList", {"StartTime": "0"}, Format.XML)
        assert xml.count("<Data><Data>") == xml.count("</Data></Data>") == 1
        for params in ({"PageNumber": "0"}, {"PageSize": "501"}, {"TaskId": "x"}):
            with pytest.raises(Refusal) as refused:
                await self._ask(system, "QueryPushAnalysisTaskList", {"StartTime": "0", **params})
            assert refused.value.result is ResultCode.INVALID_PARAM

    async def test_task_detail(self, system: System, clock: ManualClock) -> None:
        device, _ = await system.device("bob")
        task, start = await _multiple(system, "bob", "eve"), clock.now_ms()
        clock.advance(96)
        await system.ack(device)
        answer = await self._ask(system, "QueryPushAnalysisTaskDetail", {"TaskId": str(task)})
        assert answer["ResultContent"]["Data"] == {
            "TaskId": task, "PushNum": 2.0, "PushSuccessNum": 1.0, "PushArrivalNum": 1.0,
            "StartTime": start, "EndTime": start + 96_000, "Duration": "00 hour 01 minute 36 seconds",
        }  # fmt: skip
        for name in ("TaskId", "StartTime", "EndTime"):
            assert type(answer["ResultContent"]["Data"][name]) is int
        data = models.QueryPushAnalysisTaskDetailResponseBody().from_map(answer).result_content.data
        assert (data.task_id, data.push_num, data.duration) == (task, 2.0, "00 hour 01 minute 36 seconds")
        assert None not in vars(data).values()

    @pytest.mark.parametrize(
        ("action", "params"),
        [
            ("QueryPushAnalysisCoreIndex", {"StartTime": "0", "EndTime": "0"}),
            ("QueryPushAnalysisTaskList", {"StartTime": "0"}),
            ("QueryPushAnalysisTaskDetail", {"TaskId": "1"}),
        ],
    )
    async def test_of_no_app(self, system: System, action: str, params: dict[str, str]) -> None:
        for app, result in (("", ResultCode.NEED_APPID_WORKSPACEID), ("none", ResultCode.APPID_WRONG)):
            with pytest.raises(Refusal) as refused:
                await self._ask(system, action, {**params, "AppId": app})
            assert refused.value.result is result
