"""Answers as JSON or XML, in the forms that official SDKs can read.

JSON is raw UTF-8 (one SDK does not know escapes of characters by number). In XML a list is wrapped twice,
`<Data><Data>…</Data><Data>…</Data></Data>`, and characters that XML 1.0 forbids are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec

_FORBIDDEN_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_encode_json = msgspec.json.Encoder().encode


class Format(Enum):
    """A representation of answers; the value is its `Content-Type`."""

    JSON = b"application/json;charset=utf-8"
    XML = b"text/xml;charset=utf-8"


def choose_format(wanted: str | None, accept: bytes, *, header_signed: bool) -> Format:
    """The format of an answer.

    Args:
        wanted: the parameter `Format`; any case. What is neither XML nor JSON (an SDK sends `None`) means JSON.
        accept: the header `Accept`, which counts when `Format` is absent or empty.
        header_signed: whether the request is of the ACS3 family, whose default is JSON; else it is XML.
    """
    if wanted:
        return Format.XML if wanted.strip().upper() == "XML" else Format.JSON
    return Format.JSON if header_signed or b"application/json" in accept.lower() else Format.XML


def render(form: Format, root: str, members: Mapping[str, Any]) -> bytes:
    """The body of an answer.

    Args:
        form: JSON or XML.
        root: name of the XML root element, `<Action>Response` or `Error`.
        members: the answer: texts, numbers, booleans, None, lists and string-keyed maps of those.
    """
    if form is Format.JSON:
        return _encode_json(members)
    parts = ['<?xml version="1.0" encoding="UTF-8"?>']
    _append_xml(parts, root, members)
    return "".join(parts).encode()


def _append_xml(parts: list[str], name: str, value: Any) -> None:
    """Append the element `name`; None is left out, as JSON's null reads the same as absence."""
    if value is None:
        return
    parts.append(f"<{name}>")
    if isinstance(value, Mapping):
        for key, member in value.items():
            _append_xml(parts, key, member)
    elif isinstance(value, list | tuple):
        for item in value:
            _append_xml(parts, name, item)
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    else:
        parts.append(_FORBIDDEN_IN_XML.sub("", str(value)).translate(_XML_ESCAPES))
    parts.append(f"</{name}>")
