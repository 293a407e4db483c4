"""Whether the SMS service has a message that may have been sent before. Pure.

Source: Short Message Service, QuerySendDetails: what was sent to a number on a day, the newest first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from clarion.channels.outcomes import VENDOR_ZONE
from clarion.channels.sms.payload import Text
from clarion.ids import id_time_ms

_PAGE = "50"
"""Most that the service lists at once; no number gets more in a day."""
_FORM = "%Y-%m-%d %H:%M:%S"


def days_of(task: int, now_ms: int) -> list[str]:
    """The days, where the service is, on which a push may have been sent: today, and yesterday if it is older."""
    today = datetime.fromtimestamp(now_ms / 1000, VENDOR_ZONE).date()
    made = datetime.fromtimestamp(id_time_ms(task) / 1000, VENDOR_ZONE).date()
    days = [today] if made >= today else [today, today - timedelta(days=1)]
    return [day.strftime("%Y%m%d") for day in days]


def question(number: str, day: str) -> dict[str, str]:
    """Action and parameters of the call that lists what was sent to a number on a day."""
    return {
        "Action": "QuerySendDetails",
        "PhoneNumber": number,
        "SendDate": day,
        "PageSize": _PAGE,
        "CurrentPage": "1",
    }


def lists(answer: Mapping[str, Any], text: Text) -> bool | None:
    """Whether an answer lists a message; None if it is no list.

    One of a `SendBatchSms` for several pushes bears the name of none: it is taken for this one if it has its
    template and was sent after the push was accepted.
    """
    listed = answer.get("SmsSendDetailDTOs")
    details = listed.get("SmsSendDetailDTO") if isinstance(listed, dict) else None
    if not isinstance(details, list):
        return None
    return any(_is(detail, text) for detail in details if isinstance(detail, dict))


def _is(detail: Mapping[str, Any], text: Text) -> bool:
    if name := detail.get("OutId"):
        return bool(name == str(text.task))
    if detail.get("TemplateCode") != text.template_code:
        return False
    try:
        sent = datetime.strptime(str(detail.get("SendDate")), _FORM).replace(tzinfo=VENDOR_ZONE)
    except ValueError:
        return False
    return int(sent.timestamp()) >= id_time_ms(text.task) // 1000
