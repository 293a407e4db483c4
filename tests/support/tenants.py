"""Apps and access keys, made in the database as the command line makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from clarion.foundation import Foundation, open_foundation
from clarion.settings import Settings
from clarion.tenants.model import Role

T = TypeVar("T")

APP_ID, WORKSPACE_ID, TENANT_ID = "ONEX570DA89211721", "test", "LZFPEFIM"
OTHER_APP_ID = "ONEX000000000002"


@dataclass(frozen=True, slots=True)
class Key:
    """An access key."""

    key_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class Tenants:
    """An app with its secret, another app in the same workspace, and keys of each kind.

    Attributes:
        app_secret: the secret of `APP_ID`.
        push: a key that may push to all apps.
        read: a key that may only read.
        other: a key that may push to `OTHER_APP_ID` alone.
        disabled: a disabled key.
    """

    app_secret: str
    push: Key
    read: Key
    other: Key
    disabled: Key


def make_tenants(data_dir: Path, database: str | None = None) -> Tenants:
    """Make the usual apps and keys."""

    async def work(foundation: Foundation) -> Tenants:
        service = foundation.tenants
        app = await service.create_app(APP_ID, WORKSPACE_ID, TENANT_ID)
        await service.create_app(OTHER_APP_ID, WORKSPACE_ID)

        async def key(role: Role, app_id: str | None = None) -> Key:
            made = await service.create_key(role, app_id)
            return Key(made.key_id, made.secret.decode())

        disabled = await key(Role.ADMIN)
        await service.set_key_enabled(disabled.key_id, enabled=False)
        other = await key(Role.PUSH, OTHER_APP_ID)
        return Tenants(app.secret.decode(), await key(Role.PUSH), await key(Role.READ), other, disabled)

    return in_foundation(work, data_dir, database)


def in_foundation(work: Callable[[Foundation], Awaitable[T]], data_dir: Path, database: str | None = None) -> T:
    """Run `work` on an installation, on an event loop of its own."""

    async def main() -> T:
        foundation = await open_foundation(Settings(data_dir=str(data_dir), database_url=database or ""))
        try:
            return await work(foundation)
        finally:
            await foundation.database.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, main()).result()
