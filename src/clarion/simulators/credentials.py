"""Channel files that the simulators accept, in a folder where a later run finds them again."""

from __future__ import annotations

import secrets
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec

from clarion.simulators.authority import Authority

_KEPT_WITH_CERTIFICATE = ("bundleId", "environment", "baseUrl", "caFile")


class Credentials:
    """The files `<label>.json`, for the eyes of their owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, label: str) -> dict[str, Any]:
        """The contents of a file; empty if there is none that can be read."""
        try:
            return msgspec.json.decode(self._file(label).read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.DecodeError):
            return {}

    def write(self, label: str, content: dict[str, Any], ca_file: Path | None) -> None:
        """Write a file; with the authority to trust, if there is one."""
        if ca_file is not None:
            content = {**content, "caFile": str(ca_file.resolve())}
        file = self._file(label)
        file.touch(mode=0o600)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")

    def write_certificate(self, label: str, authority: Authority) -> None:
        """Write a further file, in which a client certificate (PKCS #12, base64) stands for the key."""
        plain = self.read(label)
        password = secrets.token_urlsafe(12)
        certificate = authority.client_pkcs12(str(plain["bundleId"]), password)
        kept = {name: plain[name] for name in _KEPT_WITH_CERTIFICATE if name in plain}
        self.write(
            f"{label}-certificate",
            {"certificate": b64encode(certificate).decode(), "password": password, **kept},
            None,
        )

    def _file(self, label: str) -> Path:
        return self._folder / f"{label}.json"
