"""A gateway in memory, and a client that signs as the protocol says (an implementation apart from the server's)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from clarion.clock import ManualClock
from clarion.failures import StoreUnavailable
from clarion.openapi.authentication import Authenticator
from clarion.openapi.endpoint import RpcEndpoint
from clarion.openapi.envelopes import Envelope
from clarion.openapi.nonces import NonceMemory
from clarion.openapi.registry import VERSIONS, Action, Call, Handler, Registry
from clarion.openapi.schema import Kind, Parameter
from clarion.openapi.throttle import Throttle
from clarion.results import Refusal, ResultCode
from clarion.tenants.model import AccessKey, App, Role

NOW_MS = 1_795_402_893_000
NOW = "2026-11-23T03:01:33Z"
KEYS = (
    AccessKey("admin", b"admin-secret", Role.ADMIN),
    AccessKey("reader", b"reader-secret", Role.READ),
    AccessKey("scoped", b"scoped-secret", Role.PUSH, app_id="A"),
    AccessKey("disabled", b"disabled-secret", Role.ADMIN, enabled=False),
)
SECRETS = {key.key_id: key.secret for key in KEYS}


async def echo(call: Call) -> dict[str, Any]:
    """Answer with the values that arrived."""
    return {"Data": msgspec.json.encode(call.params).decode()}


async def refuse(call: Call) -> None:
    raise Refusal(ResultCode.INVALID_PARAM, "Silent must be 0 or 1")


async def crash(call: Call) -> None:
    raise RuntimeError("bug with top secret")


async def without_store(call: Call) -> None:
    raise StoreUnavailable


def action(
    name: str, handler: Handler, envelope: Envelope = Envelope.PUSH, role: Role = Role.PUSH, *parameters: Parameter
) -> Action:
    return Action(name, VERSIONS, role, envelope, parameters, handler)


ACTIONS = (
    action(
        "Echo",
        echo,
        Envelope.PUSH,
        Role.PUSH,
        Parameter("AppId", required=True),
        Parameter("Title"),
        Parameter("Silent", Kind.LONG, required=True),
    ),
    action("Refuse", refuse),
    action("Crash", crash),
    action("WithoutStore", without_store),
)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body, type=dict[str, Any])

    @property
    def code(self) -> str:
        """`Code` of a gateway error, `ResultCode` of anything else."""
        return str(self.json.get("Code") or self.json["ResultCode"])


@dataclass
class Journal:
    notes: list[tuple[int, int]] = field(default_factory=list)

    def note(self, nonce_hash: int, at_ms: int) -> None:
        self.notes.append((nonce_hash, at_ms))


class Keys:
    def __init__(self, keys: tuple[AccessKey, ...]) -> None:
        self.keys = {key.key_id: key for key in keys}
        self.available = True
        self.asked: list[str] = []

    async def find(self, key_id: str) -> AccessKey | None:
        if not self.available:
            raise StoreUnavailable
        self.asked.append(key_id)
        return self.keys.get(key_id)


class Apps:
    """What is known of apps."""

    def __init__(self, *apps: App) -> None:
        self.apps = {(app.app_id, app.workspace_id): app for app in apps}

    def known_app(self, app_id: str, workspace_id: str) -> App | None:
        return self.apps.get((app_id, workspace_id))


class Gateway:
    """An endpoint with all that it needs, and a way to call it."""

    def __init__(
        self,
        actions: tuple[Action, ...] = ACTIONS,
        keys: tuple[AccessKey, ...] = KEYS,
        now_ms: int = NOW_MS,
        body_seconds: float = 20.0,
        apps: tuple[App, ...] = (),
    ) -> None:
        self.clock = ManualClock(now_ms)
        self.keys = Keys(keys)
        self.journal = Journal()
        self.observed: list[tuple[str, str]] = []
        self.nonces = NonceMemory(self.clock, b"key of the hash")
        self.endpoint = RpcEndpoint(
            Registry(actions),
            Authenticator(self.keys, self.nonces, self.journal, self.clock),
            Throttle(Apps(*apps), self.clock),
            self.clock,
            observe=lambda name, code, seconds: self.observed.append((name, code)),
            body_seconds=body_seconds,
            new_request_id=lambda: "REQUEST-ID",
        )

    async def send(
        self,
        method: str = "POST",
        query: bytes = b"",
        body: bytes = b"",
        headers: list[tuple[bytes, bytes]] | None = None,
        path: str = "/",
        chunk: int = 1 << 30,
    ) -> Answer:
        """Send a request whose body arrives in chunks of `chunk` bytes."""
        chunks = [body[start : start + chunk] for start in range(0, len(body), chunk)] or [b""]
        messages: list[MutableMapping[str, Any]] = [
            {"type": "http.request", "body": part, "more_body": index < len(chunks) - 1}
            for index, part in enumerate(chunks)
        ]

        async def receive() -> MutableMapping[str, Any]:
            return messages.pop(0)

        answer = await self.exchange(method, query, headers or [], path, receive)
        assert answer is not None
        return answer

    async def exchange(
        self,
        method: str,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        path: str,
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    ) -> Answer | None:
        sent: list[MutableMapping[str, Any]] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": headers,
            "client": ("192.0.2.7", 50000),
        }
        await self.endpoint(scope, receive, send)
        if not sent:
            return None
        start, body = sent
        return Answer(
            start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body["body"]
        )

    async def call(self, parameters: Mapping[str, str], method: str = "POST") -> Answer:
        """Send `parameters` in the body of a POST, or in the query of another method."""
        form = urlencode(parameters).encode()
        if method == "POST":
            return await self.send(method, body=form)
        return await self.send(method, query=form)


_nonce_numbers = iter(range(1_000_000_000))


def common(**changes: str) -> dict[str, str]:
    """The parameters of a good request to the action Echo, not signed."""
    return {
        "Action": "Echo",
        "Version": "2020-10-28",
        "Format": "JSON",
        "AccessKeyId": "admin",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": f"nonce-{next(_nonce_numbers)}",
        "Timestamp": NOW,
        "AppId": "A",
        "Silent": "0",
    } | changes


def signed(parameters: Mapping[str, str], method: str = "POST", *, skip_blanks: bool = False) -> dict[str, str]:
    """`parameters` with a signature of version 1."""
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(parameters[name], safe='-_.~')}"
        for name in sorted(parameters)
        if parameters[name] or not skip_blanks
    )
    string = f"{method}&%2F&{quote(query, safe='-_.~')}"
    digest = {"HMAC-SHA1": "sha1", "HMAC-SHA256": "sha256"}[parameters["SignatureMethod"]]
    key = SECRETS.get(parameters["AccessKeyId"], b"?") + b"&"
    return {**parameters, "Signature": base64.b64encode(hmac.digest(key, string.encode(), digest)).decode()}
