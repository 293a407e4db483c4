"""The devices that are connected to this node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from clarion.link.protocol import Failure
from clarion.link.websocket import CloseCode, text_frame

if TYPE_CHECKING:
    from clarion.link.session import Session

_SLICE = 500
_CLOSING_STEPS = 20
RETRY_SPREAD = 30
"""Seconds over which devices come back after `close_all`."""


class Hub:
    """Finds the session of a device and hands messages to it.

    A message is handed over only after it is committed to the device's inbox: a session that cannot write it
    at once finds it there.
    """

    def __init__(self) -> None:
        self._sessions: dict[int, Session] = {}

    @property
    def count(self) -> int:
        """Number of connected devices."""
        return len(self._sessions)

    def online(self, device: int) -> bool:
        """Whether the device is connected to this node."""
        return device in self._sessions

    def register(self, session: Session) -> None:
        """Enter a session that is ready; an older one of the same device is closed with 4000."""
        older = self._sessions.get(session.device)
        self._sessions[session.device] = session
        if older is not None and older is not session:
            older.fail(Failure.REPLACED, "replaced by a newer connection")

    def unregister(self, session: Session) -> None:
        """Forget a session, unless a newer one of its device has taken its place."""
        if self._sessions.get(session.device) is session:
            del self._sessions[session.device]

    def deliver(self, device: int, message: int, frame: bytes) -> bool:
        """Hand one message to its device.

        Args:
            device: internal number of the device.
            message: id of the message, as in the inbox.
            frame: the JSON text of its frame.

        Returns:
            False when the device is not connected here; True when the message is written or will be in its turn.
        """
        session = self._sessions.get(device)
        if session is None:
            return False
        session.deliver(message, text_frame(frame))
        return True

    def broadcast(self, devices: Iterable[int], message: int, frame: bytes) -> int:
        """Hand one message to many devices, at most about 1,000 a call so that others get their turn.

        Returns:
            How many of them are connected here.
        """
        data = text_frame(frame)
        find = self._sessions.get
        connected = 0
        for device in devices:
            session = find(device)
            if session is not None:
                session.deliver(message, data)
                connected += 1
        return connected

    def wake(self, device: int) -> bool:
        """Let the device's session look into its inbox again.

        Returns:
            False when the device is not connected here.
        """
        session = self._sessions.get(device)
        if session is None:
            return False
        session.wake()
        return True

    def slices(self, size: int = _SLICE) -> Iterator[list[int]]:
        """The connected devices in lists of at most `size`; devices may come and go between two lists."""
        devices = iter(list(self._sessions))
        while part := list(islice(devices, size)):
            yield [device for device in part if device in self._sessions]

    async def close_all(
        self, code: int = CloseCode.GOING_AWAY, reason: str = "going away", over: float = 0.0
    ) -> None:
        """Close all sessions, spread evenly over some seconds.

        Args:
            code: close code.
            reason: start of the reason; `; retry-after=N` is added so that the devices come back spread as well.
            over: seconds to spread the closing over.
        """
        parts = list(self.slices(max(1, self.count // _CLOSING_STEPS)))
        for index, part in enumerate(parts):
            for position, device in enumerate(part):
                session = self._sessions.get(device)
                if session is not None:
                    session.end(code, f"{reason}; retry-after={1 + position % RETRY_SPREAD}")
            if index + 1 < len(parts):
                await asyncio.sleep(over / len(parts))
