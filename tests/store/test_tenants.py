"""Apps and keys: changed by one process, seen by all."""

from __future__ import annotations

import asyncio

import pytest

from clarion.clock import ManualClock
from clarion.failures import ConfigurationError
from clarion.store.database import Database, Work
from clarion.store.opening import open_database
from clarion.tenants.directory import Directory
from clarion.tenants.model import Role
from clarion.tenants.service import NameTaken, NotThere, TenantService, installation_secrets
from clarion.vault import Vault
from tests.store.system import KEY, System


class CountingDatabase:
    """Counts the reads of a database."""

    def __init__(self, database: Database) -> None:
        self.backend = database.backend
        self.inner = database
        self.reads = 0

    async def read(self, work: Work[object]) -> object:
        self.reads += 1
        return await self.inner.read(work)

    async def write(self, work: Work[object]) -> object:
        return await self.inner.write(work)

    async def close(self) -> None:
        await self.inner.close()


async def test_an_app_is_found_with_its_secret(system: System) -> None:
    made = await system.tenants.create_app("shop", "default", "TENANT")
    assert len(made.secret) == 64
    await system.directory.refresh()
    assert await system.directory.find_app("shop", "default") == made
    assert await system.directory.find_app("shop", "other") is None
    assert [(entry.app_id, entry.tenant_id) for entry in await system.tenants.list_apps()] == [
        ("app", None),
        ("shop", "TENANT"),
    ]


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a/b", "世", "a" * 129, "a\n"])
async def test_names_have_a_form(system: System, name: str) -> None:
    with pytest.raises(NameTaken, match="is not a name"):
        await system.tenants.create_app(name, "ws")
    with pytest.raises(NameTaken, match="is not a name"):
        await system.tenants.create_app("app", name)


async def test_a_name_is_given_once(system: System, database_url: str) -> None:
    with pytest.raises(NameTaken, match="app app exists"):
        await system.tenants.create_app("app", "ws")
    other = await open_database(database_url)
    services = [TenantService(base, system.vault, system.clock) for base in (system.database, other)] * 3
    results = await asyncio.gather(*(service.create_app("b", "ws") for service in services), return_exceptions=True)
    assert sum(isinstance(result, NameTaken) for result in results) == 5
    many = await asyncio.gather(*(service.create_app(f"c{n}", "ws") for n, service in enumerate(services)))
    assert len({app.key for app in many}) == 6
    await other.close()


async def test_a_deleted_app_leaves_nothing_to_the_next(system: System) -> None:
    await system.device("bob")
    await system.push("bob")
    await system.push("amy")
    await system.tenants.delete_app("app", "ws")
    assert await system.count("devices") == await system.count("deliveries") == 0
    with pytest.raises(NotThere, match="no app app"):
        await system.tenants.delete_app("app", "ws")
    old = system.app
    system.app = await system.tenants.create_app("app", "ws")
    await system.directory.refresh()
    assert system.app.key != old.key
    assert system.app.secret != old.secret
    device, token = await system.device("amy")
    assert await system.owed(device) == []
    assert (await system.push("bob")).repeated == 0
    assert await system.devices.state_of_device(old.key, token) is None


async def test_keys(system: System) -> None:
    admin = await system.tenants.create_key(Role.ADMIN)
    system.clock.advance(1)
    await system.tenants.import_key("LTAI", "known secret", Role.PUSH, "app")
    await system.directory.refresh()
    assert await system.directory.find(admin.key_id) == admin
    known = await system.directory.find("LTAI")
    assert known is not None
    assert (known.secret, known.role, known.app_id, known.enabled) == (b"known secret", Role.PUSH, "app", True)
    assert [entry.key_id for entry in await system.tenants.list_keys()] == [admin.key_id, "LTAI"]
    await system.tenants.set_key_enabled("LTAI", enabled=False)
    await system.directory.refresh()
    known = await system.directory.find("LTAI")
    assert known is not None
    assert not known.enabled
    await system.tenants.set_key_enabled("LTAI", enabled=True)
    with pytest.raises(NameTaken):
        await system.tenants.import_key("LTAI", "another", Role.READ)
    with pytest.raises(NotThere):
        await system.tenants.set_key_enabled("missing", enabled=False)
    shown = repr([admin, known, await system.tenants.list_keys()])
    assert admin.secret.decode() not in shown
    assert "known secret" not in shown


async def test_secrets_are_sealed_in_the_database(system: System) -> None:
    ((stored,),) = await system.rows("SELECT secret FROM apps")
    assert system.app.secret not in bytes(stored)
    await system.device()
    ((device_secret,),) = await system.rows("SELECT secret FROM devices")
    assert bytes(device_secret)[0] == 1


class TestDirectory:
    async def test_another_process_sees_a_change_after_a_refresh(self, system: System) -> None:
        directory = Directory(system.database, system.vault, system.clock)
        assert await directory.refresh() is True
        assert await directory.refresh() is False
        await system.tenants.create_app("new", "ws")
        assert await directory.find_app("new", "ws") is None
        assert await directory.refresh() is True
        assert await directory.find_app("new", "ws") is not None
        assert sorted(app.app_id for app in directory.apps) == ["app", "new"]
        await system.tenants.delete_app("new", "ws")
        await directory.refresh()
        assert await directory.find_app("new", "ws") is None

    async def test_an_unknown_name_is_looked_for(self, system: System, clock: ManualClock) -> None:
        directory = Directory(system.database, system.vault, clock)
        assert await directory.find_app("app", "ws") is not None
        await system.tenants.create_app("new", "ws")
        key = await system.tenants.create_key(Role.READ)
        clock.advance(0.1)
        assert await directory.find(key.key_id) == key
        assert await directory.find_app("new", "ws") is not None

    async def test_a_flood_of_unknown_names_is_no_flood_of_queries(
        self, system: System, clock: ManualClock
    ) -> None:
        database = CountingDatabase(system.database)
        directory = Directory(database, system.vault, clock)  # type: ignore[arg-type]
        for _ in range(10):
            for n in range(100):
                assert await directory.find(f"key{n}") is None
                assert await directory.find_app(f"app{n}", "ws") is None
            clock.advance(0.05)
        assert database.reads <= 6
        assert await directory.find_app("app", "ws") is not None


class TestInstallation:
    async def test_the_key_fits_or_is_named(self, database: Database) -> None:
        secret = await installation_secrets(database, Vault(KEY))
        assert len(secret) == 32
        assert await installation_secrets(database, Vault(KEY)) == secret
        with pytest.raises(ConfigurationError, match="master key does not fit this database"):
            await installation_secrets(database, Vault(bytes(32)))

    async def test_two_processes_claim_one_secret(self, database: Database, database_url: str) -> None:
        other = await open_database(database_url)
        secrets = await asyncio.gather(*(installation_secrets(base, Vault(KEY)) for base in (database, other) * 3))
        assert len(set(secrets)) == 1
        await other.close()


async def test_the_catalog_changes_with_its_tables(system: System) -> None:
    """A change that failed is not announced."""

    async def revision() -> int:
        return int((await system.rows("SELECT revision FROM catalog"))[0][0])

    before = await revision()
    with pytest.raises(NameTaken):
        await system.tenants.create_app("app", "ws")
    with pytest.raises(NotThere):
        await system.tenants.delete_app("missing", "ws")
    assert await revision() == before
    await system.tenants.create_key(Role.READ)
    assert await revision() == before + 1
