"""When an SMS is due, what keeps it from being sent, and what follows from each answer."""

from __future__ import annotations

import pytest

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    PayloadError,
    RateLimited,
    Retry,
    SendOutcome,
    Unknown,
)
from clarion.delivery.sms.recorder import SMS_OUTCOMES
from clarion.delivery.sms.rules import (
    LONGEST_PAUSE,
    MOST_DOUBTS,
    Attempt,
    SmsStrategy,
    Verdict,
    due_at,
    obstacle,
    verdict,
)
from clarion.delivery.states import MessageStatus, Outcome

NOW = 1_800_000_000_000
HOUR = 3_600_000
SUPPLEMENT, CONCURRENT = SmsStrategy.SUPPLEMENT, SmsStrategy.CONCURRENT


@pytest.mark.parametrize(
    ("strategy", "reachable", "validity", "after"),
    [
        (SUPPLEMENT, True, HOUR, 30_000),
        (SUPPLEMENT, True, 60_001, 30_000),
        (SUPPLEMENT, True, 59_999, 29_999),
        (SUPPLEMENT, True, 1_000, 500),
        (SUPPLEMENT, False, HOUR, 0),
        (CONCURRENT, True, HOUR, 0),
        (CONCURRENT, False, HOUR, 0),
    ],
)
def test_due(strategy: SmsStrategy, reachable: bool, validity: int, after: int) -> None:
    assert due_at(strategy, NOW, NOW + validity, 30_000, reachable=reachable) == NOW + after


@pytest.mark.parametrize(
    ("strategy", "status", "left", "why"),
    [
        (SUPPLEMENT, MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE, 1, None),
        (SUPPLEMENT, MessageStatus.NO_BIND_INFO, 1, None),
        (SUPPLEMENT, MessageStatus.EXCEPTION, 1, None),
        (SUPPLEMENT, MessageStatus.ACKED, 1, Outcome.SMS_NOT_NEEDED),
        (SUPPLEMENT, MessageStatus.ACKED, 0, Outcome.SMS_NOT_NEEDED),
        (SUPPLEMENT, MessageStatus.REVOKED, 1, Outcome.REVOKED),
        (SUPPLEMENT, MessageStatus.NO_BIND_INFO, 0, Outcome.TOO_LATE),
        (CONCURRENT, MessageStatus.ACKED, 1, None),
        (CONCURRENT, MessageStatus.ACKED, 0, Outcome.TOO_LATE),
        (CONCURRENT, MessageStatus.REVOKED, 1, Outcome.REVOKED),
        (CONCURRENT, MessageStatus.MSG_EXPIRED, -1, Outcome.TOO_LATE),
    ],
)
def test_obstacles(strategy: SmsStrategy, status: MessageStatus, left: int, why: Outcome | None) -> None:
    assert obstacle(strategy, int(status), NOW + left, NOW) is why


def _attempt(number: int = 1, doubts: int = 0, left: int = HOUR, chance: float = 1.0) -> Attempt:
    return Attempt(number, doubts, NOW + left, NOW, chance)


@pytest.mark.parametrize("outcome", [Accepted("id"), InvalidToken(), PayloadError()])
def test_what_is_over(outcome: SendOutcome) -> None:
    assert verdict(outcome, _attempt()) == Verdict(None)


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (Retry(), 1.0),
        (Retry(0.1), 1.0),
        (Retry(20.0), 20.0),
        (RateLimited(NOW + 7_000), 7.0),
        (RateLimited(NOW - 7_000), 1.0),
        (ConfigError(), LONGEST_PAUSE),
    ],
)
def test_what_is_sent_again(outcome: SendOutcome, seconds: float) -> None:
    assert verdict(outcome, _attempt()) == Verdict(NOW + int(seconds * 1000))


def test_pauses_grow_and_are_spread() -> None:
    def pause(number: int, chance: float = 1.0) -> int:
        at = verdict(Retry(), _attempt(number, chance=chance)).at
        assert at is not None
        return at - NOW

    assert [pause(number) for number in (1, 2, 3, 4)] == [1000, 2000, 4000, 8000]
    assert pause(100) == LONGEST_PAUSE * 1000
    assert pause(3, chance=0.0) == 2000


@pytest.mark.parametrize("outcome", [Retry(), RateLimited(NOW + 2_000), ConfigError(), Unknown()])
def test_nothing_is_planned_beyond_the_validity(outcome: SendOutcome) -> None:
    found = verdict(outcome, _attempt(left=900))
    assert found.at is None
    assert "validity" in found.note


def test_doubt_is_bounded() -> None:
    for doubts in range(MOST_DOUBTS - 1):
        assert verdict(Unknown(), _attempt(doubts=doubts)) == Verdict(NOW + 5000, doubtful=True)
    last = verdict(Unknown(), _attempt(doubts=MOST_DOUBTS - 1))
    assert (last.at, last.doubtful) == (None, True)
    # Doubts are bounded, not attempts: what was surely not sent goes on until it expires.
    assert verdict(Retry(), _attempt(number=500, doubts=MOST_DOUBTS - 1)).at is not None


def test_notes_of_what_was_taken() -> None:
    assert verdict(Accepted("", ("one", "two")), _attempt()).note == "one; two"


def test_every_answer_has_a_name_in_the_trace() -> None:
    assert set(SMS_OUTCOMES) == set(SendOutcome.__args__)
