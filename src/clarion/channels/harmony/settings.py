"""The channel file of HarmonyOS."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Meta

from clarion.channels.files import ChannelFile, Word, check_pair, parse_file

BASE_URL = "https://push-api.cloud.huawei.com"

Name = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
"""A text that is a part of a path."""


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The key file of a service account, as AppGallery Connect gives it; what else it has is not needed.

    Attributes:
        project_id: whose.
        key_id: name of the key.
        private_key: RSA key, PEM.
        sub_account: id of the account.
    """

    project_id: Word
    key_id: Word
    private_key: Annotated[str, Meta(min_length=1, max_length=16_384)]
    sub_account: Word

    def __post_init__(self) -> None:
        self.key()

    def __repr__(self) -> str:
        return f"ServiceAccount(project_id={self.project_id!r}, key_id={self.key_id!r}, …)"

    def __rich_repr__(self) -> Any:
        return (("project_id", self.project_id), ("key_id", self.key_id))

    def key(self) -> RSAPrivateKey:
        """The key to sign with.

        Raises:
            ValueError: it is none.
        """
        try:
            key = load_pem_private_key(self.private_key.encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("private_key is no PEM of a private key without a password") from None
        if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
            raise ValueError("private_key is no RSA key of 2048 bits or more")
        return key


class HarmonySettings(ChannelFile, frozen=True):
    """What the file says. There is no call that gives access tokens: `tokenUrl` has no effect.

    Attributes:
        project_id: of the project in AppGallery Connect.
        service_account: the key file of a service account of the project.
        bundle_name: of the app.
        client_id: of the app, which messages are taken back with; empty: they are not.
        category: of messages without ThirdChannelCategory; those other than `MARKETING` need a right.
        receipt_id: which of the receipt settings in the console is used; empty for the usual one.
        receipt_user: user name of the receipts; empty if none is set there.
        receipt_key: key of the receipts; empty if none is set there.
        test_messages: whether all messages are test messages, at most 10 tokens a call and 1,000 a day.
    """

    shown: ClassVar[frozenset[str]] = frozenset({"project_id", "bundle_name", "client_id"})

    project_id: Name
    service_account: ServiceAccount
    bundle_name: Word
    client_id: Name | None = None
    category: Annotated[str, Meta(pattern="^[A-Z_]{1,40}$")] = "MARKETING"
    receipt_id: Annotated[str, Meta(max_length=64)] = ""
    receipt_user: Annotated[str, Meta(max_length=256)] = ""
    receipt_key: Annotated[str, Meta(max_length=256)] = ""
    test_messages: bool = False

    def __post_init__(self) -> None:
        check_pair(self.receipt_user, self.receipt_key)
        if self.service_account.project_id != self.project_id:
            raise ValueError("projectId is not the project of serviceAccount")


def parse(text: bytes) -> HarmonySettings:
    """The settings of a channel file. Raises `msgspec.ValidationError`."""
    return parse_file(text, HarmonySettings)
