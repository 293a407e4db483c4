"""Honor's push gateway, and the OAuth service in front of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clarion.simulators.base import Receipt, Received, Reply, Surroundings, json_reply
from clarion.simulators.forms import updated
from clarion.simulators.huawei import (
    ARRIVED,
    GONE,
    MAX_BODY,
    MAX_TOKENS,
    MUTED,
    AddNumber,
    GatewaySettings,
    Https,
    NotifyId,
    Numbering,
    Refusal,
    Sent,
    SetNumber,
    Standing,
    TokenOffice,
    TtlText,
    auth_expires,
    body_of,
    callbacks,
    good_ttl,
    is_token,
    shaped,
    size_without_tokens,
    struck,
)

TOKEN_PATH = "/auth/token"  # noqa: S105
OLD_TOKEN_PATH = "/auth/realms/developer/protocol/openid-connect/token"  # noqa: S105
SKEW_MS = 600_000
TEST_MESSAGES_A_DAY = 1_000
FAIL, EXPIRED = "failTokens", "expireTokens"
BAD_TOKEN = {"80100000": FAIL, "80300007": FAIL, FAIL: FAIL, EXPIRED: EXPIRED}
"""Codes of faults that concern one token of a request."""

RECEIPTS = {ARRIVED: 40_000_002, GONE: 40_000_003, MUTED: 40_000_005}

WORDS = {
    "200": "success",
    "400": "Bad request",
    "401": "Unauthorized",
    "404": "Not found",
    "500": "Internal server error",
    "503": "Flow control",
    "10001": "timestamp is empty",
    "10205": "appId is invalid",
    "10207": "timestamp is illegal",
    "10300": "token is empty",
    "80100000": "Partial tokens are invalid",
    "80100003": "Illegal message structure",
    "80200047": "The number of test messages exceeds the limit",
    "80200050": "Marketing messages cannot carry an image",
    "80300006": "Duplicate tokens",
    "80300007": "All tokens are invalid",
    "80300008": "The message body is too long",
    "80300010": "The number of tokens exceeds the limit",
}


class HonorSettings(GatewaySettings, frozen=True):
    """What can be set while the simulator runs.

    Attributes:
        receipt_ids: those that there are; None for any.
        expired_tokens: tokens that were good once.
    """

    receipt_ids: frozenset[str] | None = None
    expired_tokens: frozenset[str] = frozenset()


class _Strict(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    pass


class _Click(_Strict, frozen=True):
    type: Literal[1, 2, 3]
    intent: str = ""
    action: str = ""
    url: Https | UnsetType = UNSET


class _Badge(_Strict, frozen=True):
    badge_class: Annotated[str, Meta(min_length=1)]
    add_num: AddNumber | UnsetType = UNSET
    set_num: SetNumber | UnsetType = UNSET


class _Button(_Strict, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=40)]
    action_type: int
    intent_type: int = 0
    intent: str = ""
    data: Annotated[str, Meta(max_length=1024)] = ""


class _Notification(_Strict, frozen=True):
    title: str = ""
    body: str = ""
    image: Https | UnsetType = UNSET


class _AndroidNotification(_Strict, frozen=True):
    title: str = ""
    body: str = ""
    image: Https | UnsetType = UNSET
    click_action: _Click | None = None
    style: Literal[0, 1] = 0
    big_title: str = ""
    big_body: str = ""
    importance: Literal["LOW", "NORMAL"] = "NORMAL"
    when: str = ""
    buttons: Annotated[list[_Button], Meta(max_length=3)] = []
    badge: _Badge | None = None
    notify_id: NotifyId = -1
    tag: str = ""
    group: str = ""


class _Android(_Strict, frozen=True):
    ttl: TtlText = "86400s"
    bi_tag: str = ""
    data: str = ""
    target_user_type: Literal[0, 1] = 0
    receipt_id: str = ""
    notification: _AndroidNotification | None = None


class _Message(_Strict, frozen=True):
    token: list[str]
    data: str = ""
    notification: _Notification | None = None
    android: _Android = _Android()


class _Raw(msgspec.Struct):
    token: msgspec.Raw = msgspec.Raw(b"[]")


class HonorSimulator:
    """Answers as Honor's gateway does.

    Attributes:
        label: `honor`.
    """

    label = "honor"

    def __init__(self, surroundings: Surroundings) -> None:
        known = surroundings.known
        self._clock = surroundings.clock
        self._faults = surroundings.faults
        self._app = str(known.get("appId") or 100_000_000 + secrets.randbelow(10**8))
        self._client = str(known.get("clientId") or secrets.token_hex(16))
        self._secret = str(known.get("clientSecret") or secrets.token_urlsafe(24))
        self._package = str(known.get("packageName") or "com.example.app")
        self._settings = HonorSettings()
        self._office = TokenOffice(self._client, self._secret, self._clock)
        self._names = Numbering(self._clock)
        self._test_day = (0, 0)

    def credentials(self, base_url: str) -> dict[str, Any]:
        """The one app that there is."""
        return {
            "appId": self._app,
            "clientId": self._client,
            "clientSecret": self._secret,
            "packageName": self._package,
            "baseUrl": base_url,
            "tokenUrl": base_url + TOKEN_PATH,
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings, the members of `HonorSettings`."""
        self._settings = updated(self._settings, settings)

    def handle(self, request: Received) -> Reply:
        """Answer a call."""
        if request.method == "POST" and request.path in (TOKEN_PATH, OLD_TOKEN_PATH):
            return self._office.give(request, self._settings.token_seconds)
        parts = request.path.split("/")
        known = len(parts) == 5 and parts[1:3] == ["api", "v1"] and parts[4] == "sendMessage"
        tokens: list[str] = []
        if request.method != "POST" or not known:
            return self._reply(
                "404", {"sendResult": False}, tokens, f"no such call: {request.method} {request.path}"
            )
        try:
            self._authenticate(request, parts[3])
            return self._send(request, tokens)
        except Refusal as refusal:
            return self._reply(refusal.code, {"sendResult": False}, tokens, refusal.why)

    def receipts(self, sent: Sent) -> list[Receipt]:
        """The callbacks that tell what became of a message."""
        now = self._clock.now_ms()
        statuses = [
            {
                "biTag": sent.tag,
                "appid": self._app,
                "token": token,
                "status": RECEIPTS[self._settings.status_of(token)],
                "timestamp": now,
                "requestId": sent.request_id,
            }
            for token in sent.tokens
        ]
        return callbacks(self._settings, statuses, self._clock)

    def _authenticate(self, request: Received, app: str) -> None:
        if auth_expires(self._faults, self.label, request, self._app):
            self._office.expire_all()
        if self._office.standing(request) is not Standing.GOOD:
            raise Refusal("401", "no access token, or one that has expired")
        if app != self._app:
            raise Refusal("10205", "the address is that of another app")
        timestamp = request.headers.get("timestamp", "")
        if not timestamp:
            raise Refusal("10001", "no header `timestamp`")
        # Seconds instead of milliseconds are some fifty years off.
        number = int(timestamp) if timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16 else 0
        if abs(number - self._clock.now_ms()) > SKEW_MS:
            raise Refusal("10207", "the header `timestamp` is no time near ours in milliseconds")

    def _send(self, request: Received, tokens: list[str]) -> Reply:
        body = body_of(request)
        listed = body.get("token")
        if not isinstance(listed, list) or len(listed) > MAX_TOKENS:
            raise Refusal("80300010", f"no list `token`, or more than {MAX_TOKENS}")
        tokens += [token for token in listed if isinstance(token, str)]
        if not tokens or "" in tokens:
            raise Refusal("10300", "a token is empty, or there is none")
        if len(set(tokens)) < len(tokens):
            raise Refusal("80300006", "a token is named twice")
        raw = msgspec.json.decode(request.body, type=_Raw).token
        if size_without_tokens(request.body, raw) > MAX_BODY:
            raise Refusal("80300008", f"more than {MAX_BODY} bytes without the tokens")
        message = shaped(body, _Message)
        self._check(message, len(tokens))
        return self._take(request, message, tokens)

    def _check(self, message: _Message, count: int) -> None:
        android, own = message.android, message.android.notification
        if not good_ttl(android.ttl):
            raise Refusal("400", "ttl is not 1s to 1296000s")
        receipt_ids = self._settings.receipt_ids
        if android.receipt_id and receipt_ids is not None and android.receipt_id not in receipt_ids:
            raise Refusal("80200020", "a receiptId that there is not")
        if message.notification is None and own is None:
            if not (message.data or android.data):
                raise Refusal("80100003", "neither data nor a notification")
        elif own is None or own.click_action is None:
            raise Refusal("80100003", "a notification needs android.notification.clickAction")
        else:
            _check_notification(message.notification or _Notification(), own, own.click_action)
        if android.target_user_type == 1:
            self._count_test(count)

    def _count_test(self, messages: int) -> None:
        today = self._clock.now_ms() // 86_400_000
        day, count = self._test_day
        self._test_day = (today, messages + (count if day == today else 0))
        if self._test_day[1] > TEST_MESSAGES_A_DAY:
            raise Refusal("80200047", "too many test messages")

    def _take(self, request: Received, message: _Message, tokens: Sequence[str]) -> Reply:
        codes = struck(self._faults, self.label, tokens, request, self._app)
        whole = next((code for code in codes.values() if code not in BAD_TOKEN), None)
        if whole is not None:
            raise Refusal(whole, "a fault")
        bad: dict[str, list[str]] = {FAIL: [], EXPIRED: []}
        good: list[str] = []
        for token in tokens:
            list_of = BAD_TOKEN.get(codes.get(token, ""))
            if list_of is None and (token in self._settings.invalid_tokens or not is_token(token)):
                list_of = FAIL
            elif list_of is None and token in self._settings.expired_tokens:
                list_of = EXPIRED
            (good if list_of is None else bad[list_of]).append(token)
        if not good:
            raise Refusal("80300007", "no token is good")
        request_id = self._names.next()
        data = {"sendResult": True, "requestId": request_id, **bad}
        receipts = self.receipts(Sent(request_id, message.android.bi_tag, good))
        return self._reply("200" if len(good) == len(tokens) else "80100000", data, tokens, "", receipts)

    def _reply(
        self,
        code: str,
        data: Mapping[str, Any],
        tokens: Sequence[str],
        detail: str = "",
        receipts: Sequence[Receipt] = (),
    ) -> Reply:
        number = int(code) if code.isdigit() else 500
        value = {"code": number, "message": WORDS.get(code, "error"), "data": data}
        status = number if code in ("401", "404", "500", "503") else 200
        outcome = "accepted" if code == "200" else code
        return json_reply(status, value, tokens=tokens, outcome=outcome, detail=detail, receipts=receipts)


def _check_notification(common: _Notification, own: _AndroidNotification, click: _Click) -> None:
    if not (own.title or common.title) or not (own.body or common.body):
        raise Refusal("80100003", "a notification needs a title and a body")
    if not {1: click.intent or click.action, 2: click.url, 3: True}[click.type]:
        raise Refusal("80100003", f"clickAction of type {click.type} without what it needs")
    if own.style == 1 and not (own.big_title and own.big_body):
        raise Refusal("80100003", "style 1 needs bigTitle and bigBody")
    if own.importance == "LOW" and (own.image or common.image):
        raise Refusal("80200050", "LOW with a picture")
    if own.badge is not None and own.badge.add_num is UNSET and own.badge.set_num is UNSET:
        raise Refusal("80100003", "badge without a number")


def create(surroundings: Surroundings) -> HonorSimulator:
    """A simulator that accepts the credentials of `surroundings.known`, or new ones."""
    return HonorSimulator(surroundings)
