"""Forms and rules for their fields, as several gateways have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from clarion.simulators.base import Received

FORM = "application/x-www-form-urlencoded"

Rule = Callable[[str], bool]
"""Whether the text of a field is one that the gateway takes."""


def form_of(request: Received) -> dict[str, str] | None:
    """The fields of a form in UTF-8; None if the request has none, or a field twice."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method != "POST" or kind != FORM:
        return None
    try:
        pairs = parse_qsl(
            request.body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=256, errors="strict"
        )
    except ValueError:
        return None
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else None


def whole(least: int, most: int) -> Rule:
    """A whole number in these bounds."""

    def rule(text: str) -> bool:
        digits = text.removeprefix("-")
        return digits.isascii() and digits.isdigit() and len(digits) < 20 and least <= int(text) <= most

    return rule


def among(*texts: str) -> Rule:
    """One of these."""
    return frozenset(texts).__contains__


def short(most: int) -> Rule:
    """At most so many characters."""
    return lambda text: len(text) <= most


def broken(fields: Mapping[str, str], rules: Mapping[str, Rule], needed: Iterable[str] = ()) -> str:
    """What is wrong with fields, for people: one that is missing, that there is not, or that breaks its rule."""
    for name in needed:
        if not fields.get(name):
            return f"{name} is missing"
    for name, text in fields.items():
        rule = rules.get(name)
        if rule is None:
            return f"there is no field {name}"
        if not rule(text):
            return f"{name} has a wrong value"
    return ""


S = TypeVar("S", bound=msgspec.Struct)


def updated(current: S, settings: Mapping[str, Any]) -> S:
    """Settings with those that are named, in the names of JSON; the others stay.

    Raises:
        ValueError: there is no such setting, or not with such a value.
    """
    try:
        wanted = msgspec.convert(settings, type(current), str_keys=True)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    named = [field.name for field in msgspec.structs.fields(wanted) if field.encode_name in settings]
    return msgspec.structs.replace(current, **{name: getattr(wanted, name) for name in named})
