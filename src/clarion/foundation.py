"""What every command of the program stands on: settings, clock, database, vault."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path

from clarion.clock import Clock, SystemClock
from clarion.failures import ConfigurationError
from clarion.settings import Settings
from clarion.store.database import Database
from clarion.store.opening import open_database
from clarion.tenants.addresses import ReceiptAddresses
from clarion.tenants.channels import ChannelSettingsService
from clarion.tenants.directory import Directory
from clarion.tenants.service import TenantService, installation_secrets
from clarion.vault import Vault, load_master_key

LOCK_FILE = "server.lock"


@dataclass(frozen=True, slots=True)
class Foundation:
    """What every command needs: the database and the vault that opens its secrets."""

    settings: Settings
    clock: Clock
    database: Database
    vault: Vault
    nonce_key: bytes = field(repr=False)

    @property
    def tenants(self) -> TenantService:
        """Changes to apps and keys."""
        return TenantService(self.database, self.vault, self.clock)

    @property
    def channels(self) -> ChannelSettingsService:
        """Changes to the vendor channels of apps."""
        return ChannelSettingsService(self.database, self.vault, self.clock, self.receipt_addresses)

    @property
    def receipt_addresses(self) -> ReceiptAddresses:
        """Where vendors send their receipts."""
        return ReceiptAddresses(self.nonce_key, self.settings.public_url)

    @property
    def directory(self) -> Directory:
        """A directory of its own, empty until it is refreshed."""
        return Directory(self.database, self.vault, self.clock)


async def open_foundation(settings: Settings, clock: Clock | None = None) -> Foundation:
    """Open the data directory and the database, making both on first use.

    Raises:
        ConfigurationError: the operator has to change something; the text says what.
        StoreUnavailable: the database cannot be reached.
    """
    vault = Vault(load_master_key(_data_directory(settings), settings.master_key or None))
    database = await open_database(settings.store_url)
    try:
        nonce_key = await installation_secrets(database, vault)
    except BaseException:
        await database.close()
        raise
    return Foundation(settings, clock or SystemClock(), database, vault, nonce_key)


def claim_data_directory(data_dir: Path) -> int:
    """Hold the directory for one server, until the descriptor is closed or the process ends in whatever way.

    Raises:
        ConfigurationError: another server holds it.
    """
    descriptor = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigurationError(
            f"another server runs on the data directory {data_dir}: stop it, or choose another with --data-dir"
        ) from None
    return descriptor


def _data_directory(settings: Settings) -> Path:
    data_dir = Path(settings.data_dir)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot make the data directory {data_dir}: {error.strerror}") from error
    return data_dir
