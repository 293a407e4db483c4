"""What the codes of the SMS service mean.

Source: Short Message Service, "Error codes"; RPC protocol, "Common errors".
"""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import Any

from clarion.channels.answers import HttpAnswer, HttpFailure
from clarion.channels.base import Accepted, RateLimited, SendOutcome, Unknown
from clarion.channels.outcomes import (
    UNLISTED,
    VENDOR_ZONE,
    Treatment,
    VendorCode,
    next_time,
    outcome_of,
    outcome_of_failure,
    outcome_of_status,
    scrub,
    vendor_id_of,
)
from clarion.clock import Clock

TAKEN = "OK"
NUMBER_LIMIT = "isv.BUSINESS_LIMIT_CONTROL"
MONTH_LIMIT = "isv.MONTH_LIMIT_CONTROL"
DENIED = frozenset({"isp.RAM_PERMISSION_DENY", "NoPermission", "Forbidden.RAM"})
"""The key is good, but may not do this."""

OF_A_NUMBER = frozenset({"isv.MOBILE_NUMBER_ILLEGAL", "isv.DOMESTIC_NUMBER_NOT_SUPPORTED", NUMBER_LIMIT})
"""Codes that one number of a call may be the reason of; the service then takes none of the call."""
OF_PARAMS = frozenset(
    {
        "isv.TEMPLATE_MISSING_PARAMETERS",
        "isv.TEMPLATE_PARAMS_ILLEGAL",
        "isv.PARAM_LENGTH_LIMIT",
        "isv.PARAM_NOT_SUPPORT_URL",
        "isv.INVALID_JSON_PARAM",
        "isv.SMS_CONTENT_ILLEGAL",
        "isv.BLACK_KEY_CONTROL_LIMIT",
    }
)
"""The same, of one message's values."""
OF_A_SIGNATURE = frozenset(
    {
        "isv.SMS_SIGNATURE_ILLEGAL",
        "isv.SMS_SIGN_ILLEGAL",
        "isv.SMS_SIGNATURE_SCENE_ILLEGAL",
        "isv.SIGN_STATE_ILLEGAL",
    }
)
"""The same, of one message's signature."""


def _rows(treatment: Treatment, meanings: dict[str, str]) -> dict[str, VendorCode]:
    return {code: VendorCode(treatment, meaning) for code, meaning in meanings.items()}


CODES: dict[str, VendorCode] = {
    TAKEN: VendorCode(Treatment.ACCEPTED, "taken"),
    "isv.MOBILE_NUMBER_ILLEGAL": VendorCode(Treatment.INVALID_TOKEN, "this is no phone number"),
    **_rows(
        Treatment.PAYLOAD_ERROR,
        {
            "isv.MOBILE_COUNT_OVER_LIMIT": "too many numbers in one call",
            "isv.TEMPLATE_MISSING_PARAMETERS": "SmsTemplateParam lacks a variable of the template",
            "isv.TEMPLATE_PARAMS_ILLEGAL": "a value in SmsTemplateParam is not of the kind that the template wants",
            "isv.PARAM_LENGTH_LIMIT": "a value in SmsTemplateParam is too long",
            "isv.PARAM_NOT_SUPPORT_URL": "a value in SmsTemplateParam is a URL",
            "isv.INVALID_JSON_PARAM": "SmsTemplateParam is no JSON object of texts",
            "isv.INVALID_PARAMETERS": "a parameter is wrong",
            "isv.SMS_CONTENT_ILLEGAL": "the text has words that are not allowed",
            "isv.BLACK_KEY_CONTROL_LIMIT": "a value in SmsTemplateParam has words that are not allowed",
            # Template and signature are the push's own: a wrong one must not stop the app's other messages.
            "isv.SMS_TEMPLATE_ILLEGAL": "SmsTemplateCode is no approved template of this account",
            "isv.SMS_SIGNATURE_ILLEGAL": "SmsSignName is no approved signature of this account",
            "isv.SMS_SIGN_ILLEGAL": "SmsSignName is no approved signature of this account",
            "isv.SMS_SIGNATURE_SCENE_ILLEGAL": "the signature and the template are for different purposes",
            "isv.SIGN_STATE_ILLEGAL": "the signature cannot be used now: see its state in the SMS console",
            "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": "a template for abroad, and a number of mainland China",
        },
    ),
    **_rows(
        Treatment.CONFIG_ERROR,
        {
            "isv.EXTEND_CODE_ERROR": "extendCode is not one of this signature",
            "isp.RAM_PERMISSION_DENY": "the access key may not do this: give its user AliyunDysmsFullAccess",
            "NoPermission": "the access key may not do this: give its user AliyunDysmsFullAccess",
            "isv.PRODUCT_UN_SUBSCRIPT": "the account has not activated the SMS service",
            "isv.PRODUCT_UNSUBSCRIBE": "the account has not activated the SMS service",
            "isv.ACCOUNT_NOT_EXISTS": "there is no such account",
            "isv.ACCOUNT_ABNORMAL": "the account cannot be used now: see its state in the console",
            "isv.OUT_OF_SERVICE": "the account's service is stopped: is anything unpaid?",
            "isv.AMOUNT_NOT_ENOUGH": "the account has no balance left",
            "isv.DENY_IP_RANGE": "the account does not allow this server's address",
            "SignatureDoesNotMatch": "accessKeySecret is wrong",
            "IncompleteSignature": "the request lost its signature on the way",
            "InvalidVersion": "no SMS service at this address: check baseUrl",
        },
    ),
    NUMBER_LIMIT: VendorCode(Treatment.RATE_LIMITED, "this number got too many messages of late", 60.0),
    "isv.DAY_LIMIT_CONTROL": VendorCode(Treatment.DAY_QUOTA, "the account's limit of a day is reached"),
    MONTH_LIMIT: VendorCode(Treatment.DAY_QUOTA, "the account's limit of a month is reached"),
    **_rows(
        Treatment.RETRY,
        {
            "isp.SYSTEM_ERROR": "the service has a fault of its own",
            "ServiceUnavailable": "the service is not available for the moment",
            "SignatureNonceUsed": "the request was seen before; it is signed anew when it is tried again",
        },
    ),
}
"""By the code of the answer."""

FAMILIES: dict[str, VendorCode] = {
    "InvalidAccessKeyId": VendorCode(Treatment.CONFIG_ERROR, "accessKeyId is not known, or disabled"),
    "Forbidden": VendorCode(Treatment.CONFIG_ERROR, "the access key may not do this"),
    "InvalidTimeStamp": VendorCode(Treatment.CONFIG_ERROR, "this server's clock is wrong"),
    "InvalidAction": VendorCode(Treatment.CONFIG_ERROR, "no SMS service at this address: check baseUrl"),
    "Throttling": VendorCode(Treatment.RATE_LIMITED, "too many calls a second"),
    "isp": VendorCode(Treatment.RETRY, "the service has a fault of its own"),
}
"""By what the code begins with, up to its first full stop."""

_LEVELS = (("分钟", 60.0), ("minute", 60.0), ("小时", 3600.0), ("hour", 3600.0))
_DAY_LEVEL = ("天", "day")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,79}")
_UNCLEAR = frozenset({500, 502, 504})


def row_of(code: str) -> VendorCode | None:
    """The row of a code; None if the tables have none."""
    return CODES.get(code) or FAMILIES.get(code.partition(".")[0])


def said(answer: HttpAnswer) -> tuple[str, dict[str, Any]]:
    """The code of an answer, and all of it; empty if it is none of the service."""
    value = answer.json()
    if not isinstance(value, dict):
        return "", {}
    code = value.get("Code")
    return (code if isinstance(code, str) and _CODE.fullmatch(code) else ""), value


def judged(answer: HttpAnswer | HttpFailure, clock: Clock, private: tuple[str, ...]) -> SendOutcome:
    """What an answer means for all messages of its call.

    Args:
        answer: as it came.
        clock: for limits.
        private: texts that no outcome may have.
    """
    if isinstance(answer, HttpFailure):
        return outcome_of_failure(answer)
    code, value = said(answer)
    row = row_of(code)
    if row is None and answer.status in _UNCLEAR:
        return Unknown(code or str(answer.status), "the service failed while it had the request")
    if not code:
        return outcome_of_status(answer, clock)
    row = row or UNLISTED
    if row.treatment is Treatment.ACCEPTED:
        return _accepted(answer, value)
    # Texts of the gateway may repeat the whole request; those of the service itself are about the message.
    text = scrub(value.get("Message"), private) if code.startswith(("isv.", "isp.")) else ""
    if code in _LIMITS:
        return RateLimited(_LIMITS[code](text, clock.now_ms()), code, text or row.meaning, code != NUMBER_LIMIT)
    wait = answer.retry_after(clock)
    return outcome_of(row if wait is None else row._replace(seconds=min(max(wait, 1.0), 3600.0)), code, text, clock)


def _accepted(answer: HttpAnswer, value: dict[str, Any]) -> SendOutcome:
    biz_id = value.get("BizId")
    if answer.status != 200 or not isinstance(biz_id, str):
        return Unknown(TAKEN, "the service says OK and gives the message no id")
    return Accepted(vendor_id_of(biz_id))


def _number_limit_ends(text: str, now: int) -> int:
    """The text says which limit: of a minute, an hour or a day."""
    lower = text.lower()
    for word, seconds in _LEVELS:
        if word in lower:
            return now + int(seconds * 1000)
    if any(word in lower for word in _DAY_LEVEL):
        return next_time(now, time(0))
    return now + int(CODES[NUMBER_LIMIT].seconds * 1000)


def _month_ends(_text: str, now_ms: int) -> int:
    now = datetime.fromtimestamp(now_ms / 1000, VENDOR_ZONE)
    year, month = divmod(now.year * 12 + now.month, 12)
    return int(datetime(year, month + 1, 1, tzinfo=VENDOR_ZONE).timestamp() * 1000)


_LIMITS = {NUMBER_LIMIT: _number_limit_ends, MONTH_LIMIT: _month_ends}
"""Limits that end when the text or the calendar says: ms, from the text and the time."""
