"""One call of an app's server; every step has a limit, and what fails becomes a value."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientOSError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from clarion import __version__
from clarion.callbacks.model import MAX_ANSWER, Answer, Batch, Destination
from clarion.clock import Clock
from clarion.failures import ConfigurationError

_ANSWER_SECONDS = 1.0
_IDLE_SECONDS = 4.0  # below the 5 s after which common servers hang up
_READ_BUFFER = 4096


class HttpCaller:
    """Calls by HTTP/1.1; must be made inside an event loop.

    Args:
        clock: times of signatures.
        timeout: most time of a call, from name look-up to the answer's head, s.
        ca_file: PEM certificates to trust besides the system's; empty for none.

    Raises:
        ConfigurationError: `ca_file` cannot be used.
    """

    def __init__(self, clock: Clock, timeout: float = 10.0, ca_file: str = "") -> None:
        self._clock = clock
        # No limit: an app has one call at a time, so servers that hang cannot use up what others need.
        connector = TCPConnector(limit=0, ssl=_tls(ca_file), resolver=_Resolver(), keepalive_timeout=_IDLE_SECONDS)
        self._session = ClientSession(
            connector=connector,
            timeout=ClientTimeout(total=timeout),
            cookie_jar=DummyCookieJar(),
            headers={"Content-Type": "application/json", "User-Agent": f"Clarion/{__version__}"},
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
        )

    async def call(self, destination: Destination, batch: Batch) -> Answer:
        """Send `batch` once; never raises for what the network or the server does."""
        timestamp = str(self._clock.now_ms())
        headers = {
            "X-Clarion-Batch": batch.name,
            "X-Clarion-Timestamp": timestamp,
            "X-Clarion-Signature": destination.signer.sign(timestamp, batch.body),
        }
        url = URL(destination.url, encoded=True)
        try:
            response = await self._session.post(url, data=batch.body, headers=headers, allow_redirects=False)
        except (ClientError, OSError, ValueError) as error:
            return Answer(None, _cause(error))
        return Answer(response.status, _refusal(response.status), await _beginning(response))

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def _refusal(status: int) -> str:
    if 200 <= status < 300:
        return ""
    return f"answered {status}" + ("; redirects are not followed" if 300 <= status < 400 else "")


async def _beginning(response: ClientResponse) -> bytes:
    """What the answer begins with. The head alone decides, so a body that is slow or huge changes nothing."""
    read = b""
    with suppress(ClientError, OSError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            while len(read) < MAX_ANSWER and (more := await response.content.read(MAX_ANSWER - len(read))):
                read += more
    if response.content.at_eof():
        response.release()
    else:
        response.close()
    return read


_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timed out"),
    (ClientConnectorCertificateError, "its certificate is not valid"),
    (ClientSSLError, "TLS failed"),
    (ClientConnectorDNSError, "its name is not known"),
    (ClientConnectorError, "cannot be reached"),
    (ServerDisconnectedError, "closed the connection"),
    (ClientOSError, "broke the connection"),
    (ClientResponseError, "answered something else than HTTP"),
)


def _cause(error: Exception) -> str:
    """What went wrong, without the URL, which texts of errors may quote."""
    for kind, text in _CAUSES:
        if isinstance(error, kind):
            detail = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
            return f"{text}: {detail}" if detail else text
    return type(error).__name__


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        if not Path(ca_file).is_file():
            raise ConfigurationError(f"callback_ca_file: there is no file {ca_file}")
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"cannot use callback_ca_file {ca_file}: {error}") from error
    return context


class _Resolver(AbstractResolver):
    """Looks each name up in a thread of its own.

    Pools of threads are small: a few names whose server does not answer would hold up all others, and the end of
    the process.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def answer(result: list[ResolveResult] | OSError) -> None:
            if found.done():
                return
            if isinstance(result, OSError):
                found.set_exception(result)
            else:
                found.set_result(result)

        def look_up() -> None:
            result = _addresses(host, port, family)
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(answer, result)

        threading.Thread(target=look_up, name=f"look-up {host}", daemon=True).start()
        return await found

    async def close(self) -> None:
        """Nothing is kept."""


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult] | OSError:
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except OSError as error:
        return error
    except UnicodeError:
        return socket.gaierror(socket.EAI_NONAME, "not a host name")
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in found
    ]
