"""Access tokens of vendors: fetched once for all who wait, renewed early, and not asked for in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from clarion.clock import Clock


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token and how long it is good, in seconds from when it was fetched."""

    value: str = field(repr=False)
    seconds: float


class TokenRefused(Exception):
    """The vendor gave no token.

    Args:
        text: what it said, or why it could not be reached; without secrets.
        code: the vendor's own code.
        final: whether the operator has to change something (wrong credentials); else another time may do.
    """

    def __init__(self, text: str, code: str = "", *, final: bool) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.final = final


class TokenSource:
    """Keeps one token.

    Args:
        fetch: gets a new one; raises `TokenRefused`.
        clock: for its age.
        early: how long before its end it is renewed, s; never more than half of its life.
        pause: how long a refusal is repeated to those who ask before the vendor is asked again, s; doubles with
            each refusal in a row, up to 60 s (600 s for a final one).
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[AccessToken]], clock: Clock, *, early: float = 300.0, pause: float = 1.0
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._early = early
        self._pause = pause
        self._token: AccessToken | None = None
        self._renew_at = 0.0
        self._refused: TokenRefused | None = None
        self._refusals = 0
        self._ask_again_at = 0.0
        self._fetching: asyncio.Task[AccessToken] | None = None

    async def get(self) -> str:
        """A good token.

        Raises:
            TokenRefused: there is none.
        """
        now = self._clock.monotonic()
        if self._token is not None and now < self._renew_at:
            return self._token.value
        if self._refused is not None and now < self._ask_again_at:
            raise self._refused
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._renew())
            self._fetching.add_done_callback(lambda done: done.cancelled() or done.exception())
        # Shielded: one who gives up waiting must not take the token from the others.
        return (await asyncio.shield(self._fetching)).value

    def invalidate(self, value: str) -> None:
        """The vendor refused this token; fetch another, unless that was done already."""
        if self._token is not None and self._token.value == value:
            self._token = None

    async def _renew(self) -> AccessToken:
        try:
            token = await self._fetch()
        except TokenRefused as refused:
            longest = 600.0 if refused.final else 60.0
            self._ask_again_at = self._clock.monotonic() + min(longest, self._pause * 2**self._refusals)
            self._refusals = min(self._refusals + 1, 10)
            self._refused = refused
            raise
        else:
            self._token = token
            self._renew_at = self._clock.monotonic() + max(token.seconds - self._early, token.seconds / 2)
            self._refused, self._refusals = None, 0
            return token
        finally:
            self._fetching = None
