"""Forms, beside the standard library's."""

from __future__ import annotations

import string
from urllib.parse import quote_plus, urlencode

from hypothesis import given
from hypothesis import strategies as st

from clarion.channels.forms import form, quoted

TEXTS = st.text() | st.text(alphabet=string.printable)


@given(TEXTS)
def test_texts_are_quoted_as_the_library_does(text: str) -> None:
    assert quoted(text) == quote_plus(text).encode()


@given(st.dictionaries(TEXTS, TEXTS, max_size=4))
def test_forms_are_encoded_as_the_library_does(fields: dict[str, str]) -> None:
    assert form(fields) == urlencode(fields).encode()


def test_what_quoting_makes_is_not_quoted_again() -> None:
    assert quoted("a+b c%d%2B&é") == b"a%2Bb+c%25d%252B%26%C3%A9"
