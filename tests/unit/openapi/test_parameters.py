from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.openapi.errors import GatewayError
from clarion.openapi.parameters import MAX_PARAMETERS, find_parameter, is_unicode, parse_form

NO_NUL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize(
    ("raw", "parameters"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=&b", {"a": "", "b": ""}),
        (b"a=1&&b=2&", {"a": "1", "b": "2"}),
        (b"=nameless&a=1", {"a": "1"}),
        (b"a=first&a=second", {"a": "first"}),
        (b"a=x+y%20z%2B", {"a": "x y z+"}),
        (b"a+b=1", {"a b": "1"}),
        (b"a=b=c&d", {"a": "b=c", "d": ""}),
        (b"a%3Db=c", {"a=b": "c"}),
        (b"a=%e4%b8%ad%E6%96%87", {"a": "中文"}),
        ("a=中文".encode(), {"a": "中文"}),
        (b"a=%F0%9F%98%80", {"a": "😀"}),
        (b"a=100%&b=%zz&c=%4", {"a": "100%", "b": "%zz", "c": "%4"}),
        (b"a=%%41&b=%\n41", {"a": "%A", "b": "%\n41"}),
        (b"a=%0D%0Ab&c=\r\nd", {"a": "\r\nb", "c": "\r\nd"}),
        (b"a=%01&b=\x01", {"a": "\x01", "b": "\x01"}),
        (b"a=%2525", {"a": "%25"}),
        (b"a=_=5F", {"a": "_=5F"}),
        (b"TargetMsg.1.Target=u", {"TargetMsg.1.Target": "u"}),
    ],
)
def test_decoding(raw: bytes, parameters: dict[str, str]) -> None:
    assert parse_form(raw) == parameters


@given(st.dictionaries(NO_NUL.filter(bool), NO_NUL, max_size=8))
def test_any_text_survives(parameters: dict[str, str]) -> None:
    assert parse_form(urlencode(parameters).encode()) == parameters
    raw = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items())
    assert parse_form(raw.encode()) == parameters
    assert is_unicode(parameters)


@given(st.text(st.sampled_from("ab&=%+4\x01\n\r中_"), max_size=30))
def test_odd_input_is_read_as_the_standard_library_reads_it(raw: str) -> None:
    expected: dict[str, str] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True, errors="surrogateescape"):
        expected.setdefault(name, value)
    expected.pop("", None)
    assert parse_form(raw.encode()) == expected


def test_bytes_that_are_not_utf8_are_kept_and_noticed() -> None:
    parameters = parse_form(b"a=%D6%D0&b=1")
    assert parameters["a"].encode(errors="surrogateescape") == b"\xd6\xd0"
    assert not is_unicode(parameters)
    assert not is_unicode(parse_form(b"%FF=1"))
    assert not is_unicode(parse_form(b"a=\xff&b=\xfe"))
    assert is_unicode(parse_form(b"a=%E4%B8%AD"))


@pytest.mark.parametrize("raw", [b"x=1&Title=a%00b", b"Title=a\x00b", b"Title%00=a"])
def test_nul_is_refused_by_name(raw: bytes) -> None:
    with pytest.raises(GatewayError) as refused:
        parse_form(raw)
    assert refused.value.code == "InvalidParameter"
    assert "parameter Title is" in refused.value.message


def test_number_of_parameters_is_limited() -> None:
    most = b"&".join(b"p%d=1" % number for number in range(MAX_PARAMETERS))
    assert len(parse_form(most)) == MAX_PARAMETERS
    with pytest.raises(GatewayError, match="InvalidParameter"):
        parse_form(most + b"&")


def test_length_of_names_is_limited_in_bytes() -> None:
    assert parse_form(b"n" * 128 + b"=1") == {"n" * 128: "1"}
    assert len(parse_form(b"%E4%B8%AD" * 42 + b"=1")) == 1
    for name in (b"n" * 129, b"%E4%B8%AD" * 43, b"%FF" * 129):
        with pytest.raises(GatewayError, match="InvalidParameter"):
            parse_form(name + b"=1")


def test_small_first_letter_is_an_alias() -> None:
    assert find_parameter({"appId": "a"}, "AppId") == "a"
    assert find_parameter({"appId": "a", "AppId": ""}, "AppId") == ""
    assert find_parameter({"APPID": "a"}, "AppId") is None
