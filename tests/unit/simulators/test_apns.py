"""The APNs simulator without sockets: what it takes, and with which reason it refuses the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.unit.simulators.wire import DEVICE, provider_token

from clarion.clock import ManualClock
from clarion.simulators.apns import ApnsSimulator, create
from clarion.simulators.apns.reasons import STATUSES
from clarion.simulators.base import Peer, Received, Reply, Surroundings
from clarion.simulators.faults import Fault, FaultBook, FaultKind

MESSAGE_ID = "3E5A8A51-98A4-4C0E-9A9F-0A6E2A0B9C01"
ALERT: Mapping[str, Any] = {"aps": {"alert": {"title": "t", "body": "b"}}}
ACTIVITY: Mapping[str, Any] = {"timestamp": 1_795_000_000, "event": "update", "content-state": {"progress": 1}}


class Sender:
    """Sends to a simulator over one connection after another, with a clock to turn."""

    def __init__(self, known: Mapping[str, Any] | None = None, *, strict: bool = True) -> None:
        self.clock = ManualClock()
        self.faults = FaultBook()
        self.simulator: ApnsSimulator = create(Surroundings(self.clock, self.faults, known or {}, strict))
        self.credentials = self.simulator.credentials("https://push.example")
        self.peer = Peer(http2=True)
        self.token = self.sign()

    def sign(self, **changes: object) -> str:
        return provider_token(self.credentials, self.clock.now_ms() / 1000, **changes)

    def request(self, body: Any = ALERT, **headers: str | None) -> Received:
        sent = {
            "authorization": f"bearer {self.token}",
            "apns-topic": "com.example.app",
            "apns-push-type": "alert",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        kept = {name: value for name, value in sent.items() if value is not None}
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return Received("POST", f"/3/device/{DEVICE}", "", kept, content, peer=self.peer)

    def send(self, body: Any = ALERT, **headers: str | None) -> Reply:
        return self.simulator.handle(self.request(body, **headers))

    def reason(self, body: Any = ALERT, **headers: str | None) -> str:
        return reason(self.send(body, **headers))


def reason(reply: Reply) -> str:
    """Why it was refused, or `accepted`; its status must be that of the reason."""
    if reply.status == 200:
        assert reply.body == b""
        assert reply.outcome == "accepted"
        return "accepted"
    told = json.loads(reply.body)["reason"]
    assert isinstance(told, str)
    assert (reply.status, reply.outcome) == (STATUSES[told], told)
    return told


@pytest.fixture
def sender() -> Sender:
    return Sender()


def test_a_notification_is_taken_with_its_id(sender: Sender) -> None:
    reply = sender.send(apns_id=MESSAGE_ID, apns_priority="10", apns_expiration="0", apns_collapse_id="x" * 64)
    assert reason(reply) == "accepted"
    assert reply.headers == {"apns-id": MESSAGE_ID}
    assert list(reply.tokens) == [DEVICE]
    assert len(sender.send().headers["apns-id"]) == 36


HEADERS: list[tuple[dict[str, str | None], str]] = [
    ({"apns_id": "no-uuid"}, "BadMessageId"),
    ({"apns_id": MESSAGE_ID.replace("-", "")}, "BadMessageId"),
    ({"apns_push_type": "shout"}, "InvalidPushType"),
    ({"apns_push_type": None}, "accepted"),
    ({"apns_priority": "7"}, "BadPriority"),
    ({"apns_priority": "1"}, "accepted"),
    ({"apns_expiration": "soon"}, "BadExpirationDate"),
    ({"apns_expiration": "-1"}, "BadExpirationDate"),
    ({"apns_expiration": "1795000000000"}, "BadExpirationDate"),
    ({"apns_expiration": "1795000000"}, "accepted"),
    ({"apns_collapse_id": "x" * 65}, "BadCollapseId"),
    ({"apns_collapse_id": "信" * 22}, "BadCollapseId"),
    ({"apns_collapse_id": "信" * 21}, "accepted"),
    ({"apns_collapse_id": ""}, "BadCollapseId"),
    ({"apns_topic": None}, "MissingTopic"),
    ({"apns_topic": "com example"}, "BadTopic"),
    ({"apns_topic": "com.example.app.voip"}, "BadTopic"),
    ({"apns_topic": "com.example.app.voip", "apns_push_type": "voip"}, "accepted"),
    ({"apns_push_type": "voip"}, "BadTopic"),
    ({"apns_push_type": "complication", "apns_topic": "com.example.app.complication"}, "accepted"),
    ({"apns_push_type": "location", "apns_topic": "com.example.app.location-query"}, "accepted"),
    ({"apns_push_type": "pushtotalk", "apns_topic": "com.example.app.voip-ptt"}, "accepted"),
    ({"apns_push_type": "liveactivity"}, "BadTopic"),
]


@pytest.mark.parametrize(("headers", "expected"), HEADERS, ids=repr)
def test_headers(sender: Sender, headers: dict[str, str | None], expected: str) -> None:
    assert sender.reason(**headers) == expected


PAYLOADS: list[tuple[Any, str]] = [
    (b"", "PayloadEmpty"),
    (b"{", "PayloadEmpty"),
    (b'{"aps":{"alert":"\xff"}}', "PayloadEmpty"),
    ([], "PayloadEmpty"),
    ({"title": "t"}, "PayloadEmpty"),
    ({"aps": []}, "PayloadEmpty"),
    ({"aps": {}}, "InvalidPushType"),
    ({"aps": {"alert": 5}}, "InvalidPushType"),
    ({"aps": {"badge": 0}}, "accepted"),
    ({"aps": {"badge": "1"}}, "InvalidPushType"),
    ({"aps": {"badge": -1}}, "InvalidPushType"),
    ({"aps": {"badge": True}}, "InvalidPushType"),
    ({"aps": {"alert": "a", "mutable-content": 1}, "uri": "x"}, "accepted"),
    ({"aps": {"alert": "a", "mutable-content": 2}}, "InvalidPushType"),
    ({"aps": {"alert": "a", "interruption-level": "loud"}}, "InvalidPushType"),
    ({"aps": {"alert": "a"}, "pad": "x" * 4_066}, "accepted"),
    ({"aps": {"alert": "a"}, "pad": "x" * 4_067}, "PayloadTooLarge"),
]


@pytest.mark.parametrize(("payload", "expected"), PAYLOADS, ids=lambda value: repr(value)[:60])
def test_payloads(sender: Sender, payload: Any, expected: str) -> None:
    if isinstance(payload, dict):
        payload = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    assert sender.reason(payload) == expected


def test_a_payload_of_4096_bytes_is_the_largest_but_for_voip(sender: Sender) -> None:
    def padded(size: int) -> bytes:
        body = b'{"aps":{"alert":"a"},"p":""}'
        return body[:-2] + b"x" * (size - len(body)) + body[-2:]

    assert sender.reason(padded(4_096)) == "accepted"
    assert sender.reason(padded(4_097)) == "PayloadTooLarge"
    voip = {"apns_push_type": "voip", "apns_topic": "com.example.app.voip"}
    assert sender.reason(padded(5_120), **voip) == "accepted"
    assert sender.reason(padded(5_121), **voip) == "PayloadTooLarge"


def test_background_notifications(sender: Sender) -> None:
    silent = {"aps": {"content-available": 1}}

    def background(payload: Any, priority: str | None) -> str:
        return sender.reason(payload, apns_push_type="background", apns_priority=priority)

    assert background(silent, "5") == "accepted"
    assert background(silent, "10") == "BadPriority"
    assert background(silent, None) == "BadPriority"
    assert background(ALERT, "5") == "InvalidPushType"
    assert background({"aps": {"content-available": 1, "sound": "x"}}, "5") == "InvalidPushType"


START = {"attributes-type": "Order", "attributes": {"number": 1}, "alert": {"title": "t", "body": "b"}}
ACTIVITIES: list[tuple[dict[str, Any], str]] = [
    ({}, "accepted"),
    ({"timestamp": None}, "InvalidPushType"),
    ({"timestamp": "1795000000"}, "InvalidPushType"),
    ({"timestamp": 1_795_000_000_000}, "InvalidPushType"),
    ({"event": None}, "InvalidPushType"),
    ({"event": "stop"}, "InvalidPushType"),
    ({"content-state": None}, "InvalidPushType"),
    ({"content-state": "{}"}, "InvalidPushType"),
    ({"event": "end", "content-state": None, "dismissal-date": 0}, "accepted"),
    ({"event": "end", "dismissal-date": "now"}, "InvalidPushType"),
    ({"event": "start"}, "InvalidPushType"),
    ({"event": "start", **START}, "accepted"),
    ({"event": "start", **START, "attributes": None}, "InvalidPushType"),
]


@pytest.mark.parametrize(("changes", "expected"), ACTIVITIES, ids=repr)
def test_live_activities(sender: Sender, changes: dict[str, Any], expected: str) -> None:
    aps = {name: value for name, value in {**ACTIVITY, **changes}.items() if value is not None}
    headers = {"apns_push_type": "liveactivity", "apns_topic": "com.example.app.push-type.liveactivity"}
    assert sender.reason({"aps": aps}, **headers) == expected


PATHS = [
    ("POST", f"/3/device/{DEVICE.upper()}", "accepted"),
    ("POST", f"/3/device/{'ab' * 100}", "accepted"),
    ("POST", f"/3/device/{'ab' * 101}", "BadDeviceToken"),
    ("POST", f"/3/device/{'ab' * 31}", "BadDeviceToken"),
    ("POST", f"/3/device/{'xy' * 32}", "BadDeviceToken"),
    ("POST", "/3/device/", "MissingDeviceToken"),
    ("POST", "/3/device", "MissingDeviceToken"),
    ("POST", f"/2/device/{DEVICE}", "BadPath"),
    ("GET", f"/3/device/{DEVICE}", "MethodNotAllowed"),
]


@pytest.mark.parametrize(("method", "path", "expected"), PATHS, ids=repr)
def test_paths(sender: Sender, method: str, path: str, expected: str) -> None:
    assert reason(sender.simulator.handle(replace(sender.request(), method=method, path=path))) == expected


def test_headers_come_once(sender: Sender) -> None:
    twice = replace(sender.request(), repeated=frozenset(("apns-topic",)))
    assert reason(sender.simulator.handle(twice)) == "DuplicateHeaders"


def foreign_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_senders_identify_themselves(sender: Sender) -> None:
    assert sender.reason(authorization=None) == "MissingProviderToken"
    assert sender.reason(authorization=f"Basic {sender.token}") == "InvalidProviderToken"
    assert sender.reason(authorization="bearer a.b.c") == "InvalidProviderToken"
    assert sender.reason(authorization="bearer") == "InvalidProviderToken"
    for changes in ({"alg": "HS256"}, {"kid": "OTHERKEY00"}, {"iss": "OTHERTEAM0"}):
        assert sender.reason(authorization=f"bearer {sender.sign(**changes)}") == "InvalidProviderToken"
    forged = provider_token({**sender.credentials, "privateKey": foreign_key()}, sender.clock.now_ms() / 1000)
    assert sender.reason(authorization=f"bearer {forged}") == "InvalidProviderToken"
    assert sender.reason(authorization=f"bearer {sender.token[:-4]}AAAA") == "InvalidProviderToken"
    assert sender.simulator.streams(sender.peer) == 1, "none of these was a valid request"
    assert sender.reason() == "accepted"
    assert sender.simulator.streams(sender.peer) == 1000


def test_tokens_are_good_for_an_hour(sender: Sender) -> None:
    old = sender.sign(iat=sender.clock.now_ms() // 1000 - 3601)
    assert sender.reason(authorization=f"bearer {old}") == "ExpiredProviderToken"
    early = sender.sign(iat=sender.clock.now_ms() // 1000 + 301)
    assert sender.reason(authorization=f"bearer {early}") == "InvalidProviderToken"
    assert sender.reason() == "accepted"
    sender.clock.advance(3600)
    assert sender.reason() == "accepted"
    sender.clock.advance(1)
    assert sender.reason() == "ExpiredProviderToken"
    sender.token = sender.sign()
    assert sender.reason() == "accepted"


def test_one_new_token_in_twenty_minutes(sender: Sender) -> None:
    assert sender.reason() == "accepted"
    sender.clock.advance(1199)
    second = sender.sign()
    assert sender.reason(authorization=f"bearer {second}") == "TooManyProviderTokenUpdates"
    assert sender.reason() == "accepted", "the token that is known stays good"
    sender.clock.advance(1)
    assert sender.reason(authorization=f"bearer {second}") == "accepted"
    assert sender.reason() == "accepted"
    third = sender.sign()
    assert sender.reason(authorization=f"bearer {third}") == "TooManyProviderTokenUpdates"
    sender.simulator.configure({"tokenUpdates": 2})
    assert sender.reason(authorization=f"bearer {third}") == "accepted"


def test_a_connection_belongs_to_a_team(sender: Sender) -> None:
    other = {"keyId": "ABCDEFGH12", "teamId": "TEAM000002", "privateKey": foreign_key()}
    sender.simulator.configure(
        {"keys": [{"keyId": other["keyId"], "teamId": other["teamId"], "key": other["privateKey"]}]}
    )
    theirs = f"bearer {provider_token(other, sender.clock.now_ms() / 1000)}"
    assert sender.reason() == "accepted"
    assert sender.reason(authorization=theirs) == "UnrelatedKeyIdInToken"
    sender.peer = Peer(http2=True)
    assert sender.reason(authorization=theirs) == "accepted"


def test_keys_may_be_limited(sender: Sender) -> None:
    limited = {"keyId": "ABCDEFGH12", "teamId": "TEAM000002", "key": foreign_key()}
    sender.simulator.configure({"keys": [{**limited, "topics": ["com.example.other"], "environment": "sandbox"}]})
    signer = {"keyId": limited["keyId"], "teamId": limited["teamId"], "privateKey": limited["key"]}
    authorization = f"bearer {provider_token(signer, sender.clock.now_ms() / 1000)}"
    assert sender.reason(authorization=authorization) == "BadEnvironmentKeyIdInToken"
    sender.simulator.configure({"environment": "sandbox"})
    assert sender.reason(authorization=authorization) == "TopicDisallowed"
    reply = sender.send(authorization=authorization, apns_topic="com.example.other")
    assert reason(reply) == "accepted"
    assert set(reply.headers) == {"apns-id", "apns-unique-id"}


def test_unknown_keys_are_let_pass_unless_that_is_forbidden() -> None:
    sender = Sender(strict=False)
    unknown = {"keyId": "ABCDEFGH12", "teamId": "TEAM000002", "privateKey": foreign_key()}
    authorization = f"bearer {provider_token(unknown, sender.clock.now_ms() / 1000)}"
    reply = sender.send(authorization=authorization)
    assert reason(reply) == "accepted"
    assert "not checked" in reply.detail
    assert sender.reason(authorization="bearer a.b.c") == "InvalidProviderToken"
    sender.simulator.configure({"strictKeys": True})
    assert sender.reason(authorization=authorization) == "InvalidProviderToken"


def test_known_keys_are_always_verified() -> None:
    sender = Sender(strict=False)
    forged = provider_token({**sender.credentials, "privateKey": foreign_key()}, sender.clock.now_ms() / 1000)
    assert sender.reason(authorization=f"bearer {forged}") == "InvalidProviderToken"


def test_the_server_may_know_few_topics(sender: Sender) -> None:
    sender.simulator.configure({"topics": ["com.example.app"]})
    assert sender.reason() == "accepted"
    assert sender.reason(apns_topic="com.example.other") == "TopicDisallowed"


@pytest.mark.parametrize(
    "settings",
    [{"maxStreams": 0}, {"nothing": 1}, {"environment": "moon"}, {"keys": [{"keyId": "x"}]}, {"tokenUpdates": "1"}],
    ids=repr,
)
def test_wrong_settings_change_nothing(sender: Sender, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        sender.simulator.configure({"topics": ["nobody"], **settings})
    assert sender.reason() == "accepted"


def test_a_key_that_is_none_is_no_setting(sender: Sender) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        sender.simulator.configure({"keys": [{"keyId": "ABCDEFGH12", "teamId": "TEAM000002", "key": "none"}]})


def test_the_vendors_codes_as_faults(sender: Sender) -> None:
    def fault(code: str, **more: Any) -> Reply:
        sender.faults.clear()
        sender.faults.set([Fault(channel="apns", kind=FaultKind.CODE, code=code, **more)])
        return sender.send()

    for code, status in STATUSES.items():
        reply = fault(code, token=DEVICE)
        assert (reply.status, reply.outcome) == (status, code)
    gone = fault("Unregistered")
    assert json.loads(gone.body) == {"reason": "Unregistered", "timestamp": sender.clock.now_ms()}
    assert json.loads(fault("ExpiredToken", since=5).body) == {"reason": "ExpiredToken", "timestamp": 5}
    assert fault("TooManyRequests", retry_after=7).headers["retry-after"] == "7"
    assert reason(fault("Unregistered", token="b1" * 32)) == "accepted"


def test_provider_tokens_expire_on_demand(sender: Sender) -> None:
    assert sender.reason() == "accepted"
    sender.faults.set([Fault(channel="apns", kind=FaultKind.EXPIRED_AUTH, count=1)])
    assert sender.reason() == "ExpiredProviderToken"
    assert sender.reason() == "ExpiredProviderToken", "this token stays so"
    sender.clock.advance(1)
    sender.token = sender.sign()
    assert sender.reason() == "accepted", "and another is no update too many"


def test_credentials_are_good_for_a_later_simulator(sender: Sender) -> None:
    later = Sender(sender.credentials)
    assert later.credentials == sender.credentials
    assert later.reason(authorization=f"bearer {sender.token}") == "accepted"
    assert Sender().reason(authorization=f"bearer {sender.token}") == "InvalidProviderToken"
