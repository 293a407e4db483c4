"""The TLS context of a server's ports."""

from __future__ import annotations

import ssl
from pathlib import Path

from clarion.failures import ConfigurationError
from clarion.settings import Settings


def server_tls(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context of both ports, or None for plain TCP.

    Raises:
        ConfigurationError: the files do not make a certificate with its key.
    """
    if not settings.tls_cert_file:
        return None
    for name, file in (("tls_cert_file", settings.tls_cert_file), ("tls_key_file", settings.tls_key_file)):
        if not file:
            raise ConfigurationError(f"{name} is missing: a certificate needs its private key")
        if not Path(file).is_file():
            raise ConfigurationError(f"{name}: there is no file {file}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"cannot use tls_cert_file {settings.tls_cert_file}: {error}") from error
    return context
