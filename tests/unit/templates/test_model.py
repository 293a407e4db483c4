"""Placeholders, and what a template may be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.results import Refusal, ResultCode
from clarion.templates.model import TemplateText, check_name, check_text, filled, placeholders


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("Hi #name#", {"name": "Bob"}, "Hi Bob"),
        ("#a##b#", {"a": "1", "b": "2"}, "12"),
        ("#a#b#", {"a": "1"}, "1b#"),
        ("#名字#，你好", {"名字": "李"}, "李，你好"),
        ("50 # of #n#", {"n": 3}, "50 # of 3"),
        ("#not a name#", {}, "#not a name#"),
        ("##", {}, "##"),
        ("#a#", {"a": "#b#", "b": "no"}, "#b#"),
        ("#a#", {"a": True}, "true"),
        ("#a#", {"a": 1.5, "unused": "x"}, "1.5"),
        ("#a#", {"a": ""}, ""),
    ],
)
def test_filling(text: str, values: dict[str, Any], expected: str) -> None:
    made = filled(TemplateText(title=text, content="c", uri=text), values)
    assert (made.title, made.content, made.uri) == (expected, "c", expected)


@pytest.mark.parametrize("values", [{}, {"b": "1"}, {"a": None}])
@pytest.mark.parametrize("part", ["title", "content", "uri"])
def test_a_placeholder_without_a_value(values: dict[str, Any], part: str) -> None:
    text = msgspec.structs.replace(TemplateText(title="t", content="c"), **{part: "#a#"})
    with pytest.raises(Refusal) as refused:
        filled(text, values)
    assert refused.value.result is ResultCode.TEMPLATEKV_NOT_ENOUGH
    assert "#a#" in refused.value.message


@given(st.text(max_size=80))
def test_a_template_filled_with_its_own_placeholders_is_itself(text: str) -> None:
    template = TemplateText(title=text, content="c")
    assert filled(template, {name: f"#{name}#" for name in placeholders(template)}) == template


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("", ResultCode.TEMPLATE_NAME_NULL),
        ("  ", ResultCode.TEMPLATE_NAME_NULL),
        ("n" * 201, ResultCode.TEMPLATE_NAME_INVALID),
        ("a,b", ResultCode.TEMPLATE_NAME_INVALID),
        ("a\nb", ResultCode.TEMPLATE_NAME_INVALID),
        ("a\ud800", ResultCode.TEMPLATE_NAME_INVALID),
    ],
)
def test_names_that_are_none(name: str, result: ResultCode) -> None:
    with pytest.raises(Refusal) as refused:
        check_name(name)
    assert refused.value.result is result


@pytest.mark.parametrize(("name", "kept"), [("n" * 200, "n" * 200), ("broadcastTemplate ", "broadcastTemplate")])
def test_names(name: str, kept: str) -> None:
    assert check_name(name) == kept


@pytest.mark.parametrize(
    ("fields", "description", "result"),
    [
        ({"title": ""}, "d", ResultCode.TEMPLATE_TITLE_INVALID),
        ({"title": "t" * 2049}, "d", ResultCode.TEMPLATE_TITLE_INVALID),
        ({"content": " "}, "d", ResultCode.TEMPLATE_CONTENT_INVALID),
        ({"content": "a\x00"}, "d", ResultCode.TEMPLATE_CONTENT_INVALID),
        ({}, "", ResultCode.TEMPLATE_DESC_INFO_INVALID),
        ({}, "d" * 201, ResultCode.TEMPLATE_DESC_INFO_INVALID),
        ({"uri": "u" * 2049}, "d", ResultCode.TEMPLATE_URI_INVALID),
    ],
)
def test_texts_that_cannot_be_kept(fields: dict[str, str], description: str, result: ResultCode) -> None:
    with pytest.raises(Refusal) as refused:
        check_text(msgspec.structs.replace(TemplateText(title="t", content="c"), **fields), description)
    assert refused.value.result is result
