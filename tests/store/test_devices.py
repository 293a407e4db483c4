"""Devices: registration, reports and state on both databases."""

from __future__ import annotations

import asyncio

import pytest

from clarion.channels.registry import Channel, Platform
from clarion.devices.model import DeviceDetails, VendorToken
from tests.store.system import System


async def test_a_registered_device_can_be_identified(system: System) -> None:
    registration = await system.devices.register(system.app.key, Platform.ANDROID)
    identity = await system.devices.identify(system.app.key, registration.token)
    assert identity is not None
    assert identity.secret == registration.secret.encode()
    assert identity.user_id is None
    assert await system.devices.identify(system.app.key + 1, registration.token) is None
    assert await system.devices.identify(system.app.key, "unknown") is None
    later = await system.restarted()
    assert await later.devices.identify(system.app.key, registration.token) == identity


async def test_a_device_that_never_registered_has_no_identity(system: System) -> None:
    await system.bind("ios-token", "bob")
    assert await system.devices.identify(system.app.key, "ios-token") is None


@pytest.mark.parametrize(
    ("platform", "channel", "online"),
    [
        (Platform.ANDROID, Channel.LINK, False),
        (Platform.IOS, Channel.APNS, None),
        (Platform.HARMONY, Channel.LINK, None),
    ],
)
async def test_state_of_a_bound_device(
    system: System, platform: Platform, channel: Channel, online: bool | None
) -> None:
    await system.devices.bind(system.app.key, "token", "bob", platform, "+86 1380")
    state = await system.devices.state_of_user(system.app.key, "bob")
    assert state is not None
    assert state == await system.devices.state_of_device(system.app.key, "token")
    assert (state.platform, state.channel, state.online, state.user_id) == (platform, channel, online, "bob")
    assert state.vendor_token == ("token" if platform is Platform.IOS else None)
    assert [tuple(row) for row in await system.rows("SELECT phone FROM devices")] == [("+86 1380",)]


async def test_state_follows_the_connection_and_the_latest_binding(system: System) -> None:
    _, first = await system.device("bob", online=True)
    system.clock.advance(1)
    _, second = await system.device("bob")

    async def state() -> tuple[str, bool | None]:
        found = await system.devices.state_of_user(system.app.key, "bob")
        assert found is not None
        return found.token, found.online

    assert await state() == (second, False)
    system.clock.advance(1)
    await system.bind(first, "bob")
    assert await state() == (first, True)
    assert await system.devices.state_of_user(system.app.key, "nobody") is None
    assert await system.devices.state_of_device(system.app.key, "nothing") is None


async def test_a_report_keeps_the_vendor_token_and_the_details(system: System) -> None:
    device, token = await system.device("bob")
    vendor = VendorToken(Channel.HMS, "hms-token")
    await system.devices.report_device(device, vendor, DeviceDetails(model="P60", imei="1"))
    await system.devices.report_device(device, None, DeviceDetails())
    state = await system.devices.state_of_device(system.app.key, token)
    assert state is not None
    assert (state.channel, state.vendor_token, state.user_id) == (Channel.HMS, "hms-token", "bob")
    assert [tuple(row) for row in await system.rows("SELECT details FROM devices")] == [
        ('{"model":"P60","imei":"1"}',)
    ]


async def test_reports_of_one_moment(system: System) -> None:
    """The last one counts, and an unknown token makes one device."""
    vendors = [VendorToken(Channel.FCM, f"t{n}") for n in range(3)]
    reports = [
        system.devices.report(system.app.key, "token", Platform.ANDROID, vendor, DeviceDetails())
        for vendor in vendors
    ]
    await asyncio.gather(*reports)
    state = await system.devices.state_of_device(system.app.key, "token")
    assert state is not None
    assert state.vendor_token == "t2"
    assert await system.count("devices") == 1


async def test_a_device_by_its_number(system: System) -> None:
    device, token = await system.device()
    await system.push("bob")
    await system.devices.bind_device(device, "bob")
    assert await system.owed(device) == ["key"]
    await system.devices.unbind_device(device, "bob")
    assert await system.owed(device) == []
    with pytest.raises(LookupError, match="was deleted"):
        await system.devices.bind_device(device + 1, "bob")
    assert await system.devices.state_of_device(system.app.key, token) is not None
