"""Where connections go, and how they are secured."""

from __future__ import annotations

import ssl as tls
from dataclasses import dataclass, field


class CannotConnect(Exception):
    """No connection could be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections go.

    Attributes:
        host: host name or address.
        port: TCP port.
        tls: how to speak TLS; None for plain text with prior knowledge, which only tests use.
        proxy: `http://[user:password@]host:port` of a proxy that is asked to CONNECT, or an empty text.
    """

    host: str
    port: int
    tls: tls.SSLContext | None
    proxy: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def client_tls(
    ca_file: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    *,
    password: str | None = None,
) -> tls.SSLContext:
    """A TLS context for an origin: HTTP/2 by ALPN, the peer's certificate verified.

    Args:
        ca_file: PEM certificates to trust instead of the system's.
        certificate: PEM file of a client certificate, with its key or beside `key`.
        key: PEM file of its private key.
        password: of that key.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: a file does not hold what it should.
    """
    context = tls.create_default_context(cafile=ca_file)
    context.minimum_version = tls.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    if certificate is not None:
        context.load_cert_chain(certificate, key, password)
    return context
