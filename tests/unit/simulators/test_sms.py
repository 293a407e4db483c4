"""The simulator of the SMS service: what it refuses, in the service's own words; and senders that others wrote."""

from __future__ import annotations

import asyncio
import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.client import form, signature

from clarion.clock import ManualClock
from clarion.simulators.base import Received, Reply, Surroundings
from clarion.simulators.faults import Fault, FaultBook, FaultKind
from clarion.simulators.hall import Hall
from clarion.simulators.sms import SmsSimulator, create
from clarion.simulators.sms.gateway import WINDOW_SECONDS

NUMBER = "13800138000"
SEND = {
    "Action": "SendSms",
    "PhoneNumbers": NUMBER,
    "SignName": "签名",
    "TemplateCode": "SMS_1",
    "TemplateParam": '{"code":"1234"}',
}
BATCH = {
    "Action": "SendBatchSms",
    "PhoneNumberJson": f'["{NUMBER}","13900139000"]',
    "SignNameJson": '["A","B"]',
    "TemplateCode": "SMS_1",
    "TemplateParamJson": '[{"code":"1"},{"code":"2"}]',
}
QUERY = {"Action": "QuerySendDetails", "PhoneNumber": NUMBER, "PageSize": "10", "CurrentPage": "1"}


class Sender:
    """Signs and sends; `None` leaves a parameter out."""

    def __init__(self, clock: ManualClock, **known: str) -> None:
        self.clock = clock
        self.faults = FaultBook()
        self.simulator: SmsSimulator = create(Surroundings(clock, self.faults, known, strict=True))
        file = self.simulator.credentials("http://x/sms")
        self.key_id, self.secret = file["accessKeyId"], file["accessKeySecret"]
        self._nonces = count()

    def parameters(self, given: dict[str, Any]) -> dict[str, str]:
        now = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
        values = {
            "Version": "2017-05-25",
            "Format": "JSON",
            "AccessKeyId": self.key_id,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": f"nonce-{next(self._nonces)}",
            "Timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **given,
        }
        return {name: value for name, value in values.items() if value is not None}

    def post(self, given: dict[str, Any], **more: Any) -> Reply:
        """By POST, with a form."""
        values = self.parameters({**given, **more})
        values.setdefault("Signature", signature(self.secret, values))
        return self.simulator.handle(received("POST", "", form(values)))

    def get(self, given: dict[str, Any], **more: Any) -> Reply:
        values = self.parameters({**given, **more})
        values["Signature"] = signature(self.secret, values, "GET")
        return self.simulator.handle(received("GET", form(values).decode(), b""))

    def code(self, given: dict[str, Any], **more: Any) -> tuple[int, str]:
        """HTTP status and code."""
        reply = self.post(given, **more)
        answer = json.loads(reply.body)
        if reply.status != 200:
            assert {"RequestId", "HostId", "Message", "Recommend"} <= answer.keys()
        assert reply.outcome == ("accepted" if answer["Code"] == "OK" else answer["Code"])
        return reply.status, answer["Code"]


def received(method: str, query: str, body: bytes, path: str = "/", **headers: str) -> Received:
    kind = {"content-type": "application/x-www-form-urlencoded"} if body else {}
    return Received(method, path, query, {"host": "dysms", **kind, **headers}, body)


@pytest.fixture
def sender(clock: ManualClock) -> Sender:
    return Sender(clock)


def test_a_message(sender: Sender) -> None:
    reply = sender.post(SEND)
    answer = json.loads(reply.body)
    assert reply.status == 200
    assert list(answer) == ["Code", "Message", "BizId", "RequestId"]
    assert (answer["Code"], answer["Message"]) == ("OK", "OK")
    assert answer["BizId"].endswith("^0")
    assert (list(reply.tokens), reply.outcome, reply.detail) == ([NUMBER], "accepted", "")
    assert sender.get(SEND).status == 200


def test_a_batch_has_one_name(sender: Sender) -> None:
    reply = sender.post(BATCH)
    assert list(reply.tokens) == [NUMBER, "13900139000"]
    assert json.loads(reply.body)["Code"] == "OK"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"Action": None}, 400, "MissingAction"),
        ({"Action": "Fly"}, 404, "InvalidAction.NotFound"),
        ({"Version": None}, 400, "MissingVersion"),
        ({"Version": "2020-10-28"}, 400, "InvalidVersion"),
        ({"AccessKeyId": None}, 400, "MissingAccessKeyId"),
        ({"AccessKeyId": "nobody"}, 404, "InvalidAccessKeyId.NotFound"),
        ({"Signature": ""}, 400, "MissingSignature"),
        ({"Signature": "x"}, 400, "IncompleteSignature"),
        ({"Signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, 400, "SignatureDoesNotMatch"),
        ({"SignatureMethod": "MD5"}, 400, "InvalidSignatureMethod"),
        ({"SignatureMethod": None}, 400, "MissingSignatureMethod"),
        ({"SignatureVersion": "2"}, 400, "InvalidSignatureMethod"),
        ({"SignatureNonce": None}, 400, "MissingSignatureNonce"),
        ({"Timestamp": None}, 400, "MissingTimestamp"),
        ({"Timestamp": "today"}, 400, "InvalidTimeStamp.Format"),
        ({"PhoneNumbers": None}, 400, "MissingPhoneNumbers"),
        ({"SignName": ""}, 400, "MissingSignName"),
        ({"TemplateCode": None}, 400, "MissingTemplateCode"),
        ({"PhoneNumbers": "12345"}, 200, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"PhoneNumbers": f"{NUMBER},"}, 200, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"PhoneNumbers": f"{NUMBER};{NUMBER}"}, 200, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"PhoneNumbers": ",".join([NUMBER] * 1001)}, 200, "isv.MOBILE_COUNT_OVER_LIMIT"),
        ({"TemplateParam": "{"}, 200, "isv.INVALID_JSON_PARAM"),
        ({"TemplateParam": "[]"}, 200, "isv.INVALID_JSON_PARAM"),
        ({"TemplateParam": '{"code":1}'}, 200, "isv.INVALID_JSON_PARAM"),
        ({"TemplateParam": json.dumps({"code": "x" * 36})}, 200, "isv.PARAM_LENGTH_LIMIT"),
        ({"TemplateParam": '{"code":"https://e.com"}'}, 200, "isv.PARAM_NOT_SUPPORT_URL"),
        ({"OutId": "x" * 256}, 200, "isv.INVALID_PARAMETERS"),
        ({"SmsUpExtendCode": "x"}, 200, "isv.EXTEND_CODE_ERROR"),
        ({"TemplateParam": None}, 200, "OK"),
        ({"PhoneNumbers": f"+86{NUMBER},85261234567", "OutId": "x" * 255, "SmsUpExtendCode": "12"}, 200, "OK"),
    ],
)
def test_what_is_looked_at(sender: Sender, changes: dict[str, Any], status: int, code: str) -> None:
    assert sender.code(SEND, **changes) == (status, code)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PhoneNumberJson": "[]"}, "isv.INVALID_PARAMETERS"),
        ({"PhoneNumberJson": f'["{NUMBER}"]'}, "isv.INVALID_PARAMETERS"),
        ({"SignNameJson": '["A"]'}, "isv.INVALID_PARAMETERS"),
        ({"SignNameJson": '["A",1]'}, "isv.INVALID_PARAMETERS"),
        ({"TemplateParamJson": "[{}]"}, "isv.INVALID_PARAMETERS"),
        ({"TemplateParamJson": '[{"code":"1"},{"code":2}]'}, "isv.INVALID_JSON_PARAM"),
        ({"SmsUpExtendCodeJson": '["1"]'}, "isv.INVALID_PARAMETERS"),
        ({"SmsUpExtendCodeJson": '["1",2]'}, "isv.EXTEND_CODE_ERROR"),
        ({"PhoneNumberJson": "no"}, "isv.INVALID_JSON_PARAM"),
        ({"PhoneNumberJson": '{"a":1}'}, "isv.INVALID_JSON_PARAM"),
        ({"PhoneNumberJson": json.dumps([NUMBER] * 101)}, "isv.MOBILE_COUNT_OVER_LIMIT"),
        ({"TemplateParamJson": None}, "OK"),
    ],
)
def test_what_is_looked_at_in_a_batch(sender: Sender, changes: dict[str, Any], code: str) -> None:
    assert sender.code(BATCH, **changes) == (200, code)


def test_a_changed_request_is_no_longer_signed(sender: Sender) -> None:
    values = sender.parameters(SEND)
    values["Signature"] = signature(sender.secret, values)
    for name in values:
        changed = {**values, name: f"{values[name]}0"}
        reply = sender.simulator.handle(received("POST", "", form(changed)))
        assert reply.status >= 400, name
    assert sender.simulator.handle(received("GET", form(values).decode(), b"")).outcome == "SignatureDoesNotMatch"
    mismatch = json.loads(sender.post({**SEND, "Signature": "A" * 27 + "="}).body)["Message"]
    string = quote("PhoneNumbers=13800138000", safe="-_.~")
    assert mismatch.partition("server string to sign is:")[2].startswith("POST&%2F&")
    assert string in mismatch


def test_time(sender: Sender) -> None:
    now = sender.clock.now_ms() // 1000
    for late, code in ((900, "OK"), (901, "InvalidTimeStamp.Expired")):
        for moment in (now - late, now + late):
            stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            assert sender.code(SEND, Timestamp=stamp)[1] == code


def test_nonces(sender: Sender) -> None:
    assert sender.code(SEND, SignatureNonce="n") == (200, "OK")
    assert sender.code(SEND, SignatureNonce="n") == (400, "SignatureNonceUsed")
    # A wrong signature uses no nonce up.
    assert sender.code(SEND, SignatureNonce="m", Signature="A" * 27 + "=")[1] == "SignatureDoesNotMatch"
    assert sender.code(SEND, SignatureNonce="m") == (200, "OK")
    sender.clock.advance(2 * WINDOW_SECONDS + 1)
    assert sender.code(SEND, SignatureNonce="n") == (200, "OK")


@pytest.mark.parametrize(
    "request_",
    [
        received("PUT", "", b"a=b"),
        received("POST", "", b"a=b", path="/send"),
        received("POST", "Action=SendSms", b"Action=SendSms"),
        received("POST", "Action=SendSms&Action=SendSms", b""),
        received("POST", "", b"\xff\xfe=%FF"),
        received("POST", "", b'{"Action":"SendSms"}'),
        received("POST", "", b"", authorization="Bearer x"),
        received("POST", "", b"", authorization="ACS3-HMAC-SHA256 Credential=a"),
        received("POST", "", b"", authorization="ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=b"),
    ],
)
def test_what_is_no_call(sender: Sender, request_: Received) -> None:
    reply = sender.simulator.handle(request_)
    assert reply.status in (400, 404)
    assert json.loads(reply.body)["Code"] == reply.outcome


def test_a_key_that_nobody_knows_is_let_pass_unless_strict(clock: ManualClock) -> None:
    sender = Sender(clock)
    sender.simulator.configure({"strictKeys": False})
    sender.key_id, sender.secret = "LTAIother", "other"
    reply = sender.post(SEND)
    assert (reply.outcome, "not verified" in reply.detail) == ("accepted", True)
    assert sender.code(SEND, Signature="no") == (400, "IncompleteSignature")
    sender.simulator.configure({"accessKeys": {"LTAIother": "another"}})
    assert sender.code(SEND) == (400, "SignatureDoesNotMatch")
    sender.secret = "another"
    assert sender.post(SEND).detail == ""


def test_a_known_file_stays_good(clock: ManualClock) -> None:
    sender = Sender(clock, accessKeyId="LTAIkept", accessKeySecret="kept")
    assert (sender.key_id, sender.secret) == ("LTAIkept", "kept")
    assert sender.code(SEND) == (200, "OK")


def test_xml(sender: Sender) -> None:
    reply = sender.post(SEND, Format="XML")
    answer = ET.fromstring(reply.body)
    assert (answer.tag, answer.findtext("Code")) == ("SendSmsResponse", "OK")
    day = sender.post(QUERY, SendDate=today(sender), Format=None)
    found = ET.fromstring(day.body)
    assert [entry.findtext("PhoneNum") for entry in found.iter("SmsSendDetailDTO")] == [NUMBER]
    assert ET.fromstring(sender.post(SEND, Format=None, PhoneNumbers=None).body).tag == "Error"


def today(sender: Sender) -> str:
    moment = datetime.fromtimestamp(sender.clock.now_ms() / 1000 + 8 * 3600, UTC)
    return moment.strftime("%Y%m%d")


def test_registered_signatures_and_templates(sender: Sender) -> None:
    sender.simulator.configure({"signNames": ["签名"], "templates": {"SMS_1": "Your code is ${code}."}})
    assert sender.code(SEND) == (200, "OK")
    assert sender.code(SEND, SignName="other")[1] == "isv.SMS_SIGNATURE_ILLEGAL"
    assert sender.code(SEND, TemplateCode="SMS_2")[1] == "isv.SMS_TEMPLATE_ILLEGAL"
    assert sender.code(SEND, TemplateParam='{"other":"1"}')[1] == "isv.TEMPLATE_MISSING_PARAMETERS"
    answer = json.loads(sender.post(QUERY, SendDate=today(sender)).body)
    (entry,) = answer["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
    assert entry["Content"] == "【签名】Your code is 1234."


@pytest.mark.parametrize(
    ("setting", "seconds", "word"), [("perMinute", 60, "分钟"), ("perHour", 3600, "小时"), ("perDay", 86_400, "天")]
)
def test_limits_of_a_number(sender: Sender, setting: str, seconds: int, word: str) -> None:
    sender.simulator.configure({setting: 2})
    assert [sender.code(SEND)[1] for _ in range(3)] == ["OK", "OK", "isv.BUSINESS_LIMIT_CONTROL"]
    assert f"触发{word}级流控Permits:2" in json.loads(sender.post(SEND).body)["Message"]
    # The whole call is refused, and the others are not counted.
    assert sender.code(SEND, PhoneNumbers=f"13900139000,{NUMBER}")[1] == "isv.BUSINESS_LIMIT_CONTROL"
    assert sender.code(SEND, PhoneNumbers="13900139000") == (200, "OK")
    sender.clock.advance(seconds)
    assert sender.code(SEND) == (200, "OK")


def test_forty_a_day_by_itself(sender: Sender) -> None:
    codes = [sender.code(SEND)[1] for _ in range(41)]
    assert codes == ["OK"] * 40 + ["isv.BUSINESS_LIMIT_CONTROL"]


def test_queries(sender: Sender) -> None:
    names = [json.loads(sender.post(SEND, OutId=str(number)).body)["BizId"] for number in range(3)]
    day = today(sender)
    answer = json.loads(sender.post(QUERY, SendDate=day, PageSize="2", PhoneNumber=f"86{NUMBER}").body)
    assert (answer["Code"], answer["TotalCount"]) == ("OK", 3)
    assert [entry["OutId"] for entry in answer["SmsSendDetailDTOs"]["SmsSendDetailDTO"]] == ["2", "1"]
    one = json.loads(sender.post(QUERY, SendDate=day, BizId=names[0]).body)["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
    assert [(entry["OutId"], entry["SendStatus"], entry["ErrCode"]) for entry in one] == [("0", 3, "DELIVERED")]
    assert json.loads(sender.post(QUERY, SendDate=day, PhoneNumber="13900139000").body)["TotalCount"] == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PageSize": "51"}, "InvalidPageSize"),
        ({"PageSize": "0"}, "InvalidPageSize"),
        ({"PageSize": "ten"}, "InvalidPageSize"),
        ({"CurrentPage": "0"}, "InvalidCurrentPage"),
        ({"CurrentPage": None}, "MissingCurrentPage"),
        ({"SendDate": None}, "MissingSendDate"),
        ({"SendDate": "2020-01-01"}, "isv.INVALID_PARAMETERS"),
        ({"SendDate": "20200101"}, "isv.INVALID_PARAMETERS"),
        ({"PhoneNumber": "x"}, "isv.MOBILE_NUMBER_ILLEGAL"),
    ],
)
def test_wrong_queries(sender: Sender, changes: dict[str, Any], code: str) -> None:
    assert sender.code({**QUERY, "SendDate": today(sender)}, **changes)[1] == code


def test_reports(sender: Sender) -> None:
    sender.simulator.configure({"reportUrl": "http://x/r", "reportAfter": 2, "failing": {"13900139000": "MK:0001"}})
    numbers = [NUMBER, "13900139000", *(f"137{number:08}" for number in range(148))]
    reply = sender.post(SEND, PhoneNumbers=",".join(numbers), OutId="77")
    parts = [json.loads(receipt.body) for receipt in reply.receipts]
    assert [len(part) for part in parts] == [100, 50]
    assert {receipt.after for receipt in reply.receipts} == {2}
    good, bad = parts[0][:2]
    assert good["biz_id"] == bad["biz_id"] == json.loads(reply.body)["BizId"]
    assert (good["phone_number"], good["success"], good["err_code"], good["out_id"]) == (
        NUMBER,
        True,
        "DELIVERED",
        "77",
    )
    assert (bad["success"], bad["err_code"]) == (False, "MK:0001")
    assert not sender.post(SEND, PhoneNumbers="bad").receipts


def test_faults(sender: Sender) -> None:
    sender.faults.set([Fault(channel="sms", kind=FaultKind.CODE, code="isv.MOBILE_NUMBER_ILLEGAL", token=NUMBER)])
    assert sender.code(SEND, PhoneNumbers="13900139000") == (200, "OK")
    assert sender.code(SEND, PhoneNumbers=f"13900139000,+86{NUMBER}") == (200, "isv.MOBILE_NUMBER_ILLEGAL")
    sender.faults.clear()
    sender.faults.set([Fault(channel="sms", kind=FaultKind.CODE, code="Throttling.User", skip=1, count=1)])
    assert [sender.code(SEND) for _ in range(3)] == [(200, "OK"), (400, "Throttling.User"), (200, "OK")]
    sender.faults.clear()
    sender.faults.set([Fault(channel="sms", kind=FaultKind.CODE, code="ServiceUnavailable", app=sender.key_id)])
    assert sender.code(QUERY, SendDate=today(sender)) == (503, "ServiceUnavailable")


@pytest.mark.parametrize("settings", [{"perDay": "many"}, {"no": 1}, {"templates": ["x"]}])
def test_wrong_settings_change_nothing(sender: Sender, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        sender.simulator.configure({"signNames": ["nobody"], **settings})
    assert sender.code(SEND) == (200, "OK")


# ------------------------------------------------------------------- senders that others wrote

USED_AS_PUBLISHED = (
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
)


def used_as_published(test: Any) -> Any:
    for mark in USED_AS_PUBLISHED:
        test = mark(test)
    return test


def dysmsapi() -> tuple[Any, Any]:
    """The client class and the models of the SMS service's own SDK."""
    pytest.importorskip(
        "alibabacloud_dysmsapi20170525", reason="the package alibabacloud_dysmsapi20170525 is not installed"
    )
    client = import_module("alibabacloud_dysmsapi20170525.client").Client
    return client, import_module("alibabacloud_dysmsapi20170525.models")


@used_as_published
async def test_the_services_own_sdk() -> None:
    client_class, models = dysmsapi()
    config = import_module("alibabacloud_tea_openapi.models").Config
    async with Hall(labels=["sms"], strict=True) as hall:
        file = hall.credentials("sms")
        endpoint = file["baseUrl"].removeprefix("http://")

        def opened(secret: str) -> Any:
            return client_class(
                config(
                    access_key_id=file["accessKeyId"],
                    access_key_secret=secret,
                    endpoint=endpoint,
                    protocol="http",
                )
            )

        client = opened(file["accessKeySecret"])
        sms = models.SendSmsRequest(
            phone_numbers=f"{NUMBER},+8613900139000",
            sign_name="签名 &=+",
            template_code="SMS_1",
            template_param='{"code":"1 2~*"}',
            out_id="o",
        )
        sent = (await asyncio.to_thread(client.send_sms, sms)).body
        assert (sent.code, sent.message) == ("OK", "OK")
        batch = models.SendBatchSmsRequest(
            phone_number_json=BATCH["PhoneNumberJson"],
            sign_name_json=BATCH["SignNameJson"],
            template_code="SMS_1",
            template_param_json=BATCH["TemplateParamJson"],
        )
        assert (await asyncio.to_thread(client.send_batch_sms, batch)).body.code == "OK"
        day = datetime.now(UTC).timestamp() + 8 * 3600
        query = models.QuerySendDetailsRequest(
            phone_number=NUMBER,
            biz_id=sent.biz_id,
            send_date=datetime.fromtimestamp(day, UTC).strftime("%Y%m%d"),
            page_size=10,
            current_page=1,
        )
        found = (await asyncio.to_thread(client.query_send_details, query)).body
        (detail,) = found.sms_send_detail_dtos.sms_send_detail_dto
        assert (detail.phone_num, detail.send_status, detail.out_id) == (NUMBER, 3, "o")
        with pytest.raises(Exception, match="SignatureDoesNotMatch"):
            await asyncio.to_thread(opened("wrong").send_sms, sms)
        assert [entry.detail for entry in hall.journal.entries("sms")][:3] == ["", "", ""]


@used_as_published
async def test_the_older_sdk() -> None:
    core = import_module("aliyunsdkcore.client")
    request_class = import_module("aliyunsdkcore.request").CommonRequest
    errors = import_module("aliyunsdkcore.acs_exception.exceptions")
    async with Hall(labels=["sms"], strict=True) as hall:
        file = hall.credentials("sms")
        host = file["baseUrl"].removeprefix("http://")

        def ask(secret: str, method: str, action: str, **values: str) -> Any:
            request = request_class(domain=host, version="2017-05-25", action_name=action, product="Dysmsapi")
            request.set_protocol_type("http")
            request.set_method(method)
            request.set_accept_format("json")
            for name, value in values.items():
                (request.add_body_params if method == "POST" else request.add_query_param)(name, value)
            client = core.AcsClient(file["accessKeyId"], secret, "cn-hangzhou")
            return json.loads(client.do_action_with_exception(request))

        values = {name: value for name, value in SEND.items() if name != "Action"}
        for method in ("GET", "POST"):
            good = partial(ask, file["accessKeySecret"], method, "SendSms", **values)
            answer = await asyncio.to_thread(good)
            assert answer["Code"] == "OK"
            with pytest.raises(errors.ServerException) as caught:
                await asyncio.to_thread(partial(ask, "wrong", method, "SendSms", **values))
            assert caught.value.get_http_status() == 400
        assert [entry.outcome for entry in hall.journal.entries("sms")].count("accepted") == 2
