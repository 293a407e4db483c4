"""Every statement that is not meant to read a whole table finds its rows by an index."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from types import ModuleType

import pytest

from clarion.analytics import service as analytics
from clarion.callbacks import outbox
from clarion.callbacks import service as callback_service
from clarion.delivery import accept, activities, binding, inbox, maintenance, recalls, revocations, trace
from clarion.delivery.broadcasts import acceptance as broadcast_acceptance
from clarion.delivery.broadcasts import (
    audience,
    courier,
    history,
    joins,
    log,
    parts,
    places,
    planner,
    receipts,
    retention,
    revoke,
    seen,
    sends,
)
from clarion.delivery.broadcasts import inbox as broadcast_inbox
from clarion.delivery.sms import claims as sms_claims
from clarion.delivery.sms import owed as sms_owed
from clarion.delivery.sms import receipts as sms_receipts
from clarion.delivery.sms import recorder as sms_recorder
from clarion.delivery.sms import supplements as sms_supplements
from clarion.delivery.vendors import (
    arrivals,
    broadcast_recalls,
    claims,
    part_abandon,
    part_claims,
    part_recorder,
    quota,
    reclaim,
    recorder,
    release,
    tokens,
)
from clarion.devices import activities as live_activities
from clarion.devices import reporting
from clarion.devices import statements as devices
from clarion.revocation import service as revocation_service
from clarion.schedules import listing, scheduler
from clarion.schedules import service as schedules
from clarion.store.migrate import migrate
from clarion.store.queries import Backend, Query
from clarion.tenants import channels as channel_settings

_LISTS = (
    "targets",
    "pairs",
    "acked",
    "attached",
    "withdrawn",
    "messages",
    "old",
    "devices",
    "overdue",
    "keys",
    "told",
    "entries",
    "states",
    "kinds",
    "open",
    "parts",
    "unknown",
    "taken",
    "ended",
    "addresses",
    "names",
    "configured",
    "tasks",
)


def _queries() -> Iterator[tuple[str, Query]]:
    modules: tuple[ModuleType, ...] = (
        sms_claims,
        sms_owed,
        sms_receipts,
        sms_recorder,
        sms_supplements,
        analytics,
        reporting,
        listing,
        schedules,
        scheduler,
        accept,
        activities,
        live_activities,
        binding,
        inbox,
        maintenance,
        recalls,
        revocations,
        revocation_service,
        trace,
        claims,
        recorder,
        quota,
        reclaim,
        release,
        arrivals,
        broadcast_recalls,
        devices,
        outbox,
        callback_service,
        channel_settings,
        broadcast_acceptance,
        broadcast_inbox,
        audience,
        courier,
        history,
        joins,
        log,
        parts,
        part_abandon,
        part_claims,
        part_recorder,
        places,
        planner,
        receipts,
        retention,
        revoke,
        seen,
        sends,
        tokens,
    )
    for module in modules:
        for name, value in vars(module).items():
            for query in value if isinstance(value, tuple) else (value,):
                if isinstance(query, Query):
                    yield f"{module.__name__.removeprefix('clarion.')}.{name}", query


@pytest.mark.parametrize("query", [pytest.param(query, id=name) for name, query in _queries()])
def test_no_statement_scans_a_table(query: Query, planned: sqlite3.Connection) -> None:
    compiled = query._compile(Backend.SQLITE)
    values = ["[]" if name in _LISTS else 1 for name in compiled.names]
    plan = [row[3] for row in planned.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", values)]
    assert plan
    assert not [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("plans") / "plans.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    connection = sqlite3.connect(path)
    yield connection
    connection.close()
