"""The push gateway of HarmonyOS, version 3."""

from __future__ import annotations

from clarion.simulators.harmony.gateway import HarmonySimulator, create

__all__ = ["HarmonySimulator", "create"]
