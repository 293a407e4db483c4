"""Reports of live activities (`POST /device/activity`, docs/link-protocol.md): values and signature."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from msgspec import Meta, Struct

from clarion.link.reporting import ReportFault, SignedRequest, fault_of

PATH = "/device/activity"

ActivityId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.:=+/@~-]{1,128}\Z")]
PushToken = Annotated[str, Meta(pattern=r"\A([0-9A-Fa-f]{2}){1,128}\Z")]


class ActivityRequest(SignedRequest, frozen=True, rename="camel", kw_only=True):
    """Body of the request.

    Attributes:
        activity_id: the id that ActivityKit gave the live activity.
        push_token: where it is updated, hexadecimal; None when it has ended.
    """

    activity_id: ActivityId
    push_token: PushToken | None


class ActivityAnswer(Struct, frozen=True, rename="camel"):
    """Body of the answer. `expires_at`: when (ms) the token is forgotten unless it is reported again; None: now."""

    expires_at: int | None


def sign_activity(
    secret: bytes,
    app_id: str,
    workspace_id: str,
    token: str,
    activity_id: str,
    push_token: str | None,
    *,
    timestamp: int,
    nonce: str,
) -> str:
    """The signature of a report: hexadecimal HMAC-SHA256.

    Args:
        secret: the device secret; of a device that never registered, the app secret. Its text as UTF-8 bytes.
        app_id: the app.
        workspace_id: its workspace.
        token: the device's delivery token.
        activity_id: the live activity.
        push_token: its push token; None when it has ended.
        timestamp: the device's clock in ms.
        nonce: fresh random text.
    """
    told = (activity_id, push_token or "")
    fields = ("clarion-activity-v1", app_id, workspace_id, token, str(timestamp), nonce, *told)
    return hmac.new(secret, "\n".join(fields).encode(), hashlib.sha256).hexdigest()


def verify_activity(request: ActivityRequest, secret: bytes, now_ms: int) -> ReportFault | None:
    """What is wrong with the request, or None; that its nonce is fresh is for the caller to check.

    Args:
        request: the decoded request.
        secret: the device's secret or the app's, see `sign_activity`.
        now_ms: the server's clock.
    """
    expected = sign_activity(
        secret,
        request.app_id,
        request.workspace_id,
        request.token,
        request.activity_id,
        request.push_token,
        timestamp=request.timestamp,
        nonce=request.nonce,
    )
    return fault_of(request, expected, now_ms)
