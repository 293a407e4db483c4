"""vivo Push, HTTP API for servers: JSON both ways, and callbacks."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import md5
from hmac import compare_digest
from typing import Annotated, Any
from unicodedata import east_asian_width
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from clarion.simulators.base import Receipt, Received, Reply, Surroundings, json_reply
from clarion.simulators.faults import FaultKind
from clarion.simulators.forms import updated

AUTH_PATH = "/message/auth"
SINGLE_PATH = "/message/send"
SAVE_PATH = "/message/saveListPayload"
LIST_PATH = "/message/pushToList"
RECALL_PATH = "/message/recall"
TOKEN_LIFE_MS = 86_400_000
CLOCK_WINDOW_MS = 600_000
MAX_AUTHENTICATIONS = 10
"""In a second."""
MAX_REMEMBERED = 100_000

SYSTEM = frozenset({"IM", "ACCOUNT", "TODO", "DEVICE_REMINDER", "ORDER", "SUBSCRIPTION"})
OPERATIONAL = frozenset({"NEWS", "CONTENT", "MARKETING", "SOCIAL"})
QUOTA_CODES = {0: "10070", 1: "10073"}
_ZONE = ZoneInfo("Asia/Shanghai")


class Rejected(Exception):
    """A call that the gateway refuses: its code, and why, for people."""

    def __init__(self, code: str, why: str = "") -> None:
        self.code = code
        self.why = why
        super().__init__(why)


class VivoSimulatorSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What can be set while the simulator runs.

    Attributes:
        invalid_users: registration ids that are not good, with the status that says why (1 unknown, 2 unsubscribed,
            3 no test device).
        test_tokens: registration ids of test devices, which alone get messages with pushMode 1.
        day_quota: operational messages that may be sent from now on; None for any number.
        hours: whether operational messages are taken from 07:00 to 23:00 only.
        recall: whether there is a call that takes messages back.
        token_seconds: how long access tokens are good.
    """

    invalid_users: dict[str, Annotated[int, Meta(ge=1, le=3)]] = {}
    test_tokens: frozenset[str] = frozenset()
    day_quota: Annotated[int, Meta(ge=0)] | None = None
    hours: bool = False
    recall: bool = False
    token_seconds: Annotated[float, Meta(gt=0)] = TOKEN_LIFE_MS / 1000


class _Authentication(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    app_id: int | str
    app_key: str
    timestamp: Annotated[int, Meta(ge=10**12, lt=10**13)]
    sign: str


class _Extra(msgspec.Struct, forbid_unknown_fields=True):
    callback: Annotated[str, Meta(max_length=128)] = ""
    param: Annotated[str, Meta(max_length=64)] = msgspec.field(default="", name="callback.param")
    id: str = msgspec.field(default="", name="callback.id")


RequestId = Annotated[str, Meta(min_length=1, max_length=64)]


class _Payload(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    title: str
    content: str
    notify_type: Annotated[int, Meta(ge=1, le=4)]
    skip_type: Annotated[int, Meta(ge=1, le=4)]
    request_id: RequestId
    app_id: int | str | None = None
    skip_content: Annotated[str, Meta(max_length=2048)] = ""
    time_to_live: Annotated[int, Meta(ge=60)] = 86_400
    network_type: int = -1
    classification: Annotated[int, Meta(ge=0, le=1)] = 0
    category: str | None = None
    client_custom_map: dict[str, str] = {}
    extra: _Extra | None = None
    push_mode: Annotated[int, Meta(ge=0, le=1)] = 0
    notify_id: Annotated[int, Meta(ge=0, lt=2**31)] | None = None
    send_online: bool = False
    foreground_show: bool = True
    add_badge: bool = False


class _Single(_Payload, kw_only=True, rename="camel", forbid_unknown_fields=True):
    reg_id: Annotated[str, Meta(min_length=1)]
    profile_id: Annotated[str, Meta(max_length=64)] = ""


class _List(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    reg_ids: Annotated[list[str], Meta(min_length=2, max_length=1000)]
    task_id: str
    request_id: RequestId
    app_id: int | str | None = None


class _Recall(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    task_id: str
    request_id: RequestId
    app_id: int | str | None = None


class VivoSimulator:
    """Answers as vivo Push does.

    Attributes:
        label: `vivo`.
        authentications: how many access tokens were given out.
    """

    label = "vivo"

    def __init__(self, surroundings: Surroundings) -> None:
        self._clock = surroundings.clock
        self._faults = surroundings.faults
        known = surroundings.known
        self._app_id = str(known.get("appId") or 10_000 + secrets.randbelow(90_000))
        self._key = str(known.get("appKey") or secrets.token_hex(16))
        self._secret = str(known.get("appSecret") or secrets.token_hex(16))
        self._settings = VivoSimulatorSettings()
        self._tokens: dict[str, float] = {}
        self._asked: deque[int] = deque(maxlen=MAX_AUTHENTICATIONS)
        self._saved: dict[str, _Payload] = {}
        self._requests: dict[str, None] = {}
        self._sent = 0
        self._number = 0
        self.authentications = 0
        self._calls: Mapping[str, Callable[[Received, list[str]], Reply]] = {
            SINGLE_PATH: self._single,
            SAVE_PATH: self._save,
            LIST_PATH: self._list,
            RECALL_PATH: self._recall,
        }

    def credentials(self, base_url: str) -> dict[str, Any]:
        """The one app that there is."""
        return {"appId": self._app_id, "appKey": self._key, "appSecret": self._secret, "baseUrl": base_url}

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings, the members of `VivoSimulatorSettings`."""
        self._settings = updated(self._settings, settings)
        if "dayQuota" in settings:
            self._sent = 0

    def handle(self, request: Received) -> Reply:
        """Answer a call."""
        tokens: list[str] = []
        path = request.path
        call = self._calls.get(path)
        there = path == AUTH_PATH or (call is not None and (path != RECALL_PATH or self._settings.recall))
        if not there or request.method != "POST":
            return Reply(404, b"", {}, (), "no such call", f"{request.method} {path}")
        try:
            if call is None:
                return self._authenticate(request)
            self._admit(request)
            return call(request, tokens)
        except Rejected as rejected:
            value = {"result": int(rejected.code), "desc": f"error {rejected.code}"}
            return json_reply(
                200, value, tokens=tokens, outcome=rejected.code, detail=rejected.why, secret=path == AUTH_PATH
            )

    def _authenticate(self, request: Received) -> Reply:
        given, now = _decoded(request, _Authentication, "10200"), self._clock.now_ms()
        if len(self._asked) == MAX_AUTHENTICATIONS and now - self._asked[0] < 1000:
            raise Rejected("10093", f"over {MAX_AUTHENTICATIONS} calls for access tokens in a second")
        self._asked.append(now)
        if str(given.app_id) != self._app_id or given.app_key != self._key:
            raise Rejected("10203", "another app id or app key")
        if abs(given.timestamp - now) > CLOCK_WINDOW_MS:
            raise Rejected("10207", "the timestamp is off by over ten minutes")
        signed = f"{self._app_id}{self._key}{given.timestamp}{self._secret}"
        expected = md5(signed.encode(), usedforsecurity=False).hexdigest()
        if not compare_digest(given.sign.encode(), expected.encode()):
            raise Rejected(
                "10205", "not the MD5 of appId, appKey, timestamp and appSecret in lower-case hexadecimal"
            )
        code = self._faults.code_for(self.label, "", path=AUTH_PATH, app=self._app_id)
        if code is not None:
            raise Rejected(code, "a fault")
        token = secrets.token_hex(16)
        self._tokens = {kept: end for kept, end in self._tokens.items() if end > now}
        self._tokens[token] = now + self._settings.token_seconds * 1000
        self.authentications += 1
        return json_reply(200, {"result": 0, "desc": "请求成功", "authToken": token}, secret=True)

    def _admit(self, request: Received) -> None:
        if self._faults.strike(self.label, (FaultKind.EXPIRED_AUTH,), path=request.path, app=self._app_id):
            self._tokens.clear()
        if self._tokens.get(request.headers.get("authtoken", ""), 0) <= self._clock.now_ms():
            raise Rejected("10000", "no header authToken, or one that is not good any more")

    def _single(self, request: Received, tokens: list[str]) -> Reply:
        message = _decoded(request, _Single)
        tokens.append(message.reg_id)
        self._check(message, message.app_id)
        self._strike(tokens, SINGLE_PATH, message)
        self._use_up(message, 1)
        status = self._status(message.reg_id, message)
        repeated = self._repeated(message.request_id)
        task = self._next()
        value: dict[str, Any] = {"result": 0, "desc": "请求成功", "taskId": task}
        receipts: list[Receipt] = []
        if status:
            value["invalidUser"] = {"status": status, "userid": message.reg_id}
        elif not repeated:
            receipts = self._receipts(task, message)
        outcome = f"invalid user {status}" if status else "accepted"
        detail = "a requestId that was there before: sent once" if repeated else ""
        return json_reply(200, value, tokens=tokens, outcome=outcome, detail=detail, receipts=receipts)

    def _save(self, request: Received, tokens: list[str]) -> Reply:
        message = _decoded(request, _Payload)
        self._check(message, message.app_id)
        if message.time_to_live < 900:
            raise Rejected("10059", "a message to a list lives for 900 s at least")
        self._strike([""], SAVE_PATH, message)
        task = self._next()
        self._saved[task] = message
        if len(self._saved) > MAX_REMEMBERED:
            del self._saved[next(iter(self._saved))]
        return json_reply(200, {"result": 0, "desc": "请求成功", "taskId": task}, tokens=tokens)

    def _list(self, request: Received, tokens: list[str]) -> Reply:
        wanted = _decoded(request, _List, "10306")
        tokens += wanted.reg_ids
        self._check_app(wanted.app_id)
        message = self._saved.get(wanted.task_id)
        if message is None:
            raise Rejected("10352", "no message was saved with this task id")
        invalid = []
        for token in wanted.reg_ids:
            code = self._fault(token, LIST_PATH)
            status = 1 if code == "10302" else self._status(token, message)
            if code is not None and code != "10302":
                raise Rejected(code, "a fault")
            if status:
                invalid.append({"status": status, "userid": token})
        self._use_up(message, len(wanted.reg_ids))
        repeated = self._repeated(wanted.request_id)
        value: dict[str, Any] = {"result": 0, "desc": "请求成功", "requestId": wanted.request_id}
        if invalid:
            value["invalidUsers"] = invalid
        return json_reply(
            200,
            value,
            tokens=tokens,
            outcome=f"accepted, but {len(invalid)} invalid" if invalid else "accepted",
            detail="a requestId that was there before: sent once" if repeated else "",
        )

    def _recall(self, request: Received, tokens: list[str]) -> Reply:
        wanted = _decoded(request, _Recall, "10353")
        self._check_app(wanted.app_id)
        self._strike([""], RECALL_PATH, None)
        return json_reply(200, {"result": 0, "desc": "请求成功"}, tokens=tokens)

    def _check_app(self, app_id: int | str | None) -> None:
        if app_id is not None and str(app_id) != self._app_id:
            raise Rejected("10094", "the app id is not that of the access token")

    def _check(self, message: _Payload, app_id: int | str | None) -> None:
        self._check_app(app_id)
        custom = sum(len(name) + len(value) for name, value in message.client_custom_map.items())
        fitting = SYSTEM if message.classification else OPERATIONAL
        for wrong, code, why in (
            (not message.title.strip(), "10055", "title is blank"),
            (_width(message.title) > 40, "10056", "title is over 40, with Chinese characters as two"),
            (not message.content.strip(), "10057", "content is blank"),
            (_width(message.content) > 100, "10058", "content is over 100, with Chinese characters as two"),
            (message.skip_type == 3, "10060", "skipType 3 is not there any more"),
            (message.skip_type in (2, 4) and not message.skip_content, "10065", "skipContent is missing"),
            (message.network_type not in (-1, 1), "10067", "networkType is neither -1 nor 1"),
            (message.time_to_live > 604_800, "10059", "timeToLive is over seven days"),
            (custom > 1024, "10050", "clientCustomMap has over 1024 characters"),
            (message.category is not None and message.category not in SYSTEM | OPERATIONAL, "10096", "no such one"),
            (
                message.category is not None and message.category not in fitting,
                "10097",
                "not of this classification",
            ),
        ):
            if wrong:
                raise Rejected(code, why)
        hour = datetime.fromtimestamp(self._clock.now_ms() / 1000, _ZONE).hour
        if self._settings.hours and message.classification == 0 and not 7 <= hour < 23:
            raise Rejected("10071", "operational messages are taken from 07:00 to 23:00")

    def _status(self, token: str, message: _Payload) -> int:
        """What is wrong with a device; 0 for nothing."""
        if message.push_mode == 1 and token not in self._settings.test_tokens:
            return 3
        return self._settings.invalid_users.get(token, 0)

    def _fault(self, token: str, path: str) -> str | None:
        return self._faults.code_for(self.label, token, path=path, app=self._app_id)

    def _strike(self, tokens: Sequence[str], path: str, message: _Payload | None) -> None:
        for token in tokens:
            code = self._fault(token, path)
            if code is not None:
                raise Rejected(code, "a fault")
            if message is not None and message.push_mode == 1 and token and token not in self._settings.test_tokens:
                raise Rejected("10302", "not a registered test device")

    def _use_up(self, message: _Payload, count: int) -> None:
        quota = self._settings.day_quota
        if quota is None or message.classification == 1:
            return
        if self._sent + count > quota:
            raise Rejected("10070", "the day's operational messages are used up")
        self._sent += count

    def _repeated(self, request_id: str) -> bool:
        if request_id in self._requests:
            return True
        self._requests[request_id] = None
        if len(self._requests) > MAX_REMEMBERED:
            del self._requests[next(iter(self._requests))]
        return False

    def _receipts(self, task: str, message: _Single) -> list[Receipt]:
        """The callback of a message to a single device, in formal mode."""
        if message.extra is None or not message.extra.callback or message.push_mode == 1:
            return []
        ack = {
            "param": message.extra.param,
            "targets": message.reg_id,
            "ackTime": self._clock.now_ms(),
            "ackType": "0",
        }
        headers = {"Content-Type": "application/json"}
        return [Receipt(message.extra.callback, msgspec.json.encode({task: ack}), headers)]

    def _next(self) -> str:
        self._number += 1
        return str(510_000_000_000_000_000 + self._number)


def _width(text: str) -> int:
    return sum(2 if east_asian_width(it) in ("W", "F") or it > "\uffff" else 1 for it in text)


def _decoded(request: Received, kind: Any, code: str = "10050") -> Any:
    """The JSON of a call."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Rejected(code, "the content type is not application/json")
    try:
        return msgspec.json.decode(request.body, type=kind)
    except msgspec.DecodeError as error:
        raise Rejected("10304" if "requestId" in str(error) else code, str(error)) from None


def create(surroundings: Surroundings) -> VivoSimulator:
    """A simulator that accepts the credentials of `surroundings.known`, or new ones."""
    return VivoSimulator(surroundings)
