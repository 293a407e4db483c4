"""Devices: registration, binding to users, vendor tokens, state."""
