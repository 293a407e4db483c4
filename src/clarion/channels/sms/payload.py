"""Messages into calls of the SMS service. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from clarion.channels.base import PayloadError
from clarion.channels.message import Sms
from clarion.channels.text import param_texts

VERSION = "2017-05-25"
MAX_NUMBERS = 1_000
"""Most numbers of a SendSms."""
MAX_BATCH = 100
"""Most numbers of a SendBatchSms."""


@dataclass(frozen=True, slots=True)
class Text:
    """A short message.

    Attributes:
        sign_name: signature.
        template_code: template.
        params: its values by name, as JSON.
        task: of the push, which receipts then name.
    """

    sign_name: str
    template_code: str
    params: msgspec.Raw
    task: int


@dataclass(frozen=True, slots=True)
class Item:
    """A short message for a number; `places` are those of its envelopes."""

    text: Text
    number: str
    places: Sequence[int]


def text_of(sms: Sms | None, task: int) -> Text | PayloadError:
    """The short message of a push, or why there is none. Values become texts, which is what the service takes."""
    if sms is None or not (sms.sign_name and sms.template_code):
        return PayloadError("", "the push has no SmsSignName and SmsTemplateCode")
    try:
        params = msgspec.json.decode(sms.template_params or "{}", type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return PayloadError("isv.INVALID_JSON_PARAM", "SmsTemplateParam is no JSON object; it was not sent")
    return Text(sms.sign_name, sms.template_code, msgspec.Raw(msgspec.json.encode(param_texts(params))), task)


def parameters(items: Sequence[Item], extend_code: str | None) -> dict[str, str]:
    """Action and parameters of the call that sends the items, which have one template: SendSms if they have one
    text, else SendBatchSms."""
    first = items[0].text
    tasks = {item.text.task for item in items}
    shared = {"TemplateCode": first.template_code}
    if len(tasks) == 1:
        shared["OutId"] = str(first.task)
    numbers = [item.number for item in items]
    if all(item.text is first for item in items):
        call = {
            "Action": "SendSms",
            "PhoneNumbers": ",".join(numbers),
            "SignName": first.sign_name,
            "TemplateParam": bytes(first.params).decode(),
        }
        return {**shared, **call, **({"SmsUpExtendCode": extend_code} if extend_code else {})}
    call = {
        "Action": "SendBatchSms",
        "PhoneNumberJson": _json(numbers),
        "SignNameJson": _json([item.text.sign_name for item in items]),
        "TemplateParamJson": _json([item.text.params for item in items]),
    }
    return {**shared, **call, **({"SmsUpExtendCodeJson": _json([extend_code] * len(items))} if extend_code else {})}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
