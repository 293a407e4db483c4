"""Query and form body to one map of parameters, as the RPC protocol reads them.

Clients differ in where a parameter travels (even `Signature` may be in the body), so both places make
one map. Within one place the first of equal names counts, as in a servlet container; between the places the
body counts, as SDKs do that sign both. Blank values stay, because they are part of the signed string.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Mapping

from clarion.openapi.errors import GatewayError, GatewayFault

MAX_BODY = 1_048_576
"""Most bytes of a query string, and of a body."""
MAX_PARAMETERS = 2_000
MAX_NAME = 128
"""Most bytes of a decoded parameter name."""

_MAX_UTF8 = 4  # bytes of one character

_STRAY_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NAMES_AND_VALUES = re.compile("[^\x00\x01]*\x01[^\x00\x01]*(?:\x00[^\x00\x01]*\x01[^\x00\x01]*)*")
# Percent-encoding is quoted-printable with another escape character, and the standard library decodes that in C.
_TO_QUOTED_PRINTABLE = bytes.maketrans(b"%&=+", b"=\x00\x01 ")


def parse_form(raw: bytes) -> dict[str, str]:
    """Decode `application/x-www-form-urlencoded` bytes; `+` is a blank, names without `=` have an empty value.

    Bytes that are not UTF-8 become lone surrogates, so that a signature over them can still be checked.

    Raises:
        GatewayError: more than `MAX_PARAMETERS`, a name over `MAX_NAME` bytes, a NUL character.
    """
    return parse(raw)[0]


def parse(raw: bytes) -> tuple[dict[str, str], bool]:
    """As `parse_form`, and whether everything was UTF-8."""
    if not raw:
        return {}, True
    ampersands = raw.count(b"&")
    if ampersands >= MAX_PARAMETERS:
        raise GatewayError(GatewayFault.PARAMETERS_TOO_MANY, limit=MAX_PARAMETERS)
    parameters, unicode = _decode_at_once(raw, ampersands), True
    if parameters is None:
        parameters = _decode_carefully(raw)
        unicode = is_unicode(parameters)
    parameters.pop("", None)
    if len(max(parameters, key=len, default="")) > MAX_NAME // _MAX_UTF8:
        _check_names(parameters)
    return parameters, unicode


def is_unicode(parameters: Mapping[str, str]) -> bool:
    """Whether all names and values came as UTF-8."""
    text = "".join(parameters) + "".join(parameters.values())
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def find_parameter(parameters: Mapping[str, str], name: str) -> str | None:
    """The value sent as `name`, or else as `name` with a small first letter."""
    value = parameters.get(name)
    return value if value is not None else parameters.get(small_first(name))


def small_first(name: str) -> str:
    """`name` as documents print it: `appId` for `AppId`."""
    return name[:1].lower() + name[1:]


def _decode_at_once(raw: bytes, ampersands: int) -> dict[str, str] | None:
    """Decode everything in one pass; None when an oddity needs `_decode_carefully`.

    Separators become the control characters 0 and 1. It worked if no others came out of the data, every
    escape shrank by two bytes, and no line end could be taken for a soft line break.
    """
    decoded = a2b_qp(raw.translate(_TO_QUOTED_PRINTABLE))
    equals = raw.count(b"=")
    if (
        len(raw) - len(decoded) != 2 * raw.count(b"%")
        or decoded.count(b"\x00") != ampersands
        or decoded.count(b"\x01") != equals
        or b"\n" in raw
        or b"\r" in raw
    ):
        return None
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        return None
    if equals == ampersands + 1 and _NAMES_AND_VALUES.fullmatch(text):
        flat = text.replace("\x01", "\x00").split("\x00")
        parameters = dict(zip(flat[::2], flat[1::2], strict=True))
        if len(parameters) == equals:
            return parameters
    fields = text.split("\x00")
    parameters = {}
    for field in reversed(fields):  # so that the first of equal names stays
        name, _, value = field.partition("\x01")
        parameters[name] = value.replace("\x01", "=") if "\x01" in value else value
    return parameters


def _decode_carefully(raw: bytes) -> dict[str, str]:
    """Decode field by field; a `%` that begins no escape stands for itself."""
    raw = _STRAY_PERCENT.sub(b"%25", raw.replace(b"\n", b"%0A").replace(b"\r", b"%0D"))
    parameters: dict[str, str] = {}
    for field in raw.replace(b"+", b" ").split(b"&"):
        encoded_name, _, encoded_value = field.partition(b"=")
        name, value = _unquote(encoded_name), _unquote(encoded_value.replace(b"=", b"%3D"))
        if "\x00" in name or "\x00" in value:
            raise GatewayError(GatewayFault.VALUE_HAS_NUL, name=name[:MAX_NAME].replace("\x00", ""))
        parameters.setdefault(name, value)
    return parameters


def _unquote(encoded: bytes) -> str:
    return a2b_qp(encoded.replace(b"%", b"=")).decode(errors="surrogateescape")


def _check_names(parameters: Mapping[str, str]) -> None:
    if any(len(name.encode(errors="surrogateescape")) > MAX_NAME for name in parameters):
        raise GatewayError(GatewayFault.NAME_TOO_LONG, limit=MAX_NAME)
