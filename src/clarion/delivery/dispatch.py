"""Handing a push to its channel, straight from memory after its commit.

Whatever does not get through here is found again in the database: by the device's next connection or by the
poller (`delivery.maintenance`).
"""

from __future__ import annotations

from clarion.channels.message import PushContent, decode_content
from clarion.delivery.accept import Accepted, NewTask
from clarion.delivery.connections import Connections
from clarion.delivery.frames import push_frame


class Dispatcher:
    """Sends planned messages to the devices that are connected.

    Args:
        connections: the connected devices.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def dispatch(self, task: NewTask, content: PushContent, accepted: Accepted) -> int:
        """Offer each planned message to its device; how many were handed over. Never blocks."""
        handed = 0
        for message, device in accepted.planned:
            if self._connections.online(device):
                own = content if message.content is None else decode_content(message.content)
                frame = push_frame(message.message, message.msg_key, task.task, task.expires_at, own)
                handed += self._connections.deliver(device, message.message, frame)
        return handed
