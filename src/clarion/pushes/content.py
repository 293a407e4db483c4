"""The message of a push: its fields, from the texts of the request, and whether it fits. Pure.

Source: request parameters and limits of the MPS server APIs (docs/errors.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NoReturn, TypeVar

from clarion.channels.message import Activity, PushContent, Sms, encode_content
from clarion.delivery.accept import ACTIVITY_TYPES, TargetType
from clarion.pushes.lenient import parse_map
from clarion.pushes.model import PushForm
from clarion.results import Refusal, ResultCode

MAX_EXTENDED_PARAMS = 20
MAX_ADDRESSES = 20
MAX_ADDRESS = 2048
"""Most characters of a picture's address with the name of its channel."""
MAX_MESSAGE_BYTES = 2048
"""Size of a whole message on every channel, in bytes of its stored form without the addresses of pictures."""

SYSTEM_PARAMS = frozenset({"notifyType", "action", "silent", "pushType", "templateCode", "channel", "taskId"})
"""Extension parameters that the service sets itself."""

V = TypeVar("V", int, str)

_POSITIVE = re.compile(r"0*[1-9][0-9]{0,8}")
_FLAGS = (0, 1)
_NOTIFY_TYPES = ("notify", "transparent")
_CLASSIFICATIONS = ("0", "1")
_ACTIVITY_EVENTS = ("update", "end")
_START = "start"
_SMS_STRATEGIES = (0, 1, 2)


def check_extended_params(
    text: str | None,
    most: int = MAX_EXTENDED_PARAMS,
    too_many: ResultCode = ResultCode.EXTEND_PARAM_TO_MUCH,
) -> dict[str, Any]:
    """The caller's extension parameters. Raises `Refusal` 3035 (3049 for one target's), 3044, 3058, 3059."""
    if text is None or not text.strip():
        return {}
    params = parse_map(text)
    if params is None:
        raise Refusal(ResultCode.INVALID_EXTEND_PARAM, 'ExtendedParams must be a JSON map, such as {"key":"value"}')
    if len(params) > most:
        raise Refusal(too_many, f"ExtendedParams has {len(params)} keys, {most} are allowed")
    reserved = sorted(SYSTEM_PARAMS.intersection(params))
    if reserved:
        raise Refusal(ResultCode.INVALID_EXTEND_PARAM, f"{reserved[0]} is set by the service; use another key")
    _check_badge(params)
    return params


def shared_content(form: PushForm) -> dict[str, Any]:
    """The fields of `PushContent` that every kind of push takes from its request.

    Raises:
        Refusal: 3028, 3035, 3044, 3058, 3059.
    """
    params = check_extended_params(form.extended_params)
    return {
        "activity": _activity(form, params),
        "params": params,
        "action": one_of("PushAction", form.push_action, _FLAGS, 0),
        "silent": one_of("Silent", form.silent, _FLAGS, 0),
        "notify_type": one_of("NotifyType", form.notify_type, _NOTIFY_TYPES, "notify"),
        "classification": one_of("Classification", form.classification, _CLASSIFICATIONS, "1"),
        "category": map_of("ThirdChannelCategory", form.third_channel_category),
        "notify_level": map_of("NotifyLevel", form.notify_level),
        "channel_id": form.channel_id or "",
        "mi_channel_id": form.mi_channel_id or "",
        "data_payload": form.transparent_message_payload,
        "data_urgency": form.transparent_message_urgency or "",
        "vendor_template": map_of("VendorTemplate", form.vendor_template) or None,
        "sms": _sms(form),
    }


def check_size(content: PushContent) -> None:
    """Whether the message fits in every channel. Raises `Refusal` 3031, 3043, 3050."""
    try:
        size = len(encode_content(content))
    except UnicodeEncodeError:
        raise Refusal(ResultCode.REQUEST_SHOULD_BE_UTF8) from None
    if size > MAX_MESSAGE_BYTES:
        size -= _size_of(content.icons) + _size_of(content.images)
    if size <= MAX_MESSAGE_BYTES:
        return
    if len(content.content.encode()) > MAX_MESSAGE_BYTES:
        raise Refusal(
            ResultCode.SINGLE_PUSH_CONTENT_TOO_LONG, f"Content is over {MAX_MESSAGE_BYTES} bytes of UTF-8"
        )
    raise Refusal(
        ResultCode.MSG_PAYLOAD_TOO_LONG,
        f"title, content and parameters make {size} bytes, {MAX_MESSAGE_BYTES} are allowed",
    )


def _size_of(addresses: dict[str, str]) -> int:
    return sum(len(key.encode()) + len(address.encode()) + 6 for key, address in addresses.items())


def _check_badge(params: dict[str, Any]) -> None:
    added = params.get("badge_add_num")
    if added is None:
        return
    if isinstance(added, bool) or not _POSITIVE.fullmatch(str(added)):
        raise Refusal(ResultCode.BADGE_ADD_NUM_INVALID, "badge_add_num must be a positive whole number")
    if not params.get("badge_class"):
        raise Refusal(ResultCode.BADGE_ADD_NUM_NEED_BADGE_CLASS)


def _activity(form: PushForm, params: dict[str, Any]) -> Activity | None:
    """What the push says to a live activity; None where the target is none. Takes its part out of `params`."""
    starts = form.activity_event == _START and form.delivery_type == TargetType.ACTIVITY_TOKEN
    event = _START if starts else one_of("ActivityEvent", form.activity_event, _ACTIVITY_EVENTS, "update")
    state, dismissal = _content_state(form.activity_content_state), form.dismissal_date
    if dismissal is not None and dismissal <= 0:
        invalid("DismissalDate must be seconds since 1970")
    if form.delivery_type not in ACTIVITY_TYPES:
        return None  # no device's own token takes such a message
    if not starts:
        return Activity(event, state, dismissal)
    kind, attributes = params.pop("attributes-type", None), params.pop("attributes", None)
    if not (isinstance(kind, str) and kind and isinstance(attributes, dict) and state is not None):
        invalid(
            "ActivityEvent start needs ActivityContentState, and in ExtendedParams attributes-type (the name of a "
            "Swift type) and attributes (a JSON object)"
        )
    return Activity(event, state, attributes_type=kind, attributes=attributes)


def _content_state(value: Any) -> dict[str, Any] | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    state = parse_map(value) if isinstance(value, str) else value
    if not isinstance(state, dict):
        invalid('ActivityContentState must be a JSON object, such as {"score":1}')
    return state


def _sms(form: PushForm) -> Sms | None:
    strategy = one_of("SmsStrategy", form.sms_strategy, _SMS_STRATEGIES, 0)
    if not strategy:
        return None
    if not (form.sms_sign_name and form.sms_template_code and form.sms_template_param):
        invalid("SmsSignName, SmsTemplateCode and SmsTemplateParam are required when SmsStrategy is not 0")
    map_of("SmsTemplateParam", form.sms_template_param)
    return Sms(strategy, form.sms_sign_name, form.sms_template_code, form.sms_template_param)


def map_of(name: str, text: str | None) -> dict[str, Any]:
    """The JSON map that a parameter is; empty when it is absent. Raises `Refusal` 3028."""
    if text is None or not text.strip():
        return {}
    value = parse_map(text)
    if value is None:
        invalid(f"{name} must be a JSON map")
    return value


def check_addresses(name: str, text: str | None) -> dict[str, str]:
    """Picture addresses by channel. Raises `Refusal` 3028."""
    addresses = map_of(name, text)
    if not all(isinstance(address, str) for address in addresses.values()):
        invalid(f"{name} must be a JSON map of channel to address")
    if len(addresses) > MAX_ADDRESSES or any(
        len(key) + len(address) > MAX_ADDRESS for key, address in addresses.items()
    ):
        invalid(f"{name} may have {MAX_ADDRESSES} addresses of {MAX_ADDRESS} characters")
    return addresses


def one_of(name: str, value: V | None, allowed: Collection[V], default: V) -> V:
    """The value of a parameter with a documented set. Raises `Refusal` 3028."""
    if value is None or value == "":
        return default
    if value not in allowed:
        invalid(f"{name} must be one of {', '.join(map(str, allowed))}")
    return value


def invalid(hint: str) -> NoReturn:
    """Refuse with 3028 and say what to change."""
    raise Refusal(ResultCode.INVALID_PARAM, hint)
