"""The rules of devices: each result code, and each limit on both sides of its edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clarion.channels.registry import Channel, Platform
from clarion.devices.model import (
    Identity,
    Registration,
    VendorToken,
    check_phone,
    check_token,
    check_user,
    platform_of,
    vendor_token,
)
from clarion.results import Refusal


def _code(check: Callable[..., Any], *values: Any) -> str:
    try:
        check(*values)
    except Refusal as refusal:
        return refusal.result.code
    return "OK"


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (check_token, "", "3001"),
        (check_token, " ", "3001"),
        (check_token, "a" * 512, "OK"),
        (check_token, "a" * 513, "3054"),
        (check_token, "Az09_-.:=+/@~", "OK"),
        *((check_token, token, "3054") for token in ("a b", "a\n", "a\0", "ä", "世", '"', "a?", "\ud800")),
        (check_user, "", "3012"),
        (check_user, "\t", "3012"),
        (check_user, "u" * 256, "OK"),
        (check_user, "u" * 257, "3028"),
        (check_user, "世界 🙂", "OK"),
        (check_user, "a\0", "3028"),
        (check_user, "\ud800", "3028"),
        *((check_phone, phone, "OK") for phone in (None, "", " ", "110", "+86 138-0000-0000", "1" * 32)),
        *((check_phone, phone, "3028") for phone in ("11", "1" * 34, "phone", "+", "１２３", "1\n2\n3")),
        *((platform_of, code, "OK") for code in (1, 2, 3, 7)),
        *((platform_of, code, "3008") for code in (None, -1, 0, 4, 5, 6, 8)),
    ],
)
def test_result(check: Callable[[Any], Any], value: object, expected: str) -> None:
    assert _code(check, value) == expected


def test_platforms() -> None:
    assert [platform_of(code) for code in (1, 2, 3, 7)] == [
        Platform.ANDROID, Platform.IOS, Platform.HARMONY, Platform.HARMONY,
    ]  # fmt: skip


@pytest.mark.parametrize("channel", [channel for channel in Channel if channel is not Channel.LINK])
def test_vendor_tokens(channel: Channel) -> None:
    assert vendor_token(channel.third_channel, "t") == VendorToken(channel, "t")
    assert vendor_token(channel.third_channel, "") is None
    assert vendor_token(channel.third_channel, "t" * 4096) is not None
    for token in ("t" * 4097, "a b", "a\n", "ä", "a\0"):
        assert _code(vendor_token, channel.third_channel, token) == "3028"


@pytest.mark.parametrize("code", [-1, 1, 3, 11])
def test_unknown_channels(code: int) -> None:
    with pytest.raises(Refusal, match="ThirdChannel must be one of 2 apns, 4 miui"):
        vendor_token(code, "t")
    assert vendor_token(0, "t") is None
    assert vendor_token(None, "t") is None


def test_secrets_are_not_shown() -> None:
    shown = f"{Registration('token', 'hidden')} {Identity(1, 2, b'hidden', None)}"
    assert "token" in shown
    assert "hidden" not in shown
