"""What Honor's codes mean.

Source: "Server API" of Honor Push; Honor's own words for the codes are few.
"""

from __future__ import annotations

from collections.abc import Mapping

from clarion.channels.outcomes import Treatment, VendorCode, rows

SUCCESS = "200"
PARTIAL = "80100000"
ALL_REFUSED = "80300007"
NAMING = frozenset((SUCCESS, PARTIAL, ALL_REFUSED))
"""Codes with which tokens that are named are not good; with others, something else is wrong."""

DEAD_TOKEN = VendorCode(Treatment.INVALID_TOKEN, "the token is not one of this app, or not good any more")

CODES: Mapping[str, VendorCode] = {
    SUCCESS: VendorCode(Treatment.ACCEPTED, "taken"),
    PARTIAL: VendorCode(Treatment.ACCEPTED, "taken for some tokens; those that are named are not good any more"),
    **rows(
        Treatment.PAYLOAD_ERROR,
        {
            400: "a parameter is wrong",
            10300: "a token is empty",
            80100003: "the structure of the message is wrong",
            80200050: "a message of the lowest level (LOW) may not have a picture",
            80200056: "the text has words that Honor does not allow",
            80300006: "a token is named twice",
            80300008: "the message has more than 4096 bytes",
            80300010: "no token, or more than 1000",
        },
    ),
    ALL_REFUSED: DEAD_TOKEN,
    **rows(
        Treatment.CONFIG_ERROR,
        {
            404: "nothing is at this address: check `appId` and `baseUrl`",
            10001: "the request has no time",
            10205: "Honor does not know the app: check `appId`",
            10207: "the request's time is wrong: check the server's clock",
            80200020: "Honor does not know `receiptId`",
            80200022: "no right to send this: apply for it in Honor's console",
        },
    ),
    **rows(
        Treatment.AUTH_REFRESH,
        dict.fromkeys((401, 403), "Honor does not take the access token: check `clientId` and `clientSecret`"),
    ),
    "80200047": VendorCode(Treatment.DAY_QUOTA, "the test messages of the day are used up"),
    "503": VendorCode(Treatment.RATE_LIMITED, "more requests in a second than Honor takes", 5.0),
    **rows(
        Treatment.RETRY,
        {500: "Honor has a fault of its own", 502: "Honor's gateway found no connection"},
    ),
}
"""By code; those of three digits come as HTTP statuses as well."""
