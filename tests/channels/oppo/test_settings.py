"""The channel file of OPPO."""

from __future__ import annotations

import msgspec
import pytest

from clarion.channels.oppo import parse

GOOD = {"appKey": "key", "masterSecret": "s3cret"}


def test_file() -> None:
    settings = parse(msgspec.json.encode({**GOOD, "notifyLevel": 16, "categories": {"1": "ORDER"}}))
    assert (settings.app_key, settings.notify_level, settings.max_content) == ("key", 16, 50)
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"masterSecret": ""}, "masterSecret"),
        ({"appSecret": "x"}, "appSecret"),
        ({"notifyLevel": 3}, "notifyLevel"),
        ({"maxContent": 201}, "maxContent"),
        ({"callbackUrl": "ftp://x"}, "callbackUrl"),
    ],
)
def test_refusal_names_the_field(changes: dict[str, object], named: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=named) as refusal:
        parse(msgspec.json.encode({**GOOD, **changes}))
    assert "s3cret" not in str(refusal.value)
