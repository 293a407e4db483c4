"""The rules of PushBroadcast: pure functions from what was asked to what will be done.

Source: request parameters and result codes of PushBroadcast (docs/errors.md). The order of the checks is that of
`pushes.rules`. Where the documentation leaves something open: an absent BindPeriod means 4 (published samples omit
it), TimeMode 1 stands for the explicit ranges, AndroidChannel 1 for the self-built channel and 2 for the vendor's.
"""

from __future__ import annotations

import msgspec

from clarion.channels.message import LINK_ONLY
from clarion.delivery.accept import TargetType
from clarion.delivery.broadcasts.model import Announcement, Audience, Reach, Window
from clarion.delivery.series import PushKind
from clarion.pushes.content import check_size, invalid, map_of, one_of
from clarion.pushes.model import BroadcastForm
from clarion.pushes.plan import Plan
from clarion.pushes.rules import (
    MAX_MSG_KEY,
    Limits,
    check_strategy,
    check_target_type,
    check_task_name,
    check_template_name,
    check_validity,
    template_content,
)
from clarion.results import Refusal, ResultCode
from clarion.templates.model import Template, filled
from clarion.text import is_text

PERIODS: dict[int, int | None] = {1: 7, 2: 15, 3: 60, 4: None}
"""Days of BindPeriod and UnBindPeriod; None: whenever it was."""

_BROADCAST_TYPES = frozenset({TargetType.ANDROID, TargetType.IOS, TargetType.HARMONY})
_REACHES = tuple(map(int, Reach))
_PERIOD_MODE, _RANGE_MODE = 0, 1
_SELF_BUILT, _VENDOR = 1, 2
_CHANNELS: dict[int | str, int] = {
    0: 0,
    "": 0,
    _SELF_BUILT: _SELF_BUILT,
    "transparent": _SELF_BUILT,
    _VENDOR: _VENDOR,
    "notify": _VENDOR,
}
_NOTIFY_TYPES = {_SELF_BUILT: "transparent", _VENDOR: "notify"}
_LATEST = 1 << 52


def check_broadcast(form: BroadcastForm, template: Template | None, limits: Limits) -> Plan:
    """The push that `form` asks for, made with `template` (None: there is no such template).

    Raises:
        Refusal: a rule is broken; the hint says which and what to change.
    """
    task_name = check_task_name(form.task_name)
    check_template_name(form.template_name)
    target_type = check_target_type(form.delivery_type)
    if target_type not in _BROADCAST_TYPES:
        raise Refusal(ResultCode.BROADCAST_ONLY_SUPPORT_BY_DEVICE, "DeliveryType must be one of 1, 2, 7")
    msg_key = _check_msg_key(form.msgkey)
    seconds = check_validity(form.expired_seconds, limits)
    audience = _audience(form)
    channel = _check_channel(form, target_type, audience.reach)
    check_strategy(form)
    if template is None:
        raise Refusal(ResultCode.TEMPLATE_NOT_EXIST, "make it with CreateTemplate, or check TemplateName")
    content = template_content(filled(template.text, map_of("TemplateKeyValue", form.template_key_value)), form)
    if channel in _NOTIFY_TYPES:
        content = msgspec.structs.replace(content, notify_type=_NOTIFY_TYPES[channel])
    check_size(content)
    return Plan(
        PushKind.BROADCAST,
        task_name,
        target_type,
        seconds,
        (content,),
        template=template.template,
        template_name=template.name,
        announcement=Announcement(msg_key, audience),
    )


def _check_msg_key(msg_key: str) -> str:
    if not msg_key.strip():
        raise Refusal(ResultCode.TOKEN_OR_USERID_NULL, "Msgkey is empty")
    if len(msg_key) > MAX_MSG_KEY:
        invalid(f"Msgkey has more than {MAX_MSG_KEY} characters")
    if not is_text(msg_key):
        invalid("Msgkey has a character that is not text")
    return msg_key


def _audience(form: BroadcastForm) -> Audience:
    reach = Reach(one_of("PushStatus", form.push_status, _REACHES, int(Reach.LOGGED_IN)))
    mode = one_of("TimeMode", form.time_mode, (_PERIOD_MODE, _RANGE_MODE), _PERIOD_MODE)
    bound, unbound = (_bound_period, _unbound_period) if mode == _PERIOD_MODE else (_bound_range, _unbound_range)
    return Audience(
        reach,
        bound(form) if reach.bound else Window(),
        unbound(form) if reach.unbound else Window(),
    )


def _bound_period(form: BroadcastForm) -> Window:
    return Window(days=PERIODS[one_of("BindPeriod", form.bind_period, PERIODS, 4)])


def _unbound_period(form: BroadcastForm) -> Window:
    if form.un_bind_period is None:
        raise Refusal(ResultCode.BROADCAST_ALL_USER_NEED_UNBIND_PERIOD, "UnBindPeriod must be one of 1, 2, 3, 4")
    if form.un_bind_period not in PERIODS:
        raise Refusal(ResultCode.BROADCAST_ALL_USER_UNBIND_PERIOD_INVALID, "UnBindPeriod must be one of 1, 2, 3, 4")
    return Window(days=PERIODS[form.un_bind_period])


def _bound_range(form: BroadcastForm) -> Window:
    if not _is_range(form.bind_start_time, form.bind_end_time):
        invalid("BindStartTime and BindEndTime must be times in ms, the first not after the second")
    return Window(since=form.bind_start_time, until=form.bind_end_time)


def _unbound_range(form: BroadcastForm) -> Window:
    since, until = form.un_bind_start_time, form.un_bind_end_time
    if since is None and until is None:
        raise Refusal(
            ResultCode.BROADCAST_ALL_USER_NEED_UNBIND_PERIOD, "UnBindStartTime and UnBindEndTime are missing"
        )
    if not _is_range(since, until):
        raise Refusal(
            ResultCode.BROADCAST_ALL_USER_UNBIND_PERIOD_INVALID,
            "UnBindStartTime and UnBindEndTime must be times in ms, the first not after the second",
        )
    return Window(since=since, until=until)


def _is_range(since: int | None, until: int | None) -> bool:
    return 0 <= (since or 0) <= (_LATEST if until is None else until) <= _LATEST


def _check_channel(form: BroadcastForm, target_type: TargetType, reach: Reach) -> int:
    asked = form.android_channel
    channel = _CHANNELS.get(asked.strip().lower() if isinstance(asked, str) else asked or 0)
    if channel is None:
        raise Refusal(
            ResultCode.ANDROID_CHANNEL_PARAM_INVALID, "AndroidChannel must be one of 0, 1, 2, transparent, notify"
        )
    link_only = channel == _SELF_BUILT or form.notify_type == LINK_ONLY
    if link_only and target_type is TargetType.ANDROID and reach.unbound:
        raise Refusal(
            ResultCode.BROADCAST_ALL_USER_NOT_SUPPORT_SELFCHANNEL_ANDROID,
            "use AndroidChannel 0 or 2 and NotifyType notify, or PushStatus 0",
        )
    return channel
