"""Apple Push Notification service, provider API over HTTP/2."""

from __future__ import annotations

from clarion.simulators.apns.simulator import ApnsSimulator
from clarion.simulators.base import Surroundings

__all__ = ["ApnsSimulator", "create"]


def create(surroundings: Surroundings) -> ApnsSimulator:
    """A simulator that accepts the key of `surroundings.known`, or a new one."""
    return ApnsSimulator(surroundings)
