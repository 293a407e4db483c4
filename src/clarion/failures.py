"""Failures that any layer may meet and that a face turns into an answer."""

from __future__ import annotations


class StoreUnavailable(Exception):
    """The store cannot be read or written now: full disk, lost connection, lock timeout.

    Nothing of the work that raised it was kept. The caller may try again later.
    """


class ConfigurationError(Exception):
    """The operator has to change something; the text says what."""
