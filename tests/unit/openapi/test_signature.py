from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from alibabacloud_tea_openapi.utils import Utils
from aliyunsdkcore.auth.composer import rpc_signature_composer
from hypothesis import given
from hypothesis import strategies as st

from clarion.openapi.errors import GatewayError
from clarion.openapi.parameters import parse_form
from clarion.openapi.signature import (
    Authorization,
    HeaderSignature,
    RpcSignature,
    canonical_query,
    percent_encode,
)

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
NAMES = TEXT.filter(bool)

VECTOR_1_QUERY = (
    b"Action=PushUnBind&Format=json&Version=2020-10-28&Timestamp=2026-11-23T03%3A02%3A18Z"
    b"&SignatureNonce=b976474bc3ca3a259f4bbc6d9d31b2e1&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0"
    b"&AccessKeyId=testAccessKeyId"
)
VECTOR_1_BODY = b"AppId=ONEX570DA89211721&DeliveryToken=tok&UserId=u-v2&WorkspaceId=test"
VECTOR_1_STRING = (
    "POST&%2F&AccessKeyId%3DtestAccessKeyId%26Action%3DPushUnBind%26AppId%3DONEX570DA89211721"
    "%26DeliveryToken%3Dtok%26Format%3Djson%26SignatureMethod%3DHMAC-SHA1"
    "%26SignatureNonce%3Db976474bc3ca3a259f4bbc6d9d31b2e1%26SignatureVersion%3D1.0"
    "%26Timestamp%3D2026-11-23T03%253A02%253A18Z%26UserId%3Du-v2%26Version%3D2020-10-28%26WorkspaceId%3Dtest"
)
VECTOR_2_QUERY = (
    b"SecurityToken=stsTokenValue%3D%3D&Version=2019-08-21&Action=PushSimple&Format=JSON&RegionId=cn-hongkong"
    b"&Timestamp=2026-11-23T03%3A01%3A33Z&SignatureMethod=HMAC-SHA1&SignatureType=&SignatureVersion=1.0"
    b"&SignatureNonce=ac4cad98e1a1c059b304315a0bbff5b1&AccessKeyId=STS.testAk"
)
VECTOR_2_BODY = (
    b"AppId=ONEX570DA89211721&WorkspaceId=test&TaskName=sts&ExpiredSeconds=600&DeliveryType=3&Title=t&Content=c"
    b"&TargetMsgkey=%7B%22u%22%3A%221%22%7D"
)


def rpc_signature(query: bytes, body: bytes, signature: bytes, method: str = "POST") -> RpcSignature:
    query += (
        b"&" * bool(query)
        + b"Signature="
        + signature.replace(b"+", b"%2B").replace(b"/", b"%2F").replace(b"=", b"%3D")
    )
    return RpcSignature(method, {**parse_form(query), **parse_form(body)}, b"&".join(filter(None, (query, body))))


def test_vector_1() -> None:
    proof = rpc_signature(VECTOR_1_QUERY, VECTOR_1_BODY, b"lHP3yPGUCJYJpy+6MINebhZYoeo=")
    assert proof.string_to_sign().decode() == VECTOR_1_STRING
    assert proof.matches(b"testAccessKeySecret")
    assert not proof.matches(b"testAccessKeySecret&")


def test_vector_1_with_sha256() -> None:
    """The published digest is of the same string, which names HMAC-SHA1 as its method."""
    proof = rpc_signature(VECTOR_1_QUERY, VECTOR_1_BODY, b"xYtou5QC2wF3XTSb1nxO/vXOq6yGHAsJ/aYvCDFgu8Q=")
    proof._digest = "sha256"
    assert proof.matches(b"testAccessKeySecret")


def test_vector_2_blank_parameter_is_signed() -> None:
    proof = rpc_signature(VECTOR_2_QUERY, VECTOR_2_BODY, b"l1i2yY46wdTXcj6K7tydD+0dZ8g=")
    assert b"%26SignatureType%3D%26" in proof.string_to_sign()
    assert proof.matches(b"testSecret")


VECTOR_3_BODY = b"AppId=ONEX570DA89211721&TaskId=20842863&WorkspaceId=test"
VECTOR_3_HEADERS = {
    b"accept": b"application/json",
    b"content-type": b"application/x-www-form-urlencoded",
    b"host": b"127.0.0.1:18802",
    b"user-agent": b"AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2",
    b"x-acs-action": b"RevokePushTask",
    b"x-acs-content-sha256": b"073ff750883df10c80703c1cdc4dab880f3575a89fe1bc3f76bc83a4db5c8f4d",
    b"x-acs-credentials-provider": b"static_ak",
    b"x-acs-date": b"2026-11-23T03:02:18Z",
    b"x-acs-signature-nonce": b"7568548771a215744bb2f4c6d3fa0de4",
    b"x-acs-version": b"2020-10-28",
}
VECTOR_3_SIGNATURE = b"20f1db31adadc674954596a0a823a8fc32888d63c260720af5d76d9c9d58c2fd"


def authorization(signed: bytes, signature: bytes = VECTOR_3_SIGNATURE) -> Authorization:
    return Authorization(
        b"ACS3-HMAC-SHA256 Credential=testAccessKeyId,SignedHeaders=" + signed + b",Signature=" + signature
    )


def header_signature(
    signed: bytes = b";".join(VECTOR_3_HEADERS),
    headers: dict[bytes, bytes] = VECTOR_3_HEADERS,
    body: bytes = VECTOR_3_BODY,
) -> HeaderSignature:
    return HeaderSignature(authorization(signed), "POST", {}, headers, body)


def test_vector_3() -> None:
    assert header_signature().matches(b"testAccessKeySecret")
    assert not header_signature().matches(b"testAccessKeySecret&")
    assert not header_signature(body=VECTOR_3_BODY + b"&").matches(b"testAccessKeySecret")


def test_body_must_have_the_hash_that_the_header_names() -> None:
    headers = VECTOR_3_HEADERS | {b"x-acs-content-sha256": b"UNSIGNED-PAYLOAD"}
    proof = header_signature(headers=headers)
    string = proof.string_to_sign()
    resigned = authorization(b";".join(headers), hmac_hex(b"secret", string))
    assert not HeaderSignature(resigned, "POST", {}, headers, VECTOR_3_BODY).matches(b"secret")


def hmac_hex(secret: bytes, string: bytes) -> bytes:
    return hmac.digest(secret, string, "sha256").hex().encode()


@pytest.mark.parametrize(
    "header",
    [b"x-acs-action", b"x-acs-version", b"x-acs-date", b"x-acs-signature-nonce", b"x-acs-content-sha256"],
)
def test_guarded_headers_must_be_signed(header: bytes) -> None:
    with pytest.raises(GatewayError) as refused:
        header_signature(signed=b";".join(name for name in VECTOR_3_HEADERS if name != header))
    assert refused.value.code == "IncompleteSignature"
    assert f"SignedHeaders must list {header.decode()}." in refused.value.message
    assert refused.value.message.endswith("server string to sign is:")


@pytest.mark.parametrize("signed", [b"host;host", b";".join(b"h%d" % number for number in range(65))])
def test_signed_headers_are_limited(signed: bytes) -> None:
    with pytest.raises(GatewayError, match="IncompleteSignature"):
        HeaderSignature(authorization(signed), "POST", {}, {}, b"")


def test_authorization_is_read_in_any_order() -> None:
    read = Authorization(b" ACS3-HMAC-SHA256 Signature=ab , SignedHeaders=a;b, Credential=key")
    assert (read.key_id, read.signed_headers, read.signature) == ("key", b"a;b", b"ab")


@pytest.mark.parametrize("algorithm", [b"ACS3-HMAC-SM3", b"ACS3-RSA-SHA256", b"acs3-hmac-sha256"])
def test_other_algorithms_are_refused(algorithm: bytes) -> None:
    with pytest.raises(GatewayError, match="InvalidSignatureMethod"):
        Authorization(algorithm + b" Credential=k,SignedHeaders=h,Signature=s")


@pytest.mark.parametrize(
    "rest", [b"", b"Credential=k", b"Credential=k,SignedHeaders=h", b"SignedHeaders=h,Signature=s", b"garbage"]
)
def test_malformed_authorization_is_incomplete(rest: bytes) -> None:
    with pytest.raises(GatewayError, match="IncompleteSignature"):
        Authorization(b"ACS3-HMAC-SHA256 " + rest)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"SignatureMethod": "HMAC-MD5"}, "InvalidSignatureMethod"),
        ({"SignatureMethod": "SHA256withRSA", "SignatureType": "PRIVATEKEY"}, "InvalidSignatureMethod"),
        ({"SignatureVersion": "2.0"}, "InvalidSignatureVersion"),
        ({"Signature": ""}, "IncompleteSignature"),
    ],
)
def test_unsupported_signatures(changes: dict[str, str], code: str) -> None:
    with pytest.raises(GatewayError) as refused:
        RpcSignature("POST", {"Signature": "s", "A": "1"} | changes, b"")
    assert refused.value.code == code


def test_messages_end_with_the_string_to_sign() -> None:
    """SDKs cut the message at the colon, or after "string to sign is:", and compare the rest."""
    proof = rpc_signature(VECTOR_1_QUERY, VECTOR_1_BODY, b"wrong")
    assert proof.mismatch().message == (
        "Specified signature is not matched with our calculation. server string to sign is:" + VECTOR_1_STRING
    )
    assert proof.mismatch().message.split(":")[1] == VECTOR_1_STRING
    with pytest.raises(GatewayError) as missing:
        RpcSignature("GET", {"A": "1"}, b"A=1")
    assert missing.value.message == (
        "The request signature does not conform to standards. server string to sign is:GET&%2F&A%3D1"
    )
    message = header_signature().mismatch().message
    string = header_signature().string_to_sign().decode()
    assert message.endswith("server string to sign is:" + string)
    assert f"server StringToSign is [{string}] server CanonicalRequest is [POST\n/\n\naccept:" in message


def test_php_leaves_blanks_out_when_it_signs() -> None:
    signature = _sign(rpc_signature(b"A=1", b"B=2", b"x"), b"secret")
    assert rpc_signature(b"A=1&Empty=", b"B=2", signature).matches(b"secret")
    assert not rpc_signature(b"A=1&Empty=x", b"B=2", signature).matches(b"secret")


def _sign(proof: RpcSignature, secret: bytes) -> bytes:
    return base64.b64encode(hmac.digest(secret + b"&", proof.string_to_sign(), "sha1"))


@pytest.mark.parametrize(
    "body",
    [
        b"a=%41",
        b"a=x=y",
        b"a=%7e",
        b"a=!'()",
        b"%61=1",
        b"a=1&a=2",
        b"a=\x01",
        b"a=%e4%b8%ad",
        b"a=%D6%D0",
        b"a&b=",
    ],
)
def test_unusual_encodings_are_signed_as_decoded(body: bytes) -> None:
    parameters = parse_form(body) | {"Signature": "x"}
    signature = _sign(RpcSignature("POST", parameters, b""), b"secret")
    assert rpc_signature(b"", body, signature).matches(b"secret")
    assert not rpc_signature(b"", body, signature).matches(b"other")


@pytest.mark.parametrize("others", [b"", b"A=1", b"Signatura=1", b"SignatureMethod=HMAC-SHA1&Timestamp=1"])
def test_the_name_of_the_signature_may_be_escaped(others: bytes) -> None:
    signature = _sign(RpcSignature("POST", parse_form(others) | {"Signature": "x"}, b""), b"secret")
    wire = b"&".join(filter(None, (others, b"%53ignature=" + quote(signature, safe="").encode())))
    proof = RpcSignature("POST", parse_form(wire), wire)
    assert proof.matches(b"secret")
    assert not proof.matches(b"other")


@pytest.mark.parametrize(
    ("one", "other"),
    [(b"a=1%26b=2", b"a=1&b=2"), (b"a=%01", b"a=="), (b"a=\x01", b"a=="), (b"a=1", b"a=1&b=2"), (b"a=+", b"a=%2B")],
)
def test_a_signature_has_one_meaning_only(one: bytes, other: bytes) -> None:
    """No wire form with other values passes with a signature over the client's own encoding."""
    signature = _sign(RpcSignature("POST", parse_form(one) | {"Signature": "x"}, b""), b"secret")
    assert rpc_signature(b"", one, signature).matches(b"secret")
    assert not rpc_signature(b"", other, signature).matches(b"secret")


@given(TEXT)
def test_percent_encoding(text: str) -> None:
    encoded = percent_encode(text).decode()
    assert parse_form(b"v=" + encoded.encode()) == {"v": text}
    assert set(encoded) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~%")


def test_query_is_sorted_by_code_point() -> None:
    names = ["TargetMsg.2.A", "TargetMsg.10.A", "TargetMsg.1.Target", "TargetMsg.1.MsgKey", "a", "B", "a.b", "中"]
    assert [name for name, _ in parse_qsl(canonical_query(dict.fromkeys(names, "1")).decode())] == sorted(names)


SIGNER_NAMES = {"Signature", "SignatureMethod", "SignatureType", "SignatureVersion"}
PARAMETERS = st.dictionaries(NAMES.filter(lambda name: name not in SIGNER_NAMES), TEXT, max_size=6)


@given(PARAMETERS, PARAMETERS, st.sampled_from(["GET", "POST"]))
def test_string_to_sign_equals_that_of_the_python_sdk(
    query: dict[str, str], body: dict[str, str], method: str
) -> None:
    compose = cast("Callable[..., tuple[str, str]]", rpc_signature_composer.get_signed_url)
    url, expected = compose(query, "key", "secret", "JSON", method, body)
    raw_query = url.partition("?")[2].encode()
    raw_body = urlencode(body).encode()
    parameters = {**parse_form(raw_query), **parse_form(raw_body)}
    proof = RpcSignature(method, parameters, b"&".join(filter(None, (raw_query, raw_body))))
    assert proof.string_to_sign().decode() == expected
    assert proof.matches(b"secret")
    assert not proof.matches(b"secret2")


class _TeaRequest:
    method = "POST"
    pathname = "/"

    def __init__(self, query: dict[str, str], headers: dict[str, str]) -> None:
        self.query = query
        self.headers = headers


HEADER_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@given(
    st.dictionaries(st.from_regex(r"\A[A-Za-z.]{1,10}\Z"), TEXT, max_size=5),
    st.dictionaries(st.from_regex(r"\A[a-z]{1,8}\Z"), HEADER_VALUES, max_size=5),
    TEXT,
)
def test_header_signature_equals_that_of_the_tea_sdk(
    query: dict[str, str], extra: dict[str, str], text: str
) -> None:
    body = urlencode({"Title": text}).encode()
    body_hash = hashlib.sha256(body).hexdigest()
    headers = extra | {"x-acs-action": "PushSimple", "x-acs-content-sha256": body_hash, "host": "h:1"}
    sign = cast("Callable[..., Any]", Utils.get_authorization)
    value = sign(_TeaRequest(query, headers), "ACS3-HMAC-SHA256", body_hash, "key", "secret")
    received = {name.encode(): content.encode() for name, content in headers.items()}
    proof = HeaderSignature(Authorization(value.encode()), "POST", query, received, body)
    assert proof.matches(b"secret")
    assert not proof.matches(b"secret2")
