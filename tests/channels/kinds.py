"""What an outcome's class is for each treatment of a code."""

from __future__ import annotations

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    PayloadError,
    RateLimited,
    Retry,
    SendOutcome,
)
from clarion.channels.outcomes import Treatment

KINDS: dict[Treatment, type[SendOutcome]] = {
    Treatment.ACCEPTED: Accepted,
    Treatment.INVALID_TOKEN: InvalidToken,
    Treatment.RETRY: Retry,
    Treatment.RATE_LIMITED: RateLimited,
    Treatment.DAY_QUOTA: RateLimited,
    Treatment.PAYLOAD_ERROR: PayloadError,
    Treatment.CONFIG_ERROR: ConfigError,
    Treatment.AUTH_REFRESH: ConfigError,
}
