"""A server by another implementation (`h2`), in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings

from clarion.http2.core import Http2Core
from clarion.http2.exchange import Completed
from clarion.http2.frames import ErrorCode, goaway_frame


@dataclass
class Seen:
    """A request as the server read it."""

    headers: list[tuple[bytes, bytes]]
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False


Behaviour = Callable[["Peer", int, Seen], None]


class Peer:
    """Reads requests and answers each, when it is whole, as `behaviour` does.

    Args:
        behaviour: what to do with a whole request; by default a bare 200.
        settings: the server's settings.
    """

    def __init__(
        self, behaviour: Behaviour | None = None, settings: dict[h2.settings.SettingCodes, int] | None = None
    ) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.connection = h2.connection.H2Connection(config)
        if settings:
            self.connection.update_settings({int(name): value for name, value in settings.items()})
            self.connection.local_settings = h2.settings.Settings(client=False, initial_values=settings)
        self.connection.initiate_connection()
        self.behaviour = behaviour or answer_200
        self.requests: dict[int, Seen] = {}
        self.resets: dict[int, int] = {}
        self.ended = False
        self.ended_at = 0

    def leave(self, last_stream: int) -> None:
        """Say goodbye, but go on answering up to `last_stream` (which `h2` itself does not do)."""
        self.ended_at = last_stream
        goaway = goaway_frame(last_stream, ErrorCode.NO_ERROR)
        self.connection._data_to_send += goaway

    def receive(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            self._on(event)

    def _on(self, event: Any) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.requests[event.stream_id] = Seen([(bytes(n), bytes(v)) for n, v in event.headers])
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id].body += event.data
            if event.flow_controlled_length:
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.resets[event.stream_id] = int(event.error_code)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.ended = True
        if isinstance(event, h2.events.StreamEnded):
            seen = self.requests[event.stream_id]
            seen.ended = True
            self.behaviour(self, event.stream_id, seen)


def answer_200(peer: Peer, stream: int, _: Seen) -> None:
    """A bare 200."""
    peer.connection.send_headers(stream, [(b":status", b"200")], end_stream=True)


def exchange(core: Http2Core, peer: Peer, *, piece: int | None = None) -> list[Completed]:
    """Carry bytes between the two until both are silent; `piece` is the most that arrives at once."""
    ended: list[Completed] = []
    while True:
        to_peer = core.take()
        if to_peer:
            peer.receive(to_peer)
        to_core = peer.connection.data_to_send()
        if not to_core and not to_peer:
            return ended
        step = piece or len(to_core) or 1
        for start in range(0, len(to_core), step):
            ended += core.receive(to_core[start : start + step])
