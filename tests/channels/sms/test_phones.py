"""Phone numbers: one form for each, and none for what is no number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.channels.sms.phones import normalised
from clarion.simulators.sms import rules


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("13800138000", "13800138000"),
        ("+8613800138000", "13800138000"),
        ("008613800138000", "13800138000"),
        ("8613800138000", "13800138000"),
        (" +86 (138) 0013-8000 ", "13800138000"),
        ("+852 6123 4567", "85261234567"),
        ("0085261234567", "85261234567"),
        ("85261234567", "85261234567"),
        ("+14155552671", "0014155552671"),
        ("+4915112345678", "4915112345678"),
        ("", None),
        ("12345", None),
        ("+", None),
        ("0138", None),
        ("1380013800x", None),
        ("١٣٨٠٠١٣٨٠٠٠", None),
        ("13800138000,13900139000", None),
        ("9" * 16, None),
        ("1" * 5000, None),
    ],
)
def test_forms(given: str, wanted: str | None) -> None:
    assert normalised(given) == wanted


@given(st.text(alphabet="+0123456789 -()", max_size=20))
def test_what_is_a_number_here_is_one_for_the_service_and_stays_itself(text: str) -> None:
    number = normalised(text)
    if number is not None:
        assert rules.checked_number(number)
        assert normalised(number) == number
