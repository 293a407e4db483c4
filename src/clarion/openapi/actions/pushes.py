"""PushSimple, PushTemplate, PushMultiple, PushBroadcast, and the parameters that all kinds of push share.

Source: request parameters of the push actions; the names are those on the wire (docs/coverage.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from clarion.openapi.envelopes import Envelope
from clarion.openapi.registry import VERSIONS, Action, Call, Handler
from clarion.openapi.schema import Kind, Parameter
from clarion.pushes.model import BroadcastForm, MultipleForm, PushForm, PushReceipt, SimpleForm, TemplateForm
from clarion.pushes.service import PushService
from clarion.tenants.model import Role

SHARED = (
    Parameter("AppId", required=True),
    Parameter("WorkspaceId", required=True),
    Parameter("TenantId"),
    Parameter("TaskName"),
    Parameter("DeliveryType", Kind.LONG, required=True),
    Parameter("ExpiredSeconds", required=True),
    Parameter("ExtendedParams"),
    Parameter("PushAction", Kind.LONG),
    Parameter("Silent", Kind.LONG),
    Parameter("NotifyType"),
    Parameter("StrategyType", Kind.INT),
    Parameter("StrategyContent"),
    Parameter("Classification"),
    Parameter("ThirdChannelCategory"),
    Parameter("NotifyLevel"),
    Parameter("ChannelId"),
    Parameter("MiChannelId"),
    Parameter("TransparentMessagePayload", Kind.ANY),
    Parameter("TransparentMessageUrgency"),
    Parameter("VendorTemplate"),
)
ACTIVITY = (
    Parameter("ActivityEvent"),
    Parameter("ActivityContentState", Kind.STATE),
    Parameter("DismissalDate", Kind.LONG),
)
SMS = (
    Parameter("SmsStrategy", Kind.INT),
    Parameter("SmsSignName"),
    Parameter("SmsTemplateCode"),
    Parameter("SmsTemplateParam"),
)
SIMPLE = (
    Parameter("Title", required=True),
    Parameter("Content", required=True),
    Parameter("TargetMsgkey", required=True),
    Parameter("PushStyle", Kind.INT),
    Parameter("Uri"),
    Parameter("ImageUrls"),
    Parameter("IconUrls"),
)
TEMPLATE = (
    Parameter("TemplateName", required=True),
    Parameter("TemplateKeyValue"),
    Parameter("TargetMsgkey", required=True),
)

MULTIPLE = (
    Parameter("TemplateName", required=True),
    Parameter("TargetMsg", Kind.STRUCTS, required=True),
)
BROADCAST = (
    Parameter("TemplateName", required=True),
    Parameter("TemplateKeyValue"),
    Parameter("Msgkey", required=True),
    Parameter("PushStatus", Kind.LONG),
    Parameter("BindPeriod", Kind.INT),
    Parameter("UnBindPeriod", Kind.LONG),
    Parameter("TimeMode", Kind.INT),
    Parameter("BindStartTime", Kind.LONG),
    Parameter("BindEndTime", Kind.LONG),
    Parameter("UnBindStartTime", Kind.LONG),
    Parameter("UnBindEndTime", Kind.LONG),
    Parameter("AndroidChannel", Kind.LENIENT),
)

F = TypeVar("F", bound=PushForm)


def push_actions(service: PushService) -> list[Action]:
    """The push actions.

    Args:
        service: accepts the pushes.
    """
    rows = (
        ("PushSimple", (*SHARED, *SIMPLE, *ACTIVITY, *SMS), SimpleForm, service.push_simple),
        ("PushTemplate", (*SHARED, *TEMPLATE, *ACTIVITY, *SMS), TemplateForm, service.push_template),
        ("PushMultiple", (*SHARED, *MULTIPLE, *ACTIVITY), MultipleForm, service.push_multiple),
        ("PushBroadcast", (*SHARED, *BROADCAST), BroadcastForm, service.push_broadcast),
    )
    return [
        Action(name, VERSIONS, Role.PUSH, Envelope.PUSH, parameters, _handler(form, push))  # type: ignore[arg-type]
        for name, parameters, form, push in rows
    ]


def _handler(form: type[F], push: Callable[[F, str], Awaitable[PushReceipt]]) -> Handler:
    async def handle(call: Call) -> dict[str, Any]:
        return _data(await push(msgspec.convert(call.params, form), call.request_id))

    return handle


def _data(receipt: PushReceipt) -> dict[str, Any]:
    return {} if receipt.data is None else {"Data": receipt.data}
