"""Settings: one typed tree, from a TOML file, the environment and the command line, in rising order of weight.

Each setting `name` is `name = …` in the file and `CLARION_NAME` in the environment. The list in
docs/operations.md is generated from here.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from clarion.failures import ConfigurationError

PREFIX = "CLARION_"
Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[int, Meta(ge=1)]
PublicUrl = Annotated[str, Meta(pattern=r"^(https?://[^\s/?#@]+[^\s?#]*)?$", max_length=2048)]
Rate = Annotated[int, Meta(ge=0, le=1_000_000)]


class PartOfServer(Enum):
    """Roles that a server process can take on."""

    API = "api"
    WORKER = "worker"
    SCHEDULER = "scheduler"
    LINK = "link"
    CONSOLE = "console"


class LogFormat(Enum):
    """Forms of the log."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings. Times are seconds unless a name says otherwise.

    Attributes:
        data_dir: where the database (SQLite), the master key and local files are.
        database_url: `postgresql://…`; empty for SQLite in the data directory.
        nats_url: bus for several nodes; empty for one node.
        master_key: base64 of 32 bytes that encrypts secrets at rest; empty for `master.key` in the data directory.
        host: address of the API port.
        port: the API port; 0 takes a free one.
        link_host: address of the link port; empty for the same as `host`.
        link_port: port of the device link; 0 takes a free one.
        public_url: `https://host[:port][/prefix]` at which vendors reach the API port, for receipts; empty if they
            cannot.
        public_link_url: what registering devices are told to connect to; empty derives it from the request.
        roles: what this process does.
        tls_cert_file: PEM certificate chain for both ports; empty for plain TCP (behind a proxy).
        tls_key_file: PEM private key of the certificate.
        max_expired_seconds: longest validity of a push.
        retention_days: how long messages and traces are kept.
        link_connections: most connected devices.
        link_connections_per_address: most connected devices of one address.
        key_requests_per_second: limit of a key that has none of its own; 0 for no limit.
        app_requests_per_second: limit of an app that has none of its own; 0 for no limit.
        http_connections: most connections of the API port.
        head_timeout: time a client has to send a request's head, s.
        body_timeout: time a client has to send a request's body, or to take a byte of its answer, s.
        keep_alive: how long an idle API connection is kept, s.
        drain_seconds: how long a stop waits for work in hand, s.
        sms_supplement_seconds: how long a push with `SmsStrategy` 1 has to reach a device before an SMS is sent.
        callback_timeout: most time of a call of an app's server, s.
        callback_hours: how long an event that an app's server does not take is kept, hours.
        callback_ca_file: PEM certificates that app servers may have besides those the system trusts.
        log_level: debug, info, warning or error.
        log_format: json, text, or auto (text on a terminal).
        metrics: whether /metrics answers.
    """

    data_dir: str = "./clarion-data"
    database_url: str = ""
    nats_url: str = ""
    master_key: str = ""
    host: str = "127.0.0.1"
    port: Port = 8080
    link_host: str = ""
    link_port: Port = 8081
    public_url: PublicUrl = ""
    public_link_url: str = ""
    roles: tuple[PartOfServer, ...] = tuple(PartOfServer)
    tls_cert_file: str = ""
    tls_key_file: str = ""
    max_expired_seconds: Positive = 7 * 24 * 3600
    retention_days: Positive = 30
    link_connections: Positive = 100_000
    link_connections_per_address: Positive = 1_000
    key_requests_per_second: Rate = 0
    app_requests_per_second: Rate = 0
    http_connections: Positive = 10_000
    head_timeout: Positive = 10
    body_timeout: Positive = 20
    keep_alive: Positive = 65
    drain_seconds: Positive = 10
    sms_supplement_seconds: Positive = 30
    callback_timeout: Positive = 10
    callback_hours: Positive = 72
    callback_ca_file: str = ""
    log_level: str = "info"
    log_format: LogFormat = LogFormat.AUTO
    metrics: bool = True

    def __repr__(self) -> str:
        return f"Settings(data_dir={self.data_dir!r}, host={self.host!r}, port={self.port}, …)"

    @property
    def store_url(self) -> str:
        """URL of the database: the configured one, or SQLite in the data directory."""
        if self.database_url:
            return self.database_url
        return f"sqlite:///{Path(self.data_dir).absolute() / 'clarion.db'}"


def load_settings(
    overrides: Mapping[str, Any], environment: Mapping[str, str] = os.environ, file: Path | None = None
) -> Settings:
    """The settings of a process.

    Args:
        overrides: from the command line, by name; None values are left out.
        environment: `CLARION_…` variables.
        file: a TOML file (`--config`, or `CLARION_CONFIG`).

    Raises:
        ConfigurationError: an unknown name or a value of the wrong kind; the text names it and its source.
    """
    file = file or (Path(environment[PREFIX + "CONFIG"]) if environment.get(PREFIX + "CONFIG") else None)
    values: dict[str, Any] = {}
    if file is not None:
        values |= _checked(_read(file), str(file))
    values |= _checked(_from_environment(environment), "the environment")
    values |= {name: value for name, value in overrides.items() if value is not None}
    return _convert(values, "the settings")


def _read(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not TOML: {error}") from error
    for name in values:
        if name not in Settings.__struct_fields__:
            raise ConfigurationError(f"{file}: unknown setting {name!r}{_suggestion(name)}")
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in Settings.__struct_fields__:
        text = environment.get(PREFIX + name.upper())
        if text is not None:
            values[name] = [part.strip() for part in text.split(",")] if name == "roles" else text
    return values


def _checked(values: dict[str, Any], source: str) -> dict[str, Any]:
    _convert(values, source)
    return values


def _convert(values: Mapping[str, Any], source: str) -> Settings:
    try:
        return msgspec.convert(dict(values), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{source}: {error}") from error


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, Settings.__struct_fields__, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
