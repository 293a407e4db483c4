"""The core beside another implementation, with everything that a server may do, in any order and in any pieces.

After each delivery the requests that ended have to be exactly those that the server ended, each in the way in which
it ended them. `h2` in turn reads what the core sends and refuses what the protocol does not allow.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import h2.events
import h2.settings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.http2.peer import Peer, Seen

from clarion.http2.core import MAX_HEADERS, Http2Core
from clarion.http2.exchange import OK, Answer, Completed, Fate, ProtocolError
from clarion.http2.frames import ErrorCode, FrameType, Setting, frame, goaway_frame, settings_frame
from clarion.http2.headers import HeaderSet, literal

Codes = h2.settings.SettingCodes

SETS = [
    HeaderSet("push.example", [(b"authorization", b"bearer %d" % number + b"t" * length), (b"apns-topic", b"app")])
    for number, length in enumerate([10, 150, 1900, 4000, 900, 900, 900, 900, 900, 900])
]
NEVER = 1 << 30


@dataclass(frozen=True)
class Reply:
    """How the server answers."""

    status: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    size: int = 0
    pieces: int = 1
    padding: int | None = None
    interim: int = 0
    trailers: bool = False

    @property
    def body(self) -> bytes:
        return b"z" * self.size

    def expected(self) -> Answer:
        """What the core has to make of it."""
        return Answer(Fate.ANSWERED, int(self.status), self.headers, self.body)


class Watcher(Peer):
    """A server that knows whether its settings were acknowledged."""

    acknowledged = False

    def _on(self, event: Any) -> None:
        super()._on(event)
        if isinstance(event, h2.events.SettingsAcknowledged):
            self.acknowledged = True


class Duel:
    """The core, a server around `h2`, and who has told whom what.

    Attributes:
        expected: the fates of requests of which the core has been told, by tag.
        ended: what the core said of them.
    """

    def __init__(self, first: dict[Codes, int], block: int) -> None:
        self.core = Http2Core()
        self.peer = Watcher(lambda *_: None)
        self.peer.connection.max_outbound_frame_size = block  # more CONTINUATION frames than usual
        self.expected: dict[int, Answer | Fate] = {}
        self.ended: list[Completed] = []
        self.bodies: list[bytes] = []
        self.streams: list[int] = []
        self._block = block
        self._sets: list[int] = []
        self._goodbye = NEVER
        self._over: set[int] = set()  # streams of which the server has nothing more to say
        self._said: list[Callable[[], None]] = []  # what becomes expected when the core hears it
        if first:
            self.both(NEVER)
            self.change(first)

    def request(self, number: int, size: int) -> None:
        if not self.core.room:
            return
        tag = len(self.bodies)
        body = bytes([65 + tag % 26]) * size
        own = literal(b"apns-id", b"%d" % tag)
        self.streams.append(self.core.request(SETS[number], b"/3/device/%d" % tag, body, tag, own))
        self.bodies.append(body)
        self._sets.append(number)

    def to_server(self, piece: int) -> None:
        data = self.core.take()
        for start in range(0, len(data), piece):
            self.peer.receive(data[start : start + piece])

    def to_core(self, piece: int) -> None:
        data = self.peer.connection.data_to_send()
        said, self._said = self._said, []
        for hear in said:
            hear()
        for start in range(0, len(data), piece):
            self.ended += self.core.receive(data[start : start + piece])
        assert dict(self.ended).keys() == self.expected.keys()

    def both(self, piece: int) -> None:
        """Until both are silent."""
        while True:
            before = len(self.ended), sum(len(seen.body) for seen in self.peer.requests.values())
            self.to_server(piece)
            self._enlarge_all()
            self.to_core(piece)
            if before == (len(self.ended), sum(len(seen.body) for seen in self.peer.requests.values())):
                return

    def answer(self, which: int, reply: Reply) -> None:
        found = self._pick(which)
        if found is None:
            return
        stream, connection = found, self.peer.connection
        for _ in range(reply.interim):
            connection.send_headers(stream, [(b":status", b"103"), (b"link", b"x" * 30)])
        piece = self._piece(reply)
        most = reply.size + 256 * (reply.size // piece + 1)  # with the padding of each
        if most > connection.local_flow_control_window(stream):
            reply = replace(reply, size=0)
        bare = not reply.size and not reply.trailers
        connection.send_headers(stream, [(b":status", reply.status), *reply.headers], end_stream=bare)
        if reply.size:
            self._send_body(stream, reply, piece)
        if reply.trailers:
            connection.send_headers(stream, [(b"trailer", b"t" * 50)], end_stream=True)
        self._tell(stream, reply.expected())

    def _piece(self, reply: Reply) -> int:
        """Bytes of a DATA frame of an answer."""
        return max(1, min(-(-reply.size // reply.pieces), self._block - 1 - (reply.padding or 0)))

    def _send_body(self, stream: int, reply: Reply, piece: int) -> None:
        for start in range(0, reply.size, piece):
            last = start + piece >= reply.size and not reply.trailers
            part = reply.body[start : start + piece]
            self.peer.connection.send_data(stream, part, end_stream=last, pad_length=reply.padding)

    def reset(self, which: int, code: int) -> None:
        if (stream := self._pick(which)) is not None:
            self.peer.connection.reset_stream(stream, code)
            self._tell(stream, Fate.UNPROCESSED if code == ErrorCode.REFUSED_STREAM else Fate.RESET)

    def goaway(self, last: int) -> None:
        if last <= self._goodbye:  # it may be repeated, with a smaller number
            self._goodbye = last
            self.peer.connection._data_to_send += goaway_frame(last, ErrorCode.NO_ERROR, b"bye")

            def hear() -> None:
                for tag, stream in enumerate(self.streams):
                    if stream > last:
                        self.expected.setdefault(tag, Fate.UNPROCESSED)

            self._said.append(hear)

    def change(self, changed: dict[Codes, int]) -> None:
        """New settings; `h2` can wait for one acknowledgement at a time."""
        if self.peer.acknowledged:
            self.peer.acknowledged = False
            self.peer.connection.update_settings({int(name): value for name, value in changed.items()})

    def enlarge(self, which: int, increment: int) -> None:
        """A window of the connection, or of a stream."""
        if self.peer.connection.inbound_flow_control_window + increment < 1 << 30:
            self.peer.connection.increment_flow_control_window(increment)
        if (stream := self._pick(which)) is not None and not self.peer.requests[stream].ended:
            self._enlarge(stream, increment)

    def cancel(self, which: int) -> None:
        under_way = [tag for tag in range(len(self.streams)) if tag not in self.expected]
        if under_way:
            tag = under_way[which % len(under_way)]
            ended = self.core.cancel(self.streams[tag])
            assert ended is not None
            self.ended.append(ended)
            self.expected[tag] = Fate.CANCELLED

    def ping(self) -> None:
        self.peer.connection.ping(b"12345678")
        self.core.ping()

    def break_off(self) -> None:
        """The connection ends, whatever was on the way."""
        self.ended += self.core.close("gone")

    def check(self) -> None:
        """Every request has one end, the right one, and what arrived is what was sent."""
        fates = dict(self.ended)
        assert len(fates) == len(self.ended) == len(self.bodies)
        for tag, (body, stream) in enumerate(zip(self.bodies, self.streams, strict=True)):
            seen = self.peer.requests.get(stream)
            self._check_request(tag, body, seen)
            wanted, answer = self.expected.get(tag), fates[tag]
            if isinstance(wanted, Answer):
                read = answer.headers or answer.status != 200  # those of a 200 need not be
                assert answer == (wanted if read else wanted._replace(headers=()))
            elif wanted is not None:
                assert answer.fate is wanted
            else:  # of this one the core was told nothing
                assert answer.fate in (Fate.LOST, Fate.UNPROCESSED)
                assert not (answer.fate is Fate.UNPROCESSED and seen is not None and seen.ended)

    def _check_request(self, tag: int, body: bytes, seen: Seen | None) -> None:
        if seen is None:
            return
        headers = dict(seen.headers)
        assert (headers[b":path"], headers[b"apns-id"]) == (b"/3/device/%d" % tag, b"%d" % tag)
        wanted = dict(SETS[self._sets[tag]].regular)
        assert {name: headers[name] for name in wanted} == wanted
        assert seen.body == body if seen.ended else body.startswith(bytes(seen.body))

    def _pick(self, which: int) -> int | None:
        """A request that the server may still end."""
        peer = self.peer
        found = [
            stream for stream in peer.requests
            if stream not in self._over and stream not in peer.resets and stream <= self._goodbye
        ]  # fmt: skip
        return found[which % len(found)] if found else None

    def _tell(self, stream: int, fate: Answer | Fate) -> None:
        self._over.add(stream)
        tag = self.streams.index(stream)

        def hear() -> None:
            self.expected.setdefault(tag, fate)

        self._said.append(hear)

    def _enlarge_all(self) -> None:
        connection = self.peer.connection
        if connection.inbound_flow_control_window < 1 << 20:
            connection.increment_flow_control_window(1 << 20)
        for stream, seen in self.peer.requests.items():
            if not seen.ended and stream not in self._over and stream not in self.peer.resets:
                self._enlarge(stream, 1 << 18)

    def _enlarge(self, stream: int, increment: int) -> None:
        if self.peer.connection.remote_flow_control_window(stream) + increment < 1 << 30:
            self.peer.connection.increment_flow_control_window(increment, stream)


Step = Callable[[Duel], None]


def small(largest: int) -> st.SearchStrategy[int]:
    return st.integers(0, largest)


def either(name: Codes, *values: int) -> st.SearchStrategy[dict[Codes, int]]:
    """A setting, or its absence."""
    return st.dictionaries(st.just(name), st.sampled_from(values), max_size=1)


def times(step: Callable[..., None], most: int, *arguments: Any) -> st.SearchStrategy[Step]:
    """A method of `Duel`, up to so many times."""

    def repeated(count: int, *values: Any) -> Step:
        def run(duel: Duel) -> None:
            for _ in range(count):
                step(duel, *values)

        return run

    return st.builds(repeated, st.integers(1, most), *arguments)


PIECES = st.sampled_from([1, 2, 8, 9, 10, 50, 1000, NEVER])
SETTINGS = st.builds(
    lambda *parts: {name: value for part in parts for name, value in part.items()},
    either(Codes.MAX_CONCURRENT_STREAMS, 0, 1, 2, 7, 1000),
    either(Codes.INITIAL_WINDOW_SIZE, 0, 1, 30, 65_535, 1 << 24),
    either(Codes.MAX_FRAME_SIZE, 16_384, 16_385, 1 << 20),
    either(Codes.HEADER_TABLE_SIZE, 0, 60, 300, 4096, 65_536),
)
REPLIES = st.builds(
    Reply,
    status=st.sampled_from([b"200", b"200", b"400", b"410", b"429", b"503", b"204"]),
    headers=st.sampled_from([(), ((b"apns-id", b"x"),), ((b"retry-after", b"5"), (b"big", b"v" * 400))]),
    size=st.sampled_from([0, 0, 2, 100, 9000]),
    pieces=st.sampled_from([1, 2, 5]),
    padding=st.sampled_from([None, None, 0, 7, 200]),
    interim=st.sampled_from([0, 0, 0, 1, 3]),
    trailers=st.booleans(),
)
STEPS: st.SearchStrategy[Step] = st.one_of(
    times(Duel.request, 12, small(len(SETS) - 1), st.sampled_from([0, 1, 40, 300])),
    times(Duel.request, 3, small(1), st.sampled_from([16_383, 16_384, 16_385, 40_000])),
    times(Duel.to_server, 1, PIECES),
    times(Duel.to_core, 1, PIECES),
    times(Duel.answer, 12, small(50), REPLIES),
    times(Duel.reset, 2, small(50), st.sampled_from([0, 2, 7, 7, 8, 11])),
    times(Duel.change, 1, SETTINGS),
    times(Duel.enlarge, 1, small(50), st.sampled_from([1, 50, 70_000])),
    times(Duel.cancel, 2, small(50)),
    times(Duel.ping, 1),
)
GOODBYES = times(Duel.goaway, 1, st.one_of(small(40), st.just((1 << 31) - 1)))


@settings(max_examples=250, deadline=None)
@given(
    first=SETTINGS,
    block=st.sampled_from([300, 16_384]),
    steps=st.lists(STEPS, min_size=5, max_size=40),
    goodbyes=st.lists(st.tuples(small(40), GOODBYES), max_size=2),
    finishes=st.booleans(),
)
def test_every_request_ends_once_and_as_the_server_ended_it(
    first: dict[Codes, int],
    block: int,
    steps: list[Step],
    goodbyes: list[tuple[int, Step]],
    finishes: bool,
) -> None:
    duel = Duel(first, block)
    for position, goodbye in goodbyes:
        steps.insert(position, goodbye)
    for step in steps:
        step(duel)
    if finishes:
        duel.both(1000)
        for which in range(len(duel.streams)):
            duel.answer(which, Reply(b"200"))
        duel.both(1000)
        assert not duel.core.active
    duel.break_off()
    duel.check()
    assert not duel.peer.ended


def test_the_duel_sees_a_fate_that_is_wrong() -> None:
    """What checks is itself checked: a core that took a reset for an answer would not pass."""
    duel = Duel({}, 16_384)
    duel.request(0, 5)
    duel.to_server(NEVER)
    duel.reset(0, ErrorCode.REFUSED_STREAM)
    duel.to_core(NEVER)
    duel.check()
    duel.ended = [(0, OK)]
    with pytest.raises(AssertionError):
        duel.check()


# Peers that do not speak the protocol.

BLOCKS = st.sampled_from(
    [b"\x88", b"\x89", b"\x88\x20", b"\x20\x88", b"\x00\x01a\x01b", b"\x48\x03100", b"\x08\x03000"]
)
FLAGS = st.sampled_from([0, 1, 4, 5, 5, 8, 9, 12, 13, 0x20, 0x25, 0xFF])
NUMBERS = st.sampled_from([0, 0, 1, 1, 3, 5, 7, 2, 99, (1 << 31) - 1])
PAYLOADS = st.one_of(
    BLOCKS,
    st.binary(max_size=40),
    st.sampled_from([0, 4, 5, 6, 8]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
)
FRAMES = st.one_of(
    st.builds(frame, st.sampled_from(FrameType), FLAGS, NUMBERS, PAYLOADS),
    st.builds(frame, st.just(FrameType.HEADERS), st.sampled_from([4, 5]), st.sampled_from([1, 3, 5, 7]), BLOCKS),
    st.builds(frame, st.just(FrameType.DATA), st.sampled_from([0, 1]), st.sampled_from([1, 3, 5, 7]), PAYLOADS),
)
NOISE = st.lists(st.one_of(FRAMES, FRAMES, st.binary(max_size=30)), max_size=30).map(b"".join)


def listen(data: bytes, piece: int) -> tuple[list[Completed], str]:
    """The ends of four requests, and why the connection ended."""
    core = Http2Core()
    core.receive(settings_frame({Setting.INITIAL_WINDOW_SIZE: 20}))
    for tag in range(4):
        core.request(SETS[0], b"/", b"x" * (10 * tag), tag)
    core.take()
    ended: list[Completed] = []
    reason = ""
    try:
        for start in range(0, len(data), piece):
            ended += core.receive(data[start : start + piece])
    except ProtocolError as error:
        reason = str(error)
    return ended + core.close("over"), reason


@settings(max_examples=400, deadline=None)
@given(noise=NOISE, piece=PIECES)
def test_noise_ends_each_request_once_and_means_the_same_in_pieces(noise: bytes, piece: int) -> None:
    ended, reason = listen(noise, NEVER)
    assert sorted(tag for tag, _ in ended) == list(range(4))
    assert all(200 <= answer.status <= 999 for _, answer in ended if answer.fate is Fate.ANSWERED)
    in_pieces, same_reason = listen(noise, piece)
    assert reason == same_reason
    assert in_pieces == ended


@settings(max_examples=200, deadline=None)
@given(noise=st.binary(max_size=300))
def test_anything_instead_of_a_greeting(noise: bytes) -> None:
    core = Http2Core()
    core.request(SETS[0], b"/", b"body", "tag")
    try:
        ended = core.receive(noise)
    except ProtocolError:
        ended = []
    assert len(ended + core.close("over")) == 1


def endless(kind: FrameType, flags: int, stream: int, payload: bytes) -> Iterator[bytes]:
    return (frame(kind, flags, stream, payload) for _ in count())


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "pings": partial(endless, FrameType.PING, 0, 0, b"12345678"),
    "settings": partial(endless, FrameType.SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x00" * 10),
    "headers": partial(endless, FrameType.CONTINUATION, 0, 1, b"\x00" * 999),
    "interim answers": partial(endless, FrameType.HEADERS, 4, 1, b"\x08\x03103" + literal(b"x", b"y" * 900)),
    "headers of nobody": partial(endless, FrameType.HEADERS, 5, 1, literal(b"x", b"y" * 900)),
    "goodbyes": partial(endless, FrameType.GOAWAY, 0, 0, (1 << 20).to_bytes(4) + b"\0\0\0\0" + b"text" * 200),
    "resets": partial(endless, FrameType.RST_STREAM, 0, 1, b"\0\0\0\0"),
    "data of nobody": partial(endless, FrameType.DATA, 0, 1, b"x" * 900),
    "empty data": partial(endless, FrameType.DATA, 0, 3, b""),
    "data": partial(endless, FrameType.DATA, 0, 3, b"x" * 900),
    "windows": partial(endless, FrameType.WINDOW_UPDATE, 0, 1, b"\0\0\0\1"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_takes_no_memory(name: str) -> None:
    core = Http2Core()
    core.receive(settings_frame({}))
    for tag in range(2):
        core.request(SETS[0], b"/", b"", tag)
    core.receive(frame(FrameType.HEADERS, 4, 3, b"\x88"))
    if name == "headers":
        core.receive(frame(FrameType.HEADERS, 0, 1, b"\x88"))
    flood, sent = FLOODS[name](), 0
    tracemalloc.start()
    try:
        with suppress(ProtocolError):  # some have an end
            while sent < 3_000_000:
                data = b"".join(next(flood) for _ in range(50))
                sent += max(len(data), 5_000)
                core.receive(data)
                core.take()
        held: Any = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held < 6 * MAX_HEADERS + 100_000
