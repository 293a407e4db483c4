"""QueryPushSchedulerList, CancelPushScheduler, and the same under their older names.

Source: request and response parameters of the scheduled-push actions. `ExecutedStatus` is text, as the SDKs declare
it; the result of a cancellation is one text for all ids, in the look of a Java map.
"""

from __future__ import annotations

from typing import Any

from clarion.delivery.series import PushKind
from clarion.openapi.envelopes import Envelope
from clarion.openapi.registry import Action, Call, Handler
from clarion.openapi.schema import Kind, Parameter
from clarion.pushes.content import invalid, one_of
from clarion.pushes.service import require_app
from clarion.schedules.listing import Entry
from clarion.schedules.model import FireState
from clarion.schedules.service import ScheduleService
from clarion.tenants.directory import Directory
from clarion.tenants.model import App, Role
from clarion.text import is_text

MAX_PAGE = 500
MAX_CANCELLED = 30
MAX_ID = 64
"""Most characters of an id that is worth looking for."""

_BY_API = 0
_TIMES = ("StartTime", "EndTime")
_APP = (Parameter("AppId", required=True), Parameter("WorkspaceId", required=True))
_TENANT = Parameter("TenantId")
_LIST = (
    Parameter("Type", Kind.INT),
    Parameter("UniqueId"),
    Parameter("PageNumber", Kind.INT),
    Parameter("PageSize", Kind.INT),
)
_CANCEL = (*_APP, Parameter("UniqueIds", required=True), Parameter("Type", Kind.INT), _TENANT)


def schedule_actions(directory: Directory, schedules: ScheduleService) -> list[Action]:
    """The actions about timed and cyclic pushes.

    Args:
        directory: finds the app.
        schedules: does the work.
    """
    calls = _ScheduleCalls(directory, schedules)
    older, newer = "2020-07-10", "2020-10-28"
    query = (*_APP, *(Parameter(name, Kind.LONG, required=True) for name in _TIMES), *_LIST, _TENANT)
    older_query = (*_APP, *(Parameter(name, Kind.LONG) for name in _TIMES), *_LIST)
    rows: tuple[tuple[str, tuple[str, ...], Role, tuple[Parameter, ...], Handler], ...] = (
        ("QueryPushSchedulerList", (older, newer), Role.READ, query, calls.query),
        ("QueryMpsSchedulerList", (older, newer), Role.READ, older_query, calls.query),
        ("CancelPushScheduler", (older, newer), Role.PUSH, _CANCEL, calls.cancel),
        ("CancelMpsScheduler", (older,), Role.PUSH, _CANCEL, calls.cancel),
    )
    return [
        Action(name, versions, role, Envelope.QUERY, taken, handler)
        for name, versions, role, taken, handler in rows
    ]


class _ScheduleCalls:
    def __init__(self, directory: Directory, schedules: ScheduleService) -> None:
        self._directory = directory
        self._schedules = schedules

    async def query(self, call: Call) -> dict[str, Any]:
        values = call.params
        app = await self._app(values)
        times = {name: values[name] for name in _TIMES if name in values}
        if times.get("StartTime", 0) > times.get("EndTime", float("inf")):
            invalid("StartTime may not be after EndTime")
        kind = one_of("Type", values.get("Type"), (*map(int, PushKind),), -1)
        number, size = values.get("PageNumber", 1), values.get("PageSize", MAX_PAGE)
        if number < 1 or not 1 <= size <= MAX_PAGE:
            invalid(f"PageNumber begins at 1 and PageSize must be 1 to {MAX_PAGE}")
        found, total = await self._schedules.page(
            app.key,
            start=times.get("StartTime"),
            end=times.get("EndTime"),
            kind=PushKind(kind) if kind >= 0 else None,
            unique_id=values.get("UniqueId", "").strip() or None,
            number=number,
            size=size,
        )
        return {"ResultContent": {"Data": {"TotalCount": total, "List": [_shown(entry) for entry in found]}}}

    async def cancel(self, call: Call) -> dict[str, Any]:
        values = call.params
        app = await self._app(values)
        ids = check_ids(values["UniqueIds"])
        children = one_of("Type", values.get("Type"), (0, 1), 0) == 1
        done = await self._schedules.cancel(app.key, ids, children=children)
        return {"ResultContent": "{" + ",".join(f"{name}={int(success)}" for name, success in done.items()) + "}"}

    async def _app(self, values: dict[str, Any]) -> App:
        return await require_app(self._directory, values["AppId"], values["WorkspaceId"])


def check_ids(text: str) -> list[str]:
    """The ids of a list with commas, with or without blanks. Raises `Refusal` 3028."""
    ids = [part.strip() for part in text.split(",")] if len(text) <= MAX_CANCELLED * (MAX_ID + 4) else []
    ids = [one for one in ids if one]
    if not 1 <= len(ids) <= MAX_CANCELLED or not all(len(one) <= MAX_ID and is_text(one) for one in ids):
        invalid(f"UniqueIds must be 1 to {MAX_CANCELLED} ids with commas between them")
    return ids


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "UniqueId": entry.unique_id,
        "ParentId": entry.parent_id,
        "PushTime": entry.push_time,
        "PushTitle": entry.title,
        "PushContent": entry.content,
        "Type": int(entry.kind),
        "DeliveryType": entry.target_type,
        "StrategyType": int(entry.strategy),
        "ExecutedStatus": str(int(entry.state is FireState.EXECUTED)),
        "CreateType": _BY_API,
        "GmtCreate": entry.created_at,
    }
