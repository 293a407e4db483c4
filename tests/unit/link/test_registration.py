from __future__ import annotations

import hashlib
import hmac

import msgspec
import pytest

from clarion.link.registration import (
    Platform,
    RegistrationAnswer,
    RegistrationFault,
    RegistrationRequest,
    sign_registration,
    verify_registration,
)

SECRET = b"app-secret"
NOW = 1_795_000_000_000


def request(**changes: object) -> RegistrationRequest:
    fields: dict[str, object] = {
        "appId": "A", "workspaceId": "W", "platform": "android", "timestamp": NOW, "nonce": "12345678",
    }  # fmt: skip
    signature = sign_registration(SECRET, "A", "W", Platform.ANDROID, timestamp=NOW, nonce="12345678")
    return msgspec.convert({**fields, "signature": signature, **changes}, RegistrationRequest)


def test_signature_is_the_documented_one() -> None:
    text = f"clarion-register-v1\nA\nW\nandroid\n{NOW}\n12345678"
    expected = hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()
    assert request().signature == expected


@pytest.mark.parametrize("skew", [0, 15 * 60_000, -15 * 60_000])
def test_genuine_within_a_quarter_of_an_hour(skew: int) -> None:
    assert verify_registration(request(), SECRET, NOW + skew) is None


@pytest.mark.parametrize("skew", [15 * 60_000 + 1, -15 * 60_000 - 1])
def test_expired(skew: int) -> None:
    assert verify_registration(request(), SECRET, NOW + skew) is RegistrationFault.EXPIRED


@pytest.mark.parametrize(
    "change",
    [
        {"appId": "B"},
        {"workspaceId": "V"},
        {"platform": "ios"},
        {"timestamp": NOW + 1},
        {"nonce": "12345679"},
        {"signature": "é" * 64},
        {"signature": ""},
    ],
)
def test_any_change_breaks_the_signature(change: dict[str, object]) -> None:
    assert verify_registration(request(**change), SECRET, NOW) is RegistrationFault.BAD_SIGNATURE


@pytest.mark.parametrize("change", [{"platform": "symbian"}, {"nonce": "short"}, {"appId": ""}, {"timestamp": -1}])
def test_malformed(change: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        request(**change)


def test_an_answer_does_not_show_its_secret() -> None:
    answer = RegistrationAnswer(delivery_token="t", device_secret="hidden", link="ws://x/link")
    assert "hidden" not in repr(answer)
    assert b'"deviceSecret":"hidden"' in msgspec.json.encode(answer)
