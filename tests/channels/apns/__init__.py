"""The channel for APNs."""
