"""What the codes of HarmonyOS Push Kit mean.

Source: "Response parameters" of the Push Kit REST API for scenario-based messages.
"""

from __future__ import annotations

from collections.abc import Mapping

from clarion.channels.outcomes import Treatment, VendorCode, rows

SUCCESS = "80000000"
PARTIAL = "80100000"
IMAGE_NOT_VERIFIED = "80100022"
ALL_REFUSED = "80300007"

CODES: Mapping[str, VendorCode] = {
    SUCCESS: VendorCode(Treatment.ACCEPTED, "taken"),
    PARTIAL: VendorCode(Treatment.ACCEPTED, "taken for some tokens; the answer says why not for the others"),
    **rows(
        Treatment.PAYLOAD_ERROR,
        {
            80100001: "a parameter is wrong",
            80100003: "the structure of the message is wrong",
            80100004: "its validity had ended when it arrived",
            80100016: "the text has words that Huawei does not allow",
            80100022: "Huawei has not checked the picture; the message is sent again without it",
            80300007: "no token was taken; the answer says why, and tokens are kept if it does not",
            80300008: "the message has more than 4096 bytes",
            80300010: "no token, or more than 1000",
            80300030: "too many tokens for a test message: at most 10",
        },
    ),
    **rows(
        Treatment.CONFIG_ERROR,
        {
            80200001: "Huawei does not take the credentials: check `projectId`, `serviceAccount` and `baseUrl`",
            80300002: "Push Kit is switched off, or `projectId` is not the app's project",
            80300036: "the access token lives longer than a day: check the server's clock",
            80300037: "the app is under penalty; see AppGallery Connect",
        },
    ),
    "80200005": VendorCode(Treatment.AUTH_REFRESH, "the access token has expired: check the server's clock"),
    "80300029": VendorCode(Treatment.RATE_LIMITED, "too many test messages", 60.0),
    "81000001": VendorCode(Treatment.RETRY, "Huawei has a fault of its own"),
}
"""By code. Statuses without a code: `huawei_answers.STATUSES`."""

NO_RIGHT = "noRight"

REASONS: Mapping[str, VendorCode] = {
    **{
        reason: VendorCode(Treatment.INVALID_TOKEN, f"{reason}: {meaning}")
        for reason, meaning in {
            "tokenFormatError": "the token is none",
            "tokenPlatformNotSupport": "the token is of another platform",
        }.items()
    },
    **{
        reason: VendorCode(Treatment.CONFIG_ERROR, f"{reason}: {meaning}")
        for reason, meaning in {
            NO_RIGHT: "the token's app is not of this project, or its device has changed to HarmonyOS since",
            "noPushTypeRight": "no right to this kind of message; apply for it in AppGallery Connect",
            "noRightToSendThisLiveNotificationEvent": "no right to this live view",
            "atomicUnableSendUnsubscribedMsg": "an atomic service may not send this kind of message",
            "appinfoError": "the app is not created in AppGallery Connect",
            "notSupportPlayVoice": "PLAY_VOICE is for voice messages alone",
            "differentImgVerifyPolicy": "the picture was checked for another kind of message",
            "disableSendHuaweiMsgBecauseOfPenalty": "the app is under penalty; see AppGallery Connect",
            "countryNotSupport": "Huawei does not push in this country",
        }.items()
    },
}
"""Why a token was refused, by the words of `illegalTokens`."""

OF_SILENCE = frozenset({REASONS["noPushTypeRight"]})
OF_A_CATEGORY = frozenset({REASONS["noPushTypeRight"], REASONS["notSupportPlayVoice"]})
OF_A_PICTURE = frozenset({REASONS["differentImgVerifyPolicy"]})
"""Reasons that may be about what a message chose itself."""

STRANGE_TOKEN = VendorCode(Treatment.INVALID_TOKEN, f"{NO_RIGHT}: not a token of this project, others are")
"""`noRight`, once it is known that the settings are right because other tokens are taken."""

OTHER_REASON = VendorCode(Treatment.PAYLOAD_ERROR, "refused for a reason that is not known here; the token is kept")
