"""What the requests of `cases` and `refusals` take for granted: templates, and apps that are out of order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.sdk.cases import CREATE, WINNERS, Ask, code_of
from tests.sdk.refusals import FULL_APP_ID
from tests.support.server import ServerProcess, run_clarion
from tests.support.tenants import WORKSPACE_ID

MOST_TEMPLATES = 100

SAMPLE_TEMPLATES: Mapping[str, str] = {
    "template1024": "Hello #name#. Congratulations to you for winning RMB #money#.",
    "testTemplate": "Hello #name#. Congratulations to you for winning RMB #money#.",
    "broadcastTemplate": "This is an announcement: #content#.",
}
"""Templates of the samples in the API's documentation."""


def furnish(server: ServerProcess, ask: Ask) -> None:
    """Make it all, once for a server."""
    _template(ask, {**CREATE, "TemplateName": WINNERS})
    for name, content in SAMPLE_TEMPLATES.items():
        sample = {"TemplateName": name, "DescInfo": "sample", "Title": "sample", "Content": content}
        _template(ask, {"AppId": CREATE["AppId"], "WorkspaceId": WORKSPACE_ID, **sample})
    run_clarion(server.data_dir, "app", "create", "--app-id", FULL_APP_ID, "--workspace-id", WORKSPACE_ID)
    for number in range(MOST_TEMPLATES):
        _template(ask, {**CREATE, "AppId": FULL_APP_ID, "TenantId": "", "TemplateName": f"t{number}"})


def _template(ask: Ask, parameters: dict[str, Any]) -> None:
    assert code_of(ask("CreateTemplate", parameters)) == "100"
