"""What the simulators of Huawei, HarmonyOS and Honor have in common: access tokens, refusals, callbacks."""

from __future__ import annotations

import hmac
import secrets
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum
from hashlib import sha256
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from clarion.clock import Clock
from clarion.simulators.base import Receipt, Received, Reply, json_reply
from clarion.simulators.faults import FaultBook, FaultKind
from clarion.simulators.forms import form_of

MAX_TOKENS = 1_000
MAX_BODY = 4_096
MAX_TTL = 1_296_000
RECEIPTS_AT_ONCE = 100
"""Most messages of a callback."""

ARRIVED, GONE, MUTED = 0, 2, 6
"""Statuses of callbacks."""

Https = Annotated[str, Meta(pattern="^https://[^/ ]+")]
NotifyId = Annotated[int, Meta(ge=-1, le=(1 << 31) - 1)]
Text = Annotated[str, Meta(min_length=1)]
TtlText = Annotated[str, Meta(pattern=r"^[0-9]{1,7}s$")]
AddNumber = Annotated[int, Meta(ge=1, le=99)]
SetNumber = Annotated[int, Meta(ge=0, le=99)]

_KEPT_TOKENS = 10_000
S = TypeVar("S")


class Refusal(Exception):
    """A request that the gateway refuses.

    Args:
        code: the gateway's.
        why: for people; the journal has it.
        said: what the client is told; the usual words for the code if it is None.
    """

    def __init__(self, code: str, why: str, said: str | None = None) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.said = said


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What can be set while such a simulator runs.

    Attributes:
        receipt_url: where callbacks go; none are made without.
        receipt_user: with `receipt_key`, what they are signed with.
        receipt_key: see `receipt_user`.
        receipt_after: seconds between the answer and the callback.
        token_seconds: life of the access tokens that are given out.
        invalid_tokens: tokens that are nobody's.
        muted_tokens: of devices on which the app may not show notifications.
        gone_tokens: of devices without the app; the gateway takes them, and the callback tells.
    """

    receipt_url: str = ""
    receipt_user: str = ""
    receipt_key: str = ""
    receipt_after: Annotated[float, Meta(ge=0, le=600)] = 0.0
    token_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 3600
    invalid_tokens: frozenset[str] = frozenset()
    muted_tokens: frozenset[str] = frozenset()
    gone_tokens: frozenset[str] = frozenset()

    def status_of(self, token: str) -> int:
        """What the callback says of a device."""
        if token in self.gone_tokens:
            return GONE
        return MUTED if token in self.muted_tokens else ARRIVED


class Standing(Enum):
    """What an access token is worth."""

    GOOD = "good"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class TokenOffice:
    """Gives access tokens out for client credentials (OAuth 2.0).

    Args:
        client_id: who may have them.
        client_secret: with what.
        clock: for their age.
    """

    def __init__(self, client_id: str, client_secret: str, clock: Clock) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._ends: dict[str, int] = {}

    def give(self, request: Received, seconds: int) -> Reply:
        """Answer a request for a token of this life."""
        form = form_of(request)
        if form is None or form.get("grant_type") != "client_credentials":
            return _no_token(20001, "grant_type is not client_credentials, or the request is no form")
        if form.get("client_id") != self._client_id:
            return _no_token(20041, "the client_id does not exist")
        if not hmac.compare_digest(form.get("client_secret", "").encode(), self._client_secret.encode()):
            return _no_token(20042, "the client_secret is wrong")
        token = secrets.token_urlsafe(48)
        self._ends[token] = self._clock.now_ms() + seconds * 1000
        if len(self._ends) > _KEPT_TOKENS:
            del self._ends[next(iter(self._ends))]
        value = {"access_token": token, "expires_in": seconds, "token_type": "Bearer"}
        return json_reply(200, value, outcome="token", secret=True)

    def standing(self, request: Received) -> Standing:
        """What the token of a request is worth."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        end = self._ends.get(token)
        if kind != "Bearer" or end is None:
            return Standing.UNKNOWN
        return Standing.GOOD if self._clock.now_ms() < end else Standing.EXPIRED

    def expire_all(self) -> None:
        """All tokens that were given out are not good any more."""
        self._ends = dict.fromkeys(self._ends, 0)


def _no_token(code: int, why: str) -> Reply:
    value = {"error": 1101, "sub_error": code, "error_description": why}
    return json_reply(400, value, outcome=str(code), detail=why, secret=True)


def auth_expires(faults: FaultBook, label: str, request: Received, app: str) -> bool:
    """Whether a fault wants the access tokens that were given out to be good no more."""
    return bool(faults.strike(label, (FaultKind.EXPIRED_AUTH,), path=request.path, app=app))


def struck(faults: FaultBook, label: str, tokens: Sequence[str], request: Received, app: str) -> Mapping[str, str]:
    """Codes that faults set, by token."""
    if not faults.concerns(label):
        return {}
    found = ((token, faults.code_for(label, token, path=request.path, app=app)) for token in tokens)
    return {token: code for token, code in found if code is not None}


def body_of(request: Received) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        Refusal: it is none, or the request does not say that it is; with the code 80100003.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal("80100003", "Content-Type is not application/json")
    try:
        value = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("80100003", f"no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refusal("80100003", "no JSON object")
    return value


def shaped(value: Any, kind: type[S]) -> S:
    """A part of a request in its form.

    Raises:
        Refusal: it has another; with the code 80100003.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Refusal("80100003", str(error), f"Illegal payload, {error}.") from None


def good_ttl(text: str) -> bool:
    """Whether a validity, as `86400s`, is one that the gateways take."""
    return 0 < int(text[:-1]) <= MAX_TTL


def is_token(value: str) -> bool:
    """Whether it may be a token at all."""
    return 0 < len(value) <= 4096 and not any(character.isspace() for character in value)


class Sent(NamedTuple):
    """A message that was taken, for its callbacks."""

    request_id: str
    tag: str
    tokens: Collection[str]


def callbacks(settings: GatewaySettings, statuses: Sequence[Mapping[str, Any]], clock: Clock) -> list[Receipt]:
    """The callbacks that tell of these messages, at most 100 in each; none if nobody wants them."""
    if not settings.receipt_url:
        return []
    return [
        Receipt(
            settings.receipt_url,
            msgspec.json.encode({"statuses": part}),
            {"Content-Type": "application/json;charset=UTF-8", **_signature(settings, clock)},
            settings.receipt_after,
        )
        for part in _parts(statuses)
    ]


def _parts(statuses: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    for start in range(0, len(statuses), RECEIPTS_AT_ONCE):
        yield statuses[start : start + RECEIPTS_AT_ONCE]


def _signature(settings: GatewaySettings, clock: Clock) -> dict[str, str]:
    if not (settings.receipt_user and settings.receipt_key):
        return {}
    timestamp, nonce = str(clock.now_ms()), secrets.token_hex(16)
    signed = hmac.digest(
        settings.receipt_key.encode(), f"{timestamp}{nonce}{settings.receipt_user}".encode(), sha256
    )
    value = b64encode(signed).decode()
    return {"X-HUAWEI-CALLBACK-ID": f"timestamp={timestamp}; nonce={nonce}; value={value}"}


class Numbering:
    """Names requests: the time and a number, which never come twice."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._number = 0

    def next(self) -> str:
        """The next name."""
        self._number += 1
        return f"{self._clock.now_ms()}{self._number:08}"


def size_without_tokens(body: bytes, tokens: msgspec.Raw | bytes) -> int:
    """Bytes of a request with an empty list of tokens, the rest as it was sent."""
    return len(body) - len(bytes(tokens)) + len(b"[]")
