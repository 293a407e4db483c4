"""What requests to the gateway of HarmonyOS look like, to the last member."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clarion.simulators.huawei import MAX_TTL, AddNumber, Https, NotifyId, SetNumber, Text

ALERT, FORM, VOICE, BACKGROUND = "0", "1", "2", "6"


class _Strict(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    pass


class Click(_Strict, frozen=True):
    """What a tap does."""

    action_type: Literal[0, 1]
    action: str = ""
    uri: str = ""
    data: dict[str, Any] = {}


class Badge(_Strict, frozen=True):
    """A number at the icon."""

    add_num: AddNumber | UnsetType = UNSET
    set_num: SetNumber | UnsetType = UNSET


class Notification(_Strict, frozen=True):
    """What is shown."""

    category: Literal[
        "IM", "VOIP", "MISS_CALL", "SUBSCRIPTION", "TRAVEL", "HEALTH", "WORK", "ACCOUNT", "EXPRESS", "FINANCE",
        "DEVICE_REMINDER", "MAIL", "PLAY_VOICE", "MARKETING",
    ]  # fmt: skip
    title: Text
    body: Text
    click_action: Click
    image: Https | UnsetType = UNSET
    style: Literal[0, 1, 3] = 0
    big_title: str = ""
    big_body: str = ""
    inbox_content: list[str] = []
    notify_id: NotifyId = -1
    app_message_id: Annotated[str, Meta(pattern="^[A-Za-z0-9+/=_ -]{1,64}$")] | UnsetType = UNSET
    profile_id: Annotated[str, Meta(max_length=64)] = ""
    badge: Badge | None = None
    foreground_show: bool = True
    sound: str = ""


class Alert(_Strict, frozen=True):
    """Payload of kind 0."""

    notification: Notification | None = None
    badge: Badge | None = None


class Voice(_Strict, frozen=True):
    """Payload of kind 2."""

    notification: Notification
    extra_data: str = ""


class Background(_Strict, frozen=True):
    """Payload of kind 6."""

    extra_data: Text


PAYLOADS: Mapping[str, Any] = {ALERT: Alert, VOICE: Voice, BACKGROUND: Background}
"""Those of other kinds are any object."""


class Target(_Strict, frozen=True):
    """To whom."""

    token: list[str]


class Options(_Strict, frozen=True):
    """How a message is sent."""

    test_message: bool = False
    ttl: Annotated[int, Meta(le=MAX_TTL)] = 86_400
    bi_tag: str = ""
    receipt_id: str = ""
    collapse_key: Annotated[int, Meta(ge=-1, le=100)] = -1


class Message(_Strict, frozen=True):
    """A request to send."""

    payload: dict[str, Any]
    target: Target
    push_options: Options = Options()


class Revocation(_Strict, frozen=True):
    """A request to take back."""

    notify_id: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
    token: list[str]


class RawTokens(msgspec.Struct):
    """See `Raw`."""

    token: msgspec.Raw


class Raw(msgspec.Struct):
    """The list of tokens as it was sent."""

    target: RawTokens


class JwtHeader(msgspec.Struct):
    """The head of an access token."""

    kid: str
    alg: str
    typ: str = "JWT"


class JwtClaims(msgspec.Struct):
    """What an access token says."""

    iss: str
    aud: str
    iat: int
    exp: int
