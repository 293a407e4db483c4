"""Alarms are raised once, and notices written no more often than they are needed."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from structlog.testing import capture_logs

from clarion.channels.base import Accepted, InvalidToken, RateLimited
from clarion.clock import ManualClock
from clarion.delivery.vendors.quota import Notice, NoticeKind
from clarion.delivery.vendors.watch import Watch
from clarion.failures import StoreUnavailable
from clarion.store.group import GroupWriter

LINE = 7, "apns"
BAD, GOOD = [InvalidToken()] * 60, [Accepted("id")] * 60


class Writer:
    """Keeps what is submitted; `fault` makes it fail."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.fault: Exception | None = None

    def submit(self, _: object, notice: Notice) -> asyncio.Future[None]:
        self.notices.append(notice)
        future = asyncio.get_running_loop().create_future()
        if self.fault is None:
            future.set_result(None)
        else:
            future.set_exception(self.fault)
        return future


def watching() -> tuple[Watch, Writer, ManualClock]:
    writer, clock = Writer(), ManualClock()
    return Watch(cast(GroupWriter, cast(Any, writer)), clock), writer, clock


async def test_an_alarm_is_logged_once_and_its_notice_kept_alive() -> None:
    watch, writer, clock = watching()
    with capture_logs() as logs:
        for _ in range(50):
            assert watch.keeps_tokens(LINE, 1, BAD)
            clock.advance(4)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("vendor_tokens_kept", "error")]
    assert "sandbox and production" in logs[0]["hint"]
    assert watch.guards_tokens(LINE)
    assert 3 <= len(writer.notices) <= 4  # in 200 s
    ends = [notice.until for notice in writer.notices]
    assert {notice.kind for notice in writer.notices} == {NoticeKind.TOKENS_KEPT}
    assert ends == sorted(ends)
    assert ends[-1] > clock.now_ms()

    clock.advance(61)
    with capture_logs() as logs:
        assert not watch.keeps_tokens(LINE, 1, GOOD)
        assert not watch.keeps_tokens(LINE, 1, GOOD)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("vendor_tokens_forgotten_again", "warning")
    ]
    assert not watch.guards_tokens(LINE)


async def test_other_settings_and_other_lines_are_believed() -> None:
    watch, _, _ = watching()
    assert watch.keeps_tokens(LINE, 1, BAD)
    assert not watch.keeps_tokens((7, "fcm"), 1, BAD[:1])
    assert not watch.keeps_tokens(LINE, 2, BAD[:1])
    assert not watch.guards_tokens(LINE)
    assert not watch.guards_tokens((8, "apns"))


async def test_a_pause_is_noted_and_a_database_that_is_away_does_not_matter() -> None:
    watch, writer, clock = watching()
    limit = RateLimited(clock.now_ms() + 3_600_000, "10070", "used up")
    with capture_logs() as logs:
        watch.paused(LINE, 3, limit)
        writer.fault = StoreUnavailable("away")
        watch.paused(LINE, 3, limit)
        await asyncio.sleep(0)
    assert writer.notices == [Notice(7, "apns", NoticeKind.PAUSED, 3, limit.until, "10070", "used up")] * 2
    assert [entry["event"] for entry in logs] == ["line_paused", "line_paused", "notice_not_kept"]
