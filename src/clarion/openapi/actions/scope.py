"""Whose data a request is about."""

from __future__ import annotations

from typing import Any

from clarion.results import Refusal, ResultCode
from clarion.tenants.directory import Directory
from clarion.tenants.model import App


async def require_instance(directory: Directory, values: dict[str, Any]) -> App:
    """The app that a template or device-state request names.

    Raises:
        Refusal: 3003 when a name is empty, 8012 when there is no such app, 8013 for another tenant.
    """
    app_id, workspace_id = values.get("AppId", "").strip(), values.get("WorkspaceId", "").strip()
    if not app_id or not workspace_id:
        raise Refusal(ResultCode.NEED_APPID_WORKSPACEID)
    app = await directory.find_app(app_id, workspace_id)
    if app is None:
        raise Refusal(ResultCode.INVALID_INSTANCE_ID, "no app has this AppId and WorkspaceId")
    tenant = values.get("TenantId")
    if tenant and app.tenant_id and tenant != app.tenant_id:
        raise Refusal(ResultCode.INVALID_TENANT_ID)
    return app
