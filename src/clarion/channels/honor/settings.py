"""The channel file of Honor."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from clarion.channels.files import ChannelFile, Word, check_pair, parse_file

BASE_URL = "https://push-api.cloud.honor.com"
TOKEN_URL = "https://iam.developer.honor.com/auth/token"  # noqa: S105


class HonorSettings(ChannelFile, frozen=True):
    """What the file says.

    Attributes:
        app_id: of the app.
        client_id: OAuth client id.
        client_secret: OAuth client secret.
        package_name: of the app.
        receipt_id: which of the receipt settings in Honor's console is used; empty for the usual one.
        receipt_user: with `receipt_key`, what callbacks must be signed with as Huawei signs them; usually empty.
        receipt_key: see `receipt_user`.
        test_messages: whether all messages are test messages, at most 1,000 a day.
        trampoline: intent with `{uri}` in it, of a page that opens addresses other than https; empty for none.
    """

    shown: ClassVar[frozenset[str]] = frozenset({"app_id", "client_id", "package_name"})
    published_rate: ClassVar[float] = 3_000.0  # the same for all apps

    app_id: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    client_id: Word
    client_secret: Word
    package_name: Word
    receipt_id: Annotated[str, Meta(max_length=64)] = ""
    receipt_user: Annotated[str, Meta(max_length=256)] = ""
    receipt_key: Annotated[str, Meta(max_length=256)] = ""
    test_messages: bool = False
    trampoline: Annotated[str, Meta(max_length=1024)] = ""

    def __post_init__(self) -> None:
        check_pair(self.receipt_user, self.receipt_key)


def parse(text: bytes) -> HonorSettings:
    """The settings of a channel file. Raises `msgspec.ValidationError`."""
    return parse_file(text, HonorSettings)
