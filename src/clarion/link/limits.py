"""Limits of the device link."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Bounds on what one device, one address and all devices together may take. Times are seconds, sizes bytes.

    Attributes:
        connections: open connections of the listener; more are answered with 503.
        connections_per_address: the same for one remote address (a carrier's NAT hides many devices behind one).
        head: size of the HTTP request that opens a connection.
        message: size of a message from a device.
        hello_timeout: from connecting to the HTTP request, from there to `hello`, from there to its verdict.
        close_timeout: how long the peer's close frame is waited for.
        heartbeat_min: shortest heart-beat that a device gets.
        heartbeat_max: longest heart-beat that a device gets.
        heartbeat_default: heart-beat of a device that wishes none.
        patience: a device is idle after this many heart-beats without a byte.
        window: messages sent to a device and not acknowledged.
        page: messages read from the inbox at once.
        requests: requests of a device that wait; at more the socket is not read.
        buffer_high: nothing more is pushed while this much waits in the socket's buffer.
        buffer_max: a device is cut when its answers make the buffer this long.
        stall_timeout: a device is cut when its buffer stays high this long.
        sweep: how often deadlines are looked at.
    """

    connections: int = 100_000
    connections_per_address: int = 1_000
    head: int = 8 * 1024
    message: int = 16 * 1024
    hello_timeout: float = 10.0
    close_timeout: float = 5.0
    heartbeat_min: int = 30
    heartbeat_max: int = 1800
    heartbeat_default: int = 240
    patience: float = 1.5
    window: int = 64
    page: int = 50
    requests: int = 32
    buffer_high: int = 64 * 1024
    buffer_max: int = 256 * 1024
    stall_timeout: float = 30.0
    sweep: float = 1.0

    def heartbeat(self, wanted: int | None) -> int:
        """The heart-beat that a device gets, in seconds."""
        return max(self.heartbeat_min, min(wanted or self.heartbeat_default, self.heartbeat_max))
