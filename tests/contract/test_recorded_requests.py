"""Requests of official SDKs, recorded from real runs, against the server's reading of the protocol."""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.recorded import SECRETS, RecordedRequest, recorded_requests, request_name
from tests.unit.openapi.harness import Gateway

from clarion.openapi.authentication import Request, parse_timestamp
from clarion.openapi.endpoint import merge_headers
from clarion.openapi.envelopes import Envelope
from clarion.openapi.errors import GatewayError
from clarion.openapi.registry import VERSIONS, Action, Call
from clarion.openapi.signature import HeaderSignature
from clarion.tenants.model import AccessKey, Role

RECORDED = recorded_requests()
SIGNED = [recorded for recorded in RECORDED if "bearer" not in recorded.note]
SAMPLES = 16
"""Positions of a text at which a change is tried."""


def request_of(
    recorded: RecordedRequest,
    query: bytes | None = None,
    headers: list[tuple[bytes, bytes]] | None = None,
    body: bytes | None = None,
) -> Request:
    return Request(
        recorded.method,
        recorded.query if query is None else query,
        merge_headers(recorded.raw_headers if headers is None else headers),
        recorded.body_bytes if body is None else body,
    )


def is_genuine(recorded: RecordedRequest, **changes: Any) -> bool:
    try:
        credentials = request_of(recorded, **changes).credentials()
    except GatewayError:
        return False
    return credentials.key_id in SECRETS and credentials.proof.matches(SECRETS[credentials.key_id])


def altered(text: bytes, position: int) -> bytes:
    return text[:position] + bytes([text[position] ^ 1]) + text[position + 1 :]


def positions(text: bytes) -> list[int]:
    return sorted({len(text) * sample // SAMPLES for sample in range(SAMPLES)}) if text else []


def test_the_file_is_complete() -> None:
    assert len(RECORDED) == 65
    assert len(SIGNED) == 63


@pytest.mark.parametrize("recorded", SIGNED, ids=request_name)
def test_signature_verifies(recorded: RecordedRequest) -> None:
    request = request_of(recorded)
    assert request.action == recorded.action
    assert request.version == recorded.version
    assert is_genuine(recorded)
    assert not request.credentials().proof.matches(b"another secret")


@pytest.mark.parametrize("recorded", SIGNED, ids=request_name)
def test_signature_fails_when_a_byte_changes(recorded: RecordedRequest) -> None:
    for position in positions(recorded.query):
        assert not is_genuine(recorded, query=altered(recorded.query, position)), position
    for position in positions(recorded.body_bytes):
        assert not is_genuine(recorded, body=altered(recorded.body_bytes, position)), position


@pytest.mark.parametrize("recorded", SIGNED, ids=request_name)
def test_signature_fails_when_a_parameter_is_added(recorded: RecordedRequest) -> None:
    assert not is_genuine(recorded, body=recorded.body_bytes + b"&Extra=1")
    assert not is_genuine(recorded, query=recorded.query + b"&Extra=1")


HEADER_SIGNED = [recorded for recorded in SIGNED if b"authorization" in dict(recorded.raw_headers)]


@pytest.mark.parametrize("recorded", HEADER_SIGNED, ids=request_name)
def test_header_signature_fails_when_a_signed_header_changes(recorded: RecordedRequest) -> None:
    headers = recorded.raw_headers
    authorization = dict(headers)[b"authorization"]
    signed = authorization.partition(b"SignedHeaders=")[2].partition(b",")[0].split(b";")
    tried = 0
    for index, (name, value) in enumerate(headers):
        for position in positions(value):
            changed = [*headers]
            changed[index] = name, altered(value, position)
            if name in signed or name == b"authorization":
                tried += 1
                assert not is_genuine(recorded, headers=changed), (name, position)
            else:
                assert is_genuine(recorded, headers=changed), (name, position)
    assert tried > 50


@pytest.mark.parametrize("recorded", HEADER_SIGNED, ids=request_name)
def test_guarded_headers_are_signed_by_every_client(recorded: RecordedRequest) -> None:
    assert isinstance(request_of(recorded).credentials().proof, HeaderSignature)


async def nothing(call: Call) -> None:
    return None


def gateway_for(recorded: RecordedRequest) -> Gateway:
    """A gateway that knows all recorded actions, at the time of the recording."""
    names = {each.action for each in RECORDED}
    actions = tuple(Action(name, VERSIONS, Role.READ, Envelope.PUSH, (), nothing) for name in sorted(names))
    request = request_of(recorded)
    timestamp = request.headers.get(b"x-acs-date", b"").decode() or request.parameters["Timestamp"]
    now_ms = parse_timestamp(timestamp)
    assert now_ms is not None
    keys = (AccessKey("testAccessKeyId", b"testAccessKeySecret", Role.ADMIN),)
    return Gateway(actions, keys, now_ms=now_ms)


@pytest.mark.parametrize("recorded", RECORDED, ids=request_name)
async def test_the_endpoint_answers(recorded: RecordedRequest) -> None:
    """Permanent keys are served, once; temporary ones and bearer tokens are told why they are not."""
    gateway = gateway_for(recorded)

    async def send() -> tuple[int, str]:
        answer = await gateway.send(
            recorded.method, recorded.query, recorded.body_bytes, recorded.raw_headers, recorded.path, chunk=100
        )
        if b"Format=XML" in recorded.query:
            assert answer.headers["content-type"] == "text/xml;charset=utf-8"
            return answer.status, "OK" if b"<ResultCode>OK<" in answer.body else "SignatureNonceUsed"
        assert answer.headers["content-type"] == "application/json;charset=utf-8"
        return answer.status, answer.code

    request = request_of(recorded)
    if "bearer" in recorded.note:
        assert await send() == (400, "InvalidBearerToken")
    elif request.parameters.get("AccessKeyId", "").startswith("STS."):
        assert await send() == (404, "InvalidAccessKeyId.NotFound")
    elif request.credentials().temporary:
        assert await send() == (400, "InvalidSecurityToken.MismatchWithAccessKey")
    else:
        assert await send() == (200, "OK")
        assert await send() == (400, "SignatureNonceUsed")
