"""CreateTemplate, DeleteTemplate, GetTemplate, ListTemplatePage.

Source: request and response parameters of the template actions. Every member of an answer is text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from clarion.openapi.actions.scope import require_instance
from clarion.openapi.envelopes import Envelope
from clarion.openapi.registry import Action, Call, Handler
from clarion.openapi.schema import Kind, Parameter
from clarion.pushes.content import check_addresses, one_of
from clarion.results import Refusal, ResultCode
from clarion.templates.model import Template, TemplateText
from clarion.templates.service import TemplateService
from clarion.tenants.directory import Directory
from clarion.tenants.model import Role

MAX_PAGE = 500
_DEFAULT_PAGE = 10

_APP = (Parameter("AppId"), Parameter("WorkspaceId"), Parameter("TenantId"))
_NAMED = (*_APP, Parameter("TemplateId"), Parameter("TemplateName"))
_CREATE = (
    *_APP,
    Parameter("TemplateName"),
    Parameter("DescInfo"),
    Parameter("Title"),
    Parameter("Content"),
    Parameter("Uri"),
    Parameter("Variables"),
    Parameter("ShowStyle", Kind.LONG),
    Parameter("PushStyle", Kind.INT),
    Parameter("ImageUrls"),
    Parameter("IconUrls"),
    Parameter("JumpAction", Kind.INT),
)
_LIST = (*_APP, Parameter("CurrentPage", Kind.INT), Parameter("PageSize", Kind.INT))


def template_actions(directory: Directory, templates: TemplateService) -> list[Action]:
    """The actions about templates.

    Args:
        directory: finds the app.
        templates: does the work.
    """
    calls = _TemplateCalls(directory, templates)
    versions = ("2020-07-10", "2020-10-28")
    rows: tuple[tuple[str, Role, tuple[Parameter, ...], Handler], ...] = (
        ("CreateTemplate", Role.PUSH, _CREATE, calls.create),
        ("DeleteTemplate", Role.PUSH, _NAMED, calls.delete),
        ("GetTemplate", Role.READ, _NAMED, calls.get),
        ("ListTemplatePage", Role.READ, _LIST, calls.page),
    )
    return [Action(name, versions, role, Envelope.TEMPLATE, taken, handler) for name, role, taken, handler in rows]


class _TemplateCalls:
    def __init__(self, directory: Directory, templates: TemplateService) -> None:
        self._directory = directory
        self._templates = templates

    async def create(self, call: Call) -> dict[str, Any]:
        values = call.params
        app = await require_instance(self._directory, values)
        text = TemplateText(
            title=values.get("Title", ""),
            content=values.get("Content", ""),
            uri=values.get("Uri", ""),
            action=one_of("JumpAction", values.get("JumpAction"), (0, 1), 0),
            silent=one_of("ShowStyle", values.get("ShowStyle"), (0, 1), 0),
            style=one_of("PushStyle", values.get("PushStyle"), (0, 1, 2), 0),
            icons=check_addresses("IconUrls", values.get("IconUrls")),
            images=check_addresses("ImageUrls", values.get("ImageUrls")),
        )
        made = await self._templates.create(
            app.key,
            values.get("TemplateName", ""),
            values.get("DescInfo", ""),
            text,
            values.get("Variables", ""),
        )
        return {"Data": str(made.template)}

    async def delete(self, call: Call) -> dict[str, Any]:
        app = await require_instance(self._directory, call.params)
        await self._templates.delete(app.key, _id(call.params), call.params.get("TemplateName"))
        return {}

    async def get(self, call: Call) -> dict[str, Any]:
        app = await require_instance(self._directory, call.params)
        found = await self._templates.get(app.key, _id(call.params), call.params.get("TemplateName"))
        return {"Data": _shown(found)}

    async def page(self, call: Call) -> dict[str, Any]:
        app = await require_instance(self._directory, call.params)
        number, size = call.params.get("CurrentPage", 1), call.params.get("PageSize", _DEFAULT_PAGE)
        if number < 1 or not 1 <= size <= MAX_PAGE:
            raise Refusal(ResultCode.INVALID_PARAM, f"CurrentPage begins at 1 and PageSize must be 1 to {MAX_PAGE}")
        found, total = await self._templates.page(app.key, number, size)
        return {
            "CurrentPage": number,
            "PageSize": size,
            "TotalSize": total,
            "Data": [_shown(template) for template in found],
        }


def _id(values: dict[str, Any]) -> int | None:
    text = values.get("TemplateId", "").strip()
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


def _shown(template: Template) -> dict[str, str]:
    text = template.text
    return {
        "Id": str(template.template),
        "Name": template.name,
        "DescInfo": template.description,
        "Title": text.title,
        "Content": text.content,
        "Uri": text.uri,
        "Variables": template.variables,
        "PushStyle": str(text.style),
        "ShowStyle": str(text.silent),
        "Action": str(text.action),
        "ImageUrls": msgspec.json.encode(text.images).decode(),
        "IconUrls": msgspec.json.encode(text.icons).decode(),
        "GmtCreate": _moment(template.created_at),
        "GmtModified": _moment(template.modified_at),
    }


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
