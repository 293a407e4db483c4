"""Whatever a vendor answers, there is an outcome for each token and no exception."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.channels.answers import HttpAnswer, HttpFailure
from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    PayloadError,
    RateLimited,
    Retry,
    SendOutcome,
    Unknown,
)
from clarion.channels.http import MAX_ANSWER
from clarion.channels.multicast import Multicast
from clarion.clock import ManualClock
from tests.channels.host import envelope
from tests.channels.multicast.harness import LABELS, MODULES, settings_of

every_vendor = pytest.mark.parametrize("label", LABELS)
TOKENS = ("t1", "t2", "t3")


class Canned:
    """Stands for HTTP: gives access tokens, and one answer to all else."""

    host = "canned"

    def __init__(self, answer: HttpAnswer | HttpFailure) -> None:
        self.answer = answer

    async def post(self, *_: Any) -> HttpAnswer | HttpFailure:
        return self.answer

    async def post_form(self, *_: Any) -> HttpAnswer:
        return HttpAnswer(200, {}, b'{"access_token":"access-token-1","expires_in":3600}')


async def told(label: str, answer: HttpAnswer | HttpFailure) -> list[SendOutcome]:
    """Outcomes of three tokens for an answer."""
    clock = ManualClock()
    channel: Multicast = MODULES[label].open_channel(settings_of(label), clock)
    canned: Any = Canned(answer)
    channel._http = canned
    if hasattr(channel, "_login"):
        channel._login.post_form = canned.post_form
    return list(await channel.send([envelope(token, clock.now_ms()) for token in TOKENS]))


def answer(value: Any, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {}, msgspec.json.encode(value))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(TOKENS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
codes = st.sampled_from(["80000000", "80100000", "80300007", "80200001", "80100022", 200, 80100000, 80300007, 401])
reasons = st.sampled_from(["noRight", " tokenFormatError ", "news", ""])
inner = st.fixed_dictionaries(
    {},
    optional={
        "success": anything,
        "failure": anything,
        "illegal_tokens": anything | st.lists(st.sampled_from(TOKENS)),
        "illegalTokens": anything | st.dictionaries(reasons, anything | st.lists(st.sampled_from(TOKENS))),
    },
)
said = st.fixed_dictionaries(
    {"code": codes | anything},
    optional={
        "msg": anything | inner.map(lambda value: msgspec.json.encode(value).decode()),
        "requestId": anything,
        "message": anything,
        "data": anything
        | st.fixed_dictionaries(
            {},
            optional={
                "sendResult": anything,
                "requestId": anything,
                "failTokens": anything,
                "expireTokens": anything,
            },
        ),
    },
)


@every_vendor
@settings(max_examples=60, deadline=None)
@given(value=said | anything, status=st.sampled_from([200, 201, 302, 400, 401, 404, 500, 502, 503, 504]))
async def test_any_json(label: str, value: Any, status: int) -> None:
    outcomes = await told(label, answer(value, status))
    assert len(outcomes) == 3
    assert all(isinstance(outcome, SendOutcome) for outcome in outcomes)
    assert all(token not in getattr(it, "text", "") for it in outcomes for token in TOKENS)
    assert "access-token-1" not in repr(outcomes)


@every_vendor
@settings(max_examples=40, deadline=None)
@given(body=st.binary(max_size=64) | st.just(b"[" * 100_000) | st.just(b'{"code":' + b"9" * 6000 + b"}"))
async def test_any_bytes(label: str, body: bytes) -> None:
    outcomes = await told(label, HttpAnswer(200, {}, body))
    assert not any(isinstance(outcome, Accepted | InvalidToken) for outcome in outcomes)


@every_vendor
async def test_a_very_long_text_is_not_searched(label: str) -> None:
    value = {"code": 80100001 if label != "honor" else 400, "msg": "x" * (MAX_ANSWER - 50), "message": "y" * 10_000}
    outcomes = await told(label, answer(value))
    assert all(isinstance(it, PayloadError) and it.text == "a parameter is wrong" for it in outcomes)


@every_vendor
async def test_no_connection(label: str) -> None:
    for reached, kind in ((False, Retry), (True, Unknown)):
        outcomes = await told(label, HttpFailure(reached, "reset by t2"))
        assert all(isinstance(outcome, kind) for outcome in outcomes)
        assert all("t2" not in outcome.text for outcome in outcomes if isinstance(outcome, Retry | Unknown))


PARTIAL: list[tuple[str, Any, list[type[SendOutcome]]]] = [
    ("hms", {"illegal_tokens": ["t2"]}, [Accepted, InvalidToken, Accepted]),
    ("hms", {"illegalTokens": ["t2", "t9"], "failure": 2}, [Accepted, InvalidToken, Accepted]),
    ("hms", {"illegal_tokens": ["t2"], "failure": 2}, [Unknown, InvalidToken, Unknown]),
    ("hms", {"illegal_tokens": "t2"}, [Unknown, Unknown, Unknown]),
    ("hms", "not JSON", [Unknown, Unknown, Unknown]),
    ("harmony", {"illegalTokens": {" tokenFormatError ": ["t2"]}}, [Accepted, InvalidToken, Accepted]),
    ("harmony", {"illegalTokens": {"noRight": ["t1"]}, "failure": 1}, [InvalidToken, Accepted, Accepted]),
    ("harmony", {"illegalTokens": {"somethingNew": ["t1", "t2"]}}, [PayloadError, PayloadError, Accepted]),
    ("harmony", {"illegalTokens": ["t2"]}, [Unknown, Unknown, Unknown]),
]


@pytest.mark.parametrize(("label", "msg", "kinds"), PARTIAL)
async def test_partial_success(label: str, msg: Any, kinds: list[type[SendOutcome]]) -> None:
    text = msg if isinstance(msg, str) else msgspec.json.encode(msg).decode()
    for code in ("80100000", 80100000):
        outcomes = await told(label, answer({"code": code, "msg": text, "requestId": "r1"}))
        assert [type(outcome) for outcome in outcomes] == kinds
        assert all(outcome.vendor_id == "r1" for outcome in outcomes if isinstance(outcome, Accepted))


@pytest.mark.parametrize(
    ("status", "kind"), [(503, RateLimited), (429, RateLimited), (500, Unknown), (504, Unknown), (400, Unknown)]
)
@every_vendor
async def test_tokens_are_not_given_up_for_an_answer_that_contradicts_itself(
    label: str, status: int, kind: type[SendOutcome]
) -> None:
    refused = {"illegal_tokens": ["t1"], "illegalTokens": {"tokenFormatError": ["t1"]}}
    value = {
        "code": 80100000,
        "msg": msgspec.json.encode(refused).decode(),
        "data": {"sendResult": True, "failTokens": ["t1"]},
    }
    assert {type(outcome) for outcome in await told(label, answer(value, status))} == {kind}


HONOR: list[tuple[int, Any, list[type[SendOutcome]]]] = [
    (200, {"sendResult": True, "requestId": "r1"}, [Accepted, Accepted, Accepted]),
    (
        200,
        {"sendResult": True, "failTokens": ["t1"], "expireTokens": ["t3"]},
        [InvalidToken, Accepted, InvalidToken],
    ),
    (200, {"sendResult": False}, [Unknown, Unknown, Unknown]),
    (200, {"sendResult": "true"}, [Unknown, Unknown, Unknown]),
    (200, None, [Unknown, Unknown, Unknown]),
    (80100000, {"sendResult": False, "expireTokens": ["t2"]}, [Accepted, InvalidToken, Accepted]),
    (80100000, {"sendResult": True, "failTokens": [], "expireTokens": []}, [Unknown, Unknown, Unknown]),
    (80300007, {"sendResult": False, "failTokens": list(TOKENS)}, [InvalidToken, InvalidToken, InvalidToken]),
    (80200022, {"sendResult": False, "failTokens": list(TOKENS)}, [ConfigError, ConfigError, ConfigError]),
    (503, {"sendResult": False, "failTokens": list(TOKENS)}, [RateLimited, RateLimited, RateLimited]),
]


@pytest.mark.parametrize(("code", "data", "kinds"), HONOR)
async def test_honor_names_tokens_beside_the_code(code: int, data: Any, kinds: list[type[SendOutcome]]) -> None:
    outcomes = await told("honor", answer({"code": code, "message": "m", "data": data}))
    assert [type(outcome) for outcome in outcomes] == kinds
