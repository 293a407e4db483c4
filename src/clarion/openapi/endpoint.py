"""The RPC endpoint as an ASGI 3 application: reads a request, has it checked and served, answers.

Whatever arrives gets an answer in the format that it asked for: gateway errors with their HTTP status,
business refusals with status 200 in the envelope of the action.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import msgspec
import structlog

from clarion import ids
from clarion.clock import Clock
from clarion.failures import StoreUnavailable
from clarion.openapi.authentication import Authenticator, Request, authorize
from clarion.openapi.errors import GatewayError, GatewayFault
from clarion.openapi.parameters import MAX_BODY, find_parameter, parse_form
from clarion.openapi.registry import Action, Call, Registry
from clarion.openapi.render import Format, choose_format, render
from clarion.openapi.throttle import Throttle
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

RequestLog = Callable[["RequestLine"], None]
"""Writes the line of a request."""


class RequestLine(msgspec.Struct, frozen=True):
    """What the log says of a request: no parameter but the key and the app."""

    request_id: str
    action: str
    key_id: str
    app_id: str
    code: str
    ms: float
    client: str


_FORM = b"application/x-www-form-urlencoded"
_METHODS = ("GET", "POST")
_log = structlog.get_logger("clarion.openapi")


def _log_request(line: RequestLine) -> None:
    _log.info("request", **msgspec.structs.asdict(line))


class _Disconnected(Exception):
    """The client went away before its request was complete."""


class RpcRequest(msgspec.Struct):
    """A whole HTTP request to the path `/`.

    Attributes:
        method: the HTTP verb, upper case.
        query: the query string as sent.
        headers: all headers by lower-case name, as `merge_headers` makes them.
        body: the bytes of the body.
        client: address of the client, for the log.
    """

    method: str
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes = b""
    client: str = ""


class RpcAnswer(msgspec.Struct, frozen=True):
    """The answer to a request: status, headers (lower-case names) with `content-length`, body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class RpcEndpoint:
    """Serves the path `/`: by `answer` to a server that has the whole request, or as an ASGI application.

    Args:
        registry: the actions.
        authenticator: checks who calls.
        throttle: says who has to wait.
        clock: source of time.
        observe: told of each request, for metrics.
        log: writes the line that each request leaves in the log.
        body_seconds: how long a client may take to send a body.
        new_request_id: makes the `RequestId` of each answer.
    """

    def __init__(
        self,
        registry: Registry,
        authenticator: Authenticator,
        throttle: Throttle,
        clock: Clock,
        *,
        observe: Observer | None = None,
        log: RequestLog | None = None,
        body_seconds: float = BODY_SECONDS,
        new_request_id: Callable[[], str] = ids.request_id,
    ) -> None:
        self._registry = registry
        self._authenticator = authenticator
        self._throttle = throttle
        self._clock = clock
        self._observe = observe
        self._log = log or _log_request
        self._body_seconds = body_seconds
        self._new_request_id = new_request_id

    async def answer(self, request: RpcRequest) -> RpcAnswer:
        """Carry out a request that passed `check_head`; never raises."""
        started = self._clock.monotonic()
        exchange = _Exchange(request, self._new_request_id())
        try:
            await self._carry_out(exchange)
            exchange.finish()
        except GatewayError as error:
            exchange.fail(error)
        except StoreUnavailable:
            exchange.fail(GatewayError(GatewayFault.UNAVAILABLE))
        except Exception:
            _log.exception("request failed", request_id=exchange.request_id, action=exchange.action_name)
            exchange.fail(GatewayError(GatewayFault.INTERNAL))
        self._conclude(exchange, started)
        return exchange.answer()

    def reject(self, request: RpcRequest, error: GatewayError) -> RpcAnswer:
        """Answer a request that did not arrive whole."""
        exchange = _Exchange(request, self._new_request_id())
        exchange.fail(error)
        self._conclude(exchange, self._clock.monotonic())
        return exchange.answer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the scope must be of type `http`."""
        client = scope.get("client")
        request = RpcRequest(
            scope["method"],
            scope["query_string"],
            merge_headers(scope["headers"]),
            client=client[0] if client else "",
        )
        try:
            _check_path(scope["path"])
            check_head(request)
            request.body = await self._read_body(receive)
            answer = await self.answer(request)
        except _Disconnected:
            return
        except GatewayError as error:
            answer = self.reject(request, error)
        with suppress(OSError):  # what a server may raise when the client has gone away
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            await send({"type": "http.response.body", "body": answer.body})

    async def _carry_out(self, exchange: _Exchange) -> None:
        sent = exchange.request
        if sent.body and sent.headers.get(b"content-type", _FORM).partition(b";")[0].strip().lower() != _FORM:
            raise GatewayError(GatewayFault.CONTENT_TYPE)
        received_ms = self._clock.now_ms()
        request = Request(sent.method, sent.query, sent.headers, sent.body)
        exchange.format = exchange.choose_format(request.parameters)
        version = request.version
        exchange.action = action = self._registry.find(request.action, version)
        credentials = request.credentials()
        exchange.key_id = credentials.key_id
        key, nonce_hash = await self._authenticator.authenticate(credentials)
        exchange.app_id = find_parameter(request.parameters, "AppId") or ""
        if wait := self._throttle.key_wait_ms(key):
            raise GatewayError(GatewayFault.THROTTLED, retry_after_ms=wait)
        authorize(key, action, request.parameters)
        workspace_id = find_parameter(request.parameters, "WorkspaceId") or ""
        if wait := self._throttle.app_wait_ms(exchange.app_id, workspace_id):
            exchange.retry_after_ms = wait
            exchange.refuse(action, Refusal(ResultCode.FLOW_CONTROL_ERROR, f"try again in {wait} ms"))
            return
        if not request.is_unicode:
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

    def _conclude(self, exchange: _Exchange, started: float) -> None:
        seconds = self._clock.monotonic() - started
        if self._observe is not None:
            self._observe(exchange.action_name, exchange.code, seconds)
        self._log(
            RequestLine(
                request_id=exchange.request_id,
                action=exchange.action_name,
                key_id=_loggable(exchange.key_id),
                app_id=_loggable(exchange.app_id),
                code=exchange.code,
                ms=round(seconds * 1000, 3),
                client=exchange.request.client,
            )
        )

    async def _read_body(self, receive: Receive) -> bytes:
        """The whole body, never more than `MAX_BODY` bytes whatever `Content-Length` says."""
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
                    chunks.append(chunk)
        except TimeoutError:
            raise GatewayError(GatewayFault.BODY_TIMEOUT, seconds=self._body_seconds) from None
        return b"".join(chunks)


def _check_path(path: str) -> None:
    if path not in ("/", ""):
        raise GatewayError(GatewayFault.ACTION_NOT_FOUND)


def check_head(request: RpcRequest) -> None:
    """What can be said before the body is read.

    Raises:
        GatewayError: a method other than GET and POST; a query or a declared body over `MAX_BODY`.
    """
    if request.method not in _METHODS:
        raise GatewayError(GatewayFault.METHOD_NOT_ALLOWED)
    declared = request.headers.get(b"content-length", b"0")
    if len(request.query) > MAX_BODY or (declared.isdigit() and int(declared[:20]) > MAX_BODY):
        raise GatewayError(GatewayFault.BODY_TOO_LARGE, limit=MAX_BODY)


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
        "request",
        "request_id",
        "retry_after_ms",
        "status",
    )

    def __init__(self, request: RpcRequest, request_id: str) -> None:
        self.request = request
        self.request_id = request_id
        self.action: Action | None = None
        self.format: Format | None = None
        self.error: GatewayError | None = None
        self.retry_after_ms: int | None = None
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
        headers = self.request.headers
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
        self.retry_after_ms = error.retry_after_ms
        self._root = "Error"
        self._members = {
            "RequestId": self.request_id,
            "HostId": self.request.headers.get(b"host", b"")[:255].decode("ascii", "replace"),
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

    def answer(self) -> RpcAnswer:
        headers = [
            (b"content-type", (self.format or Format.JSON).value),
            (b"content-length", b"%d" % len(self.body)),
        ]
        if self.error is not None:
            headers += _EXTRA_HEADERS.get(self.error.fault, [])
        if self.retry_after_ms:
            headers.append((b"retry-after", b"%d" % -(-self.retry_after_ms // 1000)))  # whole seconds
            headers.append((b"x-acs-retry-after", b"%d" % self.retry_after_ms))
        return RpcAnswer(self.status, headers, self.body)

    def _query_parameters(self) -> Mapping[str, str]:
        """The parameters of the query alone, for a request that failed before all were read."""
        try:
            return parse_form(self.request.query[:MAX_BODY])
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
