"""The channel file of vivo."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, field

from clarion.channels.files import URL_PATTERN, ChannelFile, Classification, OverLength, Word, parse_file

BASE_URL = "https://api-push.vivo.com.cn"


class VivoSettings(ChannelFile, frozen=True):
    """What the file says.

    Attributes:
        app_id: number of the app.
        app_key: the app's key.
        app_secret: the app's secret.
        categories: vivo's category by Classification (`0`, `1`), for messages without one.
        notify_type: 1 nothing, 2 ring, 3 vibrate, 4 both, for messages that say none.
        longest_seconds: how long vivo keeps a message at most.
        push_mode: 0 for all devices, 1 for registered test devices only.
        over_length: what becomes of titles and texts that are too long.
        callback_url: where vivo reports arrivals of messages to single devices; at most 128 characters.
        recall_path: of the call that takes messages back, once vivo has told it; without it none is.
    """

    shown: ClassVar[frozenset[str]] = frozenset({"app_id"})
    published_rate: ClassVar[float] = 3_000.0  # of apps with fewer than five million users

    app_id: Word | int
    app_key: Word
    app_secret: Word
    categories: dict[Classification, Word] = field(default_factory=dict)
    notify_type: Literal[1, 2, 3, 4] = 4
    longest_seconds: Annotated[int, Meta(ge=900, le=604_800)] = 86_400
    push_mode: Literal[0, 1] = 0
    over_length: OverLength = OverLength.REFUSE
    callback_url: Annotated[str, Meta(pattern=URL_PATTERN, max_length=128)] | None = None
    recall_path: Annotated[str, Meta(pattern=r"^/[!-~]*$")] | None = None

    @property
    def app_number(self) -> int | str:
        """The app's id as vivo wants it: a number where it is one."""
        text = str(self.app_id)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text


def parse(text: bytes) -> VivoSettings:
    """The settings of a channel file. Raises `msgspec.ValidationError`."""
    return parse_file(text, VivoSettings)
