"""A line between what waits and a vendor: order, bounds, pauses, and what happens when things go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle

from clarion.channels.base import (
    Accepted,
    Check,
    ConfigError,
    Envelope,
    InvalidToken,
    NotRecallable,
    RateLimited,
    RecallOutcome,
    Retry,
    SendOutcome,
    VendorCopy,
)
from clarion.channels.message import PushContent
from clarion.clock import SystemClock
from clarion.delivery.vendors.lanes import Lane
from clarion.delivery.vendors.line import Line, LineLimits
from clarion.delivery.vendors.pacing import BreakerState, DayLimit
from clarion.delivery.vendors.quota import OWN_LIMIT, vendor_day
from clarion.delivery.vendors.waiting import Waiting

CONTENT = PushContent("t", "c")
CLOSED = BreakerState.CLOSED


class Vendor:
    """Answers as told; `gate` holds answers back."""

    def __init__(self, batch: int = 10) -> None:
        self.batch = batch
        self.sent: list[list[int]] = []
        self.answer: SendOutcome | Exception = Accepted("id")
        self.answers: Iterator[SendOutcome] | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.most = 0
        self.closed = False

    async def send(self, envelopes: Sequence[Envelope]) -> Sequence[SendOutcome]:
        self.sent.append([envelope.message for envelope in envelopes])
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.gate.wait()
        self.under_way -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return [next(self.answers) if self.answers else self.answer for _ in envelopes]

    async def recall(self, copies: Sequence[VendorCopy]) -> Sequence[RecallOutcome]:
        return [NotRecallable()] * len(copies)

    async def check(self) -> Check:
        return Check(ok=True, text="")

    async def close(self) -> None:
        self.closed = True


class Book:
    """Keeps what was recorded."""

    def __init__(self) -> None:
        self.outcomes: dict[int, list[SendOutcome]] = {}
        self.changed = asyncio.Condition()
        self.fail = False

    async def __call__(self, batch: Sequence[Waiting], outcomes: Sequence[SendOutcome]) -> None:
        if self.fail:
            raise RuntimeError("no disk")
        async with self.changed:
            for each, outcome in zip(batch, outcomes, strict=True):
                self.outcomes.setdefault(each.envelope.message, []).append(outcome)
            self.changed.notify_all()

    async def count(self, number: int) -> None:
        async with self.changed, asyncio.timeout(5):
            await self.changed.wait_for(lambda: len(self.outcomes) >= number)


def waiting(numbers: range, lane: Lane = Lane.SINGLE, lease: float = 60.0) -> list[Waiting]:
    now = SystemClock().now_ms()
    return [
        Waiting(Envelope(n, n, f"t{n}", "k", 1, now + 3_600_000, CONTENT), lane, now + int(lease * 1000))
        for n in numbers
    ]


async def turns() -> None:
    """Let everything that can happen now happen."""
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def line(vendor: Vendor, book: Book, **limits: float) -> AsyncIterator[Line]:
    made = Line("app/vendor", vendor, book, SystemClock(), LineLimits(**limits))  # type: ignore[arg-type]
    yield made
    await made.close(1.0)
    assert vendor.closed


async def test_everything_is_sent_once_in_batches_and_recorded() -> None:
    vendor, book = Vendor(), Book()
    async with line(vendor, book) as made:
        assert made.offer(Lane.SINGLE, waiting(range(95))) == 95
        await book.count(95)
        assert made.waiting == 0
    assert all(len(outcomes) == 1 for outcomes in book.outcomes.values())
    assert max(map(len, vendor.sent)) == 10
    assert made.in_flight == 0


async def test_no_more_batches_at_once_than_the_window() -> None:
    vendor, book = Vendor(batch=1), Book()
    vendor.gate.clear()
    async with line(vendor, book, window=3) as made:
        made.offer(Lane.SINGLE, waiting(range(10)))
        await turns()
        assert (vendor.most, made.in_flight, made.waiting) == (3, 3, 7)
        vendor.gate.set()
        await book.count(10)


async def test_a_single_push_overtakes_a_broadcast() -> None:
    vendor, book = Vendor(), Book()
    vendor.gate.clear()
    async with line(vendor, book, window=1) as made:
        made.offer(Lane.BROADCAST, waiting(range(100, 150), Lane.BROADCAST))
        await turns()
        made.offer(Lane.SINGLE, waiting(range(1)))
        vendor.gate.set()
        await book.count(51)
    assert vendor.sent[1] == [0]


async def test_what_does_not_fit_or_is_not_leased_any_more_is_left_to_others() -> None:
    vendor, book = Vendor(), Book()
    async with line(vendor, book, waiting=5) as made:
        assert made.offer(Lane.SINGLE, waiting(range(9))) == 5
        await book.count(5)
        made.offer(Lane.SINGLE, waiting(range(20, 22), lease=10.0))
        made.offer(Lane.SINGLE, waiting(range(30, 31)))
        await book.count(6)
    assert set(book.outcomes) == {0, 1, 2, 3, 4, 30}


async def test_a_vendor_that_asks_for_a_pause_gets_it() -> None:
    vendor, book = Vendor(), Book()
    async with line(vendor, book) as made:
        vendor.answer = RateLimited(SystemClock().now_ms() + 60_000)
        made.offer(Lane.SINGLE, waiting(range(1)))
        await book.count(1)
        made.offer(Lane.SINGLE, waiting(range(1, 3)))
        await asyncio.sleep(0.05)
        assert len(vendor.sent) == 1
        assert made.pace.wait(SystemClock().monotonic()) > 50
        assert made.breaker.state is CLOSED


async def test_what_waits_for_a_quota_of_hours_is_given_back_at_once_and_without_asking() -> None:
    vendor, book, told = Vendor(), Book(), list[RateLimited]()
    quota = RateLimited(SystemClock().now_ms() + 3 * 3_600_000, "10070", "used up")
    made = Line("app/vendor", vendor, book, SystemClock(), remember=told.append)
    vendor.answer = quota
    made.offer(Lane.SINGLE, waiting(range(1)))
    await book.count(1)
    assert (told, made.paused_until) == ([quota], quota.until)
    assert not made.rests  # more is to be fetched, and given back
    made.offer(Lane.SINGLE, waiting(range(1, 40)))
    await book.count(40)
    await made.close(1.0)
    assert vendor.sent == [[0]]
    last = book.outcomes[39][0]
    assert isinstance(last, RateLimited)
    assert (last.until, last.code) == (quota.until, "10070")
    assert "was not sent" in last.text
    assert "used up" in last.text


async def test_a_quota_that_is_remembered_holds_a_new_line() -> None:
    vendor, book = Vendor(), Book()
    async with line(vendor, book) as made:
        made.hold(RateLimited(SystemClock().now_ms() + 3 * 3_600_000))
        made.offer(Lane.SINGLE, waiting(range(30)))
        await book.count(30)
    assert vendor.sent == []


async def test_what_a_vendor_asks_for_by_retry_after_is_a_pause() -> None:
    vendor, book = Vendor(), Book()
    async with line(vendor, book) as made:
        vendor.answer = Retry(120.0, "503")
        made.offer(Lane.SINGLE, waiting(range(10)))
        await book.count(10)
        made.offer(Lane.SINGLE, waiting(range(10, 12)))
        await turns()
        assert len(vendor.sent) == 1
        assert 110 < made.pace.wait(SystemClock().monotonic()) <= 120
        assert made.rests


async def test_never_more_than_the_day_s_own_limit() -> None:
    vendor, book, told = Vendor(batch=3), Book(), list[RateLimited]()
    now = SystemClock().now_ms()
    vendor.answers = cycle([Accepted("id"), InvalidToken()])  # half of them do not count
    day = DayLimit(20, vendor_day(now), 10)
    made = Line("app/vendor", vendor, book, SystemClock(), day=day, remember=told.append)
    made.offer(Lane.SINGLE, waiting(range(100)))
    await book.count(100)
    await made.close(1.0)
    outcomes = [outcome for each in book.outcomes.values() for outcome in each]
    assert sum(isinstance(each, Accepted) for each in outcomes) == 10
    refused = [each for each in outcomes if isinstance(each, RateLimited)]
    assert {each.code for each in refused} == {OWN_LIMIT}
    assert 19 <= sum(map(len, vendor.sent)) == 100 - len(refused) <= 21
    assert [each.until for each in told] == [refused[0].until]
    assert 0 < refused[0].until - now <= 86_400_000


async def test_a_rate_is_kept_to_by_whole_batches() -> None:
    vendor, book = Vendor(batch=10), Book()
    async with line(vendor, book, rate=100) as made:
        made.offer(Lane.MULTIPLE, waiting(range(120), Lane.MULTIPLE))
        began = SystemClock().monotonic()
        await book.count(120)
        assert SystemClock().monotonic() - began > 0.19
    assert {len(batch) for batch in vendor.sent} == {10}


async def test_a_limit_of_one_target_stops_nobody_else() -> None:
    vendor, book = Vendor(), Book()
    async with line(vendor, book) as made:
        vendor.answer = RateLimited(SystemClock().now_ms() + 60_000, whole=False)
        made.offer(Lane.SINGLE, waiting(range(1)))
        await book.count(1)
        made.offer(Lane.SINGLE, waiting(range(1, 3)))
        await book.count(3)


async def test_wrong_credentials_stop_the_line_and_one_probe_opens_it_again() -> None:
    vendor, book = Vendor(), Book()
    async with line(vendor, book) as made:
        vendor.answer = ConfigError("403", "InvalidProviderToken")
        made.offer(Lane.SINGLE, waiting(range(1)))
        await book.count(1)
        assert made.breaker.wait(SystemClock().monotonic()) > 0
        assert made.breaker.reason == "403 InvalidProviderToken"
        vendor.answer = Accepted("id")
        await asyncio.sleep(1.01)
        made.offer(Lane.SINGLE, waiting(range(1, 20)))
        await book.count(20)
        assert made.breaker.state is CLOSED
    assert len(vendor.sent[1]) == 1


async def test_what_waits_behind_wrong_credentials_is_given_back_at_once() -> None:
    vendor, book = Vendor(), Book()
    async with line(vendor, book) as made:
        vendor.answer = ConfigError("403", "InvalidProviderToken")
        made.offer(Lane.SINGLE, waiting(range(1)))
        await book.count(1)
        made.offer(Lane.SINGLE, waiting(range(1, 50)))
        await book.count(50)
    assert sum(map(len, vendor.sent)) == 1
    assert book.outcomes[49] == [ConfigError(text="403 InvalidProviderToken")]


async def test_settings_that_some_messages_lack_do_not_stop_the_line() -> None:
    vendor, book = Vendor(batch=1), Book()
    vendor.answer = ConfigError("", "needs a key", whole=False)
    async with line(vendor, book) as made:
        made.offer(Lane.SINGLE, waiting(range(30)))
        await book.count(30)
        assert made.breaker.state is CLOSED
    assert sum(map(len, vendor.sent)) == 30


async def test_bad_targets_do_not_stop_the_line() -> None:
    vendor, book = Vendor(batch=1), Book()
    vendor.answer = InvalidToken()
    async with line(vendor, book) as made:
        made.offer(Lane.SINGLE, waiting(range(30)))
        await book.count(30)
        assert made.breaker.state is CLOSED


async def test_failures_in_a_row_stop_it() -> None:
    vendor, book = Vendor(batch=1), Book()
    vendor.answer = Retry(code="503")
    async with line(vendor, book, window=1) as made:
        made.offer(Lane.SINGLE, waiting(range(30)))
        await book.count(5)
        await turns()
        assert made.breaker.wait(SystemClock().monotonic()) > 0
        assert len(vendor.sent) == 5


async def test_a_channel_that_raises_is_recorded_as_unknown() -> None:
    vendor, book = Vendor(), Book()
    vendor.answer = RuntimeError("bug")
    async with line(vendor, book) as made:
        made.offer(Lane.SINGLE, waiting(range(2)))
        await book.count(2)
    assert "the channel failed" in str(book.outcomes[0][0])


async def test_outcomes_that_cannot_be_recorded_do_not_end_the_line() -> None:
    vendor, book = Vendor(), Book()
    async with line(vendor, book) as made:
        book.fail = True
        made.offer(Lane.SINGLE, waiting(range(2)))
        await turns()
        book.fail = False
        made.offer(Lane.SINGLE, waiting(range(5, 6)))
        await book.count(1)
    assert set(book.outcomes) == {5}
