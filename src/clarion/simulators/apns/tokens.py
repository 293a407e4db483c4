"""Provider tokens: the JSON web tokens (ES256) with which senders identify themselves.

Source: Apple, "Establishing a token-based connection to APNs".
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from msgspec import Meta

from clarion.clock import Clock
from clarion.simulators.apns.reasons import Rejected
from clarion.simulators.jose import base64url

LIFE_SECONDS = 3_600
UPDATE_SECONDS = 1_200
SKEW_SECONDS = 300
MAX_KNOWN = 10_000

_SIGNATURE_BYTES = 64
_NAME = re.compile(r"[A-Za-z0-9]{10}")
_ECDSA = ec.ECDSA(hashes.SHA256())


class KeySettings(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A sender's key.

    Attributes:
        key_id: its name, 10 letters and digits.
        team_id: the team it belongs to, 10 letters and digits.
        key: PEM of the private key (the contents of the .p8 file) or of the public one.
        topics: bundle ids that it is limited to; None for all.
        environment: `production` or `sandbox`, if it is limited to one; None for both.
    """

    key_id: Annotated[str, Meta(pattern="^[A-Za-z0-9]{10}$")]
    team_id: Annotated[str, Meta(pattern="^[A-Za-z0-9]{10}$")]
    key: str
    topics: frozenset[str] | None = None
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderToken:
    """A token that was found good.

    Attributes:
        team_id: whose it is.
        key_id: which key signed it.
        issued_at: when it says it was made, s.
        key: that key; None if nobody knows it and that does not matter.
    """

    team_id: str
    key_id: str
    issued_at: float
    key: KeySettings | None


class _Header(msgspec.Struct):
    alg: str
    kid: str


class _Claims(msgspec.Struct):
    iss: str
    iat: float


class ProviderTokens:
    """Judges the tokens that senders show, and how often they show new ones.

    Attributes:
        strict: whether a key has to be registered; else the well-formed tokens of others are let pass, unverified.
        updates: how many new tokens a key may show within `UPDATE_SECONDS`.
    """

    def __init__(self, clock: Clock, *, strict: bool) -> None:
        self.strict = strict
        self.updates = 1
        self._clock = clock
        self._keys: dict[tuple[str, str], tuple[KeySettings, ec.EllipticCurvePublicKey]] = {}
        self._good: dict[str, ProviderToken] = {}
        self._shown: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def register(self, key: KeySettings) -> None:
        """Know a key from now on.

        Raises:
            ValueError: it is no key of the curve P-256.
        """
        name = key.team_id, key.key_id
        self._keys[name] = key, public_key(key.key)
        unchecked = [text for text, known in self._good.items() if (known.team_id, known.key_id) == name]
        for text in unchecked:
            del self._good[text]
        self._shown.pop(name, None)

    def check(self, token: str) -> ProviderToken:
        """Judge a token.

        Raises:
            Rejected: it is not good; with the reason.
        """
        now = self._clock.now_ms() / 1000
        known = self._good.get(token)
        if known is None:
            known = self._verified(token)
            self._check_age(known, now)
            self._count(known, now)
            if len(self._good) >= MAX_KNOWN:
                self._good.clear()
            self._good[token] = known
        else:
            self._check_age(known, now)
        if known.key is None and self.strict:
            raise Rejected("InvalidProviderToken", f"no key {known.key_id} of a team {known.team_id} is registered")
        return known

    def expire(self, token: str) -> None:
        """Take a good token for one that is too old, so that the sender may show another."""
        known = self._good.get(token)
        if known is not None:
            self._good[token] = ProviderToken(known.team_id, known.key_id, 0, known.key)
            self._shown.pop((known.team_id, known.key_id), None)

    def _verified(self, token: str) -> ProviderToken:
        parts = token.split(".")
        if len(parts) != 3:
            raise Rejected("InvalidProviderToken", "no JSON web token")
        try:
            header = msgspec.json.decode(base64url(parts[0]), type=_Header)
            claims = msgspec.json.decode(base64url(parts[1]), type=_Claims)
            signature = base64url(parts[2])
        except (msgspec.DecodeError, ValueError) as error:
            raise Rejected("InvalidProviderToken", f"no good JSON web token: {error}") from error
        if header.alg != "ES256" or len(signature) != _SIGNATURE_BYTES:
            raise Rejected("InvalidProviderToken", "not signed with ES256 (64 bytes, r and s)")
        key, public = self._keys.get((claims.iss, header.kid), (None, None))
        if public is not None:
            _verify(public, signature, f"{parts[0]}.{parts[1]}".encode())
        elif not (_NAME.fullmatch(claims.iss) and _NAME.fullmatch(header.kid)):
            raise Rejected("InvalidProviderToken", "ids of teams and keys have 10 letters and digits")
        return ProviderToken(claims.iss, header.kid, claims.iat, key)

    def _check_age(self, token: ProviderToken, now: float) -> None:
        if token.issued_at < now - LIFE_SECONDS:
            raise Rejected("ExpiredProviderToken", "more than an hour old")
        if token.issued_at > now + SKEW_SECONDS:
            raise Rejected("InvalidProviderToken", "of the future")

    def _count(self, token: ProviderToken, now: float) -> None:
        if len(self._shown) >= MAX_KNOWN:
            self._shown.clear()
        shown = self._shown[token.team_id, token.key_id]
        while shown and shown[0] <= now - UPDATE_SECONDS:
            shown.popleft()
        if len(shown) >= self.updates:
            raise Rejected("TooManyProviderTokenUpdates", f"{self.updates} new token in 20 minutes")
        shown.append(now)


def public_key(pem: str) -> ec.EllipticCurvePublicKey:
    """The public half of a key in PEM.

    Raises:
        ValueError: it is no key of the curve P-256.
    """
    content = pem.encode()
    if "PRIVATE KEY" in pem:
        private = load_pem_private_key(content, None)
        key = private.public_key() if isinstance(private, ec.EllipticCurvePrivateKey) else None
    else:
        loaded = load_pem_public_key(content)
        key = loaded if isinstance(loaded, ec.EllipticCurvePublicKey) else None
    if key is None or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a key of the curve P-256")
    return key


def _verify(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> None:
    half = _SIGNATURE_BYTES // 2
    numbers = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    try:
        key.verify(encode_dss_signature(*numbers), signed, _ECDSA)
    except InvalidSignature:
        raise Rejected("InvalidProviderToken", "the signature is not of this key") from None
