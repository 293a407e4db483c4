"""The RPC endpoint as an ASGI 3 application: reads a request, has it checked and served, answers.

Whatever arrives gets an answer in the format that it asked for: gateway errors with their HTTP status,
business refusals with status 200 in the envelope of the action.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote

import structlog

from clarion import ids
from clarion.clock import Clock
from clarion.failures import StoreUnavailable
from clarion.openapi.authentication import Authenticator, Request, authorize
from clarion.openapi.errors import GatewayError, GatewayFault
from clarion.openapi.parameters import MAX_BODY, find_parameter, is_unicode, parse_form
from clarion.openapi.registry import Action, Call, Registry
from clarion.openapi.render import Format, choose_format, render
from clarion.results import Refusal, ResultCode

BODY_SECONDS = 20.0
"""How long a client may take to send a body."""
MAX_LOGGED = 64
"""Most characters of a key id or app id in the log."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Observer = Callable[[str, str, float], None]
"""Told of each request: name of the action (empty if unknown), result code, seconds."""

_DISCONNECTED = "Disconnected"
_FORM = b"application/x-www-form-urlencoded"
_METHODS = ("GET", "POST")
_log = structlog.get_logger("clarion.openapi")


class _Disconnected(Exception):
    """The client went away before its request was complete."""


class RpcEndpoint:
    """Serves the path `/`.

    Args:
        registry: the actions.
        authenticator: checks who calls.
        clock: source of time.
        observe: told of each request, for metrics.
        body_seconds: how long a client may take to send a body.
        new_request_id: makes the `RequestId` of each answer.
    """

    def __init__(
        self,
        registry: Registry,
        authenticator: Authenticator,
        clock: Clock,
        *,
        observe: Observer | None = None,
        body_seconds: float = BODY_SECONDS,
        new_request_id: Callable[[], str] = ids.request_id,
    ) -> None:
        self._registry = registry
        self._authenticator = authenticator
        self._clock = clock
        self._observe = observe
        self._body_seconds = body_seconds
        self._new_request_id = new_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the scope must be of type `http`."""
        exchange = _Exchange(scope, self._new_request_id())
        started = self._clock.monotonic()
        try:
            await self._answer(exchange, receive)
            exchange.finish()
        except _Disconnected:
            exchange.code = _DISCONNECTED
        except GatewayError as error:
            exchange.fail(error)
        except StoreUnavailable:
            exchange.fail(GatewayError(GatewayFault.UNAVAILABLE))
        except Exception:
            _log.exception("request failed", request_id=exchange.request_id, action=exchange.action_name)
            exchange.fail(GatewayError(GatewayFault.INTERNAL))
        if exchange.body:
            try:
                await send(
                    {"type": "http.response.start", "status": exchange.status, "headers": exchange.headers()}
                )
                await send({"type": "http.response.body", "body": exchange.body})
            except OSError:  # what a server may raise when the client has gone away
                exchange.code = _DISCONNECTED
        seconds = self._clock.monotonic() - started
        if self._observe is not None:
            self._observe(exchange.action_name, exchange.code, seconds)
        exchange.log(seconds)

    async def _answer(self, exchange: _Exchange, receive: Receive) -> None:
        scope = exchange.scope
        if scope["path"] not in ("/", ""):
            raise GatewayError(GatewayFault.ACTION_NOT_FOUND)
        if scope["method"] not in _METHODS:
            raise GatewayError(GatewayFault.METHOD_NOT_ALLOWED)
        query = scope["query_string"]
        if len(query) > MAX_BODY:
            raise GatewayError(GatewayFault.BODY_TOO_LARGE, limit=MAX_BODY)
        body = await self._read_body(exchange.request_headers, receive)
        received_ms = self._clock.now_ms()
        request = Request(scope["method"], query, exchange.request_headers, body)
        exchange.format = exchange.choose_format(request.parameters)
        version = request.version
        exchange.action = action = self._registry.find(request.action, version)
        credentials = request.credentials()
        exchange.key_id = credentials.key_id
        key, nonce_hash = await self._authenticator.authenticate(credentials)
        exchange.app_id = find_parameter(request.parameters, "AppId") or ""
        authorize(key, action, request.parameters)
        if not is_unicode(request.parameters):
            exchange.refuse(action, Refusal(ResultCode.REQUEST_SHOULD_BE_UTF8))
            return
        params = action.schema.read(request.parameters)
        call = Call(action.name, version or "", exchange.request_id, key, params, received_ms, nonce_hash)
        try:
            exchange.succeed(action, await action.handler(call))
        except Refusal as refusal:
            exchange.refuse(action, refusal)
        except StoreUnavailable:
            exchange.refuse(action, Refusal(ResultCode.SYSTEM_ERROR))

    async def _read_body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The whole body, never more than `MAX_BODY` bytes whatever `Content-Length` says."""
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > MAX_BODY:
            raise GatewayError(GatewayFault.BODY_TOO_LARGE, limit=MAX_BODY)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._body_seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Disconnected
                    chunk = message.get("body", b"")
                    more = message.get("more_body", False)
                    size += len(chunk)
                    if size > MAX_BODY:
                        raise GatewayError(GatewayFault.BODY_TOO_LARGE, limit=MAX_BODY)
                    if chunk:
                        chunks.append(chunk)
        except TimeoutError:
            raise GatewayError(GatewayFault.BODY_TIMEOUT, seconds=self._body_seconds) from None
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if body and headers.get(b"content-type", _FORM).partition(b";")[0].strip().lower() != _FORM:
            raise GatewayError(GatewayFault.CONTENT_TYPE)
        return body


class _Exchange:
    """One request and what becomes of it."""

    __slots__ = (
        "_members",
        "_root",
        "action",
        "app_id",
        "body",
        "code",
        "error",
        "format",
        "key_id",
        "request_headers",
        "request_id",
        "scope",
        "status",
    )

    def __init__(self, scope: Scope, request_id: str) -> None:
        self.scope = scope
        self.request_id = request_id
        self.request_headers = merge_headers(scope["headers"])
        self.action: Action | None = None
        self.format: Format | None = None
        self.error: GatewayError | None = None
        self.key_id = self.app_id = self.code = ""
        self.status = 200
        self.body = b""
        self._root = "Error"
        self._members: Mapping[str, Any] = {}

    @property
    def action_name(self) -> str:
        """The name of the action, or an empty text if there is no such action."""
        return "" if self.action is None else self.action.name

    def choose_format(self, parameters: Mapping[str, str]) -> Format:
        headers = self.request_headers
        return choose_format(
            parameters.get("Format"),
            headers.get(b"accept", b""),
            header_signed=headers.get(b"authorization", b"").lstrip().startswith(b"ACS3-"),
        )

    def succeed(self, action: Action, members: dict[str, Any] | None) -> None:
        self.code = action.envelope.success_code
        self._root = action.name + "Response"
        self._members = action.envelope.success(self.request_id, members)

    def refuse(self, action: Action, refusal: Refusal) -> None:
        self.code = refusal.result.code
        self._root = action.name + "Response"
        self._members = action.envelope.refusal(self.request_id, refusal.result, refusal.message)

    def fail(self, error: GatewayError) -> None:
        self.code, self.status, self.error = error.code, error.status, error
        self._root = "Error"
        self._members = {
            "RequestId": self.request_id,
            "HostId": self.request_headers.get(b"host", b"")[:255].decode("ascii", "replace"),
            "Code": error.code,
            "Message": error.message,
            "Recommend": (
                f"https://api.aliyun.com/troubleshoot?q={quote(error.code)}"
                f"&product=mPaaS&requestId={self.request_id}"
            ),
        }
        if self.format is None:
            self.format = self.choose_format(self._query_parameters())
        self.finish()

    def finish(self) -> None:
        self.body = render(self.format or Format.JSON, self._root, self._members)

    def headers(self) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"content-type", (self.format or Format.JSON).value),
            (b"content-length", b"%d" % len(self.body)),
        ]
        if self.error is not None:
            headers += _EXTRA_HEADERS.get(self.error.fault, [])
            if self.error.retry_after_ms:
                headers.append((b"x-acs-retry-after", b"%d" % self.error.retry_after_ms))
        return headers

    def log(self, seconds: float) -> None:
        client = self.scope.get("client")
        _log.info(
            "request",
            request_id=self.request_id,
            action=self.action_name,
            key_id=_loggable(self.key_id),
            app_id=_loggable(self.app_id),
            code=self.code,
            ms=round(seconds * 1000, 3),
            client=client[0] if client else "",
        )

    def _query_parameters(self) -> Mapping[str, str]:
        """The parameters of the query alone, for a request that failed before all were read."""
        try:
            return parse_form(self.scope["query_string"][:MAX_BODY])
        except GatewayError:
            return {}


_EXTRA_HEADERS: dict[GatewayFault, list[tuple[bytes, bytes]]] = {
    GatewayFault.METHOD_NOT_ALLOWED: [(b"allow", b"GET, POST")],
    # The rest of the body is not read, so the connection is of no further use.
    GatewayFault.BODY_TOO_LARGE: [(b"connection", b"close")],
    GatewayFault.BODY_TIMEOUT: [(b"connection", b"close")],
}


def _loggable(text: str) -> str:
    """The beginning of a text from outside, with all but printable ASCII escaped."""
    return ascii(text[:MAX_LOGGED])[1:-1]


def merge_headers(pairs: list[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Headers by name; of a repeated one the trimmed values, sorted, joined by `,`, as they are signed."""
    headers = dict(pairs)
    if len(headers) < len(pairs):
        values: dict[bytes, list[bytes]] = {}
        for name, value in pairs:
            values.setdefault(name, []).append(value.strip())
        headers = {name: b",".join(sorted(several)) for name, several in values.items()}
    return headers
