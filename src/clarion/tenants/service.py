"""Making, listing and ending apps and access keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import bindparam, delete, select, update

from clarion import ids
from clarion.clock import Clock
from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema import access_keys, apps, catalog, channels, deliveries, devices, settings, templates
from clarion.store.schema_campaigns import callbacks, fires, revocations, schedules
from clarion.store.schema_vendors import (
    activities,
    broadcast_parts,
    channel_days,
    channel_notices,
    phones,
    supplements,
)
from clarion.tenants.calendar import DEFAULT_TIME_ZONE, time_zone
from clarion.tenants.directory import app_context, key_context
from clarion.tenants.model import MAX_RATE, AccessKey, App, Role
from clarion.vault import Vault

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
_CHECK = "vault-check"
_NONCE_KEY = "nonce-key"

_FIND_APP = Query(
    select(apps.c.app).where(apps.c.app_id == bindparam("app_id"), apps.c.workspace_id == bindparam("workspace_id"))
)
_INSERT_APP = Insert(
    apps, ("app", "app_id", "workspace_id", "tenant_id", "secret", "push_enabled", "time_zone", "created_at")
)
_ENTRIES = select(
    apps.c.app_id,
    apps.c.workspace_id,
    apps.c.tenant_id,
    apps.c.push_enabled,
    apps.c.time_zone,
    apps.c.requests_per_second,
    apps.c.created_at,
)
_LIST_APPS = Query(_ENTRIES.order_by(apps.c.app_id, apps.c.workspace_id))
_ENTRY = Query(
    _ENTRIES.where(apps.c.app_id == bindparam("app_id"), apps.c.workspace_id == bindparam("workspace_id"))
)
_CHANGE_APP = Query(
    update(apps)
    .values(
        tenant_id=bindparam("tenant"),
        push_enabled=bindparam("is_enabled"),
        time_zone=bindparam("zone"),
        requests_per_second=bindparam("rate"),
    )
    .where(apps.c.app_id == bindparam("id"), apps.c.workspace_id == bindparam("workspace"))
)
_DELETE_APP = tuple(
    Query(delete(table).where(table.c.app == bindparam("app")))
    for table in (
        fires,
        schedules,
        deliveries,
        revocations,
        callbacks,
        activities,
        broadcast_parts,
        supplements,
        phones,
        devices,
        templates,
        channel_notices,
        channel_days,
        channels,
        apps,
    )
)
_INSERT_KEY = Insert(access_keys, ("key_id", "secret", "role", "app_id", "enabled", "created_at"))
_LIST_KEYS = Query(
    select(
        access_keys.c.key_id,
        access_keys.c.role,
        access_keys.c.app_id,
        access_keys.c.enabled,
        access_keys.c.requests_per_second,
        access_keys.c.created_at,
    ).order_by(access_keys.c.created_at, access_keys.c.key_id)
)
_ENABLE_KEY = Query(
    update(access_keys).values(enabled=bindparam("is_enabled")).where(access_keys.c.key_id == bindparam("id"))
)
_LIMIT_KEY = Query(
    update(access_keys).values(requests_per_second=bindparam("rate")).where(access_keys.c.key_id == bindparam("id"))
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
    time_zone: str
    requests_per_second: int
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AppChange:
    """What is to become different of an app; None stays as it is.

    Attributes:
        tenant_id: `TenantId` of newer clients; an empty one accepts any.
        push_enabled: the push API switch.
        time_zone: IANA name of the zone of its schedules and of the days of its statistics.
        requests_per_second: rate limit up to `MAX_RATE`; 0 for the general one.
    """

    tenant_id: str | None = None
    push_enabled: bool | None = None
    time_zone: str | None = None
    requests_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A row of the list of access keys; without the secret, which is shown once."""

    key_id: str
    role: Role
    app_id: str | None
    enabled: bool
    requests_per_second: int
    created_at: int


class TenantService:
    """Changes to apps and access keys; running servers notice them within a second."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    async def create_app(
        self, app_id: str, workspace_id: str, tenant_id: str | None = None, zone: str = DEFAULT_TIME_ZONE
    ) -> App:
        """A new app with a new secret.

        Raises:
            NameTaken: the app is there, or a name has characters other than letters, digits, `_`, `.`, `-`.
            UnknownTimeZone: there is no such zone.
        """
        time_zone(zone)
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
                _INSERT_APP, [(app, app_id, workspace_id, tenant_id, sealed, 1, zone, self._clock.now_ms())]
            )
            return App(app, app_id, workspace_id, secret.encode(), tenant_id, time_zone=zone)

        return await self._database.write(work)

    async def list_apps(self) -> list[AppEntry]:
        """All apps, by name."""
        return [_entry(row) for row in await self._fetch(_LIST_APPS)]

    async def find_app(self, app_id: str, workspace_id: str) -> AppEntry:
        """One app.

        Raises:
            NotThere: there is no such app.
        """

        async def work(transaction: Transaction) -> AppEntry:
            return await _require_entry(transaction, app_id, workspace_id)

        return await self._database.read(work)

    async def change_app(self, app_id: str, workspace_id: str, change: AppChange) -> AppEntry:
        """Change settings of an app; the app as it is then.

        Raises:
            NotThere: there is no such app.
            UnknownTimeZone: there is no such zone.
            ValueError: a limit that is none.
        """
        wanted = {name: value for name, value in asdict(change).items() if value is not None}
        if change.time_zone is not None:
            time_zone(change.time_zone)
        if change.requests_per_second is not None:
            _check_rate(change.requests_per_second)
        if change.tenant_id == "":
            wanted["tenant_id"] = None

        async def work(transaction: Transaction) -> AppEntry:
            await change_catalog(transaction)  # also the gate between reading and writing
            entry = replace(await _require_entry(transaction, app_id, workspace_id), **wanted)
            await transaction.execute(
                _CHANGE_APP,
                id=app_id,
                workspace=workspace_id,
                tenant=entry.tenant_id,
                is_enabled=int(entry.push_enabled),
                zone=entry.time_zone,
                rate=entry.requests_per_second,
            )
            return entry

        return await self._database.write(work)

    async def delete_app(self, app_id: str, workspace_id: str) -> None:
        """End an app: its devices and undelivered messages go at once, its history with retention.

        Raises:
            NotThere: there is no such app.
        """

        async def work(transaction: Transaction) -> None:
            await change_catalog(transaction)
            row = await transaction.fetch_one(_FIND_APP, app_id=app_id, workspace_id=workspace_id)
            if row is None:
                raise _no_app(app_id, workspace_id)
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
        return [KeyEntry(row[0], Role(row[1]), row[2], bool(row[3]), row[4], row[5]) for row in rows]

    async def set_key_enabled(self, key_id: str, *, enabled: bool) -> None:
        """Disable an access key, or enable it again.

        Raises:
            NotThere: there is no such key.
        """
        await self._change_key(_ENABLE_KEY, key_id, is_enabled=int(enabled))

    async def limit_key(self, key_id: str, requests_per_second: int) -> None:
        """Give an access key a rate limit of its own, up to `MAX_RATE`; 0 for the general one.

        Raises:
            NotThere: there is no such key.
            ValueError: a limit that is none.
        """
        await self._change_key(_LIMIT_KEY, key_id, rate=_check_rate(requests_per_second))

    async def _change_key(self, query: Query, key_id: str, **values: int) -> None:
        async def work(transaction: Transaction) -> None:
            await change_catalog(transaction)
            if not await transaction.execute(query, id=key_id, **values):
                raise NotThere(f"no access key {key_id}; `clarion key list` shows what there is")

        await self._database.write(work)

    async def _fetch(self, query: Query) -> Sequence[Row]:
        async def work(transaction: Transaction) -> Sequence[Row]:
            return await transaction.fetch(query)

        return await self._database.read(work)


def _entry(row: Row) -> AppEntry:
    app_id, workspace_id, tenant_id, push_enabled, zone, rate, created_at = row
    return AppEntry(app_id, workspace_id, tenant_id, bool(push_enabled), zone, rate, created_at)


async def _require_entry(transaction: Transaction, app_id: str, workspace_id: str) -> AppEntry:
    row = await transaction.fetch_one(_ENTRY, app_id=app_id, workspace_id=workspace_id)
    if row is None:
        raise _no_app(app_id, workspace_id)
    return _entry(row)


def _no_app(app_id: str, workspace_id: str) -> NotThere:
    return NotThere(f"no app {app_id} in workspace {workspace_id}; `clarion app list` shows what there is")


def _check_rate(requests_per_second: int) -> int:
    if not 0 <= requests_per_second <= MAX_RATE:
        raise ValueError(f"a limit is 0 to {MAX_RATE} requests a second")
    return requests_per_second


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
