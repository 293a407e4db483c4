"""Callbacks of Huawei, HarmonyOS and Honor: who made them, and what they say. Pure.

Source: "Message receipt" of the server references: header `X-HUAWEI-CALLBACK-ID`, at most 100 messages.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

import msgspec

from clarion.channels.base import Receipt, ReceiptForged, ReceiptKind, ReceiptRefused

MAX_CALLBACK = 262_144
"""Most bytes of a callback."""
MAX_STATUSES = 1_000
"""Most messages of a callback; ten times as many as are announced."""
FRESH_MS = 300_000
"""How far the time of a callback may be from ours."""
HEADER = "x-huawei-callback-id"
RECEIPT_ANSWER = b'{"code":"0","message":"success"}'
"""What the vendors want to hear."""


class Meaning(NamedTuple):
    """What a status says."""

    kind: ReceiptKind
    text: str


STATUSES: Mapping[int, Meaning] = {
    0: Meaning(ReceiptKind.ARRIVED, "arrived"),
    2: Meaning(ReceiptKind.INVALID_TOKEN, "the app is not installed any more"),
    5: Meaning(ReceiptKind.INVALID_TOKEN, "the device does not know the token"),
    6: Meaning(ReceiptKind.MUTED, "the user does not let the app show notifications"),
    10: Meaning(ReceiptKind.FAILED, "the device has not been used for 30 days"),
    14: Meaning(ReceiptKind.FAILED, "the network or the service on the device failed"),
    15: Meaning(
        ReceiptKind.FAILED, "a later message took its place, or the store for devices that are off was full"
    ),
    22: Meaning(ReceiptKind.FAILED, "another user is signed in on the device"),
    27: Meaning(ReceiptKind.WAITING, "a data message that waits until the app runs"),
    31: Meaning(ReceiptKind.FAILED, "the system or app is too old, or the page is not there"),
    51: Meaning(ReceiptKind.WAITING, "the device is locked since it was switched on"),
    102: Meaning(ReceiptKind.FAILED, "too many messages for this device"),
    144: Meaning(ReceiptKind.FAILED, "another profile is in use on the device"),
    201: Meaning(ReceiptKind.INVALID_TOKEN, "the vendor does not deliver to this token any more"),
    256: Meaning(ReceiptKind.FAILED, "too many marketing messages for this device today"),
}
"""What Huawei and HarmonyOS report."""


_STRANGE = Meaning(ReceiptKind.FAILED, "a status that is not known here")


def authenticate(headers: Mapping[str, str], user: str, key: str, now: int) -> None:
    """Hold the header against the user name and key that are set with the vendor; without both, nothing is held.

    The header covers neither body nor path: keep the address secret, and use TLS.

    Args:
        headers: by name in any case.
        user: the user name.
        key: the key.
        now: time, ms.

    Raises:
        ReceiptForged: it is missing, wrong, or too old.
    """
    if not user and not key:
        return
    fields = _fields(headers)
    timestamp, nonce, value = (fields.get(name, "") for name in ("timestamp", "nonce", "value"))
    if not (timestamp.isascii() and timestamp.isdigit() and nonce and value and len(timestamp) <= 15):
        raise ReceiptForged("the callback has no proper X-HUAWEI-CALLBACK-ID")
    if not hmac.compare_digest(signature(key, timestamp, nonce, user).encode(), value.encode()):
        raise ReceiptForged("the callback is signed with another user name or key")
    if abs(int(timestamp) - now) > FRESH_MS:
        raise ReceiptForged("the callback is too old; are the clocks right?")


class Signing(Protocol):
    """Settings with what callbacks are signed with; both are empty if they are not."""

    @property
    def receipt_user(self) -> str:
        """The user name."""
        ...

    @property
    def receipt_key(self) -> str:
        """The key."""
        ...


def receipt_nonce(headers: Mapping[str, str], settings: Signing) -> str:
    """What no other signed callback has; empty if callbacks are not signed."""
    return _fields(headers).get("nonce", "") if settings.receipt_user and settings.receipt_key else ""


def _fields(headers: Mapping[str, str]) -> dict[str, str]:
    given = next((value for name, value in headers.items() if name.lower() == HEADER), "")
    parts = (part.partition("=") for part in given[:1024].split(";"))
    return {name.strip(): value.strip() for name, _, value in parts}


def signature(key: str, timestamp: str, nonce: str, user: str) -> str:
    """The header's `value`."""
    return b64encode(hmac.digest(key.encode(), f"{timestamp}{nonce}{user}".encode(), sha256)).decode()


class _Wrapper(msgspec.Struct):
    statuses: list[msgspec.Raw]


_decode = msgspec.json.Decoder(_Wrapper).decode


def statuses(body: bytes) -> list[dict[str, Any]]:
    """The messages of a callback; what is no JSON object among them is left out.

    Raises:
        ReceiptRefused: it is too long, or not of this form.
    """
    if len(body) > MAX_CALLBACK:
        raise ReceiptRefused(f"the callback has {len(body)} bytes; {MAX_CALLBACK} are taken")
    try:
        raws = _decode(body).statuses
        if len(raws) > MAX_STATUSES:
            raise ReceiptRefused(f"the callback has {len(raws)} messages; {MAX_STATUSES} are taken")
        values = [msgspec.json.decode(raw) for raw in raws]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ReceiptRefused('the callback is not of the form {"statuses":[…]}') from None
    return [value for value in values if isinstance(value, dict)]


def receipts_of(body: bytes, table: Mapping[int, Meaning], app_id: str, now: int) -> list[Receipt]:
    """The receipts of a callback of version 1, which names the app; those of other apps are left out.

    Args:
        body: JSON.
        table: what statuses mean.
        app_id: of the app.
        now: time of those that have none, ms.

    Raises:
        ReceiptRefused: see `statuses`.
    """
    found = (
        receipt(item, item.get("status"), item.get("timestamp"), table, now)
        for item in statuses(body)
        if word(item.get("appid")) in ("", app_id)
    )
    return [it for it in found if it is not None]


def receipt(
    item: Mapping[str, Any], status: Any, timestamp: Any, table: Mapping[int, Meaning], now: int
) -> Receipt | None:
    """A message of a callback; None without a token or status."""
    code, token, at = number(status), word(item.get("token")), number(timestamp)
    if code is None or not token:
        return None
    kind, text = table.get(code, _STRANGE)
    tag = word(item.get("biTag"), 64)
    return Receipt(word(item.get("requestId"), 128), token, kind, str(code), text, now if at is None else at, tag)


def word(value: Any, longest: int = 4096) -> str:
    """A text or number as text; empty if it is neither, or too long."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**20 else ""
    return value if isinstance(value, str) and len(value) <= longest else ""


def number(value: Any) -> int | None:
    """A whole number, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else None
