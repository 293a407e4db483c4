"""No action, version, parameter or result code is without a test; docs/coverage.md says which test it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.sdk.cases import EVERY
from tests.sdk.refusals import REFUSALS
from tools import coverage_table, doc_facts, generate_docs

from clarion.openapi.registry import VERSIONS, Action
from clarion.results import ResultCode

ROOT = Path(__file__).parents[2]
ACTIONS = {action.name: action for action in generate_docs.registry()}

DOCUMENTED = """
3001 PushBind PushUnBind PushReport
3003 *
3008 PushBind PushReport
3009 PushSimple PushTemplate PushMultiple PushBroadcast
3012 PushBind PushUnBind
3019 PushSimple PushTemplate PushMultiple PushBroadcast
3020 PushSimple PushTemplate PushMultiple PushBroadcast
3021 PushSimple PushTemplate PushMultiple
3022 PushTemplate PushMultiple PushBroadcast GetTemplate DeleteTemplate
3023 PushTemplate PushMultiple PushBroadcast
3024 PushSimple
3025 PushTemplate PushMultiple PushBroadcast
3026 PushSimple PushTemplate PushMultiple PushBroadcast
3029 PushSimple PushTemplate
3030 PushBroadcast
3031 *
3032 PushSimple PushTemplate PushMultiple PushBroadcast
3035 PushSimple PushTemplate PushMultiple PushBroadcast
3036 CreateTemplate
3037 CreateTemplate
3038 CreateTemplate
3039 CreateTemplate
3040 CreateTemplate
3041 CreateTemplate
3042 CreateTemplate
3043 PushSimple
3044 PushSimple PushTemplate PushMultiple PushBroadcast
3049 PushMultiple
3050 PushSimple PushTemplate PushMultiple PushBroadcast
3051 PushBroadcast
3052 PushBroadcast
3053 PushBroadcast
3054 PushBind PushReport
3055 PushMultiple
3056 CreateTemplate
3057 PushBroadcast
3058 PushSimple PushTemplate PushMultiple PushBroadcast
3059 PushSimple PushTemplate PushMultiple PushBroadcast
8011 CreateTemplate DeleteTemplate GetTemplate ListTemplatePage
8012 CreateTemplate DeleteTemplate GetTemplate ListTemplatePage PushQueryDeviceState
8013 CreateTemplate DeleteTemplate GetTemplate ListTemplatePage PushQueryDeviceState
9000 *
"""
"""The actions to which the service's documents give a code; `*`: all."""

BROADER = {"OK", "3007", "3028"}
"""Codes that the documents give to all actions, or to none by name. 3007 is 8012 for templates and device states,
and what 3028 is about differs from action to action."""

NEVER = {"-1", "3002", "3033", "8014"}
"""Codes of the legacy REST interface and the console, and of accounts, which Clarion does not have."""


def test_codes_are_given_where_the_service_documents_them() -> None:
    given = {code.code: set(actions) for code, actions in coverage_table.GIVEN.items()}
    documented = {}
    for line in DOCUMENTED.strip().splitlines():
        code, *actions = line.split()
        documented[code] = set(EVERY) if actions == ["*"] else set(actions)
    assert [code for code, actions in documented.items() if not actions <= given.get(code, set())] == []
    assert given.keys() == documented.keys() | BROADER
    assert {code.code for code in ResultCode} == given.keys() | NEVER


def test_codes_that_the_program_names_are_given_by_some_action() -> None:
    named = generate_docs.used("ResultCode")
    assert {code.name for code in coverage_table.GIVEN} == named


def test_all_actions_are_served_and_tested() -> None:
    assert EVERY.keys() == ACTIONS.keys() == {name for name, *_ in doc_facts.ACTIONS}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.name)
def test_nothing_is_without_a_test(action: Action) -> None:
    name = action.name
    assert [version for version in VERSIONS if not coverage_table.tests_of_version(name, version)] == []
    parameters = {parameter.name for parameter in action.schema.parameters}
    assert {
        parameter for parameter in parameters if not coverage_table.tests_of_parameter(name, parameter)
    } == set()
    codes = coverage_table.codes_of(name)
    assert [code for code in codes if not coverage_table.tests_of_code(name, code)] == []


def test_no_test_is_about_what_there_is_not() -> None:
    for name, parameters in EVERY.items():
        declared = {parameter.name for parameter in ACTIONS[name].schema.parameters}
        assert set(parameters) <= declared, name
    for case in REFUSALS:
        assert case.code in {code.code for code in coverage_table.codes_of(case.action)}, case.name
    names = [case.name for case in REFUSALS]
    assert len(names) == len(set(names))


def test_tests_that_the_page_names_are_there() -> None:
    """As pytest itself counts them."""
    files = [coverage_table.FILE, "tests/contract/test_store_away.py"]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout[-2000:]
    there = set(done.stdout.splitlines())
    named = {
        test for name in EVERY for version in VERSIONS for test in coverage_table.tests_of_version(name, version)
    }
    for name, parameters in EVERY.items():
        named |= {test for parameter in parameters for test in coverage_table.tests_of_parameter(name, parameter)}
        named |= {
            test for code in coverage_table.codes_of(name) for test in coverage_table.tests_of_code(name, code)
        }
    assert named - there == set()
    assert len(named) > 300


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "coverage.md").read_text("utf-8")
    assert generate_docs.render(page, generate_docs.coverage()) == page
