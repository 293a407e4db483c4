"""Access tokens of Google for a service account's signed assertion.

Source: RFC 7523; Google, "Using OAuth 2.0 for server to server applications".
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from contextlib import suppress

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from clarion.channels.answers import HttpAnswer, HttpFailure
from clarion.channels.fcm.settings import ServiceAccount
from clarion.channels.http import HttpClient
from clarion.channels.outcomes import scrub
from clarion.channels.tokens import AccessToken, TokenRefused
from clarion.clock import Clock

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS = 3_600
MAX_TOKEN = 4_096
"""Most characters of an access token."""

_PASSING = frozenset({408, 429})


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float = 3_599.0


class _Denied(msgspec.Struct):
    error: str = ""
    error_description: str = ""


class TokenFetcher:
    """Asks for access tokens.

    Args:
        account: the service account.
        http: calls the address that gives tokens.
        clock: for the assertion's times.

    Raises:
        msgspec.ValidationError: the account has no RSA key.
    """

    def __init__(self, account: ServiceAccount, http: HttpClient, clock: Clock) -> None:
        self._account = account
        self._key = _load_key(account.private_key)
        self._http = http
        self._clock = clock

    async def fetch(self) -> AccessToken:
        """A new token.

        Raises:
            TokenRefused: there is none.
        """
        assertion, host = self.assertion(), self._http.host
        answer = await self._http.post_form("", {"grant_type": GRANT_TYPE, "assertion": assertion})
        if isinstance(answer, HttpFailure):
            raise TokenRefused(f"{host}: {answer.detail}", final=False)
        if answer.status != 200:
            raise _refused(answer, host, assertion)
        try:
            granted = msgspec.convert(answer.json(), _Granted)
        except msgspec.ValidationError:
            raise TokenRefused(f"{host} answers without a token", final=False) from None
        token = granted.access_token
        if not (token.isascii() and token.isprintable() and 0 < len(token.strip()) == len(token) <= MAX_TOKEN):
            raise TokenRefused(f"{host} gives a token that cannot be one", final=False)
        return AccessToken(token, max(60.0, granted.expires_in))

    def assertion(self) -> str:
        """What the account claims, signed (JSON web token, RS256)."""
        account, now = self._account, self._clock.now_ms() // 1000
        header = {"alg": "RS256", "typ": "JWT"}
        if account.private_key_id:
            header["kid"] = account.private_key_id
        claims = {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_uri,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        signed = b".".join(_base64url(msgspec.json.encode(part)) for part in (header, claims))
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return (signed + b"." + _base64url(signature)).decode()


def _refused(answer: HttpAnswer, host: str, assertion: str) -> TokenRefused:
    denied = _Denied()
    with suppress(msgspec.ValidationError):
        denied = msgspec.convert(answer.json(), _Denied)
    final = answer.status < 500 and answer.status not in _PASSING
    text = scrub(denied.error_description, [assertion]) or f"{host} answers {answer.status}"
    return TokenRefused(text, scrub(denied.error, [assertion])[:100] or str(answer.status), final=final)


def _load_key(text: str) -> rsa.RSAPrivateKey:
    key: object = None
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = load_pem_private_key(text.replace("\\n", "\n").encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise msgspec.ValidationError("serviceAccount.private_key is no RSA key in PEM")
    return key


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
