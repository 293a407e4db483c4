"""What all lines of a process remember and raise alarms about: pauses that last, and tokens that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from clarion.channels.base import RateLimited, SendOutcome
from clarion.clock import Clock
from clarion.delivery.vendors.guard import Guard, counted
from clarion.delivery.vendors.quota import Asked, Notice, NoticeKind, Remembered, note, remembered
from clarion.failures import StoreUnavailable
from clarion.store.group import GroupWriter

log = structlog.get_logger(__name__)

_ALARM_MS = 120_000
_HINT = "are sandbox and production mixed up, or packages, topics (bundleId), projects or accounts of several apps?"

Name = tuple[int, str]
"""An app's internal number and a channel's label."""


class Watch:
    """Guards tokens, and keeps notices.

    Args:
        writer: writes notices.
        clock: time.
    """

    def __init__(self, writer: GroupWriter, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._guards: dict[Name, tuple[int, Guard]] = {}
        self._alarms: dict[Name, int] = {}  # until when the alarm is on disk, ms
        self._writing: set[asyncio.Future[None]] = set()

    async def remembered(self, name: Name, revision: int) -> Remembered:
        """What was noted of a channel with these settings, also by another process."""
        return await self._writer.submit(remembered, Asked(*name, revision, self._clock.now_ms()))

    def paused(self, name: Name, revision: int, limit: RateLimited) -> None:
        """Note a pause of a line. Never blocks."""
        app, channel = name
        log.warning("line_paused", app=app, channel=channel, until=limit.until, code=limit.code, reason=limit.text)
        self._note(Notice(app, channel, NoticeKind.PAUSED, revision, limit.until, limit.code, limit.text))

    def keeps_tokens(self, name: Name, revision: int, outcomes: Sequence[SendOutcome]) -> bool:
        """Take the outcomes of a batch into account; whether its refused tokens are to be kept. Never blocks."""
        guard = self._guard(name, revision)
        was_closed = guard.closed
        keeps = not guard.judge(self._clock.monotonic(), *counted(outcomes))
        if keeps != was_closed:
            say = log.error if keeps else log.warning
            event = "vendor_tokens_kept" if keeps else "vendor_tokens_forgotten_again"
            say(event, app=name[0], channel=name[1], refused=guard.invalid, of=guard.total, hint=_HINT)
        if keeps:
            self._raise_alarm(name, revision, guard)
        return keeps

    def guards_tokens(self, name: Name) -> bool:
        """Whether tokens of a channel are kept now."""
        return name in self._guards and self._guards[name][1].closed

    def _guard(self, name: Name, revision: int) -> Guard:
        """With other settings the vendor is believed anew."""
        known = self._guards.get(name)
        if known is None or known[0] != revision:
            known = self._guards[name] = revision, Guard()
            self._alarms.pop(name, None)
        return known[1]

    def _raise_alarm(self, name: Name, revision: int, guard: Guard) -> None:
        now = self._clock.now_ms()
        if self._alarms.get(name, 0) - now > _ALARM_MS // 2:
            return
        self._alarms[name] = until = now + _ALARM_MS
        reason = f"{guard.invalid} of {guard.total} tokens were refused within a minute: {_HINT}"
        self._note(Notice(*name, NoticeKind.TOKENS_KEPT, revision, until, "", reason))

    def _note(self, notice: Notice) -> None:
        writing = self._writer.submit(note, notice)
        self._writing.add(writing)
        writing.add_done_callback(self._noted)

    def _noted(self, writing: asyncio.Future[None]) -> None:
        self._writing.discard(writing)
        if not writing.cancelled() and isinstance(error := writing.exception(), StoreUnavailable):
            # The line pauses all the same; only a restart would not know of it.
            log.warning("notice_not_kept", error=str(error))
