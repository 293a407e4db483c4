"""Token buckets: a burst, then a steady rate; what is idle is forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.openapi.harness import KEYS, Apps, Gateway, action, common, echo, refuse, signed

from clarion.clock import ManualClock
from clarion.openapi.throttle import LEAST_BURST, Throttle, TokenBuckets
from clarion.tenants.model import AccessKey, App, Role


def taken(buckets: TokenBuckets[str], rate: int, name: str = "a") -> int:
    """How many tokens there are now."""
    count = 0
    while buckets.take(name, rate) == 0:
        count += 1
    return count


@pytest.mark.parametrize(
    ("rate", "burst"), [(1, 10), (3, 10), (10, 10), (11, 11), (100, 100), (999, 999), (2_000_000_000, None)]
)
def test_a_full_bucket_holds_one_second_but_at_least_ten(rate: int, burst: int | None) -> None:
    buckets: TokenBuckets[str] = TokenBuckets(ManualClock())
    if burst is not None:
        assert taken(buckets, rate) == burst
        assert taken(buckets, rate) == 0
    else:
        assert buckets.take("a", rate) == 0


def test_it_fills_at_its_rate_and_no_further_than_full() -> None:
    clock = ManualClock()
    buckets: TokenBuckets[str] = TokenBuckets(clock)
    taken(buckets, 4)
    assert buckets.take("a", 4) == 250
    clock.advance(0.2)
    assert buckets.take("a", 4) == 50
    clock.advance(0.0501)
    assert taken(buckets, 4) == 1
    clock.advance(1)
    assert taken(buckets, 4) == 4
    clock.advance(1_000_000)
    assert taken(buckets, 4) == 10


def test_waiting_as_long_as_told_is_enough() -> None:
    clock = ManualClock()
    buckets: TokenBuckets[str] = TokenBuckets(clock)
    taken(buckets, 7)
    for _ in range(20):
        wait = buckets.take("a", 7)
        assert 0 < wait <= 144
        clock.advance(wait / 1000)
        assert buckets.take("a", 7) == 0


def test_names_have_a_bucket_each() -> None:
    buckets: TokenBuckets[str] = TokenBuckets(ManualClock())
    assert taken(buckets, 1, "a") == 10
    assert taken(buckets, 1, "b") == 10


def test_a_raised_limit_counts_at_once() -> None:
    buckets: TokenBuckets[str] = TokenBuckets(ManualClock())
    taken(buckets, 1)
    assert buckets.take("a", 1000) == 1


def test_wall_time_does_not_count() -> None:
    clock = ManualClock()
    buckets: TokenBuckets[str] = TokenBuckets(clock)
    taken(buckets, 1)
    clock.jump(86400)
    assert buckets.take("a", 1) == 1000


@given(st.integers(1, 10_000), st.lists(st.floats(0, 2), max_size=60))
@settings(deadline=None)
def test_the_rate_is_kept_over_any_time(rate: int, pauses: list[float]) -> None:
    clock = ManualClock()
    buckets: TokenBuckets[str] = TokenBuckets(clock)
    passed = 0
    for pause in pauses:
        clock.advance(pause)
        passed += sum(buckets.take("a", rate) == 0 for _ in range(20))
    assert passed <= max(rate, LEAST_BURST) + sum(pauses) * rate * 1.00001 + 1


def test_idle_names_are_forgotten_and_busy_ones_are_not() -> None:
    clock = ManualClock()
    buckets: TokenBuckets[str] = TokenBuckets(clock)
    most = 0
    for number in range(100_000):
        clock.advance(0.001)
        buckets.take(f"name-{number}", 10)  # full again after 0.1 s
        most = max(most, len(buckets))
    assert most <= 1024
    taken(buckets, 1, "busy")
    for number in range(5_000):
        buckets.take(f"other-{number}", 1)
    assert len(buckets) > 5_000
    assert buckets.take("busy", 1) > 0


APP = App(1, "A", "W", b"")
LIMITED = App(2, "L", "W", b"", requests_per_second=20)


def throttle(*, key_rate: int = 0, app_rate: int = 0) -> Throttle:
    return Throttle(Apps(APP, LIMITED), ManualClock(), key_rate=key_rate, app_rate=app_rate)


def test_nobody_is_limited_unless_told() -> None:
    limits = throttle()
    key = AccessKey("k", b"", Role.ADMIN)
    assert {limits.key_wait_ms(key) for _ in range(1000)} == {0}
    assert {limits.app_wait_ms("A", "W") for _ in range(1000)} == {0}


@pytest.mark.parametrize(("own", "default", "burst"), [(20, 0, 20), (20, 30, 20), (0, 30, 30), (40, 30, 40)])
def test_a_key_has_its_own_limit_or_the_general_one(own: int, default: int, burst: int) -> None:
    limits = throttle(key_rate=default)
    key = AccessKey("k", b"", Role.ADMIN, requests_per_second=own)
    assert [limits.key_wait_ms(key) for _ in range(burst)] == [0] * burst
    assert limits.key_wait_ms(key) > 0


@pytest.mark.parametrize(("name", "default", "burst"), [("L", 0, 20), ("L", 30, 20), ("A", 30, 30)])
def test_an_app_likewise(name: str, default: int, burst: int) -> None:
    limits = throttle(app_rate=default)
    waits = [limits.app_wait_ms(f" {name}", "W ") for _ in range(burst)]
    assert waits == [0] * burst
    assert limits.app_wait_ms(name, "W") > 0


def test_an_app_that_nobody_knows_has_no_limit() -> None:
    limits = throttle(app_rate=1)
    assert {limits.app_wait_ms("A", "other") for _ in range(100)} == {0}


@pytest.fixture
def gateway() -> Gateway:
    """Ten requests of a key, eleven to an app."""
    slow = AccessKey("admin", b"admin-secret", Role.ADMIN, requests_per_second=1)
    return Gateway(
        (action("Echo", echo), action("Refuse", refuse)),
        (slow, *KEYS[1:]),
        apps=(App(1, "A", "W", b"", requests_per_second=11),),
    )


def request(key_id: str = "admin", **changes: str) -> dict[str, str]:
    return signed(common(AccessKeyId=key_id, **changes))


async def test_a_key_over_its_limit(gateway: Gateway) -> None:
    for _ in range(LEAST_BURST):
        assert (await gateway.call(request())).code == "OK"
    answer = await gateway.call(request())
    assert (answer.status, answer.code) == (400, "Throttling.User")
    assert answer.json["Message"] == "Request was denied due to user flow control."
    assert (answer.headers["retry-after"], answer.headers["x-acs-retry-after"]) == ("1", "1000")
    assert (await gateway.call(request("scoped"))).code == "OK"
    gateway.clock.advance(1)
    assert (await gateway.call(request())).code == "OK"
    assert gateway.observed[LEAST_BURST] == ("Echo", "Throttling.User")


async def test_an_app_over_its_limit(gateway: Gateway) -> None:
    for _ in range(11):
        assert (await gateway.call(request("scoped", WorkspaceId="W"))).code == "OK"
    answer = await gateway.call(request("scoped", WorkspaceId="W"))
    assert (answer.status, answer.code) == (200, "8011")
    assert answer.json["ResultMessage"].startswith("flow control")
    assert answer.json["PushResult"] == {"Success": False, "ResultMsg": answer.json["ResultMessage"]}
    assert (answer.headers["retry-after"], answer.headers["x-acs-retry-after"]) == ("1", "91")
    assert (await gateway.call(request("scoped", WorkspaceId="V"))).code == "OK"


async def test_what_is_not_genuine_uses_nothing_up(gateway: Gateway) -> None:
    for _ in range(30):
        assert (await gateway.call({**request(), "Signature": "x"})).code == "SignatureDoesNotMatch"
        assert (await gateway.call(request(Timestamp="2026-11-23T00:00:00Z"))).code == "InvalidTimeStamp.Expired"
    repeated = request()
    assert (await gateway.call(repeated)).code == "OK"
    for _ in range(30):
        assert (await gateway.call(repeated)).code == "SignatureNonceUsed"
    assert (await gateway.call(request())).code == "OK"


async def test_a_key_of_another_app_uses_nothing_up(gateway: Gateway) -> None:
    for _ in range(30):
        assert (await gateway.call(request("reader", WorkspaceId="W"))).code == "Forbidden.RAM"
    assert (await gateway.call(request("scoped", WorkspaceId="W"))).code == "OK"


async def test_what_the_rules_refuse_counts(gateway: Gateway) -> None:
    for _ in range(LEAST_BURST):
        assert (await gateway.call(request(Action="Refuse"))).code == "3028"
    assert (await gateway.call(request(Action="Refuse"))).code == "Throttling.User"
