"""The channel file of Xiaomi."""

from __future__ import annotations

import msgspec
import pytest

from clarion.channels.files import OverLength
from clarion.channels.miui import parse

GOOD = {"packageName": "com.example.app", "appSecret": "s3cret"}


def test_file() -> None:
    text = msgspec.json.encode({**GOOD, "baseUrl": "https://x/mi", "overLength": "cut", "proxy": "http://u:p@h:1"})
    settings = parse(text)
    assert settings.package_name == "com.example.app"
    assert settings.base_url == "https://x/mi"
    assert settings.over_length is OverLength.CUT
    for shown in (repr(settings), str(settings), str(list(settings.__rich_repr__()))):
        assert "s3cret" not in shown
        assert "u:p" not in shown
        assert "com.example.app" in shown


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"appSecret": ""}, "appSecret"),
        ({"packageName": None}, "packageName"),
        ({"secret": "x"}, "secret"),
        ({"baseUrl": "api.xmpush.xiaomi.com"}, "baseUrl"),
        ({"channelIds": {"2": "x"}}, "channelIds"),
        ({"callbackUrl": "https://" + "x" * 128}, "callbackUrl"),
        ({"longestSeconds": 864_001}, "longestSeconds"),
        ({"overLength": "shrink"}, "overLength"),
        ({"revokePath": "v3"}, "revokePath"),
        ({"callbackType": 246}, "callbackType"),  # 3 for 1 and 2, and the 1 and 2 once more
        ({"callbackType": 0}, "callbackType"),
    ],
)
def test_refusal_names_the_field(changes: dict[str, object], named: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=named) as refusal:
        parse(msgspec.json.encode({**GOOD, **changes}))
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b"appSecret=s3cret"])
def test_no_json(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        parse(text)
    assert "s3cret" not in str(refusal.value)


def test_missing() -> None:
    with pytest.raises(msgspec.ValidationError, match="appSecret"):
        parse(b'{"packageName":"p"}')
