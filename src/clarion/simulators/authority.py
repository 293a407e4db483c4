"""A certificate authority of the simulators' own, with what it signs."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LOCAL = ("localhost", "127.0.0.1", "::1")
_DAYS = 365
_SPARE_DAYS = 30


class Authority:
    """Signs the certificates of simulators and of their clients.

    Its own certificate stays the same in a folder that it is opened in again, until it nears its end.

    Args:
        folder: where its files are.
        now: begins the validity of certificates.

    Attributes:
        ca_file: PEM of the authority; clients trust it.
    """

    def __init__(self, folder: Path, now: datetime) -> None:
        self._folder = folder
        self._now = now
        self.ca_file = folder / "ca.pem"
        key_file = folder / "ca-key.pem"
        if not (self.ca_file.exists() and key_file.exists() and self._lasts()):
            self._found(key_file)
        self._certificate = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{key_file} is no key of a simulators' authority")
        self._key = key

    def server_context(self, host: str, protocols: tuple[str, ...], *, certificates: bool) -> ssl.SSLContext:
        """TLS of a server, reached as `host` or as this machine.

        Args:
            host: name or address.
            protocols: for ALPN.
            certificates: whether clients may show a certificate of this authority.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_general_name(name) for name in dict.fromkeys((host, *_LOCAL))]
        certificate = self._sign(
            key,
            [x509.NameAttribute(NameOID.COMMON_NAME, "Clarion simulators")],
            x509.SubjectAlternativeName(names),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        )
        chain = self._folder / "server.pem"
        _write(chain, _pem(key) + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(chain)
        context.set_alpn_protocols(list(protocols))
        if certificates:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self.ca_file)
        return context

    def client_pkcs12(self, user_id: str, password: str) -> bytes:
        """A client's certificate and key (PKCS #12), whose subject has `user_id` as UID and in its common name."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(
            key,
            [
                x509.NameAttribute(NameOID.USER_ID, user_id),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Apple Push Services: {user_id}"[:64]),
            ],
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        )
        protection = BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(b"clarion", key, certificate, None, protection)

    def _lasts(self) -> bool:
        certificate = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
        return certificate.not_valid_after_utc > self._now + timedelta(days=_SPARE_DAYS)

    def _found(self, key_file: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Clarion simulators' authority")])
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            self._builder(name, key.public_key(), 10 * _DAYS)
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(key_file, _pem(key))
        self.ca_file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def _sign(
        self,
        key: ec.EllipticCurvePrivateKey,
        subject: list[x509.NameAttribute[str]],
        *extensions: x509.ExtensionType,
    ) -> x509.Certificate:
        builder = self._builder(x509.Name(subject), key.public_key(), _DAYS).issuer_name(self._certificate.subject)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        for extension in (*extensions, identifier, x509.BasicConstraints(ca=False, path_length=None)):
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - timedelta(days=1))
            .not_valid_after(self._now + timedelta(days=days))
        )


def certificate_user_id(der: bytes) -> str | None:
    """The UID of a certificate's subject, which for a push certificate is the app's bundle id."""
    found = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.USER_ID)
    return str(found[0].value) if found else None


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(file: Path, content: bytes) -> None:
    """Write a secret, for its owner alone."""
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_bytes(content)
