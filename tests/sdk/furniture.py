"""What the requests of `cases` and `refusals` take for granted: templates, and apps that are out of order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clarion.foundation import Foundation
from clarion.tenants.service import AppChange
from tests.sdk.cases import CREATE, WINNERS, Ask, code_of
from tests.sdk.refusals import BUSY_APP_ID, FULL_APP_ID, OFF_APP_ID
from tests.support.server import run_clarion
from tests.support.tenants import APP_ID, WORKSPACE_ID, in_foundation

MOST_TEMPLATES = 100

SAMPLE_TEMPLATES: Mapping[str, str] = {
    "template1024": "Hello #name#. Congratulations to you for winning RMB #money#.",
    "testTemplate": "Hello #name#. Congratulations to you for winning RMB #money#.",
    "broadcastTemplate": "This is an announcement: #content#.",
}
"""Templates of the samples in the API's documentation."""


def make_apps(data_dir: Path) -> None:
    """Make the apps; a push API is switched off with the command line."""

    async def work(foundation: Foundation) -> None:
        for app_id in (OFF_APP_ID, BUSY_APP_ID, FULL_APP_ID):
            await foundation.tenants.create_app(app_id, WORKSPACE_ID)
        await foundation.tenants.change_app(BUSY_APP_ID, WORKSPACE_ID, AppChange(requests_per_second=1))

    in_foundation(work, data_dir)
    names = ("--app-id", OFF_APP_ID, "--workspace-id", WORKSPACE_ID)
    done = run_clarion(data_dir, "app", "set", *names, "--push-api", "off")
    assert done.returncode == 0, done.stderr


def make_templates(ask: Ask) -> None:
    """Make the templates with the API."""
    _template(ask, {**CREATE, "TemplateName": WINNERS})
    for name, content in SAMPLE_TEMPLATES.items():
        sample = {"TemplateName": name, "DescInfo": "sample", "Title": "sample", "Content": content}
        _template(ask, {"AppId": APP_ID, "WorkspaceId": WORKSPACE_ID, **sample})
    for number in range(MOST_TEMPLATES):
        _template(ask, {**CREATE, "AppId": FULL_APP_ID, "TenantId": "", "TemplateName": f"t{number}"})


def _template(ask: Ask, parameters: dict[str, Any]) -> None:
    assert code_of(ask("CreateTemplate", parameters)) == "100"
