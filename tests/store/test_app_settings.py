"""What an operator may change of apps and keys, on both databases, and when others know it."""

from __future__ import annotations

import pytest

from clarion.results import Refusal
from clarion.tenants.calendar import UnknownTimeZone
from clarion.tenants.directory import Directory
from clarion.tenants.model import MAX_RATE, Role
from clarion.tenants.service import AppChange, NotThere
from tests.store.system import System


async def test_an_app_begins_in_the_zone_that_was_asked_for(system: System) -> None:
    made = await system.tenants.create_app("berlin", "ws", zone="Europe/Berlin")
    await system.directory.refresh()
    assert system.directory.by_number(made.key) == made
    assert system.directory.zone(made.key).key == "Europe/Berlin"
    entry = await system.tenants.find_app("app", "ws")
    assert (entry.time_zone, entry.requests_per_second, entry.push_enabled) == ("Asia/Shanghai", 0, True)
    with pytest.raises(UnknownTimeZone, match="Asia/Shanghai"):
        await system.tenants.create_app("moon", "ws", zone="Moon/Base")
    assert [entry.app_id for entry in await system.tenants.list_apps()] == ["app", "berlin"]


async def test_each_setting_changes_alone(system: System) -> None:
    seen: dict[str, object] = {"tenant_id": None, "push_enabled": True}
    seen |= {"time_zone": "Asia/Shanghai", "requests_per_second": 0}
    await system.tenants.create_app("other", "ws")
    other = await system.tenants.find_app("other", "ws")
    steps: list[tuple[AppChange, dict[str, object]]] = [
        (AppChange(tenant_id="T"), {"tenant_id": "T"}),
        (AppChange(push_enabled=False), {"push_enabled": False}),
        (AppChange(time_zone="Europe/Paris"), {"time_zone": "Europe/Paris"}),
        (AppChange(requests_per_second=MAX_RATE), {"requests_per_second": MAX_RATE}),
        (AppChange(), {}),
        (AppChange(tenant_id="", push_enabled=True, requests_per_second=0),
         {"tenant_id": None, "push_enabled": True, "requests_per_second": 0}),
    ]  # fmt: skip
    for change, then in steps:
        seen |= then
        entry = await system.tenants.change_app("app", "ws", change)
        assert entry == await system.tenants.find_app("app", "ws")
        assert {name: getattr(entry, name) for name in seen} == seen
        await system.directory.refresh()
        app = system.directory.known_app("app", "ws")
        assert {name: getattr(app, name) for name in seen} == seen
    assert await system.tenants.find_app("other", "ws") == other


async def test_what_cannot_be_changes_nothing(system: System) -> None:
    before = await system.tenants.find_app("app", "ws")
    for zone in ("Europe/Berlim", "", "../../etc/passwd", "Europe", "UTC+8"):
        with pytest.raises(UnknownTimeZone):
            await system.tenants.change_app("app", "ws", AppChange(push_enabled=False, time_zone=zone))
    for rate in (-1, MAX_RATE + 1):
        with pytest.raises(ValueError, match="requests a second"):
            await system.tenants.change_app("app", "ws", AppChange(requests_per_second=rate))
    with pytest.raises(NotThere, match="no app app in workspace other"):
        await system.tenants.change_app("app", "other", AppChange(push_enabled=False))
    with pytest.raises(NotThere, match="clarion app list"):
        await system.tenants.find_app("nobody", "ws")
    assert await system.tenants.find_app("app", "ws") == before


async def test_a_key_has_a_limit(system: System) -> None:
    key, other = [await system.tenants.create_key(Role.PUSH) for _ in range(2)]
    await system.tenants.limit_key(key.key_id, 25)
    await system.directory.refresh()
    limits = {entry.key_id: entry.requests_per_second for entry in await system.tenants.list_keys()}
    assert limits == {key.key_id: 25, other.key_id: 0}
    found = await system.directory.find(key.key_id)
    assert found is not None
    assert found.requests_per_second == 25
    with pytest.raises(NotThere, match="clarion key list"):
        await system.tenants.limit_key("nobody", 1)
    with pytest.raises(ValueError, match="requests a second"):
        await system.tenants.limit_key(key.key_id, -1)


async def test_another_process_notices(system: System) -> None:
    elsewhere = Directory(system.database, system.vault, system.clock)
    await elsewhere.refresh()
    assert await elsewhere.refresh() is False
    await system.tenants.change_app("app", "ws", AppChange(push_enabled=False))
    assert await elsewhere.refresh() is True
    app = elsewhere.known_app("app", "ws")
    assert app is not None
    assert not app.push_enabled


async def test_without_the_push_api_only_pushes_stop(system: System) -> None:
    device, token = await system.device("bob")
    await system.push("bob", key="before")
    await system.tenants.change_app("app", "ws", AppChange(push_enabled=False))
    await system.directory.refresh()
    with pytest.raises(Refusal) as refused:
        await system.push("bob", key="meanwhile")
    assert refused.value.result.code == "3032"
    await system.unbind(token, "bob")
    await system.bind(token, "bob")
    assert await system.owed(device) == ["before"]  # what was accepted is delivered
    await system.tenants.change_app("app", "ws", AppChange(push_enabled=True))
    await system.directory.refresh()
    assert (await system.push("bob", key="after")).targets == 1
