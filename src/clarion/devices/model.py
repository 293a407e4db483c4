"""Values and rules of the devices capability."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from clarion.channels.registry import BY_OS_TYPE, BY_THIRD_CHANNEL, Channel, Platform
from clarion.results import Refusal, ResultCode
from clarion.text import is_text

MAX_USER_ID = 256
"""Most characters of a user id."""

_TOKEN = re.compile(r"[A-Za-z0-9_\-.:=+/@~]{1,512}")
_VENDOR_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
_PHONE = re.compile(r"\+?[0-9][0-9\- ]{2,31}")


class DeviceDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a device told about itself."""

    model: str = ""
    app_version: str = ""
    os_version: str = ""
    push_version: str = ""
    connect_type: str = ""
    store: str = ""
    imei: str = ""
    imsi: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a device keeps after registration: its public token and its secret (shown once)."""

    token: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the link needs to check a device's hello."""

    device: int
    app: int
    secret: bytes = field(repr=False)
    user_id: str | None


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Answer to "what is this device?" (PushQueryDeviceState)."""

    token: str
    user_id: str | None
    vendor_token: str | None
    platform: Platform
    channel: Channel
    online: bool | None


@dataclass(frozen=True, slots=True)
class VendorToken:
    """A device's address at a vendor channel."""

    channel: Channel
    token: str


def check_token(token: str) -> str:
    """A device token that has the form of one.

    Raises:
        Refusal: 3001 when empty, 3054 when malformed.
    """
    if not token.strip():
        raise Refusal(ResultCode.NEED_DELIVERYTOKEN)
    if not _TOKEN.fullmatch(token):
        raise Refusal(
            ResultCode.DELIVERYTOKEN_INVALID,
            "DeliveryToken must be 1 to 512 letters, digits or _-.:=+/@~, as registration returned it",
        )
    return token


def check_user(user_id: str) -> str:
    """A user id that can be bound.

    Raises:
        Refusal: 3012 when empty, 3028 when too long or not text.
    """
    if not user_id.strip():
        raise Refusal(ResultCode.NEED_USERID)
    if len(user_id) > MAX_USER_ID:
        raise Refusal(ResultCode.INVALID_PARAM, f"UserId has more than {MAX_USER_ID} characters")
    if not is_text(user_id):
        raise Refusal(ResultCode.INVALID_PARAM, "UserId has a character that is not text")
    return user_id


def check_phone(phone: str | None) -> str | None:
    """A phone number, or None for an empty one.

    Raises:
        Refusal: 3028 when it is none.
    """
    if not phone or not phone.strip():
        return None
    if not _PHONE.fullmatch(phone.strip()):
        raise Refusal(ResultCode.INVALID_PARAM, "PhoneNumber must be 3 to 32 digits, with an optional leading +")
    return phone.strip()


def platform_of(os_type: int | None) -> Platform:
    """The platform of an OsType code.

    Raises:
        Refusal: 3008 when it is unknown.
    """
    platform = BY_OS_TYPE.get(os_type) if os_type is not None else None
    if platform is None:
        raise Refusal(ResultCode.OS_TYPE_NOT_SUPPORTED, "OsType must be 1 (Android), 2 (iOS) or 7 (HarmonyOS)")
    return platform


def vendor_token(third_channel: int | None, token: str | None) -> VendorToken | None:
    """The vendor address that a report names, or None when it names none.

    Raises:
        Refusal: 3028 for an unknown ThirdChannel or a malformed token.
    """
    if not third_channel or not token:
        return None
    channel = BY_THIRD_CHANNEL.get(third_channel)
    if channel is None:
        known = ", ".join(f"{c.third_channel} {c.label}" for c in Channel if c is not Channel.LINK)
        raise Refusal(ResultCode.INVALID_PARAM, f"ThirdChannel must be one of {known}")
    if not _VENDOR_TOKEN.fullmatch(token):
        raise Refusal(
            ResultCode.INVALID_PARAM, "ThirdChannelDeviceToken must be 1 to 4096 printable ASCII characters"
        )
    return VendorToken(channel, token)
