"""The command line: help, JSON, exit codes, and a sentence instead of a traceback for every mistake."""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from clarion import __version__
from clarion.cli import main
from tests.support.server import ServerProcess, run_clarion
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants

pytestmark = pytest.mark.real_process


class Run(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its only line of output."""
        (line,) = self.out.splitlines()
        return json.loads(line)


Clarion = Callable[..., Run]


@pytest.fixture
def clarion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Clarion:
    """Runs a command in this process, on a data directory of its own unless told otherwise."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("CLARION_DATA_DIR", str(tmp_path / "data"))

    def clarion(*arguments: str) -> Run:
        monkeypatch.setattr(sys, "argv", ["clarion", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
        code = ended.value.code
        return Run(code if isinstance(code, int) else int(code is not None), *capsys.readouterr())

    return clarion


APP = ("--app-id", "A", "--workspace-id", "w")


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))


COMMANDS = list(_commands(typer.main.get_command(main.app)))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "clarion")
def test_help(clarion: Clarion, path: tuple[str, ...]) -> None:
    done = clarion(*path, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: clarion")


def test_every_command_that_prints_a_result_takes_json(clarion: Clarion) -> None:
    leaves = [
        path for path in COMMANDS if not any(other[: len(path)] == path and other != path for other in COMMANDS)
    ]
    assert len(leaves) >= 11
    for path in leaves:
        assert "--json" in clarion(*path, "--help").out, path


def test_version(clarion: Clarion) -> None:
    assert clarion("--version") == (0, f"clarion {__version__}\n", "")


def test_apps(clarion: Clarion) -> None:
    assert clarion("app", "list", "--json").json == []
    made = clarion("app", "create", *APP, "--json").json
    assert made.keys() == {"appId", "workspaceId", "appSecret"}
    assert (made["appId"], made["workspaceId"]) == ("A", "w")
    (entry,) = clarion("app", "list", "--json").json
    settings = {"tenantId", "pushEnabled", "timeZone", "requestsPerSecond"}
    assert entry.keys() == {"appId", "workspaceId", "createdAt"} | settings
    assert "A" in clarion("app", "list").out
    assert clarion("app", "delete", *APP, "--json").json["deleted"] is True
    assert clarion("app", "list", "--json").json == []
    assert "clarion app create" in clarion("app", "list").out


def test_keys(clarion: Clarion) -> None:
    made = clarion("key", "create", "--role", "push", "--app", "A", "--json").json
    assert made.keys() == {"accessKeyId", "accessKeySecret", "role", "app"}
    listed = clarion("key", "list", "--json")
    (entry,) = listed.json
    assert entry.keys() == {"accessKeyId", "role", "app", "enabled", "requestsPerSecond", "createdAt"}
    assert made["accessKeySecret"] not in listed.out
    assert clarion("key", "disable", made["accessKeyId"], "--json").json["enabled"] is False
    assert clarion("key", "list", "--json").json[0]["enabled"] is False
    assert clarion("key", "enable", made["accessKeyId"]).code == 0


def test_device_register(clarion: Clarion) -> None:
    clarion("app", "create", *APP)
    vendor = ("--channel", "hms", "--vendor-token", "t")
    made = clarion("device", "register", *APP, "--platform", "android", "--user", "u", *vendor, "--json").json
    assert made.keys() == {
        "deliveryToken",
        "deviceSecret",
        "appId",
        "workspaceId",
        "platform",
        "userId",
        "channel",
    }
    assert made["channel"] == "hms"


def test_check(clarion: Clarion, tmp_path: Path) -> None:
    clarion("app", "create", *APP)
    clarion("key", "create")
    done = clarion("check", "--json")
    assert (done.code, done.json["ok"]) == (0, True)
    assert {check.keys() >= {"name", "text"} for check in done.json["checks"]} == {True}
    (tmp_path / "data" / "master.key").chmod(0o644)
    done = clarion("check", "--json")
    assert (done.code, done.json["ok"]) == (1, False)


def test_push_trace_and_listen(
    clarion: Clarion, server: ServerProcess, server_data_dir: Path, tenants: Tenants, tmp_path: Path
) -> None:
    app = ("--app-id", APP_ID, "--workspace-id", WORKSPACE_ID)
    data = ("--data-dir", str(server_data_dir))
    made = clarion("device", "register", *app, *data, "--json").json
    token = made["deliveryToken"]
    key = ("--access-key-id", tenants.push.key_id, "--access-key-secret", tenants.push.secret)
    push = ("push", "simple", *app, "--server", server.url, *key, "--title", "t", "--content", "c")
    pushed = clarion(*push, "--target", token, "--delivery-type", "1", "--msg-key", "cli-1", "--json")
    assert (pushed.code, pushed.json["ResultCode"]) == (0, "OK")

    hop_names = {"at", "stage", "outcome", "code", "cause", "next"}
    waiting = clarion("trace", *app, *data, "--target", token, "--msg-key", "cli-1", "--json").json
    assert waiting.keys() >= {"target", "msgKey", "status", "statusName", "hops"}
    assert (waiting["status"], waiting["msgKey"], waiting["target"]) == (0, "cli-1", token)

    credentials = tmp_path / "device.json"
    credentials.write_text(json.dumps(made))
    listen = ("device", "listen", "--server", server.url, "--credentials", str(credentials))
    heard = clarion(*listen, "--count", "1", "--timeout", "20", "--open", "--user", "cli-user")
    assert heard.code == 0
    events = [json.loads(line) for line in heard.out.splitlines()]
    assert events[0]["event"] == "welcome"
    (message,) = [event for event in events if event["event"] == "push"]
    wanted = {"id", "msgKey", "title", "content", "uri", "action", "silent", "style", "params", "taskId"}
    assert message.keys() >= wanted
    assert (message["title"], message["content"], message["msgKey"]) == ("t", "c", "cli-1")

    end = time.monotonic() + 10  # an ack waits a moment for company before it is committed
    while True:
        arrived = clarion("trace", *app, *data, "--target", token, "--msg-key", "cli-1", "--json").json
        if arrived["status"] == 2 or time.monotonic() > end:
            break
        time.sleep(0.02)
    assert (arrived["status"], arrived["statusName"]) == (2, "Acked")
    assert all(hop.keys() >= hop_names for hop in arrived["hops"])
    assert "Acked" in clarion("trace", *app, *data, "--target", token, "--msg-key", "cli-1").out

    refused = clarion(*push, "--target", token, "--delivery-type", "9", "--json")
    assert refused.code == 1
    assert "3009" in refused.err


def test_exit_codes_of_a_process(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    assert run_clarion(data_dir, "app", "list", "--json").returncode == 0
    assert run_clarion(data_dir, "app", "delete", *APP, "--yes").returncode == 1
    assert run_clarion(data_dir, "app", "create").returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("app", "nothing"),
        ("app", "create"),
        ("app", "create", *APP, "--nothing"),
        ("app", "create", "--app-id"),
        ("key", "create", "--role", "boss"),
        ("key", "disable"),
        ("device", "register", *APP, "--platform", "amiga"),
        ("device", "register", *APP, "--channel", "hms"),
        ("device", "listen", "--server", "http://127.0.0.1:1"),
        ("device", "listen", "--server", "ftp://x", *APP, "--token", "t", "--secret", "s"),
        ("device", "listen", "--server", "ws://127.0.0.1:1/link", *APP, "--token", "t"),
        ("push", "simple", *APP),
        ("serve", "--port", "many"),
    ],
    ids=" ".join,
)
def test_wrong_usage(clarion: Clarion, arguments: tuple[str, ...]) -> None:
    done = clarion(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Error" in done.err
    assert "Traceback" not in done.err


PUSH = ("--target", "t", "--title", "t", "--content", "c", "--access-key-id", "k", "--access-key-secret", "s")
CLOSED = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("app", "create", "--app-id", "a b", "--workspace-id", "w"), "letters"),
        (("app", "delete", *APP, "--yes"), "clarion app list"),
        (("app", "list", "--config", "/nowhere/clarion.toml"), "/nowhere/clarion.toml"),
        (("app", "list", "--data-dir", "/dev/null/data"), "/dev/null/data"),
        (("key", "disable", "nobody"), "clarion key list"),
        (("device", "register", *APP), "clarion app create"),
        (("device", "listen", "--server", CLOSED, "--credentials", "/nowhere"), "/nowhere"),
        (("device", "listen", "--server", CLOSED, *APP, "--token", "t", "--secret", "s"), CLOSED),
        (("device", "listen", "--server", CLOSED, *APP), "--app-secret"),
        (("device", "listen", "--server", CLOSED, *APP, "--app-secret", "x"), "refused"),
        (("push", "simple", *APP, *PUSH, "--server", CLOSED), CLOSED),
        (("push", "simple", *APP, *PUSH, "--server", "nonsense"), "http://host:port"),
        (("trace", *APP, "--target", "t", "--msg-key", "k"), "clarion app list"),
        (("serve", "--roles", "boss"), "boss"),
        (("serve", "--port", "99999"), "65535"),
        (("serve", "--log-level", "loud"), "loud"),
        (("serve", "--database", "mysql://x"), "postgresql://"),
        (("serve", "--database", "postgresql://nobody@127.0.0.1:1/x"), "not available"),
        (("serve", "--nats", "nats://x"), "NATS"),
        (("serve", "--host", "203.0.113.1", "--port", "0", "--link-port", "0"), "listen"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_explained(clarion: Clarion, arguments: tuple[str, ...], hint: str) -> None:
    done = clarion(*arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert hint in done.err
    assert "Traceback" not in done.err


def test_app_that_exists(clarion: Clarion) -> None:
    clarion("app", "create", *APP)
    again = clarion("app", "create", *APP)
    assert again.code == 1
    assert "exists" in again.err


@pytest.mark.parametrize("text", ["prot = 1\n", "port = 'x'\n", "no toml", "port = 8080\n[\xff]"])
def test_broken_configuration(clarion: Clarion, tmp_path: Path, text: str) -> None:
    file = tmp_path / "clarion.toml"
    file.write_bytes(text.encode("latin-1"))
    done = clarion("app", "list", "--config", str(file))
    assert done.code == 1
    assert str(file) in done.err
    if text.startswith("prot"):
        assert "did you mean 'port'?" in done.err


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be read as one" * 100, b"SQLite format 3\0"]
)
def test_broken_database(clarion: Clarion, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "clarion.db").write_bytes(content)
    done = clarion("app", "list")
    assert done.code == 1
    assert done.err.startswith("error: ")


@pytest.mark.parametrize("key", ["short", "A" * 43 + "=", "!" * 44])
def test_wrong_master_key(clarion: Clarion, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    clarion("app", "create", *APP)
    monkeypatch.setenv("CLARION_MASTER_KEY", key)
    done = clarion("app", "list")
    assert done.code == 1
    assert re.match("(?i)error: .*key", done.err)


def test_port_in_use(clarion: Clarion) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = clarion("serve", "--port", str(taken.getsockname()[1]), "--link-port", "0")
    assert done.code == 1
    assert "in use" in done.err


def test_one_server_a_data_directory(server: ServerProcess, server_data_dir: Path, clarion: Clarion) -> None:
    done = clarion("serve", "--data-dir", str(server_data_dir), "--port", "0", "--link-port", "0")
    assert done.code == 1
    assert "another server runs on the data directory" in done.err


def test_no_command_shows_help(clarion: Clarion) -> None:
    done = clarion()
    assert "Usage: clarion" in done.out + done.err
    assert "Traceback" not in done.err
