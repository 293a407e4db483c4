"""Accepting pushes: carried out at once, or kept for when they are wanted."""

from __future__ import annotations

from clarion.clock import Clock
from clarion.pushes.broadcast import check_broadcast
from clarion.pushes.launch import Launcher
from clarion.pushes.model import (
    BroadcastForm,
    MultipleForm,
    PushForm,
    PushReceipt,
    SimpleForm,
    Strategy,
    TemplateForm,
)
from clarion.pushes.plan import Plan
from clarion.pushes.rules import Limits, check_multiple, check_simple, check_template
from clarion.results import Refusal, ResultCode
from clarion.schedules.model import timing_of
from clarion.schedules.service import ScheduleService
from clarion.templates.service import TemplateService
from clarion.tenants.calendar import time_zone
from clarion.tenants.directory import Directory
from clarion.tenants.model import App


class PushService:
    """Checks a push and has it carried out.

    Args:
        directory: finds the app.
        templates: finds templates.
        launcher: carries pushes out.
        schedules: keeps those that are wanted later.
        limits: what the operator allows.
        clock: tells what is later.
    """

    def __init__(
        self,
        directory: Directory,
        templates: TemplateService,
        launcher: Launcher,
        schedules: ScheduleService,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._templates = templates
        self._launcher = launcher
        self._schedules = schedules
        self._limits = limits
        self._clock = clock

    async def push_simple(self, form: SimpleForm, request_id: str) -> PushReceipt:
        """Accept one message for each of up to ten targets; it is on disk when this returns.

        Raises:
            Refusal: a business rule is broken.
            StoreUnavailable: it could not be committed; nothing was accepted.
        """
        app = await require_push_app(self._directory, form.app_id, form.workspace_id)
        return await self._carry_out(app, form, check_simple(form, self._limits), request_id)

    async def push_template(self, form: TemplateForm, request_id: str) -> PushReceipt:
        """As `push_simple`, with the texts of a template.

        Raises:
            Refusal: a business rule is broken.
            StoreUnavailable: it could not be committed; nothing was accepted.
        """
        app = await require_push_app(self._directory, form.app_id, form.workspace_id)
        template = await self._templates.find(app.key, form.template_name)
        return await self._carry_out(app, form, check_template(form, template, self._limits), request_id)

    async def push_multiple(self, form: MultipleForm, request_id: str) -> PushReceipt:
        """Accept a message of its own for each of up to 400 targets; Data is the task's id.

        Raises:
            Refusal: a business rule is broken for any of the targets; none is accepted.
            StoreUnavailable: it could not be committed; nothing was accepted.
        """
        app = await require_push_app(self._directory, form.app_id, form.workspace_id)
        template = await self._templates.find(app.key, form.template_name)
        return await self._carry_out(app, form, check_multiple(form, template, self._limits), request_id)

    async def push_broadcast(self, form: BroadcastForm, request_id: str) -> PushReceipt:
        """Accept one message for every device of an audience; Data is the task's id.

        A repeated message key (of the app and platform, within 7 days) gives the first one's id.

        Raises:
            Refusal: a business rule is broken.
            StoreUnavailable: it could not be committed; nothing was accepted.
        """
        app = await require_push_app(self._directory, form.app_id, form.workspace_id)
        template = await self._templates.find(app.key, form.template_name)
        return await self._carry_out(app, form, check_broadcast(form, template, self._limits), request_id)

    async def _carry_out(self, app: App, form: PushForm, plan: Plan, request_id: str) -> PushReceipt:
        """The one way of all kinds of push: now, or later, where Data is the id of the schedule."""
        strategy = Strategy(form.strategy_type or Strategy.IMMEDIATE)
        if strategy is Strategy.IMMEDIATE:
            return await self._launcher.launch(app.key, plan, request_id)
        zone = time_zone(app.time_zone)
        timing = timing_of(strategy, form.strategy_content, self._clock.now_ms(), zone)
        return await self._schedules.create(app.key, plan, timing, request_id)


async def require_app(directory: Directory, app_id: str, workspace_id: str) -> App:
    """The app that a request names.

    Raises:
        Refusal: 3003 when a name is empty, 3007 when there is no such app.
    """
    if not app_id.strip() or not workspace_id.strip():
        raise Refusal(ResultCode.NEED_APPID_WORKSPACEID)
    app = await directory.find_app(app_id.strip(), workspace_id.strip())
    if app is None:
        raise Refusal(
            ResultCode.APPID_WRONG,
            "no app has this AppId and WorkspaceId; create it with `clarion app create`",
        )
    return app


async def require_push_app(directory: Directory, app_id: str, workspace_id: str) -> App:
    """As `require_app`, for pushes.

    Raises:
        Refusal: also 3032 when the push API of the app is switched off.
    """
    app = await require_app(directory, app_id, workspace_id)
    if not app.push_enabled:
        raise Refusal(ResultCode.REST_API_SWITCH_NOT_OPEN)
    return app
