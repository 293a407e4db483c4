from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.link import handshake

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the sample of RFC 6455, section 1.3
REQUEST = handshake.request("push.example:8081", "/link", KEY)


def refused(head: bytes) -> tuple[int, bytes]:
    with pytest.raises(handshake.HandshakeRefused) as caught:
        handshake.accept(head, "/link")
    response = caught.value.response
    assert response.startswith(b"HTTP/1.1 %d " % caught.value.status.value)
    return caught.value.status.value, response


def test_sample_of_the_standard() -> None:
    assert handshake.accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_both_sides_agree() -> None:
    answer = handshake.accept(REQUEST, "/link")
    assert answer.startswith(b"HTTP/1.1 101 ")
    handshake.check_response(answer, KEY)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Upgrade: websocket", b"UPGRADE: WebSocket"),
        (b"Connection: Upgrade", b"Connection: keep-alive, upgrade"),
        (b"Connection: Upgrade", b"Connection: keep-alive\r\nConnection: Upgrade"),
        (b"/link", b"/link?from=browser"),
        (b"Host:", b"Sec-WebSocket-Extensions: permessage-deflate\r\nHost:"),
    ],
)
def test_variants_of_a_good_request(old: bytes, new: bytes) -> None:
    handshake.check_response(handshake.accept(REQUEST.replace(old, new), "/link"), KEY)


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"/link", b"/", 404),
        (b"/link", b"/linkage", 404),
        (b"GET", b"POST", 405),
        (b"Upgrade: websocket", b"Upgrade: h2c", 426),
        (b"Connection: Upgrade", b"Connection: close", 426),
        (b"Version: 13", b"Version: 8", 426),
        (b"Sec-WebSocket-Version: 13\r\n", b"", 426),
        (KEY.encode(), b"c2hvcnQ=", 400),
        (KEY.encode(), b"!!!!", 400),
        (KEY.encode(), b"\xff" * 24, 400),
        (b"HTTP/1.1", b"HTTP/1.0", 400),
        (b"Host:", b"Host :", 400),
        (b"Host:", b" folded\r\nHost:", 400),
        (b"Host:", b"nonsense\r\nHost:", 400),
        (b"GET /link", b"GET", 400),
    ],
)
def test_bad_requests(old: bytes, new: bytes, status: int) -> None:
    assert refused(REQUEST.replace(old, new))[0] == status


def test_plain_http_is_told_what_is_spoken_here() -> None:
    status, response = refused(b"GET /link HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == 426
    assert b"Upgrade: websocket\r\n" in response
    assert b"Sec-WebSocket-Version: 13\r\n" in response
    assert b"WebSocket" in response.partition(b"\r\n\r\n")[2]
    assert b"/link" in refused(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")[1].partition(b"\r\n\r\n")[2]


@given(st.binary(max_size=300))
def test_random_heads_are_refused_and_nothing_else(data: bytes) -> None:
    refused(data + b"\r\n\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        b"HTTP/1.1 101 X\r\nnonsense\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_a_client_takes_no_other_answer(answer: bytes) -> None:
    with pytest.raises(handshake.HandshakeFailed):
        handshake.check_response(answer, KEY)
