"""The channels of apps, on both databases: kept sealed, told to other processes, gone with their app."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from clarion.channels.base import Check
from clarion.channels.opening import MAX_FILE, WrongSettings
from clarion.channels.sms import SmsChannel
from clarion.failures import ConfigurationError
from clarion.tenants import channels as channel_settings
from clarion.tenants.channels import ChannelSettingsService, days_left
from clarion.tenants.directory import Directory
from clarion.tenants.service import NotThere
from clarion.vault import Vault
from tests.store.system import System

SECRET = "very-secret-access-key"
FILE: dict[str, Any] = {"accessKeyId": "LTAI1", "accessKeySecret": SECRET, "baseUrl": "http://127.0.0.1:1"}


def content(**changes: Any) -> bytes:
    return json.dumps({**FILE, **changes}, indent=2).encode()


@pytest.fixture
def service(system: System) -> ChannelSettingsService:
    return ChannelSettingsService(system.database, system.vault, system.clock)


async def test_from_birth_to_death(system: System, service: ChannelSettingsService) -> None:
    app, other = system.app.key, Directory(system.database, system.vault, system.clock)
    await other.refresh()
    assert other.channels(app) == frozenset()
    assert other.channel_revision(app, "sms") is None
    made = await service.set(app, "sms", content())
    assert (made.label, made.enabled) == ("sms", True)
    assert made.created_at == made.updated_at == system.clock.now_ms()
    assert await service.list(app) == [made]
    assert await other.refresh()
    assert other.channels(app) == {"sms"}
    first = other.channel_revision(app, "sms")
    assert first is not None

    system.clock.advance(60)
    changed = await service.set(app, "sms", content(region="cn-beijing"))
    assert changed.created_at == made.created_at
    assert changed.updated_at == made.updated_at + 60_000
    assert changed.fingerprint != made.fingerprint
    await other.refresh()
    second = other.channel_revision(app, "sms")
    assert second is not None
    assert second > first

    await service.set_enabled(app, "sms", enabled=False)
    await other.refresh()
    assert other.channels(app) == frozenset()
    assert other.channel_revision(app, "sms") is None
    assert [entry.enabled for entry in await service.list(app)] == [False]
    await service.set_enabled(app, "sms", enabled=True)
    await other.refresh()
    assert other.channels(app) == {"sms"}

    await service.delete(app, "sms")
    await other.refresh()
    assert other.channels(app) == frozenset()
    assert await service.list(app) == []


async def test_a_disabled_channel_that_is_set_anew_is_enabled(
    system: System, service: ChannelSettingsService
) -> None:
    await service.set(system.app.key, "sms", content())
    await service.set_enabled(system.app.key, "sms", enabled=False)
    await service.set(system.app.key, "sms", content())
    assert [entry.enabled for entry in await service.list(system.app.key)] == [True]


async def test_channels_of_other_apps_stay_apart(system: System, service: ChannelSettingsService) -> None:
    other = (await system.tenants.create_app("other", "ws")).key
    await service.set(system.app.key, "sms", content())
    await service.set(other, "sms", content(accessKeyId="LTAI2"))
    await service.delete(other, "sms")
    await system.directory.refresh()
    assert system.directory.channels(system.app.key) == {"sms"}
    assert system.directory.channels(other) == frozenset()


async def test_an_app_takes_its_channels_with_it(system: System, service: ChannelSettingsService) -> None:
    await service.set(system.app.key, "sms", content())
    await system.tenants.delete_app("app", "ws")
    assert await system.count("channels") == 0
    with pytest.raises(NotThere):
        await service.set(system.app.key, "sms", content())
    assert await system.count("channels") == 0


async def test_the_database_has_no_secret(system: System, service: ChannelSettingsService) -> None:
    await service.set(system.app.key, "sms", content())
    ((sealed,),) = await system.rows("SELECT settings FROM channels")
    for hidden in (SECRET, "LTAI1", "accessKeySecret"):
        assert hidden.encode() not in bytes(sealed)
    (entry,) = await service.list(system.app.key)
    assert SECRET not in repr(entry)


async def test_a_sealed_file_opens_in_its_place_alone(system: System, service: ChannelSettingsService) -> None:
    await service.set(system.app.key, "sms", content())
    other = (await system.tenants.create_app("other", "ws")).key
    await service.set(other, "sms", content())
    found = await system.rows("SELECT app, settings FROM channels ORDER BY app")
    sealed = {int(app): bytes(value) for app, value in found}
    place = channel_settings.channel_context(system.app.key, "sms")
    assert SECRET.encode() in system.vault.open(sealed[system.app.key], place)
    with pytest.raises(ConfigurationError):
        system.vault.open(sealed[other], place)
    stranger = ChannelSettingsService(system.database, Vault(bytes(32)), system.clock)
    with pytest.raises(ConfigurationError, match="master key"):
        await stranger.open(system.app.key, "sms")


async def test_order_and_blanks_make_no_other_fingerprint(system: System, service: ChannelSettingsService) -> None:
    one = await service.set(system.app.key, "sms", content())
    two = await service.set(system.app.key, "sms", json.dumps(dict(reversed(FILE.items()))).encode())
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize(
    ("label", "file", "said"),
    [
        ("pigeon", content(), "there is no channel 'pigeon'; there are apns, "),
        ("sms", b"{", "one JSON object"),
        ("sms", b"[]", "one JSON object"),
        ("sms", b"\xff", "one JSON object"),
        ("sms", b'{"a":' * 50_000, "one JSON object"),
        ("sms", b" " * (MAX_FILE + 1), "at most"),
        ("sms", b"{}", "accessKeyId"),
        ("sms", content(baseUrl=7), "baseUrl"),
        ("sms", content(accessKeySecret=[SECRET]), "accessKeySecret"),
        ("sms", content(extra=SECRET), "extra"),
    ],
)
async def test_wrong_files_change_nothing(
    system: System, service: ChannelSettingsService, label: str, file: bytes, said: str
) -> None:
    before = await service.set(system.app.key, "sms", content())
    with pytest.raises(WrongSettings) as caught:
        await service.set(system.app.key, label, file)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)
    assert await service.list(system.app.key) == [before]


async def test_what_is_not_there(system: System, service: ChannelSettingsService) -> None:
    app = system.app.key
    revision = await system.rows("SELECT revision FROM catalog")
    for work in (
        service.set_enabled(app, "sms", enabled=True),
        service.delete(app, "sms"),
        service.open(app, "sms"),
        service.check(app, "sms"),
    ):
        with pytest.raises(NotThere, match="no channel sms"):
            await work
    assert await system.rows("SELECT revision FROM catalog") == revision


async def test_opening(system: System, service: ChannelSettingsService) -> None:
    await service.set(system.app.key, "sms", content())
    channel = await service.open(system.app.key, "sms")
    assert isinstance(channel, SmsChannel)
    await channel.close()
    await service.set(system.app.key, "sms", content(caFile="/nowhere/ca.pem"))
    with pytest.raises(WrongSettings, match="caFile"):
        await service.open(system.app.key, "sms")
    check = await service.check(system.app.key, "sms")
    assert not check.ok
    assert "caFile" in check.text


async def test_checks(system: System, service: ChannelSettingsService, monkeypatch: pytest.MonkeyPatch) -> None:
    app = system.app.key
    await service.set(app, "sms", content())
    ((label, check),) = await service.check_all([(app, "sms")])
    assert (label, check.ok, check.reached) == ("sms", False, False)

    closed = []

    async def silent(_: SmsChannel) -> Check:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def close(channel: SmsChannel) -> None:
        closed.append(channel)

    monkeypatch.setattr(SmsChannel, "check", silent)
    monkeypatch.setattr(SmsChannel, "close", close)
    monkeypatch.setattr(channel_settings, "CHECK_SECONDS", 0.01)
    check = await service.check(app, "sms")
    assert (check.ok, check.reached) == (False, False)
    assert len(closed) == 1


@pytest.mark.parametrize(
    ("seconds", "days"),
    [(None, None), (16 * 86_400, None), (15 * 86_400, 15), (86_399, 0), (0, 0), (-1, -1), (-86_401, -2)],
)
def test_when_a_certificate_is_worth_a_warning(seconds: int | None, days: int | None) -> None:
    now = 1_795_000_000_000
    check = Check(ok=True, text="", expires_at=None if seconds is None else now + seconds * 1000)
    assert days_left(check, now) == days
