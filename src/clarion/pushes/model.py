"""What a caller asks for, as the request had it; `rules` decides whether it may be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgspec


class Strategy(IntEnum):
    """When a push is carried out (`StrategyType`)."""

    IMMEDIATE = 0
    TIMED = 1
    CYCLIC = 2


class PushForm(msgspec.Struct, rename="pascal", kw_only=True):
    """Parameters that the kinds of push share, as they came: texts are not parsed yet.

    Source: request parameters of PushSimple, PushTemplate, PushMultiple and PushBroadcast. An attribute is the
    parameter of the same name; None means that it was absent.
    """

    app_id: str
    workspace_id: str
    tenant_id: str | None = None
    task_name: str | None = None
    delivery_type: int = 0
    expired_seconds: str | None = None
    extended_params: str | None = None
    push_action: int | None = None
    silent: int | None = None
    notify_type: str | None = None
    strategy_type: int | None = None
    strategy_content: str | None = None
    classification: str | None = None
    third_channel_category: str | None = None
    notify_level: str | None = None
    channel_id: str | None = None
    mi_channel_id: str | None = None
    transparent_message_payload: Any = None
    transparent_message_urgency: str | None = None
    vendor_template: str | None = None
    activity_event: str | None = None
    activity_content_state: Any = None
    dismissal_date: int | None = None
    sms_strategy: int | None = None
    sms_sign_name: str | None = None
    sms_template_code: str | None = None
    sms_template_param: str | None = None


class SimpleForm(PushForm, rename="pascal", kw_only=True):
    """A PushSimple request."""

    title: str = ""
    content: str = ""
    target_msgkey: str = ""
    push_style: int | None = None
    uri: str | None = None
    image_urls: str | None = None
    icon_urls: str | None = None


class TemplateForm(PushForm, rename="pascal", kw_only=True):
    """A PushTemplate request."""

    template_name: str = ""
    template_key_value: str | None = None
    target_msgkey: str = ""


class MultipleForm(PushForm, rename="pascal", kw_only=True):
    """A PushMultiple request. `target_msg`: its entries by field name, in the order of their numbers."""

    template_name: str = ""
    target_msg: list[dict[str, str]] = []


class BroadcastForm(PushForm, rename="pascal", kw_only=True):
    """A PushBroadcast request. `android_channel`: a number, or a word as it came."""

    template_name: str = ""
    template_key_value: str | None = None
    msgkey: str = ""
    push_status: int | None = None
    bind_period: int | None = None
    un_bind_period: int | None = None
    time_mode: int | None = None
    bind_start_time: int | None = None
    bind_end_time: int | None = None
    un_bind_start_time: int | None = None
    un_bind_end_time: int | None = None
    android_channel: int | str | None = None


@dataclass(frozen=True, slots=True)
class PushReceipt:
    """What the caller is told of an accepted push.

    Attributes:
        data: `PushResult.Data`: a task or schedule id, or None.
        targets: how many messages were accepted now.
        repeated: how many were accepted before under the same (target, msgKey).
    """

    data: str | None
    targets: int = 0
    repeated: int = 0
