"""Failures that are nobody's mistake: the service cannot do its work just now."""

from __future__ import annotations


class StoreUnavailable(Exception):
    """The database did not take or give data (full disk, lost connection, lock held too long).

    What was asked has not been answered OK; the caller may try again.
    """


class ConfigurationError(Exception):
    """The operator has to change something; the text says what."""
