"""Settings: three sources in order, and mistakes that name themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from clarion.failures import ConfigurationError
from clarion.settings import LogFormat, PartOfServer, Settings, load_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clarion.toml"
    path.write_text('port = 1000\nhost = "file"\nlog_level = "debug"\n', "utf-8")
    return path


def test_defaults() -> None:
    settings = load_settings({}, {})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.link_port) == ("127.0.0.1", 8080, 8081)
    assert set(settings.roles) == set(PartOfServer)


def test_the_command_line_beats_the_environment_beats_the_file(file: Path) -> None:
    environment = {"CLARION_PORT": "2000", "CLARION_HOST": "environment", "PORT": "9", "CLARION_UNKNOWN": "x"}
    settings = load_settings({"port": 3000, "host": None}, environment, file)
    assert (settings.port, settings.host, settings.log_level) == (3000, "environment", "debug")


def test_the_file_can_be_named_in_the_environment(file: Path, tmp_path: Path) -> None:
    assert load_settings({}, {"CLARION_CONFIG": str(file)}).port == 1000
    other = tmp_path / "other.toml"
    other.write_text("port = 4", "utf-8")
    assert load_settings({}, {"CLARION_CONFIG": str(file)}, other).port == 4


def test_kinds_of_values() -> None:
    environment = {
        "CLARION_ROLES": "api, link",
        "CLARION_METRICS": "false",
        "CLARION_LOG_FORMAT": "json",
        "CLARION_RETENTION_DAYS": "7",
    }
    settings = load_settings({}, environment)
    assert settings.roles == (PartOfServer.API, PartOfServer.LINK)
    assert (settings.metrics, settings.log_format, settings.retention_days) == (False, LogFormat.JSON, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", r"clarion.toml: unknown setting 'prot'; did you mean 'port'\?"),
        ("xyzzy = 1", r"clarion.toml: unknown setting 'xyzzy'$"),
        ('port = "x"', r"clarion.toml: Expected `int`.*\$.port"),
        ("port = 65536", r"clarion.toml: .*65535.*\$.port"),
        ("port = -1", r"clarion.toml: .*\$.port"),
        ("host = 1", r"clarion.toml: .*\$.host"),
        ("retention_days = 0", r"clarion.toml: .*\$.retention_days"),
        ('roles = ["api", "cook"]', r"clarion.toml: .*cook.*\$.roles"),
        ("port = ", "clarion.toml is not TOML"),
        ("[port]", r"clarion.toml: .*\$.port"),
    ],
)
def test_mistakes_in_the_file(file: Path, text: str, message: str) -> None:
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=message):
        load_settings({}, {}, file)


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "x"), ("PORT", ""), ("ROLES", "cook"), ("METRICS", "maybe"), ("LOG_FORMAT", "xml")],
)
def test_mistakes_in_the_environment(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"the environment: .*\$.{name.lower()}"):
        load_settings({}, {f"CLARION_{name}": value})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read .*missing.toml: No such file"):
        load_settings({}, {}, tmp_path / "missing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="is not TOML"):
        load_settings({}, {}, tmp_path / "binary.toml")


def test_where_the_database_is(tmp_path: Path) -> None:
    assert load_settings({"data_dir": str(tmp_path)}, {}).store_url == f"sqlite:///{tmp_path}/clarion.db"
    assert load_settings({"database_url": "postgresql://h/d"}, {}).store_url == "postgresql://h/d"


def test_secrets_are_not_shown() -> None:
    shown = repr(load_settings({"master_key": "hidden", "database_url": "postgresql://u:hidden@h/d"}, {}))
    assert "hidden" not in shown
