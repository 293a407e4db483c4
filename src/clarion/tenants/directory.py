"""Apps, their channels and access keys in memory, kept true to the database.

They are few and looked up by every request, so all of them are held. Any process that changes one raises the
catalog's revision; a poll of that single row (and a look whenever a name is unknown) reloads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from sqlalchemy import select

from clarion.clock import Clock
from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Query
from clarion.store.schema import access_keys, apps, catalog, channels
from clarion.tenants.calendar import DEFAULT_TIME_ZONE, day_of, time_zone
from clarion.tenants.model import AccessKey, App, Role
from clarion.vault import Vault

_REVISION = Query(select(catalog.c.revision))
_APPS = Query(
    select(
        apps.c.app,
        apps.c.app_id,
        apps.c.workspace_id,
        apps.c.secret,
        apps.c.tenant_id,
        apps.c.push_enabled,
        apps.c.time_zone,
        apps.c.requests_per_second,
        apps.c.callback_url,
    )
)
_CHANNELS = Query(select(channels.c.app, channels.c.channel, channels.c.revision).where(channels.c.enabled == 1))
_KEYS = Query(
    select(
        access_keys.c.key_id,
        access_keys.c.secret,
        access_keys.c.role,
        access_keys.c.app_id,
        access_keys.c.enabled,
        access_keys.c.requests_per_second,
    )
)
_MISS_SECONDS = 0.1
_QUARTER_MS = 15 * 60 * 1000
_MOST_DAYS = 50_000
_NO_CHANNELS: Mapping[str, int] = {}


def app_context(app: int) -> str:
    """What an app's secret is sealed for."""
    return f"apps/{app}"


def key_context(key_id: str) -> str:
    """What an access key's secret is sealed for."""
    return f"access_keys/{key_id}"


class Directory:
    """Finds apps, their channels and access keys.

    Args:
        database: where they are kept.
        vault: opens their secrets.
        clock: spaces the looks that unknown names cause.
    """

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._revision = -1
        self._looked_at = float("-inf")
        self._apps: dict[tuple[str, str], App] = {}
        self._keys: dict[str, AccessKey] = {}
        self._by_number: dict[int, App] = {}
        self._channels: dict[int, dict[str, int]] = {}
        self._days: dict[tuple[int, int], int] = {}

    async def find(self, key_id: str) -> AccessKey | None:
        """The access key with this id, also a disabled one."""
        key = self._keys.get(key_id)
        if key is None and await self._look_again():
            key = self._keys.get(key_id)
        return key

    async def find_app(self, app_id: str, workspace_id: str) -> App | None:
        """The app with these names."""
        app = self._apps.get((app_id, workspace_id))
        if app is None and await self._look_again():
            app = self._apps.get((app_id, workspace_id))
        return app

    def known_app(self, app_id: str, workspace_id: str) -> App | None:
        """The app with these names, without a look into the store."""
        return self._apps.get((app_id, workspace_id))

    def by_number(self, app: int) -> App | None:
        """The app with this internal number."""
        return self._by_number.get(app)

    def zone(self, app: int) -> ZoneInfo:
        """The time zone of an app; the default one for an app that is not known (any more)."""
        found = self._by_number.get(app)
        return time_zone(found.time_zone if found else DEFAULT_TIME_ZONE)

    def day(self, app: int, at_ms: int) -> int:
        """The day (days since 1970) of a moment in the app's time zone."""
        key = app, at_ms // _QUARTER_MS  # clocks of all zones change at quarters of an hour
        days = self._days  # another thread may put a new one in its place, for a new zone
        day = days.get(key)
        if day is None:
            if len(days) > _MOST_DAYS:
                self._days = days = {}
            day = days[key] = day_of(at_ms, self.zone(app))
        return day

    def is_told(self, app: int) -> bool:
        """Whether the app's server wants to be told of statuses and receipts."""
        found = self._by_number.get(app)
        return found is not None and found.callback_url is not None

    def channels(self, app: int) -> frozenset[str]:
        """Labels of the vendor channels that an app has and that are enabled."""
        return frozenset(self._channels.get(app, _NO_CHANNELS))

    def channel_revision(self, app: int, label: str) -> int | None:
        """Grows when an app's channel is changed; None if the app has no such channel, or disabled it."""
        return self._channels.get(app, _NO_CHANNELS).get(label)

    @property
    def revision(self) -> int:
        """Grows with each change of the catalog that was noticed; what else is cached may go by it."""
        return self._revision

    @property
    def apps(self) -> Sequence[App]:
        """All apps."""
        return list(self._apps.values())

    async def refresh(self) -> bool:
        """Reload if another process changed something; whether it did."""
        self._looked_at = self._clock.monotonic()

        async def work(transaction: Transaction) -> tuple[int, Sequence[Sequence[Row]]] | None:
            row = await transaction.fetch_one(_REVISION)
            if row is None or row[0] == self._revision:
                return None
            return row[0], [await transaction.fetch(query) for query in (_APPS, _KEYS, _CHANNELS)]

        loaded = await self._database.read(work)
        if loaded is None:
            return False
        revision, (app_rows, key_rows, channel_rows) = loaded
        channels_of: dict[int, dict[str, int]] = {}
        for app, label, changed in channel_rows:
            channels_of.setdefault(app, {})[label] = changed
        self._apps = {(row[1], row[2]): self._app(row) for row in app_rows}
        self._keys = {row[0]: self._key(row) for row in key_rows}
        self._by_number = {app.key: app for app in self._apps.values()}
        self._channels = channels_of
        self._days = {}
        self._revision = revision
        return True

    async def _look_again(self) -> bool:
        # Bounded, so that a flood of unknown names is no flood of queries.
        if self._clock.monotonic() - self._looked_at < _MISS_SECONDS:
            return False
        return await self.refresh()

    def _app(self, row: Row) -> App:
        app, app_id, workspace_id, secret, tenant_id, push_enabled, zone, rate, callback_url = row
        opened = self._vault.open(bytes(secret), app_context(app))
        return App(app, app_id, workspace_id, opened, tenant_id, bool(push_enabled), zone, rate, callback_url)

    def _key(self, row: Row) -> AccessKey:
        key_id, secret, role, app_id, enabled, rate = row
        opened = self._vault.open(bytes(secret), key_context(key_id))
        return AccessKey(key_id, opened, Role(role), app_id, bool(enabled), rate)
