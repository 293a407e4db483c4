"""What Apple's answers mean: one table by reason.

Source: Apple, "Handling notification responses from APNs".
"""

from __future__ import annotations

import re
from dataclasses import replace

from clarion.channels.base import Accepted, InvalidToken, RateLimited, Retry, SendOutcome
from clarion.channels.outcomes import Treatment, VendorCode, outcome_of, outcome_of_status
from clarion.channels.sender import as_http, outcome_without_answer
from clarion.clock import Clock
from clarion.http2.exchange import Answer, Fate

_RENEWAL_PAUSE, _DEVICE_PAUSE = 300.0, 60.0
_REASON = re.compile("[A-Za-z]{1,64}")


def _rows(treatment: Treatment, meanings: dict[str, str], seconds: float = 0.0) -> dict[str, VendorCode]:
    return {reason: VendorCode(treatment, meaning, seconds) for reason, meaning in meanings.items()}


REASONS: dict[str, VendorCode] = {
    **_rows(Treatment.INVALID_TOKEN, {
        "BadDeviceToken": "no token of this environment; if many fail so, sandbox and production are mixed up",
        "DeviceTokenNotForTopic": "the token belongs to another app than the channel's bundleId",
        "ExpiredToken": "the token has expired",
        "Unregistered": "the app was removed from the device",
    }),
    **_rows(Treatment.RETRY, {
        "IdleTimeout": "the connection had been idle for too long",
        "InternalServerError": "Apple's server failed",
        "ServiceUnavailable": "Apple's service is not available",
        "Shutdown": "Apple's server is shutting down",
    }),
    **_rows(Treatment.RATE_LIMITED, {
        "TooManyRequests": "too many notifications for this device in a row",
    }, _DEVICE_PAUSE),
    **_rows(Treatment.RATE_LIMITED, {
        "TooManyProviderTokenUpdates": "new provider tokens too often; do other programs use this key?",
    }, _RENEWAL_PAUSE),
    **_rows(Treatment.AUTH_REFRESH, {
        "ExpiredProviderToken": "the provider token is too old; is this machine's clock right?",
    }),
    **_rows(Treatment.CONFIG_ERROR, {
        "BadCertificate": "the certificate is not good",
        "BadCertificateEnvironment": "the certificate is for the other environment",
        "BadEnvironmentKeyIdInToken": "the key is limited to the other environment",
        "BadTopic": "bundleId is not good",
        "Forbidden": "the action is not allowed",
        "InvalidProviderToken": "privateKey, keyId and teamId do not belong together, or the key was revoked",
        "MissingProviderToken": "Apple wants a key here: a certificate is not enough, or was not shown",
        "MissingTopic": "bundleId is missing, and the certificate stands for several topics",
        "TopicDisallowed": "key or certificate are not for this bundleId",
        "UnrelatedKeyIdInToken": "the key does not belong with the one that the connection began with",
    }),
    **_rows(Treatment.PAYLOAD_ERROR, {
        "BadCollapseId": "apns-collapse-id is too long",
        "BadExpirationDate": "apns-expiration is not good",
        "BadMessageId": "apns-id is not good",
        "BadPath": "the path is not good",
        "BadPriority": "apns-priority is not good",
        "DuplicateHeaders": "a header came twice",
        "InvalidPushType": "apns-push-type is not good",
        "MethodNotAllowed": "the method is not good",
        "MissingDeviceToken": "there is no device token",
        "PayloadEmpty": "the payload is empty",
        "PayloadTooLarge": "the payload is over 4,096 bytes",
    }),
}  # fmt: skip


def reason_of(answer: Answer) -> str:
    """The reason that Apple gave; empty if there is none."""
    body = as_http(answer).json() if answer.body else None
    reason = body.get("reason") if isinstance(body, dict) else None
    return reason if isinstance(reason, str) and _REASON.fullmatch(reason) else ""


def is_expired(answer: Answer) -> bool:
    """Whether it is the provider token alone that was wrong."""
    row = REASONS.get(reason_of(answer)) if answer.status == 403 else None
    return row is not None and row.treatment is Treatment.AUTH_REFRESH


def outcome(answer: Answer, vendor_id: str, clock: Clock) -> SendOutcome:
    """The outcome of a notification.

    Args:
        answer: Apple's.
        vendor_id: its `apns-id`.
        clock: for limits.
    """
    if answer.fate is not Fate.ANSWERED:
        return outcome_without_answer(answer)
    if answer.status == 200:
        return Accepted(vendor_id)
    http, reason = as_http(answer), reason_of(answer)
    row, wait = REASONS.get(reason), http.retry_after(clock)
    if row is None:
        return _unlisted(answer, reason, clock)
    found = outcome_of(row, reason, "", clock)
    match found:
        case InvalidToken() if answer.status == 410:
            found = replace(found, since=_since(answer))
        case Retry():
            found = replace(found, after=wait)
        case RateLimited():
            until = found.until if wait is None else clock.now_ms() + int(wait * 1000)
            found = replace(found, until=until, whole=reason != "TooManyRequests")
    return found


def _since(answer: Answer) -> int | None:
    """Since when (ms) Apple knows that a token is not good."""
    since = as_http(answer).json().get("timestamp")
    return since if isinstance(since, int) and since > 0 else None


def _unlisted(answer: Answer, reason: str, clock: Clock) -> SendOutcome:
    """A reason that is newer than the table, or an answer that is not Apple's: by its status."""
    match answer.status:
        case 410 if reason:
            return InvalidToken(_since(answer), reason, "the token is not good any more")
        case 400 | 404 | 405 if reason:
            return outcome_of(VendorCode(Treatment.PAYLOAD_ERROR, "Apple does not take it"), reason, "", clock)
        case 408:
            return Retry(None, reason or "408", "Apple waited for the request")
    found = outcome_of_status(as_http(answer), clock)
    return found if not reason or isinstance(found, Accepted) else replace(found, code=reason)
