"""What is and was scheduled, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Text, bindparam, func, or_, select

from clarion.delivery.series import PushKind
from clarion.pushes.model import Strategy
from clarion.schedules.model import FireState
from clarion.store.database import Row, Transaction
from clarion.store.queries import Query, Terms
from clarion.store.schema_campaigns import fires, schedules

_EARLIEST, _LATEST = 0, (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A fire with what a list shows of its schedule.

    Attributes:
        unique_id: of the fire; of a timed push the same as `parent_id`.
        parent_id: of the schedule.
        push_time: when it is due.
        title: of the first message.
        content: of the first message.
        kind: simple, template, multiple or broadcast.
        target_type: `DeliveryType` of the push.
        strategy: timed or cyclic.
        state: where it stands.
        created_at: when the schedule was made.
    """

    unique_id: str
    parent_id: str
    push_time: int
    title: str
    content: str
    kind: PushKind
    target_type: int
    strategy: Strategy
    state: FireState
    created_at: int


class Wanted(NamedTuple):
    """Which fires.

    Attributes:
        app: internal number of the app.
        start: due at this time (ms) or later; None: whenever.
        end: due at this time (ms) or earlier; None: whenever.
        states: where they stand.
        kinds: kinds of push.
        name: id of their schedule or of one fire; None: all of the app.
    """

    app: int
    start: int | None
    end: int | None
    states: Sequence[int]
    kinds: Sequence[int]
    name: str | None


def _listed(terms: Terms, columns: Sequence[ColumnElement[Any]], *, named: bool) -> Select[Any]:
    name = bindparam("name", type_=Text)
    # By the name alone, where there is one: the app is only compared, so that no index over it is tempting.
    of_app = schedules.c.app if named else fires.c.app
    found = (
        select(*columns)
        .select_from(fires.join(schedules, schedules.c.schedule == fires.c.schedule))
        .where(
            of_app == bindparam("app"),
            fires.c.fire_at >= bindparam("start"),
            fires.c.fire_at <= bindparam("end"),
            terms.any_of(fires.c.state, "states"),
            terms.any_of(schedules.c.kind, "kinds"),
        )
    )
    return found.where(or_(fires.c.unique_id == name, fires.c.schedule == name)) if named else found


def _page(*, named: bool) -> Query:
    columns = (
        fires.c.unique_id,
        fires.c.schedule,
        fires.c.fire_at,
        schedules.c.title,
        schedules.c.content,
        schedules.c.kind,
        schedules.c.target_type,
        schedules.c.strategy,
        fires.c.state,
        schedules.c.created_at,
    )
    return Query(
        lambda terms: (
            _listed(terms, columns, named=named)
            .order_by(fires.c.fire_at, fires.c.unique_id)
            .limit(bindparam("limit"))
            .offset(bindparam("skipped"))
        ),
        lists=("states", "kinds"),
    )


def _count(*, named: bool) -> Query:
    return Query(lambda terms: _listed(terms, (func.count(),), named=named), lists=("states", "kinds"))


_PAGES = _page(named=False), _page(named=True)
_COUNTS = _count(named=False), _count(named=True)


async def read_page(transaction: Transaction, wanted: Wanted, limit: int, skipped: int) -> tuple[list[Entry], int]:
    """Some of the wanted fires in the order in which they are due, and how many there are in all."""
    named = wanted.name is not None
    values: dict[str, Any] = {
        "app": wanted.app,
        "start": _EARLIEST if wanted.start is None else wanted.start,
        "end": _LATEST if wanted.end is None else wanted.end,
        "states": wanted.states,
        "kinds": wanted.kinds,
    }
    if named:
        values["name"] = wanted.name
    rows = await transaction.fetch(_PAGES[named], **values, limit=limit, skipped=skipped)
    count = await transaction.fetch_one(_COUNTS[named], **values)
    return [_entry(row) for row in rows], count[0] if count else 0


def _entry(row: Row) -> Entry:
    unique_id, parent_id, push_time, title, content, kind, target_type, strategy, state, created_at = row
    return Entry(
        unique_id,
        parent_id,
        push_time,
        title,
        content,
        PushKind(kind),
        target_type,
        Strategy(strategy),
        FireState(state),
        created_at,
    )
