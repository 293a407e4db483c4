"""Calls with an access token: refreshed once when the vendor does not take it any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clarion.channels.answers import HttpAnswer, HttpFailure
from clarion.channels.base import Accepted, Check, ConfigError, Retry, SendOutcome
from clarion.channels.outcomes import (
    Treatment,
    VendorCode,
    answered,
    check_of,
    outcome_of,
    outcome_of_failure,
    outcome_of_status,
    scrub,
    waiting,
)
from clarion.channels.tokens import AccessToken, TokenRefused, TokenSource
from clarion.clock import Clock

Rows = Callable[[str, str], VendorCode]
"""The row of a vendor's table for a code and its text."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a call came to.

    Attributes:
        outcome: for all messages of the call, unless `value` says otherwise of one.
        row: of the vendor's table; None if there is no answer of the vendor's own.
        value: the vendor's answer.
    """

    outcome: SendOutcome
    row: VendorCode | None = None
    value: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Judge:
    """Reads a vendor's answers.

    Attributes:
        code: member of an answer that is the code.
        text: member that is the text.
        rows: the vendor's table.
        secrets: what no text may have.
        clock: for limits.
    """

    code: str
    text: str
    rows: Rows
    secrets: tuple[str, ...] = field(repr=False)
    clock: Clock

    def judge(self, answer: HttpAnswer | HttpFailure, secrets: Iterable[str] = ()) -> Judged:
        """What an answer means; `secrets`: more that no text may have."""
        if isinstance(answer, HttpFailure):
            return Judged(outcome_of_failure(answer))
        said = answered(answer, self.code)
        if said is None:
            return Judged(outcome_of_status(answer, self.clock))
        code, value = said
        text = scrub(value.get(self.text), (*self.secrets, *secrets))
        row = waiting(self.rows(code, text), answer, self.clock)
        return Judged(outcome_of(row, code, text, self.clock), row, value)

    def token(
        self, answer: HttpAnswer | HttpFailure, sign: str, found: Callable[[Mapping[str, Any]], Any], seconds: float
    ) -> AccessToken:
        """The access token of an answer.

        Args:
            answer: of the call for one.
            sign: what the call was signed with, which no text may have.
            found: where it is in the answer.
            seconds: how long it is good.

        Raises:
            TokenRefused: there is none.
        """
        judged = self.judge(answer, (sign,))
        outcome = judged.outcome
        if judged.row is not None and judged.row.treatment is Treatment.ACCEPTED:
            token = found(judged.value)
            if isinstance(token, str) and 0 < len(token) <= 4096:
                return AccessToken(token, seconds)
            raise TokenRefused("an answer without an access token", final=False)
        final = isinstance(outcome, ConfigError)
        raise TokenRefused(getattr(outcome, "text", ""), getattr(outcome, "code", ""), final=final)


async def authorized(tokens: TokenSource, call: Callable[[str], Awaitable[Judged]]) -> Judged:
    """Make a call with an access token; once more with a new one if the vendor refuses it.

    A second refusal is a `ConfigError`.
    """
    judged = Judged(Retry())
    for _ in range(2):
        try:
            token = await tokens.get()
        except TokenRefused as refused:
            kind = ConfigError if refused.final else Retry
            return Judged(kind(code=refused.code, text=refused.text))
        judged = await call(token)
        if judged.row is None or judged.row.treatment is not Treatment.AUTH_REFRESH:
            break
        tokens.invalidate(token)
    return judged


async def checked(fetch: Callable[[], Awaitable[AccessToken]], host: str) -> Check:
    """What asking for an access token shows, which reaches no device."""
    try:
        await fetch()
    except TokenRefused as refused:
        kind = ConfigError if refused.final else Retry
        return check_of(kind(code=refused.code, text=refused.text), host)
    return check_of(Accepted(""), host)
