"""Huawei's push gateway for Android, version 1, and the OAuth service in front of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clarion.simulators.base import Receipt, Received, Reply, Surroundings, json_reply
from clarion.simulators.forms import updated
from clarion.simulators.huawei import (
    MAX_BODY,
    MAX_TOKENS,
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

TOKEN_PATH = "/oauth2/v3/token"  # noqa: S105
OLD_TOKEN_PATH = "/oauth2/v2/token"  # noqa: S105
MAX_TITLE = 40
MAX_CONTENT = 1_024
BAD_TOKEN = frozenset(("80100000", "80300007"))
"""Codes of faults that concern one token of a request."""

WORDS = {
    "80000000": "Success",
    "80100001": "Parameter check error",
    "80100003": "Illegal message structure",
    "80100004": "Illegal expire time",
    "80100013": "Illegal collapse_key",
    "80100016": "Message contains sensitive content",
    "80200001": "Oauth authentication error",
    "80200003": "Oauth Token expired",
    "80300002": "The app is not allowed to send to these tokens",
    "80300007": "All the tokens are invalid",
    "80300008": "The message body size exceeds the default value",
    "80300010": "The number of tokens in the message body exceeds the default value",
    "80300011": "No right to send high importance messages",
    "81000001": "Inner error",
}
STATUSES = {"80200001": 401, "80200003": 401, "80600003": 500, "81000001": 500}


class HmsSettings(GatewaySettings, frozen=True):
    """What can be set while the simulator runs.

    Attributes:
        high_importance: whether the app has the right to the highest level of reminder.
    """

    high_importance: bool = False


class _Strict(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    pass


class _Click(_Strict, frozen=True):
    type: Literal[1, 2, 3, 4]
    intent: str = ""
    action: str = ""
    url: Https | UnsetType = UNSET
    rich_resource: Https | UnsetType = UNSET


class _Badge(_Strict, frozen=True):
    class_: Annotated[str, Meta(min_length=1)] = msgspec.field(name="class")
    add_num: AddNumber | UnsetType = UNSET
    set_num: SetNumber | UnsetType = UNSET


class _Button(_Strict, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=40)]
    action_type: int
    intent_type: int = 0
    intent: str = ""
    data: Annotated[str, Meta(max_length=1024)] = ""


class _AndroidNotification(_Strict, frozen=True):
    title: str = ""
    body: str = ""
    icon: str = ""
    image: Https | UnsetType = UNSET
    color: Annotated[str, Meta(pattern="^#[0-9A-Fa-f]{6}$")] | UnsetType = UNSET
    sound: Annotated[str, Meta(pattern="^/raw/.")] | UnsetType = UNSET
    default_sound: bool = True
    tag: str = ""
    channel_id: str = ""
    click_action: _Click | None = None
    style: Literal[0, 1, 3] = 0
    big_title: str = ""
    big_body: str = ""
    inbox_content: Annotated[list[str], Meta(max_length=5)] = []
    notify_id: NotifyId = -1
    group: str = ""
    notify_summary: str = ""
    badge: _Badge | None = None
    importance: Literal["LOW", "NORMAL", "HIGH"] = "NORMAL"
    foreground_show: bool = True
    auto_cancel: bool = True
    when: str = ""
    local_only: bool = True
    visibility: Literal["VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"] = "PRIVATE"
    profile_id: Annotated[str, Meta(max_length=64)] = ""
    buttons: Annotated[list[_Button], Meta(max_length=3)] = []
    use_default_vibrate: bool = True
    use_default_light: bool = True
    vibrate_config: Annotated[list[str], Meta(max_length=10)] = []
    light_settings: dict[str, Any] | None = None
    title_loc_key: str = ""
    title_loc_args: list[str] = []
    body_loc_key: str = ""
    body_loc_args: list[str] = []
    multi_lang_key: dict[str, Any] | None = None
    ticker: str = ""


class _Android(_Strict, frozen=True):
    collapse_key: int = -1
    urgency: Literal["HIGH", "NORMAL"] = "NORMAL"
    category: Literal[
        "", "IM", "VOIP", "MISS_CALL", "SUBSCRIPTION", "TRAVEL", "HEALTH", "WORK", "ACCOUNT", "EXPRESS", "FINANCE",
        "DEVICE_REMINDER", "SYSTEM_REMINDER", "MAIL", "PLAY_VOICE", "MARKETING",
    ] = ""  # fmt: skip
    ttl: TtlText = "86400s"
    bi_tag: str = ""
    receipt_id: str = ""
    target_user_type: Literal[0, 1] = 0
    fast_app_target: Literal[1, 2] = 2
    data: str = ""
    notification: _AndroidNotification | None = None


class _Notification(_Strict, frozen=True):
    title: str = ""
    body: str = ""
    image: Https | UnsetType = UNSET


class _Message(_Strict, frozen=True):
    data: str = ""
    notification: _Notification | None = None
    android: _Android = _Android()


class _RawTokens(msgspec.Struct):
    token: msgspec.Raw


class _Raw(msgspec.Struct):
    message: _RawTokens


class HmsSimulator:
    """Answers as Huawei's gateway does.

    Attributes:
        label: `hms`.
    """

    label = "hms"

    def __init__(self, surroundings: Surroundings) -> None:
        known = surroundings.known
        self._clock = surroundings.clock
        self._faults = surroundings.faults
        self._app = str(known.get("appId") or 100_000_000 + secrets.randbelow(10**8))
        self._secret = str(known.get("appSecret") or secrets.token_hex(32))
        self._package = str(known.get("packageName") or "com.example.app")
        self._settings = HmsSettings()
        self._office = TokenOffice(self._app, self._secret, self._clock)
        self._names = Numbering(self._clock)

    def credentials(self, base_url: str) -> dict[str, Any]:
        """The one app that there is."""
        return {
            "appId": self._app,
            "appSecret": self._secret,
            "packageName": self._package,
            "baseUrl": base_url,
            "tokenUrl": base_url + TOKEN_PATH,
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings, the members of `HmsSettings`."""
        self._settings = updated(self._settings, settings)

    def handle(self, request: Received) -> Reply:
        """Answer a call."""
        if request.method == "POST" and request.path in (TOKEN_PATH, OLD_TOKEN_PATH):
            return self._office.give(request, self._settings.token_seconds)
        parts = request.path.split("/")
        if request.method != "POST" or len(parts) != 4 or parts[1] != "v1" or parts[3] != "messages:send":
            return Reply(404, outcome="no such call", detail=f"{request.method} {request.path}")
        tokens: list[str] = []
        try:
            self._authenticate(request, parts[2])
            return self._send(request, tokens)
        except Refusal as refusal:
            return self._reply(refusal.code, refusal.said, tokens, refusal.why)

    def receipts(self, sent: Sent) -> list[Receipt]:
        """The callbacks that tell what became of a message."""
        now = self._clock.now_ms()
        statuses = [
            {
                "biTag": sent.tag,
                "appid": self._app,
                "token": token,
                "status": self._settings.status_of(token),
                "timestamp": now,
                "requestId": sent.request_id,
            }
            for token in sent.tokens
        ]
        return callbacks(self._settings, statuses, self._clock)

    def _authenticate(self, request: Received, app: str) -> None:
        if auth_expires(self._faults, self.label, request, self._app):
            self._office.expire_all()
        standing = self._office.standing(request)
        if standing is Standing.EXPIRED:
            raise Refusal("80200003", "the access token has expired")
        if standing is not Standing.GOOD:
            raise Refusal("80200001", "no access token of this app")
        if app != self._app:
            raise Refusal("80200001", "the address is that of another app")

    def _send(self, request: Received, tokens: list[str]) -> Reply:
        body = body_of(request)
        given = body.get("message")
        listed = given.get("token") if isinstance(given, dict) else None
        if not isinstance(given, dict) or not isinstance(listed, list):
            raise Refusal("80300010", "no `message` with a list `token`")
        if not all(isinstance(token, str) for token in listed):
            raise Refusal("80100003", "a token is no text")
        tokens += listed
        if not 1 <= len(tokens) <= MAX_TOKENS:
            raise Refusal("80300010", f"{len(tokens)} tokens; 1 to {MAX_TOKENS} are allowed")
        if set(body) - {"message", "validate_only"} or not isinstance(body.get("validate_only", False), bool):
            raise Refusal("80100003", "a member besides `message` and `validate_only`")
        raw = msgspec.json.decode(request.body, type=_Raw).message.token
        if size_without_tokens(request.body, raw) > MAX_BODY:
            raise Refusal("80300008", f"more than {MAX_BODY} bytes without the tokens")
        message = shaped({name: value for name, value in given.items() if name != "token"}, _Message)
        self._check(message)
        return self._take(request, message, tokens, validate_only=body.get("validate_only", False))

    def _check(self, message: _Message) -> None:
        android = message.android
        if not good_ttl(android.ttl):
            raise Refusal("80100004" if int(android.ttl[:-1]) == 0 else "80100001", "ttl is not 1s to 1296000s")
        if not -1 <= android.collapse_key <= 100:
            raise Refusal("80100013", "collapse_key is not -1 to 100")
        if message.notification is None and android.notification is None:
            if not (message.data or android.data):
                raise Refusal("80100003", "neither data nor a notification")
            return
        if android.notification is None or android.notification.click_action is None:
            raise Refusal("80100003", "a notification needs android.notification.click_action")
        _check_notification(message.notification or _Notification(), android.notification)
        if android.category == "PLAY_VOICE":
            raise Refusal("80100003", "PLAY_VOICE is for data messages")
        if android.notification.importance == "HIGH" and not self._settings.high_importance:
            raise Refusal("80300011", "no right to HIGH")

    def _take(self, request: Received, message: _Message, tokens: Sequence[str], *, validate_only: bool) -> Reply:
        codes = struck(self._faults, self.label, tokens, request, self._app)
        whole = next((code for code in codes.values() if code not in BAD_TOKEN), None)
        if whole is not None:
            raise Refusal(whole, "a fault")
        invalid = self._settings.invalid_tokens
        bad = [token for token in tokens if token in codes or token in invalid or not is_token(token)]
        if len(bad) == len(tokens):
            raise Refusal("80300007", "no token is good")
        good = dict.fromkeys(tokens).keys() - bad
        request_id = self._names.next()
        receipts = [] if validate_only else self.receipts(Sent(request_id, message.android.bi_tag, good))
        if not bad:
            return self._reply("80000000", None, tokens, request_id=request_id, receipts=receipts)
        said = {"success": len(tokens) - len(bad), "failure": len(bad), "illegal_tokens": bad}
        text = msgspec.json.encode(said).decode()
        return self._reply("80100000", text, tokens, request_id=request_id, receipts=receipts)

    def _reply(
        self,
        code: str,
        said: str | None,
        tokens: Sequence[str],
        detail: str = "",
        request_id: str = "",
        receipts: Sequence[Receipt] = (),
    ) -> Reply:
        value = {
            "code": code,
            "msg": WORDS.get(code, "Error") if said is None else said,
            "requestId": request_id or self._names.next(),
        }
        status = STATUSES.get(code, 400 if code.startswith("801") and code != "80100000" else 200)
        outcome = "accepted" if code == "80000000" else code
        return json_reply(status, value, tokens=tokens, outcome=outcome, detail=detail, receipts=receipts)


def _check_notification(common: _Notification, own: _AndroidNotification) -> None:
    title, body, click = own.title or common.title, own.body or common.body, own.click_action
    if not title or not body:
        raise Refusal("80100003", "a notification needs a title and a body")
    if len(title) > MAX_TITLE or len(body) > MAX_CONTENT:
        raise Refusal("80100001", f"a title over {MAX_TITLE} or a body over {MAX_CONTENT} characters")
    if (
        click is not None
        and not {1: click.intent or click.action, 2: click.url, 3: True, 4: click.rich_resource}[click.type]
    ):
        raise Refusal("80100003", f"click_action of type {click.type} without what it needs")
    if own.style == 1 and not (own.big_title and own.big_body):
        raise Refusal("80100003", "style 1 needs big_title and big_body")
    if own.style == 3 and not own.inbox_content:
        raise Refusal("80100003", "style 3 needs inbox_content")
    if own.badge is not None and own.badge.add_num is UNSET and own.badge.set_num is UNSET:
        raise Refusal("80100003", "badge without a number")


def create(surroundings: Surroundings) -> HmsSimulator:
    """A simulator that accepts the credentials of `surroundings.known`, or new ones."""
    return HmsSimulator(surroundings)
