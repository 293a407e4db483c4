"""Reports of devices over HTTP (`POST /device/report`, docs/link-protocol.md): values and signature."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from enum import Enum
from typing import Annotated

from msgspec import Meta, Struct

from clarion.link.registration import MAX_SKEW_MS, Name

PATH = "/device/report"
MAX_EVENTS = 100
"""Most events in one request."""

MessageId = Annotated[str, Meta(pattern=r"\A[0-9]{1,16}\Z")]
MsgKey = Annotated[str, Meta(max_length=256, pattern=r"\A[^\n]+\Z")]
Milliseconds = Annotated[int, Meta(ge=0, lt=1 << 53)]


class ReportedKind(Enum):
    """What happened to a message on the device."""

    ARRIVE = "arrive"
    OPEN = "open"
    IGNORE = "ignore"


class ReportedEvent(Struct, frozen=True, rename="camel", omit_defaults=True):
    """One event; it names its message either by `id` or by `msg_key`.

    Attributes:
        kind: what happened.
        id: the message's internal id, decimal text.
        msg_key: the caller's key of the message: the newest one for this device is meant.
        at: when, by the device's clock (ms).
    """

    kind: ReportedKind
    id: MessageId | None = None
    msg_key: MsgKey | None = None
    at: Milliseconds | None = None

    def __post_init__(self) -> None:
        if (self.id is None) == (self.msg_key is None):
            raise ValueError("an event has either an id or a msgKey")

    @property
    def lines(self) -> tuple[str, str, str, str]:
        """The event in the signed text; what is absent is an empty line."""
        return self.kind.value, self.id or "", self.msg_key or "", "" if self.at is None else str(self.at)


class SignedRequest(Struct, frozen=True, rename="camel"):
    """What a device says in every request that it signs.

    Attributes:
        app_id: the app.
        workspace_id: its workspace.
        token: the device's delivery token.
        timestamp: the device's clock in ms.
        nonce: 8 to 64 fresh random characters.
        signature: over all of the request.
    """

    app_id: Name
    workspace_id: Name
    token: Annotated[str, Meta(min_length=1, max_length=512)]
    timestamp: Milliseconds
    nonce: Annotated[str, Meta(min_length=8, max_length=64)]
    signature: Annotated[str, Meta(max_length=64)]


class ReportRequest(SignedRequest, frozen=True, rename="camel"):
    """Body of the request. `events`: what is told, at most `MAX_EVENTS`."""

    events: Annotated[list[ReportedEvent], Meta(min_length=1, max_length=MAX_EVENTS)]


class ReportAnswer(Struct, frozen=True):
    """Body of the answer. `recorded`: how many of the events were news; repeats and unknown messages are not."""

    recorded: int


class ReportFault(Enum):
    """Why a report is not genuine."""

    EXPIRED = "the timestamp is more than 15 minutes off"
    BAD_SIGNATURE = "the signature does not fit the device's secret (of a device without one: the app secret)"


def sign_report(
    secret: bytes,
    app_id: str,
    workspace_id: str,
    token: str,
    events: Sequence[ReportedEvent],
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
        events: what is told; the SHA-256 of their lines is signed.
        timestamp: the device's clock in ms.
        nonce: fresh random text.
    """
    told = "\n".join(line for event in events for line in event.lines)
    digest = hashlib.sha256(told.encode()).hexdigest()
    fields = ("clarion-report-v1", app_id, workspace_id, token, str(timestamp), nonce, digest)
    return hmac.new(secret, "\n".join(fields).encode(), hashlib.sha256).hexdigest()


def verify_report(request: ReportRequest, secret: bytes, now_ms: int) -> ReportFault | None:
    """What is wrong with the request, or None; that its nonce is fresh is for the caller to check.

    Args:
        request: the decoded request.
        secret: the device's secret or the app's, see `sign_report`.
        now_ms: the server's clock.
    """
    expected = sign_report(
        secret,
        request.app_id,
        request.workspace_id,
        request.token,
        request.events,
        timestamp=request.timestamp,
        nonce=request.nonce,
    )
    return fault_of(request, expected, now_ms)


def fault_of(request: SignedRequest, expected: str, now_ms: int) -> ReportFault | None:
    """What is wrong with a request whose signature should be `expected`, by the server's clock (ms)."""
    if not hmac.compare_digest(expected.encode(), request.signature.encode()):
        return ReportFault.BAD_SIGNATURE
    if abs(now_ms - request.timestamp) > MAX_SKEW_MS:
        return ReportFault.EXPIRED
    return None
