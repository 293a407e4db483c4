"""Calls to vendors that speak HTTP/1.1: bounded in time and size, and honest about what surely did not happen."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from clarion.channels.answers import HttpAnswer, HttpFailure
from clarion.channels.forms import CONTENT_TYPE, form

MAX_ANSWER = 1_048_576
"""Most bytes of an answer; what is longer is no answer of a push service."""


class HttpClient:
    """Calls one base address.

    Args:
        base_url: `https://host[:port][/prefix]`.
        ca_file: PEM certificates to trust instead of the system's; None for those.
        proxy: `http://[user:password@]host:port`, or None.
        seconds: for one call, with connecting.
        connections: most connections at once.
    """

    def __init__(
        self,
        base_url: str,
        *,
        ca_file: str | None = None,
        proxy: str | None = None,
        seconds: float = 15.0,
        connections: int = 50,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._ssl: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else True
        self._proxy = proxy or None
        self._timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, 5.0))
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    @property
    def host(self) -> str:
        """Host and port of the base address, for logs."""
        return urlsplit(self._base).netloc.rpartition("@")[2]

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> HttpAnswer | HttpFailure:
        """GET a path (with its query) below the base address."""
        return await self._call("GET", path, headers, None)

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer | HttpFailure:
        """POST a body; its `Content-Type` is among the headers."""
        return await self._call("POST", path, headers, body)

    async def post_json(
        self, path: str, value: Any, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer | HttpFailure:
        """POST a value as compact JSON in UTF-8 without escapes."""
        sent = {"Content-Type": "application/json; charset=UTF-8", **(headers or {})}
        return await self._call("POST", path, sent, msgspec.json.encode(value))

    async def post_form(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> HttpAnswer | HttpFailure:
        """POST a form in UTF-8."""
        return await self.post(path, form(fields), {"Content-Type": CONTENT_TYPE, **(headers or {})})

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(
        self, method: str, path: str, headers: Mapping[str, str] | None, body: Any
    ) -> HttpAnswer | HttpFailure:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._ssl, keepalive_timeout=60)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                auto_decompress=True,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._session.request(
                method, self._base + path, data=body, headers=headers, proxy=self._proxy, allow_redirects=False
            ) as answer:
                content = await answer.content.read(MAX_ANSWER + 1)
                while len(content) <= MAX_ANSWER and (more := await answer.content.read(MAX_ANSWER + 1)):
                    content += more
                if len(content) > MAX_ANSWER:
                    answer.close()
                    return HttpFailure(reached=True, detail=f"an answer of over {MAX_ANSWER} bytes")
                names = {name.lower(): value for name, value in answer.headers.items()}
                return HttpAnswer(answer.status, names, content)
        except (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError, aiohttp.InvalidURL) as error:
            return HttpFailure(reached=False, detail=_said(error))
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError) as error:
            return HttpFailure(reached=False, detail=_said(error) or "no connection in time")
        except TimeoutError:
            return HttpFailure(reached=True, detail="no answer in time")
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError, ValueError) as error:
            return HttpFailure(reached=True, detail=_said(error))


def _said(error: Exception) -> str:
    # Of what the peer sent, nothing is repeated: it may be an echo of the request. Nor is an address, which may
    # have a password in it.
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{name}: HTTP status {error.status}"
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return f"{name}: {error}"[:300]
    return name
