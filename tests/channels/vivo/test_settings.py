"""The channel file of vivo."""

from __future__ import annotations

import msgspec
import pytest

from clarion.channels.vivo import parse

GOOD = {"appId": "10004", "appKey": "key", "appSecret": "s3cret"}


@pytest.mark.parametrize(("app_id", "number"), [("10004", 10004), (10004, 10004), ("x1", "x1"), ("１", "１")])
def test_file(app_id: object, number: object) -> None:
    settings = parse(msgspec.json.encode({**GOOD, "appId": app_id}))
    assert settings.app_number == number
    assert "s3cret" not in repr(settings)
    assert "key" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"appId": ""}, "appId"),
        ({"appSecret": 5}, "appSecret"),
        ({"pushMode": 2}, "pushMode"),
        ({"longestSeconds": 60}, "longestSeconds"),
        ({"recallPath": "recall"}, "recallPath"),
        ({"masterSecret": "x"}, "masterSecret"),
    ],
)
def test_refusal_names_the_field(changes: dict[str, object], named: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=named) as refusal:
        parse(msgspec.json.encode({**GOOD, **changes}))
    assert "s3cret" not in str(refusal.value)
