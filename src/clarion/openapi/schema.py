"""What an action takes: declared parameters, and how their texts become values.

A parameter that is absent is absent from the result. One that is present but empty stays an empty text, for
the business rules have codes for that; for numbers, which have no such code, an empty text counts as absent
when the parameter is optional and is refused when it is required.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from clarion.openapi.errors import GatewayError, GatewayFault
from clarion.openapi.parameters import small_first

MAX_DEPTH = 16
"""Most levels of an object that came flattened or as JSON text."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_WORDS = {"true": True, "True": True, "false": False, "False": False}
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,14})")
_DECIMAL = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,17}")
_INDEX = re.compile(r"[0-9]{1,9}").fullmatch
_Parts: TypeAlias = "list[tuple[str, str]]"
_Reader: TypeAlias = "Callable[[Parameter, str], Any]"
_NUMBER_BITS = {"int": 31, "long": 63}


class Kind(Enum):
    """What the text of a parameter becomes."""

    STRING = "string"
    """`str`, as sent."""
    INT = "int"
    """`int` of 32 bits; blanks around it are tolerated, a fraction (`3.0`) is not."""
    LONG = "long"
    """`int` of 64 bits, likewise."""
    LENIENT = "lenient"
    """`int` of 64 bits, or the text itself where it is no such number: the business rules judge it."""
    STRUCTS = "structs"
    """`list[dict[str, str]]` from `Name.N.Field`, in the order of the numbers N (with gaps), or from JSON text."""
    ANY = "any"
    """A JSON object or array, from JSON text or from flattened `Name.a.1.b`; other text stays `str`."""
    STATE = "state"
    """As `ANY`, for an object that is read strictly: a flattened member that looks like a number or boolean
    becomes one (`_guessed`), and the object itself is never an array."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter.

    Attributes:
        name: its name on the wire, in PascalCase.
        kind: what its text becomes.
        required: whether the gateway itself refuses its absence.
    """

    name: str
    kind: Kind = Kind.STRING
    required: bool = False


class Schema:
    """The declared parameters of one action, ready to read requests with.

    Raises:
        ValueError: a name is declared twice.
    """

    __slots__ = ("_compounds", "_declared", "_required", "parameters")

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self.parameters = tuple(parameters)
        self._declared: dict[str, tuple[str, Parameter, _Reader | None]] = {}
        self._compounds: dict[str, Parameter] = {}
        for parameter in self.parameters:
            for name in {parameter.name, small_first(parameter.name)}:
                if name in self._declared:
                    raise ValueError(f"parameter {name} is declared twice")
                self._declared[name] = parameter.name, parameter, _READERS.get(parameter.kind)
                if parameter.kind in _REBUILDERS:
                    self._compounds[name] = parameter
        self._required = tuple(
            (parameter.name, small_first(parameter.name)) for parameter in self.parameters if parameter.required
        )

    def read(self, sent: Mapping[str, str]) -> dict[str, Any]:
        """The values of the declared parameters by wire name; what is not declared is passed over.

        Raises:
            GatewayError: `Missing<Name>` for the first required parameter that is absent, else
                `Invalid<Name>` for one whose text does not fit its kind.
        """
        members = self._members(sent) if self._compounds else {}
        for name, alias in self._required:
            if name not in sent and alias not in sent and name not in members:
                raise GatewayError(GatewayFault.PARAMETER_MISSING, name=name)
        values: dict[str, Any] = {}
        declared = self._declared
        for sent_name, text in sent.items():
            if sent_name not in declared:
                continue
            name, parameter, reader = declared[sent_name]
            if sent_name != name and name in sent:
                continue
            if reader is None:
                values[name] = text
            elif (value := reader(parameter, text)) is not None:
                values[name] = value
        for name, parts in members.items():
            if name not in values:
                parameter = self._compounds[name]
                values[name] = _REBUILDERS[parameter.kind](parameter, parts)
        return values

    def _members(self, sent: Mapping[str, str]) -> dict[str, _Parts]:
        """What was sent as `Name.…` for compound parameters: the rest of each name, and the text."""
        members: dict[str, _Parts] = defaultdict(list)
        for name, text in sent.items():
            head, dot, path = name.partition(".")
            if dot and head in self._compounds:
                members[self._compounds[head].name].append((path, text))
        return members


def _invalid(parameter: Parameter) -> GatewayError:
    return GatewayError(GatewayFault.PARAMETER_INVALID, name=parameter.name)


def _read_number(parameter: Parameter, text: str) -> int | None:
    if not parameter.required and not text.strip():
        return None
    number = _as_number(text, _NUMBER_BITS[parameter.kind.value])
    if number is None:
        raise _invalid(parameter)
    return number


def _read_lenient(_: Parameter, text: str) -> int | str:
    number = _as_number(text, 63)
    return text if number is None else number


def _as_number(text: str, bits: int) -> int | None:
    if len(text) < 10 and text.isascii() and text.isdigit():
        return int(text)
    digits = text.strip()
    if not _NUMBER.fullmatch(digits):
        return None
    number = int(digits)
    return number if -(1 << bits) <= number < 1 << bits else None


def _read_structs(parameter: Parameter, text: str) -> list[dict[str, str]] | None:
    if not text.strip():
        return None
    entries = _from_json(text)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _invalid(parameter)
    return [
        {
            _capitalised(field): value if isinstance(value, str) else msgspec.json.encode(value).decode()
            for field, value in entry.items()
            if value is not None
        }
        for entry in entries
    ]


def _rebuild_structs(parameter: Parameter, parts: _Parts) -> list[dict[str, str]]:
    entries: dict[int, dict[str, str]] = defaultdict(dict)
    for path, text in parts:
        index, _, field = path.partition(".")
        if not _INDEX(index) or not field:
            raise _invalid(parameter)
        entries[int(index)][_capitalised(field)] = text
    return [entries[index] for index in sorted(entries)]


def _read_any(parameter: Parameter, text: str) -> Any:
    value = _from_json(text)
    if not isinstance(value, dict | list):
        return text
    if _depth_exceeds(value, MAX_DEPTH):
        raise _invalid(parameter)
    return value


def _rebuild_any(parameter: Parameter, parts: _Parts) -> Any:
    return _with_lists(_rebuild(parameter, parts, str))


def _rebuild_state(parameter: Parameter, parts: _Parts) -> Any:
    return {name: _with_lists(member) for name, member in _rebuild(parameter, parts, _guessed).items()}


def _guessed(text: str) -> Any:
    """What a flattened value was, as far as its text tells.

    SDKs write Python's or JavaScript's text of a value. A number is one whose own text is this again, so `007` and
    `9.90` stay texts, as do whole numbers of more than 15 digits, which are rather ids.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text) and text != "-0":
        return int(text)
    if _DECIMAL.fullmatch(text) and text == repr(number := float(text)):
        return number
    return text


def _rebuild(parameter: Parameter, parts: _Parts, read: Callable[[str], Any]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path, text in parts:
        *branches, last = path.split(".")
        if len(branches) >= MAX_DEPTH:
            raise _invalid(parameter)
        node = root
        for branch in branches:
            node = node.setdefault(branch, {})
            if not isinstance(node, dict):
                raise _invalid(parameter)
        if last in node:
            raise _invalid(parameter)
        node[last] = read(text)
    return root


def _with_lists(node: Any) -> Any:
    """`node` with each object whose names are just 1, 2, 3 … made an array."""
    if not isinstance(node, dict):
        return node
    count = len(node)
    if all(str(index) in node for index in range(1, count + 1)):
        return [_with_lists(node[str(index)]) for index in range(1, count + 1)]
    return {name: _with_lists(member) for name, member in node.items()}


@lru_cache(maxsize=1024)
def _capitalised(field: str) -> str:
    return field[:1].upper() + field[1:]


def _from_json(text: str) -> Any:
    """The JSON value of `text`; None if it is no JSON, or nested too deeply to tell."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def _depth_exceeds(value: Any, levels: int) -> bool:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(members) and (levels == 0 or any(_depth_exceeds(member, levels - 1) for member in members))


_READERS: dict[Kind, _Reader] = {  # a STRING stays as it is
    Kind.INT: _read_number,
    Kind.LONG: _read_number,
    Kind.LENIENT: _read_lenient,
    Kind.STRUCTS: _read_structs,
    Kind.ANY: _read_any,
    Kind.STATE: _read_any,
}
_REBUILDERS: dict[Kind, Callable[[Parameter, _Parts], Any]] = {
    Kind.STRUCTS: _rebuild_structs,
    Kind.ANY: _rebuild_any,
    Kind.STATE: _rebuild_state,
}
