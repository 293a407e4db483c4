"""QueryPushAnalysisCoreIndex, QueryPushAnalysisTaskList, QueryPushAnalysisTaskDetail.

Source: request and response parameters of the analysis actions. `PushNum` is the number of delivered messages in
the core index, and of all messages in a task's detail. A task's id is text in the list, a number in the detail.
"""

from __future__ import annotations

from typing import Any

from clarion.analytics.model import Page, Selection, task_id
from clarion.analytics.service import AnalyticsService
from clarion.openapi.envelopes import Envelope
from clarion.openapi.registry import Action, Call, Handler
from clarion.openapi.schema import Kind, Parameter
from clarion.pushes.service import require_app
from clarion.tenants.directory import Directory
from clarion.tenants.model import App, Role

_APP = (Parameter("AppId", required=True), Parameter("WorkspaceId", required=True), Parameter("TenantId"))
_START = Parameter("StartTime", Kind.LONG, required=True)
_CORE_INDEX = (
    *_APP,
    _START,
    Parameter("EndTime", Kind.LONG, required=True),
    Parameter("Platform"),
    Parameter("Channel"),
    Parameter("Type"),
    Parameter("TaskId"),
)
_TASK_LIST = (
    *_APP,
    _START,
    Parameter("TaskId"),
    Parameter("TaskName"),
    Parameter("PageNumber", Kind.INT),
    Parameter("PageSize", Kind.INT),
)
_TASK_DETAIL = (*_APP, Parameter("TaskId", required=True))


def analytics_actions(directory: Directory, analytics: AnalyticsService) -> list[Action]:
    """The actions about statistics.

    Args:
        directory: finds the app.
        analytics: does the work.
    """
    calls = _AnalyticsCalls(directory, analytics)
    versions = ("2020-07-10", "2020-10-28")
    rows: tuple[tuple[str, tuple[Parameter, ...], Handler], ...] = (
        ("QueryPushAnalysisCoreIndex", _CORE_INDEX, calls.core_index),
        ("QueryPushAnalysisTaskList", _TASK_LIST, calls.task_list),
        ("QueryPushAnalysisTaskDetail", _TASK_DETAIL, calls.task_detail),
    )
    return [Action(name, versions, Role.READ, Envelope.QUERY, taken, handler) for name, taken, handler in rows]


class _AnalyticsCalls:
    def __init__(self, directory: Directory, analytics: AnalyticsService) -> None:
        self._directory = directory
        self._analytics = analytics

    async def core_index(self, call: Call) -> dict[str, Any]:
        values = call.params
        app = await self._app(values)
        selection = Selection.of(values.get("Platform"), values.get("Channel"), values.get("Type"))
        found = await self._analytics.core_index(
            app, values["StartTime"], values["EndTime"], selection, _task(values)
        )
        total, success, arrival, opened, ignored = map(float, found.sums)
        return _content(
            {
                "PushTotalNum": total,
                "PushNum": success,
                "ArrivalNum": arrival,
                "ArrivalRate": found.arrival_rate,
                "OpenNum": opened,
                "OpenRate": found.open_rate,
                "IgnoreNum": ignored,
                "IgnoreRate": found.ignore_rate,
            }
        )

    async def task_list(self, call: Call) -> dict[str, Any]:
        values = call.params
        app = await self._app(values)
        page = Page(**{name: values[key] for key, name in _PAGE.items() if key in values})
        found = await self._analytics.tasks(app, values["StartTime"], page, _task(values), values.get("TaskName"))
        return _content(
            [
                {
                    "TaskId": str(task.task),
                    "TaskName": task.name,
                    "TemplateId": None if task.template is None else str(task.template),
                    "TemplateName": task.template_name,
                    "Type": int(task.kind),
                    "GmtCreate": task.created_at,
                    "List": [],
                }
                for task in found
            ]
        )

    async def task_detail(self, call: Call) -> dict[str, Any]:
        app = await self._app(call.params)
        found = await self._analytics.task_detail(app, task_id(call.params["TaskId"]))
        return _content(
            {
                "TaskId": found.task,
                "PushNum": float(found.sums.total),
                "PushSuccessNum": float(found.sums.success),
                "PushArrivalNum": float(found.sums.arrival),
                "StartTime": found.started_at,
                "EndTime": found.ended_at,
                "Duration": found.duration,
            }
        )

    async def _app(self, values: dict[str, Any]) -> App:
        return await require_app(self._directory, values["AppId"], values["WorkspaceId"])


_PAGE = {"PageNumber": "number", "PageSize": "size"}


def _task(values: dict[str, Any]) -> int | None:
    text = values.get("TaskId", "")
    return task_id(text) if text.strip() else None


def _content(data: Any) -> dict[str, Any]:
    return {"ResultContent": {"Data": data}}
