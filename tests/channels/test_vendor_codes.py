"""Every code that a vendor documents, from its simulator through the channel: what becomes of the message.

What is expected is written down here as the vendors' documentation has it, not read from the channels' tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from clarion.channels.apns.errors import REASONS as APNS_REASONS
from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    PayloadError,
    RateLimited,
    Retry,
    SendOutcome,
    Unknown,
)
from clarion.channels.fcm.errors import CODES as FCM_CODES
from clarion.channels.fcm.errors import STATUSES as FCM_STATUSES
from clarion.channels.harmony.errors import CODES as HARMONY_CODES
from clarion.channels.harmony.errors import REASONS as HARMONY_REASONS
from clarion.channels.hms.errors import CODES as HMS_CODES
from clarion.channels.honor.errors import CODES as HONOR_CODES
from clarion.channels.miui.errors import CODES as MIUI_CODES
from clarion.channels.oppo.errors import CODES as OPPO_CODES
from clarion.channels.sms.errors import CODES as SMS_CODES
from clarion.channels.sms.errors import FAMILIES as SMS_FAMILIES
from clarion.channels.vivo.errors import CODES as VIVO_CODES
from clarion.clock import ManualClock
from clarion.simulators.hall import Hall
from tests.channels.every import LABELS, MESSAGES, OAUTH, TOKENS, envelopes, opened, send
from tests.channels.host import fault

KINDS: Mapping[str, type[SendOutcome]] = {
    "taken": Accepted,
    "no such device": InvalidToken,
    "again": Retry,
    "fails": PayloadError,
    "operator": ConfigError,
    "new access token": ConfigError,
    "unknown": Unknown,
}
"""`new access token`: what is left when the second one is refused, too. All others are limits."""

EXPECTED: Mapping[str, Mapping[str, str]] = {
    "apns": {
        "no such device": "BadDeviceToken DeviceTokenNotForTopic Unregistered ExpiredToken",
        "operator": "BadTopic MissingTopic TopicDisallowed BadCertificate BadCertificateEnvironment Forbidden "
        "InvalidProviderToken MissingProviderToken UnrelatedKeyIdInToken BadEnvironmentKeyIdInToken",
        "fails": "BadCollapseId BadExpirationDate BadMessageId BadPriority InvalidPushType DuplicateHeaders "
        "PayloadEmpty MissingDeviceToken BadPath MethodNotAllowed PayloadTooLarge",
        "again": "IdleTimeout InternalServerError ServiceUnavailable Shutdown",
        "new access token": "ExpiredProviderToken",
        "60 s, this device": "TooManyRequests",
        "300 s": "TooManyProviderTokenUpdates",
    },
    "fcm": {
        # The simulator's INVALID_ARGUMENT names the token; that of other fields is in its own tests.
        "no such device": "INVALID_ARGUMENT UNREGISTERED SENDER_ID_MISMATCH",
        "operator": "THIRD_PARTY_AUTH_ERROR APNS_AUTH_ERROR PERMISSION_DENIED NOT_FOUND",
        "again": "INTERNAL UNAVAILABLE UNSPECIFIED_ERROR DEADLINE_EXCEEDED",
        "new access token": "UNAUTHENTICATED",
        "60 s": "QUOTA_EXCEEDED RESOURCE_EXHAUSTED",
    },
    "hms": {
        "taken": "80000000",
        "no such device": "80100000 80300007",
        "fails": "80100001 80100002 80100003 80100004 80100013 80100016 80100018 80300008 80300010 "
        "80300011 82000001..82000013",  # 80300011: the push asked for the level
        "operator": "80300002",
        "new access token": "80200001 80200003",
        "again": "80600003 81000001",
        "5 s": "80100017",
    },
    "harmony": {
        "taken": "80000000",
        "no such device": "80100000 80300007 tokenFormatError tokenPlatformNotSupport",
        "fails": "80100001 80100003 80100004 80100016 80100022 80300008 80300010 80300030",
        # noRight too, as long as no other token of the app was taken.
        "operator": "80200001 80300002 80300036 80300037 noRight noPushTypeRight appinfoError notSupportPlayVoice "
        "noRightToSendThisLiveNotificationEvent atomicUnableSendUnsubscribedMsg differentImgVerifyPolicy "
        "disableSendHuaweiMsgBecauseOfPenalty countryNotSupport",
        "new access token": "80200005",
        "60 s": "80300029",
        "again": "81000001",
    },
    "honor": {
        "taken": "200",
        "no such device": "80100000 80300007",
        "fails": "400 10300 80100003 80200050 80200056 80300006 80300008 80300010",
        "operator": "404 10001 10205 10207 80200020 80200022",
        "new access token": "401 403",
        "day": "80200047",
        "again": "500 502",
        "5 s": "503",
    },
    "miui": {
        "taken": "0 65003",
        "no such device": "10029 66007 20301",
        "again": "-1 1 10001 10002 10003 20607 26003 65029 65030",
        "fails": "10008 10016 10017 10041 21305 65009 65011 65014 65015 65028 65035..65038",
        "operator": "10012 10031 10036 21301..21303 22000 22006 22007 22022 26006 27001",
        "1 s": "10027 200002",
        "60 s": "26004",
        "day": "10034",
        "day, messages of the kind": "200001",
    },
    "oppo": {
        "taken": "0",
        "no such device": "10000",
        "again": "-1",
        "fails": "12 20..25 31 32 40 41 51 10001 15000 20000",
        "operator": "14..19 26..28 30 54 59 67",
        "new access token": "11 29",
        "1 s": "-2 13 55 69",
        "day": "34 42",
        "day, messages of the kind": "33",
    },
    "vivo": {
        "taken": "0",
        "no such device": "10302",
        "fails": "10050 10054..10060 10065 10067 10095 10103 10150..10153 10155 10304..10306 10311 10352 10353 "
        "10800 10801",
        "operator": "10043 10045 10051 10082 10094 10096 10097 10104 10200..10207",
        "new access token": "10000",
        "1 s": "10072 10093",
        "day, messages of the kind": "10070 10073 10252 10254",
        "seven in the morning, messages of the kind": "10071",
    },
    "sms": {
        "no such device": "isv.MOBILE_NUMBER_ILLEGAL",
        # Template, signature and country are chosen by the push: they stop no others.
        "fails": "isv.MOBILE_COUNT_OVER_LIMIT isv.TEMPLATE_MISSING_PARAMETERS isv.TEMPLATE_PARAMS_ILLEGAL "
        "isv.PARAM_LENGTH_LIMIT isv.PARAM_NOT_SUPPORT_URL isv.INVALID_JSON_PARAM isv.INVALID_PARAMETERS "
        "isv.SMS_CONTENT_ILLEGAL isv.BLACK_KEY_CONTROL_LIMIT isv.SMS_TEMPLATE_ILLEGAL isv.SMS_SIGNATURE_ILLEGAL "
        "isv.SMS_SIGN_ILLEGAL isv.SMS_SIGNATURE_SCENE_ILLEGAL isv.SIGN_STATE_ILLEGAL "
        "isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
        "operator": "isv.EXTEND_CODE_ERROR isp.RAM_PERMISSION_DENY NoPermission isv.PRODUCT_UN_SUBSCRIPT "
        "isv.PRODUCT_UNSUBSCRIBE isv.ACCOUNT_NOT_EXISTS isv.ACCOUNT_ABNORMAL isv.OUT_OF_SERVICE "
        "isv.AMOUNT_NOT_ENOUGH isv.DENY_IP_RANGE SignatureDoesNotMatch IncompleteSignature InvalidVersion "
        "InvalidAccessKeyId.NotFound InvalidAccessKeyId.Inactive InvalidTimeStamp.Expired InvalidAction.NotFound "
        "Forbidden.RAM",
        "again": "isp.SYSTEM_ERROR ServiceUnavailable SignatureNonceUsed",
        "unknown": "InternalError",
        "1 s": "Throttling.User",
        "60 s, this device": "isv.BUSINESS_LIMIT_CONTROL",
        "day": "isv.DAY_LIMIT_CONTROL",
        "month": "isv.MONTH_LIMIT_CONTROL",
    },
}
"""By channel: what becomes of a message, and the codes with which it does."""

TABLES: Mapping[str, frozenset[str]] = {
    "apns": frozenset(APNS_REASONS),
    "fcm": frozenset({*FCM_CODES, *FCM_STATUSES}),
    "hms": frozenset(HMS_CODES),
    "harmony": frozenset({*HARMONY_CODES, *HARMONY_REASONS}),
    "honor": frozenset(HONOR_CODES),
    "miui": frozenset(MIUI_CODES),
    "oppo": frozenset({*OPPO_CODES, "10001", "15000", "20000"}),
    "vivo": frozenset(VIVO_CODES),
    "sms": frozenset(SMS_CODES) - {"OK"},
}
SUCCESS = frozenset({"0", "200", "80000000"})
SHANGHAI = ZoneInfo("Asia/Shanghai")


def codes(text: str) -> Iterator[str]:
    """The codes in a text; `10..12` are three."""
    for word in text.split():
        first, _, last = word.partition("..")
        yield from map(str, range(int(first), int(last) + 1)) if last and first.isdigit() else (word,)


ROWS = [
    (label, code, meaning)
    for label, table in EXPECTED.items()
    for meaning in table
    for code in codes(table[meaning])
]


def test_every_code_of_every_table_is_here() -> None:
    for label, table in TABLES.items():
        here = {code for row, code, _ in ROWS if row == label}
        families = {code for code in here - table if label == "sms" and code.split(".")[0] in {*SMS_FAMILIES}}
        assert here - families - {"InternalError"} == table, label
    assert {code.split(".")[0] for code in codes(" ".join(EXPECTED["sms"].values()))} >= set(SMS_FAMILIES)
    assert len(ROWS) == len({(label, code) for label, code, _ in ROWS})


def end_of(meaning: str, clock: ManualClock) -> int:
    """When a limit ends, ms."""
    now = datetime.fromtimestamp(clock.now_ms() / 1000, SHANGHAI)
    when = meaning.partition(",")[0]
    if when.endswith(" s"):
        return clock.now_ms() + 1000 * int(when.removesuffix(" s"))
    tomorrow = datetime(now.year, now.month, now.day, tzinfo=SHANGHAI).timestamp() + 86_400
    ends = {
        "day": tomorrow,
        "month": datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=SHANGHAI).timestamp(),
        "seven in the morning": tomorrow + 7 * 3600 if now.hour >= 7 else tomorrow - 17 * 3600,
    }
    return int(ends[when] * 1000)


def asked(hall: Hall, label: str) -> int:
    """How many calls with messages were made."""
    return sum(
        not entry.path.partition("?")[0].endswith(("token", "auth")) for entry in hall.journal.entries(label)
    )


@pytest.mark.parametrize(("label", "code", "meaning"), [row for row in ROWS if row[1] not in SUCCESS], ids=str)
async def test_every_code(label: str, code: str, meaning: str, clock: ManualClock) -> None:
    async with opened(label, clock) as (hall, channel):
        if label == "apns":
            hall.configure("apns", {"tokenUpdates": 9})
        fault(hall, label, "code", code=code, path=MESSAGES[label] if label in OAUTH else None)
        outcome = await send(label, channel, clock)
        assert type(outcome) is KINDS.get(meaning, RateLimited)
        assert asked(hall, label) == (2 if meaning == "new access token" else 1)
        assert TOKENS[label][0] not in repr(outcome)
        if isinstance(outcome, Accepted):
            assert outcome.notes
            return
        assert outcome.code in (code, "80300007")
        assert outcome.text
        if isinstance(outcome, RateLimited):
            assert outcome.until == end_of(meaning, clock)
            assert outcome.whole is ("," not in meaning)


@pytest.mark.parametrize("label", [label for label in LABELS if "new access token" in EXPECTED[label]])
async def test_an_access_token_that_is_refused_is_replaced_once(label: str, clock: ManualClock) -> None:
    async with opened(label, clock) as (hall, channel):
        assert isinstance(await send(label, channel, clock), Accepted)
        fault(hall, label, "expired_auth", count=1)
        assert isinstance(await send(label, channel, clock), Accepted)
        assert asked(hall, label) == 3


def others(label: str) -> str:
    """A code that concerns one device of several."""
    return {"apns": "Unregistered", "fcm": "UNREGISTERED", "hms": "80300007", "harmony": "tokenFormatError",
            "honor": "80300007", "miui": "20301", "oppo": "10000", "vivo": "10302",
            "sms": "isv.MOBILE_NUMBER_ILLEGAL"}[label]  # fmt: skip


@pytest.mark.parametrize("label", LABELS)
async def test_one_device_of_three_that_there_is_not(label: str, clock: ManualClock) -> None:
    async with opened(label, clock) as (hall, channel):
        fault(hall, label, "code", code=others(label), token=TOKENS[label][1])
        outcomes = await channel.send(envelopes(label, clock, 3))
        # Xiaomi does not say it of one among several; its callback does.
        second = Accepted if label == "miui" else InvalidToken
        assert [type(outcome) for outcome in outcomes] == [Accepted, second, Accepted]
