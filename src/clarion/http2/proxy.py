"""Reaching an origin through an HTTP proxy that is asked to CONNECT (RFC 9110, section 9.3.6)."""

from __future__ import annotations

import asyncio
import base64
from urllib.parse import unquote, urlsplit

from clarion.http2.origin import CannotConnect, Origin

_MAX_HEAD = 8_192


class _ProxyReply(asyncio.Protocol):
    """Waits for the head of a proxy's answer to CONNECT; `agreed` is done when it is 200."""

    def __init__(self) -> None:
        self.agreed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self.agreed.done():
            return
        if b"\r\n\r\n" in self._data:
            status = self._data.split(b"\r\n", 1)[0].decode("ascii", "replace")
            if status.split(" ")[1:2] == ["200"]:
                self.agreed.set_result(None)
            else:
                self._refuse(f"the proxy refused: {status[:200]}")
        elif len(self._data) > _MAX_HEAD:
            self._refuse("the proxy's answer is too long")

    def connection_lost(self, error: Exception | None) -> None:
        if not self.agreed.done():
            self._refuse(f"the proxy closed the connection: {error or 'end of data'}")

    def _refuse(self, text: str) -> None:
        self.agreed.set_exception(CannotConnect(text))
        self.agreed.exception()  # its reader may have given up


async def open_through_proxy(origin: Origin, protocol: asyncio.Protocol) -> asyncio.BaseTransport:
    """Let `protocol` speak TLS with the origin, through its proxy.

    Raises:
        CannotConnect: the proxy does not do it.
        OSError: the proxy or the origin cannot be reached, or TLS fails.
    """
    loop = asyncio.get_running_loop()
    proxy = urlsplit(origin.proxy)
    if proxy.scheme != "http" or not proxy.hostname or origin.tls is None:
        raise CannotConnect("a proxy must be given as http://host:port, and is used for TLS only")
    transport, reply = await loop.create_connection(_ProxyReply, proxy.hostname, proxy.port or 8080)
    try:
        transport.write(_connect_request(origin, proxy.username, proxy.password))
        await reply.agreed
        secured = await loop.start_tls(transport, protocol, origin.tls, server_hostname=origin.host)
    except BaseException:
        transport.abort()
        raise
    if secured is None:
        raise CannotConnect("the proxy closed the connection")
    protocol.connection_made(secured)
    return secured


def _connect_request(origin: Origin, user: str | None, password: str | None) -> bytes:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    lines = [f"CONNECT {host}:{origin.port} HTTP/1.1", f"Host: {host}:{origin.port}"]
    if user:
        pair = f"{unquote(user)}:{unquote(password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode()
