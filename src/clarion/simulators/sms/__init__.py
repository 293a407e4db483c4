"""Alibaba Cloud Short Message Service, API version 2017-05-25."""

from __future__ import annotations

from clarion.simulators.base import Surroundings
from clarion.simulators.sms.simulator import SmsSimulator

__all__ = ["SmsSimulator", "create"]


def create(surroundings: Surroundings) -> SmsSimulator:
    """A simulator that accepts the access key of `surroundings.known`, or a new one."""
    return SmsSimulator(surroundings)
