"""What a broadcast is and whom it is for. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import msgspec

_DAY_MS = 24 * 3600 * 1000
_EVER = 1 << 62
NEVER = -1
"""Stands for a moment that never was."""


class Reach(IntEnum):
    """Whom a broadcast is for (`PushStatus` of the API)."""

    LOGGED_IN = 0
    ALL = 1
    LOGGED_OUT = 2

    @property
    def bound(self) -> bool:
        """Whether devices with a user may get it."""
        return self is not Reach.LOGGED_OUT

    @property
    def unbound(self) -> bool:
        """Whether devices without a user may get it."""
        return self is not Reach.LOGGED_IN


class BroadcastState(IntEnum):
    """How far a broadcast has got; the store's partial index holds those that are `RUNNING`."""

    RUNNING = 0
    DONE = 1
    REVOKED = 2


MOVES: dict[BroadcastState, frozenset[BroadcastState]] = {
    BroadcastState.RUNNING: frozenset({BroadcastState.DONE, BroadcastState.REVOKED}),
    BroadcastState.DONE: frozenset({BroadcastState.REVOKED}),
    BroadcastState.REVOKED: frozenset(),
}
"""Allowed moves; docs/architecture.md has the diagram that is generated from it."""


class Span(NamedTuple):
    """Moments (ms) from the first to the last, both included. A moment that never was counts as -1."""

    first: int
    last: int

    def has(self, moment: int | None) -> bool:
        """Whether the moment lies within."""
        return self.first <= (NEVER if moment is None else moment) <= self.last


NOBODY = Span(0, -2)
"""No moment at all."""


class Window(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a device must have been bound, or unbound; without limits also one that never was.

    Attributes:
        days: within so many days before the broadcast was accepted, or since then.
        since: not before this moment, ms.
        until: not after this moment, ms.
    """

    days: int | None = None
    since: int | None = None
    until: int | None = None

    def span(self, accepted_at: int) -> Span:
        """The moments that it means for a broadcast that was accepted at `accepted_at` (ms)."""
        since = accepted_at - self.days * _DAY_MS if self.days is not None else self.since
        if since is None:
            # Whoever says only until when means moments that were.
            since = NEVER if self.until is None else 0
        return Span(since, _EVER if self.until is None else self.until)


class Audience(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whom a broadcast is for.

    Attributes:
        reach: devices with a user, without one, or both.
        bound: when those with a user were bound.
        unbound: when those without a user were unbound.
    """

    reach: Reach = Reach.LOGGED_IN
    bound: Window = Window()
    unbound: Window = Window()

    def spans(self, accepted_at: int) -> tuple[Span, Span]:
        """When devices with a user must have been bound, and those without one unbound."""
        return (
            self.bound.span(accepted_at) if self.reach.bound else NOBODY,
            self.unbound.span(accepted_at) if self.reach.unbound else NOBODY,
        )

    def has(self, standing: Standing, accepted_at: int) -> bool:
        """Whether a device of the broadcast's platform belongs to it; `audience.BELONGS` is the same in SQL."""
        bound, unbound = self.spans(accepted_at)
        if standing.user_id is not None:
            return bound.has(standing.bound_at)
        return unbound.has(standing.unbound_at)


class Standing(NamedTuple):
    """What decides whether a device belongs to an audience: its user, and when it was bound and unbound (ms)."""

    user_id: str | None
    bound_at: int | None
    unbound_at: int | None


class Announcement(msgspec.Struct, frozen=True):
    """What makes a push a broadcast: the caller's message key, and whom it is for."""

    msg_key: str
    audience: Audience


class Entry(NamedTuple):
    """A broadcast as the open log has it.

    Attributes:
        task: its task, and its message id on the wire.
        app: internal number of the app.
        platform: label of the platform whose devices get it.
        msg_key: the caller's message key.
        audience: who gets it.
        accepted_at: ms.
        expires_at: end of its validity, ms; of a revoked one, end of its recall.
        revocation: id of the revoke frame, None while it is not revoked.
        frame: JSON text of its push frame, or of the revoke frame once it is revoked.
        link_only: whether vendors must not be used.
    """

    task: int
    app: int
    platform: str
    msg_key: str
    audience: Audience
    accepted_at: int
    expires_at: int
    revocation: int | None
    frame: bytes
    link_only: bool = False

    @property
    def wire_id(self) -> int:
        """The id of the frame that devices are owed."""
        return self.task if self.revocation is None else self.revocation


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Audience)


def encode_audience(audience: Audience) -> str:
    """The form in which an audience is stored."""
    return _encoder.encode(audience).decode()


def decode_audience(stored: str) -> Audience:
    """The audience that `encode_audience` stored."""
    return _decoder.decode(stored)
