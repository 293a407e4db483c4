"""Where an app's callbacks go: set, shown, switched off, tried."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import bindparam, func, select, update

from clarion.callbacks.model import Destination, LastResult, checked_url
from clarion.callbacks.signature import Signer, key_context, new_private_key
from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Query
from clarion.store.schema import apps
from clarion.store.schema_campaigns import callbacks
from clarion.tenants.service import NotThere, change_catalog
from clarion.vault import Vault

_FIND = Query(
    select(apps.c.app, apps.c.callback_url, apps.c.callback_key, apps.c.callback_result).where(
        apps.c.app_id == bindparam("app_id"), apps.c.workspace_id == bindparam("workspace_id")
    )
)
_CHANGE = Query(
    update(apps)
    .values(callback_url=bindparam("url"), callback_key=bindparam("key"), callback_result=None)
    .where(apps.c.app == bindparam("number"))
)
_WAITING = Query(select(func.count()).select_from(callbacks).where(callbacks.c.app == bindparam("app")))


@dataclass(frozen=True, slots=True)
class CallbackEntry:
    """What is set for an app.

    Attributes:
        url: where to; None: switched off, or never set.
        public_key: PEM text of the key that verifies; None if never set.
        waiting: events that have not been taken yet.
        last: how the last call ended, if there was one since the last change.
    """

    url: str | None
    public_key: str | None
    waiting: int
    last: LastResult | None


class _Found(NamedTuple):
    app: int
    url: str | None
    key: bytes | None
    result: str | None


class CallbackService:
    """Changes to callbacks; a running server notices them within a second."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def set(
        self, app_id: str, workspace_id: str, url: str | None = None, *, new_key: bool = False
    ) -> CallbackEntry:
        """Send the app's callbacks to `url` from now on.

        Args:
            app_id: `AppId` of the API.
            workspace_id: `WorkspaceId` of the API.
            url: None leaves it as it is.
            new_key: sign with a new key; the first one is made by itself.

        Raises:
            UrlError: `url` cannot be called.
            NotThere: there is no such app, or no URL.
        """
        wanted = checked_url(url) if url is not None else None
        # Made before it is known whether it is needed: a transaction must not wait for it.
        fresh = await asyncio.to_thread(new_private_key)

        async def work(transaction: Transaction) -> None:
            await change_catalog(transaction)
            found = await _find(transaction, app_id, workspace_id)
            target = wanted or found.url
            if target is None:
                raise NotThere(f"app {app_id} has no callback URL yet: give one with --url")
            key = self._vault.seal(fresh, key_context(found.app)) if new_key or not found.key else found.key
            await transaction.execute(_CHANGE, number=found.app, url=target, key=key)

        await self._database.write(work)
        return await self.show(app_id, workspace_id)

    async def off(self, app_id: str, workspace_id: str) -> None:
        """Tell the app's server nothing more. Its key stays, and so does, for a while, what waits.

        Raises:
            NotThere: there is no such app.
        """

        async def work(transaction: Transaction) -> None:
            await change_catalog(transaction)
            found = await _find(transaction, app_id, workspace_id)
            await transaction.execute(_CHANGE, number=found.app, url=None, key=found.key)

        await self._database.write(work)

    async def show(self, app_id: str, workspace_id: str) -> CallbackEntry:
        """What is set for an app.

        Raises:
            NotThere: there is no such app.
        """

        async def work(transaction: Transaction) -> tuple[_Found, Row | None]:
            found = await _find(transaction, app_id, workspace_id)
            return found, await transaction.fetch_one(_WAITING, app=found.app)

        found, waiting = await self._database.read(work)
        signer = self._signer(found)
        return CallbackEntry(
            found.url,
            signer.public_key if signer else None,
            waiting[0] if waiting else 0,
            msgspec.json.decode(found.result, type=LastResult) if found.result else None,
        )

    async def destination(self, app_id: str, workspace_id: str) -> Destination:
        """Where the app's callbacks go, and what signs them.

        Raises:
            NotThere: there is no such app, or its callbacks are off.
        """

        async def work(transaction: Transaction) -> _Found:
            return await _find(transaction, app_id, workspace_id)

        found = await self._database.read(work)
        signer = self._signer(found)
        if found.url is None or signer is None:
            raise NotThere(f"app {app_id} has no callback URL: clarion callback set … --url URL")
        return Destination(app_id, workspace_id, found.url, signer)

    def _signer(self, found: _Found) -> Signer | None:
        return Signer(self._vault.open(found.key, key_context(found.app))) if found.key else None


async def _find(transaction: Transaction, app_id: str, workspace_id: str) -> _Found:
    row: Any = await transaction.fetch_one(_FIND, app_id=app_id, workspace_id=workspace_id)
    if row is None:
        raise NotThere(f"no app {app_id} in workspace {workspace_id}; `clarion app list` shows what there is")
    app, url, key, result = row
    return _Found(app, url, bytes(key) if key else None, result)
