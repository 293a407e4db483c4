"""What a session works with: its socket, the registry of sessions and what they share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clarion.clock import Clock
    from clarion.link.backend import LinkBackend
    from clarion.link.limits import LinkLimits
    from clarion.link.session import Session


class Transport(Protocol):
    """What a session needs of its socket; nothing here blocks."""

    def send(self, data: bytes, /) -> None:
        """Write whole WebSocket frames."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and let the connection end."""
        ...

    def buffered(self) -> int:
        """Bytes that wait in the socket's buffer."""
        ...

    def is_closing(self) -> bool:
        """Whether the socket takes nothing more, as after an error."""
        ...

    def pause_reading(self) -> None:
        """Take nothing from the socket for a while."""
        ...

    def resume_reading(self) -> None:
        """Take from the socket again."""
        ...


class Registry(Protocol):
    """Where sessions that are ready are found by their device."""

    def register(self, session: Session) -> None:
        """Enter the session in place of an older one of the same device, which is closed."""
        ...

    def unregister(self, session: Session) -> None:
        """Forget the session, unless a newer one has taken its place."""
        ...


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What all sessions of a listener share.

    Attributes:
        backend: devices and their messages.
        registry: the sessions by device.
        limits: the limits of the link.
        clock: source of time.
        nonce: makes a fresh unguessable text.
        spawn: runs a coroutine in the background; it never raises.
    """

    backend: LinkBackend
    registry: Registry
    limits: LinkLimits
    clock: Clock
    nonce: Callable[[], str]
    spawn: Callable[[Coroutine[object, object, None]], object]
