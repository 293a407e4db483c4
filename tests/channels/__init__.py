"""Vendor channels against the vendors' simulators, over real HTTP."""
