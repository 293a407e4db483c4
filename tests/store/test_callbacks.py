"""What app servers are told, and what becomes of it when they fail: on both databases, over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clarion.callbacks.caller import HttpCaller
from clarion.callbacks.model import MAX_EVENTS, Answer, BackOff, Batch, Destination
from clarion.callbacks.outbox import Outbox
from clarion.callbacks.sender import Sender
from clarion.callbacks.service import CallbackService
from clarion.delivery.ledger import Event, EventKind
from clarion.failures import StoreUnavailable
from clarion.observability.metrics import Metrics
from clarion.store.database import Transaction
from clarion.store.queries import Insert
from clarion.store.schema_campaigns import broadcasts
from clarion.tenants.service import NotThere
from tests.store.system import System
from tests.support.receiver import Receiver, Reply, answer, close, hang, huge, reset, slow_body

QUICK = BackOff(first=0.001, most=0.005, chance=lambda: 0.0)
NEVER = BackOff(first=3600, most=3600)
KEEP_SECONDS = 72 * 3600.0


class Telling:
    """A sender on the system's database, with what it needs."""

    def __init__(
        self, system: System, back_off: BackOff = QUICK, *, timeout: float = 10, drain: float = 10
    ) -> None:
        self.system = system
        self.metrics = Metrics(())
        self.outbox = Outbox(system.database, system.writer, system.vault)
        caller = HttpCaller(system.clock, timeout)
        self.sender = Sender(
            self.outbox,
            caller,
            system.directory,
            system.clock,
            self.metrics,
            keep_seconds=KEEP_SECONDS,
            drain_seconds=drain,
            back_off=back_off,
        )
        self.service = CallbackService(system.database, system.vault)

    async def to(self, url: str | None, app_id: str = "app") -> None:
        """Switch callbacks on (or off), and let the directory know."""
        if url is None:
            await self.service.off(app_id, "ws")
        else:
            await self.service.set(app_id, "ws", url)
        await self.system.directory.refresh()

    async def all(self) -> None:
        """Tell until nothing is left to do."""
        await self.sender.poll()
        tasks = [worker.task for worker in self.sender._workers.values()]
        async with asyncio.timeout(30):
            await asyncio.gather(*tasks)

    async def waiting(self) -> int:
        return await self.system.count("callbacks")

    def counted(self, metric: str, outcome: str) -> float:
        return self.metrics.registry.get_sample_value(f"clarion_callback_{metric}_total", {"outcome": outcome}) or 0

    async def record(self, *events: Event) -> None:
        """Keep events as the outcome of a message is kept."""

        async def work(transaction: Transaction) -> None:
            await self.system.ledger.tell(transaction, events)

        await self.system.database.write(work)

    async def message(self, key: str = "key") -> int:
        """A message to a user without a device."""
        await self.system.push("user", key=key)
        rows = await self.system.rows("SELECT message FROM messages WHERE msg_key = :key", key=key)
        return int(rows[0][0])

    async def events(self, count: int, app: int | None = None) -> None:
        """So many events of one message."""
        message = await self.message(f"of {count} {app}")
        number = self.system.app.key if app is None else app
        for start in range(0, count, 500):
            size = min(500, count - start)
            await self.record(*[Event(number, message, None, EventKind.STATUS, n) for n in range(size)])


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
async def telling(system: System, receiver: Receiver) -> AsyncIterator[Telling]:
    made = Telling(system)
    await made.to(receiver.url)
    yield made
    await made.sender.stop()


async def test_a_message_from_its_ack_to_its_opening(system: System, receiver: Receiver, telling: Telling) -> None:
    device, token = await system.device("user", online=True)
    await system.push("user", key="order")
    ((message, task),) = await system.rows("SELECT message, task FROM messages")
    await system.ack(device)
    system.clock.advance(5)
    await system.reports.reported(device, message, EventKind.OPEN)
    await system.reports.reported(device, message, EventKind.IGNORE)
    await telling.all()
    (call,) = receiver.calls
    entry = await telling.service.show("app", "ws")
    assert entry.public_key is not None
    call.verify(entry.public_key)
    assert (call.payload["appId"], call.payload["workspaceId"]) == ("app", "ws")
    assert {event["type"] for event in call.events} == {"status", "arrive", "open", "ignore"}
    assert [event["type"] for event in call.events][-2:] == ["open", "ignore"]
    assert call.ids == sorted(call.ids, key=int)
    for event in call.events:
        late = event["type"] in ("open", "ignore")
        assert event == {
            "id": event["id"],
            "type": event["type"],
            "msgKey": "order",
            "target": "user",
            "messageId": str(message),
            "taskId": str(task),
            "status": 2,
            "statusDesc": "Acked",
            "timestamp": system.clock.now_ms() - (0 if late else 5000),
            "channel": "link",
            "device": token,
        }
    assert await telling.waiting() == 0
    assert (telling.counted("events", "sent"), telling.counted("calls", "taken")) == (4, 1)


async def test_a_message_that_expires(system: System, receiver: Receiver, telling: Telling) -> None:
    await system.push("nobody", seconds=10)
    system.clock.advance(11)
    await system.maintenance.expire()
    await telling.all()
    ((event,),) = [call.events for call in receiver.calls]
    assert (event["status"], event["statusDesc"]) == (8006, "MsgExpired")
    assert "device" not in event


async def test_a_device_that_tells_of_a_broadcast(system: System, receiver: Receiver, telling: Telling) -> None:
    device, token = await system.device()
    task = system.ids.next()
    names = ("task", "app", "target_type", "msg_key", "generation", "audience", "state", "cursor")
    columns = (*names, "created_at", "expires_at")
    row = (task, system.app.key, 1, "news", 0, "{}", 0, 0, 0, 0)

    async def work(transaction: Transaction) -> None:
        await transaction.insert(Insert(broadcasts, columns), [row])

    await system.database.write(work)
    await telling.record(Event(system.app.key, task, device, EventKind.ARRIVE, 1))
    await telling.all()
    (event,) = receiver.calls[0].events
    assert (event["type"], event["msgKey"], event["target"], event["status"]) == ("arrive", "news", token, 2)
    assert event["messageId"] == event["taskId"] == str(task)


async def test_nothing_is_kept_for_apps_that_do_not_want_it(system: System, telling: Telling) -> None:
    await telling.to(None)
    device, _ = await system.device("user")
    await system.push("user")
    await system.ack(device)
    assert await telling.waiting() == 0


@pytest.mark.parametrize(
    "reply",
    [answer(500), answer(410), answer(307, b"", "Location: /other"), hang, reset, close],
    ids=["500", "410", "redirect", "hang", "reset", "close"],
)
async def test_what_is_not_taken_comes_again_as_it_was(system: System, receiver: Receiver, reply: Reply) -> None:
    telling = Telling(system, timeout=0.5 if reply is hang else 10)
    await telling.to(receiver.url)
    await telling.events(3)
    receiver.replies.extend([reply] * 3)
    try:
        await telling.all()
    finally:
        await telling.sender.stop()
    assert len(receiver.calls) == 4
    assert len({(call.request, call.headers["x-clarion-batch"], call.body) for call in receiver.calls}) == 1
    assert await telling.waiting() == 0
    assert (telling.counted("calls", "failed"), telling.counted("events", "sent")) == (3, 3)


@pytest.mark.parametrize("reply", [slow_body, huge], ids=["slow", "huge"])
async def test_a_strange_body_does_not_bring_a_batch_again(
    receiver: Receiver, telling: Telling, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clarion.callbacks.caller._ANSWER_SECONDS", 0.1)
    receiver.replies.append(reply)
    await telling.events(1)
    await telling.all()
    assert len(receiver.calls) == 1
    assert await telling.waiting() == 0


async def test_many_events_come_in_order_and_once(receiver: Receiver, telling: Telling) -> None:
    await telling.events(2 * MAX_EVENTS + 7)
    receiver.replies.extend([answer(200), answer(503), answer(200)])
    await telling.all()
    assert [len(call.ids) for call in receiver.calls] == [MAX_EVENTS, MAX_EVENTS, MAX_EVENTS, 7]
    assert receiver.calls[1].body == receiver.calls[2].body
    told = receiver.calls[0].ids + receiver.calls[2].ids + receiver.calls[3].ids
    assert told == sorted(set(told), key=int)
    assert len(told) == 2 * MAX_EVENTS + 7
    assert await telling.waiting() == 0


async def test_an_event_that_is_committed_late_is_told_too(
    system: System, receiver: Receiver, telling: Telling
) -> None:
    message = await telling.message()
    held = system.ids.next()
    await telling.record(Event(system.app.key, message, None, EventKind.STATUS, 1))
    await telling.all()
    next_id, system.ids.next = system.ids.next, lambda: held  # type: ignore[method-assign]
    await telling.record(Event(system.app.key, message, None, EventKind.STATUS, 2))
    system.ids.next = next_id  # type: ignore[method-assign]
    await telling.all()
    assert receiver.calls[1].ids == [str(held)]
    assert int(receiver.calls[0].ids[0]) > held


async def test_a_server_that_hangs_holds_up_no_other_app(system: System, receiver: Receiver) -> None:
    telling = Telling(system, drain=0.05)
    await telling.to(receiver.url)
    await system.tenants.create_app("other", "ws")
    async with Receiver() as dead:
        dead.replies.append(hang)
        await telling.to(dead.url, "other")
        other = await system.directory.find_app("other", "ws")
        assert other is not None
        await telling.events(1, other.key)
        await telling.sender.poll()
        await dead.called(1)
        for count in (1, 2):
            await telling.events(count)
            await telling.sender.poll()
            await receiver.called(count)
            await telling.sender._workers[system.app.key].task
        assert telling.sender.busy == 1
        assert await telling.waiting() == 1
        await telling.sender.stop()


async def test_events_that_are_too_old_are_given_up_and_later_ones_told(
    system: System, receiver: Receiver, telling: Telling
) -> None:
    await telling.events(2)
    await telling.sender.stop()
    patient = Telling(system, NEVER)
    receiver.replies.append(answer(500))
    await patient.sender.poll()
    await receiver.called(1)
    system.clock.advance(KEEP_SECONDS - 10)
    await patient.events(3)
    assert not await patient.sender.give_up()
    assert await patient.waiting() == 5
    system.clock.advance(20)
    await _tried_again(patient)
    assert len(receiver.calls[1].ids) == 3
    assert not set(receiver.calls[0].ids) & set(receiver.calls[1].ids)
    assert (patient.counted("events", "given_up"), patient.counted("events", "sent")) == (2, 3)
    assert await patient.waiting() == 0
    await patient.sender.stop()


async def _tried_again(telling: Telling) -> None:
    """A change of the catalog makes those that wait after a failure try at once."""
    tasks = [worker.task for worker in telling.sender._workers.values()]
    await telling.system.tenants.create_app(f"app-{telling.system.ids.next()}", "ws")
    await telling.system.directory.refresh()
    await telling.sender.poll()
    async with asyncio.timeout(30):
        await asyncio.gather(*tasks)


async def test_events_of_an_app_go_with_it(system: System, receiver: Receiver, telling: Telling) -> None:
    await telling.events(3)
    await system.tenants.delete_app("app", "ws")
    await telling.all()  # the directory does not know yet
    await system.directory.refresh()
    await telling.all()
    assert (receiver.calls, await telling.waiting()) == ([], 0)


async def test_giving_up_goes_in_small_steps(system: System, telling: Telling) -> None:
    await telling.events(700)
    system.clock.advance(KEEP_SECONDS + 1)
    assert await telling.sender.give_up()
    assert await telling.waiting() == 200
    assert not await telling.sender.give_up()
    assert await telling.waiting() == 0


async def test_events_of_messages_past_retention_are_dropped(
    system: System, receiver: Receiver, telling: Telling
) -> None:
    await telling.record(*[Event(system.app.key, 1, None, EventKind.STATUS, 0)] * (MAX_EVENTS + 1))
    await telling.events(1)
    await telling.all()
    assert [len(call.ids) for call in receiver.calls] == [1]
    assert await telling.waiting() == 0
    assert telling.counted("events", "dropped") == MAX_EVENTS + 1


async def test_what_was_taken_is_not_sent_again_while_the_database_is_away(
    receiver: Receiver, telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clarion.callbacks.sender._STORE_SECONDS", 0.001)
    settle, failures = telling.outbox.settle, 0

    async def failing(*arguments: Any) -> None:
        nonlocal failures
        failures += 1
        if failures < 5:
            raise StoreUnavailable("disk full")
        await settle(*arguments)

    monkeypatch.setattr(telling.outbox, "settle", failing)
    await telling.events(1)
    await telling.all()
    assert (len(receiver.calls), failures) == (1, 5)
    assert await telling.waiting() == 0


async def test_a_database_that_is_away_ends_a_worker_and_the_next_poll_makes_another(
    receiver: Receiver, telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clarion.callbacks.sender._STORE_SECONDS", 0.001)
    page, away = telling.outbox.page, [StoreUnavailable("gone"), RuntimeError("a fault of ours")]
    monkeypatch.setattr("clarion.callbacks.sender._FAULT_SECONDS", 0.001)

    async def failing(app: int) -> Any:
        if away:
            raise away.pop()
        return await page(app)

    monkeypatch.setattr(telling.outbox, "page", failing)
    await telling.events(1)
    for _ in range(3):
        await telling.all()
    assert len(receiver.calls) == 1
    assert telling.sender.busy == 0


async def test_switched_off_and_on_again(receiver: Receiver, telling: Telling) -> None:
    await telling.events(2)
    key = (await telling.service.show("app", "ws")).public_key
    await telling.to(None)
    await telling.all()
    shown = await telling.service.show("app", "ws")
    assert (shown.url, shown.public_key, shown.waiting) == (None, key, 2)
    assert receiver.calls == []
    await telling.to(receiver.url)
    await telling.all()
    assert len(receiver.ids) == 2
    assert (await telling.service.show("app", "ws")).public_key == key


async def test_switching_off_ends_the_tries(system: System, receiver: Receiver) -> None:
    telling = Telling(system, NEVER)
    await telling.to(receiver.url)
    await telling.events(1)
    receiver.replies.append(answer(500))
    await telling.sender.poll()
    await receiver.called(1)
    tasks = [worker.task for worker in telling.sender._workers.values()]
    await telling.to(None)
    await telling.sender.poll()
    await asyncio.gather(*tasks)
    assert len(receiver.calls) == 1
    assert await telling.waiting() == 1
    await telling.sender.stop()


async def test_a_new_key_signs_what_waits_already(system: System, receiver: Receiver) -> None:
    telling = Telling(system, NEVER)
    await telling.to(receiver.url)
    old = (await telling.service.show("app", "ws")).public_key
    await telling.events(1)
    receiver.replies.append(answer(401))
    await telling.sender.poll()
    await receiver.called(1)
    new = (await telling.service.set("app", "ws", new_key=True)).public_key
    await _tried_again(telling)
    first, second = receiver.calls
    assert old is not None
    assert new is not None
    assert first.body == second.body
    first.verify(old)
    second.verify(new)
    await telling.sender.stop()


async def test_how_the_last_call_ended(system: System, receiver: Receiver, telling: Telling) -> None:
    assert (await telling.service.show("app", "ws")).last is None
    await telling.events(1)
    receiver.replies.extend([answer(500)] * 2 + [hang])
    await telling.sender.poll()
    await receiver.called(3)
    last = (await telling.service.show("app", "ws")).last
    assert last is not None
    assert (last.taken, last.cause, last.failures) == (False, "answered 500", 2)
    await _tried_again_by_another(telling, receiver)
    last = (await telling.service.show("app", "ws")).last
    assert last is not None
    assert (last.taken, last.cause, last.failures, last.at) == (True, "", 0, system.clock.now_ms())


async def _tried_again_by_another(telling: Telling, receiver: Receiver) -> None:
    """As a restarted process does."""
    for worker in telling.sender._workers.values():
        worker.task.cancel()
    other = Telling(telling.system)
    await other.all()
    await other.sender.stop()


async def test_successes_are_noted_once_a_minute(system: System, telling: Telling) -> None:
    async def noted() -> int:
        await telling.events(1)
        await telling.all()
        last = (await telling.service.show("app", "ws")).last
        assert last is not None
        return last.at

    first = await noted()
    system.clock.advance(30)
    assert await noted() == first
    system.clock.advance(31)
    assert await noted() == first + 61_000


async def test_a_stop_lets_the_call_in_hand_end(receiver: Receiver, telling: Telling) -> None:
    let_go = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await let_go.wait()
        await answer(200)(writer)

    receiver.replies.append(late)
    await telling.events(MAX_EVENTS + 1)
    await telling.sender.poll()
    await receiver.called(1)
    stop = asyncio.create_task(telling.sender.stop())
    await asyncio.sleep(0)
    let_go.set()
    await stop
    assert (len(receiver.calls), await telling.waiting()) == (1, 1)


async def test_a_stop_does_not_wait_for_ever(system: System, receiver: Receiver) -> None:
    telling = Telling(system, drain=0.05)
    await telling.to(receiver.url)
    await telling.events(1)
    receiver.replies.append(hang)
    await telling.sender.poll()
    await receiver.called(1)
    await telling.sender.stop()
    assert telling.sender.busy == 0
    assert await telling.waiting() == 1


async def test_a_stop_ends_the_wait_after_a_failure(system: System, receiver: Receiver) -> None:
    telling = Telling(system, NEVER, drain=60)
    await telling.to(receiver.url)
    await telling.events(1)
    receiver.replies.append(answer(500))
    await telling.sender.poll()
    await receiver.called(1)
    async with asyncio.timeout(5):
        await telling.sender.stop()
    assert (len(receiver.calls), await telling.waiting()) == (1, 1)


async def test_nothing_is_lost_by_workers_that_are_killed_at_any_moment(system: System, receiver: Receiver) -> None:
    first = Telling(system)
    await first.to(receiver.url)
    await first.events(2200)
    wanted = [str(row[0]) for row in await system.rows("SELECT event FROM callbacks ORDER BY event")]
    for steps in (3, 10, 30):
        telling = Telling(system)
        await telling.sender.poll()
        await receiver.called(len(receiver.calls) + 1)
        for _ in range(steps):
            await asyncio.sleep(0)
        for worker in telling.sender._workers.values():
            worker.task.cancel()
        await telling.sender.stop()
    await first.all()
    await first.sender.stop()
    assert set(receiver.ids) == set(wanted)
    assert await first.waiting() == 0


async def test_two_senders_repeat_but_lose_nothing(system: System, receiver: Receiver) -> None:
    both = Telling(system), Telling(system)
    await both[0].to(receiver.url)
    await both[0].events(700)
    await asyncio.gather(*[telling.all() for telling in both])
    assert len(set(receiver.ids)) == 700
    assert await both[0].waiting() == 0
    for telling in both:
        await telling.sender.stop()


async def test_gauges(system: System, telling: Telling) -> None:
    def gauges() -> list[float | None]:
        values = telling.metrics.registry.get_sample_value
        return [values("clarion_callbacks_waiting"), values("clarion_callbacks_oldest_seconds")]

    assert gauges() == [0, 0]
    await telling.events(3)
    system.clock.advance(90)
    await telling.sender.measure()
    waiting, oldest = gauges()
    assert waiting == 3
    assert oldest == pytest.approx(90, abs=1)
    await telling.all()
    await telling.sender.measure()
    assert gauges() == [0, 0]


async def test_apps_that_there_are_not(telling: Telling) -> None:
    service = telling.service
    for call in (service.set("x", "ws", "http://a/"), service.off("x", "ws"), service.show("x", "ws")):
        with pytest.raises(NotThere, match="no app x"):
            await call


async def test_an_app_that_never_had_callbacks(system: System, telling: Telling) -> None:
    await system.tenants.create_app("new", "ws")
    with pytest.raises(NotThere, match="--url"):
        await telling.service.set("new", "ws", new_key=True)
    with pytest.raises(NotThere, match="no callback URL"):
        await telling.service.destination("new", "ws")
    assert (await telling.service.show("new", "ws")).public_key is None


async def test_the_private_key_is_not_readable_at_rest(system: System, telling: Telling) -> None:
    ((sealed,),) = await system.rows("SELECT callback_key FROM apps WHERE app = :app", app=system.app.key)
    plain = system.vault.open(bytes(sealed), f"apps/{system.app.key}/callback")
    assert plain[:2] == b"\x30\x82"
    assert plain[100:200] not in bytes(sealed)


class _Fixed:
    """A caller that always gives the same answer."""

    async def call(self, destination: Destination, batch: Batch) -> Answer:
        return Answer(500, "answered 500")

    async def close(self) -> None:
        pass


async def test_a_dead_server_costs_few_statements(system: System, telling: Telling) -> None:
    """While one batch waits for its next try, a poll asks nothing about its app."""
    sender = Sender(
        telling.outbox, _Fixed(), system.directory, system.clock, telling.metrics, back_off=NEVER, drain_seconds=1
    )
    await telling.events(1)
    await sender.poll()
    asked = 0
    with_events = telling.outbox.with_events

    async def counting(told: Any) -> list[int]:
        nonlocal asked
        asked += 1
        return await with_events(told)

    telling.outbox.with_events = counting  # type: ignore[method-assign]
    for _ in range(10):
        await sender.poll()
    assert asked == 0
    await sender.stop()
