"""The immutable message: what a push carries, in the service's own words, whatever channel takes it."""

from __future__ import annotations

from typing import Any

import msgspec

LINK_ONLY = "transparent"
"""`notify_type` of a message that no vendor gets."""


class Activity(msgspec.Struct, frozen=True, omit_defaults=True):
    """The live-activity part of a push (iOS).

    Attributes:
        event: `update`, `end`, or `start` with a push-to-start token.
        state: the `content-state` that the app defined.
        dismissal: seconds since 1970 at which an ended activity disappears; None leaves it to the system. It has
            no effect with `update`.
        attributes_type: of a `start`, the name of the app's type of activity.
        attributes: of a `start`, its attributes, which do not change.
    """

    event: str
    state: Any = None
    dismissal: int | None = None
    attributes_type: str = ""
    attributes: Any = None


class Sms(msgspec.Struct, frozen=True, omit_defaults=True):
    """The SMS supplement of a push.

    Attributes:
        strategy: 1 when no push can reach the target, 2 together with the push.
        sign_name: the signature registered with the SMS service.
        template_code: the template registered with the SMS service.
        template_params: values of the template, as JSON text.
    """

    strategy: int
    sign_name: str
    template_code: str
    template_params: str


class PushContent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything of a push that is the same for all its targets.

    Attributes:
        title: heading; no length limit on the own link.
        content: text.
        uri: where a tap leads.
        action: what `uri` is: 0 a web address, 1 an Android intent.
        silent: 1 asks the client not to show a notification.
        style: 0 default, 1 big text, 2 image and text.
        icons: icon addresses by channel (`defaultUrl`, `hmsUrl`, …).
        images: picture addresses by channel.
        params: the caller's extension parameters.
        notify_type: `transparent` for the own link only, `notify` for the default routing.
        classification: vivo's type of message, `0` operational, `1` system.
        category: each vendor's category of message.
        notify_level: each vendor's reminder level.
        channel_id: notification channel of an Android client.
        mi_channel_id: Xiaomi's notification channel.
        data_payload: payload of a vendor's data message.
        data_urgency: urgency of that data message.
        vendor_template: vendors' own templates.
        activity: live activity, or None.
        sms: SMS supplement, or None.
    """

    title: str
    content: str
    uri: str = ""
    action: int = 0
    silent: int = 0
    style: int = 0
    icons: dict[str, str] = {}
    images: dict[str, str] = {}
    params: dict[str, Any] = {}
    notify_type: str = "notify"
    classification: str = "1"
    category: dict[str, Any] = {}
    notify_level: dict[str, Any] = {}
    channel_id: str = ""
    mi_channel_id: str = ""
    data_payload: Any = None
    data_urgency: str = ""
    vendor_template: Any = None
    activity: Activity | None = None
    sms: Sms | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(PushContent)


def encode_content(content: PushContent) -> bytes:
    """The form in which a content is stored."""
    return _encoder.encode(content)


def decode_content(stored: bytes) -> PushContent:
    """The content that `encode_content` stored."""
    return _decoder.decode(stored)
