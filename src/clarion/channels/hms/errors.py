"""What Huawei's codes mean.

Source: "Result codes" of the Push Kit REST API (downlink messages).
"""

from __future__ import annotations

from collections.abc import Mapping

from clarion.channels.outcomes import Treatment, VendorCode, rows

PARTIAL = "80100000"
SUCCESS = "80000000"

DEAD_TOKEN = VendorCode(Treatment.INVALID_TOKEN, "the token is not one of this app, or not good any more")

CODES: Mapping[str, VendorCode] = {
    SUCCESS: VendorCode(Treatment.ACCEPTED, "taken"),
    PARTIAL: VendorCode(Treatment.ACCEPTED, "taken for some tokens; those that are named are not good any more"),
    **rows(
        Treatment.PAYLOAD_ERROR,
        {
            80100001: "a parameter is wrong",
            80100002: "a system message may have one token only",
            80100003: "the structure of the message is wrong",
            80100004: "its validity had ended when it arrived",
            80100013: "collapse_key is wrong",
            80100016: "the text has words that Huawei does not allow",
            80100018: "the body of the message is wrong",
            80300008: "the message has more than 4096 bytes",
            80300010: "no token, or more than 1000",
            # A message alone asks for it: one without the right stops no others.
            80300011: "no right to the highest level of reminder: apply for it, or choose another NotifyLevel",
        },
    ),
    **rows(
        Treatment.PAYLOAD_ERROR,
        dict.fromkeys(range(82000001, 82000014), "a call for topics or groups went wrong"),
    ),
    "80100017": VendorCode(Treatment.RATE_LIMITED, "more than 100 topic messages at once", 5.0),
    **rows(
        Treatment.CONFIG_ERROR,
        {
            80300002: "the app may not send to these tokens: switch Push Kit on, and check `appId`",
        },
    ),
    **rows(
        Treatment.AUTH_REFRESH,
        {
            80200001: "Huawei does not take the access token: check `appId` and `appSecret`",
            80200003: "the access token has expired",
        },
    ),
    "80300007": DEAD_TOKEN,
    **rows(
        Treatment.RETRY,
        {80600003: "Huawei's OAuth service failed", 81000001: "Huawei has a fault of its own"},
    ),
}
"""By code. `HTTP 503` and other statuses: `huawei_answers.STATUSES`."""
