"""The rules of the push actions: pure functions from what was asked to what will be done.

Source: request parameters, limits and result codes of the MPS server APIs (docs/errors.md). The order of the checks
is the order of the documentation's parameter tables, so that one mistake always gives the same code.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, TypeVar

from clarion.channels.message import Activity, PushContent, Sms, encode_content
from clarion.delivery.accept import TargetType
from clarion.devices.model import MAX_USER_ID, check_token
from clarion.pushes.lenient import parse_map
from clarion.pushes.model import PushForm, SimpleForm, Strategy, TemplateForm
from clarion.results import Refusal, ResultCode
from clarion.templates.model import TemplateText, filled
from clarion.text import is_text

MAX_TARGETS = 10
MAX_EXTENDED_PARAMS = 20
MAX_MSG_KEY = 256
MAX_TASK_NAME = 256
MAX_ADDRESSES = 20
MAX_ADDRESS = 2048
"""Most characters of a picture's address with the name of its channel."""
MAX_MESSAGE_BYTES = 2048
"""Size of a whole message on every channel, in bytes of its stored form without the addresses of pictures."""

SYSTEM_PARAMS = frozenset({"notifyType", "action", "silent", "pushType", "templateCode", "channel", "taskId"})
"""Extension parameters that the service sets itself."""

V = TypeVar("V", int, str)

_TARGET_TYPES = {int(kind): kind for kind in TargetType}
_POSITIVE = re.compile(r"0*[1-9][0-9]{0,8}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_STYLES = (0, 1, 2)
_STRATEGIES = tuple(map(int, Strategy))
_FLAGS = (0, 1)
_NOTIFY_TYPES = ("notify", "transparent")
_CLASSIFICATIONS = ("0", "1")
_ACTIVITY_EVENTS = ("update", "end")
_SMS_STRATEGIES = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that an operator may set.

    Attributes:
        max_expired_seconds: longest validity; the documentation names none.
    """

    max_expired_seconds: int = 7 * 24 * 3600


class Target(NamedTuple):
    """One target and the caller's key for its message."""

    target: str
    msg_key: str


class CheckedPush(NamedTuple):
    """A PushSimple or PushTemplate request that kept all rules."""

    task_name: str
    target_type: TargetType
    validity_seconds: int
    targets: tuple[Target, ...]
    content: PushContent


def check_simple(form: SimpleForm, limits: Limits) -> CheckedPush:
    """The push that `form` asks for.

    Raises:
        Refusal: a rule is broken; the hint says which and what to change.
    """
    task_name = check_task_name(form.task_name)
    if not form.title.strip() or not form.content.strip():
        raise Refusal(ResultCode.PAYLOAD_NOT_ENOUGH)
    target_type = check_target_type(form.delivery_type)
    targets = check_targets(form.target_msgkey, target_type)
    seconds = check_validity(form.expired_seconds, limits)
    check_strategy(form)
    content = PushContent(
        title=form.title,
        content=form.content,
        uri=form.uri or "",
        style=_one_of("PushStyle", form.push_style, _STYLES, 0),
        icons=check_addresses("IconUrls", form.icon_urls),
        images=check_addresses("ImageUrls", form.image_urls),
        **shared_content(form),
    )
    check_size(content)
    return CheckedPush(task_name, target_type, seconds, targets, content)


def check_template_name(name: str) -> str:
    """The name of a template, trimmed. Raises `Refusal` 3025 when empty."""
    if not name.strip():
        raise Refusal(ResultCode.NEED_TEMPLATE)
    return name.strip()


def check_template(form: TemplateForm, template: TemplateText | None, limits: Limits) -> CheckedPush:
    """The push that `form` asks for, made with `template` (None: there is no such template).

    Raises:
        Refusal: a rule is broken; the hint says which and what to change.
    """
    task_name = check_task_name(form.task_name)
    check_template_name(form.template_name)
    target_type = check_target_type(form.delivery_type)
    targets = check_targets(form.target_msgkey, target_type)
    seconds = check_validity(form.expired_seconds, limits)
    check_strategy(form)
    if template is None:
        raise Refusal(ResultCode.TEMPLATE_NOT_EXIST, "make it with CreateTemplate, or check TemplateName")
    content = template_content(filled(template, _map("TemplateKeyValue", form.template_key_value)), form)
    check_size(content)
    return CheckedPush(task_name, target_type, seconds, targets, content)


def template_content(text: TemplateText, form: PushForm) -> PushContent:
    """The message of a filled template; what the request says of silence and redirect goes before the template."""
    shared = shared_content(form)
    if form.push_action is None:
        shared["action"] = text.action
    if form.silent is None:
        shared["silent"] = text.silent
    return PushContent(
        title=text.title,
        content=text.content,
        uri=text.uri,
        style=text.style,
        icons=text.icons,
        images=text.images,
        **shared,
    )


def check_task_name(name: str | None) -> str:
    """The task's name. Raises `Refusal` 3019 when empty, 3028 when too long or not text."""
    if name is None or not name.strip():
        raise Refusal(ResultCode.TASKNAME_NULL)
    if len(name) > MAX_TASK_NAME:
        _invalid(f"TaskName has more than {MAX_TASK_NAME} characters")
    if not is_text(name):
        _invalid("TaskName has a character that is not text")
    return name.strip()


def check_target_type(delivery_type: int) -> TargetType:
    """What the targets name. Raises `Refusal` 3009."""
    target_type = _TARGET_TYPES.get(delivery_type)
    if target_type is None:
        raise Refusal(ResultCode.DELIVERY_TYPE_NOT_SUPPORTED, "DeliveryType must be one of 1, 2, 3, 5, 6, 7")
    return target_type


def check_targets(text: str, target_type: TargetType) -> tuple[Target, ...]:
    """Targets and message keys of `TargetMsgkey`. Raises `Refusal` 3021, 3028, 3029, 3054."""
    if not text.strip():
        raise Refusal(ResultCode.TOKEN_OR_USERID_NULL)
    pairs = parse_map(text)
    if pairs is None:
        _invalid('TargetMsgkey must be a JSON map of target to message key, such as {"user1024":"order-1"}')
    if len(pairs) > MAX_TARGETS:
        raise Refusal(
            ResultCode.SINGLE_PUSH_TARGET_TOO_MUCH,
            f"TargetMsgkey has {len(pairs)} entries, {MAX_TARGETS} are allowed; use PushMultiple for more",
        )
    if not pairs:
        raise Refusal(ResultCode.TOKEN_OR_USERID_NULL)
    return tuple(check_target(target, key, target_type) for target, key in pairs.items())


def check_target(target: str, msg_key: Any, target_type: TargetType) -> Target:
    """One target with its message key. Raises `Refusal` 3021, 3028, 3054."""
    if isinstance(msg_key, int | float) and not isinstance(msg_key, bool):
        msg_key = str(msg_key)
    if not target.strip() or msg_key is None or msg_key == "":
        raise Refusal(ResultCode.TOKEN_OR_USERID_NULL)
    if not isinstance(msg_key, str):
        _invalid("a message key must be text")
    if len(msg_key) > MAX_MSG_KEY:
        _invalid(f"a message key has more than {MAX_MSG_KEY} characters")
    if target_type is TargetType.USER:
        if len(target) > MAX_USER_ID:
            _invalid(f"a user id has more than {MAX_USER_ID} characters")
    else:
        check_token(target)
    return Target(target, msg_key)


def check_validity(text: str | None, limits: Limits) -> int:
    """Validity in seconds. Raises `Refusal` 3020, 3026."""
    if not _NUMBER.fullmatch((text or "").strip()):
        raise Refusal(ResultCode.EXPIREDSECONDS_WRONG, "ExpiredSeconds must be a whole number of seconds")
    seconds = int(text or "")
    if seconds <= 0:
        raise Refusal(ResultCode.EXPIREDSECONDS_WRONG, "ExpiredSeconds must be more than 0")
    if seconds > limits.max_expired_seconds:
        raise Refusal(
            ResultCode.EXPIREDTIME_TOO_LONG, f"ExpiredSeconds may be at most {limits.max_expired_seconds}"
        )
    return seconds


def check_strategy(form: PushForm) -> None:
    """Whether the push can be carried out when it is wanted. Raises `Refusal` 3028."""
    strategy = _one_of("StrategyType", form.strategy_type, _STRATEGIES, 0)
    if strategy != Strategy.IMMEDIATE:
        _invalid(
            "timed and cyclic pushes (StrategyType 1, 2) are not available in this version; use StrategyType 0"
        )


def check_extended_params(text: str | None, most: int = MAX_EXTENDED_PARAMS) -> dict[str, Any]:
    """The caller's extension parameters. Raises `Refusal` 3035, 3044, 3058, 3059."""
    if text is None or not text.strip():
        return {}
    params = parse_map(text)
    if params is None:
        raise Refusal(ResultCode.INVALID_EXTEND_PARAM, 'ExtendedParams must be a JSON map, such as {"key":"value"}')
    if len(params) > most:
        raise Refusal(ResultCode.EXTEND_PARAM_TO_MUCH, f"ExtendedParams has {len(params)} keys, {most} are allowed")
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
    return {
        "params": check_extended_params(form.extended_params),
        "action": _one_of("PushAction", form.push_action, _FLAGS, 0),
        "silent": _one_of("Silent", form.silent, _FLAGS, 0),
        "notify_type": _one_of("NotifyType", form.notify_type, _NOTIFY_TYPES, "notify"),
        "classification": _one_of("Classification", form.classification, _CLASSIFICATIONS, "1"),
        "category": _map("ThirdChannelCategory", form.third_channel_category),
        "notify_level": _map("NotifyLevel", form.notify_level),
        "channel_id": form.channel_id or "",
        "mi_channel_id": form.mi_channel_id or "",
        "data_payload": form.transparent_message_payload,
        "data_urgency": form.transparent_message_urgency or "",
        "vendor_template": _map("VendorTemplate", form.vendor_template) or None,
        "activity": _activity(form),
        "sms": _sms(form),
    }


def check_size(content: PushContent) -> None:
    """Whether the message fits in every channel. Raises `Refusal` 3031, 3043, 3050."""
    try:
        text, whole = content.content.encode(), encode_content(content)
    except UnicodeEncodeError:
        raise Refusal(ResultCode.REQUEST_SHOULD_BE_UTF8) from None
    if len(text) > MAX_MESSAGE_BYTES:
        raise Refusal(
            ResultCode.SINGLE_PUSH_CONTENT_TOO_LONG, f"Content is over {MAX_MESSAGE_BYTES} bytes of UTF-8"
        )
    size = len(whole) - _size_of(content.icons) - _size_of(content.images)
    if size > MAX_MESSAGE_BYTES:
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


def _activity(form: PushForm) -> Activity | None:
    if not form.activity_event:
        return None
    event = _one_of("ActivityEvent", form.activity_event, _ACTIVITY_EVENTS, "")
    if form.activity_content_state is not None and not isinstance(form.activity_content_state, dict):
        _invalid("ActivityContentState must be a JSON object")
    return Activity(event, form.activity_content_state, form.dismissal_date)


def _sms(form: PushForm) -> Sms | None:
    strategy = _one_of("SmsStrategy", form.sms_strategy, _SMS_STRATEGIES, 0)
    if not strategy:
        return None
    if not (form.sms_sign_name and form.sms_template_code and form.sms_template_param):
        _invalid("SmsSignName, SmsTemplateCode and SmsTemplateParam are required when SmsStrategy is not 0")
    _map("SmsTemplateParam", form.sms_template_param)
    return Sms(strategy, form.sms_sign_name, form.sms_template_code, form.sms_template_param)


def _map(name: str, text: str | None) -> dict[str, Any]:
    if text is None or not text.strip():
        return {}
    value = parse_map(text)
    if value is None:
        _invalid(f"{name} must be a JSON map")
    return value


def check_addresses(name: str, text: str | None) -> dict[str, str]:
    """Picture addresses by channel. Raises `Refusal` 3028."""
    addresses = _map(name, text)
    if not all(isinstance(address, str) for address in addresses.values()):
        _invalid(f"{name} must be a JSON map of channel to address")
    if len(addresses) > MAX_ADDRESSES or any(
        len(key) + len(address) > MAX_ADDRESS for key, address in addresses.items()
    ):
        _invalid(f"{name} may have {MAX_ADDRESSES} addresses of {MAX_ADDRESS} characters")
    return addresses


def _one_of(name: str, value: V | None, allowed: Collection[V], default: V) -> V:
    if value is None or value == "":
        return default
    if value not in allowed:
        _invalid(f"{name} must be one of {', '.join(map(str, allowed))}")
    return value


def _invalid(hint: str) -> NoReturn:
    raise Refusal(ResultCode.INVALID_PARAM, hint)
