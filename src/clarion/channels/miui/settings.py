"""The channel file of Xiaomi."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, field

from clarion.channels.files import URL_PATTERN, ChannelFile, Classification, OverLength, Word, parse_file

CALLBACK_TYPES = 1 + 2 + 16 + 32 + 64 + 128 + 1024
"""All kinds of report; a sum with any other bit makes Xiaomi report nothing."""

BASE_URL = "https://api.xmpush.xiaomi.com"
"""In China; apps abroad have other addresses (docs/channels/miui.md)."""


class MiuiSettings(ChannelFile, frozen=True):
    """What the file says.

    Attributes:
        package_name: of the app.
        app_secret: the app's secret; it does not end.
        channel_ids: Xiaomi's notification channel by Classification (`0`, `1`), for messages without MiChannelId.
        over_length: what becomes of texts that are too long.
        longest_seconds: how long Xiaomi keeps a message at most: a day for a public channel, ten days for
            a private one.
        picture_hosts: where Xiaomi keeps uploaded pictures; addresses elsewhere are left out.
        encode_payload: whether the payload is URL-encoded once more before the form is, as the documentation says.
        callback_url: where Xiaomi reports arrivals; at most 128 bytes.
        callback_type: sum of the kinds of report that are wanted.
        revoke_path: of the call that takes messages back.
    """

    shown: ClassVar[frozenset[str]] = frozenset({"package_name"})

    package_name: Word
    app_secret: Word
    channel_ids: dict[Classification, Word] = field(default_factory=dict)
    over_length: OverLength = OverLength.REFUSE
    longest_seconds: Annotated[int, Meta(ge=60, le=864_000)] = 86_400
    picture_hosts: tuple[Word, ...] = ("mi-img.com", "xiaomi.com")
    encode_payload: bool = True
    callback_url: Annotated[str, Meta(pattern=URL_PATTERN, max_length=128)] | None = None
    callback_type: Annotated[int, Meta(ge=1, le=4095)] = 243
    revoke_path: Annotated[str, Meta(pattern=r"^/[!-~]*$")] = "/v3/message/regid/revoke"

    def __post_init__(self) -> None:
        if self.callback_type & ~CALLBACK_TYPES:
            raise ValueError("callbackType is no sum of 1, 2, 16, 32, 64, 128 and 1024, each once")


def parse(text: bytes) -> MiuiSettings:
    """The settings of a channel file. Raises `msgspec.ValidationError`."""
    return parse_file(text, MiuiSettings)
