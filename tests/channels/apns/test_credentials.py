"""Provider tokens, their renewal, and certificates."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from clarion.channels.apns import open_channel, parse
from clarion.channels.apns.credentials import (
    HOLD_SECONDS,
    RENEW_SECONDS,
    ProviderTokens,
    load_certificate,
    load_key,
)
from clarion.clock import ManualClock
from tests.channels.apns.harness import key_pem, settings_file

MINUTE = 60
GRID = 1_795_000_000_000 // 1000 // RENEW_SECONDS * RENEW_SECONDS


def at(minutes: float) -> ManualClock:
    """A clock so many minutes into a half hour."""
    return ManualClock(int((GRID + minutes * MINUTE) * 1000))


def signer(clock: ManualClock) -> ProviderTokens:
    return ProviderTokens(load_key(key_pem()), "KEY0000001", "TEAM000001", clock)


def decoded(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token whose signature is good."""
    header, claims, signature = token.split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = load_key(key_pem()).public_key()
    public.verify(der, f"{header}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    first, second = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims))
    return first, second


class TestProviderTokens:
    def test_it_is_a_json_web_token_that_cryptography_verifies(self) -> None:
        token = signer(at(7)).current()
        assert decoded(token) == ({"alg": "ES256", "kid": "KEY0000001"}, {"iss": "TEAM000001", "iat": GRID})
        assert "=" not in token

    def test_a_restart_shows_the_same_one(self) -> None:
        assert signer(at(1)).current() == signer(at(29)).current()

    def test_it_is_renewed_after_half_an_hour(self) -> None:
        clock = at(0)
        tokens = signer(clock)
        first = tokens.current()
        clock.advance(RENEW_SECONDS - 1)
        assert tokens.current() == first
        clock.advance(1)
        assert decoded(tokens.current())[1]["iat"] == GRID + RENEW_SECONDS

    def test_no_new_one_is_shown_within_twenty_minutes_and_none_is_older_than_fifty(self) -> None:
        clock = at(29.9)
        tokens = signer(clock)
        shown, changes = tokens.current(), [clock.monotonic()]
        for _ in range(6 * 60):
            clock.advance(MINUTE)
            assert clock.now_ms() // 1000 - decoded(tokens.current())[1]["iat"] <= 50 * MINUTE
            if tokens.current() != shown:
                shown = tokens.current()
                changes.append(clock.monotonic())
        steps = [after - before for before, after in pairwise(changes)]
        assert len(steps) > 9
        assert min(steps) >= HOLD_SECONDS

    def test_a_refused_one_is_renewed_once(self) -> None:
        clock = at(10)
        tokens = signer(clock)
        first = tokens.current()
        renewed = tokens.renew(first)
        assert renewed is not None
        assert decoded(renewed)[1]["iat"] == GRID + 600
        assert tokens.current() == renewed
        assert tokens.renew(renewed) is None

    def test_all_who_were_refused_get_the_same_new_one(self) -> None:
        tokens = signer(at(10))
        first = tokens.current()
        assert len({tokens.renew(first) for _ in range(100)}) == 1

    def test_it_may_be_renewed_again_after_twenty_minutes(self) -> None:
        clock = at(10)
        tokens = signer(clock)
        renewed = tokens.renew(tokens.current())
        assert renewed is not None
        clock.advance(HOLD_SECONDS - 1)
        assert tokens.renew(tokens.current()) is None
        clock.advance(1)
        assert tokens.renew(tokens.current()) not in (None, renewed)

    def test_a_clock_that_was_set_back_leads_to_a_token_of_its_time(self) -> None:
        clock = at(10)
        tokens = signer(clock)
        tokens.current()
        clock.jump(-7200)
        clock.advance(HOLD_SECONDS)
        assert decoded(tokens.current())[1]["iat"] <= clock.now_ms() // 1000


def certificate(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *, bundle_id: str = "com.example.app", oids: str = ""
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.USER_ID, bundle_id)] if bundle_id else [])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=365))
    )
    for last in oids:
        oid = x509.ObjectIdentifier(f"1.2.840.113635.100.6.3.{last}")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x05\x00"), critical=False)
    return builder.sign(key, hashes.SHA256())


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: str = "") -> str:
    protection = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection).decode()


def certified(**members: Any) -> bytes:
    return settings_file(**({"teamId": None, "keyId": None, "privateKey": None, "bundleId": None} | members))


class TestCertificates:
    KEY = ec.generate_private_key(ec.SECP256R1())

    def p12(self, password: str, **certified_with: Any) -> str:
        made = certificate(self.KEY, **certified_with)
        protection = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        return base64.b64encode(
            pkcs12.serialize_key_and_certificates(b"x", self.KEY, made, None, protection)
        ).decode()

    @pytest.mark.parametrize("password", ["", "hush-hush"])
    def test_pkcs12(self, password: str) -> None:
        found = load_certificate(parse(certified(certificate=self.p12(password), password=password)))
        assert found.bundle_id == "com.example.app"
        assert found.environment is None
        assert found.expires_at == 1_798_761_600_000

    @pytest.mark.parametrize("password", ["", "hush-hush"])
    def test_pem_with_its_key(self, password: str) -> None:
        text = certificate(self.KEY).public_bytes(Encoding.PEM).decode() + pem_of(self.KEY, password)
        assert load_certificate(parse(certified(certificate=text, password=password))).bundle_id

    def test_pem_with_the_key_apart_and_line_ends_as_text(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        text = certificate(key).public_bytes(Encoding.PEM).decode().replace("\n", "\\n")
        settings = parse(certified(certificate=text, privateKey=pem_of(key).replace("\n", "\\n")))
        assert load_certificate(settings).expires_at

    @pytest.mark.parametrize(
        ("oids", "environment"), [("1", "sandbox"), ("2", "production"), ("12", None), ("", None)]
    )
    def test_the_environment_is_told_by_its_extensions(self, oids: str, environment: str | None) -> None:
        found = load_certificate(parse(certified(certificate=self.p12("x", oids=oids), password="x")))
        assert found.environment == environment

    @pytest.mark.parametrize(
        ("oids", "given", "host"),
        [
            ("1", None, "api.sandbox.push.apple.com:443"),
            ("2", None, "api.push.apple.com:443"),
            ("12", "sandbox", "api.sandbox.push.apple.com:443"),
            ("12", None, "api.push.apple.com:443"),
        ],
    )
    def test_it_chooses_the_gateway(self, oids: str, given: str | None, host: str) -> None:
        file = certified(certificate=self.p12("x", oids=oids), password="x", environment=given)
        assert str(open_channel(parse(file), ManualClock())._gateway.origin) == host

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"password": "wrong"}, "password"),
            ({"certificate": "bm90aGluZw=="}, "PKCS #12"),
            ({"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}, "PEM"),
            (
                {"certificate": certificate(KEY).public_bytes(Encoding.PEM).decode(), "password": ""},
                "no private key",
            ),
            ({"environment": "production"}, "certificate is for the other one"),
        ],
    )
    def test_what_is_wrong_is_said_without_secrets(self, changes: dict[str, Any], word: str) -> None:
        members = {"certificate": self.p12("hush-hush", oids="1"), "password": "hush-hush"} | changes
        with pytest.raises(msgspec.ValidationError) as caught:
            open_channel(parse(certified(**members)), ManualClock())
        assert word in str(caught.value)
        assert "hush-hush" not in str(caught.value)

    def test_one_without_a_bundle_id_needs_it_from_the_file(self) -> None:
        members = {"certificate": self.p12("x", bundle_id=""), "password": "x"}
        with pytest.raises(msgspec.ValidationError, match="bundleId"):
            open_channel(parse(certified(**members)), ManualClock())
        open_channel(parse(certified(**members, bundleId="com.example.app")), ManualClock())

    def test_no_secret_is_printed(self) -> None:
        settings = parse(certified(certificate=self.p12("hush-hush"), password="hush-hush"))
        found = load_certificate(settings)
        assert "hush" not in f"{settings!r}{found!r}"
        assert "PRIVATE" not in f"{settings!r}{found!r}"
        assert settings.certificate is not None
        assert settings.certificate not in f"{settings!r}{list(settings.__rich_repr__())}"
