from __future__ import annotations

import hashlib
import hmac

import msgspec
import pytest

from clarion.link.activities import ActivityRequest, sign_activity, verify_activity
from clarion.link.reporting import ReportFault

SECRET = b"device-secret"
NOW = 1_795_000_000_000
TOKEN = "80ab" * 40


def request(push_token: str | None = TOKEN) -> ActivityRequest:
    fields = {"appId": "A", "workspaceId": "W", "token": "token", "timestamp": NOW, "nonce": "12345678"}
    signature = sign_activity(SECRET, "A", "W", "token", "match", push_token, timestamp=NOW, nonce="12345678")
    told = {"activityId": "match", "pushToken": push_token, "signature": signature}
    return msgspec.convert({**fields, **told}, ActivityRequest)


@pytest.mark.parametrize("push_token", [TOKEN, None])
def test_signature_is_the_documented_one(push_token: str | None) -> None:
    text = f"clarion-activity-v1\nA\nW\ntoken\n{NOW}\n12345678\nmatch\n{push_token or ''}"
    assert request(push_token).signature == hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()
    assert verify_activity(request(push_token), SECRET, NOW) is None


@pytest.mark.parametrize(
    "change",
    [
        {"appId": "B"},
        {"workspaceId": "V"},
        {"token": "other"},
        {"timestamp": NOW + 1},
        {"nonce": "12345679"},
        {"activityId": "other"},
        {"pushToken": None},
        {"pushToken": TOKEN[2:]},
        {"signature": "é" * 64},
    ],
)
def test_every_field_is_signed(change: dict[str, object]) -> None:
    changed = msgspec.convert({**msgspec.to_builtins(request()), **change}, ActivityRequest)
    assert verify_activity(changed, SECRET, NOW) is ReportFault.BAD_SIGNATURE


def test_another_secret() -> None:
    assert verify_activity(request(), b"other", NOW) is ReportFault.BAD_SIGNATURE


def test_expired() -> None:
    assert verify_activity(request(), SECRET, NOW + 15 * 60_000) is None
    assert verify_activity(request(), SECRET, NOW + 15 * 60_000 + 1) is ReportFault.EXPIRED
