"""Xiaomi's MiPush, HTTP API for servers: forms in, JSON out, and callbacks."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from hmac import compare_digest
from typing import Annotated, Any
from urllib.parse import unquote, urlencode, urlsplit

import msgspec
from msgspec import Meta

from clarion.simulators.base import Receipt, Received, Reply, Surroundings, json_reply
from clarion.simulators.forms import FORM, Rule, among, broken, form_of, short, updated, whole

DEFAULT_PACKAGE = "com.example.app"
LIST_PATHS = frozenset({"/v2/message/regid", "/v3/message/regid", "/v4/message/regid"})
MULTI_PATH = "/v2/multi_messages/regids"
REVOKE_PATH = "/v3/message/regid/revoke"
OLD_REVOKE_PATH = "/v1/message/regid/revoke"
OLD_REVOKE_END_MS = 1_796_054_400_000
"""2026-12-01T00:00:00+08:00, when the older calls end."""
QUOTA_PATH = "/v1/trace/quota/get"

MAX_TARGETS = 1000
TOKEN_CODES = frozenset({"10029", "20301", "66007"})
"""About one device; a call with several does not tell them."""

_INT31 = (1 << 31) - 1
_TEN_DAYS_MS = 864_000_000
_CALLBACK_BITS = 1 + 2 + 16 + 32 + 64 + 128 + 1024
_PICTURE_HOSTS = ("mi-img.com", "xiaomi.com")


class Rejected(Exception):
    """A request that the gateway refuses: its code, and why, for people."""

    def __init__(self, code: str, why: str, reason: str = "") -> None:
        self.code = code
        self.why = why
        self.reason = reason
        super().__init__(why)


class MiuiSimulatorSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What can be set while the simulator runs.

    Attributes:
        channels: notification channels that there are; None for any.
        channel_required: whether a message needs one.
        day_quota: messages that a channel may send from now on; None for any number.
        invalid_tokens: registration ids that are nobody's any more.
        muted_tokens: registration ids of users who do not let the app show notifications.
    """

    channels: frozenset[str] | None = None
    channel_required: bool = False
    day_quota: Annotated[int, Meta(ge=0)] | None = None
    invalid_tokens: frozenset[str] = frozenset()
    muted_tokens: frozenset[str] = frozenset()


def _picture(text: str) -> bool:
    host = urlsplit(text).hostname or ""
    return any(host == kept or host.endswith(f".{kept}") for kept in _PICTURE_HOSTS)


def _template_params(text: str) -> bool:
    try:
        values = msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError:
        return False
    return all(0 < len(value) <= 128 and max(value) <= "\uffff" for value in values.values())


FIELDS: Mapping[str, Rule] = {
    "registration_id": lambda text: 0 < len(text.split(",")) <= MAX_TARGETS and all(text.split(",")),
    "restricted_package_name": bool,
    "pass_through": among("0", "1"),
    "payload": lambda text: len(unquote(text).encode()) < 4096,
    "title": lambda text: len(text) < 50,
    "description": lambda text: len(text) < 128,
    "notify_type": whole(-1, 7),
    "time_to_live": whole(1, _TEN_DAYS_MS),
    "time_to_send": whole(0, 1 << 53),
    "notify_id": whole(-_INT31 - 1, _INT31),
}
"""Of a message."""

EXTRAS: Mapping[str, Rule] = {
    "badge": whole(0, 9999),
    "callback": lambda text: len(text.encode()) <= 128 and text.startswith(("http://", "https://")),
    "callback.param": lambda text: len(text.encode()) <= 64,
    "callback.type": lambda text: whole(1, _CALLBACK_BITS)(text) and not int(text) & ~_CALLBACK_BITS,
    "channel_description": short(128),
    "channel_id": short(128),
    "channel_name": short(128),
    "flow_control": whole(1000, 1_000_000),
    "intent_uri": bool,
    "jobkey": lambda text: re.fullmatch(r"[0-9A-Za-z-][0-9A-Za-z_-]{0,19}", text) is not None,
    "notification_bigPic_uri": _picture,
    "notification_large_icon_uri": _picture,
    "notification_style_type": among("1", "2"),
    "notify_effect": among("1", "2", "3"),
    "notify_foreground": among("0", "1"),
    "only_send_once": among("0", "1"),
    "sound_uri": lambda text: text.startswith("android.resource://"),
    "template_id": short(64),
    "template_param": _template_params,
    "web_uri": bool,
}
"""Those that mean something to the gateway; all others are the app's."""

_PARTNERS = (
    ("notify_effect", "2", "intent_uri"),
    ("notify_effect", "3", "web_uri"),
    ("notification_style_type", "2", "notification_bigPic_uri"),
)


class MiuiSimulator:
    """Answers as MiPush does.

    Attributes:
        label: `miui`.
    """

    label = "miui"

    def __init__(self, surroundings: Surroundings) -> None:
        self._clock = surroundings.clock
        self._faults = surroundings.faults
        known = surroundings.known
        self._package = str(known.get("packageName") or DEFAULT_PACKAGE)
        self._secret = str(known.get("appSecret") or secrets.token_urlsafe(18))
        self._settings = MiuiSimulatorSettings()
        self._sent: dict[str, int] = {}
        self._number = 0

    def credentials(self, base_url: str) -> dict[str, Any]:
        """The one app that there is."""
        return {"packageName": self._package, "appSecret": self._secret, "baseUrl": base_url}

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings, the members of `MiuiSimulatorSettings`."""
        self._settings = updated(self._settings, settings)
        if "dayQuota" in settings:
            self._sent.clear()

    def handle(self, request: Received) -> Reply:
        """Answer a call."""
        tokens: list[str] = []
        try:
            self._identify(request)
            return self._carry_out(request, tokens)
        except Rejected as rejected:
            status = 401 if rejected.code == "21301" else 200
            value = {
                "result": "error",
                "reason": rejected.reason or "invalid request",
                "trace_id": self._next("Xcm"),
                "code": int(rejected.code),
                "description": "失败",
            }
            return json_reply(status, value, tokens=tokens, outcome=rejected.code, detail=rejected.why)

    def _identify(self, request: Received) -> None:
        given = request.headers.get("authorization", "")
        if not compare_digest(given.encode(), f"key={self._secret}".encode()):
            raise Rejected("21301", "not `Authorization: key=` and the app secret", "authentication failed")

    def _carry_out(self, request: Received, tokens: list[str]) -> Reply:
        path = request.path
        if path == QUOTA_PATH and request.method == "GET":
            return self._taken({"day_quota": "10000", "day_acked": "0"}, tokens)
        form = form_of(request)
        if path in LIST_PATHS:
            return self._list(_need_form(form), path, tokens)
        if path == MULTI_PATH:
            return self._multi(_need_form(form), path, tokens)
        if path == REVOKE_PATH or (path == OLD_REVOKE_PATH and self._clock.now_ms() < OLD_REVOKE_END_MS):
            return self._revoke(_need_form(form), path, tokens)
        return Reply(404, b"", {}, (), "no such call", f"{request.method} {path}")

    def _list(self, form: dict[str, str], path: str, tokens: list[str]) -> Reply:
        tokens += form.get("registration_id", "").split(",")
        fields = {name: text for name, text in form.items() if not name.startswith("extra.")}
        extras = {name.removeprefix("extra."): text for name, text in form.items() if name.startswith("extra.")}
        self._check(fields, extras, ("registration_id",))
        self._strike(tokens, path)
        if self._over_quota(extras, len(tokens)):
            raise Rejected("200001", "the day's quota of the channel is used up", "day quota exceeded")
        if all(token in self._settings.invalid_tokens for token in tokens):
            raise Rejected("20301", "nobody has these registration ids", "Invalid registration id")
        vendor_id = self._next("scm")
        return self._taken({"id": vendor_id}, tokens, self._receipts(vendor_id, tokens, extras))

    def _multi(self, form: dict[str, str], path: str, tokens: list[str]) -> Reply:
        wrong = broken(form, {"messages": bool, "time_to_send": whole(0, 1 << 53)}, ["messages"])
        if wrong:
            raise Rejected("10017", wrong)
        try:
            elements = msgspec.json.decode(form["messages"], type=list[_Element])
        except msgspec.DecodeError as error:
            raise Rejected("10017", f"messages: {error}") from None
        if not 0 < len(elements) <= MAX_TARGETS:
            raise Rejected("10017", f"{len(elements)} messages; 1 to {MAX_TARGETS} are allowed")
        tokens += [element.target for element in elements]
        for element in elements:
            self._check(element.fields(), element.message.extra, ())
        self._strike(tokens, path)
        vendor_id = self._next("scm")
        exceeded: dict[str, int] = {}
        receipts: list[Receipt] = []
        for element in elements:
            extras = element.message.extra
            if self._over_quota(extras, 1):
                channel = extras.get("channel_id", "no_channel")
                exceeded[channel] = exceeded.get(channel, 0) + 1
            else:
                receipts += self._receipts(vendor_id, [element.target], extras)
        data: dict[str, Any] = {"id": vendor_id}
        if exceeded:
            data["channel_exceed_quota"] = " ".join(f"{name}:{count}" for name, count in exceeded.items())
        return self._taken(data, tokens, receipts)

    def _revoke(self, form: dict[str, str], path: str, tokens: list[str]) -> Reply:
        rules = {
            "registration_ids": FIELDS["registration_id"],
            "restricted_package_name": self._package.__eq__,
            "notify_id": FIELDS["notify_id"],
        }
        tokens += form.get("registration_ids", "").split(",")
        wrong = broken(form, rules, rules)
        if wrong:
            raise Rejected("10017", wrong)
        self._strike(tokens, path)
        return self._taken({}, tokens)

    def _check(self, fields: Mapping[str, str], extras: Mapping[str, str], needed: Sequence[str]) -> None:
        wrong = broken(fields, FIELDS, (*needed, "restricted_package_name"))
        if wrong:
            raise Rejected("10017", wrong)
        if self._package not in fields["restricted_package_name"].split(","):
            raise Rejected("22022", "another package than that of the app", "package name does not match")
        if fields.get("pass_through", "0") == "1":
            if not fields.get("payload"):
                raise Rejected("10016", "payload is missing")
        elif not (fields.get("title", "").strip() and fields.get("description", "").strip()):
            raise Rejected("10016", "title or description is blank")
        self._check_extras(extras)

    def _check_extras(self, extras: Mapping[str, str]) -> None:
        known = {name: text for name, text in extras.items() if name in EXTRAS}
        own = {name: text for name, text in extras.items() if name not in EXTRAS}
        wrong = broken(known, EXTRAS)
        if len(own) > 10 or sum(len(name) + len(text) for name, text in own.items()) > 1024:
            wrong = "more than 10 extras of the app's own, or over 1024 characters"
        for name, text, partner in _PARTNERS:
            if extras.get(name) == text and partner not in extras:
                wrong = f"{partner} is missing"
        if wrong:
            raise Rejected("10017", wrong)
        channel, channels = extras.get("channel_id", ""), self._settings.channels
        if (not channel and self._settings.channel_required) or (channel and channels and channel not in channels):
            raise Rejected("27001", "a channel that there is not", "channel is not approved")

    def _strike(self, tokens: Sequence[str], path: str) -> None:
        """Refuse with the code of a fault; of several devices, nothing is said of one."""
        if not self._faults.concerns(self.label):
            return
        for token in tokens:
            code = self._faults.code_for(self.label, token, path=path, app=self._package)
            if code is not None and (len(tokens) == 1 or code not in TOKEN_CODES):
                raise Rejected(code, "a fault", "invalid registration id" if code in TOKEN_CODES else "")

    def _over_quota(self, extras: Mapping[str, str], count: int) -> bool:
        channel, quota = extras.get("channel_id", ""), self._settings.day_quota
        if quota is None:
            return False
        over = self._sent.get(channel, 0) + count > quota
        if not over:
            self._sent[channel] = self._sent.get(channel, 0) + count
        return over

    def _receipts(self, vendor_id: str, tokens: Sequence[str], extras: Mapping[str, str]) -> list[Receipt]:
        """A callback for each kind of thing that became of the devices, of those that are wanted."""
        if not extras.get("callback"):
            return []
        wanted = int(extras.get("callback.type", "3"))
        kinds: dict[int, list[str]] = {}
        for token in dict.fromkeys(tokens):
            kind = 16 if token in self._settings.invalid_tokens else 1
            kinds.setdefault(32 if token in self._settings.muted_tokens else kind, []).append(token)
        return [
            Receipt(extras["callback"], _callback(vendor_id, kind, reached, extras, self._clock.now_ms()), _HEADERS)
            for kind, reached in kinds.items()
            if kind & wanted
        ]

    def _taken(self, data: dict[str, Any], tokens: Sequence[str], receipts: Sequence[Receipt] = ()) -> Reply:
        value = {
            "result": "ok",
            "trace_id": self._next("Xcm"),
            "code": 0,
            "data": data,
            "description": "成功",
            "info": f"Received push messages for {len(tokens)} REGID",
        }
        return json_reply(200, value, tokens=tokens, receipts=receipts)

    def _next(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._clock.now_ms()}{self._number:06}"


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    restricted_package_name: str
    title: str = ""
    description: str = ""
    payload: str = ""
    pass_through: int = 0
    notify_type: int = -1
    time_to_live: int = 86_400_000
    notify_id: int = 0
    extra: dict[str, str] = {}


class _Element(msgspec.Struct, forbid_unknown_fields=True):
    target: Annotated[str, Meta(min_length=1, pattern="^[^,]+$")]
    message: _Message

    def fields(self) -> dict[str, str]:
        """The message's, as those of a form."""
        names = [name for name in _Message.__struct_fields__ if name != "extra"]
        return {name: str(getattr(self.message, name)) for name in names}


_HEADERS = {"Content-Type": FORM}


def _callback(vendor_id: str, kind: int, tokens: Sequence[str], extras: Mapping[str, str], now: int) -> bytes:
    report = {
        "param": extras.get("callback.param", ""),
        "type": kind,
        "targets": ",".join(tokens),
        "jobkey": extras.get("jobkey", ""),
        "barStatus": "Disable" if kind == 32 else "Enable",
        "timestamp": now,
        "extra": {},
    }
    return urlencode({"data": msgspec.json.encode({vendor_id: report}).decode()}).encode()


def _need_form(form: dict[str, str] | None) -> dict[str, str]:
    if form is None:
        raise Rejected("10008", f"not a POST of {FORM} in UTF-8 with each field once")
    return form


def create(surroundings: Surroundings) -> MiuiSimulator:
    """A simulator that accepts the credentials of `surroundings.known`, or new ones."""
    return MiuiSimulator(surroundings)
