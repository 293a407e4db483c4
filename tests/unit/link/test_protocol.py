from __future__ import annotations

import hashlib
import hmac

import msgspec
import pytest
from tests.unit.link.fakes import frame, hello

from clarion.link.backend import EventKind
from clarion.link.protocol import (
    Ack,
    ClientFrame,
    Event,
    Failure,
    Hello,
    Ping,
    Push,
    Report,
    Welcome,
    decode_client_frame,
    decode_server_frame,
    encode,
    sign_hello,
    verify_hello,
)

SECRET = b"device-secret"


def test_signature_is_the_documented_one() -> None:
    text = b"clarion-link-v1\napp\nws\n7\nn"
    assert sign_hello(SECRET, "app", "ws", "7", "n") == hmac.new(SECRET, text, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "change", [{"app_id": "x"}, {"workspace_id": "x"}, {"token": "x"}, {"nonce": "x"}, {"sig": "é"}, {"sig": ""}]
)
def test_any_change_of_a_hello_breaks_its_signature(change: dict[str, str]) -> None:
    genuine = decode_client_frame(hello())
    assert isinstance(genuine, Hello)
    assert verify_hello(genuine, SECRET)
    assert not verify_hello(genuine, b"other")
    assert not verify_hello(msgspec.structs.replace(genuine, **change), SECRET)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (frame("ping"), Ping()),
        (frame("ping", later="field"), Ping()),
        (frame("ack", id="5"), Ack(id="5")),
        (frame("ack", ids=["5", "6"]), Ack(ids=["5", "6"])),
        (frame("event", id="5", kind="open"), Event(id="5", kind=EventKind.OPEN)),
        (
            frame("report", rid="1", channel="hms", vendorToken="t", appVersion="2"),
            Report(rid="1", channel="hms", vendor_token="t", app_version="2"),
        ),
        (frame("of a later version", id=5), None),
    ],
)
def test_client_frames(text: bytes, expected: ClientFrame | None) -> None:
    assert decode_client_frame(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"type":5}',
        frame("ack", id=5),
        frame("ack", id=""),
        frame("ack", id="-5"),
        frame("ack", id="5\n"),
        frame("ack", id="٣"),
        frame("ack", id="1" * 17),
        frame("ack", ids=["1"] * 101),
        frame("event", id="5"),
        frame("event", id="5", kind="eaten"),
        frame("bind", userId="u"),
        frame("bind", rid="", userId="u"),
        frame("bind", rid="1", userId="u" * 257),
        frame("report", rid="1", channel="hms", vendorToken=""),
        frame("report", rid="1", channel="hms", vendorToken="t" * 1025),
        hello(heartbeat=0),
        hello(nonce="n" * 65),
        hello(token="7" * 513),
    ],
)
def test_malformed_client_frames(text: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_client_frame(text)


def test_an_ack_of_nothing_is_allowed() -> None:
    assert Ack().messages() == []
    assert Ack(id="1", ids=["2", "3"]).messages() == [1, 2, 3]


def test_server_frames_come_back() -> None:
    welcome = Welcome(session="s", heartbeat=240, time=1, user_id=None)
    assert decode_server_frame(encode(welcome)) == welcome
    assert b'"userId":null' in encode(welcome)
    assert decode_server_frame(frame("push", id="1", msgKey="k", params={"a": [1]})) == Push(
        id="1", msg_key="k", params={"a": [1]}
    )
    assert decode_server_frame(frame("of a later version")) is None
    with pytest.raises(msgspec.MsgspecError):
        decode_server_frame(frame("push"))


def test_each_failure_has_a_member_of_its_own() -> None:
    # Members of equal values would be aliases of each other.
    assert len(Failure) == len(Failure.__members__)
