"""Whatever is sent, the simulators answer as the vendors do: in an envelope, never with a failure of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.simulators.test_apns import Sender as ApnsSender
from tests.unit.simulators.test_apns import reason
from tests.unit.simulators.test_fcm import Sender as FcmSender
from tests.unit.simulators.test_fcm import error

from clarion.simulators.fcm.oauth import GRANT_TYPE

NAMES = [
    *("message", "token", "topic", "data", "notification", "title", "android", "ttl", "color", "priority", "apns"),
    *("fcm_options", "analytics_label", "image", "notification_count", "light_settings", "vibrate_timings"),
    *("aps", "alert", "badge", "sound", "event", "timestamp", "content-state", "content-available", "stale-date"),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
WORDS = st.sampled_from(["5s", "1", "#aabbcc", "https://x", "update", "start", "HIGH", "passive"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["apns-id", "apns-push-type", "apns-priority", "apns-expiration", "apns-collapse-id", "apns-topic"]
    ),
    st.text(max_size=8) | st.sampled_from(["alert", "background", "liveactivity", "5", "10", "a.b", "mdm", "0"]),
)

many = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def apns() -> ApnsSender:
    return ApnsSender()


@pytest.fixture(scope="module")
def fcm() -> FcmSender:
    return FcmSender()


@many
@given(aps=OBJECTS, headers=HEADERS, raw=st.binary(max_size=40))
def test_notifications(apns: ApnsSender, aps: dict[str, Any], headers: dict[str, str], raw: bytes) -> None:
    for body in (json.dumps({"aps": aps}).encode(), raw):
        request = apns.request(body)
        reason(apns.simulator.handle(replace(request, headers={**request.headers, **headers})))


@many
@given(message=OBJECTS, raw=st.binary(max_size=40))
def test_messages(fcm: FcmSender, message: dict[str, Any], raw: bytes) -> None:
    for reply in (fcm.send(message), fcm.send({"token": "t", **message}), fcm.send(raw)):
        if reply.status != 200:
            error(reply)


@many
@given(
    token=st.text(max_size=20)
    | st.lists(st.sampled_from(["e30", "eyJhbGciOiJFUzI1NiJ9", "%", "é", "W10", ""])).map(".".join)
)
def test_tokens(apns: ApnsSender, fcm: FcmSender, token: str) -> None:
    assert apns.reason(authorization=f"bearer {token}") == "InvalidProviderToken"
    assert json.loads(fcm.fetch({"grant_type": GRANT_TYPE, "assertion": token}).body)["error"].startswith("invalid")
