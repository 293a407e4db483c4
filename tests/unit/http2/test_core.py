"""The core against a server by another implementation, and against frames that no good server sends."""

from __future__ import annotations

from typing import Any

import h2.errors
import h2.settings
import pytest
from tests.unit.http2.peer import Peer, Seen, exchange

from clarion.http2.core import MAX_HEADERS, Http2Core
from clarion.http2.exchange import OK, Answer, Fate, ProtocolError
from clarion.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    PADDED,
    PRIORITY,
    ErrorCode,
    FrameType,
    Setting,
    frame,
    goaway_frame,
    reset_frame,
    settings_frame,
    window_frame,
)
from clarion.http2.headers import HeaderSet, literal

HEADERS = HeaderSet("push.example", [(b"authorization", b"bearer token"), (b"apns-topic", b"app")])
BODY = b'{"aps":{}}'


def send(core: Http2Core, count: int, body: bytes = BODY) -> list[int]:
    return [
        core.request(HEADERS, b"/3/device/%d" % n, body, n, literal(b"apns-id", b"id-%d" % n)) for n in range(count)
    ]


def greeted(**settings: int) -> Http2Core:
    """A core whose peer has said hello by hand."""
    core = Http2Core()
    core.receive(settings_frame({Setting[name.upper()]: value for name, value in settings.items()}))
    core.take()
    return core


class TestAgainstAnotherImplementation:
    @pytest.mark.parametrize("piece", [None, 1, 7])
    def test_requests_arrive_whole_and_are_answered(self, piece: int | None) -> None:
        core, peer = Http2Core(), Peer()
        send(core, 50)
        ended = exchange(core, peer, piece=piece)
        assert sorted(tag for tag, _ in ended) == list(range(50))
        assert all(answer == OK for _, answer in ended)
        assert core.active == 0
        for n, seen in enumerate(peer.requests.values()):
            assert bytes(seen.body) == BODY
            assert (b":path", b"/3/device/%d" % n) in seen.headers
            assert (b"apns-id", b"id-%d" % n) in seen.headers
            assert (b"authorization", b"bearer token") in seen.headers

    def test_an_error_comes_with_headers_and_body(self) -> None:
        def refuse(peer: Peer, stream: int, _: Seen) -> None:
            peer.connection.send_headers(stream, [(b":status", b"410"), (b"apns-id", b"x")])
            peer.connection.send_data(stream, b'{"reason":', pad_length=9)
            peer.connection.send_data(stream, b'"Unregistered"}', end_stream=True)

        core = Http2Core()
        send(core, 3)
        ended = exchange(core, Peer(refuse), piece=11)
        expected = Answer(Fate.ANSWERED, 410, ((b"apns-id", b"x"),), b'{"reason":"Unregistered"}')
        assert ended == [(n, expected) for n in range(3)]

    def test_interim_answers_and_trailers_are_passed_over(self) -> None:
        def linger(peer: Peer, stream: int, _: Seen) -> None:
            peer.connection.send_headers(stream, [(b":status", b"103")])
            peer.connection.send_headers(stream, [(b":status", b"202"), (b"x", b"1")])
            peer.connection.send_data(stream, b"b")
            peer.connection.send_headers(stream, [(b"trailer", b"t")], end_stream=True)

        core = Http2Core()
        send(core, 1)
        assert exchange(core, Peer(linger)) == [(0, Answer(Fate.ANSWERED, 202, ((b"x", b"1"),), b"b"))]

    def test_of_a_200_only_the_body_is_read(self) -> None:
        def answer(peer: Peer, stream: int, _: Seen) -> None:
            peer.connection.send_headers(stream, [(b":status", b"200"), (b"x", b"1")])
            peer.connection.send_data(stream, b"body %d" % stream, end_stream=True)

        core = Http2Core()
        send(core, 3)
        ended = exchange(core, Peer(answer))
        assert [(tag, reply.status, reply.body) for tag, reply in ended] == [
            (0, 200, b"body 1"), (1, 200, b"body 3"), (2, 200, b"body 5"),
        ]  # fmt: skip

    @pytest.mark.parametrize("window", [0, 1, 5, 1000])
    def test_bodies_wait_for_the_peer_s_windows(self, window: int) -> None:
        core, peer = Http2Core(), Peer(settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        exchange(core, peer)
        body = b"x" * 3000
        send(core, 5, body)
        ended = exchange(core, peer)
        while len(ended) < 5:
            for stream in [stream for stream, seen in peer.requests.items() if not seen.ended]:
                peer.connection.increment_flow_control_window(700, stream)
            ended += exchange(core, peer)
        assert all(answer == OK for _, answer in ended)
        assert all(bytes(seen.body) == body for seen in peer.requests.values())

    def test_the_window_of_the_connection_bounds_all_bodies(self) -> None:
        core, peer = Http2Core(), Peer()
        exchange(core, peer)
        body = b"x" * 20_000
        send(core, 10, body)
        assert len(exchange(core, peer)) == 10
        assert all(bytes(seen.body) == body for seen in peer.requests.values())

    def test_a_changed_initial_window_counts_for_bodies_that_wait(self) -> None:
        core = greeted(initial_window_size=4)
        (stream,) = send(core, 1, b"x" * 20)
        core.take()
        core.receive(settings_frame({Setting.INITIAL_WINDOW_SIZE: 10}))
        assert core.take().startswith(
            frame(FrameType.SETTINGS, ACK, 0) + frame(FrameType.DATA, 0, stream, b"x" * 6)
        )
        core.receive(settings_frame({Setting.INITIAL_WINDOW_SIZE: 3}) + window_frame(stream, 8))
        assert core.take().endswith(frame(FrameType.DATA, 0, stream, b"x"))
        core.receive(window_frame(stream, 99))
        assert core.take() == frame(FrameType.DATA, END_STREAM, stream, b"x" * 9)

    def test_bodies_of_answers_are_given_back_to_the_window(self) -> None:
        def answer(peer: Peer, stream: int, _: Seen) -> None:
            peer.connection.send_headers(stream, [(b":status", b"400")])
            peer.connection.send_data(stream, b"x" * 9000, end_stream=True)

        core, peer = Http2Core(), Peer(answer)
        for _ in range(20):
            send(core, 1)
            assert [len(reply.body) for _, reply in exchange(core, peer)] == [9000]

    def test_large_headers_go_in_several_frames(self) -> None:
        core, peer = Http2Core(), Peer()
        core.request(HeaderSet("a", [(b"big", b"v" * 40_000)]), b"/", BODY, "big")
        peer.connection.local_settings.max_header_list_size = 100_000
        peer.connection.decoder.max_header_list_size = 100_000
        assert exchange(core, peer) == [("big", OK)]

    def test_a_graceful_goodbye_lets_what_was_taken_finish(self) -> None:
        held: list[int] = []
        core, peer = Http2Core(), Peer(lambda _, stream, __: held.append(stream))
        streams = send(core, 4)
        exchange(core, peer)
        peer.connection.close_connection(last_stream_id=streams[1])
        data = peer.connection.data_to_send()
        ended = core.receive(data)
        assert [(tag, answer.fate) for tag, answer in ended] == [(2, Fate.UNPROCESSED), (3, Fate.UNPROCESSED)]
        assert core.draining
        assert core.room == 0
        finished = core.receive(b"".join(frame(FrameType.HEADERS, 5, stream, b"\x88") for stream in streams[:2]))
        assert finished == [(0, OK), (1, OK)]

    def test_fewer_streams_from_the_peer_are_kept_to(self) -> None:
        core, peer = Http2Core(), Peer(settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        exchange(core, peer)
        assert core.room == 1
        send(core, 1)
        assert core.room == 0
        with pytest.raises(RuntimeError, match="no room"):
            core.request(HEADERS, b"/", BODY, "more")
        exchange(core, peer)
        peer.connection.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 500})
        exchange(core, peer)
        assert core.room == 500

    def test_a_request_that_was_given_up_is_reset_and_its_late_answer_ignored(self) -> None:
        core, peer = Http2Core(), Peer(lambda *_: None)
        (stream,) = send(core, 1)
        exchange(core, peer)
        assert core.cancel(stream) == (0, Answer(Fate.CANCELLED, detail="no answer in time"))
        assert core.cancel(stream) is None
        assert core.receive(frame(FrameType.HEADERS, 5, stream, b"\x88")) == []
        assert exchange(core, peer) == []
        assert peer.resets == {stream: ErrorCode.CANCEL}

    def test_pings_are_answered_both_ways(self) -> None:
        core, peer = Http2Core(), Peer()
        exchange(core, peer)
        core.ping()
        assert core.unanswered_pings == 1
        peer.connection.ping(b"12345678")
        exchange(core, peer)
        assert core.unanswered_pings == 0

    def test_goodbye(self) -> None:
        core, peer = Http2Core(), Peer()
        exchange(core, peer)
        core.leave()
        exchange(core, peer)
        assert peer.ended


class TestEnds:
    def test_a_refused_stream_was_not_processed(self) -> None:
        core = greeted()
        streams = send(core, 2)
        ended = core.receive(
            reset_frame(streams[0], ErrorCode.REFUSED_STREAM) + reset_frame(streams[1], ErrorCode.INTERNAL_ERROR)
        )
        assert [(tag, answer.fate) for tag, answer in ended] == [(0, Fate.UNPROCESSED), (1, Fate.RESET)]
        assert "REFUSED_STREAM" in ended[0][1].detail

    def test_what_never_left_was_not_processed_and_the_rest_is_lost(self) -> None:
        core = greeted()
        send(core, 1)
        core.take()
        core.request(HEADERS, b"/", BODY, "unsent")
        core_ended = dict(core.close("reset by peer"))
        assert core_ended[0].fate is Fate.LOST
        assert core_ended["unsent"].fate is Fate.UNPROCESSED
        assert core.room == 0
        assert core.close("again") == []

    def test_a_body_that_was_not_sent_whole_was_not_processed(self) -> None:
        core = greeted(initial_window_size=3)
        send(core, 1)
        core.take()
        assert core.close("gone")[0][1].fate is Fate.UNPROCESSED

    def test_an_answer_before_the_body_was_whole_counts(self) -> None:
        core = greeted(initial_window_size=3)
        (stream,) = send(core, 1)
        core.take()
        assert core.receive(frame(FrameType.HEADERS, 5, stream, b"\x88")) == [(0, OK)]
        assert core.take() == reset_frame(stream, ErrorCode.CANCEL)
        assert core.receive(settings_frame({Setting.INITIAL_WINDOW_SIZE: 100})) == []

    def test_stream_numbers_run_out(self) -> None:
        core = greeted()
        core.last_stream = (1 << 31) - 5
        core.request(HEADERS, b"/", BODY, "last")
        assert core.draining
        assert core.active == 1

    def test_an_answer_without_a_status_fails_its_own_request_only(self) -> None:
        core = greeted()
        streams = send(core, 2)
        ended = core.receive(
            frame(FrameType.HEADERS, 5, streams[0], b"\x00\x01x\x01y")
            + frame(FrameType.HEADERS, 5, streams[1], b"\x88")
        )
        assert [(tag, answer.fate) for tag, answer in ended] == [(0, Fate.RESET), (1, Fate.ANSWERED)]

    @pytest.mark.parametrize(
        "block", [b"\x08\x03103", b"\x08\x03000", b"\x08\x0220", b"\x88\x08\x03200"[1:] + b"\x88"]
    )
    def test_an_end_without_a_final_status_is_no_answer(self, block: bytes) -> None:
        core = greeted()
        (stream,) = send(core, 1)
        ((_, answer),) = core.receive(frame(FrameType.HEADERS, 5, stream, block))
        assert (answer.fate, answer.status) == (Fate.RESET, 0)

    def test_what_was_answered_before_the_peer_broke_the_protocol_is_told(self) -> None:
        core = greeted()
        streams = send(core, 2)
        core.take()
        with pytest.raises(ProtocolError):
            core.receive(frame(FrameType.HEADERS, 5, streams[0], b"\x88") + window_frame(0, 0))
        assert [(tag, answer.fate) for tag, answer in core.close("broken")] == [(0, Fate.ANSWERED), (1, Fate.LOST)]

    def test_headers_with_priority_and_padding_are_read(self) -> None:
        core = greeted()
        (stream,) = send(core, 1)
        payload = b"\x03" + b"\x00" * 5 + b"\x88" + b"\x00" * 3
        flags = END_STREAM | END_HEADERS | PADDED | PRIORITY
        assert core.receive(frame(FrameType.HEADERS, flags, stream, payload)) == [(0, OK)]

    def test_headers_that_go_on_are_read(self) -> None:
        core = greeted()
        (stream,) = send(core, 1)
        block = b"\x89" + literal(b"x", b"y" * 100)
        data = (
            frame(FrameType.HEADERS, END_STREAM, stream, block[:5])
            + frame(FrameType.CONTINUATION, 0, stream, block[5:50])
            + frame(FrameType.CONTINUATION, END_HEADERS, stream, block[50:])
        )
        assert core.receive(data) == [(0, Answer(Fate.ANSWERED, 204, ((b"x", b"y" * 100),)))]

    def test_frames_of_unknown_types_are_passed_over(self) -> None:
        core = greeted()
        (stream,) = send(core, 1)
        unknown = b"\x00\x00\x03\x7f\xff\x00\x00\x00\x05abc"
        assert core.receive(unknown + frame(FrameType.HEADERS, 5, stream, b"\x88")) == [(0, OK)]


BROKEN: dict[str, tuple[ErrorCode, Any]] = {
    "no settings first": (ErrorCode.PROTOCOL_ERROR, lambda _: frame(FrameType.PING, 0, 0, b"12345678")),
    "frame too large": (ErrorCode.FRAME_SIZE_ERROR, lambda _: frame(FrameType.DATA, 0, 1, b"x" * 16_385)),
    "push": (ErrorCode.PROTOCOL_ERROR, lambda s: frame(FrameType.PUSH_PROMISE, END_HEADERS, s, b"\0" * 9)),
    "idle stream": (ErrorCode.PROTOCOL_ERROR, lambda s: frame(FrameType.HEADERS, 5, s + 2, b"\x88")),
    "even stream": (ErrorCode.PROTOCOL_ERROR, lambda _: frame(FrameType.HEADERS, 5, 2, b"\x88")),
    "interrupted headers": (
        ErrorCode.PROTOCOL_ERROR,
        lambda s: frame(FrameType.HEADERS, END_STREAM, s, b"\x88") + frame(FrameType.PING, 0, 0, b"12345678"),
    ),
    "lone continuation": (
        ErrorCode.PROTOCOL_ERROR,
        lambda s: frame(FrameType.CONTINUATION, END_HEADERS, s, b"\x88"),
    ),
    "endless headers": (
        ErrorCode.ENHANCE_YOUR_CALM,
        lambda s: (
            frame(FrameType.HEADERS, 0, s, b"\x88")
            + frame(FrameType.CONTINUATION, 0, s, b"\0" * 16_000) * (MAX_HEADERS // 16_000 + 1)
        ),
    ),
    "empty continuations": (
        ErrorCode.ENHANCE_YOUR_CALM,
        lambda s: frame(FrameType.HEADERS, 0, s, b"\x88") + frame(FrameType.CONTINUATION, 0, s),
    ),
    "bad compression": (
        ErrorCode.COMPRESSION_ERROR,
        lambda s: frame(FrameType.HEADERS, 5, s, b"\xff\xff\xff\xff\xff"),
    ),
    "table of answers": (ErrorCode.COMPRESSION_ERROR, lambda s: frame(FrameType.HEADERS, 5, s, b"\xbe")),
    "padding": (ErrorCode.PROTOCOL_ERROR, lambda s: frame(FrameType.HEADERS, 5 | PADDED, s, b"\x09\x88")),
    "window 0": (ErrorCode.FLOW_CONTROL_ERROR, lambda _: window_frame(0, 0)),
    "window too large": (ErrorCode.FLOW_CONTROL_ERROR, lambda _: window_frame(0, 0x7FFFFFFF)),
    "short ping": (ErrorCode.FRAME_SIZE_ERROR, lambda _: frame(FrameType.PING, 0, 0, b"1")),
    "odd settings": (ErrorCode.FRAME_SIZE_ERROR, lambda _: frame(FrameType.SETTINGS, 0, 0, b"1234567")),
    "settings ack with content": (
        ErrorCode.FRAME_SIZE_ERROR,
        lambda _: frame(FrameType.SETTINGS, ACK, 0, b"123456"),
    ),
    "settings on a stream": (ErrorCode.PROTOCOL_ERROR, lambda s: frame(FrameType.SETTINGS, 0, s)),
    "frame size": (ErrorCode.PROTOCOL_ERROR, lambda _: settings_frame({Setting.MAX_FRAME_SIZE: 100})),
    "initial window": (
        ErrorCode.FLOW_CONTROL_ERROR,
        lambda _: settings_frame({Setting.INITIAL_WINDOW_SIZE: 0x80000000}),
    ),
    "short goaway": (ErrorCode.FRAME_SIZE_ERROR, lambda _: frame(FrameType.GOAWAY, 0, 0, b"1234")),
    "flood of data": (
        ErrorCode.FLOW_CONTROL_ERROR,
        lambda s: (
            frame(FrameType.HEADERS, END_HEADERS, s, b"\x88") + frame(FrameType.DATA, 0, s, b"x" * 16_384) * 5
        ),
    ),
}


@pytest.mark.parametrize(("code", "data"), [pytest.param(*row, id=name) for name, row in BROKEN.items()])
def test_a_broken_peer_ends_the_connection_with_the_right_code(code: ErrorCode, data: Any) -> None:
    core = Http2Core()
    if data is not BROKEN["no settings first"][1]:
        core.receive(settings_frame({}))
    (stream,) = send(core, 1)
    core.take()
    with pytest.raises(ProtocolError) as broken:
        core.receive(data(stream))
    assert broken.value.code is code
    assert core.take().endswith(goaway_frame(0, code))
    assert core.close(str(broken.value))[0][1].fate is Fate.LOST
