"""JSON maps as callers send them: strict JSON, Python's literals, and nothing that runs or runs away."""

from __future__ import annotations

import json
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.pushes.lenient import MAX_DEPTH, MAX_LITERAL, parse_map, parse_value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"name":"Bob"}', {"name": "Bob"}),
        ("{'name': 'Bob'}", {"name": "Bob"}),
        ("{'a': None, 'b': True, 'c': [1, 2.5, (3,)]}", {"a": None, "b": True, "c": [1, 2.5, [3]]}),
        ("{'a': {'b': 'c'}, 1: 2}", {"a": {"b": "c"}, "1": 2}),
        ("{'a': '\\d'}", {"a": "\\d"}),
        ("{'a': '\\u4e16'}", {"a": "世"}),
        ('{"a":"it\'s"}', {"a": "it's"}),
        ("{}", {}),
        ("", None),
        ("null", None),
        ("[]", None),
        ("['a']", None),
        ("1", None),
        ("{'a'}", None),
        ("{'a': 1", None),
        ("{'a': __import__('os')}", None),
        ("{'a': __import__('os').system('true')}", None),
        ("{'a': open('/etc/passwd').read()}", None),
        ("{'a': b'bytes'}", None),
        ("{b'a': 'bytes'}", None),
        ("{('a',): 1}", None),
        ("{'a': 1+2j}", None),
        ("{'a': {1, 2}}", None),
        ("{'a': ...}", None),
        ("{'a': 1e999}", None),
        ("{'a': f'{1}'}", None),
        ("{'a': 9**9**9}", None),
        ("{'a': 'a'*10**9}", None),
        ("{'a': " + "9" * 5000 + "}", None),
        ('{"a":' + "9" * 5000 + "}", None),
        ("{'a': '\\x00'}", None),
        ("{'a': '\\ud800'}", None),
        ("{'\\ud800': 'a'}", None),
        ('{"a":"\\u0000"}', None),
        ('{"a":NaN}', None),
        ("{'a': '\ud800'}", None),
        ("{'a': 'x\0'}", None),
    ],
)
def test_parse_map(text: str, expected: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_map(text) == expected


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth(opening: str, closing: str) -> None:
    def nested(depth: int, quote: str) -> object:
        return parse_value((opening * depth + "1" + closing * depth).replace('"', quote))

    assert nested(MAX_DEPTH, '"') is not None
    assert nested(MAX_DEPTH + 1, '"') is None
    if opening != "[":
        assert nested(MAX_DEPTH - 1, "'") is not None
        assert nested(MAX_DEPTH + 1, "'") is None


@pytest.mark.parametrize(
    "text",
    [
        "{'a': " + piece.replace("\xa0", " ") * (400_000 // len(piece)) + "1}"
        for piece in "- +1 [ ( {1: not_ 1_if_1_else_ lambda: x() x. 'b'_ \\ f' {'a':".replace("_", "\xa0").split(
            " "
        )
    ],
)
@pytest.mark.parametrize("size", [400_000, MAX_LITERAL])
def test_hostile_text_costs_little(text: str, size: int) -> None:
    start = time.process_time()
    parse_map(text[:size])
    parse_map(text[: size - 1] + "}")
    assert time.process_time() - start < 1


_ODD = st.dictionaries(st.text("a\\\0\ud800世"), st.text("a\\\0\udfff世"))
"""Maps with texts that can be neither stored nor sent; JSON and Python write them as escapes."""


@given(
    st.text()
    | st.text(alphabet="{}[]'\":,\\ 0a1\n")
    | st.builds(repr, st.dictionaries(st.text(), st.text()) | _ODD)
    | st.builds(json.dumps, _ODD)
)
def test_any_text_is_a_storable_map_or_none(text: str) -> None:
    found = parse_map(text)
    assert found is None or all(isinstance(key, str) for key in found)
    assert found is None or is_storable(found)


def is_storable(value: object) -> bool:
    if isinstance(value, dict | list):
        members = [*value, *value.values()] if isinstance(value, dict) else value
        return all(map(is_storable, members))
    return not isinstance(value, str) or ("\0" not in value and value.encode(errors="replace").decode() == value)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc'\"世", max_size=3), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.text("ab'\"世", max_size=3), _VALUES, min_size=1))
def test_a_python_dict_is_what_it_says(value: dict[str, object]) -> None:
    """What the published Python sample sends for a dict."""
    assert parse_map(str(value)) == value


@pytest.mark.parametrize("text", ["{'u': 0x" + "f" * 5000 + "}", "{0x" + "f" * 5000 + ": 'k'}"])
def test_numbers_that_nothing_can_hold(text: str) -> None:
    assert parse_map(text) is None
