"""`clarion template`, `clarion app set`, `clarion key limit`: results, warnings, mistakes that are explained."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clarion.cli import main
from tests.support.client import Connection, form, push_parameters, sign
from tests.support.server import ServerProcess
from tests.support.tenants import APP_ID, WORKSPACE_ID, Tenants

APP = ("--app-id", "A", "--workspace-id", "w")
TEXTS = ("--description", "for winners", "--title", "Hi #name#", "--content", "You won #money#")


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
    """Runs a command in this process, on a data directory with the app A."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("CLARION_DATA_DIR", str(tmp_path / "data"))

    def clarion(*arguments: str) -> Run:
        monkeypatch.setattr(sys, "argv", ["clarion", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
        code = ended.value.code
        return Run(code if isinstance(code, int) else int(code is not None), *capsys.readouterr())

    assert clarion("app", "create", *APP).code == 0
    return clarion


def test_a_template_from_birth_to_death(clarion: Clarion) -> None:
    assert clarion("template", "list", *APP, "--json").json == []
    assert "clarion template create" in clarion("template", "list", *APP).out
    more = ("--uri", "mpaas://#name#", "--variables", "money, name", "--style", "2", "--silent", "--action", "1")
    pictures = ("--icon", "defaultUrl=https://e.com/i.png?a=b", "--image", "defaultUrl=x", "--image", "hmsUrl=y")
    made = clarion("template", "create", *APP, "--name", "won", *TEXTS, *more, *pictures, "--json")
    assert (made.code, made.err) == (0, "")
    fields = made.json
    assert fields.pop("templateId").isdecimal()
    assert fields.pop("createdAt") == fields.pop("modifiedAt") > 1_700_000_000_000
    assert fields == {
        "name": "won",
        "description": "for winners",
        "title": "Hi #name#",
        "content": "You won #money#",
        "uri": "mpaas://#name#",
        "variables": "money, name",
        "style": 2,
        "silent": 1,
        "action": 1,
        "icons": {"defaultUrl": "https://e.com/i.png?a=b"},
        "images": {"defaultUrl": "x", "hmsUrl": "y"},
        "placeholders": ["money", "name"],
    }
    assert clarion("template", "list", *APP, "--json").json == [made.json]
    assert clarion("template", "show", "won", *APP, "--json").json == made.json
    listed = clarion("template", "list", *APP).out
    assert "won" in listed
    assert "money, name" in listed
    assert "You won #money#" in clarion("template", "show", "won", *APP).out
    assert clarion("template", "delete", "won", *APP, "--json").json == {"name": "won", "deleted": True}
    assert clarion("template", "list", *APP, "--json").json == []


def test_what_show_prints_create_takes(clarion: Clarion, tmp_path: Path) -> None:
    clarion("template", "create", *APP, "--name", "won", *TEXTS, "--icon", "a=b", "--style", "1")
    shown = clarion("template", "show", "won", *APP, "--json")
    file = tmp_path / "t.json"
    file.write_text(shown.out, "utf-8")
    copy = clarion(
        "template", "create", *APP, "--file", str(file), "--name", "copy", "--title", "Ho", "--json"
    ).json
    differing = {name for name, value in shown.json.items() if copy[name] != value}
    assert differing - {"createdAt", "modifiedAt"} == {"templateId", "name", "title", "placeholders"}
    assert (copy["name"], copy["title"], copy["placeholders"]) == ("copy", "Ho", ["money"])


@pytest.mark.parametrize(
    ("values", "title", "content", "missing", "unused"),
    [
        ((), "Hi #name#", "You won #money#", ["money", "name"], []),
        (("name=Bob",), "Hi Bob", "You won #money#", ["money"], []),
        (("name=#money#", "money=a=b"), "Hi #money#", "You won a=b", [], []),
        (("name=", "money=5", "cash=6"), "Hi ", "You won 5", [], ["cash"]),
    ],
)
def test_a_preview(
    clarion: Clarion, values: tuple[str, ...], title: str, content: str, missing: list[str], unused: list[str]
) -> None:
    clarion("template", "create", *APP, "--name", "won", *TEXTS)
    options = [part for value in values for part in ("--value", value)]
    done = clarion("template", "preview", "won", *APP, *options, "--json")
    said = {"title": title, "content": content, "uri": ""}
    assert (done.code, done.json) == (0, {"name": "won", **said, "missing": missing, "unused": unused})
    shown = clarion("template", "preview", "won", *APP, *options)
    assert title.strip() in shown.out
    assert ("3023" in shown.err) == bool(missing)
    assert all(f"#{name}#" in shown.err for name in missing + unused)


@pytest.mark.parametrize(
    ("variables", "warning"),
    [
        ("name,money", ""),
        ("", ""),
        ("name", "not declared: #money#"),
        ("name,money,cash", "not in the texts: #cash#"),
    ],
)
def test_declared_variables_are_compared(clarion: Clarion, variables: str, warning: str) -> None:
    done = clarion("template", "create", *APP, "--name", "won", *TEXTS, "--variables", variables, "--json")
    assert done.code == 0
    assert done.json["variables"] == variables
    assert warning in done.err
    assert bool(warning) == bool(done.err)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("create", *TEXTS), "3037"),
        (("create", "--name", "a,b", *TEXTS), "3038"),
        (("create", "--name", "won", "--description", "d", "--title", "t"), "3039"),
        (("create", "--name", "won", "--description", "d", "--content", "c"), "3040"),
        (("create", "--name", "won", "--title", "t", "--content", "c"), "3041"),
        (("create", "--name", "won", *TEXTS, "--uri", "u" * 3000), "3042"),
        (("create", "--name", "won", *TEXTS, "--icon", "a=" + "b" * 3000), "3028"),
        (("create", "--name", "there", *TEXTS), "3036"),
        (("create", "--file", "/nowhere/t.json"), "/nowhere/t.json"),
        (("show", "nothing"), "3022"),
        (("preview", "nothing"), "3022"),
        (("delete", "nothing", "--yes"), "3022"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_mistakes_are_explained(clarion: Clarion, arguments: tuple[str, ...], hint: str) -> None:
    clarion("template", "create", *APP, "--name", "there", *TEXTS)
    done = clarion("template", *arguments, *APP)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert hint in done.err


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[]", "JSON object"),
        ("{", "JSON object"),
        ('{"titel":"t"}', "did you mean 'title'?"),
        ('{"title":5}', "title"),
        ('{"icons":{"a":1}}', "icons"),
        ('{"name":"n","description":"d","title":"t","content":"c","style":7}', "3028"),
    ],
)
def test_a_file_that_is_no_template(clarion: Clarion, tmp_path: Path, text: str, hint: str) -> None:
    file = tmp_path / "t.json"
    file.write_text(text, "utf-8")
    done = clarion("template", "create", *APP, "--file", str(file))
    assert (done.code, done.out) == (1, "")
    assert hint in done.err
    assert hint == "3028" or str(file) in done.err


def test_no_app(clarion: Clarion) -> None:
    for command in (
        ("list",),
        ("show", "n"),
        ("delete", "n", "--yes"),
        ("preview", "n"),
        ("create", "--name", "n"),
    ):
        done = clarion("template", *command, "--app-id", "B", "--workspace-id", "w")
        assert done.code == 1
        assert "clarion app list" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("template", "create", *APP, "--icon", "nothing"),
        ("template", "create", *APP, "--style", "3"),
        ("template", "preview", "won", *APP, "--value", "=x"),
        ("template", "show", *APP),
        ("app", "set", *APP),
        ("app", "set", *APP, "--push-api", "maybe"),
        ("app", "set", *APP, "--requests-per-second", "-1"),
        ("key", "limit", "K"),
        ("key", "limit", "K", "many"),
    ],
    ids=" ".join,
)
def test_wrong_usage(clarion: Clarion, arguments: tuple[str, ...]) -> None:
    done = clarion(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Error" in done.err


def test_settings_of_an_app(clarion: Clarion) -> None:
    shown = clarion("app", "show", *APP, "--json").json
    settings = {"tenantId": None, "pushEnabled": True, "timeZone": "Asia/Shanghai", "requestsPerSecond": 0}
    assert {**settings, "appId": "A", "workspaceId": "w", "createdAt": shown["createdAt"]} == shown
    for option, value, name, then in (
        ("--push-api", "off", "pushEnabled", False),
        ("--time-zone", "Europe/Berlin", "timeZone", "Europe/Berlin"),
        ("--requests-per-second", "70", "requestsPerSecond", 70),
        ("--tenant-id", "T", "tenantId", "T"),
        ("--tenant-id", "", "tenantId", None),
    ):
        shown[name] = then
        assert clarion("app", "set", *APP, option, value, "--json").json == shown
    assert clarion("app", "list", "--json").json == [shown]
    for text in (clarion("app", "list").out, clarion("app", "show", *APP).out):
        assert all(word in text for word in ("off", "Europe/Berlin", "70"))
    wrong = clarion("app", "set", *APP, "--time-zone", "Europe/Berlim")
    assert (wrong.code, wrong.out) == (1, "")
    assert "Asia/Shanghai" in wrong.err
    assert clarion("app", "set", "--app-id", "B", "--workspace-id", "w", "--push-api", "on").code == 1
    assert clarion("app", "show", "--app-id", "B", "--workspace-id", "w").code == 1


def test_the_zone_of_a_new_app(clarion: Clarion) -> None:
    b = ("--app-id", "B", "--workspace-id", "w")
    assert clarion("app", "create", *b, "--time-zone", "Nowhere/City").code == 1
    assert clarion("app", "create", *b, "--time-zone", "America/New_York").code == 0
    assert clarion("app", "show", *b, "--json").json["timeZone"] == "America/New_York"


def test_the_limit_of_a_key(clarion: Clarion) -> None:
    key = clarion("key", "create", "--json").json["accessKeyId"]
    assert clarion("key", "limit", key, "9", "--json").json == {"accessKeyId": key, "requestsPerSecond": 9}
    assert clarion("key", "list", "--json").json[0]["requestsPerSecond"] == 9
    assert "9" in clarion("key", "list").out
    assert clarion("key", "limit", key, "0").code == 0
    assert clarion("key", "list", "--json").json[0]["requestsPerSecond"] == 0
    assert "clarion key list" in clarion("key", "limit", "nobody", "9").err


@pytest.mark.real_process
async def test_a_running_server_notices(
    clarion: Clarion, server: ServerProcess, server_data_dir: Path, tenants: Tenants, connection: Connection
) -> None:
    there = ("--app-id", APP_ID, "--workspace-id", WORKSPACE_ID, "--data-dir", str(server_data_dir))
    parameters = push_parameters("token", "cli-template", TemplateName="by-hand", TemplateKeyValue='{"name":"Bob"}')

    async def push() -> str:
        return (await connection.post(form(sign(tenants.push, "PushTemplate", parameters)))).code

    assert await push() == "3022"
    texts = ("--description", "d", "--title", "Hi #name#", "--content", "c")
    made = await asyncio.to_thread(clarion, "template", "create", *there, "--name", "by-hand", *texts)
    assert made.code == 0
    assert await push() == "OK"  # a name that is not known is looked for at once
    deleted = await asyncio.to_thread(clarion, "template", "delete", "by-hand", *there, "--json")
    assert deleted.code == 0
    while await push() != "3022":  # the test's time limit is the server's
        pass
