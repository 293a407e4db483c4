"""OPPO PUSH, HTTP API for servers: forms in which messages are JSON texts, JSON out, and callbacks."""

from __future__ import annotations

import re
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from clarion.simulators.base import Receipt, Received, Reply, Surroundings, json_reply
from clarion.simulators.faults import FaultKind
from clarion.simulators.forms import FORM, form_of, updated

AUTH_PATH = "/server/v1/auth"
SINGLE_PATH = "/server/v1/message/notification/unicast"
BATCH_PATH = "/server/v1/message/notification/unicast_batch"
MAX_MESSAGES = 1000
TOKEN_LIFE_MS = 86_400_000
CLOCK_WINDOW_MS = 600_000
MAX_REMEMBERED = 100_000

REGISTRATION_ID = re.compile(r"((([0-9A-Za-z]{2,10})_)?(.*)_)?[0-9a-fA-F]{32}")
CATEGORIES = frozenset(
    {
        *("IM", "ACCOUNT", "DEVICE_REMINDER", "ORDER", "TODO", "SUBSCRIPTION"),
        *("NEWS", "CONTENT", "MARKETING", "SOCIAL"),
    }
)

WHOLE_CODES = frozenset(map(str, (-1, -2, *range(11, 31), 33, 34, 42, 55, 59, 69)))
"""About a call, not about one message of it."""

MESSAGES = {
    "-1": "Service Currently Unavailable",
    "11": "Invalid AuthToken",
    "12": "Http Action Not Allowed",
    "14": "Invalid App Key",
    "15": "Missing App Key",
    "16": "Invalid Signature",
    "17": "Missing Signature",
    "18": "Missing Timestamp",
    "19": "Invalid Timestamp",
    "29": "Missing Auth Token",
    "30": "Api Permission Denied",
    "32": "Data Duplicate Key",
    "33": "The number of messages exceeds the daily limit",
    "40": "Missing Required Arguments",
    "41": "Invalid Arguments",
    "67": "Invalid category or notify_level",
    "10000": "Invalid RegistrationId",
}


class Rejected(Exception):
    """A call or message that the gateway refuses: its code, and why, for people."""

    def __init__(self, code: str, why: str = "") -> None:
        self.code = code
        self.why = why
        super().__init__(why)

    @property
    def message(self) -> str:
        """What the gateway says."""
        return MESSAGES.get(self.code, f"error {self.code}")


class OppoSimulatorSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What can be set while the simulator runs.

    Attributes:
        content_limits: most characters of a text by style.
        any_registration_id: whether ids of any form are taken.
        invalid_tokens: registration ids that there are not.
        gone_tokens: registration ids whose app was uninstalled, as callbacks tell.
        limited_tokens: registration ids that had their messages of the day, as callbacks tell.
        categories: that the app has a right to; None for all.
        token_seconds: how long access tokens are good.
    """

    content_limits: dict[int, int] = field(default_factory=lambda: {1: 50, 2: 128, 3: 50})
    any_registration_id: bool = False
    invalid_tokens: frozenset[str] = frozenset()
    gone_tokens: frozenset[str] = frozenset()
    limited_tokens: frozenset[str] = frozenset()
    categories: frozenset[str] | None = None
    token_seconds: Annotated[float, Meta(gt=0)] = TOKEN_LIFE_MS / 1000


class _Notification(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(min_length=1, max_length=50)]
    content: Annotated[str, Meta(min_length=1)]
    app_message_id: str = ""
    style: Annotated[int, Meta(ge=1, le=5)] = 1
    sub_title: Annotated[str, Meta(max_length=10)] = ""
    big_picture_id: str = ""
    small_picture_id: str = ""
    click_action_type: int = 0
    click_action_activity: Annotated[str, Meta(max_length=500)] = ""
    click_action_url: Annotated[str, Meta(max_length=2000)] = ""
    action_parameters: Annotated[str, Meta(max_length=4000)] = ""
    off_line: bool = True
    off_line_ttl: Annotated[int, Meta(ge=3600, le=864_000)] = 3600
    show_ttl: Annotated[int, Meta(ge=21_600, le=172_800)] | None = None
    notify_id: Annotated[int, Meta(ge=-(2**31), lt=2**31)] | None = None
    channel_id: str = ""
    category: Annotated[str, Meta(max_length=32)] | None = None
    notify_level: int | None = None
    private_msg_template_id: str = ""
    private_title_parameters: dict[str, str] = {}
    private_content_parameters: dict[str, str] = {}
    badge_operation_type: Annotated[int, Meta(ge=0, le=1)] | None = None
    badge_message_count: Annotated[int, Meta(ge=0)] | None = None
    call_back_url: Annotated[str, Meta(max_length=200, pattern="^https?://")] | None = None
    call_back_parameter: Annotated[str, Meta(max_length=50)] = ""
    network_type: Annotated[int, Meta(ge=0, le=1)] = 0
    show_time_type: int = 0
    show_start_time: int | None = None
    show_end_time: int | None = None
    time_zone: str = ""


class _Message(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    target_type: int
    target_value: str
    notification: _Notification
    verify_registration_id: bool = False


_Taken = tuple[_Message, str]
"""A message that was taken, and its id."""


class OppoSimulator:
    """Answers as OPPO PUSH does.

    Attributes:
        label: `oppo`.
        authentications: how many access tokens were given out.
    """

    label = "oppo"

    def __init__(self, surroundings: Surroundings) -> None:
        self._clock = surroundings.clock
        self._faults = surroundings.faults
        known = surroundings.known
        self._key = str(known.get("appKey") or secrets.token_hex(16))
        self._secret = str(known.get("masterSecret") or secrets.token_hex(16))
        self._settings = OppoSimulatorSettings()
        self._tokens: dict[str, float] = {}
        self._seen: set[tuple[str, str]] = set()
        self._order: deque[tuple[str, str]] = deque()
        self._number = 0
        self.authentications = 0
        self._calls: Mapping[str, Callable[[dict[str, str], list[str], str], Reply]] = {
            SINGLE_PATH: self._single,
            BATCH_PATH: self._batch,
        }

    def credentials(self, base_url: str) -> dict[str, Any]:
        """The one app that there is."""
        return {"appKey": self._key, "masterSecret": self._secret, "baseUrl": base_url}

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings, the members of `OppoSimulatorSettings`."""
        self._settings = updated(self._settings, settings)

    def handle(self, request: Received) -> Reply:
        """Answer a call."""
        path, tokens = request.path, list[str]()
        call = self._calls.get(path)
        if call is None and path != AUTH_PATH:
            return Reply(404, b"", {}, (), "no such call", f"{request.method} {path}")
        try:
            form = _form(request)
            if call is None:
                return self._authenticate(form)
            self._admit(form, path)
            return call(form, tokens, path)
        except Rejected as rejected:
            value = {"code": int(rejected.code), "message": rejected.message}
            return json_reply(
                200, value, tokens=tokens, outcome=rejected.code, detail=rejected.why, secret=path == AUTH_PATH
            )

    def _authenticate(self, form: dict[str, str]) -> Reply:
        for name, missing in (("app_key", "15"), ("timestamp", "18"), ("sign", "17")):
            if not form.get(name):
                raise Rejected(missing, f"{name} is missing")
        if set(form) != {"app_key", "timestamp", "sign"}:
            raise Rejected("41", "a field that there is not")
        timestamp, now = form["timestamp"], self._clock.now_ms()
        if form["app_key"] != self._key:
            raise Rejected("14", "another app key")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) == 13):
            raise Rejected("19", "the timestamp is not in milliseconds")
        if abs(int(timestamp) - now) > CLOCK_WINDOW_MS:
            raise Rejected("19", "the timestamp is off by over ten minutes")
        expected = sha256(f"{self._key}{timestamp}{self._secret}".encode()).hexdigest()
        if not compare_digest(form["sign"].encode(), expected.encode()):
            raise Rejected(
                "16", "not the SHA-256 of app_key, timestamp and master secret in lower-case hexadecimal"
            )
        code = self._faults.code_for(self.label, "", path=AUTH_PATH, app=self._key)
        if code is not None:
            raise Rejected(code, "a fault")
        token = secrets.token_hex(16)
        self._tokens = {kept: end for kept, end in self._tokens.items() if end > now}
        self._tokens[token] = now + self._settings.token_seconds * 1000
        self.authentications += 1
        data = {"auth_token": token, "create_time": str(now)}
        return json_reply(200, {"code": 0, "message": "success", "data": data}, secret=True)

    def _admit(self, form: dict[str, str], path: str) -> None:
        token = form.pop("auth_token", "")
        if not token:
            raise Rejected("29", "auth_token is not in the form")
        if self._faults.strike(self.label, (FaultKind.EXPIRED_AUTH,), path=path, app=self._key):
            self._tokens.clear()
        if self._tokens.get(token, 0) <= self._clock.now_ms():
            raise Rejected("11", "an auth_token that is not good any more")

    def _single(self, form: dict[str, str], tokens: list[str], path: str) -> Reply:
        message = _decoded(form, "message", _Message)
        tokens.append(message.target_value)
        vendor_id = self._take(message, self._fault(message, path))
        receipts = self._receipts([(message, vendor_id)])
        value = {"code": 0, "message": "success", "data": {"messageId": vendor_id}}
        return json_reply(200, value, tokens=tokens, receipts=receipts)

    def _batch(self, form: dict[str, str], tokens: list[str], path: str) -> Reply:
        messages = _decoded(form, "messages", list[_Message])
        if not 0 < len(messages) <= MAX_MESSAGES:
            raise Rejected("41", f"{len(messages)} messages; 1 to {MAX_MESSAGES} are allowed")
        tokens += [message.target_value for message in messages]
        taken: list[_Taken] = []
        data: list[dict[str, Any]] = []
        faults = [self._fault(message, path) for message in messages]
        for code in WHOLE_CODES.intersection(code for code in faults if code is not None):
            raise Rejected(code, "a fault")
        for message, fault in zip(messages, faults, strict=True):
            element: dict[str, Any] = {"registrationId": message.target_value}
            try:
                vendor_id = self._take(message, fault)
            except Rejected as rejected:
                element |= {"errorCode": int(rejected.code), "errorMessage": rejected.message}
            else:
                element["messageId"] = vendor_id
                taken.append((message, vendor_id))
            data.append(element)
        # The order of the answer is not promised.
        data.reverse()
        receipts = self._receipts(taken)
        refused = sorted({str(element["errorCode"]) for element in data if "errorCode" in element})
        outcome = f"accepted, but {' '.join(refused)}" if refused else "accepted"
        return json_reply(
            200, {"code": 0, "message": "success", "data": data}, tokens=tokens, outcome=outcome, receipts=receipts
        )

    def _fault(self, message: _Message, path: str) -> str | None:
        return self._faults.code_for(self.label, message.target_value, path=path, app=self._key)

    def _take(self, message: _Message, fault: str | None) -> str:
        """The id of a message that is taken."""
        token, notification = message.target_value, message.notification
        if message.target_type != 2:
            raise Rejected("41", "only registration ids are known here (target_type 2)")
        known = self._settings.any_registration_id or REGISTRATION_ID.fullmatch(token)
        if not known or ";" in token or token in self._settings.invalid_tokens:
            raise Rejected("10000", "no such registration id")
        self._check(notification)
        if fault is not None:
            raise Rejected(fault, "a fault")
        if notification.app_message_id:
            self._remember((notification.app_message_id, token))
        self._number += 1
        return f"30000000-1-1-{self._number:024x}"

    def _check(self, notification: _Notification) -> None:
        kind, category = notification.click_action_type, notification.category
        limit = self._settings.content_limits.get(notification.style, 50)
        rights = self._settings.categories
        if notification.style == 3 or notification.big_picture_id or notification.small_picture_id:
            raise Rejected("30", "pictures are for broadcasts only")
        for wrong, code, why in (
            (len(notification.content) > limit, "41", f"content has over {limit} characters"),
            (kind not in (0, 1, 2, 4, 5), "41", "click_action_type is none of 0, 1, 2, 4, 5"),
            (kind in (1, 4) and not notification.click_action_activity, "40", "click_action_activity is missing"),
            (kind in (2, 5) and not notification.click_action_url, "40", "click_action_url is missing"),
            (not _is_map(notification.action_parameters), "41", "action_parameters is no JSON object"),
            (category is not None and category not in CATEGORIES, "67", "no such category"),
            (category is not None and rights is not None and category not in rights, "67", "no right to it"),
            (notification.notify_level not in (None, 1, 2, 16), "67", "notify_level is none of 1, 2, 16"),
            (notification.notify_level is not None and category is None, "67", "notify_level without category"),
        ):
            if wrong:
                raise Rejected(code, why)

    def _remember(self, sent: tuple[str, str]) -> None:
        if sent in self._seen:
            raise Rejected("32", "this app_message_id was sent to this device before")
        self._seen.add(sent)
        self._order.append(sent)
        if len(self._order) > MAX_REMEMBERED:
            self._seen.discard(self._order.popleft())

    def _receipts(self, taken: Sequence[_Taken]) -> list[Receipt]:
        """A callback for each address, with an event for each message."""
        events: dict[str, list[dict[str, Any]]] = {}
        for message, vendor_id in taken:
            notification = message.notification
            if notification.call_back_url is None:
                continue
            events.setdefault(notification.call_back_url, []).append(
                {
                    "messageId": vendor_id,
                    "appId": "30000000",
                    "taskId": vendor_id,
                    "registrationIds": message.target_value,
                    "eventTime": str(self._clock.now_ms()),
                    "param": notification.call_back_parameter,
                    "eventType": self._event(message.target_value),
                }
            )
        headers = {"Content-Type": "application/json"}
        return [Receipt(url, msgspec.json.encode(told), headers) for url, told in events.items()]

    def _event(self, token: str) -> str:
        if token in self._settings.gone_tokens:
            return "regid_invalid"
        return "user_daily_limit" if token in self._settings.limited_tokens else "push_arrive"


def _form(request: Received) -> dict[str, str]:
    if request.method != "POST":
        raise Rejected("12", "not POST")
    form = form_of(request)
    if form is None:
        raise Rejected("41", f"not {FORM} in UTF-8 with each field once")
    return form


def _is_map(text: str) -> bool:
    try:
        return not text or isinstance(msgspec.json.decode(text), dict)
    except msgspec.DecodeError:
        return False


def _decoded(form: dict[str, str], field: str, kind: Any) -> Any:
    """The JSON text in the only field that is left of a form."""
    if not form.get(field):
        raise Rejected("40", f"{field} is missing")
    if set(form) != {field}:
        raise Rejected("41", "a field that there is not")
    try:
        return msgspec.json.decode(form[field], type=kind)
    except msgspec.DecodeError as error:
        raise Rejected("41", f"{field}: {error}") from None


def create(surroundings: Surroundings) -> OppoSimulator:
    """A simulator that accepts the credentials of `surroundings.known`, or new ones."""
    return OppoSimulator(surroundings)
