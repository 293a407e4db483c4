"""The simulator of HarmonyOS refuses what the gateway refuses."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from tests.channels.multicast.harness import Gate, known
from tests.unit.simulators.requests import GONE, changed

from clarion.channels.harmony.signing import AUDIENCE, Signer
from clarion.simulators.base import Received

N = "payload.notification."
PUSH: dict[str, Any] = {
    "payload": {
        "notification": {
            "category": "MARKETING",
            "title": "Parcel",
            "body": "It waits",
            "clickAction": {"actionType": 0},
        }
    },
    "target": {"token": ["t1"]},
}

CASES: list[tuple[str, Any, str]] = [
    ("extra", 1, "80100003"),
    ("target", GONE, "80100003"),
    ("target.token", [], "80300010"),
    ("target.token", [f"t{number}" for number in range(1000)], "80000000"),
    ("target.token", [f"t{number}" for number in range(1001)], "80300010"),
    ("target.token", [7], "80100003"),
    ("target.token", ["t 1"], "80300007"),
    ("payload", {}, "80100003"),
    ("payload", {"badge": {"setNum": 3}}, "80000000"),
    ("payload.extraData", "x", "80100003"),
    ("pushOptions", {"ttl": 1_296_000, "biTag": "b" * 64, "collapseKey": 100, "receiptId": "r"}, "80000000"),
    ("pushOptions.ttl", 1_296_001, "80100003"),
    ("pushOptions.ttl", "86400s", "80100003"),
    ("pushOptions.ttl", 0, "80100004"),
    ("pushOptions.biTag", "字" * 22, "80100001"),
    ("pushOptions.collapseKey", 101, "80100003"),
    (N + "category", GONE, "80100003"),
    (N + "category", "SYSTEM_REMINDER", "80100003"),
    (N + "title", "", "80100003"),
    (N + "body", GONE, "80100003"),
    (N + "clickAction", GONE, "80100003"),
    (N + "clickAction", {"actionType": 1}, "80100003"),
    (N + "clickAction", {"actionType": 1, "uri": "app://x"}, "80000000"),
    (N + "clickAction", {"actionType": 3}, "80100003"),
    (N + "clickAction", {"actionType": 0, "data": {"a": 1}}, "80000000"),
    (N + "clickAction", {"actionType": 0, "data": "a"}, "80100003"),
    (N + "image", "http://e/p.png", "80100003"),
    (N + "style", 1, "80100003"),
    (N + "style", 3, "80100003"),
    (N + "appMessageId", "a" * 65, "80100003"),
    (N + "appMessageId", "a:b", "80100003"),
    (N + "profileId", "p" * 65, "80100003"),
    (N + "badge", {"addNum": 0}, "80100003"),
    (N + "badge", {"addNum": 99, "setNum": 0}, "80000000"),
    (N + "notifyId", 2**31, "80100003"),
    (N + "notify_id", 1, "80100003"),
]


def code(reply_body: bytes) -> str:
    answer = msgspec.json.decode(reply_body)
    assert set(answer) == {"code", "msg", "requestId"}
    assert isinstance(answer["code"], str)
    return str(answer["code"])


@pytest.mark.parametrize(
    ("path", "value", "expected"), CASES, ids=[f"{path}={value}"[:60] for path, value, _ in CASES]
)
async def test_message(path: str, value: Any, expected: str) -> None:
    reply = await Gate("harmony").post(msgspec.json.encode(changed(PUSH, path, value)))
    assert code(reply.body) == expected
    assert reply.outcome == ("accepted" if expected == "80000000" else expected)


VOICE = {"extraData": "x", "notification": {**PUSH["payload"]["notification"], "category": "PLAY_VOICE"}}


@pytest.mark.parametrize(
    ("push_type", "payload", "options", "expected"),
    [
        ("6", {"extraData": "x"}, {}, "80000000"),
        ("6", {"extraData": {"a": 1}}, {}, "80100003"),
        ("6", PUSH["payload"], {}, "80100003"),
        ("6", {"extraData": "x"}, {"collapseKey": 1}, "80100001"),
        ("2", VOICE, {"collapseKey": 1}, "80000000"),
        ("7", {"activityId": 1}, {}, "80000000"),
        ("3", PUSH["payload"], {}, "80100001"),
        (None, PUSH["payload"], {}, "80100001"),
    ],
)
async def test_kind_of_message(push_type: str | None, payload: Any, options: Any, expected: str) -> None:
    body = msgspec.json.encode({"payload": payload, "pushOptions": options, "target": {"token": ["t1"]}})
    assert code((await Gate("harmony").post(body, push_type=push_type)).body) == expected


async def test_a_widget_has_one_token() -> None:
    body = msgspec.json.encode({"payload": {"formId": 1}, "target": {"token": ["t1", "t2"]}})
    assert code((await Gate("harmony").post(body, push_type="1")).body) == "80300010"


def claims_of(gate: Gate) -> dict[str, Any]:
    """What a good access token says."""
    account = known("harmony")["serviceAccount"]
    now = gate.clock.now_ms() // 1000
    return {"iss": account["sub_account"], "aud": account["token_uri"], "iat": now, "exp": now + 3600}


def signed(gate: Gate, **changes: Any) -> str:
    """An access token with other members of the claims, or another `alg` or `kid`."""
    account = gate.settings.service_account
    claims = claims_of(gate)
    header = {"kid": account.key_id, "typ": "JWT", "alg": "PS256"}
    parts = [{name: changes.get(name, value) for name, value in part.items()} for part in (header, claims)]
    text = ".".join(_encoded(msgspec.json.encode(part)) for part in parts)
    padding = PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH) if "alg" not in changes else PKCS1v15()
    return f"{text}.{_encoded(account.key().sign(text.encode(), padding, SHA256()))}"


def _encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


async def test_an_access_token_of_another_library() -> None:
    jwt = pytest.importorskip("jwt", reason="the package PyJWT is not installed")
    gate = Gate("harmony")
    account = gate.settings.service_account
    token = jwt.encode(claims_of(gate), account.private_key, "PS256", {"kid": account.key_id})
    reply = await gate.post(msgspec.json.encode(PUSH), authorization=f"Bearer {token}")
    assert code(reply.body) == "80000000"
    access = (await Signer(account, gate.clock).fetch()).value
    read = jwt.decode(
        access,
        account.key().public_key(),
        ["PS256"],
        audience=AUDIENCE,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert read == claims_of(gate)


NOW = 1_795_000_000
TOKENS: list[tuple[dict[str, Any], str]] = [
    ({}, "80000000"),
    ({"alg": "RS256"}, "80200001"),
    ({"kid": "other"}, "80200001"),
    ({"iss": "other"}, "80200001"),
    ({"aud": "https://push-api.cloud.huawei.com"}, "80200001"),
    ({"exp": NOW}, "80200005"),
    ({"exp": NOW + 1}, "80000000"),
    ({"exp": NOW + 86_400}, "80000000"),
    ({"exp": NOW + 86_401}, "80300036"),
    ({"iat": NOW + 301, "exp": NOW + 3600}, "80200001"),
    ({"iat": "now"}, "80200001"),
]


@pytest.mark.parametrize(("changes", "expected"), TOKENS, ids=[str(changes) for changes, _ in TOKENS])
async def test_access_token(changes: dict[str, Any], expected: str) -> None:
    gate = Gate("harmony")
    reply = await gate.post(msgspec.json.encode(PUSH), authorization=f"Bearer {signed(gate, **changes)}")
    assert code(reply.body) == expected
    assert reply.status == (200 if expected == "80000000" else 401)


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer ", "Bearer a.b.c", "Bearer an-oauth-token", "Basic a.b.c"]
)
async def test_no_access_token(authorization: str | None) -> None:
    reply = await Gate("harmony").post(msgspec.json.encode(PUSH), authorization=authorization)
    assert (code(reply.body), reply.status) == ("80200001", 401)


async def test_an_access_token_that_was_changed() -> None:
    gate = Gate("harmony")
    header, claims, signature = signed(gate).split(".")
    other = _encoded(b'{"iss":"x","aud":"y","iat":1,"exp":2}')
    for token in (f"{header}.{other}.{signature}", f"{header}.{claims}.{signature[:-8]}AAAAAAAA"):
        reply = await gate.post(msgspec.json.encode(PUSH), authorization=f"Bearer {token}")
        assert code(reply.body) == "80200001"


async def test_addresses() -> None:
    gate = Gate("harmony")
    body = msgspec.json.encode(PUSH)
    project = known("harmony")["projectId"]
    assert code((await gate.post(body, "/v3/1/messages:send")).body) == "80200001"
    assert code((await gate.post(body, f"/v1/{project}/messages:send")).body) == "80200001"
    assert (await gate.post(body, f"/v3/{project}/messages")).status == 404
    assert gate.simulator.handle(Received("GET", gate.path, "", {}, b"")).status == 404


@pytest.mark.parametrize(
    ("body", "push_type", "expected"),
    [
        ({"notifyId": 7, "token": ["t1", "t2"]}, "0", "80000000"),
        ({"notifyId": 7, "token": ["t1"]}, "2", "80000000"),
        ({"notifyId": 7, "token": ["t1"]}, "6", "80100001"),
        ({"notifyId": 7, "token": []}, "0", "80300010"),
        ({"notifyId": "7", "token": ["t1"]}, "0", "80100003"),
        ({"token": ["t1"]}, "0", "80100003"),
    ],
)
async def test_revocation(body: Any, push_type: str, expected: str) -> None:
    gate = Gate("harmony")
    client = known("harmony")["clientId"]
    reply = await gate.post(msgspec.json.encode(body), f"/v1/{client}/messages:revoke", push_type=push_type)
    assert code(reply.body) == expected
    simulator: Any = gate.simulator
    assert simulator.revoked == (len(body["token"]) if expected == "80000000" else 0)


async def test_revocation_is_by_client_and_not_by_project() -> None:
    gate = Gate("harmony")
    body = b'{"notifyId":7,"token":["t1"]}'
    for path in (
        f"/v1/{known('harmony')['projectId']}/messages:revoke",
        f"/v3/{known('harmony')['clientId']}/messages:revoke",
    ):
        assert code((await gate.post(body, path)).body) == "80200001"


async def test_tokens_that_are_refused_are_named_by_reason() -> None:
    gate = Gate("harmony")
    gate.fault("code", token="t2", code="noRight")
    gate.fault("code", token="t3", code="80300007")
    reply = await gate.post(msgspec.json.encode(changed(PUSH, "target.token", ["t1", "t2", "t3"])))
    said = msgspec.json.decode(msgspec.json.decode(reply.body)["msg"])
    assert code(reply.body) == "80100000"
    assert said == {
        "success": 1,
        "failure": 2,
        "illegalTokens": {" noRight ": ["t2"], " tokenFormatError ": ["t3"]},
    }
    reply = await gate.post(msgspec.json.encode(changed(PUSH, "target.token", ["t2"])))
    said = msgspec.json.decode(msgspec.json.decode(reply.body)["msg"])
    assert code(reply.body) == "80300007"
    assert said == {"failure": 1, "illegalTokens": {" noRight ": ["t2"]}}


async def test_test_messages() -> None:
    gate = Gate("harmony")
    test = changed(PUSH, "pushOptions", {"testMessage": True})
    many = changed(test, "target.token", [f"t{number}" for number in range(11)])
    assert code((await gate.post(msgspec.json.encode(many))).body) == "80300030"
    codes = [code((await gate.post(msgspec.json.encode(test))).body) for _ in range(1001)]
    assert (codes[999], codes[1000]) == ("80000000", "80300029")


async def test_the_size_is_that_without_tokens() -> None:
    gate = Gate("harmony")
    tokens = [f"{number:0100}" for number in range(1000)]
    assert code((await gate.post(msgspec.json.encode(changed(PUSH, "target.token", tokens)))).body) == "80000000"
    assert code((await gate.post(msgspec.json.encode(changed(PUSH, N + "body", "x" * 4000)))).body) == "80300008"
