"""Faults: whom they strike and how often; what becomes of a request; the journal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from clarion.clock import ManualClock
from clarion.simulators.base import Peer, Receipt, Received, Reply
from clarion.simulators.desk import HUGE_BODY, Desk, Ending
from clarion.simulators.faults import MAX_FAULTS, Fault, FaultBook, FaultKind
from clarion.simulators.journal import Journal

RECEIPT = Receipt("https://push.example/receipts", b"{}")


class Echo:
    """A gateway that takes everything, and counts."""

    label = "echo"

    def __init__(self) -> None:
        self.handled = 0

    def handle(self, request: Received) -> Reply:
        self.handled += 1
        if request.path == "/broken":
            raise ZeroDivisionError
        return Reply(200, b'{"ok":1}', tokens=[request.path[1:]], receipts=[RECEIPT])


class Case:
    def __init__(self) -> None:
        self.faults = FaultBook()
        self.journal = Journal(ManualClock())
        self.echo = Echo()
        self.desk = Desk(self.echo, self.faults, self.journal)

    def set(self, kind: FaultKind, **more: Any) -> None:
        self.faults.set([Fault(channel="echo", kind=kind, **more)])

    def struck(self, kind: FaultKind, count: int, *, path: str = "/a") -> list[int]:
        """Which of so many requests a fault struck, from 1."""
        return [n for n in range(1, count + 1) if self.faults.strike("echo", [kind], path=path, app=path)]


@pytest.fixture
def case() -> Case:
    return Case()


def request(path: str = "/a", body: bytes = b"", *, http2: bool = True, authorization: str = "") -> Received:
    headers = {"accept": "x", "authorization": authorization}
    return Received("POST", path, "", headers, body, peer=Peer(http2=http2))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"count": 2}, [1, 2]),
        ({"skip": 3}, [4, 5, 6, 7, 8]),
        ({"every": 3}, [3, 6]),
        ({"skip": 1, "every": 2, "count": 2}, [3, 5]),
        ({"path": "/b"}, []),
        ({"app": "/a"}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"app": "other"}, []),
        ({"token": "other"}, []),
    ],
    ids=repr,
)
def test_how_often(case: Case, more: dict[str, Any], expected: Sequence[int]) -> None:
    case.set(FaultKind.RESET, **more)
    assert case.struck(FaultKind.RESET, 8) == expected
    assert case.struck(FaultKind.STALL, 1) == []
    assert case.faults.strike("other", FaultKind, path="/a") == []


def test_codes_are_for_tokens_and_paths(case: Case) -> None:
    case.set(FaultKind.CODE, code="gone", token="t1", count=1)
    case.set(FaultKind.CODE, code="closed", path="/auth")
    assert case.faults.code_for("echo", "t2") is None
    assert case.faults.code_for("echo", "t1") == "gone"
    assert case.faults.code_for("echo", "t1") is None
    assert case.faults.code_for("echo", "t1", path="/v1/auth") == "closed"


def test_faults_are_taken_back(case: Case) -> None:
    case.set(FaultKind.RESET, count=1)
    case.faults.set([Fault(channel="other", kind=FaultKind.STALL)])
    assert case.struck(FaultKind.RESET, 1) == [1]
    case.faults.clear("other")
    assert [fault.channel for fault in case.faults.listed()] == ["echo"]
    assert case.struck(FaultKind.RESET, 1) == [], "it still knows that it struck"
    case.faults.clear()
    assert case.faults.listed() == []
    assert not case.faults.concerns("echo")


def test_faults_are_few(case: Case) -> None:
    case.faults.set([Fault(channel="echo", kind=FaultKind.RESET)] * MAX_FAULTS)
    with pytest.raises(ValueError, match="at most"):
        case.set(FaultKind.RESET)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"kind": "fire"},
        {"kind": "reset", "colour": "red"},
        {"kind": "reset", "every": 0},
        {"kind": "status", "status": 99},
        {"kind": "latency", "seconds": 601},
        {"kind": "code"},
    ],
    ids=repr,
)
def test_faults_that_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps({"channel": "echo", **wrong}), type=Fault)


@pytest.mark.parametrize(
    ("kind", "ending", "handled"),
    [
        (FaultKind.REFUSE, Ending.RESET, 0),
        (FaultKind.REFUSED_STREAM, Ending.REFUSED, 0),
        (FaultKind.STATUS, Ending.ANSWERED, 0),
        (FaultKind.RESET, Ending.RESET, 1),
        (FaultKind.HALF, Ending.HALF, 1),
        (FaultKind.STALL, Ending.STALLED, 1),
        (FaultKind.GOAWAY, Ending.ANSWERED, 1),
        (FaultKind.LATENCY, Ending.ANSWERED, 1),
        (FaultKind.GARBAGE, Ending.ANSWERED, 1),
    ],
)
def test_what_becomes_of_a_request(case: Case, kind: FaultKind, ending: Ending, handled: int) -> None:
    case.set(kind, count=1)
    course = case.desk.take(request())
    assert (course.ending, case.echo.handled) == (ending, handled)
    written = case.journal.entries()
    assert len(written) == (kind not in (FaultKind.REFUSE, FaultKind.REFUSED_STREAM))
    assert [entry.outcome == "accepted" for entry in written] == [handled == 1] * len(written)
    assert case.desk.take(request()).ending is Ending.ANSWERED
    assert case.journal.entries()[-1].outcome == "accepted"


def test_answers_of_faults(case: Case) -> None:
    case.set(FaultKind.STATUS, status=429, body='{"a":1}', retry_after=9, count=1)
    reply = case.desk.take(request()).reply
    assert reply is not None
    assert (reply.status, reply.body) == (429, b'{"a":1}')
    assert reply.headers == {"Content-Type": "application/json", "Retry-After": "9"}
    case.set(FaultKind.HUGE, count=1)
    huge = case.desk.take(request()).reply
    assert huge is not None
    assert len(huge.body) == HUGE_BODY
    case.faults.clear()
    case.set(FaultKind.GARBAGE)
    garbage = case.desk.take(request()).reply
    assert garbage is not None
    with pytest.raises(ValueError, match=r"\w"):
        json.loads(garbage.body)


def test_refused_streams_are_of_http2(case: Case) -> None:
    case.set(FaultKind.REFUSED_STREAM)
    assert case.desk.take(request(http2=False)).ending is Ending.ANSWERED


def test_several_faults_at_once(case: Case) -> None:
    case.set(FaultKind.LATENCY, seconds=2.5)
    case.set(FaultKind.STATUS, status=500)
    case.set(FaultKind.GOAWAY)
    course = case.desk.take(request())
    assert (course.delay, course.reply and course.reply.status) == (2.5, 500)
    assert course.farewell is not None


def test_receipts(case: Case) -> None:
    course = case.desk.take(request())
    assert (list(course.receipts), course.receipts_first) == ([RECEIPT], False)
    case.set(FaultKind.RECEIPT_TWICE)
    case.set(FaultKind.RECEIPT_FIRST)
    course = case.desk.take(request())
    assert (list(course.receipts), course.receipts_first) == ([RECEIPT, RECEIPT], True)


def test_a_fault_may_be_for_what_a_form_says(case: Case) -> None:
    case.set(FaultKind.STATUS, token="a=b c")
    case.set(FaultKind.STATUS, app="my.app")
    assert case.desk.take(request(body=b"to=a%3Db+c")).reply != case.desk.take(request()).reply
    headers = case.desk.take(request(authorization="key of my.app")).reply
    assert headers is not None
    assert headers.status == 503


def test_a_simulator_that_fails_answers_500(case: Case) -> None:
    reply = case.desk.take(request("/broken")).reply
    assert reply is not None
    assert reply.status == 500
    assert case.journal.entries()[0].outcome == "simulator failed"


def test_the_journal_chooses() -> None:
    clock = ManualClock(1_000)
    journal = Journal(clock)
    for number in range(6):
        journal.add("a" if number % 2 else "b", request(f"/{number}"), Reply(200))
        clock.advance(1)
    assert [entry.path for entry in journal.entries("a")] == ["/1", "/3", "/5"]
    assert [entry.path for entry in journal.entries("a", since=4_000)] == ["/3", "/5"]
    assert [entry.path for entry in journal.entries(since=2_000, limit=2)] == ["/1", "/2"]
    journal.clear("a")
    assert [entry.path for entry in journal.entries()] == ["/0", "/2", "/4"]
    journal.clear()
    assert (len(journal), journal.entries()) == (0, [])


def test_the_journal_is_bounded() -> None:
    few = Journal(ManualClock(), entries=3)
    small = Journal(ManualClock(), size=1_000)
    for number in range(10):
        few.add("a", request(f"/{number}"), Reply(200))
        small.add("a", request(f"/{number}", b"x" * 300), Reply(200))
    assert [entry.path for entry in few.entries()] == ["/7", "/8", "/9"]
    assert [entry.path for entry in small.entries()] == ["/8", "/9"]


def test_the_journal_shows_no_secrets() -> None:
    journal = Journal(ManualClock())
    shown = request("/t", b"\xffbody", authorization="bearer secret")
    journal.add("a", shown, Reply(200, tokens=["t"], detail="why"))
    journal.add("a", request("/token", b"client_secret=s"), Reply(200, secret=True))
    first, second = journal.entries()
    digest = sha256(b"bearer secret").hexdigest()
    assert first.headers == {"authorization": f"sha256:{digest[:16]}", "accept": "x"}
    assert (first.body, first.tokens, first.detail) == ("\ufffdbody", ["t"], "why")
    assert second.body == ""
    keys = [set(msgspec.json.decode(text)) for text in journal.texts()]
    always = {"channel", "at", "path", "headers", "body", "tokens", "outcome"}
    assert keys == [always | {"detail"}, always]
