"""Limits that a vendor sets for a kind of messages of an app: kept here, so that it is not asked in vain."""

from __future__ import annotations

from dataclasses import replace

from clarion.channels.base import RateLimited, SendOutcome
from clarion.clock import Clock

MAX_KINDS = 1_000


class Pauses:
    """Kinds of messages that have to wait, each until its own time.

    Some vendors lower the quota of an app that goes on after it was used up.

    Args:
        clock: time.
        codes: of limits that concern one kind of messages; others are the sender's business.
    """

    def __init__(self, clock: Clock, codes: frozenset[str]) -> None:
        self._clock = clock
        self._codes = codes
        self._limits: dict[str, RateLimited] = {}

    def limit(self, kind: str) -> RateLimited | None:
        """The limit of a kind of messages, if there is one now."""
        limit = self._limits.get(kind)
        if limit is not None and limit.until <= self._clock.now_ms():
            del self._limits[kind]
            return None
        return limit

    def noted(self, kind: str, outcome: SendOutcome) -> SendOutcome:
        """An outcome; a limit of a kind of messages is kept, and said not to concern others."""
        if not isinstance(outcome, RateLimited) or outcome.code not in self._codes:
            return outcome
        if len(self._limits) >= MAX_KINDS:
            self._limits.clear()
        self._limits[kind] = replace(outcome, whole=False)
        return self._limits[kind]
