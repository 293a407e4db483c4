"""A template, and what its placeholders become. Pure.

Source: the template actions of the MPS server APIs. A placeholder is `#name#`; the documentation knows no way to
write a literal `#`, so a name is 1 to 64 letters, digits, `_` or Chinese characters, and any other `#` is text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from clarion.results import Refusal, ResultCode
from clarion.text import is_text

MAX_TEMPLATES = 100
"""Most templates of an app."""
MAX_NAME = 200
MAX_DESCRIPTION = 200
MAX_TEXT = 2048
"""Most characters of a title, a body or an address."""

_PLACEHOLDER = re.compile(r"#([A-Za-z0-9_\u4e00-\u9fff]{1,64})#")
_NAME = re.compile(r"[^,\x00-\x1f\x7f]+")


class TemplateText(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a template makes of a message.

    Attributes:
        title: heading, with placeholders.
        content: body, with placeholders.
        uri: where a tap leads, with placeholders.
        action: what `uri` is: 0 a web address, 1 an Android intent.
        silent: 1 asks the client not to show a notification.
        style: 0 default, 1 big text, 2 image and text.
        icons: icon addresses by channel.
        images: picture addresses by channel.
    """

    title: str
    content: str
    uri: str = ""
    action: int = 0
    silent: int = 0
    style: int = 0
    icons: dict[str, str] = {}
    images: dict[str, str] = {}


class Template(msgspec.Struct, frozen=True):
    """A stored template.

    Attributes:
        template: its id.
        name: unique within the app.
        description: for people.
        variables: the declared placeholder names, as they were given.
        text: what it makes.
        created_at: ms.
        modified_at: ms.
    """

    template: int
    name: str
    description: str
    variables: str
    text: TemplateText
    created_at: int
    modified_at: int


def check_name(name: str) -> str:
    """A template's name, trimmed. Raises `Refusal` 3037 when empty, 3038 when it cannot be one."""
    name = name.strip()
    if not name:
        raise Refusal(ResultCode.TEMPLATE_NAME_NULL)
    if len(name) > MAX_NAME or not _NAME.fullmatch(name) or not is_text(name):
        raise Refusal(ResultCode.TEMPLATE_NAME_INVALID, f"a name has at most {MAX_NAME} characters and no comma")
    return name


def check_text(text: TemplateText, description: str) -> None:
    """Whether a template may be stored. Raises `Refusal` 3039, 3040, 3041, 3042."""
    for result, value, most, needed in (
        (ResultCode.TEMPLATE_TITLE_INVALID, text.title, MAX_TEXT, True),
        (ResultCode.TEMPLATE_CONTENT_INVALID, text.content, MAX_TEXT, True),
        (ResultCode.TEMPLATE_DESC_INFO_INVALID, description, MAX_DESCRIPTION, True),
        (ResultCode.TEMPLATE_URI_INVALID, text.uri, MAX_TEXT, False),
    ):
        if (needed and not value.strip()) or len(value) > most or not is_text(value):
            raise Refusal(
                result, f"it needs 1 to {most} characters" if needed else f"it has over {most} characters"
            )


class Filler:
    """A template that was read once, to be filled many times.

    Attributes:
        names: of the placeholders in title, content and address.
    """

    __slots__ = ("_parts", "_text", "names")

    def __init__(self, text: TemplateText) -> None:
        self._text = text
        # Every second piece of a part is the name of a placeholder.
        self._parts = [_PLACEHOLDER.split(part) for part in (text.title, text.content, text.uri)]
        self.names = frozenset(name for pieces in self._parts for name in pieces[1::2])

    def fill(self, values: Mapping[str, Any]) -> TemplateText:
        """The template with its placeholders replaced; what was put in is not looked at again.

        Raises:
            Refusal: 3023 when a placeholder has no value; the hint names it.
        """
        missing = [name for name in self.names if values.get(name) is None]
        if missing:
            raise Refusal(ResultCode.TEMPLATEKV_NOT_ENOUGH, f"no value for #{min(missing)}#")
        texts = {name: as_text(values[name]) for name in self.names}
        title, content, uri = (_joined(pieces, texts) for pieces in self._parts)
        return msgspec.structs.replace(self._text, title=title, content=content, uri=uri)


def _joined(pieces: list[str], texts: Mapping[str, str]) -> str:
    whole = pieces.copy()
    whole[1::2] = [texts[name] for name in pieces[1::2]]
    return "".join(whole)


def placeholders(text: TemplateText) -> frozenset[str]:
    """Names of the placeholders in title, content and address."""
    return Filler(text).names


def filled(text: TemplateText, values: Mapping[str, Any]) -> TemplateText:
    """A template that is filled once; see `Filler.fill`."""
    return Filler(text).fill(values)


def as_text(value: Any) -> str:
    """A placeholder's value as it appears: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
