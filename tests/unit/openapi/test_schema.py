from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.openapi.errors import GatewayError
from clarion.openapi.schema import MAX_DEPTH, Kind, Parameter, Schema


def read(kind: Kind, sent: dict[str, str], *, required: bool = False, name: str = "P") -> Any:
    return Schema([Parameter(name, kind, required)]).read(sent).get(name)


def code(kind: Kind, sent: dict[str, str], *, required: bool = False) -> str:
    with pytest.raises(GatewayError) as refused:
        read(kind, sent, required=required)
    assert refused.value.status == 400
    return refused.value.code


def test_only_declared_parameters_are_read() -> None:
    schema = Schema([Parameter("AppId"), Parameter("Title")])
    assert schema.read({"AppId": "a", "Other": "x", "Action": "Push"}) == {"AppId": "a"}


def test_names_with_a_small_first_letter_are_accepted() -> None:
    schema = Schema([Parameter("AppId", required=True), Parameter("TargetMsg", Kind.STRUCTS)])
    assert schema.read({"appId": "a", "targetMsg.1.target": "t"}) == {"AppId": "a", "TargetMsg": [{"Target": "t"}]}
    for sent in ({"appId": "a", "AppId": "b"}, {"AppId": "b", "appId": "a"}):
        assert schema.read(sent) == {"AppId": "b"}
    with pytest.raises(GatewayError, match="MissingAppId"):
        schema.read({"APPID": "a"})


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Schema([Parameter("AppId"), Parameter("appId")])


def test_the_first_absent_parameter_is_reported_before_types() -> None:
    schema = Schema([Parameter("N", Kind.LONG), Parameter("A", required=True), Parameter("B", required=True)])
    with pytest.raises(GatewayError) as refused:
        schema.read({"N": "x"})
    assert refused.value.code == "MissingA"
    assert refused.value.message == "A is mandatory for this action."
    with pytest.raises(GatewayError) as refused:
        schema.read({"N": "x", "A": "", "B": ""})
    assert refused.value.code == "InvalidN"
    assert refused.value.message == "The specified parameter N is not valid."


def test_empty_texts_reach_the_business_rules() -> None:
    assert read(Kind.STRING, {"P": ""}, required=True) == ""
    assert read(Kind.LENIENT, {"P": ""}, required=True) == ""
    assert read(Kind.ANY, {"P": ""}, required=True) == ""


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        (Kind.LONG, "600", 600),
        (Kind.LONG, " 600\t", 600),
        (Kind.LONG, "-1", -1),
        (Kind.LONG, "+1", 1),
        (Kind.LONG, "007", 7),
        (Kind.LONG, str(2**63 - 1), 2**63 - 1),
        (Kind.LONG, str(-(2**63)), -(2**63)),
        (Kind.INT, str(2**31 - 1), 2**31 - 1),
        (Kind.LENIENT, " 600", 600),
        (Kind.LENIENT, "ten", "ten"),
        (Kind.LENIENT, str(2**63), str(2**63)),
        (Kind.LENIENT, "3.0", "3.0"),
    ],
)
def test_numbers(kind: Kind, text: str, number: int | str) -> None:
    assert read(kind, {"P": text}) == number


@pytest.mark.parametrize("text", ["x", "3.0", "1e3", "0x1", "1_000", "--1", "٣", "1 2", str(2**63), "9" * 5000])
def test_what_is_no_number(text: str) -> None:
    assert code(Kind.LONG, {"P": text}) == "InvalidP"


def test_an_int_has_32_bits() -> None:
    assert code(Kind.INT, {"P": str(2**31)}) == "InvalidP"


def test_an_empty_number_is_absent_or_refused() -> None:
    assert "P" not in Schema([Parameter("P", Kind.LONG)]).read({"P": ""})
    assert "P" not in Schema([Parameter("P", Kind.INT)]).read({"P": "  "})
    assert code(Kind.LONG, {"P": ""}, required=True) == "InvalidP"


def test_structs_are_ordered_by_number() -> None:
    sent = {f"P.{number}.Target": f"u{number}" for number in (10, 2, 400, 1, 30)}
    assert [entry["Target"] for entry in read(Kind.STRUCTS, sent)] == ["u1", "u2", "u10", "u30", "u400"]


def test_structs_keep_all_fields_as_text() -> None:
    sent = {"P.1.Target": "u", "P.1.MsgKey": "1", "P.1.Extra.Deep": "x", "P.2.MsgKey": ""}
    assert read(Kind.STRUCTS, sent) == [{"Target": "u", "MsgKey": "1", "Extra.Deep": "x"}, {"MsgKey": ""}]


def test_structs_from_json_text() -> None:
    text = '[{"Target":"u","msgKey":5,"TemplateKeyValue":{"name":"中"},"ExtendedParams":null}]'
    assert read(Kind.STRUCTS, {"P": text}) == [{"Target": "u", "MsgKey": "5", "TemplateKeyValue": '{"name":"中"}'}]
    assert read(Kind.STRUCTS, {"P": "[]"}) == []
    assert read(Kind.STRUCTS, {"P": " "}) is None


@pytest.mark.parametrize(
    "sent",
    [
        {"P": "x"},
        {"P": "{}"},
        {"P": "[1]"},
        {"P": "[" * 100_000},
        {"P.x.Target": "u"},
        {"P.1": "u"},
        {"P.1.": "u"},
        {"P.-1.Target": "u"},
        {"P." + "1" * 30 + ".Target": "u"},
    ],
)
def test_malformed_structs(sent: dict[str, str]) -> None:
    assert code(Kind.STRUCTS, sent) == "InvalidP"


def test_required_structs() -> None:
    assert code(Kind.STRUCTS, {"Q.1.Target": "u"}, required=True) == "MissingP"
    assert read(Kind.STRUCTS, {"P.7.Target": "u"}, required=True) == [{"Target": "u"}]


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ({"P": '{"score":1,"teams":["a"]}'}, {"score": 1, "teams": ["a"]}),
        ({"P": "[1]"}, [1]),
        ({"P": "plain text"}, "plain text"),
        ({"P": "{'single': 1}"}, "{'single': 1}"),
        ({"P": "5"}, "5"),
        ({"P.score": "1", "P.o.k": "True"}, {"score": "1", "o": {"k": "True"}}),
        ({"P.teams.2": "b", "P.teams.1": "a"}, {"teams": ["a", "b"]}),
        ({"P.1.x": "a", "P.2.x": "b"}, [{"x": "a"}, {"x": "b"}]),
        ({"P.n.2": "gap"}, {"n": {"2": "gap"}}),
        ({"P": "{}", "P.x": "ignored"}, {}),
        ({"Q.x": "1"}, None),
    ],
)
def test_any(sent: dict[str, str], value: Any) -> None:
    assert read(Kind.ANY, sent) == value


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ({"P": '{"score":"1","on":"True"}'}, {"score": "1", "on": "True"}),
        ({"P": "{'single': 1}"}, "{'single': 1}"),
        ({"P.score": "1", "P.o.k": "True", "P.teams.1": "2", "P.teams.2": "b"},
         {"score": 1, "o": {"k": True}, "teams": [2, "b"]}),
        ({"P.1": "a", "P.2": "b"}, {"1": "a", "2": "b"}),
        ({"P.1.x": "a"}, {"1": {"x": "a"}}),
    ],
)  # fmt: skip
def test_state(sent: dict[str, str], value: Any) -> None:
    assert read(Kind.STATE, sent) == value


@pytest.mark.parametrize(
    "value",
    [
        *(0, 1, -1, 42, 1_795_000_000_000, 10**15 - 1, 0.5, -0.5, 1.0, 99.99, 0.1 + 0.2, -273.15, True, False),
        *("", " 1", "1 ", "+1", "007", "-0", "-", ".5", "5.", "9.90", "1.2.3", "1e5", "1e-07", "0x1", "1_000"),
        *("TRUE", "yes", "None", "null", "NaN", "inf", "13:45", "2026-11-23", "٣", "１"),
        *(str(10**15), "9" * 400, "0." + "1" * 40),
    ],
)
def test_a_flattened_member_is_what_it_was_as_far_as_its_text_tells(value: object) -> None:
    found = read(Kind.STATE, {"P.x": str(value)})["x"]
    assert (found, type(found)) == (value, type(value))


@given(st.integers(-(10**15) + 1, 10**15 - 1) | st.booleans())
@settings(deadline=None)
def test_whole_numbers_and_booleans_survive_flattening(value: object) -> None:
    for text in (str(value), msgspec.json.encode(value).decode()):  # as Python and as JavaScript write it
        found = read(Kind.STATE, {"P.a.b": text})
        assert (found, type(found["a"]["b"])) == ({"a": {"b": value}}, type(value))


@pytest.mark.parametrize(
    "sent", [{"P.a": "1", "P.a.b": "2"}, {"P.a.b": "1", "P.a": "2"}, {"P" + ".x" * 18: "deep"}]
)
def test_contradicting_or_deep_objects(sent: dict[str, str]) -> None:
    assert code(Kind.ANY, sent) == "InvalidP"


def test_depth_is_bounded() -> None:
    assert read(Kind.ANY, {"P" + ".x" * MAX_DEPTH: "deep"}) is not None
    assert code(Kind.ANY, {"P" + ".x" * (MAX_DEPTH + 1): "deep"}) == "InvalidP"
    assert read(Kind.ANY, {"P": "[" * MAX_DEPTH + "]" * MAX_DEPTH}) is not None
    assert code(Kind.ANY, {"P": "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2)}) == "InvalidP"
    assert read(Kind.ANY, {"P": "[" * 100_000}) == "[" * 100_000
