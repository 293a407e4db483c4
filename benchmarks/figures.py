"""Measured values, and what a benchmark needs to show them."""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table


class BenchmarkFailed(Exception):
    """Nothing could be measured; the text says why."""


class Verdict(Enum):
    """How a value stands to its floor and aim."""

    NONE = ""
    BELOW_FLOOR = "below the floor"
    FLOOR_REACHED = "floor reached"
    AIM_REACHED = "aim reached"


_STYLES = {Verdict.BELOW_FLOOR: "red", Verdict.FLOOR_REACHED: "yellow", Verdict.AIM_REACHED: "green"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured value with its floor and aim.

    Attributes:
        name: what was measured.
        value: the measurement.
        unit: its unit.
        floor: what it has to reach, None for a value that is shown for comparison.
        aim: what it should reach.
        higher_is_better: the direction.
        notes: what else was seen.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    aim: float | None = None
    higher_is_better: bool = False
    notes: str = ""

    @property
    def verdict(self) -> Verdict:
        """How the value stands to floor and aim."""
        if self.floor is None or self.aim is None:
            return Verdict.NONE
        sign = 1 if self.higher_is_better else -1
        if sign * self.value >= sign * self.aim:
            return Verdict.AIM_REACHED
        return Verdict.FLOOR_REACHED if sign * self.value >= sign * self.floor else Verdict.BELOW_FLOOR


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what a benchmark ran."""

    at: str
    clarion: str
    python: str
    system: str
    cpu: str
    load: float

    @classmethod
    def now(cls) -> Conditions:
        """Those of this machine and moment."""
        from clarion import __version__

        models = (
            line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")
        )
        return cls(
            time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            __version__,
            platform.python_version(),
            f"{platform.system()} {platform.release()} {platform.machine()}",
            f"{len(os.sched_getaffinity(0))} × {next(models, '?')}",
            round(os.getloadavg()[0], 2),
        )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []


def number(value: float | None) -> str:
    """A value as people read it: at least three digits of a measurement, all of an integer."""
    if value is None:
        return ""
    if isinstance(value, int) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def listed(values: Iterable[float]) -> str:
    """The values of several rounds."""
    return ", ".join(map(number, values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(figures: Sequence[Figure]) -> Table:
    """The figures for a terminal."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("figure", no_wrap=True)
    for name in ("value", "unit", "floor", "aim"):
        shown.add_column(name, justify="left" if name == "unit" else "right", no_wrap=True)
    shown.add_column("verdict", no_wrap=True)
    shown.add_column("notes", style="dim", overflow="fold")
    for figure in figures:
        verdict = figure.verdict
        style = _STYLES.get(verdict, "")
        shown.add_row(
            figure.name,
            f"[bold]{number(figure.value)}[/bold]",
            figure.unit,
            number(figure.floor),
            number(figure.aim),
            f"[{style}]{verdict.value}[/{style}]" if style else "",
            figure.notes,
        )
    return shown


def terminal() -> Console:
    """Where figures are shown; a file or a pipe gets lines that are long enough for the table."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def stage(text: str) -> None:
    """Tell whoever waits what is being done."""
    print(text, file=sys.stderr, flush=True)


def stop_on_signals() -> None:
    """Let SIGTERM and Ctrl-C end the program as an exception, so that what it started is stopped too.

    Ctrl-C has to be asked for: a shell script starts its background commands with SIGINT ignored.
    """
    for number_of_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number_of_signal, signal.default_int_handler)


def run_script(measure: Callable[[], list[Figure]]) -> None:
    """The main program of a benchmark: a table, or with `--json` the figures for the runner."""
    stop_on_signals()
    try:
        figures = measure()
    except BenchmarkFailed as error:
        sys.exit(f"failed: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped")
    if "--json" in sys.argv[1:]:
        print(msgspec.json.encode(figures).decode())
    else:
        terminal().print(table(figures))
