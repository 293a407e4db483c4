"""What Xiaomi's codes mean."""

from __future__ import annotations

import re

from clarion.channels.outcomes import UNLISTED, Treatment, VendorCode, rows

TAKEN = "0"
SEND_FAILED = "20301"
DAY_QUOTA = "200001"
NO_CHANNEL = "no_channel"
"""How a day's quota names messages without a channel."""

OF_A_KIND = frozenset({DAY_QUOTA})
"""Limits that do not concern all messages of the app."""

OF_THE_MESSAGE = frozenset({"26006", "27001"})
"""About what a message may choose itself: its channel, its template."""

CODES: dict[str, VendorCode] = {
    **rows(Treatment.ACCEPTED, {0: "taken", 65003: "the device is offline"}),
    **rows(
        Treatment.RETRY,
        {
            -1: "unknown error",
            1: "unknown error",
            10001: "system error",
            10002: "the service is busy",
            10003: "a remote service failed",
            20301: "sending failed",
            20607: "the database failed",
            26003: "the service failed",
            65029: "the service failed",
            65030: "the service failed",
        },
    ),
    **rows(
        Treatment.PAYLOAD_ERROR,
        {
            10008: "a parameter is wrong",
            10016: "a parameter is missing",
            10017: "a parameter has a wrong value",
            10041: "the request is too large",
            21305: "a parameter is missing",
            65009: "a parameter of the message is wrong",
            65011: "a parameter of the message is wrong",
            65014: "a parameter of the message is wrong",
            65015: "a parameter of the message is wrong",
            65028: "no message of this id",
            65035: "a parameter of the message is wrong",
            65036: "a parameter of the message is wrong",
            65037: "a parameter of the message is wrong",
            65038: "a parameter of the message is wrong",
        },
    ),
    **rows(
        Treatment.CONFIG_ERROR,
        {
            10012: "illegal request; look at packageName and appSecret",
            10031: "this address is not allowed to call",
            10036: "no right to this call",
            21301: "authentication failed; look at appSecret",
            21302: "wrong app secret",
            21303: "the app is not allowed to push",
            22000: "no such application",
            22006: "wrong application id",
            22007: "wrong application key",
            22022: "wrong package; look at packageName",
            26006: "the message needs an audit by Xiaomi",
            27001: "the channel is missing or not approved; look at MiChannelId and channelIds",
        },
    ),
    **rows(Treatment.RATE_LIMITED, {10027: "too many calls", 200002: "too many messages a second"}),
    **rows(Treatment.RATE_LIMITED, {26004: "too many broadcasts"}, seconds=60.0),
    **rows(Treatment.DAY_QUOTA, {10034: "the day's calls are used up", 200001: "the day's messages are used up"}),
    **rows(Treatment.INVALID_TOKEN, {10029: "no such device", 66007: "no such registration id"}),
}
"""By code. Source: error codes of the MiPush server documentation."""

_NO_TOKEN = re.compile(r"invalid.*reg", re.IGNORECASE | re.DOTALL)


def row_of(code: str, text: str) -> VendorCode:
    """The row of a code; 20301 has two meanings, which its text tells apart."""
    if code == SEND_FAILED and _NO_TOKEN.search(text):
        return VendorCode(Treatment.INVALID_TOKEN, "no such registration id")
    return CODES.get(code, UNLISTED)


RECEIPTS: dict[int, str] = {
    1: "arrived",
    2: "clicked",
    16: "the registration id is nobody's any more",
    32: "the user does not let the app show notifications",
    64: "the device does not fit the conditions of the message",
    128: "the day's messages are used up",
    1024: "the message ended before it arrived",
}
"""Kinds of report, each a bit of `callbackType`."""
