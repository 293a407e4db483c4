"""The signature of callbacks: RSA, PKCS #1 v1.5, SHA-256 over timestamp, line feed and body (docs/callbacks.md)."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_KEY_BITS = 2048


def key_context(app: int) -> str:
    """What an app's private key is sealed for."""
    return f"apps/{app}/callback"


def new_private_key() -> bytes:
    """A new RSA key of 2,048 bits as PKCS #8 DER. Takes some 0.1 s."""
    return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Signer:
    """Signs the callbacks of one app.

    Args:
        private_key: what `new_private_key` made.
    """

    def __init__(self, private_key: bytes) -> None:
        # The key is ours and was sealed: checking its arithmetic again would take longer than many signatures.
        key = serialization.load_der_private_key(private_key, None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("the key of callbacks is not an RSA key")
        self._key = key

    @property
    def public_key(self) -> str:
        """The public key as PEM text."""
        pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return pem.decode()

    def sign(self, timestamp: str, body: bytes) -> str:
        """The signature as base64 text; some 0.7 ms."""
        signature = self._key.sign(timestamp.encode() + b"\n" + body, padding.PKCS1v15(), hashes.SHA256())
        return base64.b64encode(signature).decode()
