"""Registration of devices over HTTP (`POST /device/register`, docs/link-protocol.md): values and signature."""

from __future__ import annotations

import hashlib
import hmac
from enum import Enum
from typing import Annotated

from msgspec import Meta, Struct

PATH = "/device/register"
MAX_SKEW_MS = 15 * 60 * 1000
"""How far a request's timestamp may be from the server's clock; its nonce has to be remembered as long."""

Name = Annotated[str, Meta(min_length=1, max_length=128)]


class Platform(Enum):
    """What a device runs."""

    ANDROID = "android"
    IOS = "ios"
    HARMONY = "harmony"


class RegistrationRequest(Struct, frozen=True, rename="camel"):
    """Body of the request.

    Attributes:
        app_id: the app.
        workspace_id: its workspace.
        platform: what the device runs.
        timestamp: the device's clock in ms.
        nonce: 8 to 64 fresh random characters.
        signature: see `sign_registration`.
    """

    app_id: Name
    workspace_id: Name
    platform: Platform
    timestamp: Annotated[int, Meta(ge=0, lt=1 << 53)]
    nonce: Annotated[str, Meta(min_length=8, max_length=64)]
    signature: Annotated[str, Meta(max_length=64)]


class RegistrationAnswer(Struct, frozen=True, rename="camel"):
    """Body of the answer.

    Attributes:
        delivery_token: the device's token, the target of pushes.
        device_secret: what the device signs its hello with; shown this once.
        link: address of the device link, such as `ws://push.example:8081/link`.
    """

    delivery_token: str
    device_secret: str
    link: str

    def __repr__(self) -> str:
        return f"RegistrationAnswer({self.delivery_token!r}, link={self.link!r})"


class RegistrationFault(Enum):
    """Why a registration is not genuine."""

    EXPIRED = "the timestamp is more than 15 minutes off"
    BAD_SIGNATURE = "the signature does not fit the app secret"


def sign_registration(
    secret: bytes, app_id: str, workspace_id: str, platform: Platform, *, timestamp: int, nonce: str
) -> str:
    """The signature of a registration: hexadecimal HMAC-SHA256.

    Args:
        secret: the app secret, its text as UTF-8 bytes.
        app_id: the app.
        workspace_id: its workspace.
        platform: what the device runs.
        timestamp: the device's clock in ms.
        nonce: fresh random text.
    """
    fields = ("clarion-register-v1", app_id, workspace_id, platform.value, str(timestamp), nonce)
    return hmac.new(secret, "\n".join(fields).encode(), hashlib.sha256).hexdigest()


def verify_registration(request: RegistrationRequest, secret: bytes, now_ms: int) -> RegistrationFault | None:
    """What is wrong with the request, or None; that its nonce is fresh is for the caller to check.

    Args:
        request: the decoded request.
        secret: the app secret, its text as UTF-8 bytes.
        now_ms: the server's clock.
    """
    expected = sign_registration(
        secret,
        request.app_id,
        request.workspace_id,
        request.platform,
        timestamp=request.timestamp,
        nonce=request.nonce,
    )
    if not hmac.compare_digest(expected.encode(), request.signature.encode()):
        return RegistrationFault.BAD_SIGNATURE
    if abs(now_ms - request.timestamp) > MAX_SKEW_MS:
        return RegistrationFault.EXPIRED
    return None
