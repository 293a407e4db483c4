"""The rules of the push actions: pure functions from what was asked to what will be done.

Source: request parameters, limits and result codes of the MPS server APIs (docs/errors.md). The order of the checks
is the order of the documentation's parameter tables, so that one mistake always gives the same code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from clarion.channels.message import PushContent
from clarion.delivery.accept import TargetType
from clarion.delivery.series import PushKind
from clarion.devices.model import MAX_USER_ID, check_token
from clarion.pushes.content import (
    check_addresses,
    check_extended_params,
    check_size,
    invalid,
    map_of,
    one_of,
    shared_content,
)
from clarion.pushes.lenient import parse_map
from clarion.pushes.model import MultipleForm, PushForm, SimpleForm, Strategy, TemplateForm
from clarion.pushes.plan import Plan, Target
from clarion.results import Refusal, ResultCode
from clarion.templates.model import Filler, Template, TemplateText, filled
from clarion.text import is_text

MAX_TARGETS = 10
MAX_MULTIPLE_TARGETS = 400
MAX_INNER_PARAMS = 10
"""Most extension parameters of one target of a multiple push."""
MAX_MSG_KEY = 256
MAX_TASK_NAME = 256
_TARGET_TYPES = {int(kind): kind for kind in TargetType}
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_STYLES = (0, 1, 2)
_STRATEGIES = tuple(map(int, Strategy))


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that an operator may set.

    Attributes:
        max_expired_seconds: longest validity; the documentation names none.
    """

    max_expired_seconds: int = 7 * 24 * 3600


def check_simple(form: SimpleForm, limits: Limits) -> Plan:
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
        style=one_of("PushStyle", form.push_style, _STYLES, 0),
        icons=check_addresses("IconUrls", form.icon_urls),
        images=check_addresses("ImageUrls", form.image_urls),
        **shared_content(form),
    )
    check_size(content)
    return Plan(PushKind.SIMPLE, task_name, target_type, seconds, (content,), targets)


def check_template_name(name: str) -> str:
    """The name of a template, trimmed. Raises `Refusal` 3025 when empty."""
    if not name.strip():
        raise Refusal(ResultCode.NEED_TEMPLATE)
    return name.strip()


def check_template(form: TemplateForm, template: Template | None, limits: Limits) -> Plan:
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
    content = template_content(filled(template.text, map_of("TemplateKeyValue", form.template_key_value)), form)
    check_size(content)
    return Plan(
        PushKind.TEMPLATE,
        task_name,
        target_type,
        seconds,
        (content,),
        targets,
        template.template,
        template.name,
    )


def check_multiple(form: MultipleForm, template: Template | None, limits: Limits) -> Plan:
    """The push that `form` asks for; every target is checked before any is accepted.

    Raises:
        Refusal: a rule is broken; the hint says which, for which target, and what to change.
    """
    task_name = check_task_name(form.task_name)
    check_template_name(form.template_name)
    target_type = check_target_type(form.delivery_type)
    entries = form.target_msg
    if not entries:
        raise Refusal(ResultCode.TOKEN_OR_USERID_NULL, "TargetMsg.1.Target and TargetMsg.1.MsgKey are missing")
    if len(entries) > MAX_MULTIPLE_TARGETS:
        raise Refusal(
            ResultCode.MULTIPLE_TARGET_NUMBER_TOO_MUCH,
            f"TargetMsg has {len(entries)} entries, {MAX_MULTIPLE_TARGETS} are allowed; send several requests",
        )
    seconds = check_validity(form.expired_seconds, limits)
    check_strategy(form)
    if template is None:
        raise Refusal(ResultCode.TEMPLATE_NOT_EXIST, "make it with CreateTemplate, or check TemplateName")
    base = template_content(template.text, form)
    filler = Filler(template.text)
    targets, contents = [], []
    for entry in entries:
        targets.append(check_target(entry.get("Target", ""), entry.get("MsgKey", ""), target_type))
        contents.append(_content_of(entry, filler, base))
    return Plan(
        PushKind.MULTIPLE,
        task_name,
        target_type,
        seconds,
        tuple(contents),
        tuple(targets),
        template.template,
        template.name,
    )


def _content_of(entry: dict[str, str], filler: Filler, base: PushContent) -> PushContent:
    text = filler.fill(map_of("TargetMsg.N.TemplateKeyValue", entry.get("TemplateKeyValue")))
    inner = check_extended_params(
        entry.get("ExtendedParams"), MAX_INNER_PARAMS, ResultCode.MULTIPLE_INNER_EXTEND_PARAM_TO_MUCH
    )
    content = msgspec.structs.replace(
        base, title=text.title, content=text.content, uri=text.uri, params={**base.params, **inner}
    )
    check_size(content)
    return content


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
        invalid(f"TaskName has more than {MAX_TASK_NAME} characters")
    if not is_text(name):
        invalid("TaskName has a character that is not text")
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
        invalid('TargetMsgkey must be a JSON map of target to message key, such as {"user1024":"order-1"}')
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
    if not isinstance(msg_key, str | bool) and isinstance(msg_key, int | float):
        msg_key = str(msg_key)
    if not target.strip() or msg_key is None or msg_key == "":
        raise Refusal(ResultCode.TOKEN_OR_USERID_NULL)
    if not isinstance(msg_key, str):
        invalid("a message key must be text")
    if len(msg_key) > MAX_MSG_KEY:
        invalid(f"a message key has more than {MAX_MSG_KEY} characters")
    if target_type is TargetType.USER:
        if len(target) > MAX_USER_ID:
            invalid(f"a user id has more than {MAX_USER_ID} characters")
    else:
        check_token(target)
    return Target(target, msg_key)


def check_validity(text: str | None, limits: Limits) -> int:
    """Validity in seconds. Raises `Refusal` 3020, 3026."""
    digits = (text or "").strip()
    if not _NUMBER.fullmatch(digits):
        raise Refusal(ResultCode.EXPIREDSECONDS_WRONG, "ExpiredSeconds must be a whole number of seconds")
    seconds = int(digits)
    if seconds <= 0:
        raise Refusal(ResultCode.EXPIREDSECONDS_WRONG, "ExpiredSeconds must be more than 0")
    if seconds > limits.max_expired_seconds:
        raise Refusal(
            ResultCode.EXPIREDTIME_TOO_LONG, f"ExpiredSeconds may be at most {limits.max_expired_seconds}"
        )
    return seconds


def check_strategy(form: PushForm) -> None:
    """Whether there is such a strategy; `schedules.model` reads what belongs to it. Raises `Refusal` 3028."""
    one_of("StrategyType", form.strategy_type, _STRATEGIES, 0)
