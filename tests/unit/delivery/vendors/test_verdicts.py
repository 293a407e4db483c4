"""What follows from each outcome, in each circumstance."""

from __future__ import annotations

from typing import Any

import pytest

from clarion.channels.base import (
    Accepted,
    ConfigError,
    Envelope,
    InvalidToken,
    PayloadError,
    RateLimited,
    Retry,
    SendOutcome,
    Superseded,
    Unknown,
)
from clarion.channels.message import PushContent
from clarion.delivery.vendors.lanes import Lane
from clarion.delivery.vendors.verdicts import Case, Policy, Step, Verdict, verdict

NOW = 1_000_000
POLICY = Policy()
AGAIN, LINK, ENDED, TAKEN = Step.AGAIN, Step.LINK, Step.ENDED, Step.TAKEN


def case(
    *, link: bool = False, lane: Lane = Lane.SINGLE, attempt: int = 1, seconds: int = 3600, repeats: int = 0
) -> Case:
    envelope = Envelope(1, 2, "token", "key", 3, NOW + seconds * 1000, PushContent("t", "c"), attempt)
    return Case(envelope, lane, link, NOW, 1.0, repeats=repeats)


def at(seconds: float) -> int:
    return NOW + int(seconds * 1000)


@pytest.mark.parametrize(
    ("outcome", "circumstances", "expected"),
    [
        (Accepted("id"), {}, Verdict(TAKEN)),
        (InvalidToken(), {}, Verdict(ENDED, drop_token=True)),
        (InvalidToken(since=5), {"link": True}, Verdict(LINK, drop_token=True, since=5)),
        (Retry(), {}, Verdict(AGAIN, at(1))),
        (Retry(), {"attempt": 4}, Verdict(AGAIN, at(8))),
        (Retry(), {"attempt": 40}, Verdict(AGAIN, at(300))),
        (Retry(after=60), {}, Verdict(AGAIN, at(60))),
        (Retry(after=60), {"seconds": 30, "link": True}, Verdict(LINK)),
        (Retry(after=60), {"seconds": 30}, Verdict(AGAIN, at(60))),
        (RateLimited(at(20)), {"link": True}, Verdict(AGAIN, at(20))),
        (RateLimited(at(601)), {"link": True}, Verdict(LINK)),
        (RateLimited(at(601)), {}, Verdict(AGAIN, at(601))),
        (RateLimited(NOW - 5), {}, Verdict(AGAIN, at(1))),
        (PayloadError(), {"link": True}, Verdict(LINK)),
        (PayloadError(), {}, Verdict(ENDED)),
        (Superseded(), {}, Verdict(ENDED)),
        (ConfigError(), {"link": True}, Verdict(LINK)),
        (ConfigError(), {}, Verdict(AGAIN, at(300))),
        (Unknown(), {}, Verdict(AGAIN, at(1), repeat=True)),
        (Unknown(), {"attempt": 3}, Verdict(AGAIN, at(4), repeat=True)),
        (Unknown(), {"repeats": 1}, Verdict(AGAIN, at(1), repeat=True)),
        (Unknown(), {"repeats": 2}, Verdict(ENDED)),
        (Unknown(), {"lane": Lane.MULTIPLE, "link": True}, Verdict(ENDED)),
        (Unknown(), {"lane": Lane.BROADCAST}, Verdict(ENDED)),
    ],
)
def test_what_follows(outcome: SendOutcome, circumstances: dict[str, Any], expected: Verdict) -> None:
    assert verdict(outcome, case(**circumstances), POLICY) == expected


def test_a_token_that_is_to_be_kept_changes_nothing_else() -> None:
    keeping = case(link=True)._replace(keep_token=True)
    assert verdict(InvalidToken(since=5), keeping, POLICY) == Verdict(LINK, since=5)
    assert verdict(Accepted("id"), keeping, POLICY) == Verdict(TAKEN)


def test_pauses_are_spread() -> None:
    early = case()._replace(chance=0.0)
    assert verdict(Retry(), early, POLICY).at == at(0.5)
