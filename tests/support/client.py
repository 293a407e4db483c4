"""A quick client of the API that signs by itself, and lets a test say exactly what goes over the wire."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from tests.support.server import Address
from tests.support.tenants import APP_ID, WORKSPACE_ID, Key

ANSWER_SECONDS = 20.0
_MAX_ANSWER = 1 << 24


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        assert self.headers["content-type"] == "application/json;charset=utf-8"
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    def xml(self) -> ET.Element:
        """The body as XML."""
        assert self.headers["content-type"] == "text/xml;charset=utf-8"
        return ET.fromstring(self.body)

    @property
    def code(self) -> str:
        """The gateway or result code of a JSON answer."""
        value = self.json()
        return str(value.get("Code") or value.get("ResultCode") or value["code"])


class Connection:
    """A keep-alive HTTP/1.1 connection, for one request at a time; `async with Connection(address)`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(*self._address, limit=_MAX_ANSWER)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def post(self, body: bytes, target: str = "/", **headers: str) -> Answer:
        """POST a form (or, with `content_type`, something else)."""
        return await self.request("POST", target, body, **headers)

    async def request(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        """One request with a `Content-Length`."""
        await self.send(request_bytes(self._address, method, target, body, **headers))
        return await self.answer()

    async def send(self, data: bytes) -> None:
        """Raw bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        """The next response.

        Raises:
            ConnectionError: the server closed instead.
        """
        async with asyncio.timeout(ANSWER_SECONDS):
            try:
                head = "HTTP/1.1 100 "
                while head.startswith("HTTP/1.1 100 "):
                    head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                status, *lines = head.rstrip().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines)
                if headers.get("transfer-encoding") == "chunked":
                    body = await self._chunks()
                else:
                    body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            except asyncio.IncompleteReadError:
                raise ConnectionResetError("the server closed the connection") from None
        return Answer(int(status.split()[1]), headers, body)

    async def closed(self) -> bytes:
        """Wait until the server has closed; what came before."""
        async with asyncio.timeout(ANSWER_SECONDS):
            try:
                return await self.reader.read(-1)
            except ConnectionError:
                return b""

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self.reader.readuntil(b"\r\n")).strip(), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")
        return body


def request_bytes(address: Address, method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    """A request as it goes over the wire; `content_type="…"` is the header `content-type`."""
    values = {"content-length": str(len(body))} if body or method == "POST" else {}
    if body:
        values["content-type"] = "application/x-www-form-urlencoded"
    values |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {target} HTTP/1.1", f"host: {address}", *(f"{n}: {v}" for n, v in values.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def form(parameters: Mapping[str, str]) -> bytes:
    """Parameters as a form."""
    return "&".join(f"{_encode(name)}={_encode(value)}" for name, value in parameters.items()).encode()


def sign(
    key: Key, action: str, parameters: Mapping[str, object], *, method: str = "POST", **common: str
) -> dict[str, str]:
    """All parameters of a request, signed by version 1 with HMAC-SHA1; `common` overrides common parameters."""
    values = {name: str(value) for name, value in parameters.items()}
    values |= {
        "Action": action,
        "Version": "2020-10-28",
        "Format": "JSON",
        "AccessKeyId": key.key_id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": secrets.token_hex(16),
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    values |= common
    return {**values, "Signature": signature(key.secret, values, method)}


def signature(secret: str, parameters: Mapping[str, str], method: str = "POST") -> str:
    """Signature version 1 over `parameters`."""
    query = "&".join(f"{_encode(name)}={_encode(parameters[name])}" for name in sorted(parameters))
    digest = hmac.new(f"{secret}&".encode(), f"{method}&%2F&{_encode(query)}".encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def push_parameters(target: str, msg_key: str, **more: object) -> dict[str, object]:
    """Parameters of a PushSimple to one Android device."""
    return {
        "AppId": APP_ID,
        "WorkspaceId": WORKSPACE_ID,
        "TaskName": "test",
        "Title": "title",
        "Content": "content",
        "DeliveryType": 1,
        "ExpiredSeconds": 3600,
        "TargetMsgkey": json.dumps({target: msg_key}),
        **more,
    }


def _encode(text: str) -> str:
    return quote(text, safe="-_.~", errors="surrogateescape")
