"""Limits that a vendor sets for a kind of messages of an app: kept here, so that it is not asked in vain."""

from __future__ import annotations

from dataclasses import replace

from clarion.channels.base import RateLimited, SendOutcome
from clarion.clock import Clock

LONG_MS = 60_000
"""Shorter limits are the sender's business."""
MAX_KINDS = 1_000


class Pauses:
    """Kinds of messages that have to wait, each until its own time.

    Some vendors lower the quota of an app that goes on after it was used up.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limits: dict[str, RateLimited] = {}

    def limit(self, kind: str) -> RateLimited | None:
        """The limit of a kind of messages, if there is one now."""
        limit = self._limits.get(kind)
        if limit is not None and limit.until <= self._clock.now_ms():
            del self._limits[kind]
            return None
        return limit

    def noted(self, kind: str, outcome: SendOutcome) -> SendOutcome:
        """An outcome; a long limit is kept, and said not to concern messages of other kinds."""
        if not isinstance(outcome, RateLimited) or outcome.until - self._clock.now_ms() < LONG_MS:
            return outcome
        if len(self._limits) >= MAX_KINDS:
            self._limits.clear()
        self._limits[kind] = replace(outcome, whole=False)
        return self._limits[kind]
