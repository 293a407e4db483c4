"""The documents say what is so: documented codes, generated tables, links, commands."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from tools import channel_tables, doc_facts, generate_docs

from clarion.channels.opening import FOLDERS
from clarion.channels.outcomes import Treatment
from clarion.cli.main import app
from clarion.delivery.states import MessageStatus, Outcome
from clarion.link.protocol import Failure
from clarion.openapi.errors import GatewayFault
from clarion.results import ResultCode
from clarion.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

RESULT_CODES = """
OK SUCCESS
-1 SIGNATURE_MISMATCH
3001 NEED_DELIVERYTOKEN
3002 NEED_FILE
3003 NEED_APPID_WORKSPACEID
3007 APPID_WRONG
3008 OS_TYPE_NOT_SUPPORTED
3009 DELIVERY_TYPE_NOT_SUPPORTED
3012 NEED_USERID
3019 TASKNAME_NULL
3020 EXPIREDSECONDS_WRONG
3021 TOKEN_OR_USERID_NULL
3022 TEMPLATE_NOT_EXIST
3023 TEMPLATEKV_NOT_ENOUGH
3024 PAYLOAD_NOT_ENOUGH
3025 NEED_TEMPLATE
3026 EXPIREDTIME_TOO_LONG
3028 INVALID_PARAM
3029 SINGLE_PUSH_TARGET_TOO_MUCH
3030 BROADCAST_ONLY_SUPPORT_BY_DEVICE
3031 REQUEST_SHOULD_BE_UTF8
3032 REST_API_SWITCH_NOT_OPEN
3033 UNKNOWN_REST_SIGN_TYPE
3035 EXTEND_PARAM_TO_MUCH
3036 TEMPLATE_ALREADY_EXIST
3037 TEMPLATE_NAME_NULL
3038 TEMPLATE_NAME_INVALID
3039 TEMPLATE_CONTENT_INVALID
3040 TEMPLATE_TITLE_INVALID
3041 TEMPLATE_DESC_INFO_INVALID
3042 TEMPLATE_URI_INVALID
3043 SINGLE_PUSH_CONTENT_TOO_LONG
3044 INVALID_EXTEND_PARAM
3049 MULTIPLE_INNER_EXTEND_PARAM_TO_MUCH
3050 MSG_PAYLOAD_TOO_LONG
3051 BROADCAST_ALL_USER_NEED_UNBIND_PERIOD
3052 BROADCAST_ALL_USER_UNBIND_PERIOD_INVALID
3053 BROADCAST_ALL_USER_NOT_SUPPORT_SELFCHANNEL_ANDROID
3054 DELIVERYTOKEN_INVALID
3055 MULTIPLE_TARGET_NUMBER_TOO_MUCH
3056 TEMPLATE_NUM_TOO_MUCH
3057 ANDROID_CHANNEL_PARAM_INVALID
3058 BADGE_ADD_NUM_INVALID
3059 BADGE_ADD_NUM_NEED_BADGE_CLASS
8011 FLOW_CONTROL_ERROR
8012 INVALID_INSTANCE_ID
8013 INVALID_TENANT_ID
8014 ACCOUNT_NO_PERMISSION
9000 SYSTEM_ERROR
"""
"""The result codes that the service documents, in its order."""

TEXTS = {
    "OK": "success",
    "3001": "need token",
    "3002": "need batch file",
    "3007": "wrong appid",
    "3008": "ostype not support",
    "3009": "delivery not support",
    "3012": "need userid",
    "3019": "taskname can't be null",
    "3020": "'expiredseconds' wrong value",
    "3021": "'token_or_userid' can't be null",
    "3022": "template not exist",
    "3023": "'templatekv' not enough",
    "3024": "'title' or 'content' can't be null",
    "3025": "need template",
    "3026": "expiredtime too long",
    "3028": "param is invalid",
    "8011": "flow control",
    "8012": "illegal instanceId",
    "9000": "system error",
}
"""Those texts of result codes that the original service is known to send."""

GATEWAY_ERRORS = [
    (404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."),
    (403, "InvalidAccessKeyId.Inactive", "Specified access key is disabled."),
    (
        400,
        "SignatureDoesNotMatch",
        "Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}",
    ),
    (
        400,
        "IncompleteSignature",
        "The request signature does not conform to standards.{hint} server string to sign is:{string_to_sign}",
    ),
    (400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."),
    (400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."),
    (400, "SignatureNonceUsed", "Specified signature nonce was used already."),
    (404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."),
    (400, "InvalidVersion", "Specified parameter Version is not valid."),
    (400, "Missing{name}", "{name} is mandatory for this action."),
    (400, "Invalid{name}", "The specified parameter {name} is not valid."),
    (400, "Throttling.User", "Request was denied due to user flow control."),
    (403, "Forbidden.RAM", "User not authorized to operate on the specified resource."),
    (500, "InternalError", "The request processing has failed due to some unknown error."),
    (503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."),
]
"""The gateway errors that the service documents or is known to send: status, code, message."""


def rows(page: str, part: str) -> list[list[str]]:
    """The rows of a generated table."""
    text = (ROOT / page).read_text("utf-8")
    found = re.search(rf"<!-- generated: {part} -->(.*?)<!-- end: {part} -->", text, re.DOTALL)
    assert found
    lines = [line for line in found[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_every_documented_result_code_is_in_the_table() -> None:
    shown = [(row[0].strip("`"), row[1]) for row in rows("docs/errors.md", "result codes")]
    assert shown == [tuple(line.split()) for line in RESULT_CODES.split("\n") if line]
    assert shown == [(result.code, result.name) for result in ResultCode]


def test_known_texts_are_the_original_ones() -> None:
    shown = {row[0].strip("`"): row[2] for row in rows("docs/errors.md", "result codes")}
    assert {code: shown[code] for code in TEXTS} == TEXTS


@pytest.mark.parametrize("error", GATEWAY_ERRORS, ids=lambda error: error[1])
def test_every_documented_gateway_error_is_in_the_table(error: tuple[int, str, str]) -> None:
    shown = [(int(row[0]), row[1].strip("`"), row[2]) for row in rows("docs/errors.md", "gateway errors")]
    assert error in shown
    assert error in [(fault.status, fault.code, fault.message) for fault in GatewayFault]


def test_tables_lack_nothing() -> None:
    def first(page: str, part: str) -> list[str]:
        return [row[0].strip("`") for row in rows(page, part)]

    assert first("docs/errors.md", "message statuses") == [str(status.value) for status in MessageStatus]
    assert first("docs/errors.md", "trace outcomes") == [outcome.label for outcome in Outcome]
    assert sorted(map(int, first("docs/errors.md", "close codes"))) == sorted(f.close_code for f in Failure)
    assert first("docs/operations.md", "settings") == list(Settings.__struct_fields__)
    assert all(row[3] for row in rows("docs/operations.md", "settings"))


@pytest.mark.parametrize("label", FOLDERS)
def test_pages_of_channels_have_every_code_and_what_follows(label: str) -> None:
    page = f"docs/channels/{label}.md"
    text = (ROOT / page).read_text("utf-8")
    assert generate_docs.render(text, generate_docs.channel(label)) == text
    shown = [row for row in rows(page, "codes") if row[1].startswith("`")]
    known = [row for _, table in channel_tables.tables(label) for row in table]
    assert [row[0].strip("`") for row in shown] == [row.code for row in known]
    assert all(all(row[1:4]) and (row[4] or row[1].endswith("taken`")) for row in shown)
    special = {name.split()[1] for name in channel_tables.SPECIAL if name.split()[0] == label}
    assert special <= {row.code for row in known}


def test_everything_that_a_code_may_mean_is_explained() -> None:
    assert set(channel_tables.FOLLOWS) == set(Treatment)


def test_coverage_names_every_action_of_the_registry_and_its_versions() -> None:
    known = {name: versions for name, versions, _ in doc_facts.ACTIONS}
    assert len(known) == 21
    for action in generate_docs.registry():
        assert known[action.name] == action.versions
    served = [row[0] for row in rows("docs/coverage.md", "actions") if "served" in row[4]]
    assert sorted(served) == sorted(action.name for action in generate_docs.registry())


def test_notes_are_about_parameters_that_there_are() -> None:
    actions = list(generate_docs.registry())
    names = {p.name for action in actions for p in action.schema.parameters}
    names |= {f"{action.name}.{p.name}" for action in actions for p in action.schema.parameters}
    assert set(doc_facts.PARAMETERS) <= names


def test_a_stale_document_is_named_and_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- generated: a -->\nold\n<!-- end: a -->\nafter\n")
    monkeypatch.setattr(generate_docs, "ROOT", tmp_path)
    monkeypatch.setattr(generate_docs, "DOCUMENTS", {"page.md": lambda: {"a": "new"}})

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["generate_docs", *arguments])
        return generate_docs.main()

    assert run("--check") == 1
    assert "page.md is stale" in capsys.readouterr().out
    assert "old" in page.read_text()
    assert run() == 0
    assert page.read_text() == "before\n<!-- generated: a -->\n\nnew\n\n<!-- end: a -->\nafter\n"
    assert run("--check") == 0


@pytest.mark.parametrize("parts", [{}, {"a": ""}, {"b": ""}, {"a": "", "b": "", "c": ""}], ids=repr)
def test_a_part_without_a_place_is_an_error(parts: dict[str, str]) -> None:
    text = "<!-- generated: a -->\n<!-- end: a -->\n<!-- generated: b -->\n<!-- end: b -->\n"
    with pytest.raises(ValueError, match="places"):
        generate_docs.render(text, parts)


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), link


def commands(page: Path) -> list[list[str]]:
    """The words of every `clarion …` in code."""
    text = page.read_text("utf-8")
    code = re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    lines = [line for block in code for line in block.splitlines()]
    return [found[1].split() for line in lines if (found := re.match(r"(?:\.venv/bin/)?clarion (.+)", line))]


COMMAND_PAGES = ["README.md", "docs/callbacks.md", "docs/clients.md", "docs/guarantees.md", "docs/operations.md"]


@pytest.mark.parametrize("page", COMMAND_PAGES)
def test_commands_are_as_the_program_takes_them(page: str) -> None:
    found = commands(ROOT / page)
    assert found
    for words in found:
        command: Any = typer.main.get_command(app)
        rest = list(words)
        while hasattr(command, "commands") and rest:
            assert rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options, words


@pytest.mark.parametrize("page", ["README.md", "docs/callbacks.md", "docs/clients.md"])
def test_python_in_the_pages_compiles(page: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, page, "exec")


def test_test_files_that_the_guarantees_name_are_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", (ROOT / "docs" / "guarantees.md").read_text("utf-8"))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []
