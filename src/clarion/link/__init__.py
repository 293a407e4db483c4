"""The device connection (docs/link-protocol.md): sessions, listener, registration, a reference client."""
