"""Secrets at rest: AES-256-GCM under one master key.

A sealed value is `version (1 byte) ‖ nonce (12) ‖ ciphertext and tag`. The context (table, row) is
authenticated, so that a sealed secret copied to another row does not open there.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clarion.failures import ConfigurationError

KEY_FILE = "master.key"
_VERSION = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32

_LOST_KEY = (
    "the master key does not fit this database. Access-key, app and device secrets are encrypted with the key "
    "that was in use when they were made; put that key back (CLARION_MASTER_KEY or {file}). If it is lost, the "
    "secrets cannot be recovered: start with a new data directory and issue new keys."
)


class Vault:
    """Seals and opens secrets.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise ConfigurationError(f"the master key has {len(key)} bytes instead of {_KEY_BYTES}")
        self._cipher = AESGCM(key)

    def seal(self, secret: bytes, context: str) -> bytes:
        """Encrypt `secret` for the place that `context` names."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what `seal` made for the same context.

        Raises:
            ConfigurationError: another key sealed it, or it was changed.
        """
        if sealed[:1] != _VERSION:
            raise ConfigurationError("a stored secret has an unknown format; was it written by a newer version?")
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, body, context.encode())
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            raise ConfigurationError(_LOST_KEY.format(file=KEY_FILE)) from None


def load_master_key(data_dir: Path, configured: str | None) -> bytes:
    """The master key: the configured one, else that of the data directory, made on first use (mode 0600).

    Args:
        data_dir: an existing directory.
        configured: base64 text of 32 bytes (`CLARION_MASTER_KEY`), or None.

    Raises:
        ConfigurationError: the key cannot be read or is not 32 bytes of base64.
    """
    if configured:
        return _decode(configured, "CLARION_MASTER_KEY")
    path = data_dir / KEY_FILE
    try:
        return _decode(path.read_text("ascii"), str(path))
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the master key {path}: {error}") from error
    try:
        return _create(path)
    except OSError as error:
        raise ConfigurationError(f"cannot make the master key {path}: {error}") from error


def _create(path: Path) -> bytes:
    key = secrets.token_bytes(_KEY_BYTES)
    # Written aside and linked: a crash leaves no half key, and of two processes that start at once one wins.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, base64.b64encode(key) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return _decode(path.read_text("ascii"), str(path))
    finally:
        draft.unlink()
    _sync(path.parent)
    return key


def _sync(directory: Path) -> None:
    # Secrets may be committed elsewhere before the directory would reach the disk by itself.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _decode(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError as error:  # also for characters beyond ASCII
        raise ConfigurationError(f"{source} is not base64 text: {error}") from error
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(
            f"{source} holds {len(key)} bytes, not {_KEY_BYTES}; make one with: head -c 32 /dev/urandom | base64"
        )
    return key
