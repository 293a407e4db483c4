"""The channel file of OPPO."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, field

from clarion.channels.files import URL_PATTERN, ChannelFile, Classification, OverLength, Word, parse_file

BASE_URL = "https://api-push-cn.heytapmobi.com"
"""In China; apps abroad have another address (docs/channels/oppo.md)."""


class OppoSettings(ChannelFile, frozen=True):
    """What the file says.

    Attributes:
        app_key: the app's key.
        master_secret: the master secret, which is not the app secret.
        channel_ids: Android notification channel by Classification (`0`, `1`), for messages without ChannelId.
        categories: OPPO's category by Classification, for messages without one.
        notify_level: reminder level of messages with a category that say none.
        max_content: most characters of a text of standard style.
        max_long_content: most characters of a text of long style.
        over_length: what becomes of titles and texts that are too long.
        callback_url: where OPPO reports arrivals; at most 200 characters.
    """

    shown: ClassVar[frozenset[str]] = frozenset({"app_key"})
    published_rate: ClassVar[float] = 5_000.0  # of apps with fewer than ten million users

    app_key: Word
    master_secret: Word
    channel_ids: dict[Classification, Word] = field(default_factory=dict)
    categories: dict[Classification, Word] = field(default_factory=dict)
    notify_level: Literal[1, 2, 16] | None = None
    max_content: Annotated[int, Meta(ge=1, le=200)] = 50
    max_long_content: Annotated[int, Meta(ge=1, le=200)] = 128
    over_length: OverLength = OverLength.REFUSE
    callback_url: Annotated[str, Meta(pattern=URL_PATTERN, max_length=200)] | None = None


def parse(text: bytes) -> OppoSettings:
    """The settings of a channel file. Raises `msgspec.ValidationError`."""
    return parse_file(text, OppoSettings)
