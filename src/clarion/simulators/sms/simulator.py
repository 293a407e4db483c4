"""The service: takes messages, remembers them for a while, limits those to one number, and reports."""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import msgspec

from clarion.ids import request_id
from clarion.simulators.base import Receipt, Received, Reply, Surroundings, json_reply
from clarion.simulators.sms import rules
from clarion.simulators.sms.errors import Refused, invalid
from clarion.simulators.sms.gateway import Call, Gateway
from clarion.simulators.sms.rules import Account, Message

MAX_REMEMBERED = 100_000
"""Of so many numbers it remembers the messages."""
REPORTS_A_CALL = 100

_ACTIONS = frozenset({"SendSms", "SendBatchSms", "QuerySendDetails"})
_ZONE = ZoneInfo("Asia/Shanghai")
_DAYS = 30
_SPANS = (("per_minute", 60, "分钟"), ("per_hour", 3_600, "小时"), ("per_day", 86_400, "天"))


class _Sent(NamedTuple):
    at: int
    biz_id: str
    out_id: str
    template_code: str
    text: str
    failure: str


class SmsSimulator:
    """Answers as the SMS service does.

    Attributes:
        label: `sms`.
        gateway: looks at signatures.
        account: its settings.
    """

    label = "sms"

    def __init__(self, surroundings: Surroundings) -> None:
        known = surroundings.known
        self._clock = surroundings.clock
        self._faults = surroundings.faults
        key_id, secret = known.get("accessKeyId"), known.get("accessKeySecret")
        if not (isinstance(key_id, str) and isinstance(secret, str) and key_id and secret):
            key_id, secret = f"LTAI{secrets.token_hex(10)}", secrets.token_urlsafe(24)
        self._own = {"accessKeyId": key_id, "accessKeySecret": secret}
        self.gateway = Gateway({key_id: secret}, _ACTIONS, self._clock, strict=surroundings.strict)
        self.account = Account(strict_keys=surroundings.strict)
        self._sent: OrderedDict[str, deque[_Sent]] = OrderedDict()

    def credentials(self, base_url: str) -> dict[str, Any]:
        """The access key that is known."""
        return {**self._own, "baseUrl": base_url}

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings, the members of `Account`."""
        try:
            self.account = msgspec.convert({**msgspec.to_builtins(self.account), **settings}, Account)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        self.gateway.strict = self.account.strict_keys
        self.gateway.keys |= self.account.access_keys

    def handle(self, request: Received) -> Reply:
        """Answer a request."""
        tokens: list[str] = []
        receipts: list[Receipt] = []
        call = None
        try:
            call = self.gateway.admit(request)
            text = f"{request.query}\n{request.body.decode('utf-8', 'replace')}"
            self._strike("", text)
            if call.action == "QuerySendDetails":
                value = self._query(call)
            else:
                value, receipts = self._send(call, text, tokens)
        except Refused as refused:
            value = {"Code": refused.code, "Message": refused.message, "RequestId": request_id()}
            if refused.status != 200:
                value["HostId"] = request.headers.get("host", "dysmsapi.aliyuncs.com")
                value["Recommend"] = f"https://api.aliyun.com/troubleshoot?q={refused.code}&product=Dysmsapi"
            status, outcome, detail = refused.status, refused.code, refused.message.partition(" server ")[0]
        else:
            status, outcome = 200, "accepted"
            detail = "" if call.verified else "an unknown access key: its signature was not verified"
        if call is None or call.json:
            return json_reply(status, value, tokens=tokens, outcome=outcome, detail=detail, receipts=receipts)
        body = _xml(f"{call.action}Response" if status == 200 else "Error", value).encode()
        headers = {"Content-Type": "text/xml;charset=utf-8"}
        return Reply(status, body, headers, tokens, outcome, detail, receipts=receipts)

    def _send(self, call: Call, request_text: str, tokens: list[str]) -> tuple[dict[str, Any], list[Receipt]]:
        """Take all messages of a call, or none of them."""
        messages = (rules.one_text if call.action == "SendSms" else rules.many_texts)(call.parameters)
        tokens += [message.plain_number for message in messages]
        texts = [rules.check(message, self.account) for message in messages]
        now = self._clock.now_ms()
        struck = self._struck()
        for number in dict.fromkeys(tokens):
            if number in struck:
                self._strike(number, request_text)
            self._check_limits(number, now)
        biz_id = f"{secrets.randbelow(9 * 10**14) + 10**14}{now % 1000:03d}^0"
        out_id = call.parameters.get("OutId", "")
        for message, text in zip(messages, texts, strict=True):
            self._remember(message, _Sent(now, biz_id, out_id, message.template_code, text, self._failure(message)))
        answer = {"Code": "OK", "Message": "OK", "BizId": biz_id, "RequestId": request_id()}
        return answer, self._reports(messages, biz_id, out_id, now)

    def _strike(self, number: str, request_text: str) -> None:
        """A fault of kind `code`: of any call, or of a number in it; the whole call is refused."""
        fault = self._faults.code_fault(self.label, number, app=request_text)
        if fault is not None:
            raise Refused(fault.code)

    def _struck(self) -> frozenset[str]:
        """Numbers that a fault names."""
        faults = self._faults.listed() if self._faults.concerns(self.label) else ()
        return frozenset(fault.token for fault in faults if fault.channel == self.label and fault.token)

    def _check_limits(self, number: str, now: int) -> None:
        times = [sent.at for sent in self._sent.get(number, ())]
        for name, seconds, word in _SPANS:
            most = getattr(self.account, name)
            if most and sum(at > now - seconds * 1000 for at in times) >= most:
                raise Refused("isv.BUSINESS_LIMIT_CONTROL", f"触发{word}级流控Permits:{most}")

    def _remember(self, message: Message, sent: _Sent) -> None:
        number = message.plain_number
        if number not in self._sent and len(self._sent) >= MAX_REMEMBERED:
            self._sent.popitem(last=False)
        self._sent.setdefault(number, deque(maxlen=1_000)).append(sent)

    def _failure(self, message: Message) -> str:
        return self.account.failing.get(message.plain_number, "")

    def _reports(self, messages: Sequence[Message], biz_id: str, out_id: str, now: int) -> list[Receipt]:
        """`SmsReport`: a JSON array, some numbers a call."""
        if not self.account.report_url:
            return []
        reports = [
            {
                "phone_number": message.plain_number,
                "send_time": _local(now),
                "report_time": _local(now),
                "success": not self._failure(message),
                "err_code": self._failure(message) or "DELIVERED",
                "err_msg": "用户接收失败" if self._failure(message) else "用户接收成功",
                "sms_size": "1",
                "biz_id": biz_id,
                "out_id": out_id,
            }
            for message in messages
        ]
        headers = {"Content-Type": "application/json;charset=utf-8"}
        return [
            Receipt(
                self.account.report_url,
                msgspec.json.encode(reports[start : start + REPORTS_A_CALL]),
                headers,
                self.account.report_after,
            )
            for start in range(0, len(reports), REPORTS_A_CALL)
        ]

    def _query(self, call: Call) -> dict[str, Any]:
        """What was sent to a number on a day of the last thirty."""
        parameters = call.parameters
        number, day = (rules.mandatory(parameters, name) for name in ("PhoneNumber", "SendDate"))
        size, page = (_whole(parameters, name) for name in ("PageSize", "CurrentPage"))
        if not 1 <= size <= 50:
            raise invalid("PageSize")
        if page < 1:
            raise invalid("CurrentPage")
        if not self._may_be_asked(day):
            raise Refused("isv.INVALID_PARAMETERS", "参数格式不正确: SendDate")
        number = rules.checked_number(number)
        biz_id = parameters.get("BizId")
        found = [
            sent
            for sent in reversed(self._sent.get(number, ()))
            if _local(sent.at)[:10].replace("-", "") == day and biz_id in (None, "", sent.biz_id)
        ]
        details = [_detail(number, sent) for sent in found[(page - 1) * size : page * size]]
        return {
            "Code": "OK",
            "Message": "OK",
            "RequestId": request_id(),
            "TotalCount": len(found),
            "SmsSendDetailDTOs": {"SmsSendDetailDTO": details},
        }

    def _may_be_asked(self, day: str) -> bool:
        today = datetime.fromtimestamp(self._clock.now_ms() / 1000, _ZONE).date()
        try:
            asked = datetime.strptime(day, "%Y%m%d").replace(tzinfo=_ZONE).date()
        except ValueError:
            return False
        return 0 <= (today - asked).days <= _DAYS


def _detail(number: str, sent: _Sent) -> dict[str, Any]:
    return {
        "PhoneNum": number,
        "SendStatus": 2 if sent.failure else 3,
        "ErrCode": sent.failure or "DELIVERED",
        "TemplateCode": sent.template_code,
        "Content": sent.text,
        "SendDate": _local(sent.at),
        "ReceiveDate": _local(sent.at),
        "OutId": sent.out_id,
    }


def _whole(parameters: Mapping[str, str], name: str) -> int:
    text = rules.mandatory(parameters, name)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise invalid(name)
    return int(text)


def _local(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, _ZONE).strftime("%Y-%m-%d %H:%M:%S")


def _xml(name: str, value: Any) -> str:
    """As the gateway writes XML: members as elements, one for each item of a list."""
    if isinstance(value, list):
        return "".join(_xml(name, item) for item in value)
    inner = "".join(_xml(*member) for member in value.items()) if isinstance(value, dict) else escape(str(value))
    return f"<{name}>{inner}</{name}>"
