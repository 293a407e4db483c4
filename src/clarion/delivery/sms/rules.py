"""When an SMS goes with a push, and what follows from the service's answer. Pure.

Two wishes pull in different directions: a one-time password must not be lost, and an SMS that comes twice costs
money. So one whose fate is not known is not simply sent again: the service is asked first whether it has it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from clarion.channels.base import Accepted, ConfigError, RateLimited, Retry, SendOutcome, Unknown
from clarion.delivery.states import MessageStatus, Outcome

SMS = "sms"
"""Label of the channel."""
FIRST_PAUSE = 1.0
"""Pause before a second attempt, s; it doubles with each."""
LONGEST_PAUSE = 60.0
MOST_DOUBTS = 3
"""So often the fate of an SMS may be unknown; then it is given up."""
RECORDS_APPEAR = 5.0
"""The service lists what it took a little later, s."""


class SmsStrategy(IntEnum):
    """When an SMS is sent (`SmsStrategy` of the API)."""

    NONE = 0
    SUPPLEMENT = 1
    """If the push reaches nobody."""
    CONCURRENT = 2
    """Together with the push."""


def due_at(strategy: SmsStrategy, created_at: int, expires_at: int, window_ms: int, *, reachable: bool) -> int:
    """When an SMS is to be sent, unless it turns out not to be needed, ms.

    Args:
        strategy: not `NONE`.
        created_at: acceptance of the push, ms.
        expires_at: end of its validity, ms; a short one leaves at least half of itself to the SMS.
        window_ms: how long the push has to reach a device.
        reachable: whether there is a device that it could reach.
    """
    if strategy is SmsStrategy.CONCURRENT or not reachable:
        return created_at
    return created_at + min(window_ms, (expires_at - created_at) // 2)


def obstacle(strategy: SmsStrategy, status: int, expires_at: int, now: int) -> Outcome | None:
    """Why an SMS that is due is not sent; None if it is.

    Args:
        strategy: not `NONE`.
        status: of the message.
        expires_at: end of its validity, ms.
        now: ms.
    """
    if status == MessageStatus.REVOKED:
        return Outcome.REVOKED
    if strategy is SmsStrategy.SUPPLEMENT and status == MessageStatus.ACKED:
        return Outcome.SMS_NOT_NEEDED
    return Outcome.TOO_LATE if expires_at <= now else None


class Attempt(NamedTuple):
    """An SMS that was handed to the service.

    Attributes:
        number: 1 for the first.
        doubts: how often its fate was unknown before.
        expires_at: end of validity, ms.
        now: ms.
        chance: 0 to 1, spreads pauses.
    """

    number: int
    doubts: int
    expires_at: int
    now: int
    chance: float


class Verdict(NamedTuple):
    """What is to be done with it.

    Attributes:
        at: when it is to be sent again, ms; None for never.
        doubtful: whether the service may have it.
        note: what the trace says besides the service's own text.
    """

    at: int | None
    doubtful: bool = False
    note: str = ""


def verdict(outcome: SendOutcome, attempt: Attempt) -> Verdict:
    """What follows from the service's answer."""
    match outcome:
        case Retry(after=after):
            return _again(attempt, max(after or 0.0, _pause(attempt)))
        case RateLimited(until=until):
            return _again(attempt, max((until - attempt.now) / 1000, _pause(attempt)))
        case ConfigError():
            return _again(attempt, LONGEST_PAUSE)
        case Unknown():
            return _in_doubt(attempt)
        case _:
            return Verdict(None, note="; ".join(outcome.notes) if isinstance(outcome, Accepted) else "")


def _in_doubt(attempt: Attempt) -> Verdict:
    if attempt.doubts + 1 >= MOST_DOUBTS:
        return Verdict(None, doubtful=True, note="It is not sent again.")
    return _again(attempt, max(RECORDS_APPEAR, _pause(attempt)))._replace(doubtful=True)


def _again(attempt: Attempt, seconds: float) -> Verdict:
    at = attempt.now + int(seconds * 1000)
    if at >= attempt.expires_at:
        return Verdict(None, note="Its validity ends before it could be sent again.")
    return Verdict(at)


def _pause(attempt: Attempt) -> float:
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt.number - 1, 16))
    return pause * (0.5 + attempt.chance / 2)
