from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.openapi.render import Format, choose_format, render

XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=30)


@pytest.mark.parametrize(
    ("wanted", "accept", "header_signed", "chosen"),
    [
        ("JSON", b"", False, Format.JSON),
        ("json", b"application/xml", False, Format.JSON),
        ("XML", b"application/json", False, Format.XML),
        ("xml", b"", True, Format.XML),
        ("Xml", b"", False, Format.XML),
        ("None", b"*/*", False, Format.JSON),
        ("YAML", b"", False, Format.JSON),
        (None, b"", False, Format.XML),
        ("", b"*/*", False, Format.XML),
        (None, b"application/json", False, Format.JSON),
        (None, b"text/html, Application/JSON;q=0.9", False, Format.JSON),
        (None, b"", True, Format.JSON),
        (None, b"application/xml", True, Format.JSON),
    ],
)
def test_choice_of_format(wanted: str | None, accept: bytes, header_signed: bool, chosen: Format) -> None:
    assert choose_format(wanted, accept, header_signed=header_signed) is chosen


def test_content_types_are_those_that_sdks_compare() -> None:
    assert Format.JSON.value == b"application/json;charset=utf-8"
    assert Format.XML.value == b"text/xml;charset=utf-8"


def test_json_is_raw_utf8() -> None:
    body = render(Format.JSON, "R", {"Message": '中文 😀 "quoted"', "Number": 20927872, "Rate": 1.5, "None": None})
    assert body == '{"Message":"中文 😀 \\"quoted\\"","Number":20927872,"Rate":1.5,"None":null}'.encode()


def test_xml_of_a_push() -> None:
    members = {
        "RequestId": "R",
        "ResultCode": "OK",
        "PushResult": {"Success": True, "ResultMsg": "success", "Data": "20842863"},
    }
    assert render(Format.XML, "PushSimpleResponse", members) == (
        b'<?xml version="1.0" encoding="UTF-8"?><PushSimpleResponse><RequestId>R</RequestId>'
        b"<ResultCode>OK</ResultCode><PushResult><Success>true</Success><ResultMsg>success</ResultMsg>"
        b"<Data>20842863</Data></PushResult></PushSimpleResponse>"
    )


def test_xml_lists_are_wrapped_twice() -> None:
    members: dict[str, Any] = {"Data": [{"TaskId": "1", "List": []}, {"TaskId": "2"}], "Empty": [], "None": None}
    assert render(Format.XML, "R", members).partition(b"?>")[2] == (
        b"<R><Data><Data><TaskId>1</TaskId><List></List></Data><Data><TaskId>2</TaskId></Data></Data>"
        b"<Empty></Empty></R>"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(False, "false"), (0, "0"), (1.5, "1.5"), (2**53, str(2**53)), ("a\rb\nc\td", "a\rb\nc\td")]
)
def test_xml_values(value: Any, text: str) -> None:
    assert ET.fromstring(render(Format.XML, "R", {"V": value})).findtext("V") == text


def test_characters_that_xml_forbids_are_left_out() -> None:
    body = render(Format.XML, "R", {"V": "a\x00\x01\x0b\x1fb\ud800\ufffe\uffffc"})
    assert ET.fromstring(body).findtext("V") == "abc"


@given(XML_TEXT)
def test_text_survives(text: str) -> None:
    assert ET.fromstring(render(Format.XML, "R", {"V": text})).findtext("V") == text
    assert msgspec.json.decode(render(Format.JSON, "R", {"V": text})) == {"V": text}
