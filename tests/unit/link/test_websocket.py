from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.link.websocket import (
    CloseCode,
    FrameParser,
    Message,
    Opcode,
    WebSocketError,
    apply_mask,
    close_payload,
    control_frame,
    masked_frame,
    parse_close,
    text_frame,
)

MASK = b"\x01\x80\xff\x00"
LIMIT = 300


def server_parser() -> FrameParser:
    return FrameParser(masked=True, max_size=LIMIT)


def run(parser: FrameParser, pieces: list[bytes]) -> tuple[list[Message], int | None]:
    """What comes out of these pieces, and the close code if they end in an error."""
    messages: list[Message] = []
    try:
        for piece in pieces:
            messages.extend(parser.feed(piece))
    except WebSocketError as error:
        return messages, error.code
    return messages, None


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


def fragment(first: int, payload: bytes) -> bytes:
    """A masked frame with this first byte (final bit, reserved bits and opcode)."""
    whole = masked_frame(Opcode.TEXT, payload, MASK)
    return bytes((first,)) + whole[1:]


texts = st.text(max_size=60).map(str.encode)
wholes = st.builds(lambda text: ([masked_frame(Opcode.TEXT, text, MASK)], [(1, text)]), texts)
controls = st.builds(
    lambda opcode, data: ([masked_frame(opcode, data, MASK)], [(int(opcode), data)]),
    st.sampled_from([Opcode.PING, Opcode.PONG]),
    st.binary(max_size=125),
)


@st.composite
def fragmented(draw: st.DrawFn) -> tuple[list[bytes], list[Message]]:
    """A text in fragments, with control frames in between."""
    text = draw(texts)
    parts = cut(text, draw(st.lists(st.integers(0, 40), min_size=1, max_size=4)))
    frames, messages = [], []
    for index, part in enumerate(parts):
        final = 0x80 if index + 1 == len(parts) else 0
        frames.append(fragment(final | (Opcode.TEXT if index == 0 else 0), part))
        if not final and draw(st.booleans()):
            frames.append(masked_frame(Opcode.PING, b"?", MASK))
            messages.append((int(Opcode.PING), b"?"))
    return frames, [*messages, (1, text)]


@given(st.lists(st.one_of(wholes, controls, fragmented()), max_size=8), st.lists(st.integers(0, 90), max_size=30))
def test_any_chunking_of_any_frames_gives_the_same_messages(
    parts: list[tuple[list[bytes], list[Message]]], sizes: list[int]
) -> None:
    stream = b"".join(data for frames, _ in parts for data in frames)
    expected = [message for _, messages in parts for message in messages]
    assert run(server_parser(), cut(stream, sizes)) == (expected, None)


@given(st.binary(max_size=200), st.lists(st.integers(0, 20), max_size=20))
def test_random_bytes_raise_nothing_but_the_codecs_own_error(data: bytes, sizes: list[int]) -> None:
    whole = run(server_parser(), [data])
    assert run(server_parser(), cut(data, sizes)) == whole
    run(FrameParser(masked=False, max_size=LIMIT), cut(data, sizes))


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2, 8, 9, 10]), st.booleans(), st.binary(max_size=150)), max_size=6)
)
def test_well_formed_frames_in_any_order_raise_nothing_but_the_codecs_own_error(
    frames: list[tuple[int, bool, bytes]],
) -> None:
    stream = b"".join(fragment(opcode | (0x80 if final else 0), payload) for opcode, final, payload in frames)
    messages, _ = run(server_parser(), [stream])
    assert all(len(payload) <= LIMIT for _, payload in messages)


@given(st.binary(max_size=1000), st.binary(min_size=4, max_size=4))
def test_mask_is_the_exclusive_or_of_each_byte(payload: bytes, mask: bytes) -> None:
    assert apply_mask(payload, mask) == bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_lengths_survive_both_writers(size: int) -> None:
    payload = b"a" * size
    assert list(FrameParser(masked=False, max_size=1 << 20).feed(text_frame(payload))) == [(1, payload)]
    sent = masked_frame(Opcode.TEXT, payload, MASK)
    assert list(FrameParser(masked=True, max_size=1 << 20).feed(sent)) == [(1, payload)]


BAD_FRAMES = {
    "unmasked": (text_frame(b"x"), 1002),
    "reserved bit": (fragment(0xC1, b"x"), 1002),
    "reserved bit 3": (fragment(0x91, b"x"), 1002),
    "unknown opcode": (fragment(0x83, b"x"), 1002),
    "unknown control opcode": (fragment(0x8B, b"x"), 1002),
    "continuation of nothing": (fragment(0x80, b"x"), 1002),
    "text inside a text": (fragment(0x01, b"x") + fragment(0x81, b"y"), 1002),
    "binary inside a text": (fragment(0x01, b"x") + fragment(0x82, b"y"), 1002),
    "fragmented ping": (fragment(0x09, b"x"), 1002),
    "long ping": (fragment(0x89, b"x" * 126), 1002),
    "length not shortest": (b"\x81\xfe\x00\x05" + MASK + b"hello", 1002),
    "8-byte length not shortest": (b"\x81\xff" + (126).to_bytes(8, "big") + MASK, 1002),
    "length of 2**63": (b"\x81\xff" + (1 << 63).to_bytes(8, "big"), 1009),
    "too big": (masked_frame(Opcode.TEXT, b"x" * (LIMIT + 1), MASK), 1009),
    "too big in fragments": (fragment(0x01, b"x" * LIMIT) + fragment(0x80, b"x"), 1009),
    "not UTF-8": (fragment(0x81, b"\xff"), 1007),
    "not UTF-8 over fragments": (fragment(0x01, b"\xe4\xb8") + fragment(0x80, b"x"), 1007),
}


@pytest.mark.parametrize(("data", "code"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_bad_frames_give_their_close_code_after_the_good_ones(data: bytes, code: int) -> None:
    good = masked_frame(Opcode.TEXT, b"good", MASK)
    assert run(server_parser(), [good + data]) == ([(1, b"good")], code)
    assert run(server_parser(), [bytes((byte,)) for byte in good + data]) == ([(1, b"good")], code)


def test_a_client_refuses_masked_frames() -> None:
    parser = FrameParser(masked=False, max_size=LIMIT)
    assert run(parser, [masked_frame(Opcode.TEXT, b"x", MASK)]) == ([], 1002)


def test_an_announced_size_over_the_limit_is_refused_before_it_arrives() -> None:
    assert run(server_parser(), [b"\x81\xfe\xff\xff"]) == ([], 1009)


def test_a_character_may_be_cut_by_fragments() -> None:
    character = "中".encode()
    assert run(server_parser(), [fragment(0x01, character[:1]) + fragment(0x80, character[1:])]) == (
        [(1, character)],
        None,
    )


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 3000, 4000, 4999])
def test_close_codes_and_reasons_survive(code: int) -> None:
    assert parse_close(close_payload(code, "wegen Ümläuten")) == (code, "wegen Ümläuten")


def test_an_empty_close_has_no_status() -> None:
    assert parse_close(b"") == (CloseCode.NO_STATUS, "")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03", 1002),
        (close_payload(999), 1002),
        (close_payload(1004), 1002),
        (close_payload(1005), 1002),
        (close_payload(1006), 1002),
        (close_payload(1015), 1002),
        (close_payload(2999), 1002),
        (close_payload(5000), 1002),
        (close_payload(1000) + b"\xff", 1007),
    ],
)
def test_bad_close_frames(payload: bytes, code: int) -> None:
    with pytest.raises(WebSocketError) as caught:
        parse_close(payload)
    assert caught.value.code == code


@given(st.text(max_size=200))
def test_a_long_reason_is_cut_on_a_character(reason: str) -> None:
    payload = close_payload(1000, reason)
    assert len(payload) <= 125
    assert reason.startswith(parse_close(payload)[1])
    assert len(control_frame(Opcode.CLOSE, payload)) == len(payload) + 2
