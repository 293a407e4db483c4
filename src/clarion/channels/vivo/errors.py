"""What vivo's codes mean."""

from __future__ import annotations

from typing import NamedTuple

from clarion.channels.base import ReceiptKind
from clarion.channels.outcomes import UNLISTED, Treatment, VendorCode, rows

NO_TOKEN = "10302"  # noqa: S105
OUT_OF_HOURS = "10071"
"""Operational messages are taken from 07:00 to 23:00 only."""

OF_A_KIND = frozenset({OUT_OF_HOURS, "10070", "10073", "10252", "10254"})
"""Limits that do not concern all messages of the app."""

OF_THE_MESSAGE = frozenset({"10096", "10097"})
"""About what a message may choose itself: its category."""

CODES: dict[str, VendorCode] = {
    **rows(Treatment.ACCEPTED, {0: "taken"}),
    **rows(Treatment.AUTH_REFRESH, {10000: "the access token is not good"}),
    **rows(
        Treatment.RATE_LIMITED,
        {
            10071: "operational messages are taken from 07:00 to 23:00 only",
            10072: "too many messages a second",
            10093: "too many calls for access tokens",
        },
    ),
    **rows(
        Treatment.DAY_QUOTA,
        {
            10070: "the day's operational messages are used up",
            10073: "the day's system messages are used up",
            10252: "the day's messages to lists are used up",
            10254: "the day's messages to all are used up",
        },
    ),
    **rows(
        Treatment.CONFIG_ERROR,
        {
            10094: "the app id does not fit the access token; look at appId",
            10096: "the app has no right to this category",
            10097: "the category does not fit the classification",
            10104: "the app may not do this; look at its state in vivo's console",
            10207: "wrong time; the clock of this machine is off",
            **dict.fromkeys(
                (10043, 10045, 10051, 10082), "the app may not do this; look at its state in vivo's console"
            ),
            **dict.fromkeys(range(10200, 10207), "the app or its credentials; look at appId, appKey and appSecret"),
        },
    ),
    **rows(
        Treatment.PAYLOAD_ERROR,
        {
            10095: "wrong notifyId",
            10103: "a word that is not allowed",
            10311: "the device cannot be pushed to now: not active, or no permission; its token stays",
            **dict.fromkeys(
                (10050, *range(10054, 10061), 10065, 10067, 10800, 10801), "a parameter of the message is wrong"
            ),
            **dict.fromkeys((*range(10150, 10154), 10155), "a parameter of the callback is wrong"),
            **dict.fromkeys(
                (10304, 10305, 10306, 10352, 10353), "the list of devices, the request id or the task id is wrong"
            ),
        },
    ),
    **rows(Treatment.INVALID_TOKEN, {10302: "no such registration id"}),
}
"""By code. Source: return codes of the vivo Push server documentation."""

_NO_TEST_DEVICE = VendorCode(Treatment.CONFIG_ERROR, "no registered test device, and pushMode is 1")


def row_of(code: str, *, testing: bool) -> VendorCode:
    """The row of a code; `testing`: whether messages go to registered test devices only."""
    if testing and code == NO_TOKEN:
        return _NO_TEST_DEVICE
    return CODES.get(code, UNLISTED)


INVALID_USERS: dict[str, VendorCode] = {
    "1": VendorCode(Treatment.INVALID_TOKEN, "no such registration id"),
    "2": VendorCode(Treatment.INVALID_TOKEN, "the app was uninstalled, or the device has unsubscribed"),
    "3": VendorCode(Treatment.CONFIG_ERROR, "no registered test device, and pushMode is 1"),
}
"""What is said of single devices of a call that succeeded, by `status`."""


class Ack(NamedTuple):
    """What a callback tells."""

    kind: ReceiptKind
    meaning: str


ACKS: dict[str, Ack] = {"0": Ack(ReceiptKind.ARRIVED, "arrived")}
"""By `ackType`."""

OTHER = Ack(ReceiptKind.FAILED, "a kind of report that is not known here")
