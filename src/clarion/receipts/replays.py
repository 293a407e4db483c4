"""Signed callbacks that came before."""

from __future__ import annotations

from clarion.clock import Clock

KEEP_SECONDS = 660.0
"""Longer than a signature is believed, on either side of our clock."""
MOST = 50_000
"""Most callbacks that are remembered; beyond that the oldest is forgotten. Its receipts would not count twice."""


class Replays:
    """Remembers what only one callback of a channel has, once its receipts are on disk.

    Args:
        clock: tells how long.
        most: most that are remembered.
    """

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._seen: dict[tuple[int, str, str], float] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def known(self, app: int, channel: str, nonce: str) -> bool:
        """Whether a callback with this nonce was remembered."""
        return (app, channel, nonce) in self._seen

    def remember(self, app: int, channel: str, nonce: str) -> None:
        """Remember a callback."""
        now = self._clock.monotonic()
        self._seen[app, channel, nonce] = now
        for key, at in list(self._seen.items())[:2]:  # the oldest are first; two go for each that comes
            if now - at > KEEP_SECONDS or len(self._seen) > self._most:
                del self._seen[key]
