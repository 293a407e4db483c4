"""`clarion channel` and what `clarion check` says of channels: results, warnings, refusals, and no secrets."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clarion.channels.base import Check
from clarion.channels.sms import SmsChannel
from clarion.cli import main
from clarion.delivery.vendors.quota import vendor_day
from clarion.simulators.hall import Hall

APP = ("--app-id", "A", "--workspace-id", "w")
DAY_MS = 86_400_000


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


@pytest.fixture(scope="module")
def hall() -> Iterator[Hall]:
    """The simulator of the SMS service, in a thread of its own."""
    started, ended = threading.Event(), asyncio.Event()
    halls: list[tuple[Hall, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        async with Hall(labels=["sms"], strict=True) as opened:
            halls.append((opened, asyncio.get_running_loop()))
            started.set()
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(20)
    (opened, loop) = halls[0]
    yield opened
    loop.call_soon_threadsafe(ended.set)
    thread.join(20)


@pytest.fixture
def file(hall: Hall, tmp_path: Path) -> Path:
    """A channel file that the simulator accepts."""
    return written(tmp_path / "sms.json", hall.credentials("sms"))


def written(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content))
    return path


def secret_of(file: Path) -> str:
    return str(json.loads(file.read_text())["accessKeySecret"])


def changed(file: Path, **members: Any) -> str:
    return str(written(file.with_name("changed.json"), {**json.loads(file.read_text()), **members}))


def test_a_pause_and_today_s_targets_are_in_the_list(clarion: Clarion, file: Path, tmp_path: Path) -> None:
    clarion("channel", "set", *APP, "sms", "--file", str(file), "--no-check")
    with closing(sqlite3.connect(tmp_path / "data" / "clarion.db")) as database:
        ((app, revision),) = database.execute("SELECT app, revision FROM channels").fetchall()
        until, day = 4_102_444_800_000, vendor_day(time.time_ns() // 1_000_000)
        noted = (app, "sms", "paused", revision, until, "isv.DAY_LIMIT_CONTROL", "the day's limit")
        database.execute("INSERT INTO channel_notices VALUES (?, ?, ?, ?, ?, ?, ?)", noted)
        database.execute("INSERT INTO channel_days VALUES (?, ?, ?, ?)", (app, "sms", day, 12_345))
        database.commit()
    (entry,) = clarion("channel", "list", *APP, "--json").json
    assert entry["targetsToday"] == 12_345
    notice = {"kind": "paused", "until": until, "code": "isv.DAY_LIMIT_CONTROL", "text": "the day's limit"}
    assert entry["notices"] == [notice]
    listed = clarion("channel", "list", *APP)
    assert "12,345" in listed.out
    assert "sms paused until 2100-01-01 00:00 UTC: isv.DAY_LIMIT_CONTROL the day's limit" in listed.err


def test_from_birth_to_death(clarion: Clarion, file: Path) -> None:
    assert clarion("channel", "list", *APP, "--json").json == []
    assert "clarion channel set" in clarion("channel", "list", *APP).out
    before = time.time_ns() // 1_000_000
    made = clarion("channel", "set", *APP, "sms", "--file", str(file), "--json")
    assert (made.code, made.err) == (0, "")
    fields = made.json
    check = fields.pop("check")
    assert (check["ok"], check["reached"], check["expiresAt"], check["warning"]) == (True, True, None, None)
    assert fields.pop("createdAt") == fields.pop("updatedAt") >= before
    assert len(fields.pop("fingerprint")) == 16
    assert fields.pop("receiptUrl").startswith("/receipts/sms/")
    assert fields == {"appId": "A", "workspaceId": "w", "channel": "sms", "enabled": True}

    listed = clarion("channel", "list", *APP, "--json").json
    assert [(entry["channel"], entry["enabled"]) for entry in listed] == [("sms", True)]
    assert listed[0]["fingerprint"] in clarion("channel", "list", *APP).out
    checked = clarion("channel", "check", *APP, "--json")
    assert checked.code == 0
    assert [(entry["channel"], entry["ok"]) for entry in checked.json] == [("sms", True)]
    alone = clarion("channel", "check", "sms", *APP)
    assert (alone.code, alone.err, "/receipts/" in alone.out) == (0, "", False)

    off = clarion("channel", "disable", "sms", *APP, "--json").json
    assert off == {"appId": "A", "workspaceId": "w", "channel": "sms", "enabled": False}
    assert "disabled" in clarion("channel", "list", *APP).out
    assert clarion("channel", "check", *APP, "--json").json == []
    assert "no enabled channel" in clarion("channel", "check", *APP).out
    assert [entry["ok"] for entry in clarion("channel", "check", "sms", *APP, "--json").json] == [True]
    assert "sms is disabled" in clarion("channel", "check", "sms", *APP).err
    assert clarion("channel", "enable", "sms", *APP).out == "Enabled.\n"

    assert clarion("channel", "delete", "sms", *APP, "--json").json["deleted"] is True
    assert clarion("channel", "list", *APP, "--json").json == []
    assert clarion("channel", "delete", "sms", *APP, "--yes").code == 1


def test_no_output_has_a_secret(clarion: Clarion, file: Path) -> None:
    runs = [
        clarion("channel", "set", *APP, "sms", "--file", str(file)),
        clarion("channel", "set", *APP, "sms", "--file", changed(file, accessKeySecret=f"{secret_of(file)}x")),
        clarion("channel", "set", *APP, "sms", "--file", changed(file, other=1)),
        clarion("channel", "list", *APP),
        clarion("channel", "list", *APP, "--json"),
        clarion("channel", "check", *APP),
        clarion("channel", "check", *APP, "--json"),
        clarion("check", "--json"),
    ]
    assert [run.code for run in runs] == [0, 1, 1, 0, 0, 0, 0, 0]
    assert not [run for run in runs if secret_of(file) in run.out + run.err]


def test_credentials_that_the_vendor_refuses_are_not_stored(clarion: Clarion, file: Path) -> None:
    wrong = changed(file, accessKeySecret="wrong")
    refused = clarion("channel", "set", *APP, "sms", "--file", wrong)
    assert refused.code == 1
    assert "SignatureDoesNotMatch" in refused.err
    assert "--force" in refused.err
    assert clarion("channel", "list", *APP, "--json").json == []

    forced = clarion("channel", "set", *APP, "sms", "--file", wrong, "--force", "--json")
    assert (forced.code, forced.json["check"]["ok"]) == (0, False)
    checked = clarion("channel", "check", *APP, "--json")
    assert (checked.code, checked.json[0]["ok"], checked.json[0]["reached"]) == (1, False, True)
    assert "SignatureDoesNotMatch" in clarion("channel", "check", *APP).out
    # A refusal leaves what was there.
    kept = clarion("channel", "list", *APP, "--json").json
    assert clarion("channel", "set", *APP, "sms", "--file", changed(file, accessKeyId="LTAInobody")).code == 1
    assert clarion("channel", "list", *APP, "--json").json == kept


def test_a_vendor_that_is_away_is_a_warning(clarion: Clarion, file: Path) -> None:
    away = changed(file, baseUrl="http://127.0.0.1:1")
    stored = clarion("channel", "set", *APP, "sms", "--file", away)
    assert stored.code == 0
    assert "cannot be asked" in stored.out
    assert "stored all the same" in stored.err
    checked = clarion("channel", "check", *APP, "--json")
    assert (checked.code, checked.json[0]["reached"]) == (1, False)


def test_a_set_without_a_check(clarion: Clarion, file: Path, hall: Hall) -> None:
    hall.journal.clear()
    stored = clarion("channel", "set", *APP, "sms", "--file", str(file), "--no-check", "--json")
    assert (stored.code, stored.json["check"]) == (0, None)
    assert "not tried" in clarion("channel", "set", *APP, "sms", "--file", str(file), "--no-check").out
    assert len(hall.journal) == 0


def test_standard_input(clarion: Clarion, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    assert clarion("channel", "set", *APP, "sms", "--file", "-").code == 0


def test_a_file_that_the_channel_names_is_found_from_elsewhere(
    clarion: Clarion, file: Path, hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    missing = clarion("channel", "set", *APP, "sms", "--file", changed(file, caFile="ca.pem"))
    assert missing.code == 1
    assert "caFile" in missing.err
    (tmp_path / "ca.pem").write_bytes(hall.ca_file.read_bytes())
    assert clarion("channel", "set", *APP, "sms", "--file", changed(file, caFile="ca.pem")).code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert clarion("channel", "check", *APP).code == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "one JSON object"),
        ("{}", "accessKeyId"),
        ('{"accessKeyId": 7}', "missing: accessKeySecret"),
        ('{"AccessKeyId": "a", "accessKeySecret": "b"}', "AccessKeyId (do you mean accessKeyId?)"),
        ("", "one JSON object"),
    ],
)
def test_wrong_files(clarion: Clarion, tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(content)
    run = clarion("channel", "set", *APP, "sms", "--file", str(file))
    assert run.code == 1
    assert said in run.err


def test_mistakes(clarion: Clarion, file: Path, tmp_path: Path) -> None:
    assert clarion("channel", "set", *APP, "pigeon", "--file", str(file)).code == 2
    assert clarion("channel", "check", "pigeon", *APP).code == 2
    assert clarion("channel", "set", *APP, "sms").code == 2
    missing = clarion("channel", "set", *APP, "sms", "--file", str(tmp_path / "no.json"))
    assert (missing.code, "cannot read" in missing.err) == (1, True)
    nobody = clarion("channel", "list", "--app-id", "B", "--workspace-id", "w")
    assert (nobody.code, "clarion app list" in nobody.err) == (1, True)
    for command in ("check", "disable", "enable"):
        absent = clarion("channel", command, "sms", *APP)
        assert (absent.code, "clarion channel list" in absent.err) == (1, True)


@pytest.mark.parametrize(
    ("days", "said"), [(14.5, "ends in 14 days"), (0.5, "ends in 0 days"), (-1.5, "ended at"), (16, None)]
)
def test_certificates_that_end(
    clarion: Clarion, file: Path, monkeypatch: pytest.MonkeyPatch, days: float, said: str | None
) -> None:
    ends = time.time_ns() // 1_000_000 + int(days * DAY_MS)

    async def check(_: SmsChannel) -> Check:
        return Check(ok=True, text="good", expires_at=ends)

    monkeypatch.setattr(SmsChannel, "check", check)
    assert clarion("channel", "set", *APP, "sms", "--file", str(file)).code == 0
    found = clarion("channel", "check", *APP, "--json").json[0]
    assert found["expiresAt"] == ends
    shown = clarion("channel", "check", *APP)
    overall = {entry["name"]: entry for entry in clarion("check", "--json").json["checks"]}["sms of A"]
    if said is None:
        assert found["warning"] is None
        assert shown.err == ""
        assert overall["verdict"] == "ok"
    else:
        assert said in found["warning"]
        assert said in shown.err
        assert overall["verdict"] == "warning"
        assert said in overall["text"]


def test_the_check_of_everything(clarion: Clarion, file: Path) -> None:
    def of(name: str) -> Any:
        run = clarion("check", "--json")
        return run.code, {entry["name"]: entry for entry in run.json["checks"]}[name]["verdict"]

    assert of("channels") == (0, "ok")
    assert clarion("channel", "set", *APP, "sms", "--file", str(file)).code == 0
    assert of("sms of A") == (0, "ok")
    away = changed(file, baseUrl="http://127.0.0.1:1")
    assert clarion("channel", "set", *APP, "sms", "--file", away).code == 0
    assert of("sms of A") == (0, "warning")
    wrong = changed(file, accessKeySecret="wrong")
    assert clarion("channel", "set", *APP, "sms", "--file", wrong, "--force").code == 0
    assert of("sms of A") == (1, "fault")
    assert clarion("channel", "disable", "sms", *APP).code == 0
    assert of("channels") == (0, "ok")
