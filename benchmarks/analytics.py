"""Questions about statistics, after 90 days of 10 million messages a day, on SQLite and on PostgreSQL.

The store holds what such pushes leave of counts: for each of four apps, 91 days, the 52 series that there can be
(kind, platform, channel) and four nodes that counted, and for the app that is asked about 20,000 multiple and
broadcast pushes with three series each. One client asks through the API, signed, one request at a time; a latency
is from sending a request to its whole answer. CPU is that of all the server's threads; PostgreSQL's own is not in
it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

import uvloop
from tests.store.servers import PostgresqlServer

from benchmarks.figures import BenchmarkFailed, Figure, number, percentile, run_script, stage
from benchmarks.pushes import closed_loop, rpc_request
from benchmarks.server import APP_ID, CLIENT_CORE, WORKSPACE_ID, BenchServer, pinned, running_server
from clarion.channels.registry import Channel, Platform
from clarion.delivery.series import CODE_BITS, PushKind, Series
from clarion.foundation import Foundation
from clarion.ids import first_id_at
from clarion.store.database import Transaction
from clarion.store.queries import Insert
from clarion.store.schema import tasks
from clarion.store.schema_campaigns import day_counters, task_counters

APPS, DAYS, NODES, TASKS, MESSAGES = 4, 91, 4, 20_000, 10_000_000
REQUESTS = 120
_FLOOR, _AIM = 100, 50  # ms
_STEP = 20_000
_DAY_MS = 24 * 3600 * 1000

_OWN = {Platform.IOS: (Channel.APNS,), Platform.HARMONY: (Channel.HARMONY,)}
_PLACES = (
    *((platform, None) for platform in (None, *Platform)),
    *((Platform.ANDROID, channel) for channel in Channel if (channel,) not in _OWN.values()),
    *((platform, channel) for platform, channels in _OWN.items() for channel in channels),
)
_SERIES = [Series(kind, *place).code for kind, place in product(PushKind, _PLACES)]
_FIGURES = ("total", "success", "arrival", "opened", "ignored")
_DAY_ROWS = Insert(day_counters, ("app", "day", "series", *_FIGURES))
_TASK_ROWS = Insert(task_counters, ("task", "series", *_FIGURES, "changed_at"))
_TASKS = Insert(
    tasks,
    (
        "task",
        "app",
        "kind",
        "name",
        "content",
        "request_id",
        "template",
        "template_name",
        "created_at",
        "expires_at",
    ),
)
Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Answers:
    latencies: list[float]  # s
    cpu: float  # ms a request


def measure() -> list[Figure]:
    """Run it; the figures."""
    with pinned(CLIENT_CORE):
        figures = _measure("SQLite", "")
        stage("starting PostgreSQL")
        postgresql = PostgresqlServer()
        try:
            return figures + _measure("PostgreSQL", asyncio.run(postgresql.create()))
        finally:
            postgresql.close()


def _measure(database: str, url: str) -> list[Figure]:
    with running_server(database=url, furnish=_fill) as server:
        return [
            figure
            for name, (action, parameters) in _questions().items()
            for figure in _figures(f"{name}, {database}", _ask(server, database, name, action, parameters))
        ]


def _questions() -> dict[str, tuple[str, Mapping[str, str]]]:
    now = int(time.time() * 1000)
    period = {"StartTime": str(now - 90 * _DAY_MS), "EndTime": str(now)}
    task = str(_task(TASKS // 2, now))
    core, listed = "QueryPushAnalysisCoreIndex", "QueryPushAnalysisTaskList"
    return {
        "core index of 90 days": (core, period),
        "the same by platform and channel": (core, {**period, "Platform": "ANDROID", "Channel": "ANDROID"}),
        "the same of one task": (core, {**period, "TaskId": task}),
        "first page of 500 tasks": (listed, {"StartTime": period["StartTime"]}),
        "last page of 500 tasks": (listed, {"StartTime": "0", "PageNumber": str(TASKS // 500)}),
        "detail of a task": ("QueryPushAnalysisTaskDetail", {"TaskId": task}),
    }


def _ask(server: BenchServer, database: str, name: str, action: str, parameters: Mapping[str, str]) -> _Answers:
    stage(f"{name}, {database}")
    business = {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID, **parameters}
    requests = [rpc_request(server, action, business) for _ in range(REQUESTS)]
    uvloop.run(closed_loop(server.api_port, requests[:10], 1))
    before = server.reading()
    load = uvloop.run(closed_loop(server.api_port, requests[10:], 1))
    return _Answers(load.latencies, server.reading().cpu_since(before) / len(load.latencies) * 1e3)


def _figures(name: str, answers: _Answers) -> Iterator[Figure]:
    p50, p99 = (percentile(answers.latencies, share) * 1e3 for share in (0.5, 0.99))
    notes = f"p50 {number(p50)} ms, {number(answers.cpu)} ms of CPU"
    yield Figure(name=name, value=p99, unit="ms (p99)", floor=_FLOOR, aim=_AIM, notes=notes)


def _task(index: int, now: int) -> int:
    """The number of a task: they are spread over 89 days."""
    at = now // _DAY_MS * _DAY_MS - 89 * _DAY_MS + index * (88 * _DAY_MS // TASKS)
    return first_id_at(at) + index % 200


async def _fill(foundation: Foundation) -> None:
    directory = foundation.directory
    await directory.refresh()
    app = await directory.find_app(APP_ID, WORKSPACE_ID)
    if app is None:
        raise BenchmarkFailed("the app that was just made is not there")
    now = int(time.time() * 1000)
    stage("writing counts")
    await _write(foundation, _DAY_ROWS, _days(app.key, now))
    await _write(foundation, _TASKS, _batches(app.key, now))
    await _write(foundation, _TASK_ROWS, _counted(now))


async def _write(foundation: Foundation, insert: Insert, rows: Iterator[Row]) -> None:
    while step := list(islice(rows, _STEP)):

        async def work(transaction: Transaction, step: Sequence[Row] = step) -> None:
            await transaction.insert(insert, step)

        await foundation.database.write(work)


def _days(app: int, now: int) -> Iterator[Row]:
    today = now // _DAY_MS
    share = MESSAGES // (APPS * len(_SERIES) * NODES)
    sums = share, share * 9 // 10, share * 8 // 10, share // 10, share // 20
    for other, day, series, node in product(range(APPS), range(DAYS), _SERIES, range(NODES)):
        yield (app + other * 1000, today - day, series | node << CODE_BITS, *sums)


def _batches(app: int, now: int) -> Iterator[Row]:
    for index in range(TASKS):
        kind = PushKind.MULTIPLE if index % 2 else PushKind.BROADCAST
        yield (
            _task(index, now),
            app,
            int(kind),
            f"campaign {index}",
            b"{}",
            "r",
            index,
            "campaign",
            now,
            now + _DAY_MS,
        )


def _counted(now: int) -> Iterator[Row]:
    for index, series in product(range(TASKS), _SERIES[-3:]):
        yield (_task(index, now), series, 400, 380, 300, 40, 20, now)


if __name__ == "__main__":
    run_script(measure)
