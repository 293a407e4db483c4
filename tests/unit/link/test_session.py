from __future__ import annotations

import logging

import pytest
from tests.unit.link.fakes import FutureBackend, MemoryBackend, World, frame, hello, push

from clarion.link.session import MOVES, State
from clarion.results import Refusal, ResultCode

ACK, EVENT = frame("ack", id="1"), frame("event", id="1", kind="open")
BIND, UNBIND = frame("bind", rid="1", userId="u"), frame("unbind", rid="2", userId="u")
REPORT = frame("report", rid="3", channel="hms", vendorToken="t")
PING, UNKNOWN, BROKEN = frame("ping"), frame("later"), b"{"
DEEP = [b'{"type":"%s","x":%s' % (name, b"[" * 10_000) for name in (b"ping", b"later")]

OUT_OF_TURN = (4004, "OutOfTurn")
MALFORMED = (4004, "MalformedFrame")
LIVE = [State.AWAITING_HELLO, State.AUTHENTICATING, State.READY]
BEFORE_READY = [(state, text) for state in LIVE[:2] for text in (ACK, EVENT, BIND, UNBIND, REPORT)]


@pytest.mark.parametrize(
    ("state", "text", "end"),
    [
        *[(state, text, OUT_OF_TURN) for state, text in BEFORE_READY],
        *[(state, hello(), OUT_OF_TURN) for state in LIVE[1:]],
        *[(state, text, MALFORMED) for state in LIVE for text in (BROKEN, *DEEP)],
        *[(state, frame("ack", id="x"), MALFORMED) for state in LIVE],
        *[(state, text, None) for state in LIVE for text in (PING, UNKNOWN)],
        *[(State.READY, text, None) for text in (ACK, EVENT, BIND, UNBIND, REPORT)],
        (State.AWAITING_HELLO, hello(), None),
        (State.AWAITING_HELLO, hello(v=2), (4004, "UnsupportedVersion")),
        (State.AWAITING_HELLO, hello(nonce="of another connection"), (4001, "StaleNonce")),
        (State.AWAITING_HELLO, hello(secret=b"wrong"), (4001, "BadCredentials")),
        (State.AWAITING_HELLO, hello(token="nobody"), (4001, "BadCredentials")),
    ],
)
async def test_each_frame_in_each_live_state(state: State, text: bytes, end: tuple[int, str] | None) -> None:
    world = World()
    session, transport = await world.in_state(state)
    session.on_text(text)
    world.backend.open.set()
    await world.settle()
    if end is None:
        assert transport.closed is None
        assert not transport.of_type("error")
        assert len(transport.of_type("pong")) == (text == PING)
    else:
        assert transport.closed is not None
        assert transport.closed[0] == end[0]
        assert [error["code"] for error in transport.of_type("error")] == [end[1]]
        assert session.state is State.CLOSING
        assert world.hub.count == 0


@pytest.mark.parametrize("state", [State.CLOSING, State.CLOSED])
async def test_an_ended_session_does_nothing_more(state: State) -> None:
    world = World()
    session, transport = await world.in_state(state)
    frames = list(transport.frames)
    for text in (hello(), ACK, EVENT, BIND, UNBIND, REPORT, PING, UNKNOWN, BROKEN):
        session.on_text(text)
    session.on_drained()
    session.wake()
    session.end(1000, "again")
    session.on_bytes(1e9)
    session.on_deadline(1e9)
    session.on_lost()
    session.on_lost()
    await world.settle()
    assert transport.frames == frames
    assert world.backend.calls == []
    assert session.state is State.CLOSED


@pytest.mark.parametrize("state", LIVE)
async def test_a_lost_connection_is_forgotten_in_each_state(state: State) -> None:
    world = World()
    session, transport = await world.in_state(state)
    session.on_lost()
    world.backend.open.set()
    await world.settle()
    assert session.state is State.CLOSED
    assert world.hub.count == 0
    assert not transport.of_type("error")


@pytest.mark.parametrize("state", list(State))
async def test_only_the_moves_of_the_table_are_made(state: State) -> None:
    session, _ = await World().in_state(state)
    for target in set(State) - MOVES[state]:
        with pytest.raises(RuntimeError, match="cannot move"):
            session._move(target)


async def test_welcome() -> None:
    world = World(heartbeat_max=600)
    session, transport = world.connect()
    session.on_text(hello(heartbeat=9999))
    await world.settle()
    (welcome,) = transport.of_type("welcome")
    assert welcome == {
        "type": "welcome", "v": 1, "session": welcome["session"], "heartbeat": 600,
        "time": world.clock.now_ms(), "userId": None,
    }  # fmt: skip
    assert world.hub.online(7)
    assert [text["type"] for text in transport.frames] == ["challenge", "welcome"]


@pytest.mark.parametrize(("wanted", "given"), [(None, 240), (1, 30), (100, 100), (86_400, 1800)])
async def test_heartbeat_is_kept_within_the_limits(wanted: int | None, given: int) -> None:
    session, _ = await World().ready()
    assert session._context.limits.heartbeat(wanted) == given


@pytest.mark.parametrize("state", LIVE)
async def test_deadlines(state: State) -> None:
    world = World()
    session, transport = await world.in_state(state)
    expected = {State.READY: (4005, 240 * 1.5)}.get(state, (4002, 10.0))
    assert session.deadline == expected[1]
    world.clock.advance(100)
    session.on_bytes(world.clock.monotonic())
    assert session.deadline == (100 + 360 if state is State.READY else expected[1])
    session.on_deadline(world.clock.monotonic())
    assert transport.closed is not None
    assert transport.closed[0] == expected[0]


async def test_a_refused_app_is_told_so() -> None:
    world = World()
    world.backend.refusal = Refusal(ResultCode.REST_API_SWITCH_NOT_OPEN)
    session, transport = world.connect()
    session.on_text(hello())
    await world.settle()
    assert transport.closed == (4006, "rest api switch not open")


async def test_a_newer_connection_replaces_the_older_one() -> None:
    world = World()
    older, first = await world.ready()
    newer, second = await world.ready()
    assert first.closed is not None
    assert first.closed[0] == 4000
    older.on_lost()  # late
    assert world.hub.online(7)
    world.backend.put(7, 1)
    assert world.hub.deliver(7, 1, push(1))
    assert second.pushed() == [1]
    newer.on_lost()
    assert not world.hub.deliver(7, 2, push(2))


# Delivery.


async def test_what_waited_comes_in_order_over_many_pages() -> None:
    world = World(page=3, window=100)
    world.backend.put(7, *range(20, 0, -1))
    _, transport = await world.ready()
    assert transport.pushed() == list(range(1, 21))
    assert world.backend.sent_log == [(7, message) for message in range(1, 21)]


async def test_a_write_is_no_longer_than_the_buffer_may_be() -> None:
    world = World(buffer_high=1_000, page=50)
    world.backend.put(7, *range(1, 11), content="x" * 400)
    _, transport = await world.ready()
    assert transport.pushed() == list(range(1, 11))
    assert max(transport.writes) < 1_000 + 500
    assert len([size for size in transport.writes if size > 400]) == 4


async def test_delivery_while_pumping_keeps_the_order_and_sends_once() -> None:
    world = World(page=2)
    world.backend.put(7, 1, 2, 3)
    session, transport = world.connect()
    session.on_text(hello())
    await world.settle_until(lambda: session.state is State.READY)
    world.backend.open.clear()  # the first page is being read
    world.backend.put(7, 4)
    session.deliver(4, b"never written")
    session.deliver(3, b"never written")
    await world.settle()
    assert transport.pushed() == []
    world.backend.open.set()
    await world.settle()
    assert transport.pushed() == [1, 2, 3, 4]


async def test_live_delivery_is_written_at_once_and_once() -> None:
    world = World()
    _, transport = await world.ready()
    reads = world.backend.inbox_reads
    world.backend.put(7, 5)
    for _ in range(2):
        assert world.hub.deliver(7, 5, push(5))
    assert transport.pushed() == [5]
    await world.settle()
    assert transport.pushed() == [5]
    assert world.backend.inbox_reads == reads
    assert world.backend.sent_log == [(7, 5)]


async def test_a_message_committed_late_is_still_sent() -> None:
    world = World()
    _, transport = await world.ready()
    world.backend.put(7, 10)
    world.hub.deliver(7, 10, push(10))
    world.backend.put(7, 9)
    world.hub.deliver(7, 9, push(9))
    await world.settle()
    assert transport.pushed() == [10, 9]


async def test_wake_finds_what_a_binding_brought_with_older_ids() -> None:
    world = World()
    _, transport = await world.ready()
    world.backend.put(7, 50)
    world.hub.deliver(7, 50, push(50))
    world.backend.put(7, 20, 30)
    assert world.hub.wake(7)
    await world.settle()
    assert transport.pushed() == [50, 20, 30]
    assert not world.hub.wake(8)


@pytest.mark.parametrize("make", [MemoryBackend, FutureBackend])
async def test_a_full_window_stops_and_acknowledgements_let_it_go_on(make: type[MemoryBackend]) -> None:
    world = World(make(), window=3, page=2)
    world.backend.put(7, *range(1, 8))
    session, transport = await world.ready()
    assert transport.pushed() == [1, 2, 3]
    world.backend.put(7, 8)
    assert world.hub.deliver(7, 8, push(8))
    await world.settle()
    assert transport.pushed() == [1, 2, 3]
    session.on_text(frame("ack", ids=["1", "2"]))
    await world.settle()
    assert transport.pushed() == [1, 2, 3, 4, 5]
    while unacked := [message for message in transport.pushed() if message in world.backend.waiting[7]]:
        session.on_text(frame("ack", id=str(unacked[0])))
        await world.settle()
    assert transport.pushed() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert world.backend.waiting[7] == {}


@pytest.mark.parametrize("make", [MemoryBackend, FutureBackend])
async def test_an_acknowledged_message_is_not_repeated_before_its_record_is_durable(
    make: type[MemoryBackend],
) -> None:
    world = World(make())
    world.backend.put(7, 1)
    session, transport = await world.ready()
    world.backend.acks_durable.clear()
    session.on_text(frame("ack", id="1"))
    session.wake()
    await world.settle()
    assert transport.pushed() == [1]
    world.backend.acks_durable.set()
    await world.settle()
    session.wake()
    await world.settle()
    assert transport.pushed() == [1]


async def test_unknown_and_repeated_acks_are_ignored() -> None:
    world = World()
    world.backend.put(7, 1)
    session, transport = await world.ready()
    session.on_text(frame("ack", ids=["1", "2", "1"]))
    session.on_text(frame("ack", id="1"))
    session.on_text(frame("ack"))
    await world.settle()
    assert world.backend.acks == [(7, [1])]
    assert transport.closed is None


async def test_what_was_not_acknowledged_comes_again() -> None:
    world = World()
    world.backend.put(7, 1, 2, 3)
    session, _ = await world.ready()
    session.on_text(frame("ack", id="2"))
    await world.settle()
    session.on_lost()
    _, again = await world.ready()
    assert again.pushed() == [1, 3]


async def test_a_full_socket_stops_the_pump_until_it_drains() -> None:
    world = World()
    session, transport = await world.ready()
    session.on_full()
    world.backend.put(7, 1)
    assert world.hub.deliver(7, 1, push(1))
    await world.settle()
    assert transport.pushed() == []
    session.on_drained()
    await world.settle()
    assert transport.pushed() == [1]
    session.on_deadline(29.0)  # nothing to wait for any more: this is the idle deadline's call
    assert transport.closed is not None
    assert transport.closed[0] == 4005


async def test_a_socket_that_does_not_drain_is_cut() -> None:
    world = World()
    session, transport = await world.ready()
    session.on_full()
    assert session.stall_deadline == 30.0
    session.on_deadline(30.0)
    assert transport.closed is not None
    assert transport.closed[0] == 4003
    assert not world.hub.online(7)


async def test_a_device_that_does_not_read_its_answers_is_cut() -> None:
    world = World()
    session, transport = await world.ready()
    session.on_full()
    transport.size = 256 * 1024
    session.on_text(PING)
    assert world.hub.online(7)
    transport.size += 1
    session.on_text(PING)
    assert transport.closed is not None
    assert transport.closed[0] == 4003


# Requests.


async def test_requests_are_carried_out_in_order_and_answered() -> None:
    world = World()
    session, transport = await world.ready()
    for text in (BIND, UNBIND, REPORT, EVENT, frame("bind", rid="4", userId="")):
        session.on_text(text)
    await world.settle()
    assert [call[0] for call in world.backend.calls] == ["bind", "unbind", "report", "event"]
    answers = [(answer["rid"], answer["code"]) for answer in transport.of_type("result")]
    assert answers == [("1", "OK"), ("2", "OK"), ("3", "OK"), ("4", "3012")]
    assert transport.of_type("result")[-1]["message"] == "need userid"


async def test_many_waiting_requests_stop_the_reading() -> None:
    world = World(requests=4)
    session, transport = await world.ready()
    world.backend.open.clear()
    for _ in range(3):
        session.on_text(EVENT)
    readings = [transport.reading]
    session.on_text(EVENT)
    readings.append(transport.reading)
    world.backend.open.set()
    await world.settle()
    readings.append(transport.reading)
    assert readings == [True, False, True]
    assert len(world.backend.calls) == 4


async def test_requests_that_came_before_the_end_are_carried_out() -> None:
    world = World()
    session, transport = await world.ready()
    world.backend.open.clear()
    session.on_text(EVENT)
    session.on_text(BIND)
    session.on_lost()
    world.backend.open.set()
    await world.settle()
    assert [call[0] for call in world.backend.calls] == ["event", "bind"]
    assert not transport.of_type("result")


# Failures of the backend.


@pytest.mark.parametrize(
    ("broken", "text"),
    [("identify", hello()), ("inbox", hello()), ("bind", BIND), ("event", EVENT), ("acked", ACK)],
)
@pytest.mark.parametrize("make", [MemoryBackend, FutureBackend])
async def test_a_broken_backend_ends_the_session_only(
    make: type[MemoryBackend], broken: str, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(make())
    world.backend.put(7, 1)
    session, transport = world.connect()
    if text != hello():
        session.on_text(hello())
        await world.settle()
    world.backend.broken.add(broken)
    with caplog.at_level(logging.ERROR):
        session.on_text(text)
        await world.settle()
    assert transport.closed == (1011, "internal error")
    assert not world.hub.online(7)
    assert f"{broken} is broken" in caplog.text
    assert "device-secret" not in caplog.text
    assert not world.tasks
    world.backend.broken.clear()
    _, again = await world.ready()
    assert again.pushed() == [1]


async def test_an_idle_session_holds_no_task() -> None:
    world = World()
    await world.ready()
    assert not world.tasks
