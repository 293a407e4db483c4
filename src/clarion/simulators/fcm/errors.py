"""Google's error envelope, and the errors of FCM.

Source: Firebase, "ErrorCode" of the FCM v1 REST reference; Google Cloud APIs, "Errors".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


class Violation(NamedTuple):
    """What is wrong with a field, which is named by its path."""

    field: str
    description: str


class Kind(NamedTuple):
    """A kind of error.

    Attributes:
        status: HTTP status.
        name: canonical code of Google's APIs.
        message: what it usually says.
        fcm: whether `FcmError` tells its code, too.
    """

    status: int
    name: str
    message: str
    fcm: bool = True


KINDS = {
    "UNSPECIFIED_ERROR": Kind(500, "INTERNAL", "Unknown error."),
    "INVALID_ARGUMENT": Kind(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "UNREGISTERED": Kind(404, "NOT_FOUND", "Requested entity was not found."),
    "SENDER_ID_MISMATCH": Kind(403, "PERMISSION_DENIED", "SenderId mismatch"),
    "QUOTA_EXCEEDED": Kind(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric of messages per minute."),
    "UNAVAILABLE": Kind(503, "UNAVAILABLE", "The service is currently unavailable."),
    "INTERNAL": Kind(500, "INTERNAL", "Internal error encountered."),
    "THIRD_PARTY_AUTH_ERROR": Kind(401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
    "APNS_AUTH_ERROR": Kind(401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
    "UNAUTHENTICATED": Kind(
        401,
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
        "valid authentication credential.",
        fcm=False,
    ),
    "PERMISSION_DENIED": Kind(
        403, "PERMISSION_DENIED", "Permission 'cloudmessaging.messages.create' denied on resource.", fcm=False
    ),
    "NOT_FOUND": Kind(404, "NOT_FOUND", "Requested entity was not found.", fcm=False),
    "RESOURCE_EXHAUSTED": Kind(
        429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", fcm=False
    ),
    "DEADLINE_EXCEEDED": Kind(
        504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.", fcm=False
    ),
}
"""By the code that faults use: FCM's own, and those of Google's front door, which has no `FcmError`."""

OTHER = Kind(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")


class Rejected(Exception):
    """FCM does not take a request.

    Args:
        code: one of `KINDS`.
        message: in place of the usual one.
        violations: which fields are wrong.
        fcm: whether `FcmError` tells the code; by default as `KINDS` says.
    """

    def __init__(
        self, code: str, message: str = "", violations: Sequence[Violation] = (), *, fcm: bool | None = None
    ) -> None:
        super().__init__(code)
        self.code = code
        self.kind = KINDS.get(code, OTHER)
        self.message = message or self.kind.message
        self.violations = violations
        self.fcm = self.kind.fcm if fcm is None else fcm

    def envelope(self) -> dict[str, Any]:
        """The body of the answer."""
        details: list[dict[str, Any]] = []
        if self.fcm:
            details.append({"@type": FCM_ERROR, "errorCode": self.code})
        if self.violations:
            fields = [violation._asdict() for violation in self.violations]
            details.append({"@type": BAD_REQUEST, "fieldViolations": fields})
        if self.kind.name == "UNAUTHENTICATED" and not self.fcm:
            info = {"reason": "ACCESS_TOKEN_EXPIRED", "domain": "googleapis.com"}
            details.append({"@type": ERROR_INFO, **info, "metadata": {"service": "fcm.googleapis.com"}})
        error = {"code": self.kind.status, "message": self.message, "status": self.kind.name}
        return {"error": {**error, "details": details} if details else error}
