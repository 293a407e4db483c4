"""Run the benchmarks: `python -m benchmarks.run [NAME …]`.

Each benchmark is a process of its own with a time limit. Prints the figures, keeps them in
`benchmarks/results.json` and writes `docs/benchmarks.md`; a benchmark that was not run keeps its last figures
there. Exit status: 0 when all could be measured, whatever the figures; 1 when one could not; 2 for an unknown name.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.figures import BenchmarkFailed, Conditions, Figure, number, stop_on_signals, table, terminal

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
_SECONDS, _ALL_SECONDS, _PATIENCE = 150.0, 660.0, 10.0

BENCHMARKS: Mapping[str, str] = {
    "push_rate": "Pushes a second",
    "multiple": "Targets of PushMultiple a second",
    "latency": "Latency from push to device",
    "schedules": "Schedules due at once",
    "link_memory": "Memory of a connection",
    "link_fanout": "One message to many devices",
    "broadcast": "One message to a million devices",
    "pipeline": "One message to a million devices through vendors",
    "analytics": "Questions about statistics",
    "http2_sender": "Notifications to a vendor over HTTP/2",
}
"""Modules of this package and their titles, in the order of the report."""


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one benchmark and under what they were measured."""

    conditions: Conditions
    seconds: int
    figures: list[Figure]


async def run_one(name: str, progress: Progress, limit: float) -> Result:
    """Run one benchmark in a process of its own, for `limit` seconds at most.

    Raises:
        BenchmarkFailed: it could not measure, or took too long.
    """
    task = progress.add_task(BENCHMARKS[name], total=1, stage="starting")
    conditions, began = Conditions.now(), time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"benchmarks.{name}", "--json", cwd=ROOT, start_new_session=True,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("the pipes were asked for")
    last = ""
    try:
        async with asyncio.timeout(limit):
            async for line in process.stderr:
                last = line.decode(errors="replace").strip()
                progress.update(task, stage=last)
            output = await process.stdout.read()
            await process.wait()
    except TimeoutError:
        raise BenchmarkFailed(f"{name} took over {limit:.0f} s") from None
    finally:
        await _end(process)
        progress.update(task, completed=1, stage="done" if process.returncode == 0 else f"[red]{last}")
    if process.returncode != 0:
        raise BenchmarkFailed(f"{name}: {last}")
    figures = msgspec.json.decode(output, type=list[Figure])
    return Result(conditions, round(time.monotonic() - began), figures)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Stop the benchmark's own process group if it still runs: politely, then for good."""
    for number_of_signal in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number_of_signal)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _PATIENCE)


async def run(names: Sequence[str], console: Console) -> tuple[dict[str, Result], list[str]]:
    """Run some benchmarks one after the other: their results, and what went wrong."""
    results: dict[str, Result] = {}
    faults: list[str] = []
    deadline = time.monotonic() + _ALL_SECONDS
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[stage]}"),
    )
    with Progress(*columns, console=console) as progress:
        for name in names:
            limit = max(1.0, min(_SECONDS, deadline - time.monotonic()))
            try:
                results[name] = await run_one(name, progress, limit)
            except BenchmarkFailed as error:
                faults.append(str(error))
    return results, faults


def page(results: Mapping[str, Result]) -> str:
    """docs/benchmarks.md."""
    parts = [_INTRODUCTION]
    for name, title in BENCHMARKS.items():
        if name not in results:
            continue
        module = importlib.import_module(f"benchmarks.{name}")
        rows = [
            (f.name, f"**{number(f.value)}** {f.unit}", number(f.floor), number(f.aim), f.verdict.value, f.notes)
            for f in results[name].figures
        ]
        parts += [
            f"## {title}",
            _markdown(("figure", "value", "floor", "aim", "verdict", "notes"), rows),
            f"{inspect.getdoc(module)} (`python -m benchmarks.{name}`)",
        ]
    conditions = []
    for name, result in results.items():
        c = result.conditions
        took = f"{result.seconds} s"
        conditions.append((name, c.at, c.clarion, c.python, c.system, c.cpu, f"{c.load:.2f}", took))
    headings = "benchmark", "at", "Clarion", "Python", "system", "processors", "load before", "took"
    return "\n\n".join([*parts, "## Conditions", _markdown(headings, conditions)]) + "\n"


_INTRODUCTION = """# Benchmarks

Written by `make bench` (`make bench BENCH_ARGS="latency"` for one of them); the same as data:
[benchmarks/results.json](../benchmarks/results.json). The server has one core to itself and the clients another,
all over the loopback interface. A *floor* is what the design has to reach, an *aim* what it should. On a machine
that does other things too the figures of two runs differ by half and more, so the best of several rounds is
reported and the others are in the notes; ratios to a peer in the same run say more than rates."""


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _stored() -> dict[str, Result]:
    """The results of earlier runs; none when they cannot be read."""
    try:
        return msgspec.json.decode(RESULTS.read_bytes(), type=dict[str, Result])
    except (OSError, msgspec.MsgspecError):
        return {}


def main(names: Sequence[str]) -> int:
    """Run the named benchmarks, or all; the exit status."""
    console = terminal()
    if unknown := [name for name in names if name not in BENCHMARKS]:
        console.print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        return 2
    conditions = Conditions.now()
    console.print(f"Clarion {conditions.clarion} on Python {conditions.python}, {conditions.system}")
    console.print(f"{conditions.cpu}, load {conditions.load:.2f}, {conditions.at}\n")
    results, faults = asyncio.run(run(names or list(BENCHMARKS), console))
    console.print()
    console.print(table([figure for result in results.values() for figure in result.figures]))
    if results:
        kept = _stored() | results
        ordered = {name: kept[name] for name in BENCHMARKS if name in kept}
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n")
        PAGE.write_text(page(ordered), "utf-8")
        console.print(f"\nWritten to {RESULTS.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}")
    for fault in faults:
        console.print(f"[red]Could not measure:[/red] {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    stop_on_signals()
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("stopped")
