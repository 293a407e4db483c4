"""Access tokens of HarmonyOS Push Kit: JWTs that the sender signs itself.

Source: "Authentication token by service account" of the Push Kit guides; RFC 7519, PS256 of RFC 7518.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode

import msgspec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA256

from clarion.channels.harmony.settings import ServiceAccount
from clarion.channels.tokens import AccessToken
from clarion.clock import Clock

AUDIENCE = "https://oauth-login.cloud.huawei.com/oauth2/v3/token"
"""The same whatever address is called."""
LIFE = 3600
"""Seconds; more than a day is refused."""


class Signer:
    """Signs tokens.

    Args:
        account: whose.
        clock: for the time in them.
    """

    def __init__(self, account: ServiceAccount, clock: Clock) -> None:
        self._account = account
        self._key = account.key()
        self._clock = clock

    async def fetch(self) -> AccessToken:
        """A new token; the signature takes a few milliseconds, once an hour."""
        now = self._clock.now_ms() // 1000
        header = {"kid": self._account.key_id, "typ": "JWT", "alg": "PS256"}
        claims = {"aud": AUDIENCE, "iss": self._account.sub_account, "iat": now, "exp": now + LIFE}
        signed = _encoded(msgspec.json.encode(header)) + b"." + _encoded(msgspec.json.encode(claims))
        signature = self._key.sign(signed, PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH), SHA256())
        return AccessToken((signed + b"." + _encoded(signature)).decode(), LIFE)


def _encoded(part: bytes) -> bytes:
    return urlsafe_b64encode(part).rstrip(b"=")
