"""Payloads, waits and URLs."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.callbacks.model import (
    MAX_BYTES,
    MAX_EVENTS,
    BackOff,
    Batch,
    Entry,
    UrlError,
    checked_url,
    event_of,
    make_batch,
    trial_batch,
    without_query,
)
from clarion.channels.registry import Channel, Platform
from clarion.delivery.series import PLACELESS, PushKind, Series
from clarion.delivery.states import MessageStatus

LINK = Series(PushKind.SIMPLE, Platform.ANDROID, Channel.LINK).code


def entry(event: int = 7, **changes: object) -> Entry:
    """A row about a message to a user that a device acknowledged."""
    row = Entry(event, "status", 1000, 5, 4, "user", "key", 2, LINK, None, "token", None)
    return row._replace(**changes)  # type: ignore[arg-type]


def ids(batch: Batch) -> list[int]:
    return [int(event["id"]) for event in msgspec.json.decode(batch.body)["events"]]


def test_the_whole_payload() -> None:
    batch = make_batch("A", "w", [entry()], 2000)
    assert msgspec.json.decode(batch.body) == {
        "v": 1,
        "appId": "A",
        "workspaceId": "w",
        "batch": batch.name,
        "sentAt": 2000,
        "events": [
            {
                "id": "7",
                "type": "status",
                "msgKey": "key",
                "target": "user",
                "messageId": "5",
                "taskId": "4",
                "status": 2,
                "statusDesc": "Acked",
                "timestamp": 1000,
                "channel": "link",
                "device": "token",
            }
        ],
    }
    assert (batch.entries, batch.count, batch.full) == ((7,), 1, False)


def test_what_is_not_known_is_absent() -> None:
    expired = event_of(entry(status=8006, series=PLACELESS, token=None))
    assert expired is not None
    assert msgspec.to_builtins(expired).keys().isdisjoint({"channel", "device"})
    assert (expired.status, expired.status_desc) == (8006, "MsgExpired")


@pytest.mark.parametrize("status", list(MessageStatus))
def test_every_status_has_its_documented_name(status: MessageStatus) -> None:
    event = event_of(entry(status=int(status)))
    assert event is not None
    assert (event.status, event.status_desc) == (status.value, status.label)


def test_a_status_without_a_name_is_told_by_its_number() -> None:
    event = event_of(entry(status=123456))
    assert event is not None
    assert event.status_desc == "123456"


@pytest.mark.parametrize(("reported", "channel"), [(None, "link"), ("fcm", "fcm")])
def test_a_broadcast_is_told_by_its_device(reported: str | None, channel: str) -> None:
    event = event_of(
        entry(task=None, target=None, status=None, series=None, broadcast_key="b", device_channel=reported)
    )
    assert event is not None
    assert (event.target, event.msg_key, event.message_id, event.task_id) == ("token", "b", "5", "5")
    assert (event.status, event.channel) == (2, channel)


@pytest.mark.parametrize("changes", [{}, {"broadcast_key": "b", "token": None}, {"token": None}])
def test_what_is_no_more_is_not_told_but_done_with(changes: dict[str, str | None]) -> None:
    gone = entry(8, target=None, **changes)
    assert event_of(gone) is None
    batch = make_batch("A", "w", [entry(7), gone, entry(9)], 0)
    assert ids(batch) == [7, 9]
    assert (batch.entries, batch.count) == ((7, 8, 9), 2)
    assert make_batch("A", "w", [gone], 0).count == 0


def test_a_batch_is_named_by_its_events() -> None:
    first = make_batch("A", "w", [entry(7), entry(8)], 1)
    assert make_batch("A", "w", [entry(7), entry(8)], 2).name == first.name
    assert make_batch("A", "w", [entry(7)], 1).name != first.name
    assert make_batch("A", "w", [entry(78)], 1).name != first.name


def test_a_page_that_is_full_says_so() -> None:
    batch = make_batch("A", "w", [entry(n) for n in range(1, MAX_EVENTS + 1)], 0)
    assert (batch.count, batch.full) == (MAX_EVENTS, True)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=12), st.integers(1100, 8000))
def test_a_batch_stays_below_its_limit_and_leaves_nothing_out(sizes: list[int], limit: int) -> None:
    rows = [entry(n, target="€" * size) for n, size in enumerate(sizes, 1)]
    told: list[int] = []
    while rows:
        batch = make_batch("A" * 128, "w" * 128, rows, 2**53, limit)
        assert len(batch.body) <= limit or batch.count == 1
        assert batch.full == (len(batch.entries) < len(rows))
        told += ids(batch)
        rows = rows[len(batch.entries) :]
    assert told == list(range(1, len(sizes) + 1))


def test_the_largest_page_fits() -> None:
    rows = [entry(n, target="€" * 256, msg_key="€" * 512, token="t" * 512) for n in range(1, MAX_EVENTS + 1)]
    batch = make_batch("A" * 128, "w" * 128, rows, 2**53)
    assert MAX_BYTES * 0.9 < len(batch.body) <= MAX_BYTES
    assert batch.full


def test_a_trial() -> None:
    (event,) = msgspec.json.decode(trial_batch("A", "w", 9, 1000).body)["events"]
    assert (event["id"], event["type"]) == ("9", "test")


def test_waits_double_up_to_a_limit() -> None:
    whole = BackOff(chance=lambda: 1.0)
    assert [whole.seconds(n) for n in (1, 2, 3, 9, 10, 1000)] == [1, 2, 4, 256, 300, 300]
    assert BackOff(chance=lambda: 0.0).seconds(3) == 2
    assert len({BackOff().seconds(9) for _ in range(9)}) > 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/told",
        "https://push.example.com",
        "https://[::1]:8443/a?b=c",
        "HTTPS://Example.com/%20",
        "https://example.com/" + "a" * 2028,
    ],
)
def test_urls_that_can_be_called(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "http"),
        ("ftp://example.com/", "http"),
        ("example.com/a", "http"),
        ("https:///a", "host"),
        ("https://:80/", "host"),
        ("http://example.com:0/", "host"),
        ("http://example.com:65536/", "URL"),
        ("http://[::1/", "URL"),
        ("https://user:password@example.com/", "password"),
        ("https://@example.com/", "password"),
        ("https://example.com/#a", "fragment"),
        ("https://example.com/a b", "percent"),
        ("https://example.com/\n", "percent"),
        ("https://bücher.example/", "punycode"),
        ("https://example.com/" + "a" * 2029, "2048"),
    ],
)
def test_urls_that_cannot(url: str, why: str) -> None:
    with pytest.raises(UrlError, match=why):
        checked_url(url)


def test_a_log_shows_no_query() -> None:
    assert without_query("https://example.com/a?token=1") == "https://example.com/a"
