"""Clarion: a self-hosted mobile push service that speaks the mPaaS Message Push Service API."""

__version__ = "0.1.0"
