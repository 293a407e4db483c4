"""Accepting pushes."""

from __future__ import annotations

from clarion.channels.message import PushContent, encode_content
from clarion.clock import Clock
from clarion.delivery.accept import Accepted, NewMessage, NewTask, accept
from clarion.delivery.dispatch import Dispatcher
from clarion.ids import IdGenerator
from clarion.pushes.model import MultipleForm, PushKind, PushReceipt, SimpleForm, TemplateForm
from clarion.pushes.rules import CheckedPush, Limits, MultiplePush, check_multiple, check_simple, check_template
from clarion.results import Refusal, ResultCode
from clarion.store.group import GroupWriter
from clarion.templates.service import TemplateService
from clarion.tenants.directory import Directory
from clarion.tenants.model import App


class PushService:
    """Checks a push, commits it and hands it to delivery.

    Args:
        directory: finds the app.
        templates: finds templates.
        writer: commits tasks; many share one transaction.
        dispatcher: sends what was committed.
        ids: numbers of tasks and messages.
        clock: time of acceptance.
        limits: what the operator allows.
    """

    def __init__(
        self,
        directory: Directory,
        templates: TemplateService,
        writer: GroupWriter,
        dispatcher: Dispatcher,
        ids: IdGenerator,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._directory = directory
        self._templates = templates
        self._writer = writer
        self._dispatcher = dispatcher
        self._ids = ids
        self._clock = clock
        self._limits = limits

    async def push_simple(self, form: SimpleForm, request_id: str) -> PushReceipt:
        """Accept one message for each of up to ten targets; it is on disk when this returns.

        Raises:
            Refusal: a business rule is broken.
            StoreUnavailable: it could not be committed; nothing was accepted.
        """
        app = await require_push_app(self._directory, form.app_id, form.workspace_id)
        return await self._accept(app, PushKind.SIMPLE, check_simple(form, self._limits), request_id)

    async def push_template(self, form: TemplateForm, request_id: str) -> PushReceipt:
        """As `push_simple`, with the texts of a template.

        Raises:
            Refusal: a business rule is broken.
            StoreUnavailable: it could not be committed; nothing was accepted.
        """
        app = await require_push_app(self._directory, form.app_id, form.workspace_id)
        template = await self._templates.find(app.key, form.template_name)
        push = check_template(form, template.text if template else None, self._limits)
        return await self._accept(app, PushKind.TEMPLATE, push, request_id)

    async def push_multiple(self, form: MultipleForm, request_id: str) -> PushReceipt:
        """Accept a message of its own for each of up to 400 targets; Data is the task's id.

        Raises:
            Refusal: a business rule is broken for any of the targets; none is accepted.
            StoreUnavailable: it could not be committed; nothing was accepted.
        """
        app = await require_push_app(self._directory, form.app_id, form.workspace_id)
        template = await self._templates.find(app.key, form.template_name)
        push = check_multiple(form, template.text if template else None, self._limits)
        contents = [encode_content(content) for content in push.contents]
        messages = [
            NewMessage(self._ids.next(), target.target, target.msg_key, content)
            for target, content in zip(push.targets, contents, strict=True)
        ]
        task = self._task(app, PushKind.MULTIPLE, push, contents[0], messages, request_id)
        return await self._carry_out(task._replace(answer=str(task.task)), push.contents[0])

    async def _accept(self, app: App, kind: PushKind, push: CheckedPush, request_id: str) -> PushReceipt:
        messages = [NewMessage(self._ids.next(), target.target, target.msg_key) for target in push.targets]
        task = self._task(app, kind, push, encode_content(push.content), messages, request_id)
        return await self._carry_out(task, push.content)

    def _task(
        self,
        app: App,
        kind: PushKind,
        push: CheckedPush | MultiplePush,
        content: bytes,
        messages: list[NewMessage],
        request_id: str,
    ) -> NewTask:
        now = self._clock.now_ms()
        return NewTask(
            task=self._ids.next(),
            app=app.key,
            kind=kind.value,
            name=push.task_name,
            target_type=push.target_type,
            content=content,
            answer=None,
            request_id=request_id,
            created_at=now,
            expires_at=now + push.validity_seconds * 1000,
            messages=messages,
        )

    async def _carry_out(self, task: NewTask, content: PushContent) -> PushReceipt:
        accepted: Accepted = await self._writer.submit(accept, task)
        self._dispatcher.dispatch(task, content, accepted)
        return PushReceipt(accepted.answer, len(task.messages) - accepted.repeated, accepted.repeated)


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
