"""The FCM simulator without sockets: tokens, the schema, limits, and Google's envelopes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.unit.simulators.wire import assertion

from clarion.clock import ManualClock
from clarion.simulators.base import Received, Reply, Surroundings
from clarion.simulators.faults import Fault, FaultBook, FaultKind
from clarion.simulators.fcm import FcmSimulator, create
from clarion.simulators.fcm.errors import BAD_REQUEST, FCM_ERROR, KINDS
from clarion.simulators.fcm.oauth import GRANT_TYPE, ServiceAccount

TOKEN = "dK3nT0:APA91b-x_y"


class Sender:
    """Fetches a token and sends messages."""

    def __init__(self, known: Mapping[str, Any] | None = None, *, strict: bool = True) -> None:
        self.clock = ManualClock()
        self.faults = FaultBook()
        self.simulator: FcmSimulator = create(Surroundings(self.clock, self.faults, known or {}, strict))
        self.credentials = self.simulator.credentials("https://127.0.0.1:9402")
        self.account: dict[str, str] = self.credentials["serviceAccount"]
        self.access = json.loads(self.fetch().body)["access_token"]

    def fetch(self, form: Mapping[str, str] | None = None, /, **changes: object) -> Reply:
        if form is None:
            signed = assertion(self.account, self.clock.now_ms() / 1000, **changes)
            form = {"grant_type": GRANT_TYPE, "assertion": signed}
        headers = {"content-type": "application/x-www-form-urlencoded", "host": "127.0.0.1:9402"}
        return self.simulator.handle(Received("POST", "/token", "", headers, urlencode(form).encode()))

    def request(self, message: Any, **more: Any) -> Received:
        headers = {"authorization": f"Bearer {self.access}", "content-type": "application/json; charset=UTF-8"}
        path = f"/v1/projects/{self.account['project_id']}/messages:send"
        body = message if isinstance(message, bytes) else json.dumps({"message": message, **more}).encode()
        return Received("POST", path, "", headers, body)

    def send(self, message: Any, **more: Any) -> Reply:
        return self.simulator.handle(self.request(message, **more))


@pytest.fixture(scope="module")
def known() -> Mapping[str, Any]:
    """An account for all, as an RSA key takes a while to make."""
    return Sender().credentials


@pytest.fixture
def sender(known: Mapping[str, Any]) -> Sender:
    return Sender(known)


def error(reply: Reply) -> tuple[int, str, str | None, list[str]]:
    """HTTP status, status, FCM's code, fields; from an envelope that has to be one."""
    envelope = json.loads(reply.body)["error"]
    assert envelope["code"] == reply.status
    assert envelope["message"]
    details = {detail["@type"]: detail for detail in envelope.get("details", [])}
    fields = [it["field"] for it in details.get(BAD_REQUEST, {}).get("fieldViolations", [])]
    return reply.status, envelope["status"], details.get(FCM_ERROR, {}).get("errorCode"), fields


def test_a_message_is_taken_and_named(sender: Sender) -> None:
    reply = sender.send({"token": TOKEN, "notification": {"title": "t", "body": "b"}})
    assert reply.status == 200
    assert json.loads(reply.body)["name"].startswith("projects/clarion-simulated/messages/0:")
    assert (list(reply.tokens), reply.outcome) == ([TOKEN], "accepted")
    rehearsed = sender.send({"topic": "news"}, validate_only=True)
    assert json.loads(rehearsed.body)["name"].endswith("/fake_message_id")


FULL = {
    "token": TOKEN,
    "data": {"k": "v"},
    "notification": {"title": "t", "body": "b", "image": "https://x/y.png"},
    "android": {
        "collapse_key": "k",
        "priority": "high",
        "ttl": "300s",
        "restricted_package_name": "a.b",
        "direct_boot_ok": False,
        "notification": {
            "channel_id": "c",
            "color": "#aabbcc",
            "notification_count": 1,
            "notification_priority": "PRIORITY_HIGH",
            "visibility": "PRIVATE",
            "sticky": False,
            "event_time": "2026-11-23T08:00:00.5Z",
            "vibrate_timings": ["0.5s"],
            "light_settings": {"color": {"red": 1, "alpha": 0.5}, "light_on_duration": "1s"},
        },
    },
    "apns": {"headers": {"apns-priority": "5"}, "payload": {"aps": {}}},
    "webpush": {"data": {"a": "b"}, "notification": {"anything": [1]}},
    "fcm_options": {"analytics_label": "a-b_c.d~%"},
}


def test_every_field_that_there_is(sender: Sender) -> None:
    assert sender.send(FULL).status == 200
    camel = {
        "token": TOKEN,
        "android": {"collapseKey": "k", "directBootOk": True},
        "fcmOptions": {"analyticsLabel": "x"},
    }
    assert sender.send(camel).status == 200


NO_SCHEMA: list[tuple[dict[str, Any], str]] = [
    ({"data": {"k": 1}}, "message.data[0].value"),
    ({"data": {"k": {"x": "y"}}}, "message.data[0].value"),
    ({"data": []}, "message.data"),
    ({"colour": "red"}, "message"),
    ({"android": {"notification": {"titel": "t"}}}, "message.android.notification"),
    ({"android": {"ttl": 300}}, "message.android.ttl"),
    ({"android": {"ttl": "300"}}, "message.android.ttl"),
    ({"android": {"priority": "URGENT"}}, "message.android.priority"),
    ({"android": {"notification": {"sticky": "yes"}}}, "message.android.notification.sticky"),
    ({"android": {"notification": {"notification_count": "x"}}}, "message.android.notification.notification_count"),
    ({"notification": {"title": 5}}, "message.notification.title"),
    ({"notification": "text"}, "message.notification"),
    ({"topic": "news"}, "message"),
]


@pytest.mark.parametrize(("fields", "where"), NO_SCHEMA, ids=repr)
def test_what_is_not_in_the_schema(sender: Sender, fields: dict[str, Any], where: str) -> None:
    assert error(sender.send({"token": TOKEN, **fields})) == (400, "INVALID_ARGUMENT", None, [where])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"token": None}, "message"),
    ({"token": "no token!"}, "message.token"),
    ({"token": None, "topic": "a b"}, "message.topic"),
    ({"data": {"from": "x"}}, "message.data"),
    ({"data": {"message_type": "x"}}, "message.data"),
    ({"data": {"google.x": "x"}}, "message.data"),
    ({"android": {"data": {"gcm.x": "x"}}}, "message.android.data"),
    ({"android": {"ttl": "2419201s"}}, "message.android.ttl"),
    ({"android": {"ttl": "-1s"}}, "message.android.ttl"),
    ({"notification": {"image": "http://x/y.png"}}, "message.notification.image"),
    ({"android": {"notification": {"image": "x.png"}}}, "message.android.notification.image"),
    ({"android": {"notification": {"color": "red"}}}, "message.android.notification.color"),
    ({"fcm_options": {"analytics_label": "two words"}}, "message.fcm_options.analytics_label"),
    ({"fcm_options": {"analytics_label": "x" * 51}}, "message.fcm_options.analytics_label"),
    ({"android": {"notification": {"notification_count": -1}}}, "message.android.notification.notification_count"),
]


@pytest.mark.parametrize(("fields", "where"), WRONG, ids=lambda value: repr(value)[:70])
def test_what_the_schema_allows_and_fcm_does_not(sender: Sender, fields: dict[str, Any], where: str) -> None:
    message = {name: value for name, value in {"token": TOKEN, **fields}.items() if value is not None}
    expected = (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", [where])
    if not message:
        message = {"notification": {"title": "t"}}
    assert error(sender.send(message)) == expected


def test_the_ttl_may_be_its_whole_range(sender: Sender) -> None:
    for ttl in ("0s", "2419200s", "1.5s"):
        assert sender.send({"token": TOKEN, "android": {"ttl": ttl}}).status == 200


def test_a_message_has_4096_bytes_and_one_to_a_topic_2048(sender: Sender) -> None:
    def sized(size: int) -> dict[str, Any]:
        return {"data": {"k": "信" * ((size - 17) // 3) + "x" * ((size - 17) % 3)}}

    assert sender.send({"token": TOKEN, **sized(4_096)}).status == 200
    assert error(sender.send({"token": TOKEN, **sized(4_097)}))[3] == ["message"]
    assert sender.send({"topic": "news", **sized(2_048)}).status == 200
    assert error(sender.send({"topic": "news", **sized(2_049)}))[3] == ["message"]


def test_what_is_no_message_at_all(sender: Sender) -> None:
    assert error(sender.send(b"{"))[:3] == (400, "INVALID_ARGUMENT", None)
    assert error(sender.send(b"[]"))[:3] == (400, "INVALID_ARGUMENT", None)
    assert error(sender.send(b"{}"))[1] == "INVALID_ARGUMENT"
    form = replace(sender.request(FULL), headers={"authorization": f"Bearer {sender.access}"})
    assert error(sender.simulator.handle(form))[:3] == (400, "INVALID_ARGUMENT", None)


def test_access_tokens_are_good_for_an_hour(sender: Sender) -> None:
    sender.clock.advance(3_598)
    assert sender.send(FULL).status == 200
    sender.clock.advance(1)
    assert error(sender.send(FULL))[:3] == (401, "UNAUTHENTICATED", None)
    sender.access = json.loads(sender.fetch().body)["access_token"]
    assert sender.send(FULL).status == 200


def test_access_tokens_expire_on_demand(sender: Sender) -> None:
    sender.faults.set([Fault(channel="fcm", kind=FaultKind.EXPIRED_AUTH, count=1)])
    assert [sender.send(FULL).status for _ in range(2)] == [401, 401]
    sender.access = json.loads(sender.fetch().body)["access_token"]
    assert sender.send(FULL).status == 200


def test_projects(sender: Sender) -> None:
    other = {**sender.account, "client_email": "a@b", "project_id": "other"}
    request = sender.request(FULL)
    theirs = replace(request, path="/v1/projects/other/messages:send")
    assert error(sender.simulator.handle(theirs)) == (404, "NOT_FOUND", None, [])
    sender.simulator.configure({"serviceAccounts": [other]})
    assert error(sender.simulator.handle(theirs)) == (403, "PERMISSION_DENIED", None, [])
    assert error(sender.simulator.handle(replace(request, path="/fcm/send")))[:3] == (404, "NOT_FOUND", None)
    nobody = replace(request, headers={"content-type": "application/json"})
    assert error(sender.simulator.handle(nobody))[:3] == (401, "UNAUTHENTICATED", None)


DENIED: list[tuple[dict[str, object], str]] = [
    ({"iss": "nobody@example.com"}, "invalid_grant"),
    ({"aud": "https://elsewhere.example/token"}, "invalid_grant"),
    ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope"),
    ({"alg": "HS256"}, "invalid_grant"),
    ({"kid": "other"}, "invalid_grant"),
    ({"exp": 1_795_010_000}, "invalid_grant"),
    ({"exp": 1_795_003_601}, "invalid_grant"),
    ({"exp": 1_794_990_000}, "invalid_grant"),
    ({"iat": 1_795_000_301}, "invalid_grant"),
]


@pytest.mark.parametrize(("changes", "expected"), DENIED, ids=repr)
def test_assertions_that_are_not_good(sender: Sender, changes: dict[str, object], expected: str) -> None:
    reply = sender.fetch(**changes)
    told = json.loads(reply.body)
    assert (reply.status, told["error"], reply.outcome) == (400, expected, expected)
    assert told["error_description"]


def test_requests_for_a_token_that_are_none(sender: Sender) -> None:
    def denied(form: Mapping[str, str]) -> Any:
        return json.loads(sender.fetch(form).body)["error"]

    assert denied({"grant_type": "password"}) == "unsupported_grant_type"
    assert denied({"grant_type": GRANT_TYPE}) == "invalid_request"
    assert denied({"grant_type": GRANT_TYPE, "assertion": "a.b"}) == "invalid_grant"
    signed = assertion(sender.account, sender.clock.now_ms() / 1000)
    assert denied({"grant_type": GRANT_TYPE, "assertion": signed[:-8] + "AAAAAAAA"}) == "invalid_grant"
    assert denied({"grant_type": GRANT_TYPE, "assertion": f"{signed}.x"}) == "invalid_grant"


def test_unknown_accounts_are_let_pass_unless_that_is_forbidden(known: Mapping[str, Any]) -> None:
    sender = Sender(known, strict=False)
    assert json.loads(sender.fetch(alg="HS256").body)["error"] == "invalid_grant"
    reply = sender.fetch(iss="nobody@example.com")
    assert "not checked" in reply.detail
    sender.access = json.loads(reply.body)["access_token"]
    request = replace(sender.request(FULL), path="/v1/projects/theirs/messages:send")
    assert json.loads(sender.simulator.handle(request).body)["name"].startswith("projects/theirs/messages/")
    sender.simulator.configure({"strictKeys": True})
    assert json.loads(sender.fetch(iss="nobody@example.com").body)["error"] == "invalid_grant"


def test_what_the_token_endpoint_gives(sender: Sender) -> None:
    reply = sender.fetch()
    told = json.loads(reply.body)
    assert (told["expires_in"], told["token_type"]) == (3599, "Bearer")
    assert reply.secret
    google = sender.fetch(aud="https://oauth2.googleapis.com/token")
    assert google.status == 200


def test_the_vendors_codes_as_faults(sender: Sender) -> None:
    for code, kind in KINDS.items():
        sender.faults.clear()
        sender.faults.set([Fault(channel="fcm", kind=FaultKind.CODE, code=code, token=TOKEN, retry_after=3)])
        reply = sender.send(FULL)
        fields = ["message.token"] if code == "INVALID_ARGUMENT" else []
        assert error(reply) == (kind.status, kind.name, code if kind.fcm else None, fields)
        assert (list(reply.tokens), reply.outcome, reply.headers["Retry-After"]) == ([TOKEN], code, "3")
        assert sender.send({**FULL, "token": "other"}).status == 200


def test_the_token_endpoint_fails_on_demand(sender: Sender) -> None:
    sender.faults.set([Fault(channel="fcm", kind=FaultKind.CODE, code="invalid_grant", path="/token", count=1)])
    assert sender.send(FULL).status == 200
    assert json.loads(sender.fetch().body)["error"] == "invalid_grant"
    assert sender.fetch().status == 200


def test_credentials_are_good_for_a_later_simulator(sender: Sender) -> None:
    later = Sender(sender.credentials)
    assert later.account == sender.account
    assert Sender().account["private_key"] != sender.account["private_key"]


def test_a_key_that_is_none_is_no_setting(sender: Sender) -> None:
    account = dict.fromkeys(ServiceAccount.__struct_fields__, "x")
    wrong: list[dict[str, Any]] = [{"serviceAccounts": [account]}, {"serviceAccounts": [{}]}, {"accounts": []}]
    for settings in wrong:
        with pytest.raises(ValueError, match=r"\w"):
            sender.simulator.configure(settings)
