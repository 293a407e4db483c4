"""Firebase Cloud Messaging, HTTP v1 API, with Google's token endpoint."""

from __future__ import annotations

from clarion.simulators.base import Surroundings
from clarion.simulators.fcm.simulator import FcmSimulator

__all__ = ["FcmSimulator", "create"]


def create(surroundings: Surroundings) -> FcmSimulator:
    """A simulator that accepts the service account of `surroundings.known`, or a new one."""
    return FcmSimulator(surroundings)
