"""Channel files: what they must have, and that nothing shows their secrets."""

from __future__ import annotations

from io import StringIO
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rich.console import Console

from tests.channels.multicast.harness import LABELS, MODULES, known

SECRETS = {"hms": "appSecret", "harmony": "serviceAccount", "honor": "clientSecret"}
NEEDED = {
    "hms": ("appId", "appSecret", "packageName"),
    "harmony": ("projectId", "serviceAccount", "bundleName"),
    "honor": ("appId", "clientId", "clientSecret", "packageName"),
}
every_vendor = pytest.mark.parametrize("label", LABELS)


def parse(label: str, changes: dict[str, Any]) -> Any:
    return MODULES[label].parse(msgspec.json.encode({**known(label), **changes}))


@pytest.mark.parametrize(("label", "member"), [(label, it) for label in LABELS for it in NEEDED[label]])
def test_what_is_needed(label: str, member: str) -> None:
    file = {name: value for name, value in known(label).items() if name != member}
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{member}`"):
        MODULES[label].parse(msgspec.json.encode(file))


@every_vendor
def test_what_is_needed_is_enough(label: str) -> None:
    file = {name: known(label)[name] for name in NEEDED[label]}
    settings = MODULES[label].parse(msgspec.json.encode(file))
    assert settings.base_url is None


@every_vendor
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": "red"}, "unknown field `colour`"),
        ({"baseUrl": "push.example.com"}, r"\$.baseUrl"),
        ({"testMessages": "yes"}, r"\$.testMessages"),
        ({"receiptId": "x" * 65}, r"\$.receiptId"),
        ({"receiptUser": "receipt-user"}, "receiptUser and receiptKey belong together"),
        ({"receiptKey": "receipt-key"}, "receiptUser and receiptKey belong together"),
    ],
)
def test_what_is_wrong_is_named(label: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        parse(label, changes)


@pytest.mark.parametrize(
    ("label", "member"), [("hms", "appId"), ("honor", "appId"), ("harmony", "projectId"), ("harmony", "clientId")]
)
def test_ids_are_no_paths(label: str, member: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=member):
        parse(label, {member: "../1"})


@every_vendor
@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_no_file(label: str, text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        MODULES[label].parse(text)


@every_vendor
def test_secrets_are_not_shown(label: str) -> None:
    signed = {"receiptUser": "receipt-user", "receiptKey": "receipt-key"}
    settings = parse(label, {"proxy": "http://user:pass-word@proxy:3128", **signed})
    written = StringIO()
    Console(file=written, width=1000).print(settings)
    shown = f"{settings!r} {settings} {written.getvalue()}"
    secret = known(label)[SECRETS[label]]
    for hidden in (secret["private_key"][40:80] if label == "harmony" else secret, "pass-word", "receipt-key"):
        assert hidden not in shown
    assert "com.example.app" in shown


def test_a_service_account_is_not_shown() -> None:
    account = parse("harmony", {}).service_account
    written = StringIO()
    Console(file=written, width=1000).print(account)
    assert "PRIVATE KEY" not in f"{account!r} {written.getvalue()}"
    assert account.key_id in repr(account)


def _account(**changes: Any) -> dict[str, Any]:
    return {"serviceAccount": {**known("harmony")["serviceAccount"], **changes}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (_account(project_id="7"), "projectId is not the project of serviceAccount"),
        (
            _account(private_key="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
            "private_key is no PEM",
        ),
        (
            _account(
                private_key=generate_private_key(SECP256R1())
                .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                .decode()
            ),
            "private_key is no RSA key",
        ),
        ({"serviceAccount": {"project_id": "1"}}, "missing required field `key_id`"),
    ],
)
def test_a_service_account_that_is_wrong(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        parse("harmony", changes)
