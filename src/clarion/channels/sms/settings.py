"""The channel file of the SMS service."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from clarion.channels.files import ChannelFile, Word, parse_file

BASE_URL = "https://dysmsapi.aliyuncs.com"


class SmsSettings(ChannelFile, frozen=True):
    """What the file says.

    Attributes:
        access_key_id: of an account (better: a RAM user) that may send short messages.
        access_key_secret: its secret.
        region: `RegionId` of the calls.
        extend_code: `SmsUpExtendCode` of all messages, to which answers come; None for that of the signature.
    """

    shown: ClassVar[frozenset[str]] = frozenset({"access_key_id", "region"})
    published_rate: ClassVar[float] = 500.0  # with care: published figures differ

    access_key_id: Word
    access_key_secret: Word
    region: Annotated[str, Meta(pattern="^[a-z0-9-]{1,40}$")] = "cn-hangzhou"
    extend_code: Annotated[str, Meta(pattern="^[0-9]{1,20}$")] | None = None


def parse(text: bytes) -> SmsSettings:
    """The settings of a channel file. Raises `msgspec.ValidationError`."""
    return parse_file(text, SmsSettings)
