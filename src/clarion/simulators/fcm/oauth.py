"""Google's token endpoint: an access token for a signed assertion.

Source: RFC 7523; Google, "Using OAuth 2.0 for server to server applications".
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from clarion.clock import Clock
from clarion.simulators.base import Received, Reply, json_reply
from clarion.simulators.jose import base64url

TOKEN_PATH = "/token"  # noqa: S105 - where, not what
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_SECONDS = 3_599
MAX_LIFE = 3_600
SKEW_SECONDS = 300
MAX_TOKENS = 100_000

SCOPES = frozenset(
    ("https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform")
)
"""Either will do."""

_GOOGLE = "https://oauth2.googleapis.com/token"
_TIMEFRAME = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and "
    "exp values in the JWT claim."
)


class ServiceAccount(msgspec.Struct):
    """What matters of a service account's key file."""

    client_email: str
    private_key_id: str
    private_key: str
    project_id: str


class _Known(NamedTuple):
    account: ServiceAccount
    key: rsa.RSAPublicKey


class _Header(msgspec.Struct):
    alg: str
    kid: str = ""


class _Claims(msgspec.Struct):
    iss: str
    aud: str
    iat: float
    exp: float
    scope: str = ""


class _Denied(Exception):
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status


class TokenEndpoint:
    """Gives out access tokens and knows them again.

    Attributes:
        strict: whether accounts have to be registered; else the well-formed assertions of others are let pass.
    """

    def __init__(self, clock: Clock, *, strict: bool) -> None:
        self.strict = strict
        self._clock = clock
        self._accounts: dict[str, _Known] = {}
        self._tokens: dict[str, tuple[str, float]] = {}

    @property
    def projects(self) -> set[str]:
        """Those of all accounts."""
        return {known.account.project_id for known in self._accounts.values()}

    def register(self, account: ServiceAccount) -> None:
        """Know a service account from now on.

        Raises:
            ValueError: its key is no RSA key.
        """
        key = load_pem_private_key(account.private_key.encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("private_key is no RSA key")  # noqa: TRY004
        self._accounts[account.client_email] = _Known(account, key.public_key())

    def answer(self, request: Received) -> Reply:
        """Answer a request for a token."""
        try:
            project = self._judge(request)
        except _Denied as denied:
            return denied_reply(denied.error, denied.description, denied.status)
        token = f"ya29.{secrets.token_urlsafe(48)}"
        if len(self._tokens) >= MAX_TOKENS:
            self._tokens.pop(next(iter(self._tokens)))
        self._tokens[token] = project, self._clock.now_ms() / 1000 + TOKEN_SECONDS
        value = {"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}
        note = "" if project else "nobody registered the account, so the signature was not checked"
        return json_reply(200, value, secret=True, outcome="token", detail=note)

    def project_of(self, token: str) -> str | None:
        """The project that an access token is for; None if it is not good (any more), empty if nobody can tell."""
        project, until = self._tokens.get(token, ("", 0.0))
        return project if until > self._clock.now_ms() / 1000 else None

    def revoke(self, token: str) -> None:
        """Take an access token for one that has expired."""
        self._tokens.pop(token, None)

    def _judge(self, request: Received) -> str:
        if request.method != "POST":
            raise _Denied("invalid_request", "Only POST is allowed.", 405)
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            raise _Denied("invalid_request", "A form is wanted (application/x-www-form-urlencoded).")
        form = {name: values[-1] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        if form.get("grant_type") != GRANT_TYPE:
            raise _Denied("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')[:100]}")
        if not form.get("assertion"):
            raise _Denied("invalid_request", "Missing parameter: assertion")
        claims, project = self._verified(form["assertion"])
        now = self._clock.now_ms() / 1000
        timely = claims.iat <= now + SKEW_SECONDS and now - SKEW_SECONDS < claims.exp <= claims.iat + MAX_LIFE
        if not timely:
            raise _Denied("invalid_grant", _TIMEFRAME)
        if claims.aud not in (f"https://{request.headers.get('host', '')}{TOKEN_PATH}", _GOOGLE):
            raise _Denied("invalid_grant", "Invalid JWT: Failed audience check.")
        if not SCOPES.intersection(claims.scope.split()):
            raise _Denied("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return project

    def _verified(self, assertion: str) -> tuple[_Claims, str]:
        """The claims, and the project of the account; empty for an account that nobody registered."""
        parts = assertion.split(".")
        try:
            header = msgspec.json.decode(base64url(parts[0]), type=_Header)
            claims = msgspec.json.decode(base64url(parts[1]), type=_Claims)
            signature = base64url(parts[2])
        except (msgspec.DecodeError, ValueError, IndexError) as error:
            raise _Denied("invalid_grant", "Invalid JWT: the assertion could not be decoded.") from error
        if header.alg != "RS256" or len(parts) != 3:
            raise _Denied("invalid_grant", "Invalid JWT Signature.")
        known = self._accounts.get(claims.iss)
        if known is None:
            if self.strict:
                raise _Denied("invalid_grant", "Invalid grant: account not found")
            return claims, ""
        if header.kid not in ("", known.account.private_key_id):
            raise _Denied("invalid_grant", "Invalid JWT Signature.")
        signed = f"{parts[0]}.{parts[1]}".encode()
        try:
            known.key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise _Denied("invalid_grant", "Invalid JWT Signature.") from None
        return claims, known.account.project_id


def denied_reply(error: str, description: str, status: int = 400) -> Reply:
    """An answer of the endpoint that gives no token."""
    value: dict[str, Any] = {"error": error, "error_description": description}
    return json_reply(status, value, outcome=error, detail=description, secret=True)
