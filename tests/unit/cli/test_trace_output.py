"""How a trace looks: whole lines for programs, lines that fit for people."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from clarion.cli import trace as command
from clarion.delivery.trace import Trace, TraceHop

CAUSE = "The vendor's service takes no more for the moment, or for today. 失败 The message goes over."
HOP = TraceHop(
    1_795_438_034_370, "sent", "rate_limited", "10034", CAUSE, "It is sent again when the vendor allows.", "d1"
)
TRACE = Trace("u", "k", 0, "DeviceNotOnlineOrNoResponse", "2" * 15, "3" * 15, "hello", 0, [HOP])


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> list[str]:
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=terminal, width=80, highlight=False, soft_wrap=True, color_system=None
    )
    monkeypatch.setattr(command, "out", console)
    command._show(TRACE)
    return file.getvalue().splitlines()


def test_lines_fit_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, terminal=True)
    assert max(map(len, lines)) <= 80
    words = " ".join(" ".join(lines).split())
    assert "The message goes over. [10034]" in words
    assert all(line.startswith(" " * 37) for line in lines[4:])


def test_a_hop_is_one_line_for_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, terminal=False)
    assert lines[3].endswith(f"sent      {CAUSE} [10034]")
    assert [line.strip() for line in lines[4:]] == ["device d1", f"→ {HOP.next}"]
