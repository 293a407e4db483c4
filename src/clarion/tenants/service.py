"""Making, listing and ending apps and access keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update

from clarion import ids
from clarion.clock import Clock
from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema import access_keys, apps, catalog, deliveries, devices, settings, templates
from clarion.tenants.directory import app_context, key_context
from clarion.tenants.model import AccessKey, App, Role
from clarion.vault import Vault

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
_CHECK = "vault-check"
_NONCE_KEY = "nonce-key"

_FIND_APP = Query(
    select(apps.c.app).where(apps.c.app_id == bindparam("app_id"), apps.c.workspace_id == bindparam("workspace_id"))
)
_INSERT_APP = Insert(apps, ("app", "app_id", "workspace_id", "tenant_id", "secret", "push_enabled", "created_at"))
_LIST_APPS = Query(
    select(apps.c.app_id, apps.c.workspace_id, apps.c.tenant_id, apps.c.push_enabled, apps.c.created_at).order_by(
        apps.c.app_id, apps.c.workspace_id
    )
)
_DELETE_APP = tuple(
    Query(delete(table).where(table.c.app == bindparam("app"))) for table in (deliveries, devices, templates, apps)
)
_INSERT_KEY = Insert(access_keys, ("key_id", "secret", "role", "app_id", "enabled", "created_at"))
_LIST_KEYS = Query(
    select(
        access_keys.c.key_id,
        access_keys.c.role,
        access_keys.c.app_id,
        access_keys.c.enabled,
        access_keys.c.created_at,
    ).order_by(access_keys.c.created_at, access_keys.c.key_id)
)
_ENABLE_KEY = Query(
    update(access_keys).values(enabled=bindparam("is_enabled")).where(access_keys.c.key_id == bindparam("id"))
)
_CHANGED = Query(update(catalog).values(revision=catalog.c.revision + 1).returning(catalog.c.revision))
_READ_SETTING = Query(select(settings.c.value).where(settings.c.name == bindparam("name")))
_INSERT_SETTING = Insert(settings, ("name", "value"), on_conflict="DO NOTHING")


class NameTaken(ValueError):
    """The name is in use, or is not a name."""


class NotThere(LookupError):
    """Nothing has this name."""


@dataclass(frozen=True, slots=True)
class AppEntry:
    """A row of the list of apps."""

    app_id: str
    workspace_id: str
    tenant_id: str | None
    push_enabled: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A row of the list of access keys; without the secret, which is shown once."""

    key_id: str
    role: Role
    app_id: str | None
    enabled: bool
    created_at: int


class TenantService:
    """Changes to apps and access keys; running servers notice them within a second."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    async def create_app(self, app_id: str, workspace_id: str, tenant_id: str | None = None) -> App:
        """A new app with a new secret.

        Raises:
            NameTaken: the app is there, or a name has characters other than letters, digits, `_`, `.`, `-`.
        """
        for label, name in (("AppId", app_id), ("WorkspaceId", workspace_id)):
            if not _NAME.fullmatch(name):
                raise NameTaken(
                    f"{label} {name!r} is not a name: use 1 to 128 letters, digits, '_', '.' or '-', "
                    "beginning with a letter or digit"
                )
        secret = ids.app_secret()

        async def work(transaction: Transaction) -> App:
            # The revision is the number: a deleted app's number, and with it its messages, is nobody's again.
            app = await change_catalog(transaction)
            if await transaction.fetch_one(_FIND_APP, app_id=app_id, workspace_id=workspace_id):
                raise NameTaken(f"app {app_id} exists in workspace {workspace_id}; `clarion app list` shows it")
            sealed = self._vault.seal(secret.encode(), app_context(app))
            await transaction.insert(
                _INSERT_APP, [(app, app_id, workspace_id, tenant_id, sealed, 1, self._clock.now_ms())]
            )
            return App(app, app_id, workspace_id, secret.encode(), tenant_id)

        return await self._database.write(work)

    async def list_apps(self) -> list[AppEntry]:
        """All apps, by name."""
        rows = await self._fetch(_LIST_APPS)
        return [AppEntry(row[0], row[1], row[2], bool(row[3]), row[4]) for row in rows]

    async def delete_app(self, app_id: str, workspace_id: str) -> None:
        """End an app: its devices and undelivered messages go at once, its history with retention.

        Raises:
            NotThere: there is no such app.
        """

        async def work(transaction: Transaction) -> None:
            await change_catalog(transaction)
            row = await transaction.fetch_one(_FIND_APP, app_id=app_id, workspace_id=workspace_id)
            if row is None:
                raise NotThere(
                    f"no app {app_id} in workspace {workspace_id}; `clarion app list` shows what there is"
                )
            for query in _DELETE_APP:
                await transaction.execute(query, app=row[0])

        await self._database.write(work)

    async def create_key(self, role: Role, app_id: str | None = None) -> AccessKey:
        """A new access key; its secret is not shown again.

        Args:
            role: what it may do.
            app_id: the only app it may act on, or None for all.
        """
        key_id, secret = ids.access_key_id(), ids.access_key_secret()
        await self.import_key(key_id, secret, role, app_id)
        return AccessKey(key_id, secret.encode(), role, app_id)

    async def import_key(self, key_id: str, secret: str, role: Role, app_id: str | None = None) -> None:
        """Take over an access key that callers have already, so that they need not change theirs.

        Raises:
            NameTaken: the id is in use.
        """
        sealed = self._vault.seal(secret.encode(), key_context(key_id))

        async def work(transaction: Transaction) -> None:
            await change_catalog(transaction)
            if any(row[0] == key_id for row in await transaction.fetch(_LIST_KEYS)):
                raise NameTaken(f"access key {key_id} exists")
            await transaction.insert(_INSERT_KEY, [(key_id, sealed, role.value, app_id, 1, self._clock.now_ms())])

        await self._database.write(work)

    async def list_keys(self) -> list[KeyEntry]:
        """All access keys, oldest first."""
        rows = await self._fetch(_LIST_KEYS)
        return [KeyEntry(row[0], Role(row[1]), row[2], bool(row[3]), row[4]) for row in rows]

    async def set_key_enabled(self, key_id: str, *, enabled: bool) -> None:
        """Disable an access key, or enable it again.

        Raises:
            NotThere: there is no such key.
        """

        async def work(transaction: Transaction) -> None:
            await change_catalog(transaction)
            if not await transaction.execute(_ENABLE_KEY, id=key_id, is_enabled=int(enabled)):
                raise NotThere(f"no access key {key_id}; `clarion key list` shows what there is")

        await self._database.write(work)

    async def _fetch(self, query: Query) -> Sequence[Row]:
        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(query)

        return await self._database.read(work)


async def change_catalog(transaction: Transaction) -> int:
    """Raise the catalog's revision; the new one. Changes that run at once wait here for each other."""
    row = await transaction.fetch_one(_CHANGED)
    if row is None:
        raise LookupError("the catalog has no row")
    revision: int = row[0]
    return revision


async def installation_secrets(database: Database, vault: Vault) -> bytes:
    """Check that the master key fits the database (or claim a new one); gives the hash key of nonces.

    Raises:
        ConfigurationError: the database was encrypted with another key.
    """
    fresh = {_CHECK: b"clarion", _NONCE_KEY: bytes.fromhex(ids.app_secret())}

    async def read(transaction: Transaction) -> dict[str, bytes]:
        found = {}
        for name in fresh:
            row = await transaction.fetch_one(_READ_SETTING, name=name)
            if row is not None:
                found[name] = bytes(row[0])
        return found

    async def claim(transaction: Transaction) -> dict[str, bytes]:
        rows = [(name, vault.seal(value, f"settings/{name}")) for name, value in fresh.items()]
        await transaction.insert(_INSERT_SETTING, rows)
        return await read(transaction)

    sealed = await database.read(read)
    if len(sealed) < len(fresh):
        sealed = await database.write(claim)
    opened = {name: vault.open(value, f"settings/{name}") for name, value in sealed.items()}
    return opened[_NONCE_KEY]
