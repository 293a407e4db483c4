"""Channel files: what may be left out, and what is said of wrong ones."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clarion.channels.apns import open_channel, parse
from clarion.clock import ManualClock
from tests.channels.apns.harness import key_pem, settings_file


def test_a_key_and_a_bundle_id_are_enough() -> None:
    settings = parse(settings_file())
    assert (settings.key_id, settings.bundle_id, settings.connections) == ("KEY0000001", "com.example.app", 4)


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        (None, "api.push.apple.com:443"),
        ("production", "api.push.apple.com:443"),
        ("sandbox", "api.sandbox.push.apple.com:443"),
    ],
)
def test_the_environment_is_a_gateway(environment: str | None, host: str) -> None:
    channel = open_channel(parse(settings_file(environment=environment)), ManualClock())
    assert str(channel._gateway.origin) == host
    assert channel._gateway.origin.tls is not None


@pytest.mark.parametrize(
    ("url", "origin", "authority", "prefix"),
    [
        ("https://push.example.com", "push.example.com:443", "push.example.com", b""),
        ("https://push.example.com:2197/", "push.example.com:2197", "push.example.com:2197", b""),
        ("http://127.0.0.1:9/a/b/", "127.0.0.1:9", "127.0.0.1:9", b"/a/b"),
    ],
)
def test_another_address(url: str, origin: str, authority: str, prefix: bytes) -> None:
    gateway = open_channel(parse(settings_file(baseUrl=url)), ManualClock())._gateway
    assert (str(gateway.origin), gateway.authority, gateway.prefix) == (origin, authority, prefix)


def other_key() -> str:
    key = ec.generate_private_key(ec.SECP384R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"teamId": None}, "teamId"),
        ({"keyId": None, "privateKey": None}, "keyId, privateKey"),
        ({"bundleId": None}, "bundleId"),
        ({"bundleId": "com.example/app"}, "bundleId"),
        ({"keyId": "short"}, "keyId"),
        ({"environment": "test"}, "environment"),
        ({"keyID": "KEY0000001"}, "keyID"),
        ({"privateKey": "s3cret"}, "privateKey"),
        ({"privateKey": other_key()}, "P-256"),
        ({"certificate": "s3cret"}, "either"),
        ({"connections": 0}, "connections"),
        ({"baseUrl": "ftp://x"}, "baseUrl"),
        ({"baseUrl": "https://host:99999"}, "baseUrl"),
        ({"caFile": "/nowhere/s.pem"}, "caFile"),
    ],
)
def test_what_is_wrong_is_said_without_values(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        open_channel(parse(settings_file(**changes)), ManualClock())
    assert word in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_key_may_have_its_line_ends_as_text() -> None:
    open_channel(parse(settings_file(privateKey=key_pem().replace("\n", "\\n"))), ManualClock())


def test_no_secret_is_printed() -> None:
    settings = parse(settings_file())
    assert "PRIVATE" not in repr(settings)
    assert "com.example.app" in repr(settings)
