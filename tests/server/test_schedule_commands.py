"""`clarion schedule`: what is to come, what was, and cancelling it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clarion.channels.message import PushContent
from clarion.cli import main
from clarion.delivery.accept import TargetType
from clarion.delivery.series import PushKind
from clarion.foundation import Foundation
from clarion.pushes.model import Strategy
from clarion.pushes.plan import Plan, Target
from clarion.schedules.model import Timing
from clarion.schedules.service import ScheduleService
from clarion.store.group import GroupWriter
from tests.support.tenants import APP_ID, WORKSPACE_ID, in_foundation

APP = ("--app-id", APP_ID, "--workspace-id", WORKSPACE_ID)
AT = 4_102_444_800_000  # 2100-01-01 08:00 in China
Clarion = Callable[..., tuple[int, str, str]]


@pytest.fixture
def clarion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Clarion:
    """Runs a command on the installation in `tmp_path`: exit code, output, errors."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv("CLARION_DATA_DIR", str(tmp_path))

    def clarion(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["clarion", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return clarion


@pytest.fixture
def made(tmp_path: Path) -> tuple[str, str]:
    """A timed push and a cycle of two in the installation: their ids."""

    async def work(foundation: Foundation) -> tuple[str, str]:
        app = await foundation.tenants.create_app(APP_ID, WORKSPACE_ID)
        service = ScheduleService(foundation.database, GroupWriter(foundation.database), foundation.clock)
        plan = Plan(
            PushKind.SIMPLE, "task", TargetType.USER, 60, (PushContent("Hello", "there"),), (Target("u", "k"),)
        )
        once = await service.create(app.key, plan, Timing(Strategy.TIMED, b"1", (AT,)), "R")
        cycle = await service.create(app.key, plan, Timing(Strategy.CYCLIC, b"2", (AT + 1000, AT + 2000)), "R")
        assert once.data is not None
        assert cycle.data is not None
        return once.data, cycle.data

    return in_foundation(work, tmp_path)


def listed(clarion: Clarion, *options: str) -> list[dict[str, Any]]:
    code, out, err = clarion("schedule", "list", *APP, "--json", *options)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert isinstance(found, list)
    return found


def test_what_is_to_come_is_listed(clarion: Clarion, made: tuple[str, str]) -> None:
    once, cycle = made
    first, *others = listed(clarion)
    assert first.pop("createdAt") < AT
    assert first == {
        "uniqueId": once,
        "parentId": once,
        "pushTime": AT,
        "title": "Hello",
        "content": "there",
        "kind": "simple",
        "strategy": "timed",
        "state": "waiting",
    }
    assert [(one["parentId"], one["pushTime"] - AT, one["strategy"]) for one in others] == [
        (cycle, 1000, "cyclic"),
        (cycle, 2000, "cyclic"),
    ]
    code, out, _ = clarion("schedule", "list", *APP)
    assert code == 0
    words = out.split()  # whatever the width of the table
    assert {"DUE", "2100-01-01", "08:00:02"} <= set(words)
    assert any("Asia/Shanghai" in word for word in words)


def test_cancelling_by_either_kind_of_id(clarion: Clarion, made: tuple[str, str]) -> None:
    once, _ = made
    child = listed(clarion)[2]["uniqueId"]
    assert clarion("schedule", "cancel", *APP, once, child, "--json") == (
        0, json.dumps({once: True, child: True}, separators=(",", ":")) + "\n", "",
    )  # fmt: skip
    assert [one["pushTime"] - AT for one in listed(clarion)] == [1000]
    assert [one["state"] for one in listed(clarion, "--all")] == ["cancelled", "waiting", "cancelled"]
    code, out, _ = clarion("schedule", "cancel", *APP, once)
    assert code == 1
    assert "nothing to cancel" in out


def test_an_empty_list_and_an_unknown_app(clarion: Clarion, made: tuple[str, str]) -> None:
    clarion("schedule", "cancel", *APP, *made)
    assert "StrategyType" in clarion("schedule", "list", *APP)[1]
    code, _, err = clarion("schedule", "list", "--app-id", "X", "--workspace-id", "w")
    assert code == 1
    assert "clarion app list" in err
