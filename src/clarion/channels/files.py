"""Channel files: what an operator gives for a vendor's channel, as one JSON object with camelCase names."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

Word = Annotated[str, Meta(min_length=1, max_length=4096)]
"""A text that must not be empty."""

Classification = Annotated[str, Meta(pattern="^[01]$")]
"""Kind of a message: `0` operational, `1` system."""

URL_PATTERN = r"^https?://[^\s/?#]+[^\s?#]*$"

HttpUrl = Annotated[str, Meta(pattern=URL_PATTERN, max_length=2048)]
"""An address with `http` or `https`, without query."""


class OverLength(Enum):
    """What becomes of a title or text that is longer than the vendor takes."""

    REFUSE = "refuse"
    CUT = "cut"


def check_pair(user: str, key: str) -> None:
    """Refuse half of what callbacks are signed with: it would switch the check off, or refuse them all.

    Raises:
        ValueError: one of the two is missing.
    """
    if bool(user) != bool(key):
        raise ValueError("receiptUser and receiptKey belong together: give both, or neither")


class Terms(NamedTuple):
    """How much a vendor may be sent. A target is a device or a phone number.

    Attributes:
        rate: targets a second; 0 for no limit.
        daily_limit: targets a day, where the vendors are; 0 for no limit.
    """

    rate: float = 0.0
    daily_limit: int = 0


class ChannelFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What the files of all channels have.

    Attributes:
        base_url: address to call instead of the vendor's own.
        token_url: whole address of the call that gives access tokens, instead of the vendor's own.
        ca_file: PEM certificates to trust instead of the system's.
        proxy: `http://[user:password@]host:port`.
        rate: most targets a second, 0 for no limit; None for what the vendor publishes for all.
        daily_limit: most targets a day; None for no limit of one's own.
    """

    shown: ClassVar[frozenset[str]] = frozenset()
    """Fields that may be printed; all others may hold secrets."""
    published_rate: ClassVar[float] = 0.0
    """What the vendor takes from every app, targets a second; 0 if it publishes nothing."""

    base_url: HttpUrl | None = None
    token_url: HttpUrl | None = None
    ca_file: Word | None = None
    proxy: HttpUrl | None = None
    rate: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    daily_limit: Annotated[int, Meta(ge=1, le=10**12)] | None = None

    @property
    def terms(self) -> Terms:
        """How much the vendor may be sent."""
        return Terms(self.published_rate if self.rate is None else self.rate, self.daily_limit or 0)

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}={getattr(self, name)!r}" for name in sorted(self.shown))
        return f"{type(self).__name__}({parts}{', ' if parts else ''}…)"

    def __rich_repr__(self) -> Any:
        return ((name, getattr(self, name)) for name in sorted(self.shown))


F = TypeVar("F", bound=ChannelFile)


def parse_file(text: bytes, kind: type[F]) -> F:
    """The settings that a channel file holds.

    Raises:
        msgspec.ValidationError: it is no JSON, or has a wrong, unknown or missing field; the text names it and
            repeats no value.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise msgspec.ValidationError("the channel file is no JSON object") from None
