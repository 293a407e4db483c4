from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from clarion.clock import ManualClock
from clarion.delivery.ledger import Count, Event, EventKind, Figure, Ledger
from clarion.delivery.series import CODE_BITS, PushKind, series_code
from clarion.ids import IdGenerator, first_id_at
from clarion.store.queries import Insert

NOW = 1_795_000_000_000
DAY_MS = 86_400_000
SIMPLE = series_code(PushKind.SIMPLE, "android", "link")
MULTIPLE = series_code(PushKind.MULTIPLE, "ios", None)


class Transaction:
    """Keeps the rows that are written, by table."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[Any, ...]]] = {}

    async def insert(self, insert: Insert, rows: Sequence[Sequence[Any]]) -> Sequence[Any]:
        table = insert._head.split()[2]
        self.rows.setdefault(table, []).extend(tuple(row) for row in rows)
        return []


class Apps:
    """Days in UTC; app 7 wants to be told."""

    def day(self, app: int, at_ms: int) -> int:
        return at_ms // DAY_MS

    def is_told(self, app: int) -> bool:
        return app == 7


def ledger(node: int = 0) -> Ledger:
    return Ledger(Apps(), IdGenerator(ManualClock(NOW), node))


async def counted(counts: Sequence[Count], node: int = 0) -> dict[str, list[tuple[Any, ...]]]:
    transaction = Transaction()
    await ledger(node).count(cast(Any, transaction), counts, NOW)
    return transaction.rows


def count(message_at: int, figure: Figure, by: int = 1, *, series: int = SIMPLE, app: int = 1) -> Count:
    return Count(app, 55, first_id_at(message_at), series, figure, by)


async def test_what_goes_to_one_row_is_added_up_first() -> None:
    rows = await counted([count(NOW, Figure.TOTAL), count(NOW + 1, Figure.TOTAL), count(NOW, Figure.OPENED, 3)])
    assert rows == {"day_counters": [(1, NOW // DAY_MS, SIMPLE, 2, 0, 0, 3, 0)]}


async def test_by_app_day_and_series() -> None:
    next_day = (NOW // DAY_MS + 1) * DAY_MS
    rows = await counted(
        [
            count(NOW, Figure.TOTAL, app=2),
            count(next_day - 1, Figure.TOTAL),
            count(next_day, Figure.TOTAL, -1),
            count(next_day, Figure.SUCCESS, series=SIMPLE + 16),
        ]
    )
    today = NOW // DAY_MS
    assert rows == {
        "day_counters": [
            (1, today, SIMPLE, 1, 0, 0, 0, 0),
            (1, today + 1, SIMPLE, -1, 0, 0, 0, 0),
            (1, today + 1, SIMPLE + 16, 0, 1, 0, 0, 0),
            (2, today, SIMPLE, 1, 0, 0, 0, 0),
        ]
    }


async def test_batches_count_for_their_task_too() -> None:
    for kind in PushKind:
        series = series_code(kind, None, None)
        rows = await counted([count(NOW, Figure.ARRIVAL, series=series)])
        wanted = [(55, series, 0, 0, 1, 0, 0, NOW)] if kind in (PushKind.MULTIPLE, PushKind.BROADCAST) else None
        assert rows.get("task_counters") == wanted


@pytest.mark.parametrize("figure", Figure)
async def test_a_task_goes_on_while_it_is_delivered_not_while_it_is_looked_at(figure: Figure) -> None:
    rows = await counted([count(NOW, figure, series=MULTIPLE)])
    (row,) = rows["task_counters"]
    assert row[-1] == (0 if figure in (Figure.OPENED, Figure.IGNORED) else NOW)


async def test_each_node_has_rows_of_its_own() -> None:
    rows = await counted([count(NOW, Figure.TOTAL, series=MULTIPLE)], node=3)
    assert rows["day_counters"][0][2] == rows["task_counters"][0][1] == MULTIPLE | 3 << CODE_BITS


async def test_nothing_to_count() -> None:
    assert await counted([]) == {}


async def test_only_apps_that_want_it_are_told() -> None:
    transaction = Transaction()
    events = [Event(app, 9, 4, EventKind.OPEN, NOW) for app in (7, 8)]
    await ledger().tell(cast(Any, transaction), events)
    ((number, *row),) = transaction.rows["callbacks"]
    assert number > 0
    assert row == [7, 9, 4, "open", NOW]
    await ledger().tell(cast(Any, transaction), events[1:])
    assert len(transaction.rows["callbacks"]) == 1
