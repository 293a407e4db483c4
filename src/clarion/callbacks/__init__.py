"""Callbacks: an app's own server is told of final statuses and receipts (docs/callbacks.md)."""
