"""Whatever the service answers, there is one outcome, and it tells nothing that is private."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from clarion.channels.answers import HttpAnswer
from clarion.channels.base import Accepted
from clarion.channels.sms.errors import CODES, FAMILIES, judged
from clarion.clock import ManualClock

PRIVATE = ("13800138000", "very-secret")
TEXTS = st.one_of(st.text(max_size=20), st.sampled_from([*CODES, *FAMILIES, *PRIVATE, "触发天级流控Permits:10"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ANSWERS = st.fixed_dictionaries({}, optional={"Code": VALUES, "Message": VALUES, "BizId": VALUES})


@given(
    status=st.sampled_from([200, 204, 301, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504]),
    value=VALUES | ANSWERS,
    retry=st.sampled_from(["", "0", "7", "-1", "soon", "9" * 40, "Wed, 21 Oct 2026 07:28:00 GMT"]),
)
def test_any_answer(status: int, value: object, retry: str) -> None:
    answer = HttpAnswer(status, {"retry-after": retry}, json.dumps(value).encode())
    outcome = judged(answer, ManualClock(), PRIVATE)
    if isinstance(outcome, Accepted):
        assert status == 200
        assert isinstance(value, dict)
        assert value["Code"] == "OK"
        assert outcome.vendor_id == value["BizId"][:128]
    else:
        assert not [secret for secret in PRIVATE if secret in outcome.text]


@given(body=st.binary(max_size=50))
def test_any_bytes(body: bytes) -> None:
    outcome = judged(HttpAnswer(200, {}, body), ManualClock(), PRIVATE)
    assert not isinstance(outcome, Accepted)
