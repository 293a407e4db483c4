"""Who sends: provider tokens made with a team's key, or an app's certificate.

Source: Apple, "Establishing a token-based connection to APNs" and "Establishing a certificate-based connection".
"""

from __future__ import annotations

import binascii
import re
import secrets
import ssl
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from clarion.channels.apns.settings import ApnsSettings
from clarion.channels.sender import trusting
from clarion.clock import Clock

RENEW_SECONDS = 1_800
"""Age at which a provider token is replaced; Apple refuses it after 3,600."""
HOLD_SECONDS = 1_200
"""How long one is used at least: Apple refuses senders that show new ones more often."""

_COORDINATE = 32
_KEY_BLOCK = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)
_SANDBOX = x509.ObjectIdentifier("1.2.840.113635.100.6.3.1")
_PRODUCTION = x509.ObjectIdentifier("1.2.840.113635.100.6.3.2")


class ProviderTokens:
    """Signs provider tokens (JSON web tokens, ES256), one at a time for all connections.

    A token tells the half hour in which it was made and is signed deterministically (RFC 6979), so that all
    processes with the same key show Apple the same one, also after a restart.

    Args:
        key: the team's key.
        key_id: its id.
        team_id: the team's id.
        clock: for ages.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, key_id: str, team_id: str, clock: Clock) -> None:
        self._sign = _signer(key)
        self._header = {"alg": "ES256", "kid": key_id}
        self._team_id = team_id
        self._clock = clock
        self._token = ""
        self._issued_at = 0
        self._used_since = 0.0
        self._forced_at: float | None = None

    def current(self) -> str:
        """The token to show now."""
        now = self._clock.now_ms() // 1000
        good = 0 <= now - self._issued_at < RENEW_SECONDS or self._used() < HOLD_SECONDS
        if not self._token or not good:
            self._issue(now - now % RENEW_SECONDS)
        return self._token

    def renew(self, refused: str) -> str | None:
        """The token to show after Apple called one expired; None if another was tried not long ago."""
        if self._token != refused:
            return self.current()
        now = self._clock.monotonic()
        if self._forced_at is not None and now - self._forced_at < HOLD_SECONDS:
            return None
        self._forced_at = now
        self._issue(self._clock.now_ms() // 1000)
        return None if self._token == refused else self._token

    def _used(self) -> float:
        return self._clock.monotonic() - self._used_since

    def _issue(self, issued_at: int) -> None:
        claims = {"iss": self._team_id, "iat": issued_at}
        signed = b".".join(_base64url(msgspec.json.encode(part)) for part in (self._header, claims))
        self._token = (signed + b"." + _base64url(self._sign(signed))).decode()
        self._issued_at = issued_at
        self._used_since = self._clock.monotonic()


def load_key(text: str) -> ec.EllipticCurvePrivateKey:
    """The key of a `.p8` file.

    Raises:
        msgspec.ValidationError: it is none.
    """
    key: object = None
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = load_pem_private_key(_pem(text), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise msgspec.ValidationError("privateKey is not the text of an APNs key (.p8): PEM, curve P-256")
    return key


@dataclass(frozen=True, slots=True)
class PushCertificate:
    """A push certificate with its key.

    Attributes:
        bundle_id: of the app that it is for; empty if it does not say.
        environment: `production` or `sandbox` if it is for one of them alone, else None.
        expires_at: its end, ms.
    """

    bundle_id: str
    environment: str | None
    expires_at: int
    _chain: bytes = field(repr=False)
    _key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)

    def tls(self, settings: ApnsSettings) -> ssl.SSLContext:
        """TLS that shows it."""
        password = secrets.token_hex(16)  # ssl reads files only, and no key should lie there in the clear
        protected = self._key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode())
        )
        with NamedTemporaryFile(suffix=".pem") as pem:
            pem.write(self._chain + protected)
            pem.flush()
            return trusting(settings, pem.name, password)


def load_certificate(settings: ApnsSettings) -> PushCertificate:
    """The certificate of a channel file.

    Raises:
        msgspec.ValidationError: it cannot be read, or has no key.
    """
    text, password = settings.certificate or "", settings.password.encode() or None
    try:
        if "-----BEGIN" in text:
            certificates = x509.load_pem_x509_certificates(_pem(text))
            block = _KEY_BLOCK.search(f"{text}\n{settings.private_key or ''}".replace("\\n", "\n"))
            key = load_pem_private_key(block[0].encode(), password) if block else None
        else:
            key, first, others = pkcs12.load_key_and_certificates(b64decode(text), password)
            certificates = [*filter(None, [first]), *others]
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
        raise msgspec.ValidationError(
            "certificate is neither PEM nor PKCS #12 in base64, or password does not open it"
        ) from None
    if key is None or not certificates:
        raise msgspec.ValidationError("certificate has no private key, or no certificate, in it")
    return _described(certificates, key)


def _described(certificates: list[x509.Certificate], key: object) -> PushCertificate:
    own = certificates[0]
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise msgspec.ValidationError("certificate has a key of a kind that TLS does not use")
    names = own.subject.get_attributes_for_oid(NameOID.USER_ID)
    allowed = {extension.oid for extension in own.extensions} & {_SANDBOX, _PRODUCTION}
    environment = None
    if len(allowed) == 1:
        environment = "sandbox" if _SANDBOX in allowed else "production"
    return PushCertificate(
        bundle_id=str(names[0].value) if names else "",
        environment=environment,
        expires_at=int(own.not_valid_after_utc.timestamp() * 1000),
        _chain=b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates),
        _key=key,
    )


def _signer(key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    """Signs as JSON web tokens want it: r and s as they are, 32 bytes each (RFC 7518, section 3.4)."""
    try:
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    except UnsupportedAlgorithm:
        algorithm = ec.ECDSA(hashes.SHA256())

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, algorithm))
        return r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")

    return sign


def _pem(text: str) -> bytes:
    return text.replace("\\n", "\n").encode()  # as shells and environment files carry line ends


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
