"""The channel file."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from clarion.channels.sms import parse

GOOD = {"accessKeyId": "LTAI1", "accessKeySecret": "very-secret-1"}


def test_what_may_be_there() -> None:
    settings = parse(
        json.dumps(
            {
                **GOOD,
                "baseUrl": "http://127.0.0.1:9400/sms",
                "tokenUrl": "http://a/b",
                "caFile": "/ca.pem",
                "proxy": "http://u:proxy-secret@p:1",
                "region": "ap-southeast-1",
                "extendCode": "123",
            }
        ).encode()
    )
    assert settings.region == "ap-southeast-1"
    for shown in (repr(settings), str(settings), f"{settings!r}"):
        assert "very-secret-1" not in shown
        assert "proxy-secret" not in shown
        assert "LTAI1" in shown


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"accessKeyId": None}, "accessKeyId"),
        ({"accessKeySecret": ""}, "accessKeySecret"),
        ({"accessKeySecret": 7}, "accessKeySecret"),
        ({"baseUrl": "ftp://x"}, "baseUrl"),
        ({"extendCode": "a"}, "extendCode"),
        ({"region": "A B"}, "region"),
        ({"regoin": "x"}, "regoin"),
    ],
)
def test_what_may_not(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        parse(json.dumps({**GOOD, **changes}).encode())
    assert named in str(caught.value)
    assert "very-secret-1" not in str(caught.value)


@pytest.mark.parametrize("missing", list(GOOD))
def test_what_must_be_there(missing: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=missing):
        parse(json.dumps({name: value for name, value in GOOD.items() if name != missing}).encode())
