"""Handing a push to its channel, straight from memory after its commit.

Whatever does not get through here is found again in the database: by the device's next connection or by the
poller (`delivery.maintenance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from clarion.channels.base import Envelope
from clarion.channels.message import PushContent, decode_content
from clarion.delivery.accept import Accepted, NewMessage, NewTask
from clarion.delivery.connections import Connections
from clarion.delivery.frames import push_frame
from clarion.delivery.routing import LINK
from clarion.delivery.series import PushKind


class VendorLines(Protocol):
    """The ways to vendors; `delivery.vendors.lines` provides it."""

    def offer(self, app: int, channel: str, kind: PushKind, envelopes: Sequence[Envelope], until: int) -> None:
        """Take over deliveries that were just committed with a lease until `until` (ms). Must not block."""
        ...


class SmsSender(Protocol):
    """Sends the SMS that are owed; `delivery.sms.supplements` provides it."""

    def wake(self) -> None:
        """An SMS was committed that may be due at once. Must not block."""
        ...


class Dispatcher:
    """Sends planned messages to the devices that are connected, and to vendors.

    Args:
        connections: the connected devices.
        lines: the ways to vendors; None where there are none.
        sms: sends SMS; None where there are none.
    """

    def __init__(
        self, connections: Connections, lines: VendorLines | None = None, sms: SmsSender | None = None
    ) -> None:
        self._connections = connections
        self._lines = lines
        self._sms = sms

    def dispatch(self, task: NewTask, content: PushContent, accepted: Accepted) -> int:
        """Hand each planned message over; how many went to connected devices. Never blocks."""
        handed = 0
        vendors: dict[str, list[Envelope]] = {}
        for message, device, channel, token in accepted.planned:
            if channel != LINK:
                own = _content(message, content)
                vendors.setdefault(channel, []).append(_envelope(task, message, device, token or "", own))
            elif self._connections.online(device):
                own = _content(message, content)
                frame = push_frame(message.message, message.msg_key, task.task, task.expires_at, own)
                handed += self._connections.deliver(device, message.message, frame)
        if self._lines is not None:
            for channel, envelopes in vendors.items():
                self._lines.offer(task.app, channel, PushKind(task.kind), envelopes, accepted.leased_until)
        if task.sms and self._sms is not None:
            self._sms.wake()
        return handed


def _content(message: NewMessage, shared: PushContent) -> PushContent:
    return shared if message.content is None else decode_content(message.content)


def _envelope(task: NewTask, message: NewMessage, device: int, token: str, content: PushContent) -> Envelope:
    return Envelope(message.message, device, token, message.msg_key, task.task, task.expires_at, content)
