"""What is wrong with a channel file, in words that say what to change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, cast, get_type_hints

import msgspec
from msgspec import inspect

from clarion.channels.files import URL_PATTERN
from clarion.channels.opening import FOLDERS

_MOST_NAMES = 8
_LONGEST_NAME = 40
_PLACE = re.compile(r" - at (?P<names>`key` in )?`\$\.(?P<member>\w+)(?P<below>[^`]*)`$")
_MALFORMED = re.compile(r"\(byte (\d+)\)")
_LACKS = re.compile(r"missing required field `(\w+)`")
_OF_TYPES = re.compile(r"\w+: (Expected|Invalid enum value) ")
_CHARACTERS = re.compile(r"\^\[(.+)\]\{(\d+)(?:,(\d+))?\}\$")
_PATTERNS = {
    URL_PATTERN: "an address, http(s)://host[:port][/path], without a query",
    r"^/[!-~]*$": "a path that begins with /",
    "^[01]$": "0 (operational) or 1 (system)",
}
_OTHERS: Mapping[type[inspect.Type], str] = {
    inspect.BoolType: "true or false, without quotation marks",
    inspect.ListType: "a list",
    inspect.VarTupleType: "a list",
}


def explain(label: str, file: bytes, text: str) -> str:
    """A mistake in a channel file, as an operator would want to read it. No value of the file is repeated.

    Args:
        label: of the channel, one of `FOLDERS`.
        file: the channel file.
        text: what the reader of the file said; it is the answer when there is nothing better.
    """
    try:
        values = msgspec.json.decode(file, type=dict[str, Any])
    except msgspec.ValidationError:
        return text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"{text}; {_where(file, str(error))}"
    members = _members(label)
    if said := _names(values, members):
        return f"{label}: {said}. The file may have {', '.join(members)}: docs/channels/{label}.md"
    found = _PLACE.search(text)
    if found is None or found["member"] not in members:
        return text
    kind = _given(members[found["member"]].type)
    if lacks := _LACKS.search(text):
        said = f"{found['member']} lacks {lacks[1]}"
    elif _OF_TYPES.match(text):
        said = _demand(found, kind)
    else:  # the channel's own words
        said = f"{found['member']}: {text[: found.start()].removeprefix(f'{label}: ')}"
    return f"{label}: {said}" if said else text


def _members(label: str) -> dict[str, inspect.Field]:
    """What a file for this channel may have, by name."""
    settings = get_type_hints(import_module(FOLDERS[label]).parse)["return"]
    info = cast(inspect.StructType, inspect.type_info(settings))
    return {field.encode_name: field for field in info.fields}


def _demand(place: re.Match[str], kind: inspect.Type) -> str:
    """What the value at a place of a member of this type has to be; empty if that is not known."""
    name = place["member"]
    match kind, place["names"], place["below"]:
        case inspect.DictType(), str(), "":
            return f"each name in {name} must be {_words(kind.key_type)}"
        case inspect.DictType(), None, "[...]":
            return f"each value in {name} must be {_words(kind.value_type)}"
        case inspect.VarTupleType() | inspect.ListType(), None, str(below) if below:
            return f"each entry of {name} must be {_words(kind.item_type)}"
        case _, None, "":
            return f"{name} must be {_words(kind)}"
        case _:
            return ""


def _where(file: bytes, said: str) -> str:
    """The place of a mistake in what should be JSON."""
    found = _MALFORMED.search(said)
    if found is None:
        return "it ends too early" if "truncated" in said else "it is no JSON"
    line = file.count(b"\n", 0, int(found[1])) + 1
    return f"look at line {line}"


def _names(values: Mapping[str, Any], members: Mapping[str, inspect.Field]) -> str:
    """Which members are not known, and which are missing; empty if that is not what is wrong."""
    unknown = [name for name in values if name not in members]
    missing = [name for name, field in members.items() if field.required and name not in values]
    parts = []
    if unknown:
        shown = [_with_hint(name, members) for name in unknown[:_MOST_NAMES]]
        parts.append(f"not known: {', '.join(shown)}{', …' if len(unknown) > _MOST_NAMES else ''}")
    if missing:
        parts.append(f"missing: {', '.join(missing)}")
    return "; ".join(parts)


def _with_hint(name: str, members: Mapping[str, inspect.Field]) -> str:
    plain = {member.lower(): member for member in members}
    close = get_close_matches(name.replace("_", "").lower(), plain, n=1, cutoff=0.8)
    return name[:_LONGEST_NAME] + (f" (do you mean {plain[close[0]]}?)" if close else "")


def _given(kind: inspect.Type) -> inspect.Type:
    """The type of a member that is given: without "or null"."""
    if isinstance(kind, inspect.UnionType):
        return next(each for each in kind.types if not isinstance(each, inspect.NoneType))
    return kind


def _words(kind: inspect.Type) -> str:
    match kind:
        case inspect.StrType(pattern=str(pattern)):
            words = _characters(pattern) + _range(kind.min_length, kind.max_length, ", ", " characters")
        case inspect.StrType():
            words = f"a text{_range(kind.min_length, kind.max_length, ' of ', ' characters')}"
        case inspect.IntType():
            words = f"a whole number{_range(kind.ge, kind.le)}"
        case inspect.FloatType():
            words = f"a number{_range(kind.ge, kind.le)}"
        case inspect.LiteralType():
            words = " or ".join(map(str, kind.values))
        case inspect.EnumType():
            words = " or ".join(str(each.value) for each in kind.cls)
        case _:
            words = _OTHERS.get(type(kind), "a JSON object")
    return words


def _characters(pattern: str) -> str:
    found = _CHARACTERS.fullmatch(pattern)
    if pattern in _PATTERNS or found is None:
        return _PATTERNS.get(pattern, f"a text like {pattern}")
    least, most = found[2], found[3] or found[2]
    return f"a text of {least if least == most else f'{least} to {most}'} characters out of {found[1]}"


def _range(least: float | None, most: float | None, before: str = " from ", after: str = "") -> str:
    match least, most:
        case None, None:
            return ""
        case None, _:
            return f"{before}at most {most:,.0f}{after}"
        case _, None:
            return f"{before}{least:,.0f} on{after}"
        case _:
            return f"{before}{least:,.0f} to {most:,.0f}{after}"
