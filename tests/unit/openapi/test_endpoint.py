from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote_from_bytes, urlencode
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.unit.openapi.harness import (
    ACTIONS,
    NOW_MS,
    Answer,
    Gateway,
    action,
    common,
    echo,
    refuse,
    signed,
)

from clarion.clock import ManualClock
from clarion.openapi.authentication import parse_timestamp
from clarion.openapi.envelopes import Envelope
from clarion.openapi.errors import GatewayError, GatewayFault
from clarion.openapi.registry import Registry
from clarion.tenants.model import Role


def form(parameters: dict[str, str]) -> bytes:
    return urlencode(parameters).encode()


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


async def test_a_push_is_answered(gateway: Gateway) -> None:
    answer = await gateway.call(signed(common(Title="中 文")))
    assert answer.status == 200
    assert answer.headers == {
        "content-type": "application/json;charset=utf-8",
        "content-length": str(len(answer.body)),
    }
    assert next(iter(answer.json)) == "RequestId"
    assert answer.json["ResultCode"] == "OK"
    assert msgspec.json.decode(answer.json["PushResult"]["Data"]) == {"AppId": "A", "Silent": 0, "Title": "中 文"}
    assert gateway.observed == [("Echo", "OK")]


async def test_the_handler_gets_the_call() -> None:
    calls = []

    async def keep(call: Any) -> None:
        calls.append(call)

    gateway = Gateway((action("Keep", keep),))
    parameters = signed(common(Action="Keep", Version="2019-08-21"))
    assert (await gateway.call(parameters)).status == 200
    (call,) = calls
    assert (call.action, call.version, call.request_id) == ("Keep", "2019-08-21", "REQUEST-ID")
    assert (call.key.key_id, call.params, call.received_ms) == ("admin", {}, NOW_MS)
    assert gateway.journal.notes == [(call.nonce_hash, NOW_MS)]


@pytest.mark.parametrize("version", ["2019-08-21", "2020-07-10", "2020-10-28"])
async def test_every_version_serves_every_action(gateway: Gateway, version: str) -> None:
    assert (await gateway.call(signed(common(Version=version)))).code == "OK"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("algorithm", ["HMAC-SHA1", "HMAC-SHA256"])
async def test_methods_and_digests(gateway: Gateway, method: str, algorithm: str) -> None:
    answer = await gateway.call(signed(common(SignatureMethod=algorithm, Title="a +~*/中"), method), method)
    assert answer.code == "OK"


async def test_blanks_that_the_client_did_not_sign(gateway: Gateway) -> None:
    parameters = common(Title="", SignatureType="")
    assert (await gateway.call(signed(parameters, skip_blanks=True))).code == "OK"


async def test_get_with_a_body_and_the_empty_path(gateway: Gateway) -> None:
    parameters = signed(common(), "GET")
    silent = parameters.pop("Silent")
    answer = await gateway.send("GET", form(parameters), f"Silent={silent}".encode(), path="")
    assert answer.code == "OK"


# The order of checks


CHECKS: list[tuple[str, dict[str, str | None]]] = [
    # the answer, and what mends the fault; None takes a parameter away
    ("MissingAction", {"Action": "Nope"}),
    ("InvalidAction.NotFound", {"Action": "Echo"}),
    ("MissingVersion", {"Version": "2001-01-01"}),
    ("InvalidVersion", {"Version": "2020-10-28"}),
    ("InvalidBearerToken", {"SignatureType": ""}),
    ("MissingAccessKeyId", {"AccessKeyId": "nobody"}),
    ("MissingTimestamp", {"Timestamp": "yesterday"}),
    ("MissingSignatureNonce", {"SignatureNonce": "used"}),
    ("InvalidSignatureMethod", {"SignatureMethod": "HMAC-SHA1"}),
    ("IncompleteSignature", {"Signature": "wrong"}),
    ("InvalidAccessKeyId.NotFound", {"AccessKeyId": "disabled"}),
    ("InvalidAccessKeyId.Inactive", {"AccessKeyId": "reader"}),
    ("InvalidSecurityToken.MismatchWithAccessKey", {"SecurityToken": None}),
    ("InvalidTimeStamp.Format", {"Timestamp": "2026-11-23T03:31:33Z"}),
    ("InvalidTimeStamp.Expired", {"Timestamp": "2026-11-23T03:01:33Z"}),
    ("SignatureDoesNotMatch", {"Signature": None}),
    ("SignatureNonceUsed", {"SignatureNonce": None}),
    ("Forbidden.RAM", {"AccessKeyId": "scoped"}),
    ("Forbidden.RAM", {"appId": None}),
    ("MissingAppId", {"AppId": "A"}),
    ("InvalidSilent", {"Silent": "1"}),
    ("OK", {}),
]
ALL_FAULTS = {
    "Format": "JSON",
    "Action": "",
    "Version": "",
    "SignatureType": "BEARERTOKEN",
    "AccessKeyId": "",
    "Timestamp": "",
    "SignatureNonce": "",
    "SignatureMethod": "MD5",
    "Signature": "",
    "SecurityToken": "token",
    "appId": "B",
    "Silent": "x",
}


async def test_order_of_checks(gateway: Gateway) -> None:
    """A request with every fault: each answer tells of the next one, which is then mended."""
    used = await gateway.call(signed(common(AccessKeyId="reader", SignatureNonce="used")))
    assert used.code == "Forbidden.RAM"
    parameters = dict(ALL_FAULTS)
    for number, (code, mend) in enumerate(CHECKS):
        sent = {"SignatureNonce": f"fresh {number}"} | parameters
        answer = await gateway.call(sent if "Signature" in sent else signed(sent))
        assert answer.code == code, number
        for name, value in mend.items():
            if value is None:
                del parameters[name]
            else:
                parameters[name] = value


async def test_method_and_path_come_first(gateway: Gateway) -> None:
    assert (await gateway.send("PUT", b"Format=JSON", path="/other")).code == "InvalidAction.NotFound"
    answer = await gateway.send("PUT", b"Format=JSON")
    assert (answer.status, answer.code) == (405, "UnsupportedHTTPMethod")
    assert answer.headers["allow"] == "GET, POST"


async def test_a_nonce_is_used_up_by_a_good_signature_only(gateway: Gateway) -> None:
    parameters = signed(common())
    bad = parameters | {"Signature": "wrong"}
    assert (await gateway.call(bad)).code == "SignatureDoesNotMatch"
    assert gateway.journal.notes == []
    assert (await gateway.call(parameters)).code == "OK"
    assert (await gateway.call(bad)).code == "SignatureDoesNotMatch"
    assert (await gateway.call(parameters)).code == "SignatureNonceUsed"
    assert len(gateway.journal.notes) == 1


@pytest.mark.parametrize(
    ("minutes", "code"),
    [(-15, "OK"), (15, "OK"), (-15.02, "InvalidTimeStamp.Expired"), (15.02, "InvalidTimeStamp.Expired")],
)
async def test_window_of_timestamps(minutes: float, code: str) -> None:
    gateway = Gateway(now_ms=NOW_MS + int(minutes * 60_000))
    assert (await gateway.call(signed(common()))).code == code


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23 03:01:33Z",
        "2026-11-23T03:01:33",
        "2026-11-23T03:01:33+00:00",
        "2026-13-23T03:01:33Z",
        "2026-W48-1T03:01:33Z",
        "1795402893",
        pytest.param("2" * 1_000_000, id="long"),
        "٢026-11-23T03:01:33Z",
        "0000-00-00T00:00:00Z",
    ],
)
def test_malformed_timestamps(text: str) -> None:
    assert parse_timestamp(text) is None


def test_timestamps_are_utc() -> None:
    assert parse_timestamp("2026-11-23T03:01:33Z") == NOW_MS
    assert parse_timestamp("1970-01-01T00:00:00Z") == 0


async def test_odd_key_ids_are_unknown_without_a_look_into_the_store(gateway: Gateway) -> None:
    for key_id in ("k" * 129, "ключ"):
        assert (await gateway.call(common(AccessKeyId=key_id, Signature="s"))).code == "InvalidAccessKeyId.NotFound"
    assert (await gateway.send(body=b"Format=JSON&Action=Echo&Version=2020-10-28&AccessKeyId=%FF")).status == 400
    assert gateway.keys.asked == []


# Gateway errors


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"Action": "Nope"}, GatewayFault.ACTION_NOT_FOUND),
        ({"Version": "2001-01-01"}, GatewayFault.VERSION_INVALID),
        ({"AccessKeyId": "nobody"}, GatewayFault.KEY_NOT_FOUND),
        ({"AccessKeyId": "disabled"}, GatewayFault.KEY_INACTIVE),
        ({"SecurityToken": "t"}, GatewayFault.STS_UNSUPPORTED),
        ({"Timestamp": "now"}, GatewayFault.TIMESTAMP_FORMAT),
        ({"Timestamp": "2025-11-23T03:01:33Z"}, GatewayFault.TIMESTAMP_EXPIRED),
        ({"AccessKeyId": "reader"}, GatewayFault.FORBIDDEN),
        ({"AccessKeyId": "scoped", "AppId": "B"}, GatewayFault.FORBIDDEN),
    ],
)
async def test_gateway_errors(gateway: Gateway, changes: dict[str, str], fault: GatewayFault) -> None:
    answer = await gateway.send(
        body=form(signed(common(**changes))),
        headers=[(b"host", b"push.example:8080")],
    )
    assert answer.status == fault.status
    assert answer.json == {
        "RequestId": "REQUEST-ID",
        "HostId": "push.example:8080",
        "Code": fault.code,
        "Message": fault.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={fault.code}&product=mPaaS&requestId=REQUEST-ID",
    }


def test_texts_that_sdks_look_for() -> None:
    table = {fault.code: (fault.status, fault.message) for fault in GatewayFault}
    assert table["InvalidAccessKeyId.NotFound"] == (404, "Specified access key is not found.")
    assert table["InvalidTimeStamp.Expired"] == (400, "Specified time stamp or date value is expired.")
    assert table["InvalidTimeStamp.Format"] == (400, "Specified time stamp or date value is not well formatted.")
    assert table["SignatureNonceUsed"] == (400, "Specified signature nonce was used already.")
    assert table["InvalidAction.NotFound"] == (
        404,
        "Specified api is not found, please check your url and method.",
    )
    assert table["Missing{name}"] == (400, "{name} is mandatory for this action.")
    assert table["Throttling.User"] == (400, "Request was denied due to user flow control.")
    assert table["InternalError"] == (500, "The request processing has failed due to some unknown error.")
    assert table["ServiceUnavailable"][0] == 503
    assert all(fault.status >= 400 for fault in GatewayFault)


async def test_identity_tokens_are_refused(gateway: Gateway) -> None:
    for header, code in [
        (b"x-acs-zero-trust-idtoken", "InvalidIdToken"),
        (b"x-acs-bearer-token", "InvalidBearerToken"),
    ]:
        headers = [(header, b"t"), (b"x-acs-action", b"Echo"), (b"x-acs-version", b"2020-10-28")]
        assert (await gateway.send(body=b"Format=JSON", headers=headers)).code == code


async def test_an_absent_authorization_is_incomplete(gateway: Gateway) -> None:
    headers = [(b"x-acs-action", b"Echo"), (b"x-acs-version", b"2020-10-28"), (b"x-acs-signature-nonce", b"n")]
    assert (await gateway.send(body=b"Format=JSON", headers=headers)).code == "IncompleteSignature"


async def test_an_action_in_an_unsigned_header_does_not_count(gateway: Gateway) -> None:
    parameters = common()
    del parameters["Action"]
    body = form(signed(parameters))
    assert (await gateway.send(body=body, headers=[(b"x-acs-action", b"Echo")])).code == "MissingAction"


async def test_string_to_sign_of_a_huge_request_is_cut(gateway: Gateway) -> None:
    answer = await gateway.call(common(Title="中" * 100_000, Signature="wrong"))
    assert answer.code == "SignatureDoesNotMatch"
    assert len(answer.body) < 70_000


# Business results


async def test_refusals_have_status_200(gateway: Gateway) -> None:
    answer = await gateway.call(signed(common(Action="Refuse")))
    message = "param is invalid: Silent must be 0 or 1"
    assert answer.status == 200
    assert answer.json == {
        "RequestId": "REQUEST-ID",
        "ResultCode": "3028",
        "ResultMessage": message,
        "PushResult": {"Success": False, "ResultMsg": message},
    }
    assert gateway.observed == [("Refuse", "3028")]


async def test_what_is_not_utf8_is_told_in_the_envelope(gateway: Gateway) -> None:
    """The signature is checked over the bytes, so only the sender learns it."""
    parameters = signed(common())
    body = form(parameters)
    assert (await gateway.send(body=body + b"&Title=%D6%D0")).code == "SignatureDoesNotMatch"
    without = common(Title="\udcd6\udcd0")
    query = "&".join(f"{name}={_quoted(without[name])}" for name in sorted(without))
    wire = query + "&Signature=" + _quoted(_signature(query))
    answer = await gateway.send(body=wire.encode())
    assert (answer.status, answer.code) == (200, "3031")


def _quoted(text: str) -> str:
    return quote_from_bytes(text.encode(errors="surrogateescape"), safe="-_.~")


def _signature(query: str) -> str:
    string = "POST&%2F&" + _quoted(query)
    return base64.b64encode(hmac.digest(b"admin-secret&", string.encode(), "sha1")).decode()


async def test_a_rate_limit_tells_when_to_come_back() -> None:
    async def throttled(call: Any) -> None:
        raise GatewayError(GatewayFault.THROTTLED, retry_after_ms=1500)

    answer = await Gateway((action("Busy", throttled),)).call(signed(common(Action="Busy")))
    assert (answer.status, answer.code) == (400, "Throttling.User")
    assert answer.headers["x-acs-retry-after"] == "1500"


async def test_a_client_that_is_gone_when_the_answer_comes(gateway: Gateway) -> None:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: MutableMapping[str, Any]) -> None:
        raise OSError("gone")

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    await gateway.endpoint(scope, receive, send)
    assert gateway.observed == [("", "MissingAction")]


async def test_a_bug_is_an_internal_error_without_details(gateway: Gateway) -> None:
    with capture_logs() as logs:
        answer = await gateway.call(signed(common(Action="Crash")))
    assert (answer.status, answer.code) == (500, "InternalError")
    assert b"secret" not in answer.body
    assert [entry["event"] for entry in logs] == ["request failed", "request"]
    assert logs[0]["request_id"] == "REQUEST-ID"


async def test_an_answer_that_cannot_be_rendered_is_an_internal_error() -> None:
    async def broken(call: Any) -> dict[str, Any]:
        return {"Data": "\ud800"}

    gateway = Gateway((action("Broken", broken),))
    with capture_logs():
        answer = await gateway.call(signed(common(Action="Broken")))
    assert (answer.status, answer.code) == (500, "InternalError")


async def test_no_store_for_keys_is_unavailable(gateway: Gateway) -> None:
    gateway.keys.available = False
    answer = await gateway.call(signed(common()))
    assert (answer.status, answer.code) == (503, "ServiceUnavailable")


async def test_no_store_for_the_action_is_a_system_error(gateway: Gateway) -> None:
    answer = await gateway.call(signed(common(Action="WithoutStore")))
    assert (answer.status, answer.code) == (200, "9000")


# Formats


async def test_answers_in_xml(gateway: Gateway) -> None:
    answer = await gateway.call(signed(common(Format="xml", Title="<&>")))
    assert answer.headers["content-type"] == "text/xml;charset=utf-8"
    root = ET.fromstring(answer.body)
    assert (root.tag, root.findtext("ResultCode")) == ("EchoResponse", "OK")
    assert "<&>" in (root.findtext("PushResult/Data") or "")


async def test_errors_in_xml(gateway: Gateway) -> None:
    answer = await gateway.call(common(Format="XML", AccessKeyId="nobody", Signature="s"))
    root = ET.fromstring(answer.body)
    assert root.tag == "Error"
    assert [member.tag for member in root] == ["RequestId", "HostId", "Code", "Message", "Recommend"]
    assert root.findtext("Code") == "InvalidAccessKeyId.NotFound"
    assert answer.headers["content-length"] == str(len(answer.body))


@pytest.mark.parametrize(
    ("query", "headers", "content_type"),
    [
        (b"", [], "text/xml;charset=utf-8"),
        (b"Format=json", [], "application/json;charset=utf-8"),
        (b"", [(b"accept", b"application/json")], "application/json;charset=utf-8"),
        (b"", [(b"authorization", b"ACS3-HMAC-SHA256 x")], "application/json;charset=utf-8"),
        (b"Format=XML", [(b"authorization", b"ACS3-HMAC-SHA256 x")], "text/xml;charset=utf-8"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_format_of_early_errors(
    gateway: Gateway, query: bytes, headers: list[tuple[bytes, bytes]], content_type: str, method: str
) -> None:
    answer = await gateway.send(method, query, headers=headers)
    assert answer.status in {400, 405}
    assert answer.headers["content-type"] == content_type


# Bodies


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (b"application/x-www-form-urlencoded", 200),
        (b"Application/X-WWW-Form-Urlencoded; charset=UTF-8", 200),
        (b"application/json", 415),
        (b"multipart/form-data; boundary=x", 415),
    ],
)
async def test_content_types(gateway: Gateway, content_type: bytes, status: int) -> None:
    body = form(signed(common()))
    answer = await gateway.send(body=body, headers=[(b"content-type", content_type)])
    assert answer.status == status


async def test_bodies_in_many_chunks(gateway: Gateway) -> None:
    body = form(signed(common()))
    assert (await gateway.send(body=body, chunk=1)).code == "OK"


@pytest.mark.parametrize("declared", [[], [(b"content-length", b"10")], [(b"content-length", b"9" * 5000)]])
async def test_too_large_bodies(gateway: Gateway, declared: list[tuple[bytes, bytes]]) -> None:
    answer = await gateway.send(query=b"Format=JSON", body=b"a" * 1_048_577, headers=declared, chunk=65536)
    assert (answer.status, answer.code) == (413, "RequestTooLarge")
    assert answer.headers["connection"] == "close"


async def test_a_declared_length_is_refused_before_reading(gateway: Gateway) -> None:
    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("nothing should be read")

    answer = await gateway.exchange("POST", b"Format=JSON", [(b"content-length", b"1048577")], "/", receive)
    assert answer is not None
    assert answer.status == 413


async def test_too_large_queries(gateway: Gateway) -> None:
    assert (await gateway.send("GET", b"Format=JSON&a=" + b"b" * 1_048_576)).status == 413


async def test_the_largest_body_is_read(gateway: Gateway) -> None:
    body = b"Format=JSON&a=".ljust(1_048_576, b"b")
    assert (await gateway.send(body=body)).code == "MissingAction"


async def test_a_body_that_does_not_come() -> None:
    gateway = Gateway(body_seconds=0)

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    answer = await gateway.exchange("POST", b"Format=JSON", [], "/", receive)
    assert answer is not None
    assert (answer.status, answer.code) == (408, "RequestTimeout")


async def test_a_client_that_goes_away_gets_nothing(gateway: Gateway) -> None:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    assert await gateway.exchange("POST", b"", [], "/", receive) is None
    assert gateway.observed == []


async def test_nul_is_refused(gateway: Gateway) -> None:
    answer = await gateway.send(query=b"Format=JSON", body=b"Title=a%00b")
    assert (answer.status, answer.code) == (400, "InvalidParameter")
    assert "Title" in answer.json["Message"]


# Logs


async def test_one_log_line_a_request_without_contents(gateway: Gateway) -> None:
    with capture_logs() as logs:
        await gateway.call(signed(common(Title="private text")))
        await gateway.call(common(Title="private text", Signature="wrong"))
    assert [(entry["event"], entry["code"]) for entry in logs] == [
        ("request", "OK"),
        ("request", "SignatureDoesNotMatch"),
    ]
    assert logs[0] == {
        "event": "request",
        "log_level": "info",
        "request_id": "REQUEST-ID",
        "action": "Echo",
        "key_id": "admin",
        "app_id": "A",
        "code": "OK",
        "ms": 0.0,
        "client": "192.0.2.7",
    }
    assert "private text" not in str(logs)
    assert "secret" not in str(logs)


async def test_long_names_are_cut_in_the_log(gateway: Gateway) -> None:
    with capture_logs() as logs:
        await gateway.call(common(AccessKeyId="k" * 5000, Signature="s"))
    assert logs[0]["key_id"] == "k" * 64


async def test_names_from_outside_are_escaped_in_the_log(gateway: Gateway) -> None:
    with capture_logs() as logs:
        await gateway.send(body=form(common(Signature="s", AccessKeyId="")) + b"&accessKeyId=x")
        await gateway.send(
            body=b"Action=Echo&Version=2020-10-28&Timestamp=t&SignatureNonce=n&Signature=s&AccessKeyId=%1B[31m%FF"
        )
    assert [entry["key_id"] for entry in logs] == ["", "\\x1b[31m\\udcff"]


# The registry


def test_an_action_is_registered_once() -> None:
    with pytest.raises(ValueError, match="Echo"):
        Registry([*ACTIONS, action("Echo", echo)])


def test_the_registry_lists_its_actions() -> None:
    assert [each.name for each in Registry(ACTIONS)] == ["Echo", "Refuse", "Crash", "WithoutStore"]


@pytest.mark.parametrize("envelope", Envelope)
async def test_every_envelope_is_served(envelope: Envelope) -> None:
    gateway = Gateway((action("A", echo, envelope, Role.READ), action("R", refuse, envelope, Role.READ)))
    good: Answer = await gateway.call(signed(common(Action="A")))
    assert good.code == envelope.success_code
    assert (await gateway.call(signed(common(Action="R")))).code == "3028"
    assert gateway.observed == [("A", envelope.success_code), ("R", "3028")]


async def test_time_is_measured_with_the_steady_clock() -> None:
    clocks: list[ManualClock] = []

    async def slow(call: Any) -> None:
        clocks[0].advance(2.5)

    gateway = Gateway((action("Slow", slow),))
    clocks.append(gateway.clock)
    seconds: list[float] = []
    gateway.endpoint._observe = lambda name, code, duration: seconds.append(duration)
    await gateway.call(signed(common(Action="Slow")))
    assert seconds == [2.5]


ODD = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"%00", b"%FF=%FE", b"Format=XML", b"Action=Echo", b"Version=2020-10-28", b"AccessKeyId=admin"]
    ),
    st.sampled_from(
        [b"Signature=%E9", b"SignatureNonce=%D6", b"Timestamp=2026-11-23T03:01:33Z", b"Silent=1&AppId=A"]
    ),
)
AUTHORIZATIONS = st.one_of(
    st.binary(max_size=60),
    st.just(b"ACS3-HMAC-SHA256 Credential=admin,SignedHeaders=x-acs-action,Signature=\xff"),
    st.binary(max_size=40).map(lambda rest: b"ACS3-HMAC-SHA256 " + rest),
)


@given(
    st.lists(ODD, max_size=8).map(b"&".join),
    st.lists(ODD, max_size=8).map(b"&".join),
    st.dictionaries(
        st.sampled_from(
            [b"x-acs-action", b"x-acs-version", b"x-acs-date", b"x-acs-signature-nonce", b"accept", b"host"]
        ),
        st.one_of(st.binary(max_size=20), st.just(b"Echo"), st.just(b"2020-10-28")),
    ),
    st.none() | AUTHORIZATIONS,
)
def test_no_input_is_an_internal_error(
    query: bytes, body: bytes, headers: dict[bytes, bytes], authorization: bytes | None
) -> None:
    if authorization is not None:
        headers = headers | {b"authorization": authorization}
    with capture_logs():
        answer = asyncio.run(Gateway().send("POST", query, body, list(headers.items())))
    assert 400 <= answer.status < 500
    assert answer.headers["content-length"] == str(len(answer.body))
    if "xml" in answer.headers["content-type"]:
        assert ET.fromstring(answer.body).tag == "Error"
    else:
        assert answer.json["Code"]
