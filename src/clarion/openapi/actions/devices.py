"""PushBind, PushUnBind, PushReport, PushQueryDeviceState.

Source: request parameters of these actions; codes of OsType and ThirdChannel in `devices.model` and
`channels.registry`.
"""

from __future__ import annotations

from typing import Any

from clarion.channels.registry import Channel, Platform
from clarion.devices.model import (
    DeviceDetails,
    DeviceState,
    check_phone,
    check_token,
    check_user,
    platform_of,
    vendor_token,
)
from clarion.devices.service import DeviceService
from clarion.openapi.actions.scope import require_instance
from clarion.openapi.envelopes import Envelope
from clarion.openapi.registry import Action, Call, Handler
from clarion.openapi.schema import Kind, Parameter
from clarion.pushes.service import require_app
from clarion.results import Refusal, ResultCode
from clarion.tenants.directory import Directory
from clarion.tenants.model import App, Role

_APP = (
    Parameter("AppId", required=True),
    Parameter("WorkspaceId", required=True),
)
_TENANT = Parameter("TenantId")
_TOKEN = Parameter("DeliveryToken", required=True)
_OS_TYPE = Parameter("OsType", Kind.INT, required=True)
_USER = Parameter("UserId", required=True)

_BIND = (*_APP, _USER, _TOKEN, _OS_TYPE, Parameter("PhoneNumber"), _TENANT)
_UNBIND = (*_APP, _USER, _TOKEN, _TENANT)
_REPORT = (
    *_APP,
    _TOKEN,
    _OS_TYPE,
    Parameter("ThirdChannel", Kind.INT),
    Parameter("ThirdChannelDeviceToken"),
    Parameter("AppVersion"),
    Parameter("Channel"),
    Parameter("ConnectType"),
    Parameter("Imei"),
    Parameter("Imsi"),
    Parameter("Model"),
    Parameter("PushVersion"),
    _TENANT,
)
_STATE = (
    Parameter("AppId"),
    Parameter("WorkspaceId"),
    _TENANT,
    Parameter("Target"),
    Parameter("TargetType", Kind.INT),
)

_DEVICE, _USER_ID = 1, 2
"""`TargetType` of PushQueryDeviceState; not the codes of `DeliveryType`."""

_MAX_DETAIL = 128
_STATUES = {True: "ONLINE", False: "OFFLINE", None: "UNKNOW"}


def device_actions(directory: Directory, devices: DeviceService) -> list[Action]:
    """The actions about devices.

    Args:
        directory: finds the app.
        devices: does the work.
    """
    calls = _DeviceCalls(directory, devices)
    newest = ("2020-10-28",)
    newer = ("2020-07-10", "2020-10-28")
    rows: tuple[tuple[str, tuple[str, ...], Role, Envelope, tuple[Parameter, ...], Handler], ...] = (
        ("PushBind", newest, Role.PUSH, Envelope.PUSH, _BIND, calls.bind),
        ("PushUnBind", newest, Role.PUSH, Envelope.PUSH, _UNBIND, calls.unbind),
        ("PushReport", newest, Role.PUSH, Envelope.PUSH, _REPORT, calls.report),
        ("PushQueryDeviceState", newer, Role.READ, Envelope.DEVICE_STATE, _STATE, calls.state),
    )
    return [Action(*row) for row in rows]


class _DeviceCalls:
    def __init__(self, directory: Directory, devices: DeviceService) -> None:
        self._directory = directory
        self._devices = devices

    async def bind(self, call: Call) -> dict[str, Any]:
        values = call.params
        app = await self._app(values)
        user, token = check_user(values["UserId"]), check_token(values["DeliveryToken"])
        phone = check_phone(values.get("PhoneNumber"))
        await self._devices.bind(app.key, token, user, platform_of(values["OsType"]), phone)
        return {}

    async def unbind(self, call: Call) -> dict[str, Any]:
        values = call.params
        app = await self._app(values)
        user, token = check_user(values["UserId"]), check_token(values["DeliveryToken"])
        await self._devices.unbind(app.key, token, user)
        return {}

    async def report(self, call: Call) -> dict[str, Any]:
        values = call.params
        app = await self._app(values)
        token = check_token(values["DeliveryToken"])
        platform = platform_of(values["OsType"])
        address = vendor_token(values.get("ThirdChannel"), values.get("ThirdChannelDeviceToken"))
        await self._devices.report(app.key, token, platform, address, _details(values))
        return {}

    async def state(self, call: Call) -> dict[str, Any]:
        values = call.params
        app = await require_instance(self._directory, values)
        target = values.get("Target", "")
        if not target.strip():
            raise Refusal(ResultCode.TOKEN_OR_USERID_NULL, "Target is empty")
        find = {_DEVICE: self._devices.state_of_device, _USER_ID: self._devices.state_of_user}.get(
            values.get("TargetType", 0)
        )
        if find is None:
            raise Refusal(ResultCode.INVALID_PARAM, "TargetType must be 1 (device id) or 2 (user id)")
        state = await find(app.key, target)
        return {"Data": _known(state) if state else _unknown(target, values["TargetType"])}

    async def _app(self, values: dict[str, Any]) -> App:
        return await require_app(self._directory, values["AppId"], values["WorkspaceId"])


def _details(values: dict[str, Any]) -> DeviceDetails:
    def text(name: str) -> str:
        value: str = values.get(name, "")
        if len(value) > _MAX_DETAIL:
            raise Refusal(ResultCode.INVALID_PARAM, f"{name} has more than {_MAX_DETAIL} characters")
        return value

    return DeviceDetails(
        model=text("Model"),
        app_version=text("AppVersion"),
        push_version=text("PushVersion"),
        connect_type=text("ConnectType"),
        store=text("Channel"),
        imei=text("Imei"),
        imsi=text("Imsi"),
    )


def _known(state: DeviceState) -> dict[str, Any]:
    data: dict[str, Any] = {
        "UserId": state.user_id,
        "DeviceId": state.token,
        "DeliveryToken": state.token,
        "ThirdToken": state.vendor_token,
        "Platform": state.platform.label,
        "Manufacturer": _manufacturer(state),
        "Statue": _STATUES[state.online],
    }
    return {name: value for name, value in data.items() if value is not None}


def _manufacturer(state: DeviceState) -> str:
    if state.channel is Channel.LINK and state.platform is not Platform.ANDROID:
        return state.platform.label
    return state.channel.manufacturer


def _unknown(target: str, target_type: int) -> dict[str, Any]:
    # Documented words, so that a caller who reads a member of Data is not surprised by its absence.
    name = "DeviceId" if target_type == _DEVICE else "UserId"
    return {name: target, "Manufacturer": "unknown", "Statue": "UNKNOW"}
