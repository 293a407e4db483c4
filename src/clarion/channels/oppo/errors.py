"""What OPPO's codes mean."""

from __future__ import annotations

import re
from typing import NamedTuple

from clarion.channels.base import ReceiptKind
from clarion.channels.outcomes import UNLISTED, Treatment, VendorCode, rows

DUPLICATE = "32"
WRONG_ARGUMENT = "41"

OF_A_KIND = frozenset({"33"})
"""Limits that do not concern all messages of the app."""

OF_THE_MESSAGE = frozenset({"54", "67"})
"""About what a message may choose itself: its category, reminder level, template."""

CODES: dict[str, VendorCode] = {
    **rows(Treatment.ACCEPTED, {0: "taken"}),
    **rows(Treatment.RETRY, {-1: "the service is not available"}),
    **rows(
        Treatment.RATE_LIMITED,
        {
            -2: "the service limits the flow",
            13: "too many calls of the app",
            55: "too many calls",
            69: "the service limits the flow of all apps",
        },
    ),
    **rows(
        Treatment.DAY_QUOTA,
        {
            33: "the day's messages are used up",
            34: "the day's pictures are used up",
            42: "the day's saved messages are used up",
        },
    ),
    **rows(Treatment.AUTH_REFRESH, {11: "the access token is not good", 29: "the access token is missing"}),
    **rows(
        Treatment.CONFIG_ERROR,
        {
            14: "wrong app key; look at appKey",
            15: "the app key is missing",
            16: "wrong signature; look at masterSecret (not the app secret)",
            17: "the signature is missing",
            18: "the time is missing",
            19: "wrong time; the clock of this machine is off by over 10 minutes",
            26: "this address is on OPPO's black list",
            27: "access denied; has the app the right to push?",
            28: "the app is disabled",
            30: "the app has no right to this call",
            54: "the template is missing or does not fit; look at VendorTemplate",
            59: "the app has no right to this call",
            67: "the app has no right to this category or reminder level",
        },
    ),
    **rows(
        Treatment.PAYLOAD_ERROR,
        {
            12: "this HTTP method is not allowed",
            20: "wrong method",
            21: "the method is missing",
            22: "the version is missing",
            23: "wrong version",
            24: "the version is not supported",
            25: "wrong encoding",
            31: "no message of this id",
            32: "a message with this id was sent before",
            40: "an argument is missing",
            41: "an argument is wrong, or a word is not allowed",
            51: "the picture is wrong",
        },
    ),
    **rows(Treatment.INVALID_TOKEN, {10000: "no such registration id"}),
}
"""By code. Source: return codes of the OPPO PUSH server documentation. 10001 to 20000 are errors of one call."""

_OF_THE_CALL = VendorCode(Treatment.PAYLOAD_ERROR, "an error of this call")
_NO_TOKEN = VendorCode(Treatment.INVALID_TOKEN, "no such registration id")
_NAMES_TOKEN = re.compile(r"regist(?:er|ration)[_ ]?id", re.IGNORECASE)


def row_of(code: str, text: str) -> VendorCode:
    """The row of a code; 41 has many meanings, of which its text tells one apart."""
    if code == WRONG_ARGUMENT and _NAMES_TOKEN.search(text):
        return _NO_TOKEN
    if code.isascii() and code.isdigit() and 10_000 < int(code) <= 20_000:
        return _OF_THE_CALL
    return CODES.get(code, UNLISTED)


class Event(NamedTuple):
    """What a callback tells."""

    kind: ReceiptKind
    meaning: str


EVENTS: dict[str, Event] = {
    "push_arrive": Event(ReceiptKind.ARRIVED, "arrived"),
    "regid_invalid": Event(ReceiptKind.INVALID_TOKEN, "the registration id is nobody's any more"),
    "user_daily_limit": Event(ReceiptKind.FAILED, "the device had its messages of the day"),
}
"""By `eventType`."""

OTHER_EVENT = Event(ReceiptKind.FAILED, "an event that is not known here")
