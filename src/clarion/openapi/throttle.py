"""Rate limits: how many requests a second an access key, and an app, may make.

Source: `Throttling.User` of the common error table and result 8011 (docs/errors.md).
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from clarion.clock import Clock
from clarion.tenants.model import AccessKey, App

LEAST_BURST = 10
"""A full bucket holds the requests of one second, but no fewer than this."""

_SECOND = 1_000_000_000
_MILLISECOND = 1_000_000
_SWEEP_AT = 1024

N = TypeVar("N", str, int)


class TokenBuckets(Generic[N]):
    """A token bucket a name, each kept as the one moment at which it will be full again.

    A full bucket need not be remembered, so there are at most twice as many as names that were busy of late.

    Args:
        clock: says how much time has passed; its wall time does not count.
    """

    __slots__ = ("_clock", "_full_at", "_sweep_at")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at: dict[N, int] = {}
        self._sweep_at = _SWEEP_AT

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, name: N, rate: int) -> int:
        """Take a token from the bucket of `name`, which gets `rate` (1 or more) of them a second.

        Returns:
            0, or the milliseconds after which there will be one.
        """
        now = int(self._clock.monotonic() * _SECOND)
        interval = max(1, _SECOND // rate)
        capacity = interval * max(rate, LEAST_BURST)
        # No emptier than empty, so that a raised limit counts at once.
        full_at = min(max(self._full_at.get(name, now), now), now + capacity) + interval
        wait = full_at - now - capacity
        if wait > 0:
            return -(-wait // _MILLISECOND)
        if name not in self._full_at and len(self._full_at) >= self._sweep_at:
            self._sweep(now)
        self._full_at[name] = full_at
        return 0

    def _sweep(self, now: int) -> None:
        self._full_at = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._full_at))


class KnownApps(Protocol):
    """Where the limit of an app is found without a wait."""

    def known_app(self, app_id: str, workspace_id: str) -> App | None:
        """The app with these names, as far as is known now."""
        ...


class Throttle:
    """Says who has to wait. Each server process counts for itself.

    Args:
        apps: knows the limits of apps.
        clock: fills the buckets.
        key_rate: requests a second of a key that has no limit of its own; 0 for no limit.
        app_rate: requests a second of an app that has no limit of its own; 0 for no limit.
    """

    __slots__ = ("_app_rate", "_apps", "_key_rate", "_of_apps", "_of_keys")

    def __init__(self, apps: KnownApps, clock: Clock, *, key_rate: int = 0, app_rate: int = 0) -> None:
        self._apps = apps
        self._key_rate = key_rate
        self._app_rate = app_rate
        self._of_keys: TokenBuckets[str] = TokenBuckets(clock)
        self._of_apps: TokenBuckets[int] = TokenBuckets(clock)

    def key_wait_ms(self, key: AccessKey) -> int:
        """Count a request that `key` has signed; 0 if it may go on, else after how many ms the next one may."""
        rate = key.requests_per_second or self._key_rate
        return self._of_keys.take(key.key_id, rate) if rate else 0

    def app_wait_ms(self, app_id: str, workspace_id: str) -> int:
        """Likewise for the app that a request names; an unknown one has no limit, for it gets no service."""
        app = self._apps.known_app(app_id.strip(), workspace_id.strip())
        if app is None:
            return 0
        rate = app.requests_per_second or self._app_rate
        return self._of_apps.take(app.key, rate) if rate else 0
