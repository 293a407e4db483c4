"""The channel file of Huawei (Android)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from clarion.channels.files import ChannelFile, OverLength, Word, check_pair, parse_file

BASE_URL = "https://push-api.cloud.huawei.com"
TOKEN_URL = "https://oauth-login.cloud.huawei.com/oauth2/v3/token"  # noqa: S105


class HmsSettings(ChannelFile, frozen=True):
    """What the file says.

    Attributes:
        app_id: of the app, which is the OAuth client id too.
        app_secret: the OAuth client secret.
        package_name: of the app.
        category: of messages without ThirdChannelCategory, a word such as `WORK`; needs the right to it.
        receipt_id: which of the receipt settings in Huawei's console is used; empty for the usual one.
        receipt_user: user name of the receipts; empty if none is set there.
        receipt_key: key of the receipts; empty if none is set there.
        test_messages: whether all messages are test messages, of which 500 a day are free of quotas.
        trampoline: intent with `{uri}` in it, of a page that opens addresses other than https; empty for none.
        over_length: what becomes of texts that are too long.
    """

    shown: ClassVar[frozenset[str]] = frozenset({"app_id", "package_name"})
    published_rate: ClassVar[float] = 6_000.0  # more for apps with over eight million users a month

    app_id: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    app_secret: Word
    package_name: Word
    category: Annotated[str, Meta(pattern="^[A-Z_]{0,40}$")] = ""
    receipt_id: Annotated[str, Meta(max_length=64)] = ""
    receipt_user: Annotated[str, Meta(max_length=256)] = ""
    receipt_key: Annotated[str, Meta(max_length=256)] = ""
    test_messages: bool = False
    trampoline: Annotated[str, Meta(max_length=1024)] = ""
    over_length: OverLength = OverLength.REFUSE

    def __post_init__(self) -> None:
        check_pair(self.receipt_user, self.receipt_key)


def parse(text: bytes) -> HmsSettings:
    """The settings of a channel file. Raises `msgspec.ValidationError`."""
    return parse_file(text, HmsSettings)
