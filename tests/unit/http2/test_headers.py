"""HPACK blocks, read back by another implementation's decoder."""

from __future__ import annotations

import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from clarion.http2.headers import Header, HeaderEncoder, HeaderSet, check_header, literal

AUTHORITY = "api.push.example:443"
SET = HeaderSet(AUTHORITY, [(b"authorization", b"bearer " + b"t" * 200), (b"apns-topic", b"com.example.app")])


class Peer:
    """Reads blocks as a server would."""

    def __init__(self, table: int = 4096) -> None:
        self.decoder = Decoder()
        self.decoder.max_allowed_table_size = max(table, 4096)

    def read(self, block: bytes) -> list[Header]:
        return [(bytes(name), bytes(value)) for name, value in self.decoder.decode(block, raw=True)]


def expected(headers: HeaderSet, path: bytes, *own: Header) -> list[Header]:
    return [*headers.pseudo, (b":path", path), *headers.regular, *own]


def test_the_second_block_of_a_set_costs_a_byte_a_header() -> None:
    encoder, peer = HeaderEncoder(), Peer()
    path, own = b"/3/device/" + b"a" * 64, literal(b"apns-id", b"1" * 36)
    first, second = encoder.encode(SET, path, own), encoder.encode(SET, path, own)
    for block in (first, second):
        assert peer.read(block) == expected(SET, path, (b"apns-id", b"1" * 36))
    assert len(second) == 3 + (2 + len(path)) + 2 + len(own)
    assert len(first) > 250


def test_sets_that_take_turns_push_each_other_out_and_are_still_read_right() -> None:
    encoder, peer = HeaderEncoder(), Peer()
    sets = [HeaderSet(AUTHORITY, [(b"authorization", b"%d" % n + b"x" * 900)]) for n in range(7)]
    for _ in range(3):
        for headers in sets:
            assert peer.read(encoder.encode(headers, b"/p")) == expected(headers, b"/p")


def test_an_entry_that_takes_the_place_of_one_of_its_size_is_read_right() -> None:
    """As when provider tokens, all of one length, have filled the table."""
    encoder, peer = HeaderEncoder(), Peer()
    for number in range(30):
        headers = HeaderSet(AUTHORITY, [(b"authorization", b"%02d" % number + b"x" * 900), (b"apns-topic", b"app")])
        for _ in range(4):
            assert peer.read(encoder.encode(headers, b"/p")) == expected(headers, b"/p")


def test_a_table_that_the_peer_forbids_is_not_used() -> None:
    encoder, peer = HeaderEncoder(), Peer()
    encoder.encode(SET, b"/p")
    fresh = HeaderEncoder()
    fresh.resize(0)
    blocks = [fresh.encode(SET, b"/p") for _ in range(2)]
    peer.decoder.max_allowed_table_size = 0
    for block in blocks:
        assert peer.read(block) == expected(SET, b"/p")
    assert len(peer.decoder.header_table.dynamic_entries) == 0


def test_a_table_that_shrinks_and_grows_between_blocks_is_told_as_both() -> None:
    encoder, peer = HeaderEncoder(), Peer()
    assert peer.read(encoder.encode(SET, b"/p")) == expected(SET, b"/p")
    encoder.resize(0)
    encoder.resize(2048)
    block = encoder.encode(SET, b"/p")
    assert block.startswith(b"\x20\x3f\xe1\x0f")
    assert peer.read(block) == expected(SET, b"/p")
    assert peer.read(encoder.encode(SET, b"/p")) == expected(SET, b"/p")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["set", "resize"]),
            st.integers(0, 5),
            st.sampled_from([0, 40, 64, 100, 200, 400, 4096, 10_000]),
        ),
        max_size=40,
    )
)
def test_whatever_the_order_of_sets_and_sizes_the_peer_reads_what_was_meant(
    steps: list[tuple[str, int, int]],
) -> None:
    sets = [
        HeaderSet(AUTHORITY, [(b"name-%d" % m, b"%d" % n * (10 * (n % 3))) for m in range(3)]) for n in range(6)
    ]
    encoder, peer = HeaderEncoder(), Peer()
    for what, number, size in steps:
        if what == "resize":
            encoder.resize(size)
            peer.decoder.max_allowed_table_size = max(size, 4096)
        else:
            assert peer.read(encoder.encode(sets[number], b"/")) == expected(sets[number], b"/")


@given(st.binary(min_size=0, max_size=400).filter(lambda value: 0 not in value))
def test_a_literal_of_any_length_is_read_back(value: bytes) -> None:
    for name in (b"apns-id", b"user-agent"):
        assert Peer().read(literal(name, value)) == [(name, value)]


def test_a_long_path_is_read_back() -> None:
    path = b"/" + b"p" * 5000
    assert Peer().read(HeaderEncoder().encode(SET, path)) == expected(SET, path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"", b"v"),
        (b"Upper", b"v"),
        (b"a b", b"v"),
        (b"n", b"a\r\nb"),
        (b"n", b" v"),
        (b"n", b"a\x00"),
        (b"\xff", b""),
    ],
)
def test_what_http_does_not_allow_is_refused(name: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        check_header(name, value)
