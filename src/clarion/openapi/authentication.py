"""Who sent a request, for which action, and whether it is genuine, fresh and allowed.

The checks of `Authenticator` run in a fixed order, so that a request with several faults gets the same answer
each time: credentials present, key known, timestamp, signature, nonce, role and app.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from clarion.clock import Clock
from clarion.openapi.errors import GatewayError, GatewayFault
from clarion.openapi.nonces import NonceJournal, NonceMemory
from clarion.openapi.parameters import find_parameter, parse, parse_form
from clarion.openapi.registry import Action
from clarion.openapi.signature import ACS3, Authorization, HeaderSignature, RpcSignature, incomplete
from clarion.tenants.model import AccessKey

CLOCK_TOLERANCE_MS = 900_000
"""How far a request's timestamp may be from the server's time, in either direction."""
MAX_KEY_ID = 128
"""Most characters of an access-key id; longer ones are unknown without a look into the store."""

_ACS3_FAMILY = (ACS3.partition("-")[0] + "-").encode()


class KeyDirectory(Protocol):
    """Where access keys are found."""

    async def find(self, key_id: str) -> AccessKey | None:
        """The key of this id, enabled or not.

        Raises:
            StoreUnavailable: nobody can say now.
        """
        ...


class Request:
    """An HTTP request, with its parameters decoded.

    Args:
        method: the HTTP verb, upper case.
        query: the query string as sent.
        headers: all headers by lower-case name; of a repeated one the trimmed values, sorted, joined by `,`.
        body: the exact bytes of the body.

    Attributes:
        parameters: those of query and body in one map.
        is_unicode: whether all of them came as UTF-8.
        wire: query and body as they were sent, joined by `&`.

    Raises:
        GatewayError: the parameters break a limit of `parse_form`.
    """

    __slots__ = ("body", "header_signed", "headers", "is_unicode", "method", "parameters", "query", "wire")

    def __init__(self, method: str, query: bytes, headers: Mapping[bytes, bytes], body: bytes) -> None:
        self.method = method
        self.query = query
        self.headers = headers
        self.body = body
        self.header_signed = headers.get(b"authorization", b"").lstrip().startswith(_ACS3_FAMILY)
        # The first of equal names counts, so the body's beat the query's.
        self.wire = body + b"&" + query if query and body else query or body
        self.parameters, self.is_unicode = parse(self.wire)

    @property
    def action(self) -> str | None:
        """The action's name: with a header signature from its header, which that signature covers."""
        return self._named(b"x-acs-action", "Action")

    @property
    def version(self) -> str | None:
        """The version of the API, likewise."""
        return self._named(b"x-acs-version", "Version")

    def credentials(self) -> Credentials:
        """What the request says about its sender.

        Raises:
            GatewayError: it says nothing, or something that this server does not support.
        """
        if self.header_signed:
            return self._header_credentials()
        parameters, headers = self.parameters, self.headers
        if parameters.get("SignatureType") == "BEARERTOKEN" or b"x-acs-bearer-token" in headers:
            raise GatewayError(GatewayFault.BEARER_UNSUPPORTED)
        if not parameters.get("AccessKeyId"):
            if b"x-acs-zero-trust-idtoken" in headers:
                raise GatewayError(GatewayFault.ID_TOKEN_UNSUPPORTED)
            if b"x-acs-signature-nonce" in headers:
                raise incomplete("The header Authorization is absent.")
            raise GatewayError(GatewayFault.PARAMETER_MISSING, name="AccessKeyId")
        return Credentials(
            parameters["AccessKeyId"],
            _required(parameters.get("Timestamp"), "Timestamp"),
            _required(parameters.get("SignatureNonce"), "SignatureNonce"),
            bool(parameters.get("SecurityToken")),
            RpcSignature(self.method, parameters, self.wire),
        )

    def _header_credentials(self) -> Credentials:
        headers = self.headers
        authorization = Authorization(headers[b"authorization"])
        return Credentials(
            authorization.key_id,
            _required(headers.get(b"x-acs-date", b"").decode("latin-1"), "Timestamp"),
            _required(headers.get(b"x-acs-signature-nonce", b"").decode("latin-1"), "SignatureNonce"),
            bool(headers.get(b"x-acs-security-token")),
            HeaderSignature(authorization, self.method, parse_form(self.query), headers, self.body),
        )

    def _named(self, header: bytes, parameter: str) -> str | None:
        # A version 1 signature does not cover headers; without a key id there is none, and no service either.
        by_header = self.header_signed or "AccessKeyId" not in self.parameters
        if by_header and header in self.headers:
            return self.headers[header].decode("latin-1")
        return self.parameters.get(parameter)


@dataclass(slots=True)
class Credentials:
    """What a request says about its sender, and the proof.

    Attributes:
        key_id: the access key that it claims to be signed with.
        timestamp: when it was signed, as text.
        nonce: a text that the client uses once.
        temporary: whether a security token came along, as with STS credentials.
        proof: the signature.
    """

    key_id: str
    timestamp: str
    nonce: str
    temporary: bool
    proof: RpcSignature | HeaderSignature


class Authenticator:
    """Checks requests.

    Args:
        keys: where access keys are found.
        nonces: the memory of used nonces.
        journal: where claimed nonces are written down.
        clock: source of wall time.
    """

    def __init__(self, keys: KeyDirectory, nonces: NonceMemory, journal: NonceJournal, clock: Clock) -> None:
        self._keys = keys
        self._nonces = nonces
        self._journal = journal
        self._clock = clock

    async def authenticate(self, credentials: Credentials) -> tuple[AccessKey, int]:
        """The key that signed the request, and the hash of the nonce, which is now used up.

        Raises:
            GatewayError: the first check that fails.
            StoreUnavailable: the key cannot be looked up now.
        """
        key_id = credentials.key_id
        key = None
        if len(key_id) <= MAX_KEY_ID and key_id.isascii():
            key = await self._keys.find(key_id)
        if key is None:
            raise GatewayError(GatewayFault.KEY_NOT_FOUND)
        if not key.enabled:
            raise GatewayError(GatewayFault.KEY_INACTIVE)
        if credentials.temporary:
            raise GatewayError(GatewayFault.STS_UNSUPPORTED)
        signed_ms = parse_timestamp(credentials.timestamp)
        if signed_ms is None:
            raise GatewayError(GatewayFault.TIMESTAMP_FORMAT)
        now_ms = self._clock.now_ms()
        if abs(now_ms - signed_ms) > CLOCK_TOLERANCE_MS:
            raise GatewayError(GatewayFault.TIMESTAMP_EXPIRED)
        if not credentials.proof.matches(key.secret):
            raise credentials.proof.mismatch()
        nonce_hash = self._nonces.claim(key.key_id, credentials.nonce)
        if nonce_hash is None:
            raise GatewayError(GatewayFault.NONCE_USED)
        self._journal.note(nonce_hash, now_ms)
        return key, nonce_hash


def authorize(key: AccessKey, action: Action, parameters: Mapping[str, str]) -> None:
    """Check that `key` may call `action` for the app that the parameters name.

    Raises:
        GatewayError: `Forbidden.RAM`.
    """
    app_id = find_parameter(parameters, "AppId")
    if not key.role.covers(action.role) or (key.app_id is not None and app_id and app_id != key.app_id):
        raise GatewayError(GatewayFault.FORBIDDEN)


def parse_timestamp(text: str) -> int | None:
    """Milliseconds since 1970 of `YYYY-MM-DDThh:mm:ssZ`; None if `text` is not of that form."""
    return _instant(text) if len(text) == 20 else None


@lru_cache(maxsize=1024)  # the requests of one second bear the same text
def _instant(text: str) -> int | None:
    if text[4] + text[7] + text[10] + text[13] + text[16] + text[19] != "--T::Z":
        return None
    try:
        return int(datetime.fromisoformat(text).timestamp()) * 1000
    except ValueError:
        return None


def _required(text: str | None, name: str) -> str:
    if not text:
        raise GatewayError(GatewayFault.PARAMETER_MISSING, name=name)
    return text
