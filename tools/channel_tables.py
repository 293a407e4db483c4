"""What each vendor's codes come to, for the pages of the channels; made from the channels' own tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import NamedTuple

from clarion.channels.opening import FOLDERS
from clarion.channels.outcomes import Treatment, VendorCode
from clarion.delivery.states import Outcome


class Follows(NamedTuple):
    """What follows from a treatment.

    Attributes:
        outcome: as the trace names it.
        does: what Clarion does.
        help: what you can do; nothing if it is empty.
    """

    outcome: Outcome
    does: str
    help: str


_FAILS = "goes over the device's own link, or fails"
_WAITS = "the app's messages wait, or go over own links"
_MEND = "change the channel file, then `clarion channel check`"

FOLLOWS: Mapping[Treatment, Follows] = {
    Treatment.ACCEPTED: Follows(Outcome.TAKEN, "nothing more is owed", ""),
    Treatment.INVALID_TOKEN: Follows(
        Outcome.INVALID_TOKEN,
        f"the token is forgotten, unless it was reported since; {_FAILS}",
        "nothing; the app reports a new token when it starts",
    ),
    Treatment.RETRY: Follows(
        Outcome.VENDOR_TROUBLE, "sent again after pauses that grow, until it expires", "nothing, unless it lasts"
    ),
    Treatment.RATE_LIMITED: Follows(
        Outcome.RATE_LIMITED,
        "waits {seconds:g} s, or as `Retry-After` says",
        "set `rate`, or ask the vendor for more",
    ),
    Treatment.DAY_QUOTA: Follows(
        Outcome.RATE_LIMITED,
        "waits until midnight, Chinese time, or goes over the device's own link",
        "set `dailyLimit`, or ask the vendor for more",
    ),
    Treatment.PAYLOAD_ERROR: Follows(Outcome.REJECTED, _FAILS, "change the push"),
    Treatment.CONFIG_ERROR: Follows(Outcome.MISCONFIGURED, _WAITS, _MEND),
    Treatment.AUTH_REFRESH: Follows(
        Outcome.MISCONFIGURED, f"a new access token, and the call once more; refused again, {_WAITS}", _MEND
    ),
}

SMS_FOLLOWS: Mapping[Treatment, Follows] = {
    **FOLLOWS,
    Treatment.ACCEPTED: Follows(Outcome.SMS_TAKEN, "nothing more is owed", ""),
    Treatment.INVALID_TOKEN: Follows(
        Outcome.SMS_WRONG_NUMBER, "no SMS is sent", "bind the user with another `PhoneNumber`"
    ),
    Treatment.DAY_QUOTA: Follows(
        Outcome.RATE_LIMITED,
        "waits until midnight, Chinese time, unless the push expires before",
        "set `dailyLimit`, or ask the service for more",
    ),
    Treatment.PAYLOAD_ERROR: Follows(Outcome.REJECTED, "no SMS is sent", "change the push"),
    Treatment.CONFIG_ERROR: Follows(
        Outcome.MISCONFIGURED, "the app's SMS wait, and are tried again now and then until the push expires", _MEND
    ),
}
"""The same, of SMS: they have no device that could be reached in another way."""

TABLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "apns": (("reason", "REASONS"),),
    "fcm": (("errorCode", "CODES"), ("status, without errorCode", "STATUSES")),
    "harmony": (("code", "CODES"), ("reason of a token", "REASONS")),
    "vivo": (("result", "CODES"), ("status of a device", "INVALID_USERS")),
    "sms": (("Code", "CODES"), ("Code begins with", "FAMILIES")),
}
"""By channel: what a table's codes are, and its name in the vendor's `errors`; others have `CODES` alone."""

_KIND = "messages of the same kind: "
_NAMED = "the tokens that are named are forgotten; for the others, nothing more is owed"

SPECIAL: Mapping[str, str] = {
    "apns TooManyRequests": "messages to this device: {does}",
    "fcm INVALID_ARGUMENT": "if it is about the token: that is forgotten. Else {does}",
    "hms 80100000": _NAMED,
    "harmony 80100000": "see the reasons of tokens; for the others, nothing more is owed",
    "harmony 80100022": "sent again at once, without the picture",
    "harmony 80300007": "see the reasons of tokens; without any, {does}",
    "harmony noRight": "if other tokens of the app are taken: the token is forgotten. Else {does}",
    **dict.fromkeys(
        ("harmony noPushTypeRight", "harmony notSupportPlayVoice"),
        f"if the push itself chose its category, or is silent: {_FAILS}. Else {{does}}",
    ),
    "harmony differentImgVerifyPolicy": f"{_FAILS}, as it is about the push's picture",
    "honor 80100000": _NAMED,
    "miui 20301": "if its text says that the registration id is invalid: that is forgotten. Else {does}",
    "oppo 32": "if it was sent before: taken. Else {does}",
    "oppo 41": "if its text names the registration id: that is forgotten. Else {does}",
    "vivo 10071": f"{_KIND}wait until 07:00, Chinese time",
    "vivo 10302": "with `pushMode` 1, as status 3 of a device. Else {does}",
    "sms isv.BUSINESS_LIMIT_CONTROL": "messages to this number: wait for the minute, hour or day of the text",
    "sms isv.MONTH_LIMIT_CONTROL": "waits until the month ends, Chinese time",
}
"""By channel and code: what is done where a code has several meanings; `{does}` is what else is done."""


class Row(NamedTuple):
    """A code."""

    code: str
    outcome: str
    meaning: str
    does: str
    help: str


def tables(label: str) -> Iterator[tuple[str, list[Row]]]:
    """What the codes of each table of a channel are, and the table."""
    errors = import_module(f"{FOLDERS[label]}.errors")
    own: frozenset[str] = getattr(errors, "OF_THE_MESSAGE", frozenset())
    kinds: frozenset[str] = getattr(errors, "OF_A_KIND", frozenset())
    for head, name in TABLES.get(label, (("code", "CODES"),)):
        codes: Mapping[str, VendorCode] = getattr(errors, name)
        yield head, [_row(label, code, codes[code], own, kinds) for code in codes]


def _row(label: str, code: str, row: VendorCode, own: frozenset[str], kinds: frozenset[str]) -> Row:
    outcome, does, help_ = (SMS_FOLLOWS if label == "sms" else FOLLOWS)[row.treatment]
    does = does.format(seconds=row.seconds)
    if code in kinds:
        does = _KIND + does
    if code in own:
        does = f"if the push itself chose it: {_FAILS}. Else {does}"
    does = SPECIAL.get(f"{label} {code}", "{does}").format(does=does)
    return Row(code, outcome.label, row.meaning.removeprefix(f"{code}: "), does, help_)
