"""What follows from a vendor's outcome: one table, pure.

Three wishes pull in different directions. A one-time password must not be lost: a single push whose fate is not
known is sent again, and marked so. A campaign must not be doubled: a multiple or broadcast push of unknown fate is
not sent again. And a device that has the own link as well need not suffer from its vendor's troubles: the message
goes there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

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
from clarion.delivery.vendors.lanes import Lane


class Step(Enum):
    """What is to be done with a delivery."""

    TAKEN = "taken"
    """The vendor has it; nothing more is owed."""
    AGAIN = "again"
    """It is sent again later."""
    LINK = "link"
    """It goes over to the own link."""
    ENDED = "ended"
    """Nothing can be done; the message ends in a named state."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient delivery is. Times are seconds.

    Attributes:
        first: pause before the second attempt; it doubles with each.
        longest: longest pause.
        patience: a vendor that asks to wait longer than this is given up for the own link.
        repeats: how often a single push of unknown fate is sent again.
    """

    first: float = 1.0
    longest: float = 300.0
    patience: float = 600.0
    repeats: int = 2


class Case(NamedTuple):
    """A delivery and the circumstances in which its outcome is judged.

    Attributes:
        envelope: what was sent.
        lane: how urgent it is.
        has_link: whether the device can be reached over the own link.
        now: time, ms.
        chance: 0 to 1, spreads pauses.
        keep_token: whether the device's vendor token is kept, whatever is said of it (`vendors.guard`).
        repeats: how often it was sent again although the vendor may have had it.
    """

    envelope: Envelope
    lane: Lane
    has_link: bool
    now: int
    chance: float
    keep_token: bool = False
    repeats: int = 0


class Verdict(NamedTuple):
    """What is to be done with a delivery.

    Attributes:
        step: what.
        at: when it is to be sent again, ms.
        drop_token: whether the device's vendor token is to be forgotten; if it was reported before `since`.
        since: ms; None for whenever it was reported.
        repeat: whether sending it again may make it come twice.
    """

    step: Step
    at: int = 0
    drop_token: bool = False
    since: int | None = None
    repeat: bool = False


TAKEN = Verdict(Step.TAKEN)
"""What follows from `Accepted`, whatever the case."""


def verdict(outcome: SendOutcome, case: Case, policy: Policy) -> Verdict:
    """What follows from `outcome`."""
    return _TABLE[type(outcome)](outcome, case, policy)


def _accepted(_: Accepted, __: Case, ___: Policy) -> Verdict:
    return TAKEN


def _invalid(outcome: InvalidToken, case: Case, _: Policy) -> Verdict:
    step = Step.LINK if case.has_link else Step.ENDED
    return Verdict(step, drop_token=not case.keep_token, since=outcome.since)


def _retry(outcome: Retry, case: Case, policy: Policy) -> Verdict:
    return _later(case, max(outcome.after or 0.0, _pause(case, policy)))


def _limited(outcome: RateLimited, case: Case, policy: Policy) -> Verdict:
    wait = max(0.0, (outcome.until - case.now) / 1000)
    if case.has_link and wait > policy.patience:
        return Verdict(Step.LINK)
    return _later(case, max(wait, _pause(case, policy)))


def _payload(_: PayloadError, case: Case, __: Policy) -> Verdict:
    return Verdict(Step.LINK if case.has_link else Step.ENDED)


def _superseded(_: Superseded, __: Case, ___: Policy) -> Verdict:
    return Verdict(Step.ENDED)


def _config(_: ConfigError, case: Case, policy: Policy) -> Verdict:
    # Without the own link it waits: the operator may mend the credentials before it expires.
    return Verdict(Step.LINK) if case.has_link else _later(case, policy.longest)


def _unknown(_: Unknown, case: Case, policy: Policy) -> Verdict:
    if case.lane is Lane.SINGLE and case.repeats < policy.repeats:
        return _later(case, _pause(case, policy))._replace(repeat=True)
    return Verdict(Step.ENDED)


def _later(case: Case, seconds: float) -> Verdict:
    at = case.now + int(seconds * 1000)
    if at >= case.envelope.expires_at and case.has_link:
        return Verdict(Step.LINK)
    return Verdict(Step.AGAIN, at)


def _pause(case: Case, policy: Policy) -> float:
    pause = min(policy.longest, policy.first * 2.0 ** min(case.envelope.attempt - 1, 16))
    return pause * (0.5 + case.chance / 2)


_TABLE: Mapping[type, Callable[[Any, Case, Policy], Verdict]] = {
    Accepted: _accepted,
    InvalidToken: _invalid,
    Retry: _retry,
    RateLimited: _limited,
    PayloadError: _payload,
    Superseded: _superseded,
    ConfigError: _config,
    Unknown: _unknown,
}
