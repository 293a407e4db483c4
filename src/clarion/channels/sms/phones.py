"""Phone numbers in the form that the SMS service takes. Pure.

Source: Short Message Service, SendSms, `PhoneNumbers`: numbers of mainland China with or without `+86`, `0086` or
`86`; others as country code and number.
"""

from __future__ import annotations

import re

_MAINLAND = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})")
_ABROAD = re.compile(r"(?:\+|00)?([1-9][0-9]{6,14})")
_BETWEEN = str.maketrans("", "", " -().\u00a0\u2011\t")
MAX_LENGTH = 40


def normalised(text: str) -> str | None:
    """The number as digits: 11 of mainland China, or country code and number; None if it is no phone number.

    A number abroad that looks like one of mainland China (`+1 415 …` has 11 digits) keeps `00` before it.
    """
    if len(text) > MAX_LENGTH:
        return None
    number = text.translate(_BETWEEN)
    if not number.isascii():
        return None
    if mainland := _MAINLAND.fullmatch(number):
        return mainland[1]
    if abroad := _ABROAD.fullmatch(number):
        return f"00{abroad[1]}" if _MAINLAND.fullmatch(abroad[1]) else abroad[1]
    return None
