"""What the service looks at before it takes messages. Pure.

Source: Short Message Service, SendSms, SendBatchSms, "Error codes" and "Rules of variables".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from clarion.simulators.sms.errors import Refused, missing

MAX_NUMBERS = 1_000
MAX_BATCH = 100
MAX_VALUE = 35
"""Characters of a variable's value."""
MAX_OUT_ID = 255

_NUMBER = re.compile(r"(?:(?:\+86|0086|86)?1[3-9][0-9]{9})|(?:(?:\+|00)?[1-9][0-9]{6,14})")
_MAINLAND = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})")
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9_]{1,40})\}")
_EXTENSION = re.compile(r"[0-9]{1,20}")


class Message(NamedTuple):
    """A short message: the number as it was given, signature, template, values."""

    number: str
    sign_name: str
    template_code: str
    params: Mapping[str, str]

    @property
    def plain_number(self) -> str:
        """The number as the service's reports name it."""
        return plain(self.number)


class Account(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What can be set while the simulator runs.

    Attributes:
        strict_keys: whether an access key has to be known; else unknown ones are let pass, unverified.
        access_keys: to know: secrets by id.
        sign_names: the approved signatures; empty: any.
        templates: the approved templates, texts with `${name}` by code; empty: any, with any values.
        per_minute: most messages to a number in a minute; 0: no limit.
        per_hour: in an hour.
        per_day: in a day.
        report_url: where `SmsReport` is posted; empty: nowhere.
        report_after: seconds until then.
        failing: code of the report by number, for numbers that messages do not reach.
    """

    strict_keys: bool = False
    access_keys: dict[str, str] = {}
    sign_names: list[str] = []
    templates: dict[str, str] = {}
    per_minute: int = 0
    per_hour: int = 0
    per_day: int = 40
    report_url: str = ""
    report_after: float = 0.0
    failing: dict[str, str] = {}


def plain(number: str) -> str:
    """A number without `+`, `00` and the code of mainland China."""
    mainland = _MAINLAND.fullmatch(number)
    return mainland[1] if mainland else number.removeprefix("+").removeprefix("00")


def checked_number(text: str) -> str:
    """A number, plain. Raises `Refused`."""
    return plain(_number(text))


def one_text(parameters: Mapping[str, str]) -> list[Message]:
    """The messages of a SendSms. Raises `Refused`."""
    numbers, sign_name = mandatory(parameters, "PhoneNumbers").split(","), mandatory(parameters, "SignName")
    template_code = mandatory(parameters, "TemplateCode")
    if len(numbers) > MAX_NUMBERS:
        raise Refused("isv.MOBILE_COUNT_OVER_LIMIT")
    params = _params(_json(parameters.get("TemplateParam") or "{}"))
    _check_common(parameters, [parameters.get("SmsUpExtendCode")])
    return [Message(_number(number), sign_name, template_code, params) for number in numbers]


def many_texts(parameters: Mapping[str, str]) -> list[Message]:
    """The messages of a SendBatchSms. Raises `Refused`."""
    numbers = _list(mandatory(parameters, "PhoneNumberJson"))
    sign_names = _list(mandatory(parameters, "SignNameJson"))
    template_code = mandatory(parameters, "TemplateCode")
    given = parameters.get("TemplateParamJson")
    params = _list(given) if given else [{}] * len(numbers)
    codes = parameters.get("SmsUpExtendCodeJson")
    extensions = _list(codes) if codes else [None] * len(numbers)
    if len(numbers) > MAX_BATCH:
        raise Refused("isv.MOBILE_COUNT_OVER_LIMIT")
    if not numbers or not len(numbers) == len(sign_names) == len(params) == len(extensions):
        raise Refused("isv.INVALID_PARAMETERS", "参数格式不正确: 数组长度不一致")
    if not all(isinstance(text, str) for text in (*numbers, *sign_names)):
        raise Refused("isv.INVALID_PARAMETERS")
    _check_common(parameters, extensions)
    return [
        Message(_number(number), sign_name, template_code, _params(values))
        for number, sign_name, values in zip(numbers, sign_names, params, strict=True)
    ]


def check(message: Message, account: Account) -> str:
    """The text that the message has, where the template is known. Raises `Refused`."""
    if account.sign_names and message.sign_name not in account.sign_names:
        raise Refused("isv.SMS_SIGNATURE_ILLEGAL")
    if account.templates and message.template_code not in account.templates:
        raise Refused("isv.SMS_TEMPLATE_ILLEGAL")
    for value in message.params.values():
        if len(value) > MAX_VALUE:
            raise Refused("isv.PARAM_LENGTH_LIMIT")
        if "http://" in value or "https://" in value:
            raise Refused("isv.PARAM_NOT_SUPPORT_URL")
    template = account.templates.get(message.template_code, "")
    absent = set(_VARIABLE.findall(template)) - message.params.keys()
    if absent:
        raise Refused("isv.TEMPLATE_MISSING_PARAMETERS", f"模板变量中存在未赋值变量: {', '.join(sorted(absent))}")
    text = _VARIABLE.sub(lambda found: message.params[found[1]], template)
    return f"【{message.sign_name}】{text}"


def _check_common(parameters: Mapping[str, str], extensions: Sequence[Any]) -> None:
    if len(parameters.get("OutId", "")) > MAX_OUT_ID:
        raise Refused("isv.INVALID_PARAMETERS", "参数格式不正确: OutId")
    for code in extensions:
        if code and not (isinstance(code, str) and _EXTENSION.fullmatch(code)):
            raise Refused("isv.EXTEND_CODE_ERROR")


def mandatory(parameters: Mapping[str, str], name: str) -> str:
    """A parameter that must be there. Raises `Refused`."""
    value = parameters.get(name)
    if not value:
        raise missing(name)
    return value


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise Refused("isv.MOBILE_NUMBER_ILLEGAL", f"{text[:20]}invalid mobile number")
    return text


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refused("isv.INVALID_JSON_PARAM") from None


def _list(text: str) -> list[Any]:
    value = _json(text)
    if not isinstance(value, list):
        raise Refused("isv.INVALID_JSON_PARAM")
    return value


def _params(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise Refused("isv.INVALID_JSON_PARAM")
    return value
