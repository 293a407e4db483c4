"""The gateway: a notification a request, and the settings of a test."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast
from uuid import uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import UNSET, Meta, UnsetType

from clarion.simulators.apns.reasons import GONE, STATUSES, Rejected
from clarion.simulators.apns.rules import check_headers, check_payload, check_token, is_message_id
from clarion.simulators.apns.tokens import KeySettings, ProviderToken, ProviderTokens, public_key
from clarion.simulators.authority import certificate_user_id
from clarion.simulators.base import Peer, Received, Reply, Surroundings
from clarion.simulators.faults import FaultKind

DEVICE_PATH = "/3/device/"
DEFAULT_STREAMS = 1_000
DEFAULT_BUNDLE_ID = "com.example.app"

_NAME = string.ascii_uppercase + string.digits


class ApnsSettings(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What can be set while the simulator runs.

    Attributes:
        max_streams: of a connection whose sender has identified itself.
        strict_keys: whether a provider token's key has to be registered; else unknown ones are let pass.
        token_updates: how many new provider tokens a key may show in 20 minutes.
        environment: which of the two gateways this is.
        topics: bundle ids that there are; None for any.
        keys: to be registered besides those that are.
    """

    max_streams: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    strict_keys: bool | UnsetType = UNSET
    token_updates: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    environment: Literal["production", "sandbox"] | UnsetType = UNSET
    topics: frozenset[str] | UnsetType | None = UNSET
    keys: list[KeySettings] = []


class ApnsSimulator:
    """Answers as APNs does.

    Attributes:
        label: `apns`.
        tokens: judges provider tokens.
    """

    label = "apns"

    def __init__(self, surroundings: Surroundings) -> None:
        self._clock = surroundings.clock
        self._faults = surroundings.faults
        self._own = _own_credentials(surroundings.known)
        self._max_streams = DEFAULT_STREAMS
        self._environment = "production"
        self._topics: frozenset[str] | None = None
        self.tokens = ProviderTokens(self._clock, strict=surroundings.strict)
        self.tokens.register(KeySettings(self._own["keyId"], self._own["teamId"], self._own["privateKey"]))

    def credentials(self, base_url: str) -> dict[str, Any]:
        """A key that is registered, for the bundle id `com.example.app`."""
        return {**self._own, "environment": self._environment, "baseUrl": base_url}

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings, the members of `ApnsSettings`."""
        try:
            wanted = msgspec.convert(settings, ApnsSettings)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        for key in wanted.keys:
            public_key(key.key)
        for key in wanted.keys:
            self.tokens.register(key)
        if wanted.max_streams is not UNSET:
            self._max_streams = wanted.max_streams
        if wanted.strict_keys is not UNSET:
            self.tokens.strict = wanted.strict_keys
        if wanted.token_updates is not UNSET:
            self.tokens.updates = wanted.token_updates
        if wanted.environment is not UNSET:
            self._environment = wanted.environment
        if wanted.topics is not UNSET:
            self._topics = wanted.topics

    def streams(self, peer: Peer) -> int:
        """One, until the sender has identified itself."""
        known = peer.certificate is not None or "team" in peer.memory
        return self._max_streams if known else 1

    def handle(self, request: Received) -> Reply:
        """Answer a notification; 200 without a body, or the reason why not."""
        token = request.path.removeprefix(DEVICE_PATH) if request.path.startswith(DEVICE_PATH) else ""
        tokens = (token,) if token else ()
        headers = {"apns-id": _message_id(request.headers)}
        if self._environment == "sandbox":
            headers["apns-unique-id"] = str(uuid4())
        try:
            note = self._check(request, token)
        except Rejected as rejected:
            reason, detail, since = rejected.reason, rejected.detail, None
        else:
            fault = self._faults.code_fault(self.label, token, path=request.path)
            if fault is None:
                return Reply(200, b"", headers, tokens, detail=note)
            reason, detail, since = fault.code, "a fault", fault.since
            if fault.retry_after is not None:
                headers["retry-after"] = str(fault.retry_after)
        return self._refusal(reason, detail, since, headers, tokens)

    def _refusal(
        self, reason: str, detail: str, since: int | None, headers: Mapping[str, str], tokens: tuple[str, ...]
    ) -> Reply:
        status = STATUSES.get(reason, 400)
        body: dict[str, Any] = {"reason": reason}
        if status == GONE:
            body["timestamp"] = self._clock.now_ms() if since is None else since
        return Reply(status, msgspec.json.encode(body), headers, tokens, reason, detail)

    def _check(self, request: Received, token: str) -> str:
        """Raise what is wrong with a notification; what could not be checked, for people."""
        if not f"{request.path}/".startswith(DEVICE_PATH) or request.query:
            raise Rejected("BadPath", f"not {DEVICE_PATH}…")
        if request.method != "POST":
            raise Rejected("MethodNotAllowed")
        if request.repeated:
            raise Rejected("DuplicateHeaders", ", ".join(sorted(request.repeated)))
        provider = self._identify(request)
        check_token(token)
        certified = None if provider is not None else _certified(request.peer)
        notification = check_headers(request.headers, certified)
        allowed = {certified} if provider is None else provider.key.topics if provider.key else None
        if any(limit is not None and notification.bundle_id not in limit for limit in (allowed, self._topics)):
            raise Rejected("TopicDisallowed", f"{notification.bundle_id} is none of the topics")
        if provider is None and notification.push_type == "liveactivity":
            raise Rejected("MissingProviderToken", "live activities are not for senders with a certificate")
        check_payload(request.body, notification.push_type)
        unknown = provider is not None and provider.key is None
        return "nobody registered the key, so its signature was not checked" if unknown else ""

    def _identify(self, request: Received) -> ProviderToken | None:
        """Who sends: the token that it shows, or None if it is known by its certificate."""
        authorization = request.headers.get("authorization", "")
        memory = request.peer.memory
        if not authorization:
            if request.peer.certificate is None:
                raise Rejected("MissingProviderToken")
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Rejected("InvalidProviderToken", "not `bearer` and a token")
        if self._faults.strike(self.label, (FaultKind.EXPIRED_AUTH,), path=request.path, app=request.path):
            self.tokens.expire(token)
        provider = self.tokens.check(token)
        if provider.key is not None and provider.key.environment not in (None, self._environment):
            raise Rejected("BadEnvironmentKeyIdInToken", f"a key for {provider.key.environment}")
        if memory.setdefault("team", provider.team_id) != provider.team_id:
            raise Rejected("UnrelatedKeyIdInToken", "this connection belongs to another team")
        return provider


def _certified(peer: Peer) -> str | None:
    """The bundle id that the client's certificate is for."""
    if "certified" not in peer.memory and peer.certificate is not None:
        peer.memory["certified"] = certificate_user_id(peer.certificate)
    return cast("str | None", peer.memory.get("certified"))


def _message_id(headers: Mapping[str, str]) -> str:
    given = headers.get("apns-id")
    return given if given is not None and is_message_id(given) else str(uuid4())


def _own_credentials(known: Mapping[str, Any]) -> dict[str, str]:
    """Those of an earlier run, or new ones."""
    names = ("teamId", "keyId", "privateKey", "bundleId")
    if all(isinstance(known.get(name), str) for name in names):
        return {name: known[name] for name in names}
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    team, name = ("".join(secrets.choice(_NAME) for _ in range(10)) for _ in range(2))
    return dict(zip(names, (team, name, pem, DEFAULT_BUNDLE_ID), strict=True))
